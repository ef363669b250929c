//! What goes to stdout: data, for people or (`-o json`) as documented.

use std::io::{self, Write};

use clap::ValueEnum;

/// How data is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// Writes one line of data. A reader that went away (`| head`) is no error of ours.
pub(crate) fn line(text: &str) {
    let written = writeln!(io::stdout().lock(), "{text}");
    if written.is_err() {
        std::process::exit(0);
    }
}
