//! What is known of nodes now, and forgotten at the end: who is connected, what they said last. Nothing of it
//! is ever written.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use channel::Link;
use console_api::Stranger;
use id::{NodeId, PublicKey, TierId, Time};
use node_protocol::call::{EngineStatus, Status};
use tokio::sync::watch;

/// After this long without a word nothing is known of a node: three times what it should take.
pub(crate) const SILENCE: Duration = Duration::from_secs(3);

/// Strangers who are remembered; more push out the oldest.
const STRANGERS_MAX: usize = 256;

/// A tier on a node.
pub(crate) type Place = (NodeId, TierId);

/// The living part of a console.
#[derive(Debug)]
pub(crate) struct Live {
    state: Mutex<State>,
    /// Counts whatever happens with nodes: who waits for something looks again when it grows.
    happened: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    links: BTreeMap<Place, Arc<Link>>,
    heard: BTreeMap<Place, Heard>,
    window: Option<(Time, Instant)>,
    strangers: BTreeMap<PublicKey, Introduced>,
}

/// What a node said last.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) status: Option<Status>,
    pub(crate) at: Time,
    since: Instant,
}

/// A sign of life.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pulse {
    pub(crate) place: Place,
    pub(crate) heard: Instant,
    /// None: it is not connected.
    pub(crate) from: Option<IpAddr>,
}

impl Heard {
    pub(crate) fn is_fresh(&self) -> bool {
        self.is_within(SILENCE)
    }

    pub(crate) fn is_within(&self, span: Duration) -> bool {
        self.since.elapsed() < span
    }
}

/// A stranger who introduced itself.
#[derive(Debug, Clone)]
pub(crate) struct Introduced {
    pub(crate) shown: Stranger,
    /// What the node signed about it.
    pub(crate) envelope: String,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), happened: watch::Sender::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened.
    pub(crate) fn happen(&self) {
        self.happened.send_modify(|count| *count += 1);
    }

    /// To wait for the next thing that happens.
    pub(crate) fn happenings(&self) -> watch::Receiver<u64> {
        self.happened.subscribe()
    }

    /// A tier's courier is connected; the one before is not any more.
    pub(crate) fn connected(&self, place: Place, link: Arc<Link>, at: Time) {
        let mut state = self.state();
        state.links.insert(place, link);
        state.heard.insert(place, Heard { status: None, at, since: Instant::now() });
        drop(state);
        self.happen();
    }

    /// The connection ended; a newer one stays.
    pub(crate) fn disconnected(&self, place: Place, link: &Arc<Link>) {
        let mut state = self.state();
        if state.links.get(&place).is_some_and(|present| Arc::ptr_eq(present, link)) {
            state.links.remove(&place);
        }
        drop(state);
        self.happen();
    }

    pub(crate) fn heard(&self, place: Place, status: Status, at: Time) {
        let warnings = status.warnings.clone();
        let heard = Heard { status: Some(status), at, since: Instant::now() };
        let before = self.state().heard.insert(place, heard).and_then(|heard| heard.status);
        // What comes each second wakes nobody; what the node warns of anew does.
        if before.is_none_or(|before| before.warnings != warnings) {
            self.happen();
        }
    }

    /// When each tier's courier was heard last, and from where it is connected.
    pub(crate) fn pulses(&self) -> Vec<Pulse> {
        let state = self.state();
        let pulse = |(place, heard): (&Place, &Heard)| {
            let from = state.links.get(place).map(|link| link.from().ip());
            Pulse { place: *place, heard: heard.since, from }
        };
        state.heard.iter().map(pulse).collect()
    }

    /// How a tier's engines are, as its node said last; nothing where it has said nothing on this connection.
    pub(crate) fn engines(&self, place: Place) -> Option<Vec<EngineStatus>> {
        let state = self.state();
        let status = state.heard.get(&place).and_then(|heard| heard.status.as_ref())?;
        let tier = status.tiers.iter().find(|tier| tier.tier == place.1);
        Some(tier.map(|tier| tier.engines.clone()).unwrap_or_default())
    }

    pub(crate) fn link(&self, place: Place) -> Option<Arc<Link>> {
        self.state().links.get(&place).cloned()
    }

    pub(crate) fn last_heard(&self, place: Place) -> Option<Heard> {
        self.state().heard.get(&place).cloned()
    }

    /// How many tiers' couriers are connected.
    pub(crate) fn connections(&self) -> usize {
        self.state().links.len()
    }

    /// Opens the window in which strangers may introduce themselves.
    pub(crate) fn open_window(&self, until: Time, span: Duration) {
        self.state().window = Some((until, Instant::now() + span));
        self.happen();
    }

    pub(crate) fn close_window(&self) {
        let mut state = self.state();
        state.window = None;
        state.strangers.clear();
        drop(state);
        self.happen();
    }

    /// Until when the window is open.
    pub(crate) fn window(&self) -> Option<(Time, Instant)> {
        self.state().window.filter(|(_, deadline)| *deadline > Instant::now())
    }

    pub(crate) fn introduced(&self, identity: PublicKey, introduced: Introduced) {
        let mut state = self.state();
        state.strangers.insert(identity, introduced);
        if state.strangers.len() > STRANGERS_MAX {
            let oldest = state.strangers.iter().min_by_key(|(_, stranger)| stranger.shown.at);
            if let Some(oldest) = oldest.map(|(identity, _)| *identity) {
                state.strangers.remove(&oldest);
            }
        }
        drop(state);
        self.happen();
    }

    pub(crate) fn strangers(&self) -> Vec<Introduced> {
        self.state().strangers.values().cloned().collect()
    }

    pub(crate) fn confirmed(&self, identity: &PublicKey) {
        self.state().strangers.remove(identity);
        self.happen();
    }
}
