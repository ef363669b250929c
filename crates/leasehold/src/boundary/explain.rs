//! `leasehold boundary explain NODE REMOTE[:PORT]`: whose rule stops it.

use std::net::{IpAddr, SocketAddr};

use clap::{Args, ValueEnum};
use console_api::{BoundaryExplained, BoundaryQuestion};
use id::TierId;
use node_protocol::call::StoppedBy;
use serde_json::{Value, json};

use crate::failure::{Exit, Failure};
use crate::output::{Format, line};
use crate::reach::Reach;

/// A packet, in a person's words.
#[derive(Args)]
pub(crate) struct Question {
    /// The node whose engine sends or is sent to
    #[arg(add = crate::complete::nodes())]
    node: String,
    /// The other side, with its port where the protocol has ports: `n4:5432`, `[fd00::1]:53`, `n4`
    remote: String,
    /// Who begins: the other side (`in`) or the engine (`out`)
    #[arg(long, value_enum, default_value_t)]
    direction: Direction,
    /// tcp, udp, sctp, icmp, icmpv6, or a number
    #[arg(long, default_value = "tcp", value_parser = protocol)]
    protocol: u8,
    /// The engine's own port; any high one when left out
    #[arg(long, default_value_t = 40000)]
    local_port: u16,
    /// At the realm of this tier, where the console holds several
    #[arg(long)]
    tier: Option<TierId>,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Direction {
    In,
    #[default]
    Out,
}

pub(super) fn protocol(text: &str) -> Result<u8, String> {
    let named = [("icmp", 1), ("tcp", 6), ("udp", 17), ("icmpv6", 58), ("sctp", 132)];
    let found = named.into_iter().find(|(name, _)| *name == text).map(|(_, number)| number);
    found.or_else(|| text.parse().ok()).ok_or_else(|| "a protocol's name or number is wanted".to_owned())
}

/// Asks. A packet that does not pass is refused by a rule: exit 3.
pub(super) fn run(question: &Question) -> Result<Exit, Failure> {
    let Question { node, tier, reach, .. } = question;
    let asked = BoundaryQuestion { node: node.clone(), tier: *tier, packet: packet(question)? };
    let said: BoundaryExplained =
        reach.ask(async |client| client.post("/v1/boundaries/explain", &asked).await)?;
    match reach.output {
        Format::Json => line(&json!(said).to_string()),
        Format::Text => line(&told(&said)),
    }
    Ok(if said.explained.pass && said.explained.open { Exit::Ok } else { Exit::Refused })
}

fn packet(question: &Question) -> Result<Value, Failure> {
    let Question { remote, direction, protocol, local_port, .. } = question;
    let (remote, port) = divided(remote)?;
    let mut packet = json!({
        "direction": if *direction == Direction::In { "in" } else { "out" },
        "protocol": protocol,
        "remote": remote,
    });
    match (protocol, port) {
        (6 | 17 | 132, Some(port)) => {
            packet["remote_port"] = json!(port);
            packet["local_port"] = json!(local_port);
        }
        (6 | 17 | 132, None) => {
            return Err(Failure::new(Exit::Usage, "a port is missing").hint("as n4:5432, or [fd00::1]:53"));
        }
        // An echo request: what people try first.
        (1, _) => (packet["icmp_type"], packet["icmp_code"]) = (json!(8), json!(0)),
        (58, _) => (packet["icmp_type"], packet["icmp_code"]) = (json!(128), json!(0)),
        (_, _) => {}
    }
    Ok(packet)
}

/// Host and port; an address without a port may have colons of its own.
fn divided(remote: &str) -> Result<(String, Option<u16>), Failure> {
    if let Ok(address) = remote.parse::<SocketAddr>() {
        return Ok((address.ip().to_string(), Some(address.port())));
    }
    if let Ok(address) = remote.parse::<IpAddr>() {
        return Ok((address.to_string(), None));
    }
    match remote.split_once(':') {
        None => Ok((remote.to_owned(), None)),
        Some((host, port)) => {
            let port = port.parse().map_err(|_no_port| {
                Failure::new(Exit::Usage, format!("{remote:?} has no port behind its colon"))
                    .hint("as n4:5432, or [fd00::1]:53")
            })?;
            Ok((host.to_owned(), Some(port)))
        }
    }
}

/// Which set stops it, and by which rule, as far as that is told.
pub(super) fn whose(by: &StoppedBy) -> String {
    let tier = by.name.as_ref().map_or_else(String::new, ToString::to_string);
    let whose = match by.set.as_str() {
        "given" => format!("the set given to tier {tier}"),
        "own" => format!("the set of tier {tier}"),
        _ => "what is built in".to_owned(),
    };
    let rule = match (&by.rule, by.hidden) {
        (Some(rule), _) => format!("its rule {rule:?} denies it"),
        (None, false) => "no rule of it allows it".to_owned(),
        (None, true) => "by which rule is not this tier's to know".to_owned(),
    };
    format!("by {whose}: {rule}")
}

fn told(said: &BoundaryExplained) -> String {
    let BoundaryExplained { node_name, packet, explained, .. } = said;
    let mut lines = vec![if explained.pass {
        let rule = explained.rule.as_ref().map_or_else(String::new, |rule| format!(", by the rule {rule:?}"));
        format!("passes{rule}")
    } else {
        "is refused".to_owned()
    }];
    if let Some(by) = &explained.stopped_by {
        lines.push(whose(by));
    }
    if !explained.open {
        lines.push("the realm is closed: nothing passes whatever the sets say".to_owned());
    }
    if !explained.in_force {
        lines.push("the filter does not enforce these sets yet".to_owned());
    }
    format!("node {node_name}, packet {packet}\n{}", lines.join("\n"))
}
