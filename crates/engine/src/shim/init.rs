//! The first process of an engine's process list: it confines itself to what the engine may do, starts it, reaps
//! whatever loses its parent, passes on that all are to end, and says how the engine ended. With it every
//! process of the list ends.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use os::poll::{Wanted, wait};
use os::signal::{Arrived, Signals};
use serde::{Deserialize, Serialize};

use super::{Launch, chain};
use crate::keeper::Exit;
use crate::sandbox;

/// The longest line between the two.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// What an engine's first process says, a line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub(super) enum Said {
    /// The engine's program runs.
    Runs { missing: Vec<String> },
    /// It does not.
    Failed { why: String },
    /// Its program ended.
    Ended { exit: Exit },
}

/// Lets the first process go on: it is in its control groups.
pub(super) fn let_go(mut said: &File) -> io::Result<()> {
    said.write_all(b"!")
}

/// The next thing that it says; nothing at its end, or when the time is over.
pub(super) fn hear(said: &mut File, deadline: Duration) -> io::Result<Option<Said>> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while line.len() < LINE_BYTES_MAX {
        let left = deadline.saturating_sub(os::clock::boot());
        if wait(&[(said.as_fd(), Wanted::READ)], Some(left))? != [true] {
            return Ok(None);
        }
        match said.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) if byte == *b"\n" => return Ok(serde_json::from_slice(&line).ok()),
            Ok(_) => line.extend(byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Is the first process, to its end. `lock` is held by it alone as long as it lives.
pub(super) fn run(launch: &Launch, mut says: UnixStream, output: OwnedFd, lock: File) -> ! {
    let status = match attend(launch, &mut says, output) {
        Ok(()) => 0,
        Err(why) => {
            say(&mut says, &Said::Failed { why });
            1
        }
    };
    drop(lock);
    std::process::exit(status)
}

fn say(says: &mut UnixStream, said: &Said) {
    let mut line = serde_json::to_vec(said).unwrap_or_default();
    line.push(b'\n');
    // Whoever does not hear it is dead, and so is this process then.
    says.write_all(&line).unwrap_or_default();
}

fn attend(launch: &Launch, says: &mut UnixStream, output: OwnedFd) -> Result<(), String> {
    // Not before it is in its control groups.
    says.read_exact(&mut [0]).map_err(|error| error.to_string())?;
    let specification = &launch.specification;
    let shim_lives = || {
        let ended = wait(&[(says.as_fd(), Wanted::READ)], Some(Duration::ZERO));
        ended.is_ok_and(|ended| ended == [false])
    };
    let missing = sandbox::confine(specification.engine.as_str(), launch.uid, shim_lives);
    let missing = missing.map_err(|error| chain(&error))?;
    let engine = start(launch, output)?;
    // Not before: what is blocked here would be blocked in the engine, too. Nobody asks it to end before it runs.
    let signals = Signals::open().map_err(|error| error.to_string())?;
    say(says, &Said::Runs { missing: missing.into_iter().map(str::to_owned).collect() });
    let exit = until_it_ends(&signals, engine).map_err(|error| error.to_string())?;
    say(says, &Said::Ended { exit });
    Ok(())
}

fn start(launch: &Launch, output: OwnedFd) -> Result<u32, String> {
    let specification = &launch.specification;
    let program = specification.command.first().ok_or("there is no program")?;
    let errors = output.try_clone().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command
        .args(specification.command.iter().skip(1))
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", sandbox::DATA)
        .env("NOTIFY_SOCKET", sandbox::NOTIFY)
        .envs(&specification.environment)
        .current_dir(sandbox::DATA)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0);
    if let Some(seconds) = specification.watchdog_seconds {
        command.env("WATCHDOG_USEC", (u64::from(seconds) * 1_000_000).to_string());
    }
    let started = command.spawn().map_err(|error| format!("cannot execute {program}: {error}"))?;
    Ok(started.id())
}

/// Reaps whatever ends, until it is the engine's program.
fn until_it_ends(signals: &Signals, engine: u32) -> io::Result<Exit> {
    loop {
        while let Some((id, status)) = os::process::reap()? {
            if id == engine {
                return Ok(exit(status));
            }
        }
        wait(&[(signals.as_fd(), Wanted::READ)], None)?;
        while let Some(arrived) = signals.next()? {
            match arrived {
                Arrived::Terminate => os::process::terminate_all_others()?,
                Arrived::Child | Arrived::Interrupt | Arrived::HangUp => {}
            }
        }
    }
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}
