//! `leasehold lease …`: granting, taking over, severing.

mod deeds;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use console_api::{
    EraseBelow, ErasesBelow, Grant, Granted, Identity, Lease, Offer, Page, Standby, Take, Taken, TakenLease,
    TreeTier, Trust,
};
use id::{Name, NodeId, Time};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tenure::{Quota, Right, Rights, Terms};

use crate::failure::{Exit, Failure};
use crate::output::{Format, line};
use crate::reach::{Reach, segment};
use crate::table::{table, word};
use crate::{file, output};

/// The longest offer or identity that is read.
const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Lease nodes to another party, and write the offer to hand over
    Grant(Box<Granting>),
    /// Write the offer of a contract once more
    Offer(Offering),
    /// Check an offer, and take over what holds: the node makes keys that the grantor does not know
    Take(Taking),
    /// Let a node take a place in a contract by itself, should the grantor have it replace another
    ///
    /// Confirm its key beforehand, as for `take`. It is taken over when it comes with the boundary that the contract's
    /// other nodes have, and obeys this party alone.
    Standby(StandingBy),
    /// List the leases that this console holds, granted, or sees below those
    List(Reach),
    /// Show one lease
    Show(One),
    /// Show every node's tiers
    Tree(Reach),
    /// End leases with everything below them: first what it means, then as planned
    Sever(deeds::Severing),
    /// Hand leases to another party, with all below them in place: first what it means, then as planned
    Reassign(deeds::Reassigning),
    /// Have nodes make new keys for tiers below, and erase their data: first what it means, then as planned
    Renew(deeds::Renewing),
    /// Let one renewal or re-assignment of a tier above keep the data of this console's tiers
    Consent(deeds::Consenting),
}

/// A node that stands by.
#[derive(Args)]
pub(crate) struct StandingBy {
    /// The contract: L-9
    contract: String,
    /// The node's key id, learnt from somebody else than the grantor
    #[arg(long)]
    node_key: NodeId,
    /// What to call it
    #[arg(long)]
    name: Name,
    #[command(flatten)]
    reach: Reach,
}

