//! What is done to leases below: first a plan, with what it means and what cannot be made good; then, with the plan's
//! name and each risk accepted, the deed.

use std::path::PathBuf;

use clap::Args;
use console_api::{
    Consent, Consented, Granted, Identity, LeasePlan, Reassign, Renew, Sever, Severed, SeveredLease,
};
use serde::Serialize;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::{self, Format, line};
use crate::reach::{Reach, told_by_console};

/// What every deed takes.
#[derive(Args)]
pub(crate) struct Deed {
    /// A contract, a lease's id or a tier's
    #[arg(add = crate::complete::leases())]
    what: String,
    /// On this node only; several times for several
    #[arg(long = "node", add = crate::complete::nodes())]
    nodes: Vec<String>,
    /// Say what it means, and change nothing (also when `--if-match` is left out)
    #[arg(long, conflicts_with = "if_match")]
    plan: bool,
    /// Do as in the plan of this name, if it still is the plan
    #[arg(long)]
    if_match: Option<String>,
    /// Accept what cannot be made good, by its name in the plan; several times for several
    #[arg(long = "accept-risk", value_name = "RISK")]
    accepted: Vec<String>,
    #[command(flatten)]
    reach: Reach,
}

/// A severing.
#[derive(Args)]
pub(crate) struct Severing {
    #[command(flatten)]
    deed: Deed,
}

/// A re-assignment.
#[derive(Args)]
pub(crate) struct Reassigning {
    #[command(flatten)]
    deed: Deed,
    /// The contract with the next party
    #[arg(long)]
    contract: String,
    /// The next party: the file that their `leasehold console identity` printed
    #[arg(long)]
    to: PathBuf,
    /// A tier whose data is kept, by name or id; each has consented. Several times for several
    #[arg(long)]
    keep: Vec<String>,
    /// Write the offer to this new file, not to stdout
    #[arg(long)]
    out: Option<PathBuf>,
}

/// A renewal by force.
#[derive(Args)]
pub(crate) struct Renewing {
    #[command(flatten)]
    deed: Deed,
}

