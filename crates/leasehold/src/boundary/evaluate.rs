//! `leasehold boundary evaluate`.

use boundary::{Decision, Packet, ResolvedSet};
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
        let answer = evaluate(&stack, packet);
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

fn evaluate<'a>(stack: &'a [ResolvedSet], packet: &Packet) -> Answer<'a> {
    let mut rule = None;
    for (tier, set) in stack.iter().enumerate() {
        match set.decide(packet) {
            Decision::Admitted(allow) => rule = Some(allow.name.as_str()),
            Decision::Denied(deny) => {
                return Answer { pass: false, tier: Some(tier), rule: Some(&deny.name) };
            }
            Decision::NotAllowed => return Answer { pass: false, tier: Some(tier), rule: None },
        }
    }
    Answer { pass: true, tier: None, rule }
}

fn told(answer: &Answer<'_>) -> String {
    match (answer.tier, answer.rule) {
        (None, rule) => format!("pass  {}", rule.unwrap_or_default()),
        (Some(tier), Some(rule)) => format!("drop  tier {tier}: {rule}"),
        (Some(tier), None) => format!("drop  tier {tier}: no rule admits it"),
    }
}
