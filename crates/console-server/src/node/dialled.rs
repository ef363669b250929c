//! Who waits for a node that dials by itself.

use std::sync::Arc;
use std::time::Duration;

use channel::Link;
use tokio::time::{Instant, timeout_at};

use super::live::Place;
use crate::api::No;
use crate::order::unreachable;
use crate::records::KnownNode;
use crate::state::Console;

/// A node that was heard so short a time ago is on its way back, if it lives: with a new identity when its tier was just
/// taken over, or after its courier or its supervisor ended.
const A_MOMENT_AGO: Duration = Duration::from_secs(10);

/// How long it is waited for. A courier rests for some tenths of a second between two tries.
const PATIENCE: Duration = Duration::from_secs(5);

impl Console {
    /// The connection of a tier. Where there was one a moment ago, and there will be another in a moment, it is waited
    /// for. `but` is one that is known to have ended.
    pub(crate) async fn dialled(
        &self,
        node: &KnownNode,
        place: Place,
        but: Option<&Arc<Link>>,
    ) -> Result<Arc<Link>, No> {
        let mut happenings = self.live.happenings();
        let was_here = self.live.last_heard(place).is_some_and(|heard| heard.is_within(A_MOMENT_AGO));
        let deadline = Instant::now() + PATIENCE;
        loop {
            happenings.mark_unchanged();
            let link = self.live.link(place);
            if let Some(link) = link.filter(|link| but.is_none_or(|but| !Arc::ptr_eq(link, but))) {
                return Ok(link);
            }
            if !was_here {
                return Err(unreachable(&node.name));
            }
            if timeout_at(deadline, happenings.changed()).await.is_err() {
                let mut no = unreachable(&node.name);
                let waited = PATIENCE.as_secs();
                no.0.message =
                    format!("{}; it was a moment ago, and was waited for {waited} s", no.0.message);
                return Err(no);
            }
        }
    }
}
