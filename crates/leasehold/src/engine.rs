//! `leasehold engine …`: what runs in the realms of a console's tiers.

mod deploy;
mod logs;

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use console_api::{Engine, EngineAct, EngineAction, EngineDone, EngineTarget, Page};
use id::Name;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::{Format, line};
use crate::reach::{Reach, segment};
use crate::table::{table, word};

/// How long an image may not get on before nobody waits for it any more.
const STANDSTILL: Duration = Duration::from_secs(60);

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Have an engine run by a specification, from an image
    ///
    /// The specification is TOML (see docs/engines.md). Its volume must be there: `leasehold volume make`. The image goes
    /// to the console, which keeps it, and from there to each node, where it is checked and unpacked.
    Deploy(deploy::Deploying),
    /// List all engines, and how they are
    List(Reach),
    /// Show one engine, wherever it is
    Show(Named),
    /// Have an engine run
    Start(Acting),
    /// Have an engine not run
    Stop(Acting),
    /// End an engine and start it once
    Restart(Acting),
    /// The same, from its image unpacked anew
    Reload(Acting),
    /// Want an engine no more; what it wrote stays on its volume
    Remove(Acting),
    /// Print the end of an engine's output
    Logs(logs::Reading),
}

/// Which tiers are meant.
#[derive(Args)]
pub(crate) struct Places {
    /// On this node only; several times for several
    #[arg(long = "node", add = crate::complete::nodes())]
    pub(crate) nodes: Vec<String>,
    /// In the tiers of this contract, lease, tier or name of a cluster
    #[arg(long, add = crate::complete::leases())]
    pub(crate) of: Option<String>,
}

/// One engine.
#[derive(Args)]
pub(crate) struct Named {
    /// Its name
    #[arg(add = crate::complete::engines())]
    name: Name,
    #[command(flatten)]
    reach: Reach,
}

/// Something to be done with one.
#[derive(Args)]
pub(crate) struct Acting {
    /// Its name
    #[arg(add = crate::complete::engines())]
    name: Name,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Deploy(deploying) => deploy::run(deploying),
        Verb::List(reach) => {
            let engines: Page<Engine> = reach.all("/v1/engines")?;
            match reach.output {
                Format::Json => line(&json!(engines).to_string()),
                Format::Text => list(&engines.items),
            }
            Ok(Exit::Ok)
        }
        Verb::Show(Named { name, reach }) => {
            let engines = everywhere(name, reach)?;
            match reach.output {
                Format::Json => line(&json!(engines).to_string()),
                Format::Text => engines.iter().for_each(show),
            }
            Ok(Exit::Ok)
        }
        Verb::Start(acting) => act(acting, EngineAction::Start),
        Verb::Stop(acting) => act(acting, EngineAction::Stop),
        Verb::Restart(acting) => act(acting, EngineAction::Restart),
        Verb::Reload(acting) => act(acting, EngineAction::Reload),
        Verb::Remove(acting) => act(acting, EngineAction::Remove),
        Verb::Logs(reading) => logs::run(reading),
    }
}

/// An engine wherever it is.
fn everywhere(name: &Name, reach: &Reach) -> Result<Vec<Engine>, Failure> {
    let path = format!("/v1/engines/{}", segment(name.as_str()));
    reach.ask(async |client| client.get(&path).await)
}

fn act(Acting { name, places, reach }: &Acting, action: EngineAction) -> Result<Exit, Failure> {
    until_done(places.nodes.clone(), reach, |nodes| {
        let wanted = EngineAct { name: name.clone(), action, nodes, of: places.of.clone() };
        reach.ask(async |client| client.post("/v1/engines/act", &wanted).await)
    })
}

/// Asks again, of the nodes to which an image is still on its way, until nothing is.
fn until_done(
    nodes: Vec<String>,
    reach: &Reach,
    ask: impl Fn(Vec<String>) -> Result<EngineDone, Failure>,
) -> Result<Exit, Failure> {
    let mut targets: Vec<EngineTarget> = Vec::new();
    let (mut left, mut before, mut got_on) = (nodes, 0, Instant::now());
    loop {
        for target in ask(left)?.targets {
            targets.retain(|before| (before.node, before.tier) != (target.node, target.tier));
            targets.push(target);
        }
        let sending = |target: &&EngineTarget| !target.done && target.problem.is_none();
        left = targets.iter().filter(sending).map(|target| target.node.to_string()).collect();
        if left.is_empty() {
            break;
        }
        let (sent, bytes) = targets.iter().fold((0, 0), |(sent, bytes), target| {
            (target.sent.saturating_add(sent), target.bytes.saturating_add(bytes))
        });
        if sent != before {
            (before, got_on) = (sent, Instant::now());
        }
        if got_on.elapsed() > STANDSTILL {
            return Err(Failure::new(
                Exit::TimedOut,
                format!("the image does not get on at {sent} of {bytes} bytes"),
            )
            .hint("`leasehold volume list` shows whether its volume is open; what was sent stays there"));
        }
        crate::output::progress(&format!("images sent: {} of {} MiB", sent >> 20, bytes >> 20));
    }
    crate::output::progress("");
    targets.sort_by(|one, other| (&one.node_name, one.tier).cmp(&(&other.node_name, other.tier)));
    let done = EngineDone { targets };
    match reach.output {
        Format::Json => line(&json!(done).to_string()),
        Format::Text => line(&told(&done.targets)),
    }
    failed(&done.targets)
}

