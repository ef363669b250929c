//! `leasehold boundary evaluate`.

use boundary::explain;
use serde::Serialize;

use super::{Evaluation, files, json};
use crate::failure::{Exit, Failure};
use crate::output::{Format, line};

/// What a stack says to a packet.
#[derive(Serialize)]
struct Answer<'a> {
    pass: bool,
    /// The first tier that stops it.
    tier: Option<usize>,
    /// The deny that stops it, or the lowest tier's allow that lets it pass.
    rule: Option<&'a str>,
}

pub(super) fn run(evaluation: &Evaluation) -> Result<Exit, Failure> {
    let directory = files::directory(evaluation.shared.directory.as_deref())?;
    let stack = evaluation
        .set
        .iter()
        .map(|path| files::set(path, directory.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    let packets = files::packets(&evaluation.packets)?;
    let write = |packet| {
        let said = explain(&stack, packet);
        let answer = Answer { pass: said.stopped_by.is_none(), tier: said.stopped_by, rule: said.rule };
        match evaluation.shared.output {
            Format::Json => json(&answer),
            Format::Text => Ok(told(&answer)),
        }
    };
    let lines = packets.iter().map(write).collect::<Result<Vec<String>, _>>()?;
    if !lines.is_empty() {
        line(&lines.join("\n"));
    }
    Ok(Exit::Ok)
}

fn told(answer: &Answer<'_>) -> String {
    match (answer.tier, answer.rule) {
        (None, rule) => format!("pass  {}", rule.unwrap_or_default()),
        (Some(tier), Some(rule)) => format!("drop  tier {tier}: {rule}"),
        (Some(tier), None) => format!("drop  tier {tier}: no rule admits it"),
    }
}
