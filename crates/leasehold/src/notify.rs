//! `leasehold notify …`: who is told of incidents, and whether they were.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use console_api::{NotifyDelivery, NotifyReceiver, NotifyTest, Page};
use id::Name;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::{Format, line};
use crate::reach::Reach;
use crate::table::table;

/// How often the log is looked at while a test is under way.
const LOOK: Duration = Duration::from_millis(100);

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// List who is told of incidents: the tables `receiver` of the console's settings
    List(Reach),
    /// Send a test, and wait until it was taken
    Test(Testing),
    /// List what was sent to whom, the newest first
    Log(Reach),
}

/// A test.
#[derive(Args)]
pub(crate) struct Testing {
    /// To whom; all receivers when left out
    receiver: Option<Name>,
    /// How long to wait, in seconds
    #[arg(long, default_value_t = 30)]
    timeout: u64,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::List(reach) => list(reach),
        Verb::Log(reach) => {
            let log: Page<NotifyDelivery> = reach.all("/v1/notify/log")?;
            match reach.output {
                Format::Json => line(&json!(log).to_string()),
                Format::Text => deliveries(&log.items),
            }
            Ok(Exit::Ok)
        }
        Verb::Test(Testing { receiver, timeout, reach }) => test(receiver.as_ref(), *timeout, reach),
    }
}

fn list(reach: &Reach) -> Result<Exit, Failure> {
    let receivers: Page<NotifyReceiver> = reach.all("/v1/notify")?;
    match reach.output {
        Format::Json => line(&json!(receivers).to_string()),
        Format::Text => {
            let row = |receiver: &NotifyReceiver| {
                let state = match (receiver.failing, receiver.pending) {
                    (0, 0) => "ok".to_owned(),
                    (0, pending) => format!("{pending} wait"),
                    (failing, pending) => format!("failed {failing} times, {pending} wait"),
                };
                [receiver.name.to_string(), receiver.reached_by.clone(), state]
            };
            let rows: Vec<_> = receivers.items.iter().map(row).collect();
            line(&table(["RECEIVER", "REACHED BY", "STATE"], &rows));
        }
    }
    Ok(Exit::Ok)
}

/// Sends a test, and looks at the log until each was tried: a receiver that is not reached is told at once.
fn test(receiver: Option<&Name>, timeout: u64, reach: &Reach) -> Result<Exit, Failure> {
    let wanted = NotifyTest { receiver: receiver.cloned() };
    let deadline = Instant::now() + Duration::from_secs(timeout);
    let ended: Vec<NotifyDelivery> = reach.ask(async |client| {
        let sent: Vec<NotifyDelivery> = client.post("/v1/notify/test", &wanted).await?;
        loop {
            let log: Page<NotifyDelivery> = client.get("/v1/notify/log?limit=1000").await?;
            let ours = log.items.into_iter().filter(|entry| sent.iter().any(|sent| sent.id == entry.id));
            let ours: Vec<_> = ours.collect();
            if ours.iter().all(|entry| entry.tried > 0) || Instant::now() >= deadline {
                return Ok(ours);
            }
            tokio::time::sleep(LOOK).await;
        }
    })?;
    match reach.output {
        Format::Json => line(&json!(ended).to_string()),
        Format::Text => deliveries(&ended),
    }
    if ended.iter().all(|entry| entry.state == "delivered") {
        return Ok(Exit::Ok);
    }
    let late = ended.iter().all(|entry| entry.tried == 0);
    let exit = if late { Exit::TimedOut } else { Exit::Failed };
    Err(Failure::new(exit, "not every receiver took the test")
        .hint("it is tried again by itself; `leasehold notify log` says what came of it"))
}

fn deliveries(deliveries: &[NotifyDelivery]) {
    let row = |delivery: &NotifyDelivery| {
        [
            delivery.at.to_string(),
            delivery.receiver.to_string(),
            delivery.state.clone(),
            delivery.tried.to_string(),
            delivery.subject.clone(),
            delivery.told.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = deliveries.iter().map(row).collect();
    line(&table(["AT", "RECEIVER", "STATE", "TRIED", "SUBJECT", "ANSWER"], &rows));
}
