//! `leasehold incident …`, `leasehold ladder …`: trouble, and what is tried for it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use console_api::{Acknowledge, Incident, IncidentState, LadderSet, NewLadders, Page};

use incident::{Happened, Kind, Severity};
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::file;
use crate::output::{Format, line};
use crate::reach::{Reach, segment};
use crate::table::{table, word};

/// The longest file of ladders.
const LADDERS_BYTES_MAX: usize = 256 * 1024;

/// What can be done with incidents.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// List the incidents that are not over, the newest first
    List(Listing),
    /// Show an incident: its cause, what it hides, what was tried, what to do next
    Show(One),
    /// Take an incident over: nobody is told of it, and nothing more is tried, until the time is up
    Ack(Taking),
}

/// What can be done with ladders.
#[derive(Subcommand)]
pub(crate) enum LadderVerb {
    /// Show what is tried for which incidents
    Show(Reach),
    /// Say what is tried for which incidents, from now on
    Apply(Applying),
}

/// A list.
#[derive(Args)]
pub(crate) struct Listing {
    /// Also those that are over
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    reach: Reach,
}

/// One incident.
#[derive(Args)]
pub(crate) struct One {
    /// INC-318, or 318
    incident: String,
    /// Show every symptom and the whole timeline
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Taking it over.
#[derive(Args)]
pub(crate) struct Taking {
    /// INC-318, or 318
    incident: String,
    /// What you are about to do
    #[arg(short, long)]
    message: Option<String>,
    /// After so long it goes back to the console
    #[arg(long, default_value_t = 120)]
    minutes: u16,
    #[command(flatten)]
    reach: Reach,
}

/// New ladders.
#[derive(Args)]
pub(crate) struct Applying {
    /// A file as `leasehold ladder show` prints it
    #[arg(required_unless_present = "built_in")]
    file: Option<PathBuf>,
    /// Go back to those that are built in
    #[arg(long, conflicts_with = "file")]
    built_in: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::List(Listing { all, reach }) => list(*all, reach),
        Verb::Show(One { incident, all, reach }) => {
            let path = format!("/v1/incidents/{}", segment(incident));
            show(&reach.ask(async |client| client.get(&path).await)?, *all, reach.output)
        }
        Verb::Ack(Taking { incident, message, minutes, reach }) => {
            let path = format!("/v1/incidents/{}/ack", segment(incident));
            let wanted = Acknowledge { message: message.clone(), minutes: *minutes };
            let incident: Incident = reach.ask(async |client| client.post(&path, &wanted).await)?;
            match (reach.output, &incident.acknowledged) {
                (Format::Json, _) => line(&json!(incident).to_string()),
                (Format::Text, Some(by)) => {
                    let until = by.until;
                    line(&format!("{} acknowledged by {}: nobody is paged for it", incident.number, by.by));
                    line(&format!("it goes back to the console at {until}, if it is not resolved by then"));
                }
                (Format::Text, None) => line(&format!("{} is over", incident.number)),
            }
            Ok(Exit::Ok)
        }
    }
}

/// Runs the verb.
pub(crate) fn run_ladder(verb: &LadderVerb) -> Result<Exit, Failure> {
    let (set, output): (LadderSet, _) = match verb {
        LadderVerb::Show(reach) => (reach.ask(async |client| client.get("/v1/ladders").await)?, reach.output),
        LadderVerb::Apply(Applying { file, reach, .. }) => {
            let text = match file {
                Some(path) => {
                    Some(String::from_utf8_lossy(&file::read(path, LADDERS_BYTES_MAX)?).into_owned())
                }
                None => None,
            };
            let new = NewLadders { text };
            (reach.ask(async |client| client.post("/v1/ladders", &new).await)?, reach.output)
        }
    };
    match output {
        Format::Json => line(&json!(set).to_string()),
        Format::Text => line(set.text.trim_end()),
    }
    Ok(Exit::Ok)
}

fn list(all: bool, reach: &Reach) -> Result<Exit, Failure> {
    let mut incidents: Page<Incident> = reach.all_of("/v1/incidents", &format!("&all={all}"))?;
    incidents.items.retain(|incident| all || incident.state != IncidentState::Resolved);
    match reach.output {
        Format::Json => line(&json!(incidents).to_string()),
        Format::Text => {
            let row = |incident: &Incident| {
                [
                    incident.number.clone(),
                    word(incident.severity),
                    word(incident.state),
                    incident.about.clone(),
                    incident.cause.to_string(),
                    incident.opened.to_string(),
                ]
            };
            let rows: Vec<_> = incidents.items.iter().map(row).collect();
            line(&table(["INCIDENT", "SEVERITY", "STATE", "ABOUT", "CAUSE", "SINCE"], &rows));
        }
    }
    Ok(Exit::Ok)
}

