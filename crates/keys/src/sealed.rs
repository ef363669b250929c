//! Sealed orders: for a node and its owner who are never online together.
//!
//! An order is signed first, as every order is, and then sealed for the tier of the node that it is for. On
//! the outside stands what a mailbox needs, and nothing else:
//!
//! ```json
//! {"version": 1, "node": "lh1:…", "tier": "…", "epoch": 2, "seq": 9, "not_after": "…",
//!  "encapsulation": "<base64>", "sealed": "<base64>"}
//! ```
//!
//! The outside is bound to the inside twice: it is the additional data of the seal, and it must say what
//! the order says. A sealed order without an end is none: nobody knows how long it lies.

use data_encoding::BASE64;
use id::{Epoch, NodeId, SealingKey, Sequence, TierId, Time};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::envelope::{ENVELOPE_BYTES_MAX, Envelope, MalformedEnvelope, PayloadType};
use crate::hpke;
use crate::record::Version;
use crate::x_wing::{ENCAPSULATION_BYTES, OpeningKey, UnusableKey};

/// The longest sealed order: the longest envelope in base64, and the outside.
pub const SEALED_ORDER_BYTES_MAX: usize = ENVELOPE_BYTES_MAX / 3 * 4 + 4096;

const INFO: &[u8] = b"leasehold sealed order 1";

/// What stands on the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// For whom.
    pub addressee: Addressee,
    /// The order's number among those of its key.
    pub sequence: Sequence,
    /// From then on it is not obeyed.
    pub not_after: Time,
}

/// Whose key an order is sealed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addressee {
    /// The node.
    pub node: NodeId,
    /// The tier on it that gives the order.
    pub tier: TierId,
    /// The tier's epoch, which is its key's.
    pub epoch: Epoch,
}

/// An order that only the node can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedOrder {
    outside: Outside,
    encapsulation: Box<[u8; ENCAPSULATION_BYTES]>,
    sealed: Vec<u8>,
}