/// A grant.
#[derive(Args)]
pub(crate) struct Granting {
    /// The contract that the leases belong to: L-9
    contract: String,
    /// To whom: the file that their `leasehold console identity` printed
    #[arg(long)]
    to: PathBuf,
    /// A node, by name or key id; several times for several
    #[arg(long = "node", required = true, add = crate::complete::nodes())]
    nodes: Vec<String>,
    /// The cluster boundary: a boundary file
    #[arg(long)]
    boundary: PathBuf,
    /// The first instant outside, as 2027-01-01T00:00:00Z
    #[arg(long)]
    until: Time,
    /// The first instant inside; now when left out
    #[arg(long)]
    from: Option<Time>,
    /// The tiers' name on the nodes; the party's when left out
    #[arg(long)]
    name: Option<String>,
    /// What the tiers may do themselves, divided by commas
    #[arg(long, value_delimiter = ',', value_parser = right, default_value = DEFAULT_EXERCISE)]
    exercise: Vec<Right>,
    /// What the tiers may grant on, divided by commas; nothing when left out
    #[arg(long, value_delimiter = ',', value_parser = right)]
    grant: Vec<Right>,
    /// Tiers below that each may have
    #[arg(long, default_value_t = 4)]
    tiers: u32,
    /// Controller keys that each may use up, those of tiers below included
    #[arg(long, default_value_t = 256)]
    keys: u32,
    /// Boundaries and other objects that each may hold at once, those of tiers below included
    #[arg(long, default_value_t = 256)]
    objects: u32,
    /// Orders an hour that each may give, those of tiers below included
    #[arg(long, default_value_t = 3600)]
    records_per_hour: u32,
    /// Room for encrypted volumes that each has, in MiB
    #[arg(long, default_value_t = 1024)]
    space_mib: u32,
    /// Write the offer to this new file, not to stdout
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

const DEFAULT_EXERCISE: &str =
    "sever,enrol-key,renew,boundary,power,suspend,engine-run,engine-debug,volume,read-journal";

/// An offer once more.
#[derive(Args)]
pub(crate) struct Offering {
    /// The contract
    #[arg(add = crate::complete::contracts())]
    contract: String,
    /// Write it to this new file, not to stdout
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

/// Taking over.
#[derive(Args)]
pub(crate) struct Taking {
    /// The offer
    offer: PathBuf,
    /// A node's key or key id, learnt from its own screen and not from the grantor; several times for several
    #[arg(long = "node-key")]
    node_keys: Vec<String>,
    /// Make the keys anew at once, though tiers below have not consented: their data is erased
    #[arg(long)]
    erase_below: bool,
    #[command(flatten)]
    reach: Reach,
}

/// One lease.
#[derive(Args)]
pub(crate) struct One {
    /// Its id, or its tier's
    #[arg(add = crate::complete::leases())]
    lease: String,
    #[command(flatten)]
    reach: Reach,
}

fn right(text: &str) -> Result<Right, String> {
    let found = Right::ALL.into_iter().find(|right| right.name() == text);
    found.ok_or_else(|| format!("one of {} is wanted", Right::ALL.map(Right::name).join(", ")))
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Grant(granting) => grant(granting),
        Verb::Offer(Offering { contract, out, reach }) => {
            let path = format!("/v1/contracts/{}/offer", segment(contract));
            let offer: Offer = reach.ask(async |client| client.get(&path).await)?;
            write(out.as_ref(), &offer)?;
            Ok(Exit::Ok)
        }
        Verb::Take(taking) => take(taking),
        Verb::Standby(standing) => stand_by(standing),
        Verb::List(reach) => list(reach),
        Verb::Show(One { lease, reach }) => {
            let path = format!("/v1/leases/{}", segment(lease));
            show(&reach.ask(async |client| client.get(&path).await)?, reach.output)
        }
        Verb::Tree(reach) => tree(reach),
        Verb::Sever(severing) => deeds::sever(severing),
        Verb::Reassign(reassigning) => deeds::reassign(reassigning),
        Verb::Renew(renewing) => deeds::renew(renewing),
        Verb::Consent(consenting) => deeds::consent(consenting),
    }
}

fn grant(granting: &Granting) -> Result<Exit, Failure> {
    let boundary = file::read(&granting.boundary, boundary::FILE_BYTES_MAX)?;
    let boundary = String::from_utf8(boundary).map_err(|_no_text| {
        Failure::new(Exit::Usage, format!("{} is no text", granting.boundary.display()))
    })?;
    let not_before = granting.from.unwrap_or_else(|| Time::ZERO.plus(os::clock::wall()));
    let wanted = Grant {
        contract: granting.contract.clone(),
        to: read::<Identity>(&granting.to, "what `leasehold console identity` prints")?,
        name: granting.name.clone(),
        nodes: granting.nodes.clone(),
        terms: Terms { not_before, until: granting.until },
        exercise: granting.exercise.iter().copied().collect::<Rights>(),
        grant: granting.grant.iter().copied().collect(),
        quota: Quota {
            tiers: granting.tiers,
            keys: granting.keys,
            objects: granting.objects,
            records_per_hour: granting.records_per_hour,
            space_mib: granting.space_mib,
        },
        boundary,
    };
    let reach = &granting.reach;
    let granted: Granted = reach.ask(async |client| client.post("/v1/leases", &wanted).await)?;
    offer(&granted, granting.out.as_ref(), reach.output)
}

/// The offer goes where it is wanted; nodes that granted nothing are told.
fn offer(granted: &Granted, out: Option<&PathBuf>, output: Format) -> Result<Exit, Failure> {
    let failed = granted.failed.iter().map(|failed| {
        (format!("node {}: {}", failed.node_name, failed.problem.message), failed.problem.hint.clone())
    });
    let failed: Vec<_> = failed.collect();
    match (out, output) {
        (None, Format::Json) => line(&json!(granted).to_string()),
        (out, Format::Text | Format::Json) => write(out, &granted.offer)?,
    }
    if failed.is_empty() { Ok(Exit::Ok) } else { Err(Failure::several(Exit::Failed, failed)) }
}

fn read<T: DeserializeOwned>(path: &std::path::Path, what: &str) -> Result<T, Failure> {
    let bytes = file::read(path, FILE_BYTES_MAX)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::new(Exit::Usage, format!("{} is not {what}: {error}", path.display())))
}

/// A file to be handed over: the same for people and programs.
fn write(out: Option<&PathBuf>, value: &impl Serialize) -> Result<(), Failure> {
    let text = json!(value).to_string();
    match out {
        Some(path) => file::write_new(path, format!("{text}\n").as_bytes(), 0o644),
        None => {
            line(&text);
            Ok(())
        }
    }
}

fn stand_by(standing: &StandingBy) -> Result<Exit, Failure> {
    let StandingBy { contract, node_key, name, reach } = standing;
    let wanted = Standby { contract: contract.clone(), node: *node_key, name: name.clone() };
    let standby: Standby = reach.ask(async |client| client.post("/v1/standbys", &wanted).await)?;
    match reach.output {
        Format::Json => line(&json!(standby).to_string()),
        Format::Text => line(&format!("{name} may take a place in {contract}")),
    }
    Ok(Exit::Ok)
}

