//! What the supervisor asks of custody. One request and one answer a process: custody is started, asked,
//! answers and ends.
//!
//! No message names a secret and none gives one out: keys go in as "make", come out as public halves,
//! commitments and signatures.

use id::{Digest, Epoch, NodeId, TierId};
use serde::{Deserialize, Serialize};

/// What is asked. In JSON: `{"ask": "make-node"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Make the node's key N, once for the node's life: a second time is [`Reply::Failed`].
    MakeNode {},
    /// Say which key N is.
    Node {},
    /// Make identity, secret and salt S of tiers, for one epoch each; what is there for that epoch stays.
    MakeTiers {
        /// Which.
        tiers: Vec<TierEpoch>,
    },
    /// Destroy identity, secret and S of tiers, in every epoch up to the one named; what is gone is gone.
    DestroyTiers {
        /// Which.
        tiers: Vec<TierEpoch>,
    },
    /// Sign with N. Attachment: the payload. The reply's attachment is the envelope.
    Sign {
        /// What the payload is: a receipt, a statement or a head, never an order.
        what: Signed,
    },
}

/// What N signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signed {
    /// `keys::Receipt`.
    Receipt,
    /// `keys::Statement`.
    Statement,
    /// `keys::Head`.
    Head,
}

/// A tier's key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierEpoch {
    /// The tier.
    pub tier: TierId,
    /// The epoch.
    pub epoch: Epoch,
}

/// What custody says. In JSON: `{"reply": "signed"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// The node's key.
    Node {
        /// Its id.
        node: NodeId,
        /// N, as `ed25519:…`.
        key: String,
    },
    /// The tiers' public halves.
    Tiers {
        /// One for each that was asked for.
        made: Vec<Made>,
    },
    /// What no longer exists.
    Destroyed {
        /// Commitments to the secrets that were there.
        destroyed: Vec<Digest>,
    },
    /// Attachment: the envelope.
    Signed {},
    /// It was not done.
    Failed {
        /// Why, for a person.
        message: String,
    },
}

/// A tier's public half.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// The tier.
    pub tier: TierId,
    /// The epoch.
    pub epoch: Epoch,
    /// The identity U, as `ed25519:…`.
    pub identity: String,
    /// A commitment to the secret, which a receipt repeats when it is gone.
    pub commitment: Digest,
}
