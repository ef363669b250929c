//! The checks of a node's statement (PROTOCOL, "Lease and Fig. 6", step 4). Pure: what was promised and what
//! the node signed go in, what holds comes out.
//!
//! A statement is worth what N is worth: whoever hands out a node's statement could have made the node. So N is
//! compared with what a person read elsewhere, and where nobody did, that is said.

use console_api::Check;
use id::{Digest, Epoch, KeyId, LeaseId, NodeId, Nonce, PublicKey, TierId};
use keys::{NodeRecord as _, Statement};

/// What a statement must say.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// The node that the offer names.
    pub(crate) node: NodeId,
    /// N as somebody else than the grantor said.
    pub(crate) node_key: Option<KeyId>,
    /// All the console's controller keys.
    pub(crate) controllers: Vec<PublicKey>,
    pub(crate) tier: TierId,
    pub(crate) lease: LeaseId,
    pub(crate) epoch: Expect<Epoch>,
    pub(crate) boundary: Expect<Option<Digest>>,
    pub(crate) directory: Expect<Option<PublicKey>>,
    pub(crate) nonce: Option<Nonce>,
    /// The identity must be another one than this.
    pub(crate) not_identity: Option<PublicKey>,
    /// The identity must be this one: who shows the statement has proved to have it.
    pub(crate) identity: Option<PublicKey>,
}

/// What is expected of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect<T> {
    /// Exactly this.
    Is(T),
    /// More than this.
    After(T),
    /// Whatever it says.
    Any,
}

/// What came of the checks.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    /// The statement, if all holds.
    pub(crate) statement: Option<Statement>,
    pub(crate) checks: Vec<Check>,
}

impl Checked {
    /// The first thing that does not hold.
    pub(crate) fn fault(&self) -> Option<&Check> {
        self.checks.iter().find(|check| !check.holds)
    }
}

/// Checks an envelope. Nothing in it is looked at before its signature holds.
pub(crate) fn check(envelope: &[u8], expected: &Expected) -> Checked {
    let mut checks = Vec::new();
    let mut say = |check: &str, holds, found: String| {
        checks.push(Check { check: check.to_owned(), holds, found });
        holds
    };
    let statement = match Statement::verify(envelope, None) {
        Ok(statement) => statement,
        Err(invalid) => {
            say("signature", false, told(&invalid));
            return Checked { statement: None, checks };
        }
    };
    let mut holds = say("signature", true, format!("by node {}", statement.node));
    holds &= say("node-key", is_node(&statement, expected), node_told(&statement, expected));
    holds &= say("controllers", statement.controllers == sorted(expected), keys_told(&statement, expected));
    holds &= say("tier", statement.tier == expected.tier, statement.tier.to_string());
    holds &= say("lease", statement.lease == expected.lease, statement.lease.to_string());
    holds &= say("epoch", expected.epoch.met(&statement.epoch), statement.epoch.to_string());
    holds &=
        say("boundary", expected.boundary.met(&statement.boundary), or_none(statement.boundary.as_ref()));
    let directory = expected.directory.met(&statement.directory);
    holds &= say("directory", directory, or_none(statement.directory.as_ref()));
    holds &= say("nonce", statement.nonce == expected.nonce, or_none(statement.nonce.as_ref()));
    holds &= say("identity", identity_is_right(&statement, expected), or_none(statement.identity.as_ref()));
    Checked { statement: holds.then_some(statement), checks }
}

fn is_node(statement: &Statement, expected: &Expected) -> bool {
    statement.node == expected.node && expected.node_key.is_none_or(|key| statement.node.0 == key)
}

fn node_told(statement: &Statement, expected: &Expected) -> String {
    match expected.node_key {
        Some(key) if statement.node.0 != key => format!("it is by node {}, not by {key}", statement.node),
        Some(_) => format!("{}, as confirmed", statement.node),
        None => format!("{}, by the grantor's word alone", statement.node),
    }
}

fn sorted(expected: &Expected) -> Vec<PublicKey> {
    let mut keys = expected.controllers.clone();
    keys.sort_unstable();
    keys
}

/// Whose key should not be there, or which is missing.
fn keys_told(statement: &Statement, expected: &Expected) -> String {
    let foreign = statement.controllers.iter().find(|key| !expected.controllers.contains(key));
    let missing = expected.controllers.iter().find(|key| !statement.controllers.contains(key));
    match (foreign, missing) {
        (Some(key), _) => format!("{} may give orders too, and is not this console's", key.id()),
        (None, Some(key)) => format!("{} may give no orders", key.id()),
        (None, None) => format!("{}, all this console's", statement.controllers.len()),
    }
}

fn identity_is_right(statement: &Statement, expected: &Expected) -> bool {
    let Some(identity) = statement.identity else { return false };
    expected.not_identity != Some(identity) && expected.identity.is_none_or(|wanted| wanted == identity)
}

impl<T: PartialEq + PartialOrd> Expect<T> {
    fn met(&self, found: &T) -> bool {
        match self {
            Self::Is(wanted) => found == wanted,
            Self::After(before) => found > before,
            Self::Any => true,
        }
    }
}

fn or_none(value: Option<&impl ToString>) -> String {
    value.map_or_else(|| "none".to_owned(), ToString::to_string)
}

/// An error with its causes.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}
