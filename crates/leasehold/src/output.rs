//! What goes to stdout: data, for people or (`-o json`) exactly as FORMATS.md says.

use std::io::{self, Write};

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
