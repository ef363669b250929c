//! What a node signs with its own key N: receipts, statements, journal heads (docs/receipts.md).
//!
//! Each carries N's public key, so that it can be checked alone; that it *is* N's one knows only
//! from somewhere else (PROTOCOL, "Lease and Fig. 6").

use id::{Digest, Epoch, INTEGER_MAX, LeaseId, NodeId, Nonce, PublicKey, SealingKey, TierId, Time};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::envelope::{Envelope, MalformedEnvelope, PayloadType, Unverified};
use crate::signing::SigningKey;

/// What a node's word rests on (DESIGN §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// BMonitor on a host that the landlord administers: the landlord's promise.
    HostRoot,
    /// The node's keys are sealed to a measured image.
    SealedImage,
    /// The reader checked the measurements itself.
    Attested,
}

/// A thing was done, and is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// 1.
    pub version: Version,
    /// Who says so.
    pub node: NodeId,
    /// Its public key N.
    pub node_key: PublicKey,
    /// What the word rests on.
    pub grade: Grade,
    /// When it was over, by the node's clock.
    pub at: Time,
    /// The envelope of the order that asked for it; none for what the node does by itself.
    pub order: Option<Digest>,
    /// What for.
    pub purpose: Purpose,
    /// The tier that was named.
    pub tier: TierId,
    /// What became of it and of each tier below it, parents first.
    pub parts: Vec<Part>,
    /// Commitments (digests under a label) to the secrets that no longer exist.
    pub destroyed: Vec<Digest>,
    /// The journal's newest record when this was signed, so that the outcome is in it: its number.
    #[serde(deserialize_with = "exact")]
    pub record: u64,
    /// That record's digest.
    pub record_digest: Digest,
    /// What the node signed before this: the digest of an envelope.
    pub previous: Option<Digest>,
}

/// What a receipt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A lease and all below it ended.
    Severing,
    /// Keys were made anew.
    Renewal,
    /// A tier passed to another party.
    Reassignment,
}

/// What became of one tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The tier.
    pub tier: TierId,
    /// Its epoch since; orders of the ones before count no more.
    pub epoch: Epoch,
    /// What became of its data.
    pub fate: Fate,
}

/// What became of a tier's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Wrapped anew under new keys. That revokes nothing from who had the data.
    Kept,
    /// Unreadable for ever.
    Erased,
    /// Unreadable for ever, and the tier is gone.
    Ended,
}

/// Who controls a tier, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// 1.
    pub version: Version,
    /// Who says so.
    pub node: NodeId,
    /// Its public key N.
    pub node_key: PublicKey,
    /// What the word rests on.
    pub grade: Grade,
    /// When, by the node's clock.
    pub at: Time,
    /// The lease; the root's is its enrolment.
    pub lease: LeaseId,
    /// The tier.
    pub tier: TierId,
    /// The tier's epoch.
    pub epoch: Epoch,
    /// The tier's identity U, made in custody; none before custody made one.
    pub identity: Option<PublicKey>,
    /// The key that orders to this tier are sealed for, made in custody with U; left out where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealing: Option<SealingKey>,
    /// The complete set of controller keys, sorted: whoever is missing here may give no orders.
    pub controllers: Vec<PublicKey>,
    /// The boundary's object, where there is one.
    pub boundary: Option<Digest>,
    /// The key that signs directories for this lease.
    pub directory: Option<PublicKey>,
    /// What the asker wanted to see here, so that the statement is fresh.
    pub nonce: Option<Nonce>,
}

/// The newest record of a journal, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// 1.
    pub version: Version,
    /// Who says so.
    pub node: NodeId,
    /// Its public key N.
    pub node_key: PublicKey,
    /// What the word rests on.
    pub grade: Grade,
    /// The record's time.
    pub at: Time,
    /// The record's number.
    #[serde(deserialize_with = "exact")]
    pub record: u64,
    /// The record's digest.
    pub record_digest: Digest,
}

