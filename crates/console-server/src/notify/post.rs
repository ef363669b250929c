//! The post: what waits, what is under way, what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use id::{INTEGER_MAX, Name};
use incident::{Event, Kind, Notice, Subject, Symptom};
use notify::{Delivery, DeliveryState, Message, Page, TROUBLE_AFTER, deliver, pause};
use store::{Key, Store, Transaction};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::api::No;
use crate::records::{self, key, value};
use crate::state::Console;

/// The most deliveries that are kept; the oldest make room.
const DELIVERIES_MAX: u64 = 10_000;

/// The most that wait; past that nothing is told to a receiver that takes nothing: it has an incident by then.
const WAITING_MAX: usize = 1000;

pub(super) const DELIVERIES: &str = "delivery/";

/// How long to wait when nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// What waits for receivers.
pub(crate) struct Post {
    state: Mutex<State>,
    poke: Notify,
}

#[derive(Default)]
struct State {
    newest: u64,
    waiting: BTreeMap<u64, (Delivery, Instant)>,
    /// Attempts in vain since the last that was not, by receiver.
    failing: BTreeMap<Name, u32>,
}

/// The newest is the first.
fn delivery_key(number: u64) -> Key {
    key(format!("{DELIVERIES}{:016}", INTEGER_MAX - number))
}

