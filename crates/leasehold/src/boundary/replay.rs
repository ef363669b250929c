//! `leasehold boundary replay`: what a set would drop of what the last hour's flows were.

use std::path::PathBuf;

use boundary::{Packet, PacketJson, in_words};
use clap::Args;
use console_api::{Replay, ReplayQuestion, ReplayedFlow, ReplayedRealm};
use serde_json::json;

use super::console::text_of;
use crate::failure::{Exit, Failure};
use crate::output::{Format, line};
use crate::reach::Reach;

/// A set to be tried on what was.
#[derive(Args)]
pub(crate) struct Question {
    /// The boundary file, as your own tiers' own set
    file: PathBuf,
    /// On this node only; several times for several
    #[arg(long = "node", add = crate::complete::nodes())]
    nodes: Vec<String>,
    #[command(flatten)]
    reach: Reach,
}

/// Asks. Flows that would be dropped are changes: exit 10.
pub(super) fn run(question: &Question) -> Result<Exit, Failure> {
    let Question { file, nodes, reach } = question;
    let asked = ReplayQuestion { text: text_of(file)?, nodes: nodes.clone() };
    let replay: Replay = reach.ask(async |client| client.post("/v1/boundaries/replay", &asked).await)?;
    match reach.output {
        Format::Json => line(&json!(replay).to_string()),
        Format::Text => replay.realms.iter().for_each(|realm| line(&told(realm))),
    }
    let problems = replay.realms.iter().filter_map(|realm| Some((realm, realm.problem.as_ref()?)));
    let problems: Vec<_> = problems.collect();
    if let Some((_, first)) = problems.first() {
        let errors = problems.iter().map(|(realm, problem)| {
            (format!("node {}: {}", realm.node_name, problem.message), problem.hint.clone())
        });
        return Err(Failure::several(Exit::of(first.exit), errors.collect()));
    }
    let drops = replay.realms.iter().any(|realm| !realm.dropped.is_empty() || realm.left_off > 0);
    Ok(if drops { Exit::Changes } else { Exit::Ok })
}

fn told(realm: &ReplayedRealm) -> String {
    let ReplayedRealm { node_name, seconds, kinds, beyond, dropped, left_off, problem, .. } = realm;
    if problem.is_some() {
        return format!("node {node_name}: not judged");
    }
    let minutes = seconds.div_ceil(60);
    let mut lines = vec![format!(
        "node {node_name}: of {kinds} kinds of flows in the last {minutes} min it would drop {}",
        dropped.len() as u64 + left_off
    )];
    if *beyond > 0 {
        lines.push(format!("  {beyond} flows more were not recorded one by one"));
    }
    lines.extend(dropped.iter().map(drop_told));
    if *left_off > 0 {
        lines.push(format!("  and {left_off} kinds more"));
    }
    lines.join("\n")
}

fn drop_told(flow: &ReplayedFlow) -> String {
    let packet = serde_json::from_value::<PacketJson>(flow.packet.clone()).ok();
    let packet = packet.and_then(|packet| Packet::try_from(packet).ok());
    let packet = packet.map_or_else(|| flow.packet.to_string(), |packet| in_words(&packet));
    let rule = match &flow.rule {
        Some(rule) => format!("the rule {rule:?} denies it"),
        None => "no rule allows it".to_owned(),
    };
    let flows = if flow.flows == 1 { "flow" } else { "flows" };
    format!("  {packet}: {} {flows}, the last {} s ago; {rule}", flow.flows, flow.seconds_ago)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_dropped_is_told_in_words() {
        let packet = json!({ "direction": "in", "protocol": 6, "remote": "10.1.0.7", "remote_port": 40_000,
            "local_port": 443 });
        let realm = ReplayedRealm {
            node_name: "n1".to_owned(),
            tier: id::TierId::from_bytes([0; 16]),
            seconds: 61,
            kinds: 12,
            beyond: 0,
            dropped: vec![ReplayedFlow { packet, flows: 1, seconds_ago: 4, rule: None }],
            left_off: 2,
            problem: None,
        };
        let wanted = "node n1: of 12 kinds of flows in the last 2 min it would drop 3\n  \
                      tcp from 10.1.0.7 port 40000 to local port 443: 1 flow, the last 4 s ago; no rule allows it\n  \
                      and 2 kinds more";
        assert_eq!(told(&realm), wanted);
    }
}