/// Numbers of records stay below 2^53, as all integers do.
fn exact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    if number <= INTEGER_MAX { Ok(number) } else { Err(D::Error::custom("a number below 2^53 is wanted")) }
}

/// The version of a payload: 1, the only one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Version;

impl From<Version> for u64 {
    fn from(Version: Version) -> Self {
        1
    }
}

impl TryFrom<u64> for Version {
    type Error = &'static str;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        if number == 1 { Ok(Self) } else { Err("version 1 is wanted") }
    }
}

/// A payload that a node signs.
pub trait NodeRecord: Serialize + DeserializeOwned {
    /// What it is called in an envelope.
    const PAYLOAD_TYPE: PayloadType;

    /// Who is said to have signed.
    fn node(&self) -> NodeId;

    /// The public key that is said to be that node's.
    fn node_key(&self) -> &PublicKey;

    /// Signs it.
    fn sign(&self, key: &SigningKey) -> Envelope {
        let payload =
            serde_json::to_vec(self).expect("ids, numbers and texts: nothing can fail to serialise");
        Envelope::sign(Self::PAYLOAD_TYPE, payload, key)
    }

    /// Reads and checks an envelope. With `node_key`, it must be that node's; without, it is checked
    /// against the key that it carries, and whose that is remains the reader's question.
    ///
    /// # Errors
    /// [`Invalid`] says what does not hold.
    fn verify(envelope: &[u8], node_key: Option<&PublicKey>) -> Result<Self, Invalid> {
        let envelope = Envelope::parse(envelope).map_err(Invalid::Envelope)?;
        if envelope.payload_type() != Self::PAYLOAD_TYPE {
            return Err(Invalid::OtherType(envelope.payload_type()));
        }
        let record: Self = serde_json::from_slice(envelope.unverified_payload()).map_err(Invalid::Payload)?;
        let key = record.node_key();
        if key.id() != record.node().0 {
            return Err(Invalid::OtherKey);
        }
        if let Some(wanted) = node_key.filter(|wanted| *wanted != key) {
            return Err(Invalid::OtherNode { wanted: NodeId(wanted.id()), found: record.node() });
        }
        envelope.verify(key).map_err(Invalid::Signature)?;
        Ok(record)
    }
}

/// Why an envelope is not the word of a node.
#[derive(Debug, Error)]
pub enum Invalid {
    /// No envelope.
    #[error("it is no signed envelope")]
    Envelope(#[source] MalformedEnvelope),
    /// An envelope with something else in it.
    #[error("it holds something else: {0}")]
    OtherType(PayloadType),
    /// A payload of another shape.
    #[error("its payload does not have the documented shape")]
    Payload(#[source] serde_json::Error),
    /// Node id and key in the payload do not belong together.
    #[error("the node's id is not that of the node's key")]
    OtherKey,
    /// Another node's.
    #[error("it is by node {found}, not by {wanted}")]
    OtherNode {
        /// The node whose word was wanted.
        wanted: NodeId,
        /// The node that it says it is by.
        found: NodeId,
    },
    /// Not signed by that key.
    #[error("the signature does not hold")]
    Signature(#[source] Unverified),
}

impl NodeRecord for Receipt {
    const PAYLOAD_TYPE: PayloadType = PayloadType::Receipt;

    fn node(&self) -> NodeId {
        self.node
    }

    fn node_key(&self) -> &PublicKey {
        &self.node_key
    }
}

impl NodeRecord for Statement {
    const PAYLOAD_TYPE: PayloadType = PayloadType::Statement;

    fn node(&self) -> NodeId {
        self.node
    }

    fn node_key(&self) -> &PublicKey {
        &self.node_key
    }
}

impl NodeRecord for Head {
    const PAYLOAD_TYPE: PayloadType = PayloadType::Head;

    fn node(&self) -> NodeId {
        self.node
    }

    fn node_key(&self) -> &PublicKey {
        &self.node_key
    }
}