fn told(targets: &[EngineTarget]) -> String {
    let record = |target: &EngineTarget| target.order.as_ref()?.accepted.as_ref().map(|one| one.record);
    let rows: Vec<_> = targets
        .iter()
        .map(|target| {
            let what = match (&target.problem, record(target)) {
                (Some(problem), _) => format!("not done: {}", problem.message),
                (None, Some(record)) => format!("on record as number {record}"),
                (None, None) => "is so already".to_owned(),
            };
            [target.node_name.clone(), target.tier.to_string(), what]
        })
        .collect();
    table(["NODE", "TIER", "DONE"], &rows)
}

fn failed(targets: &[EngineTarget]) -> Result<Exit, Failure> {
    let problems = targets.iter().filter_map(|target| Some((&target.node_name, target.problem.as_ref()?)));
    let problems: Vec<_> = problems.collect();
    let Some((_, first)) = problems.first() else { return Ok(Exit::Ok) };
    let told = |(node, problem): &(&String, &console_api::Problem)| {
        (format!("node {node}: {}", problem.message), problem.hint.clone())
    };
    Err(Failure::several(Exit::of(first.exit), problems.iter().map(told).collect()))
}

/// How it is, in one word; nothing is known of one whose node says nothing.
fn state(engine: &Engine) -> String {
    engine.status.as_ref().map_or_else(|| "unknown".to_owned(), |status| word(status.state))
}

/// Where it can be reached, should its boundaries let anybody.
fn served(engine: &Engine) -> String {
    let Some(address) = engine.addresses.first() else { return String::new() };
    let ports: Vec<_> = engine.ports.iter().map(ToString::to_string).collect();
    if ports.is_empty() { address.to_string() } else { format!("{address}:{}", ports.join(",")) }
}

fn list(engines: &[Engine]) {
    let row = |engine: &Engine| {
        [
            engine.name.to_string(),
            engine.node_name.clone(),
            engine.tier_name.clone(),
            state(engine),
            engine.status.as_ref().map_or_else(String::new, |status| status.restarts.to_string()),
            served(engine),
        ]
    };
    let rows: Vec<_> = engines.iter().map(row).collect();
    line(&table(["ENGINE", "NODE", "CLUSTER", "STATE", "RESTARTS", "AT"], &rows));
}

fn show(engine: &Engine) {
    let wanted = if engine.running { "runs" } else { "does not run" };
    line(&format!(
        "engine {} on {}, in {}: {}",
        engine.name,
        engine.node_name,
        engine.tier_name,
        state(engine)
    ));
    line(&format!("  wanted   it {wanted}, by {}", engine.specification));
    let lines = [
        ("image", engine.image.map(|image| image.to_string())),
        ("volume", engine.volume.as_ref().map(ToString::to_string)),
        ("at", Some(served(engine)).filter(|served| !served.is_empty())),
    ];
    for (what, told) in lines {
        if let Some(told) = told {
            line(&format!("  {what:<8} {told}"));
        }
    }
    let Some(status) = &engine.status else { return };
    if let Some(since) = status.since {
        line(&format!("  since    {since}, started again {} times by itself", status.restarts));
    }
    if let Some(exit) = status.last_exit {
        line(&format!("  ended    last with {}", json!(exit)));
    }
    // Its own words, and the node's: nothing that moves a cursor.
    let plain = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    if !status.status.is_empty() {
        line(&format!("  says     {}", plain(&status.status)));
    }
    if let Some(reason) = &status.reason {
        line(&format!("  waits    {}", plain(reason)));
    }
    if !status.missing.is_empty() {
        line(&format!("  lacks    {} on this machine", status.missing.join(", ")));
    }
}
