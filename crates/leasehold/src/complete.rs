//! Completions: the shell asks this program, which asks the console for names and ids.

use std::ffi::OsStr;
use std::time::Duration;

use clap_complete::CompletionCandidate;
use clap_complete::engine::ArgValueCompleter;
use clap_complete::env::Shells;
use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::output::line;
use crate::reach;

/// How long a person at a prompt is kept waiting for a console.
const PATIENCE: Duration = Duration::from_millis(1500);

/// The most words that are offered.
const WORDS_MAX: usize = 1000;

/// Prints what a shell is to load.
pub(crate) fn script(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let name = shell.to_string();
    let failed = |why: String| Failure::new(Exit::Failed, why);
    let shells = Shells::builtins();
    let completer = shells.completer(&name).ok_or_else(|| failed(format!("nothing is known of {name}")))?;
    let mut script = Vec::new();
    completer
        .write_registration("COMPLETE", "leasehold", "leasehold", "leasehold", &mut script)
        .map_err(|error| failed(format!("no completions were made: {error}")))?;
    line(String::from_utf8_lossy(&script).trim_end());
    Ok(Exit::Ok)
}

/// Nodes, by name.
pub(crate) fn nodes() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| candidates(typed, "/v1/nodes?limit=1000", &["name"], "node"))
}

/// Contracts and leases.
pub(crate) fn leases() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, "/v1/leases?limit=1000", &["contract", "lease", "tier"], "node_name")
    })
}

/// Contracts alone.
pub(crate) fn contracts() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| candidates(typed, "/v1/leases?limit=1000", &["contract"], "name"))
}

/// Who introduced themselves, by fingerprint.
pub(crate) fn strangers() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| candidates(typed, "/v1/enrolment", &["node"], "from"))
}

/// Orders, by the digests of their envelopes.
pub(crate) fn orders() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| candidates(typed, "/v1/orders?limit=1000", &["order"], "verb"))
}

/// Engines, by name.
pub(crate) fn engines() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, "/v1/engines?limit=1000", &["name"], "node_name")
    })
}

/// Volumes, by name.
pub(crate) fn volumes() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, "/v1/volumes?limit=1000", &["name"], "node_name")
    })
}

/// Images, by digest.
pub(crate) fn images() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| candidates(typed, "/v1/images?limit=1000", &["image"], ""))
}

/// People, by name.
pub(crate) fn users() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| candidates(typed, "/v1/users?limit=1000", &["name"], "role"))
}

/// The words under `fields` of the items at `path` that begin as typed, each told apart by `tell`. Whatever goes
/// wrong, nothing is offered: a prompt is no place for errors.
fn candidates(typed: &OsStr, path: &str, fields: &[&str], tell: &str) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let Some(answer) = reach::quietly(path, PATIENCE) else { return Vec::new() };
    let items = ["items", "strangers"].into_iter().find_map(|list| answer.get(list)?.as_array());
    words(items.map(Vec::as_slice).unwrap_or_default(), fields, tell)
        .into_iter()
        .filter(|(word, _)| word.starts_with(typed))
        .take(WORDS_MAX)
        .map(|(word, told)| CompletionCandidate::new(word).help((!told.is_empty()).then(|| told.into())))
        .collect()
}

/// Each word once, in the order of the fields.
fn words(items: &[Value], fields: &[&str], tell: &str) -> Vec<(String, String)> {
    let mut words: Vec<(String, String)> = Vec::new();
    for field in fields {
        for item in items {
            let text = |field: &str| item.get(field).and_then(Value::as_str).map(str::to_owned);
            let Some(word) = text(field).filter(|word| word.chars().all(|c| c.is_ascii_graphic())) else {
                continue;
            };
            if !words.iter().any(|(known, _)| *known == word) {
                let told: String =
                    text(tell).unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
                words.push((word, told));
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_offered_once_and_nothing_that_moves_a_cursor() {
        let items = [
            json!({ "contract": "L-9", "lease": "aa", "node_name": "n1" }),
            json!({ "contract": "L-9", "lease": "bb", "node_name": "n2\u{1b}[2J" }),
            json!({ "contract": null, "lease": "c c" }),
        ];
        let words = words(&items, &["contract", "lease"], "node_name");
        let words: Vec<_> = words.iter().map(|(word, told)| (word.as_str(), told.as_str())).collect();
        assert_eq!(words, [("L-9", "n1"), ("aa", "n1"), ("bb", "n2[2J")]);
    }
}
