//! The one desk of a console, and the task that sits at it: what happens is told to it, what it wants is written
//! down, and then done.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use console_api::Exit;
use id::NodeId;
use incident::{Command, Desk, Event, Fence, Incident, Ladders, Notice, Number, Outcome, Task};
use store::Transaction;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use super::{kept, remedies};
use crate::api::No;
use crate::state::Console;

/// How often the desk looks at the time.
const TURN: Duration = Duration::from_millis(200);

/// The most writes of one transaction, with room for what goes along.
const WRITES: usize = 100;

/// How the rest of a console reaches the desk. What is said waits in memory: it is said by this console's own
/// parts, at most once a second for each thing that they look at.
pub(crate) struct Office {
    say: UnboundedSender<Said>,
    heard: Mutex<Option<UnboundedReceiver<Said>>>,
}

enum Said {
    Event(Event),
    /// An event, and who waits for what becomes of the incident.
    Asked(Event, Number, oneshot::Sender<Option<Incident>>),
    Ladders(Ladders),
    /// A person acts on a node, and wants a fence for it.
    Fence(NodeId, oneshot::Sender<Option<Fence>>),
}

impl Office {
    pub(crate) fn new() -> Self {
        let (say, heard) = unbounded_channel();
        Self { say, heard: Mutex::new(Some(heard)) }
    }

    /// Says something to the desk; while none is manned, nobody hears it.
    pub(crate) fn say(&self, event: Event) {
        drop(self.say.send(Said::Event(event)));
    }

    pub(super) fn set_ladders(&self, ladders: Ladders) {
        drop(self.say.send(Said::Ladders(ladders)));
    }

    /// A fence for what a person has done on a node, on record; while a remedy runs there, none.
    pub(crate) async fn next_fence(&self, console: &Console, node: NodeId) -> Result<Fence, No> {
        let gone = || No::new("failed", Exit::Failed, "the console's desk of incidents is not manned");
        let (answer, answered) = oneshot::channel();
        self.say.send(Said::Fence(node, answer)).map_err(|_gone| gone())?;
        let fence = answered.await.map_err(|_gone| gone())?.ok_or_else(|| {
            crate::api::refused("busy", "a remedy is under way on this node")
                .hint("`leasehold incident list` shows which")
        })?;
        console.commit(kept::put_fence(Transaction::new(), node, fence)).await?;
        Ok(fence)
    }

    /// Says something about an incident that is open, and gives the incident as it is afterwards.
    pub(super) async fn ask(&self, event: Event, number: Number) -> Result<Option<Incident>, No> {
        let gone = || No::new("failed", Exit::Failed, "the console's desk of incidents is not manned");
        let (answer, answered) = oneshot::channel();
        self.say.send(Said::Asked(event, number, answer)).map_err(|_gone| gone())?;
        answered.await.map_err(|_gone| gone())
    }
}

/// Mans the desk for as long as the console runs.
pub(crate) async fn follow(console: Arc<Console>) -> Infallible {
    let mut desk = begin(&console).await;
    let heard = console.incidents.heard.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut heard) = heard else { return std::future::pending().await };
    let mut turns = tokio::time::interval(TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let said = tokio::select! {
            Some(said) = heard.recv() => said,
            _ = turns.tick() => Said::Event(Event::Turn),
        };
        let now = console.world.now();
        match said {
            Said::Event(event) => {
                let commands = desk.step(event, now);
                obey(&console, commands).await;
            }
            Said::Asked(event, number, answer) => {
                let commands = desk.step(event, now);
                obey(&console, commands).await;
                let incident = desk.open().find(|incident| incident.number == number);
                // Who asked may have gone.
                drop(answer.send(incident.cloned()));
            }
            Said::Ladders(ladders) => desk.set_ladders(ladders),
            // Who asked may have gone.
            Said::Fence(node, answer) => drop(answer.send(desk.take_fence(node))),
        }
    }
}

/// The desk as the console left it. A store that fails is tried again: without it nothing can be kept.
async fn begin(console: &Console) -> Desk {
    loop {
        let ladders = console.ladders().map(|text| text.and_then(|text| Ladders::parse(&text).ok()));
        match ladders.and_then(|ladders| Ok((ladders, kept::kept(console.store())?))) {
            Ok((ladders, kept)) => return Desk::new(ladders.unwrap_or_default(), kept),
            Err(no) => console.world.tell(&format!("incidents: {}", no.0.message)),
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

/// First what is to be kept is on the medium, with what people are told; then remedies begin.
async fn obey(console: &Arc<Console>, commands: Vec<Command>) {
    let (mut incidents, mut notices, mut tasks) = (Vec::<Incident>::new(), Vec::new(), Vec::new());
    for command in commands {
        match command {
            Command::Keep(incident) => {
                incidents.retain(|other| other.number != incident.number);
                incidents.push(*incident);
            }
            Command::Notify(notice) => notices.push(notice),
            Command::Remedy(task) => tasks.push(task),
        }
    }
    if incidents.is_empty() && notices.is_empty() && tasks.is_empty() {
        return;
    }
    for incident in &incidents {
        tell(console, incident);
    }
    match keep(console, &incidents, &notices, &tasks).await {
        Ok(()) => {
            for task in tasks {
                tokio::spawn(remedies::attend(Arc::clone(console), task));
            }
        }
        Err(no) => {
            // What is not on record is not done.
            console.world.tell(&format!("incidents: {}", no.0.message));
            for Task { node, fence, .. } in tasks {
                let outcome = Outcome::Failed(no.0.message.clone());
                console.incidents.say(Event::Outcome { node, fence, outcome });
            }
        }
    }
    console.live.happen();
}

async fn keep(
    console: &Console,
    incidents: &[Incident],
    notices: &[Box<Notice>],
    tasks: &[Task],
) -> Result<(), No> {
    for some in incidents.chunks(WRITES) {
        let transaction = some.iter().fold(Transaction::new(), kept::put);
        console.commit(transaction).await?;
    }
    if !tasks.is_empty() {
        let put = |transaction, task: &Task| kept::put_fence(transaction, task.node, task.fence);
        console.commit(tasks.iter().fold(Transaction::new(), put)).await?;
    }
    for notice in notices {
        console.post.send(console, notice).await?;
    }
    Ok(())
}

fn tell(console: &Console, incident: &Incident) {
    if let Some(last) = incident.timeline.last() {
        let what = serde_json::to_string(&last.what).unwrap_or_default();
        console.world.tell(&format!("{}: {}: {what}", incident.number, incident.cause));
    }
}
