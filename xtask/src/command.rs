//! Running other programs: with their output shown, or with it taken.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// Runs to the end, output to the terminal; anything but success is a failure.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|source| could_not_start(command, source))?;
    if status.success() { Ok(()) } else { Err(ended(command, &status)) }
}

/// Runs to the end and gives its standard output.
pub(crate) fn output_of(command: &mut Command) -> Result<String, Failure> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|source| could_not_start(command, source))?;
    if !output.status.success() {
        return Err(ended(command, &output.status));
    }
    String::from_utf8(output.stdout)
        .map_err(|error| Failure::Form { what: shown(command), reason: error.to_string() })
}

/// Runs to the end; each line of its standard output is printed, and given to `look` as well.
pub(crate) fn run_watched(command: &mut Command, mut look: impl FnMut(&str)) -> Result<(), Failure> {
    run_lines(command, |line| {
        crate::say(line);
        look(line);
    })
}

/// Runs to the end; each line of its standard output goes to `look`.
pub(crate) fn run_lines(command: &mut Command, mut look: impl FnMut(&str)) -> Result<(), Failure> {
    let child = command.stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|source| could_not_start(command, source))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            look(&String::from_utf8_lossy(&line));
        }
    }
    let status = child.wait().map_err(|source| could_not_start(command, source))?;
    if status.success() { Ok(()) } else { Err(ended(command, &status)) }
}

fn could_not_start(command: &Command, source: std::io::Error) -> Failure {
    Failure::Start { program: command.get_program().to_string_lossy().into_owned(), source }
}

fn ended(command: &Command, status: &std::process::ExitStatus) -> Failure {
    Failure::Ended { command: shown(command), status: status.to_string() }
}

/// The command line as a person would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(std::ffi::OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
