//! The one body of every answer that says no.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Why something was not done. A node's refusal comes with its own code, hint and details, unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Stable: `not-found`, `exceeds-boundary`.
    pub code: String,
    /// A sentence for a person: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Which request it was, for whoever reads the console's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The exit code of a command that is told this.
    pub exit: u8,
    /// What the code's own shape has to say, as a node's witness packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub details: Option<Value>,
}

/// The exit codes of FORMATS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// It failed.
    Failed = 1,
    /// It was asked wrongly.
    Usage = 2,
    /// A rule or a higher tier says no.
    Refused = 3,
    /// Nobody who is known here asked.
    NotAuthenticated = 4,
    /// There is no such thing.
    NotFound = 5,
    /// The plan was made on a state that is gone.
    Stale = 6,
    /// It took too long.
    TimedOut = 7,
    /// A plan was made, and it changes something.
    Changes = 10,
}

impl Problem {
    /// A problem of the console's own.
    #[must_use]
    pub fn new(code: &str, exit: Exit, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            hint: None,
            request_id: None,
            exit: exit as u8,
            details: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<node_protocol::call::Refused> for Problem {
    fn from(refused: node_protocol::call::Refused) -> Self {
        let node_protocol::call::Refused { code, exit, message, hint, details } = refused;
        Self { code, message, hint, request_id: None, exit, details }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}
