//! Inputs: everything that may change a tenure. Each carries its time; each is recorded with what came of it.

use id::{Digest, Epoch, KeyId, Name, NodeId, PublicKey, TierId, Time};
use serde::{Deserialize, Serialize};

use crate::console::Console;
use crate::order::{ControllerKey, Order};
use crate::procedure::{ProcedureId, Step};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Input {
    /// The node's first start, from `enrolment.json`.
    Enrolment(Enrolment),
    /// An order whose signature the caller has verified.
    Order(Box<Verified>),
    /// Time passed. Given at every term that ends or begins ([`crate::World::wake_at`]).
    Lapse {
        /// The clock.
        at: Time,
    },
    /// The step of a procedure is done in the world.
    Outcome(Outcome),
}

/// What `enrolment.json` says, with what the node drew for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The node's own key's id.
    pub node: NodeId,
    /// The digest of the file; it also names the procedure that makes the root's identity.
    pub document: Digest,
    /// The root tier's name on this node.
    pub name: Name,
    /// The root's controller keys.
    pub controllers: Vec<ControllerKey>,
    /// The root's consoles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consoles: Vec<Console>,
    /// The key that signs the directories which this node takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PublicKey>,
    /// Random bytes for the root's ids.
    pub fresh: Fresh,
    /// The clock.
    pub at: Time,
}

/// An order as it was received and verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verified {
    /// The payload, parsed from the bytes that were verified.
    pub order: Order,
    /// The key under which the signature verified.
    pub signer: KeyId,
    /// The digest of the envelope as received; it names the procedure that the order begins.
    pub envelope: Digest,
    /// Random bytes for ids that the order makes; drawn by the shell for every order.
    pub fresh: Fresh,
    /// The clock.
    pub at: Time,
}

/// Random ids for what an input makes; used only if it makes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fresh {
    /// For a new tier.
    pub tier: TierId,
    /// For a new lease.
    pub lease: id::LeaseId,
}

impl Fresh {
    /// The ids made of 32 random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let (mut tier, mut lease) = ([0; 16], [0; 16]);
        tier.copy_from_slice(&bytes[..16]);
        lease.copy_from_slice(&bytes[16..]);
        Self { tier: TierId::from_bytes(tier), lease: id::LeaseId::from_bytes(lease) }
    }
}

/// A step that is done. Steps are accepted in the order of [`Step`] only; one that was accepted before
/// changes nothing, so that after a crash the effect may simply be done and told again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Which procedure.
    pub procedure: ProcedureId,
    /// What is done.
    pub step: Step,
    /// With [`Step::Remade`]: what custody made, for each tier that has no identity of its present epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<Made>,
    /// The clock.
    pub at: Time,
}

/// A new identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// Whose.
    pub tier: TierId,
    /// Of which epoch.
    pub epoch: Epoch,
    /// The digest of its public part U.
    pub identity: Digest,
}

impl Input {
    /// The clock when it happened.
    #[must_use]
    pub fn at(&self) -> Time {
        match self {
            Self::Enrolment(Enrolment { at, .. })
            | Self::Lapse { at }
            | Self::Outcome(Outcome { at, .. }) => *at,
            Self::Order(verified) => verified.at,
        }
    }
}
