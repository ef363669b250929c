//! The consoles that are dialled: a task each, which ends with its console's place in the list.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use channel::{Dialler, Told};
use node_protocol::courier::{CONSOLES_MAX, Console};
use tokio::task::JoinHandle;

use crate::supervisor::Calls;
use crate::{chain, say};

/// The tasks.
pub(crate) struct Consoles {
    dialler: Dialler,
    calls: Arc<Calls>,
    kept: HashMap<Console, Keeping>,
}

/// A task that keeps a connection; it is given up, connection and all, when this is dropped.
struct Keeping(JoinHandle<()>);

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Consoles {
    pub(crate) fn new(dialler: Dialler, calls: Arc<Calls>) -> Self {
        Self { dialler, calls, kept: HashMap::new() }
    }

    /// The consoles are these from now on. What stays the same stays connected.
    pub(crate) fn are(&mut self, mut consoles: Vec<Console>) {
        consoles.truncate(CONSOLES_MAX);
        self.kept.retain(|console, _keeping| consoles.contains(console));
        for console in consoles {
            if !self.kept.contains_key(&console) {
                let keeping = self.keep(console.clone());
                self.kept.insert(console, keeping);
            }
        }
    }

    fn keep(&self, console: Console) -> Keeping {
        let (dialler, calls) = (self.dialler.clone(), Arc::clone(&self.calls));
        let told = Telling::default();
        Keeping(tokio::spawn(async move {
            dialler.keep(&console, calls, random, |now| told.tell(&now)).await;
        }))
    }
}

/// Without randomness the pause is the longest of its round.
fn random() -> u32 {
    os::random::bytes().map_or(u32::MAX, u32::from_ne_bytes)
}

/// Says what changed, and not each failure of a row.
#[derive(Default)]
struct Telling(Mutex<bool>);

impl Telling {
    fn tell(&self, told: &Told<'_>) {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match told {
            Told::Connected(key, address) => {
                *failing = false;
                say(&format!("console {} at {address}: connected", key.id()));
            }
            Told::Ended(key) => say(&format!("console {}: the connection ended", key.id())),
            Told::Failed(key, why) => {
                if !std::mem::replace(&mut *failing, true) {
                    say(&format!("console {}: {}", key.id(), chain(why)));
                }
            }
        }
    }
}
