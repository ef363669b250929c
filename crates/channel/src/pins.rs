//! The identities that a console lets in, and their connections. Both change together, under one lock: no
//! connection outlives its pin.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use id::PublicKey;

use crate::cut::{Held, Hold, hold};
use crate::tls::Admit;

/// A live set of pinned identities; a clone is the same set.
#[derive(Debug, Clone, Default)]
pub struct Pins(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    pinned: BTreeSet<PublicKey>,
    /// How many strangers may be connected at once.
    strangers_at_most: usize,
    connections: BTreeMap<PublicKey, Connection>,
    last: u64,
}

#[derive(Debug)]
struct Connection {
    number: u64,
    stranger: bool,
    _hold: Hold,
}

/// A place in the set: the connection that has it is cut when the set says so.
#[derive(Debug)]
pub(crate) struct Seat {
    pins: Pins,
    identity: PublicKey,
    number: u64,
    pub(crate) stranger: bool,
    pub(crate) held: Held,
}

impl Pins {
    /// A set of these identities.
    pub fn new(identities: impl IntoIterator<Item = PublicKey>) -> Self {
        let pins = Self::default();
        pins.replace(identities);
        pins
    }

    /// Whether the identity is pinned.
    #[must_use]
    pub fn contains(&self, identity: &PublicKey) -> bool {
        self.state().pinned.contains(identity)
    }

    /// Pins an identity. If it is connected as a stranger, that connection ends: it comes back as what it
    /// is now.
    pub fn insert(&self, identity: PublicKey) {
        let mut state = self.state();
        state.pinned.insert(identity);
        state.connections.retain(|of, connection| *of != identity || !connection.stranger);
    }

    /// Takes a pin out; the connection of that identity is cut before this returns. Whether it was there.
    pub fn remove(&self, identity: &PublicKey) -> bool {
        let mut state = self.state();
        state.connections.remove(identity);
        state.pinned.remove(identity)
    }

    /// The pinned identities are these from now on; connections of others are cut.
    pub fn replace(&self, identities: impl IntoIterator<Item = PublicKey>) {
        let mut state = self.state();
        state.pinned = identities.into_iter().collect();
        let State { pinned, connections, .. } = &mut *state;
        connections.retain(|of, connection| connection.stranger || pinned.contains(of));
    }

    /// Opens the enrolment window: identities that are not pinned are let in as strangers, so many at once. When
    /// one more comes, the oldest is cut: honest ones say in some milliseconds what they are, and nobody can keep
    /// others out by being silent.
    pub fn open_window(&self, strangers_at_most: usize) {
        self.state().strangers_at_most = strangers_at_most;
    }

    /// Closes the enrolment window; the connections of strangers are cut.
    pub fn close_window(&self) {
        let mut state = self.state();
        state.strangers_at_most = 0;
        state.connections.retain(|_of, connection| !connection.stranger);
    }

    /// The identities that are connected and pinned.
    #[must_use]
    pub fn connected(&self) -> Vec<PublicKey> {
        let state = self.state();
        let pinned = state.connections.iter().filter(|(_of, connection)| !connection.stranger);
        pinned.map(|(of, _connection)| *of).collect()
    }

    /// A seat for an identity whose handshake is done; none if it is not admitted (any more). An older
    /// connection of the same identity is cut: the node dials anew when it has lost one.
    pub(crate) fn seat(&self, identity: PublicKey) -> Option<Seat> {
        let mut state = self.state();
        let stranger = !state.pinned.contains(&identity);
        if stranger && !state.make_room() {
            return None;
        }
        state.last += 1;
        let number = state.last;
        let (hold, held) = hold();
        state.connections.insert(identity, Connection { number, stranger, _hold: hold });
        drop(state);
        Some(Seat { pins: self.clone(), identity, number, stranger, held })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is whole before the lock is given back, also by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Cuts the strangers that have been here longest, until one more may come; false: none may.
    fn make_room(&mut self) -> bool {
        let mut strangers: Vec<_> = self
            .connections
            .iter()
            .filter(|(_of, connection)| connection.stranger)
            .map(|(of, connection)| (connection.number, *of))
            .collect();
        strangers.sort_unstable();
        let room = self.strangers_at_most.saturating_sub(1);
        let surplus = strangers.len().saturating_sub(room);
        for (_number, oldest) in strangers.into_iter().take(surplus) {
            self.connections.remove(&oldest);
        }
        self.strangers_at_most > 0
    }
}

impl Admit for Pins {
    fn admits(&self, key: &PublicKey) -> bool {
        let state = self.state();
        state.pinned.contains(key) || state.strangers_at_most > 0
    }
}

impl Seat {
    /// Cuts this connection.
    pub(crate) fn leave(&self) {
        let mut state = self.pins.state();
        let own = state.connections.get(&self.identity).is_some_and(|of| of.number == self.number);
        if own {
            state.connections.remove(&self.identity);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}