impl Post {
    /// With what the console left undelivered.
    pub(crate) fn open(store: &dyn Store) -> Result<Self, No> {
        let mut state = State::default();
        for read in records::all::<Delivery>(store, DELIVERIES)? {
            let inverted = read.entry.key.as_str().trim_start_matches(DELIVERIES).parse::<u64>();
            let number = INTEGER_MAX - inverted.unwrap_or(INTEGER_MAX).min(INTEGER_MAX);
            state.newest = state.newest.max(number);
            if read.value.state == DeliveryState::Pending {
                state.waiting.insert(number, (read.value, Instant::now()));
            }
        }
        Ok(Self { state: Mutex::new(state), poke: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the receivers of a notice told: when this comes back it is on the medium.
    pub(crate) async fn send(&self, console: &Console, notice: &Notice) -> Result<(), No> {
        let about = match &notice.incident.subject {
            Subject::Receiver(name) => Some(name),
            Subject::Node(_) | Subject::Engine { .. } | Subject::Console => None,
        };
        let now = console.world.now();
        for receiver in &console.opened.settings.receiver {
            let wanted = notice.to.is_empty() || notice.to.contains(&receiver.name);
            // Who cannot be told is not told of that.
            if !wanted || about == Some(&receiver.name) {
                continue;
            }
            let page = Page {
                party: console.opened.settings.name.as_str(),
                name_of: &|node| console.node_name(node),
                kind: notice.kind,
            };
            let message = Message::page(new_id(console)?, page, &notice.incident, now);
            let delivery = Delivery::new(message, receiver.name.clone(), Some(notice.incident.number), now);
            self.add(console, delivery).await?;
        }
        Ok(())
    }

    /// Sends a test.
    pub(super) async fn test(&self, console: &Console, receiver: &Name) -> Result<Delivery, No> {
        let now = console.world.now();
        let message = Message::test(new_id(console)?, console.opened.settings.name.as_str(), now);
        let delivery = Delivery::new(message, receiver.clone(), None, now);
        self.add(console, delivery.clone()).await?;
        Ok(delivery)
    }

    async fn add(&self, console: &Console, delivery: Delivery) -> Result<(), No> {
        let number = {
            let mut state = self.state();
            if state.waiting.len() >= WAITING_MAX {
                console.world.tell("notify: too many messages wait; this one is not sent");
                return Ok(());
            }
            state.newest += 1;
            state.newest
        };
        let mut transaction = Transaction::new().put(&delivery_key(number), value(&delivery));
        if let Some(old) = number.checked_sub(DELIVERIES_MAX) {
            transaction = transaction.remove(&delivery_key(old));
        }
        console.commit(transaction).await?;
        self.state().waiting.insert(number, (delivery, Instant::now()));
        self.poke.notify_one();
        Ok(())
    }

    /// How many wait for a receiver, and how often it was tried in vain of late.
    pub(super) fn standing(&self, receiver: &Name) -> (u32, u32) {
        let state = self.state();
        let waiting = state.waiting.values().filter(|(delivery, _)| delivery.receiver == *receiver).count();
        let failing = state.failing.get(receiver).copied().unwrap_or_default();
        (u32::try_from(waiting).unwrap_or(u32::MAX), failing)
    }

    /// What is due: the oldest of each receiver that is not being served. When to look again.
    fn due(&self, served: &BTreeSet<Name>) -> (Vec<(u64, Delivery)>, Instant) {
        let (state, now) = (self.state(), Instant::now());
        let (mut due, mut chosen, mut next) = (Vec::new(), served.clone(), now + IDLE);
        for (number, (delivery, at)) in &state.waiting {
            if chosen.contains(&delivery.receiver) {
                continue;
            }
            if *at <= now {
                chosen.insert(delivery.receiver.clone());
                due.push((*number, delivery.clone()));
            } else {
                next = next.min(*at);
            }
        }
        (due, next)
    }

    /// Writes down what came of an attempt.
    async fn ended(
        &self,
        console: &Console,
        number: u64,
        mut delivery: Delivery,
        ended: Result<String, String>,
    ) {
        let random = console.world.random().map_or(0, |bytes| bytes[0]);
        delivery.attempted(console.world.now(), ended);
        let taken = delivery.state == DeliveryState::Delivered;
        let failing = {
            let mut state = self.state();
            let failing = state.failing.entry(delivery.receiver.clone()).or_default();
            *failing = if taken { 0 } else { failing.saturating_add(1) };
            let failing = *failing;
            if delivery.state == DeliveryState::Pending {
                let again = Instant::now() + pause(delivery.tried, random);
                state.waiting.insert(number, (delivery.clone(), again));
            } else {
                state.waiting.remove(&number);
            }
            failing
        };
        if let Err(no) = console.commit(Transaction::new().put(&delivery_key(number), value(&delivery))).await
        {
            // It is tried again after a start, with the same id.
            console.world.tell(&format!("notify: {}", no.0.message));
        }
        let subject = Subject::Receiver(delivery.receiver.clone());
        if taken {
            console.incidents.say(Event::Cleared { subject, kind: Kind::DeliveryFailed });
        } else if failing >= TROUBLE_AFTER {
            let detail = delivery.attempts.last().map(|attempt| attempt.told.clone()).unwrap_or_default();
            let at = console.world.now();
            let symptom = Symptom { subject, kind: Kind::DeliveryFailed, detail, cluster: None, at };
            console.incidents.say(Event::Symptom(symptom));
        }
    }
}

/// Delivers for as long as the console runs: one message at a time to each receiver, so that none overtakes another
/// and a slow one keeps nobody else waiting.
pub(crate) async fn follow(console: Arc<Console>) -> Infallible {
    let mut attempts = JoinSet::new();
    let mut served = BTreeSet::new();
    loop {
        let (due, next) = console.post.due(&served);
        for (number, delivery) in due {
            served.insert(delivery.receiver.clone());
            attempts.spawn(attempt(Arc::clone(&console), number, delivery));
        }
        tokio::select! {
            Some(ended) = attempts.join_next() => {
                if let Ok((number, delivery, ended)) = ended {
                    served.remove(&delivery.receiver);
                    console.post.ended(&console, number, delivery, ended).await;
                }
            }
            () = console.post.poke.notified() => {}
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

async fn attempt(
    console: Arc<Console>,
    number: u64,
    delivery: Delivery,
) -> (u64, Delivery, Result<String, String>) {
    let receivers = &console.opened.settings.receiver;
    let ended = match receivers.iter().find(|receiver| receiver.name == delivery.receiver) {
        Some(receiver) => {
            let now = console.world.now();
            let delivered = deliver(receiver, &console.opened.path, &delivery.message, now).await;
            delivered.map_err(|undelivered| undelivered.told())
        }
        None => Err("the settings do not name this receiver any more".to_owned()),
    };
    (number, delivery, ended)
}

fn new_id(console: &Console) -> Result<String, No> {
    let random = console.world.random_16()?;
    Ok(random.iter().fold("msg_".to_owned(), |mut id, byte| {
        // A text that grows in memory does not fail.
        write!(id, "{byte:02x}").unwrap_or_default();
        id
    }))
}