/// A consent.
#[derive(Args)]
pub(crate) struct Consenting {
    /// The tier that is renewed or handed on: its name or id, or its contract
    #[arg(add = crate::complete::leases())]
    what: String,
    /// On this node only; several times for several
    #[arg(long = "node", add = crate::complete::nodes())]
    nodes: Vec<String>,
    /// To whom it is handed: the file that the party gave; left out: it is renewed
    #[arg(long)]
    to: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

/// Severs, or says what that would mean.
pub(super) fn sever(severing: &Severing) -> Result<Exit, Failure> {
    let deed = &severing.deed;
    let wanted =
        Sever { what: deed.what.clone(), nodes: deed.nodes.clone(), if_match: deed.if_match.clone() };
    let head = format!(
        "Severs {} and everything under it. Works with whoever is under it offline. Cannot be undone.",
        deed.what
    );
    if let Some(ended) = deed.planned("sever", &head, &wanted)? {
        return Ok(ended);
    }
    let severed: Severed = deed.reach.ask(async |client| client.post("/v1/leases/sever", &wanted).await)?;
    let done = |lease: &SeveredLease| format!("{}: {} is severed", lease.node_name, lease.name);
    let ended = done_on(&severed, deed.reach.output, done, "severed");
    if deed.reach.output == Format::Text {
        output::talk(&format!("receipts, signed by each node: leasehold receipt fetch {}", deed.what));
    }
    ended
}

/// Hands over, or says what that would mean.
pub(super) fn reassign(reassigning: &Reassigning) -> Result<Exit, Failure> {
    let Reassigning { deed, contract, to, keep, out } = reassigning;
    let wanted = Reassign {
        what: deed.what.clone(),
        nodes: deed.nodes.clone(),
        contract: contract.clone(),
        to: super::read::<Identity>(to, "what `leasehold console identity` prints")?,
        keep: keep.clone(),
        if_match: deed.if_match.clone(),
    };
    let head = format!(
        "Hands {} to {} under {contract}. What is under it stays in its place. Works with the party before offline.",
        deed.what, wanted.to.name
    );
    if let Some(ended) = deed.planned("reassign", &head, &wanted)? {
        return Ok(ended);
    }
    let granted: Granted =
        deed.reach.ask(async |client| client.post("/v1/leases/reassign", &wanted).await)?;
    super::offer(&granted, out.as_ref(), deed.reach.output)
}

/// Renews by force, or says what that would mean.
pub(super) fn renew(renewing: &Renewing) -> Result<Exit, Failure> {
    let deed = &renewing.deed;
    let wanted =
        Renew { what: deed.what.clone(), nodes: deed.nodes.clone(), if_match: deed.if_match.clone() };
    let head = format!("Makes new keys for {}. Its party sees that: its identity is another one.", deed.what);
    if let Some(ended) = deed.planned("renew", &head, &wanted)? {
        return Ok(ended);
    }
    let renewed: Severed = deed.reach.ask(async |client| client.post("/v1/leases/renew", &wanted).await)?;
    let done = |lease: &SeveredLease| format!("{}: {} has new keys", lease.node_name, lease.name);
    done_on(&renewed, deed.reach.output, done, "renewed")
}

/// Consents.
pub(super) fn consent(consenting: &Consenting) -> Result<Exit, Failure> {
    let Consenting { what, nodes, to, reach } = consenting;
    let to = to.as_ref().map(|to| super::read::<Identity>(to, "what `leasehold console identity` prints"));
    let wanted = Consent { what: what.clone(), nodes: nodes.clone(), to: to.transpose()? };
    let consented: Consented = reach.ask(async |client| client.post("/v1/leases/consent", &wanted).await)?;
    match reach.output {
        Format::Json => line(&json!(consented).to_string()),
        Format::Text => {
            line(&format!("{} nodes have it on record; it serves once", consented.orders.len()));
        }
    }
    let failed: Vec<_> = consented
        .failed
        .iter()
        .map(|failed| {
            (format!("node {}: {}", failed.node_name, failed.problem.message), failed.problem.hint.clone())
        })
        .collect();
    if failed.is_empty() { Ok(Exit::Ok) } else { Err(Failure::several(Exit::Failed, failed)) }
}

impl Deed {
    /// Shows the plan, where nothing is to be done yet; refuses what has a risk that nobody accepted.
    fn planned(&self, deed: &str, head: &str, wanted: &impl Serialize) -> Result<Option<Exit>, Failure> {
        let path = format!("/v1/leases/{deed}/plan");
        let plan: LeasePlan = self.reach.ask(async |client| client.post(&path, wanted).await)?;
        if self.if_match.is_none() {
            match self.reach.output {
                Format::Json => line(&json!(plan).to_string()),
                Format::Text => line(&told(deed, &self.what, head, &plan)),
            }
            return Ok(Some(Exit::Changes));
        }
        // A plan that is stale is refused by the console, with its own words.
        let stale = self.if_match.as_ref() != Some(&plan.plan);
        match plan.risks.iter().find(|risk| !stale && !self.accepted.contains(risk)) {
            Some(risk) => Err(Failure::new(Exit::Refused, format!("nobody has accepted the risk {risk}"))
                .hint(format!("if that is meant, say --accept-risk={risk}"))),
            None => Ok(None),
        }
    }
}

/// The plan for a person: what it means node by node, what cannot be made good, and how it is done.
fn told(deed: &str, what: &str, head: &str, plan: &LeasePlan) -> String {
    let mut lines = vec![head.to_owned()];
    for lease in &plan.leases {
        lines.push(format!("{}  {}", lease.node_name, lease.name));
        lines.extend(lease.consequences.iter().map(|consequence| format!("  - {consequence}")));
        lines.extend(
            lease.problem.iter().map(|problem| format!("  ! the node would refuse: {}", problem.message)),
        );
        if !lease.connected {
            lines.push(format!("  ! the node is not connected{}", lapse(lease)));
        }
    }
    let risks = plan.risks.iter().map(|risk| format!(" --accept-risk={risk}")).collect::<String>();
    if plan.risks.iter().any(|risk| risk == "destroy-data") {
        lines.push("! stored data of what ends or is erased becomes unreadable for ever".to_owned());
    }
    lines.push(format!("Plan {}; nothing is changed yet. To do it:", plan.plan));
    lines.push(format!(
        "  leasehold lease {deed} {what} --if-match {}{risks} (and the options as here)",
        plan.plan
    ));
    lines.join("\n")
}

fn lapse(lease: &SeveredLease) -> String {
    lease.lapses.map_or_else(String::new, |lapses| format!("; its lease lapses at {lapses}"))
}

/// What came of it, node by node.
fn done_on(
    severed: &Severed,
    output: Format,
    done: impl Fn(&SeveredLease) -> String,
    word: &str,
) -> Result<Exit, Failure> {
    match output {
        Format::Json => line(&json!(severed).to_string()),
        Format::Text => {
            for lease in &severed.leases {
                match &lease.problem {
                    None => line(&done(lease)),
                    Some(_) if lease.queued => line(&format!(
                        "{}: not reached; queued, and {word} as soon as it comes{}",
                        lease.node_name,
                        lapse(lease)
                    )),
                    Some(_) => {}
                }
            }
        }
    }
    let errors: Vec<_> = severed
        .leases
        .iter()
        .filter_map(|lease| {
            let problem = lease.problem.as_ref()?;
            let error =
                format!("node {}: {} is not {word}: {}", lease.node_name, lease.name, problem.message);
            Some((error, problem.hint.clone()))
        })
        .collect();
    match severed.leases.iter().find_map(|lease| lease.problem.as_ref()) {
        None => Ok(Exit::Ok),
        Some(problem) if errors.len() == 1 => Err(Failure::several(told_by_console(problem).exit(), errors)),
        Some(_) => Err(Failure::several(Exit::Failed, errors)),
    }
}