fn take(taking: &Taking) -> Result<Exit, Failure> {
    let Taking { offer, node_keys, erase_below, reach } = taking;
    let offer = read::<Offer>(offer, "an offer")?;
    let wanted = Take { offer, node_keys: node_keys.clone() };
    let taken: Taken = reach.ask(async |client| client.post("/v1/leases/take", &wanted).await)?;
    if *erase_below && taken.leases.iter().any(|lease| lease.accepted) {
        let wanted = EraseBelow { contract: taken.contract.clone() };
        let _: ErasesBelow =
            reach.ask(async |client| client.post("/v1/leases/take/erase-below", &wanted).await)?;
    }
    match reach.output {
        Format::Json => line(&json!(taken).to_string()),
        Format::Text => taken.leases.iter().for_each(|lease| line(&told(lease))),
    }
    if taken.leases.iter().any(|lease| lease.accepted && lease.trust == Trust::Grantor) {
        output::warning(
            "nobody but the grantor says that these nodes are what they seem: trust in N is trust in the grantor",
            "read the key id from each node's own screen, and give it as --node-key",
        );
    }
    let refused: Vec<_> = taken
        .leases
        .iter()
        .filter(|lease| !lease.accepted)
        .map(|lease| (format!("the lease of node {} was not taken", lease.node_name), fault(lease)))
        .collect();
    if refused.is_empty() { Ok(Exit::Ok) } else { Err(Failure::several(Exit::Refused, refused)) }
}

fn fault(lease: &TakenLease) -> Option<String> {
    let fault = lease.checks.iter().find(|check| !check.holds)?;
    Some(format!("{} does not hold: {}", fault.check, fault.found))
}

fn told(lease: &TakenLease) -> String {
    let end = if lease.accepted { "taken; its keys are made anew when it dials" } else { "not taken" };
    let mut lines = vec![format!("node {} ({}): {end}", lease.node_name, lease.node)];
    for check in &lease.checks {
        let holds = if check.holds { "holds" } else { "DOES NOT HOLD" };
        lines.push(format!("  {:<12}{holds}: {}", check.check, check.found));
    }
    lines.join("\n")
}

fn list(reach: &Reach) -> Result<Exit, Failure> {
    let leases: Page<Lease> = reach.all("/v1/leases")?;
    match reach.output {
        Format::Json => line(&json!(leases).to_string()),
        Format::Text => {
            let head = ["CONTRACT", "NODE", "TIER", "SIDE", "STANDING", "UNTIL", "RECEIPTS", "LEASE"];
            line(&table(head, &leases.items.iter().map(row).collect::<Vec<_>>()));
        }
    }
    Ok(Exit::Ok)
}

fn row(lease: &Lease) -> [String; 8] {
    [
        lease.contract.clone().unwrap_or_else(|| "-".to_owned()),
        lease.node_name.clone(),
        lease.name.clone(),
        word(lease.direction),
        lease.standing.clone(),
        lease.terms.map_or_else(|| "-".to_owned(), |terms| terms.until.to_string()),
        lease.receipts.to_string(),
        lease.lease.to_string(),
    ]
}

fn show(lease: &Lease, output: Format) -> Result<Exit, Failure> {
    match output {
        Format::Json => line(&json!(lease).to_string()),
        Format::Text => {
            let mut lines = vec![
                format!("lease {}", lease.lease),
                format!("contract  {}", lease.contract.as_deref().unwrap_or("none")),
                format!("node      {} ({})", lease.node_name, lease.node),
                format!("tier      {} ({}), epoch {}", lease.name, lease.tier, lease.epoch),
                format!("side      {}", word(lease.direction)),
                format!("standing  {}", lease.standing),
            ];
            lines.extend(
                lease.terms.map(|terms| format!("terms     {} to {}", terms.not_before, terms.until)),
            );
            lines.extend(lease.state.map(|state| format!("taken     {}", word(state))));
            lines.extend(lease.trust.map(|trust| format!("N is known from {}", crate::node::by(trust))));
            lines.push(format!("receipts  {}", lease.receipts));
            line(&lines.join("\n"));
        }
    }
    Ok(Exit::Ok)
}

fn tree(reach: &Reach) -> Result<Exit, Failure> {
    let tiers: Page<TreeTier> = reach.all("/v1/tiers")?;
    if reach.output == Format::Json {
        line(&json!(tiers).to_string());
        return Ok(Exit::Ok);
    }
    let mut node = None;
    for tier in &tiers.items {
        if node != Some(tier.node) {
            line(&format!("node {}", tier.node_name));
            node = Some(tier.node);
        }
        let indent = "   ".repeat(usize::try_from(tier.depth).unwrap_or(0));
        let contract = tier.contract.as_ref().map_or_else(String::new, |contract| format!("  {contract}"));
        let held = if tier.held { "  (this console)" } else { "" };
        line(&format!(" {indent}└─ {}{contract}  {}{held}", tier.name, tier.standing));
    }
    Ok(Exit::Ok)
}
