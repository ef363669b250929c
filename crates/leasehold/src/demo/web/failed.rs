//! The engine is killed, then it hangs: the node starts it again, and its tenant's people are told by mail.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use console_api::{Incident, IncidentState, Page};
use incident::Kind;
use lab::Failed;
use os::process::Process;
use serde_json::json;

use super::ENGINE;
use crate::demo::show::Evidence;
use crate::demo::world::{CONSOLE_A, TEAM_MAIL, TENANT_A, World};

const PERL: &[u8] = b"/usr/bin/perl\0/serve.pl";
const BUSYBOX: &[u8] = b"/bin/busybox\0httpd";

pub(crate) fn killed(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let from = world.web(0)?;
    let processes = [processes(world, PERL)?, processes(world, BUSYBOX)?].concat();
    evidence.check(
        format!("kill -9 of all {} processes of {ENGINE:?} on n1", processes.len()),
        processes.len() >= 2,
    );
    let began = Instant::now();
    for id in processes {
        // One of them may have died of another's death.
        if let Ok(process) = Process::open(id) {
            process.kill().map_err(|error| Failed::new("kill an engine", error))?;
        }
    }
    world.page_served(from)?;
    let seconds = rounded(began.elapsed());
    evidence.check(format!("the node starts it again: the page is served {seconds} s after the kill"), true);
    evidence.fact("killed_to_served_s", seconds);
    told(world, evidence, Kind::EngineExited)
}

pub(crate) fn hung(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let from = world.web(0)?;
    // Not one of those that it makes for single connections.
    let watchers = processes(world, PERL)?;
    let is_main = |id: &u32| parent(*id).is_some_and(|parent| watchers.contains(&parent));
    let server = processes(world, BUSYBOX)?.into_iter().find(is_main);
    let server = server.ok_or_else(|| Failed::new("go on", "no web server runs on n1"))?;
    let began = Instant::now();
    let stopped = Command::new("kill").args(["-STOP", &server.to_string()]).status();
    let stopped = stopped.map_err(|error| Failed::new("stop a process", error))?.success();
    evidence.check("the web server is stopped (SIGSTOP): it takes connections and answers none", stopped);
    world.page_served(from)?;
    let seconds = rounded(began.elapsed());
    evidence.check(
        format!("it misses its watchdog, and the node starts it again: the page is served after {seconds} s"),
        !processes(world, BUSYBOX)?.contains(&server),
    );
    evidence.fact("hung_to_served_s", seconds);
    told(world, evidence, Kind::EngineHung)
}

/// The tenant's console has an incident of it, and its people a mail; it is over by itself.
fn told(world: &mut World<'_>, evidence: &mut Evidence, kind: Kind) -> Result<(), Failed> {
    let is_it = |incident: &&Incident| incident.cause == kind && incident.about.contains(ENGINE);
    let tenant = world.desk(CONSOLE_A)?;
    let path = "/v1/incidents?all=true";
    let incidents: Page<Incident> =
        tenant.until(path, |all: &Page<Incident>| all.items.iter().any(|one| is_it(&one)))?;
    let incident = incidents.items.iter().find(is_it).cloned();
    let incident = incident.ok_or_else(|| Failed::new("read an incident", "it is gone"))?;
    evidence.check(
        format!("{TENANT_A}'s console opens {}, {}: {}", incident.number, incident.about, incident.detail),
        true,
    );
    let mail = world.post()?.received(TEAM_MAIL, &[&incident.number, &incident.about])?;
    evidence.check(format!("a mail server receives for {TEAM_MAIL}: {}", mail.subject), true);
    let over = |all: &Page<Incident>| {
        all.items.iter().any(|one| one.number == incident.number && one.state == IncidentState::Resolved)
    };
    let _: Page<Incident> = tenant.until(path, over)?;
    evidence.check("and it is over by itself, since the engine serves", true);
    evidence.fact("incident", json!(incident));
    evidence.fact("mail", mail.subject);
    Ok(())
}

/// The machine's numbers of the processes in the tenant's realm on n1 whose command line begins so.
fn processes(world: &World<'_>, command: &[u8]) -> Result<Vec<u32>, Failed> {
    let act = || "look for an engine's processes".to_owned();
    let realm = world.facility()?.path_of(&format!("n1-{TENANT_A}"));
    let own = os::mount::identity(&realm).map_err(|failed| Failed::new(act(), failed))?;
    let entries = fs::read_dir("/proc").map_err(|error| Failed::new(act(), error))?;
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_one = |id: &u32| {
        let namespace = os::mount::identity(format!("/proc/{id}/ns/net").as_ref());
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        namespace.is_ok_and(|its| its == own) && line.starts_with(command)
    };
    Ok(ids.filter(is_one).collect())
}

fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The program's name comes before, in brackets, and may have any character.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn rounded(span: Duration) -> f64 {
    (span.as_secs_f64() * 100.0).round() / 100.0
}
