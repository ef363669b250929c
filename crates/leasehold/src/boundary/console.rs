//! `leasehold boundary plan | apply | show`: filter sets through a console.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::Args;
use console_api::{BoundaryChange, BoundaryPlan, BoundaryShown, BoundaryTarget, Page};
use serde_json::json;
use tenure::limits::TRIAL_SECONDS_MAX;

use crate::failure::{Exit, Failure};
use crate::file;
use crate::output::{Format, line, talk};
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
    /// For this long only, as 60s or 5m: unless it is applied again without this, each node goes back by itself
    #[arg(long = "try", value_name = "TIME", value_parser = seconds, conflicts_with = "of")]
    attempt: Option<NonZeroU32>,
}

/// Seconds, or a number with s, m or h.
fn seconds(text: &str) -> Result<NonZeroU32, String> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, text.chars().last()),
        None => (text, None),
    };
    let unit = match unit {
        Some('m') => 60,
        Some('h') => 3600,
        Some(_) | None => 1,
    };
    let seconds = number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit));
    let at_most = |seconds: &NonZeroU32| seconds.get() <= TRIAL_SECONDS_MAX;
    let wrong = || "a time from 1s to 24h is wanted, as 60s or 5m".to_owned();
    seconds.and_then(NonZeroU32::new).filter(at_most).ok_or_else(wrong)
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
pub(super) fn apply(Application { change, if_match, attempt }: &Application) -> Result<Exit, Failure> {
    let mut wanted = wanted(change, if_match.clone())?;
    wanted.try_seconds = *attempt;
    let done: BoundaryPlan = change.reach.ask(async |client| client.post("/v1/boundaries", &wanted).await)?;
    match change.reach.output {
        Format::Json => line(&json!(done).to_string()),
        Format::Text => {
            line(&told(&done.targets, if attempt.is_some() { "tried" } else { "set" }, "refused"));
        }
    }
    refused(&done.targets)?;
    if let Some(seconds) = attempt {
        talk(&format!(
            "tried for {seconds} s by each node's own clock; the same without --try keeps it, else it goes by itself"
        ));
    }
    Ok(Exit::Ok)
}

/// A boundary file's text, for the console to read.
pub(super) fn text_of(path: &Path) -> Result<String, Failure> {
    let bytes = file::read(path, boundary::FILE_BYTES_MAX)?;
    String::from_utf8(bytes)
        .map_err(|_no_text| Failure::new(Exit::Usage, format!("{} is no text", path.display())))
}

fn wanted(change: &Change, if_match: Option<String>) -> Result<BoundaryChange, Failure> {
    Ok(BoundaryChange {
        text: text_of(&change.file)?,
        of: change.of.clone(),
        nodes: change.nodes.clone(),
        if_match,
        try_seconds: None,
    })
}

fn told(targets: &[BoundaryTarget], set: &str, refused: &str) -> String {
    let rows: Vec<_> = targets
        .iter()
        .map(|target| {
            let what = match (&target.problem, target.changes, target.tried_until) {
                (Some(problem), ..) => format!("{refused}: {}", problem.message),
                (None, true, Some(until)) => format!("{set}; another was tried until {until}"),
                (None, true, None) => set.to_owned(),
                (None, false, _) => "is so already".to_owned(),
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
        if let Some(until) = set.tried_until {
            line(&format!(
                "# it is tried until {until}: unless it is confirmed, the one before comes back then"
            ));
        }
        if let Some(serial) = set.names_since {
            line(&format!("# names in this tier's sets mean something else since directory {serial}"));
        }
        if let Some(beyond) = &set.beyond {
            let packet =
                beyond.get("packet").map_or_else(String::new, |packet| format!(", as the packet {packet}"));
            line(&format!("# this tier's sets reach beyond those above them{packet}: the nodes cut it off"));
        }
        line(set.text.as_deref().unwrap_or("# its text is not here").trim_end());
    }
    Ok(Exit::Ok)
}
