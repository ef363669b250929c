//! What is said to who typed a command that does not exist: `error:` and `hint:`, as everywhere else.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::failure::{Exit, Failure};
use crate::output::line;

/// Ends a command that was not understood, or that asks for help.
pub(crate) fn end(error: &clap::Error) -> ExitCode {
    let kind = error.kind();
    let rendered = || error.render().to_string();
    if matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        line(rendered().trim_end());
        Exit::Ok.into()
    } else if kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        crate::output::talk(rendered().trim_end());
        Exit::Usage.into()
    } else {
        told(error).report()
    }
}

fn told(error: &clap::Error) -> Failure {
    let rendered = error.render().to_string();
    let mut parts = rendered.split("\n\n");
    // Missing arguments stand a line each.
    let first = parts.next().unwrap_or_default();
    let words: Vec<_> = first.trim_start_matches("error: ").lines().map(str::trim).collect();
    Failure::new(Exit::Usage, words.join(" ")).hint(hint(error, &rendered))
}

/// The nearest word, if there is one; else how the command is written.
fn hint(error: &clap::Error, rendered: &str) -> String {
    let near = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    let near = near.into_iter().find_map(|kind| {
        let found = error.get(kind)?;
        if let ContextValue::String(word) = found {
            return Some(word.clone());
        }
        if let ContextValue::Strings(words) = found { words.first().cloned() } else { None }
    });
    let usage = rendered.lines().find_map(|line| line.strip_prefix("Usage: "));
    match (near, usage) {
        (Some(near), _) => format!("did you mean {near}?"),
        (None, Some(usage)) => usage.to_owned(),
        (None, None) => "--help says what it takes".to_owned(),
    }
}
