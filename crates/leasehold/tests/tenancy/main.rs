//! A tenancy from its lease to its severing, with real consoles and a real node as processes: what of it may be
//! seen where, and that nothing of it is accepted afterwards. Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod console;
mod hello;
mod orders;
mod replays;
mod search;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    lab::trial::main(&[
        ("no_secret_is_in_any_socket_file_log_or_core", search::in_no_socket_file_log_or_core),
        ("no_byte_of_a_tenancy_is_accepted_after_it", replays::no_byte_of_a_tenancy),
    ])
}
