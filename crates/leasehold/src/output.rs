//! What goes to stdout: data, for people or (`-o json`) exactly as FORMATS.md says.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use clap::ValueEnum;

/// How data is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document, or one a line.
    Json,
}

/// Writes one line of data. A reader that went away (`| head`) is no error of ours.
pub(crate) fn line(text: &str) {
    let written = writeln!(io::stdout().lock(), "{text}");
    if written.is_err() {
        std::process::exit(0);
    }
}

/// Writes data that has its own ends of lines.
pub(crate) fn write(text: &str) {
    let mut stdout = io::stdout().lock();
    if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Says what somebody should not overlook, and what helps.
#[expect(clippy::print_stderr, reason = "talk goes to stderr")]
pub(crate) fn warning(warning: &str, hint: &str) {
    eprintln!("warning: {warning}\nhint: {hint}");
}

/// Says something to the person, beside the data.
#[expect(clippy::print_stderr, reason = "talk goes to stderr")]
pub(crate) fn talk(talk: &str) {
    eprintln!("{talk}");
}

/// Waits, and says on a terminal for how long. Where stderr is none it says nothing.
#[expect(clippy::print_stderr, reason = "talk goes to stderr")]
pub(crate) async fn waiting<T>(work: impl Future<Output = T>) -> T {
    if !io::stderr().is_terminal() {
        return work.await;
    }
    tokio::pin!(work);
    let mut seconds = 0_u64;
    loop {
        match tokio::time::timeout(Duration::from_secs(1), &mut work).await {
            Ok(done) => {
                if seconds > 0 {
                    eprint!("\r\u{1b}[K");
                }
                return done;
            }
            Err(_not_yet) => {
                seconds += 1;
                eprint!("\rwaiting for the console, {seconds} s \u{1b}[K");
            }
        }
    }
}

/// Says how far something is, on a terminal; an empty text takes that away again.
#[expect(clippy::print_stderr, reason = "talk goes to stderr")]
pub(crate) fn progress(told: &str) {
    if io::stderr().is_terminal() {
        eprint!("\r{told}\u{1b}[K");
    }
}
