//! `leasehold node …`: the nodes that a console knows, and how it comes to know them.

use clap::{Args, Subcommand};
use console_api::{Confirm, Enrolment, Lock, Node, OpenWindow, Page};
use id::{Name, NodeId};
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::{Format, line};
use crate::reach::{Reach, segment};
use crate::table::{table, word};

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// List the nodes that the console knows
    List(Reach),
    /// Show a node, its tiers and how it is
    Show(One),
    /// Lock a node's secrets by a share that the console gives at each of the node's starts
    ///
    /// Who takes the node's disk then opens nothing with it. The share is in the console's store alone: keep a copy
    /// of the console's folder, for without the share the node opens nothing either. There is no way back. From then on the node refuses to renew the root's own keys.
    Lock(One),
    /// Open the window in which unknown nodes may introduce themselves
    Enrol(Window),
    /// List who introduced themselves and was not confirmed yet
    Strangers(Reach),
    /// Say that a stranger is the computer whose own screen shows this fingerprint
    Confirm(Confirmation),
    /// Close the window
    Close(Reach),
}

/// One node.
#[derive(Args)]
pub(crate) struct One {
    /// Its name, or its key id
    #[arg(add = crate::complete::nodes())]
    node: String,
    #[command(flatten)]
    reach: Reach,
}

/// A window.
#[derive(Args)]
pub(crate) struct Window {
    /// For how long it is open
    #[arg(long, default_value_t = 15)]
    minutes: u16,
    #[command(flatten)]
    reach: Reach,
}

/// A person's word.
#[derive(Args)]
pub(crate) struct Confirmation {
    /// The node's key id, as its own screen shows it
    #[arg(add = crate::complete::strangers())]
    fingerprint: NodeId,
    /// What to call it
    #[arg(long)]
    name: Name,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::List(reach) => list(reach),
        Verb::Show(One { node, reach }) => {
            let path = format!("/v1/nodes/{}", segment(node));
            show(&reach.ask(async |client| client.get(&path).await)?, reach.output)
        }
        Verb::Lock(One { node, reach }) => {
            let path = format!("/v1/nodes/{}/lock", segment(node));
            show(&reach.ask(async |client| client.post(&path, &json!({})).await)?, reach.output)
        }
        Verb::Enrol(Window { minutes, reach }) => {
            let wanted = OpenWindow { minutes: *minutes };
            window(&reach.ask(async |client| client.post("/v1/enrolment", &wanted).await)?, reach.output)
        }
        Verb::Strangers(reach) => {
            window(&reach.ask(async |client| client.get("/v1/enrolment").await)?, reach.output)
        }
        Verb::Confirm(Confirmation { fingerprint, name, reach }) => {
            let confirm = Confirm { node: *fingerprint, name: name.to_string() };
            show(
                &reach.ask(async |client| client.post("/v1/enrolment/confirm", &confirm).await)?,
                reach.output,
            )
        }
        Verb::Close(reach) => {
            window(&reach.ask(async |client| client.delete("/v1/enrolment").await)?, reach.output)
        }
    }
}

fn list(reach: &Reach) -> Result<Exit, Failure> {
    let nodes: Page<Node> = reach.all("/v1/nodes")?;
    match reach.output {
        Format::Json => line(&json!(nodes).to_string()),
        Format::Text => {
            let rows: Vec<_> = nodes.items.iter().map(row).collect();
            line(&table(["NODE", "STATE", "TIER", "TAKEN OVER", "N CONFIRMED BY", "KEY ID"], &rows));
        }
    }
    Ok(Exit::Ok)
}

fn row(node: &Node) -> [String; 6] {
    let tiers: Vec<_> = node.tiers.iter().map(|tier| tier.name.clone()).collect();
    let states: Vec<_> = node.tiers.iter().map(|tier| word(tier.state)).collect();
    [
        node.name.clone(),
        state(node),
        tiers.join(","),
        states.join(","),
        by(node.trust).to_owned(),
        node.node.to_string(),
    ]
}

/// The node's state; of one that was taken from this console altogether, that.
fn state(node: &Node) -> String {
    let over = |tier: &console_api::NodeTier| tier.state == console_api::TierState::Ended;
    if !node.tiers.is_empty() && node.tiers.iter().all(over) { "ended".to_owned() } else { word(node.state) }
}

/// What may be behind a tier's silence, and how one would know.
fn silence(node: &Node, tier: &console_api::NodeTier) -> Option<&'static str> {
    use console_api::{NodeState, TierState};
    match (tier.state, node.state) {
        (TierState::Ended, _) => {
            Some("the lease has ended: `leasehold receipt fetch` has the node's word for it")
        }
        (TierState::Taking | TierState::Renewing | TierState::Held, NodeState::Unknown)
            if !tier.connected =>
        {
            Some(
                "the node is away, or the lease was severed: whoever granted it has the node's receipt (`leasehold receipt take`)",
            )
        }
        (TierState::Taking | TierState::Renewing | TierState::Held, _) => None,
    }
}

/// Who said that N is this computer's.
pub(crate) const fn by(trust: console_api::Trust) -> &'static str {
    match trust {
        console_api::Trust::Confirmed => "a person",
        console_api::Trust::Grantor => "the grantor alone",
    }
}

const fn locked(lock: Lock) -> &'static str {
    match lock {
        Lock::None => "not by a share of this console's",
        Lock::Given => "not seen yet, though a share was given",
        Lock::Share => "by a share that this console gives at each start",
    }
}

fn show(node: &Node, output: Format) -> Result<Exit, Failure> {
    if output == Format::Json {
        line(&json!(node).to_string());
        return Ok(Exit::Ok);
    }
    let since = node.since.map_or_else(String::new, |since| format!(" since {since}"));
    let mut lines = vec![
        format!("node {} ({})", node.name, node.node),
        format!("state      {}{since}", state(node)),
        format!("confirmed  by {}", by(node.trust)),
        format!("locked     {}", locked(node.lock)),
    ];
    lines.extend(node.record.map(|record| format!("journal    up to record {record}")));
    for tier in &node.tiers {
        let connected = if tier.connected { "connected" } else { "not connected" };
        lines.push(format!("tier {} ({}), {connected}", tier.name, tier.tier));
        lines.push(format!("  lease     {}, epoch {}, {}", tier.lease, tier.epoch, word(tier.state)));
        lines.push(format!("  identity  {}", tier.identity));
        lines.extend(silence(node, tier).map(|why| format!("  note      {why}")));
        let warnings = tier.status.iter().flat_map(|status| &status.warnings);
        lines.extend(warnings.map(|warning| format!("  warning   {}: {}", warning.code, warning.message)));
    }
    line(&lines.join("\n"));
    Ok(Exit::Ok)
}

fn window(window: &Enrolment, output: Format) -> Result<Exit, Failure> {
    if output == Format::Json {
        line(&json!(window).to_string());
        return Ok(Exit::Ok);
    }
    line(&match window.open_until {
        Some(until) => format!("the window for unknown nodes is open until {until}"),
        None => "the window for unknown nodes is closed".to_owned(),
    });
    let rows: Vec<_> = window
        .strangers
        .iter()
        .map(|stranger| {
            let fault = stranger.fault.clone().unwrap_or_else(|| "compare with its screen".to_owned());
            [stranger.node.to_string(), stranger.from.clone(), stranger.at.to_string(), fault]
        })
        .collect();
    if !rows.is_empty() {
        line(&table(["FINGERPRINT", "FROM", "AT", "NOTE"], &rows));
    }
    Ok(Exit::Ok)
}