fn show(incident: &Incident, all: bool, output: Format) -> Result<Exit, Failure> {
    if output == Format::Json {
        line(&json!(incident).to_string());
        return Ok(Exit::Ok);
    }
    let number = &incident.number;
    line(&format!("{number}  {}  {}  {}", word(incident.severity), word(incident.state), incident.about));
    line(&format!("  cause    {}: {}, since {}", incident.cause, incident.detail, incident.opened));
    let hidden = incident.symptoms.len().saturating_sub(1);
    if hidden > 0 {
        let note = if all { "" } else { " (--all)" };
        line(&format!("  hides    {hidden} more symptoms{note}"));
    }
    if all {
        for seen in &incident.symptoms {
            let gone = if seen.cleared.is_some() { ", gone" } else { "" };
            line(&format!(
                "           {}: {} (×{}{gone})",
                seen.symptom.kind, seen.symptom.detail, seen.times
            ));
        }
    }
    for entry in &incident.timeline {
        if let Some(told) = told(&entry.what, all) {
            line(&format!("  {:<24} {told}", entry.at.to_string()));
        }
    }
    if let Some(by) = &incident.acknowledged {
        let message = by.message.as_deref().map_or_else(String::new, |message| format!(": {message}"));
        line(&format!("  taken    over by {} until {}{message}", by.by, by.until));
    }
    for next in what_next(incident) {
        line(&format!("  do next  {next}"));
    }
    Ok(Exit::Ok)
}

/// A line of the timeline; what is told only to who wants all is none.
fn told(what: &Happened, all: bool) -> Option<String> {
    Some(match what {
        Happened::Began { remedy, .. } => format!("tried {remedy}"),
        Happened::Done { remedy, told } => format!("{remedy}: done: {told}"),
        Happened::Failed { remedy, told } => format!("{remedy}: failed: {told}"),
        Happened::NeedsPerson => "a person is needed".to_owned(),
        Happened::Acknowledged { by, .. } => format!("acknowledged by {by}"),
        Happened::Reopened => "open again".to_owned(),
        Happened::Resolved => "resolved".to_owned(),
        Happened::PartOf(number) => format!("part of {number}"),
        Happened::Told { to } if all => {
            let names: Vec<_> = to.iter().map(ToString::to_string).collect();
            format!("told {}", if names.is_empty() { "all receivers".to_owned() } else { names.join(", ") })
        }
        Happened::Came { kind, detail, .. } if all => format!("{kind}: {detail}"),
        Happened::Went { kind, .. } if all => format!("{kind} is gone"),
        Happened::Told { .. } | Happened::Came { .. } | Happened::Went { .. } => return None,
    })
}

fn what_next(incident: &Incident) -> Vec<String> {
    if matches!(incident.state, IncidentState::Resolved | IncidentState::Settling) {
        return Vec::new();
    }
    let mut next = Vec::new();
    if incident.acknowledged.is_none() && incident.severity == Severity::Critical {
        next.push(format!("leasehold incident ack {} -m \"what you do\"", incident.number));
    }
    match incident.cause {
        Kind::DeliveryFailed => {
            next.push("leasehold notify test, once the receiver is reached again".to_owned())
        }
        Kind::ConsoleInDoubt => {
            next.push("look at this console's own network; nothing is switched off".to_owned())
        }
        Kind::EngineNotReady
        | Kind::EngineExited
        | Kind::EngineOutOfMemory
        | Kind::EngineHung
        | Kind::Network
        | Kind::Disk
        | Kind::Memory
        | Kind::Processor
        | Kind::MonitorHung
        | Kind::Unreachable
        | Kind::NodeDead => {
            next.extend(incident.node.map(|_| format!("leasehold node show {}", node_of(incident))));
        }
    }
    next
}

/// The node's name: the last word of what the incident is about.
fn node_of(incident: &Incident) -> &str {
    incident.about.rsplit(' ').next().unwrap_or_default()
}
