//! What the supervisor says to the launcher, and an unpacker to the supervisor.

use serde::{Deserialize, Serialize};

/// What a launcher is told, with the stream to the shim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StartShim {}

/// What came of unpacking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub(crate) enum Unpacked {
    /// The image lies in its folder.
    Done {},
    /// It does not.
    Failed { why: String },
}
