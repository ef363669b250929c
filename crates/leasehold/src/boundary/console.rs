//! `leasehold boundary plan | apply | show`: filter sets through a console.

use std::path::PathBuf;

use clap::Args;
use console_api::{BoundaryChange, BoundaryPlan, BoundaryShown, BoundaryTarget, Page};
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::file;
use crate::output::{Format, line};
use crate::reach::Reach;
use crate::table::table;

/// A set to set.
#[derive(Args)]
pub(crate) struct Change {
    /// The boundary file
    file: PathBuf,
    /// The contract, lease or tier whose given set it is to be; your own tiers' own set when left out
    #[arg(long)]
    of: Option<String>,
    /// On this node only; several times for several
    #[arg(long = "node", add = crate::complete::nodes())]
    nodes: Vec<String>,
    #[command(flatten)]
    reach: Reach,
}

/// A set to set as planned.
#[derive(Args)]
pub(crate) struct Application {
    #[command(flatten)]
    change: Change,
    /// Only if this still is the plan
    #[arg(long)]
    if_match: Option<String>,
}

/// Says what it would mean.
pub(super) fn plan(change: &Change) -> Result<Exit, Failure> {
    let wanted = wanted(change, None)?;
    let plan: BoundaryPlan =
        change.reach.ask(async |client| client.post("/v1/boundaries/plan", &wanted).await)?;
    match change.reach.output {
        Format::Json => line(&json!(plan).to_string()),
        Format::Text => {
            line(&told(&plan.targets, "is set", "would be refused"));
            line(&format!("plan {}: nothing is changed yet", plan.plan));
        }
    }
    refused(&plan.targets)?;
    Ok(if plan.changes { Exit::Changes } else { Exit::Ok })
}

/// Does it.
pub(super) fn apply(Application { change, if_match }: &Application) -> Result<Exit, Failure> {
    let wanted = wanted(change, if_match.clone())?;
    let done: BoundaryPlan = change.reach.ask(async |client| client.post("/v1/boundaries", &wanted).await)?;
    match change.reach.output {
        Format::Json => line(&json!(done).to_string()),
        Format::Text => line(&told(&done.targets, "set", "refused")),
    }
    refused(&done.targets)?;
    Ok(Exit::Ok)
}

fn wanted(change: &Change, if_match: Option<String>) -> Result<BoundaryChange, Failure> {
    let bytes = file::read(&change.file, boundary::FILE_BYTES_MAX)?;
    let text = String::from_utf8(bytes)
        .map_err(|_no_text| Failure::new(Exit::Usage, format!("{} is no text", change.file.display())))?;
    Ok(BoundaryChange { text, of: change.of.clone(), nodes: change.nodes.clone(), if_match })
}

fn told(targets: &[BoundaryTarget], set: &str, refused: &str) -> String {
    let rows: Vec<_> = targets
        .iter()
        .map(|target| {
            let what = match (&target.problem, target.changes) {
                (Some(problem), _) => format!("{refused}: {}", problem.message),
                (None, true) => set.to_owned(),
                (None, false) => "is so already".to_owned(),
            };
            [target.node_name.clone(), target.tier.to_string(), what]
        })
        .collect();
    table(["NODE", "TIER", "SET"], &rows)
}

/// Each node that says no, with the packet that shows why.
fn refused(targets: &[BoundaryTarget]) -> Result<(), Failure> {
    let problems: Vec<_> =
        targets.iter().filter_map(|target| Some((target, target.problem.as_ref()?))).collect();
    let Some((_, first)) = problems.first() else { return Ok(()) };
    let errors = problems.iter().map(|(target, problem)| {
        let witness = problem.details.as_ref().and_then(|details| details.get("witness")?.get("packet"));
        let witness = witness.map_or_else(String::new, |packet| format!(", as the packet {packet}"));
        (format!("node {}: {}{witness}", target.node_name, problem.message), problem.hint.clone())
    });
    Err(Failure::several(Exit::of(first.exit), errors.collect()))
}

/// Shows the sets of a console's tiers, and those that it gave.
pub(super) fn show(reach: &Reach) -> Result<Exit, Failure> {
    let sets: Page<BoundaryShown> = reach.all("/v1/boundaries")?;
    if reach.output == Format::Json {
        line(&json!(sets).to_string());
        return Ok(Exit::Ok);
    }
    for set in &sets.items {
        line(&format!("# node {}, tier {}: {} ({})", set.node_name, set.name, set.which, set.object));
        line(set.text.as_deref().unwrap_or("# its text is not here").trim_end());
    }
    Ok(Exit::Ok)
}