/// Why an envelope was not sealed.
#[derive(Debug, Error)]
pub enum NotSealed {
    /// No envelope.
    #[error("it is no signed envelope")]
    Envelope(#[source] MalformedEnvelope),
    /// Not an order with an end.
    #[error("it is no order with a `not_after`")]
    NoOrder,
    /// The key to seal for is none.
    #[error("nothing can be sealed for that key")]
    Key(#[source] UnusableKey),
}

/// Why bytes are no sealed order.
#[derive(Debug, Error)]
pub enum MalformedSealedOrder {
    /// Over [`SEALED_ORDER_BYTES_MAX`].
    #[error("the sealed order has {0} bytes, at most {SEALED_ORDER_BYTES_MAX} are read")]
    TooLong(usize),
    /// Not the JSON object of the head of this file.
    #[error("the sealed order does not have the documented shape")]
    Json(#[source] serde_json::Error),
    /// Not base64, or of another length.
    #[error("the sealed order's bytes are not base64 (standard alphabet, padded) of the right length")]
    Bytes,
}

/// Why a sealed order was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotOpened {
    /// For another node, tier or epoch.
    #[error("the sealed order is not for this tier in this epoch")]
    Addressee,
    /// Its time is over.
    #[error("the sealed order is too old")]
    Expired,
    /// Not sealed for this key, or changed on its way.
    #[error("the sealed order was not sealed for this key, or was changed")]
    Seal,
    /// Within is not the order that the outside says.
    #[error("the sealed order holds something else than its outside says")]
    Inside,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: Version,
    node: NodeId,
    tier: TierId,
    epoch: Epoch,
    seq: Sequence,
    not_after: Time,
    encapsulation: String,
    sealed: String,
}

/// What of an order must stand on the outside; the rest of it is not looked at here.
#[derive(Deserialize)]
struct Said {
    node: NodeId,
    tier: TierId,
    epoch: Epoch,
    seq: Sequence,
    not_after: Time,
}

impl SealedOrder {
    /// Seals a signed order, the bytes of its envelope, for the tier that it is for.
    ///
    /// # Errors
    /// [`NotSealed`] if it is no order with an end, or the key is none.
    pub fn seal(order: &[u8], key: &SealingKey) -> Result<Self, NotSealed> {
        let envelope = Envelope::parse(order).map_err(NotSealed::Envelope)?;
        let outside = Outside::of(&envelope).ok_or(NotSealed::NoOrder)?;
        let (encapsulation, sealed) =
            hpke::seal(key, INFO, &outside.bytes(), order).map_err(NotSealed::Key)?;
        Ok(Self { outside, encapsulation: Box::new(encapsulation), sealed })
    }

    /// What stands on the outside. Until it is opened nothing says that it is true.
    #[must_use]
    pub const fn outside(&self) -> &Outside {
        &self.outside
    }

    /// Opens it: the bytes of the envelope, as they were signed. Whose order it is, and whether it is to be
    /// obeyed, is to be asked as of any other.
    ///
    /// # Errors
    /// [`NotOpened`] for everything but an order that was sealed for this key and addressee, and whose time
    /// is not over.
    pub fn open(&self, key: &OpeningKey, addressee: &Addressee, now: Time) -> Result<Vec<u8>, NotOpened> {
        if self.outside.addressee != *addressee {
            return Err(NotOpened::Addressee);
        }
        if now >= self.outside.not_after {
            return Err(NotOpened::Expired);
        }
        let order = hpke::open(key, INFO, &self.outside.bytes(), &self.encapsulation, &self.sealed)
            .ok_or(NotOpened::Seal)?;
        let envelope = Envelope::parse(&order).map_err(|_malformed| NotOpened::Inside)?;
        if Outside::of(&envelope).as_ref() == Some(&self.outside) {
            Ok(order.to_vec())
        } else {
            Err(NotOpened::Inside)
        }
    }

    /// Reads a sealed order; memory is bounded by the length of `bytes`.
    ///
    /// # Errors
    /// [`MalformedSealedOrder`] for anything that is not exactly one sealed order.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedSealedOrder> {
        if bytes.len() > SEALED_ORDER_BYTES_MAX {
            return Err(MalformedSealedOrder::TooLong(bytes.len()));
        }
        let Wire { version: Version, node, tier, epoch, seq, not_after, encapsulation, sealed } =
            serde_json::from_slice(bytes).map_err(MalformedSealedOrder::Json)?;
        let decoded =
            |text: String| BASE64.decode(text.as_bytes()).map_err(|_not_base64| MalformedSealedOrder::Bytes);
        let encapsulation = decoded(encapsulation)?.into_boxed_slice();
        let addressee = Addressee { node, tier, epoch };
        Ok(Self {
            outside: Outside { addressee, sequence: seq, not_after },
            encapsulation: encapsulation.try_into().map_err(|_length| MalformedSealedOrder::Bytes)?,
            sealed: decoded(sealed)?,
        })
    }

    /// The sealed order as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let Outside { addressee: Addressee { node, tier, epoch }, sequence, not_after } = self.outside;
        let wire = Wire {
            version: Version,
            node,
            tier,
            epoch,
            seq: sequence,
            not_after,
            encapsulation: BASE64.encode(self.encapsulation.as_slice()),
            sealed: BASE64.encode(&self.sealed),
        };
        serde_json::to_string(&wire).expect("ids, numbers and texts: nothing can fail to serialise")
    }
}

#[cfg(test)]
impl SealedOrder {
    /// The same outside over something else: what whoever has the public key can make.
    pub(crate) fn with_inside(mut self, inside: &[u8], key: &SealingKey) -> Self {
        let (encapsulation, sealed) = hpke::seal(key, INFO, &self.outside.bytes(), inside).unwrap();
        (self.encapsulation, self.sealed) = (Box::new(encapsulation), sealed);
        self
    }
}

impl Outside {
    /// What must stand outside an order; none if it is no order, or one without an end.
    fn of(order: &Envelope) -> Option<Self> {
        if order.payload_type() != PayloadType::Order {
            return None;
        }
        let Said { node, tier, epoch, seq, not_after } =
            serde_json::from_slice(order.unverified_payload()).ok()?;
        Some(Self { addressee: Addressee { node, tier, epoch }, sequence: seq, not_after })
    }

    /// As additional data: every part of a fixed length.
    fn bytes(&self) -> Vec<u8> {
        let Addressee { node, tier, epoch } = &self.addressee;
        [
            node.0.as_bytes().as_slice(),
            tier.as_bytes(),
            &epoch.get().to_be_bytes(),
            &self.sequence.get().to_be_bytes(),
            &self.not_after.as_millis().to_be_bytes(),
        ]
        .concat()
    }
}
