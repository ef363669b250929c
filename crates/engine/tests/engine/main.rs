//! Engines as they really run: shims, namespaces, control groups. Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bed;
mod hostile;
mod life;
mod limits;
mod prison;

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use lab::trial::Trial;

const TRIALS: &[Trial] = &[
    ("an_engine_runs_is_heard_and_its_exit_is_told", life::runs_and_ends),
    ("an_engine_that_is_asked_to_end_ends_in_order", life::ends_in_order),
    ("one_that_refuses_to_end_is_killed_with_all_its_processes", life::is_killed),
    ("one_that_is_silent_too_long_is_killed_as_hung", life::hangs),
    ("one_that_is_not_ready_in_time_is_killed_as_hung", life::is_not_ready),
    ("out_of_memory_is_named_whatever_the_exit_status", life::out_of_memory),
    ("processes_and_processor_time_are_what_the_limits_say", limits::hold),
    ("no_engine_runs_twice_whoever_dies", life::never_twice),
    ("an_engine_that_cannot_be_executed_is_refused_with_the_reason", life::not_executable),
    ("an_engine_is_confined", prison::confined),
    ("a_hostile_engine_gets_nowhere", prison::hostile),
    ("floods_of_processes_memory_files_and_output_hurt_nobody_else", prison::floods),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["shim"] => return shim(),
        ["hostile", what] => return hostile::run(what),
        _ => {}
    }
    lab::trial::main(TRIALS)
}

fn shim() -> ExitCode {
    let control = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    match engine::shim::run(UnixStream::from(control), || Ok(())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
