//! Backup nodes: which there are, and how one takes a failed node's place.

mod activate;
mod routes;

pub(crate) use activate::activate;
pub(crate) use routes::routes;

use id::{Name, NodeId, Time};
use serde::{Deserialize, Serialize};
use store::Key;

use crate::api::No;
use crate::records::{self, Read, key};
use crate::state::Console;

/// A node that is kept to take another's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spare {
    pub(crate) node: NodeId,
    /// The clusters that it is for; none: any.
    pub(crate) cluster: Option<Name>,
    pub(crate) added: Time,
    /// Whose place it takes; none: it is ready.
    pub(crate) place_of: Option<NodeId>,
    pub(crate) since: Option<Time>,
}

pub(crate) fn spare_key(node: NodeId) -> Key {
    key(format!("spare/{node}"))
}

impl Console {
    pub(crate) fn spares(&self) -> Result<Vec<Read<Spare>>, No> {
        records::all(self.store(), "spare/")
    }
}
