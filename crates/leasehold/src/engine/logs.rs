//! `leasehold engine logs`: what an engine wrote.

use std::time::Duration;

use clap::Args;
use console_api::EngineOutput;
use id::Name;
use serde_json::json;

use super::everywhere;
use crate::failure::{Exit, Failure};
use crate::output::{Format, line, write};
use crate::reach::{Reach, segment};

/// How often an engine that is followed is asked.
const EVERY: Duration = Duration::from_secs(1);

/// Whose output, and how.
#[derive(Args)]
pub(crate) struct Reading {
    /// The engine's name
    #[arg(add = crate::complete::engines())]
    name: Name,
    /// On which node; may be left out where it is on one only
    #[arg(long, add = crate::complete::nodes())]
    node: Option<String>,
    /// Go on with what it writes from now, until this is ended
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(reading: &Reading) -> Result<Exit, Failure> {
    let Reading { name, node, follow, reach } = reading;
    let node = match node {
        Some(node) => node.clone(),
        None => only_node(name, reach)?,
    };
    let path = format!("/v1/nodes/{}/engines/{}/output", segment(&node), segment(name.as_str()));
    let mut before = String::new();
    loop {
        let output: EngineOutput = reach.ask(async |client| client.get(&path).await)?;
        let new = new_of(&before, &output.text).to_owned();
        if !new.is_empty() || !*follow {
            match reach.output {
                Format::Json => line(&json!(EngineOutput { text: new, ..output.clone() }).to_string()),
                Format::Text => write(&plain(&new)),
            }
        }
        if !*follow {
            return Ok(Exit::Ok);
        }
        before = output.text;
        std::thread::sleep(EVERY);
    }
}

fn only_node(name: &Name, reach: &Reach) -> Result<String, Failure> {
    let engines = everywhere(name, reach)?;
    match engines.as_slice() {
        [one] => Ok(one.node_name.clone()),
        several => {
            let nodes: Vec<_> = several.iter().map(|engine| engine.node_name.as_str()).collect();
            Err(Failure::new(Exit::Usage, format!("engine {name} is on several nodes"))
                .hint(format!("name one with --node: {}", nodes.join(", "))))
        }
    }
}

/// What of a window over a text that grows was not in the window before. Where both say the same over and over, the
/// least is new.
fn new_of<'a>(before: &str, now: &'a str) -> &'a str {
    let starts = before.char_indices().map(|(at, _)| at);
    let overlap = starts.filter_map(|at| before.get(at..)).find(|rest| now.starts_with(rest));
    now.get(overlap.map_or(0, str::len)..).unwrap_or_default()
}

/// Nothing that moves a cursor: an engine may be anybody's.
fn plain(text: &str) -> String {
    let plain = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
    text.chars().filter(|c| *c != '\r').map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_follows_what_was_there() {
        for (before, now, new) in [
            ("", "a\nb\n", "a\nb\n"),
            ("a\n", "a\nb\n", "b\n"),
            ("a\nb\n", "a\nb\n", ""),
            ("a\nb\nc\n", "b\nc\nd\n", "d\n"),
            ("a\n", "x\ny\n", "x\ny\n"),
            ("\u{e9}\u{e8}", "\u{e8}z", "z"),
        ] {
            assert_eq!(new_of(before, now), new, "{before:?} {now:?}");
        }
        assert_eq!(plain("a\u{1b}[2J\tb\r\n"), "a\u{fffd}[2J\tb\n");
    }
}
