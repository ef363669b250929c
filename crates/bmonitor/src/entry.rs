//! What a record of the journal says: an input with what came of it.

use id::KeyId;
use serde::{Deserialize, Serialize};
use tenure::{Change, Input, Refusal, Tenure};

/// A record's entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub(crate) enum Entry {
    /// The input was accepted; these are the changes, which a replay applies and never decides again.
    Decided { input: Input, changes: Vec<Change> },
    /// The input, of a signer whom the node knows, was refused. `unrecorded` refusals of this key since the
    /// last one on record were not recorded. What a set's content would be told by stays out: every tier reads the
    /// journal.
    Refused {
        input: Input,
        refusal: Refusal,
        #[serde(default, skip_serializing_if = "is_zero")]
        unrecorded: u64,
    },
    /// Segments that are older than `before`, the first record of another, go from the medium now: there were
    /// more than are kept.
    Forgotten { before: u64 },
    /// A signed payload of a known key that is no order.
    NoOrder {
        signer: KeyId,
        why: String,
        #[serde(default, skip_serializing_if = "is_zero")]
        unrecorded: u64,
    },
}

/// What a snapshot says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Snapshot {
    pub(crate) tenure: Tenure,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
