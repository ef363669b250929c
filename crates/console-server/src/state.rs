//! What a running console has: its folder's content, its links, what it learnt.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::World;
use crate::folder::Opened;

/// The console, shared by everything that serves.
pub(crate) struct Console {
    pub(crate) opened: Opened,
    pub(crate) world: World,
    /// The first half of every request's id: another one at each start.
    started: String,
    requests: AtomicU64,
}

impl Console {
    pub(crate) fn new(opened: Opened, world: World) -> Arc<Self> {
        let started = format!("{:x}", world.now().as_millis());
        Arc::new(Self { opened, world, started, requests: AtomicU64::new(0) })
    }

    /// A name for one request.
    pub(crate) fn request_id(&self) -> String {
        format!("{}-{}", self.started, self.requests.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
