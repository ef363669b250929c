//! `leasehold volume …`: encrypted volumes of a console's tiers.

use clap::{Args, Subcommand};
use console_api::{NewVolume, Page, Problem, Volume, VolumePlan, VolumeRemove, VolumeTarget};
use id::Name;
use serde_json::json;

use crate::engine::Places;
use crate::failure::{Exit, Failure};
use crate::output::{Format, line};
use crate::reach::Reach;
use crate::table::table;

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make an encrypted volume
    Make(Making),
    /// List all volumes
    List(Reach),
    /// Remove a volume, and make what is in it unreadable for ever: first what it means, then as planned
    Remove(Removing),
}

/// A volume to make.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("where").args(["nodes", "of"]).required(true).multiple(true))]
pub(crate) struct Making {
    /// Its name
    name: Name,
    /// Its size in MiB, all that belongs to it counted; 16 at least
    #[arg(long)]
    size_mib: u32,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    reach: Reach,
}

/// A volume to remove.
#[derive(Args)]
pub(crate) struct Removing {
    /// Its name
    #[arg(add = crate::complete::volumes())]
    name: Name,
    #[command(flatten)]
    places: Places,
    /// Say what it means, and change nothing (also when `--if-match` is left out)
    #[arg(long, conflicts_with = "if_match")]
    plan: bool,
    /// Do as in the plan of this name, if it still is the plan
    #[arg(long)]
    if_match: Option<String>,
    /// Accept what cannot be made good, by its name in the plan
    #[arg(long = "accept-risk", value_name = "RISK")]
    accepted: Vec<String>,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Make(making) => make(making),
        Verb::List(reach) => {
            let volumes: Page<Volume> = reach.all("/v1/volumes")?;
            match reach.output {
                Format::Json => line(&json!(volumes).to_string()),
                Format::Text => list(&volumes.items),
            }
            Ok(Exit::Ok)
        }
        Verb::Remove(removing) => remove(removing),
    }
}

fn make(Making { name, size_mib, places, reach }: &Making) -> Result<Exit, Failure> {
    let new = NewVolume {
        name: name.clone(),
        size_mib: *size_mib,
        nodes: places.nodes.clone(),
        of: places.of.clone(),
    };
    let targets: Vec<VolumeTarget> = reach.ask(async |client| client.post("/v1/volumes", &new).await)?;
    match reach.output {
        Format::Json => line(&json!(targets).to_string()),
        Format::Text => done(&targets, &format!("volume {name} of {size_mib} MiB")),
    }
    failed(&targets)
}

fn remove(removing: &Removing) -> Result<Exit, Failure> {
    let Removing { name, places, if_match, accepted, reach, plan: _ } = removing;
    let wanted = VolumeRemove {
        name: name.clone(),
        nodes: places.nodes.clone(),
        of: places.of.clone(),
        if_match: if_match.clone(),
    };
    let path = "/v1/volumes/remove/plan";
    let plan: VolumePlan = reach.ask(async |client| client.post(path, &wanted).await)?;
    if if_match.is_none() {
        match reach.output {
            Format::Json => line(&json!(plan).to_string()),
            Format::Text => line(&told(name, &plan)),
        }
        return Ok(Exit::Changes);
    }
    // A plan that is stale is refused by the console, with its own words.
    let stale = if_match.as_ref() != Some(&plan.plan);
    if let Some(risk) = plan.risks.iter().find(|risk| !stale && !accepted.contains(risk)) {
        return Err(Failure::new(Exit::Refused, format!("nobody has accepted the risk {risk}"))
            .hint(format!("if that is meant, say --accept-risk={risk}")));
    }
    let removed: VolumePlan = reach.ask(async |client| client.post("/v1/volumes/remove", &wanted).await)?;
    match reach.output {
        Format::Json => line(&json!(removed).to_string()),
        Format::Text => done(&removed.targets, &format!("volume {name} is removed")),
    }
    failed(&removed.targets)
}

fn told(name: &Name, plan: &VolumePlan) -> String {
    let mut lines = vec![format!("Removes the volume {name}. Cannot be undone.")];
    for target in &plan.targets {
        lines.push(target.node_name.clone());
        lines.extend(target.consequences.iter().map(|consequence| format!("  - {consequence}")));
        if !target.connected {
            lines.push("  ! the node is not connected".to_owned());
        }
    }
    let risks = plan.risks.iter().map(|risk| format!(" --accept-risk={risk}")).collect::<String>();
    lines.push(format!("Plan {}; nothing is changed yet. To do it:", plan.plan));
    lines.push(format!(
        "  leasehold volume remove {name} --if-match {}{risks} (and the options as here)",
        plan.plan
    ));
    lines.join("\n")
}

fn done(targets: &[VolumeTarget], what: &str) {
    for target in targets.iter().filter(|target| target.problem.is_none()) {
        line(&format!("{}: {what}", target.node_name));
    }
}

fn failed(targets: &[VolumeTarget]) -> Result<Exit, Failure> {
    let problems = targets.iter().filter_map(|target| Some((&target.node_name, target.problem.as_ref()?)));
    let problems: Vec<(&String, &Problem)> = problems.collect();
    let Some((_, first)) = problems.first() else { return Ok(Exit::Ok) };
    let told = problems
        .iter()
        .map(|(node, problem)| (format!("node {node}: {}", problem.message), problem.hint.clone()));
    Err(Failure::several(Exit::of(first.exit), told.collect()))
}

fn list(volumes: &[Volume]) {
    let row = |volume: &Volume| {
        let used = volume.used_mib.map_or_else(String::new, |used| used.to_string());
        let engines: Vec<_> = volume.engines.iter().map(ToString::to_string).collect();
        [
            volume.name.to_string(),
            volume.node_name.clone(),
            volume.tier_name.clone(),
            volume.state.clone().unwrap_or_else(|| "unknown".to_owned()),
            volume.size_mib.to_string(),
            used,
            engines.join(", "),
        ]
    };
    let rows: Vec<_> = volumes.iter().map(row).collect();
    line(&table(["VOLUME", "NODE", "CLUSTER", "STATE", "MIB", "USED", "ENGINES"], &rows));
}
