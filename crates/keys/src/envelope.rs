//! DSSE envelopes (secure-systems-lab/dsse, envelope.md and protocol.md 1.0), in a strict profile.
//!
//! ```json
//! {"payload": "<base64>", "payloadType": "…", "signatures": [{"keyid": "lh1:…", "sig": "<base64>"}]}
//! ```
//!
//! Stricter than DSSE, because two readers must never see two things: `keyid` is required, base64 is the
//! padded standard one, an unknown or repeated key is an error, and so is a payload type that FORMATS
//! does not name.

use std::fmt;

use data_encoding::BASE64;
use id::{KeyId, PublicKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::signing::{Signature, SigningKey, verifies};

/// The longest envelope: room for an order with hundreds of keys, small enough for one journal record.
pub const ENVELOPE_BYTES_MAX: usize = 256 * 1024;

/// The most signatures under one envelope: one a tier of the deepest path that we expect.
pub const SIGNATURES_MAX: usize = 16;

/// What a payload is (FORMATS, "Order").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadType {
    /// A controller key asks a node to do one thing.
    Order,
    /// A node says that a thing was done.
    Receipt,
    /// A node says who controls a tier.
    Statement,
    /// A node says what the newest record of its journal is.
    Head,
    /// A landlord says what names of nodes and clusters mean.
    Directory,
    /// A root's key gives its node the share that opens custody's store; the payload is sealed.
    Share,
}

impl PayloadType {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Order, Self::Receipt, Self::Statement, Self::Head, Self::Directory, Self::Share];

    /// The media type that is signed together with the payload.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Order => "application/vnd.leasehold.order+json",
            Self::Receipt => "application/vnd.leasehold.receipt+json",
            Self::Statement => "application/vnd.leasehold.statement+json",
            Self::Head => "application/vnd.leasehold.head+json",
            Self::Directory => "application/vnd.leasehold.directory+toml",
            Self::Share => "application/vnd.leasehold.share",
        }
    }
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A well-formed envelope. That it is well-formed says nothing about who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload_type: PayloadType,
    payload: Vec<u8>,
    signatures: Vec<(KeyId, Signature)>,
}

/// A payload whose signature was checked, with the key that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'a> {
    /// What the payload is.
    pub payload_type: PayloadType,
    /// The bytes that were signed.
    pub payload: &'a [u8],
    /// Whose signature was checked.
    pub signer: KeyId,
}

/// Why bytes are no envelope.
#[derive(Debug, Error)]
pub enum MalformedEnvelope {
    /// Longer than an envelope of its kind may be.
    #[error("the envelope has {bytes} bytes, at most {bytes_max} are read")]
    TooLong {
        /// How many there were.
        bytes: usize,
        /// How many there may be.
        bytes_max: usize,
    },
    /// Not the JSON object of the head of this file.
    #[error("the envelope is not the JSON object that an envelope is")]
    Json(#[source] serde_json::Error),
    /// A payload type that FORMATS does not name.
    #[error("the payload type {0:?} is not known")]
    PayloadType(String),
    /// The payload is not padded standard base64.
    #[error("the payload is not base64 (standard alphabet, padded)")]
    Payload,
    /// None, or more than [`SIGNATURES_MAX`].
    #[error("the envelope has {0} signatures, 1 to {SIGNATURES_MAX} are read")]
    Signatures(usize),
    /// A signature that is not 64 bytes in padded standard base64.
    #[error("signature {0} is not 64 bytes in base64")]
    Signature(usize),
    /// Two signatures say that they are of one key.
    #[error("key {0} signs twice")]
    SignsTwice(KeyId),
}

/// Why an envelope does not count as a key's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unverified {
    /// No signature names the key.
    #[error("key {0} has not signed")]
    NotSigned(KeyId),
    /// The signature that names the key is not by it over these bytes.
    #[error("the signature of key {0} does not fit the payload")]
    Forged(KeyId),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wire {
    payload: String,
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    keyid: KeyId,
    sig: String,
}

impl Envelope {
    /// Reads an envelope; memory is bounded by the length of `bytes`.
    ///
    /// # Errors
    /// [`MalformedEnvelope`] for anything that is not exactly one envelope.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedEnvelope> {
        Self::parse_at_most(bytes, ENVELOPE_BYTES_MAX)
    }

    pub(crate) fn parse_at_most(bytes: &[u8], bytes_max: usize) -> Result<Self, MalformedEnvelope> {
        if bytes.len() > bytes_max {
            return Err(MalformedEnvelope::TooLong { bytes: bytes.len(), bytes_max });
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(MalformedEnvelope::Json)?;
        let payload_type = PayloadType::ALL
            .into_iter()
            .find(|known| known.as_str() == wire.payload_type)
            .ok_or_else(|| MalformedEnvelope::PayloadType(wire.payload_type.chars().take(80).collect()))?;
        let payload =
            BASE64.decode(wire.payload.as_bytes()).map_err(|_not_base64| MalformedEnvelope::Payload)?;
        Ok(Self { payload_type, payload, signatures: parse_signatures(&wire.signatures)? })
    }

    /// Signs `payload` with one key.
    #[must_use]
    pub fn sign(payload_type: PayloadType, payload: Vec<u8>, key: &SigningKey) -> Self {
        let signature = key.sign(&pre_authentication_encoding(payload_type.as_str(), &payload));
        Self { payload_type, payload, signatures: vec![(key.public().id(), signature)] }
    }

    /// Adds the signature of one more key; one that has signed already signs once.
    #[must_use]
    pub fn and_sign(mut self, key: &SigningKey) -> Self {
        if !self.signers().any(|signer| signer == key.public().id()) {
            self.signatures.push((key.public().id(), key.sign(&self.signed_bytes())));
        }
        self
    }

    /// What is claimed to have been signed.
    #[must_use]
    pub const fn payload_type(&self) -> PayloadType {
        self.payload_type
    }

    /// The payload, whoever wrote it: for showing to a person, never for acting on.
    #[must_use]
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// Who is claimed to have signed.
    pub fn signers(&self) -> impl Iterator<Item = KeyId> {
        self.signatures.iter().map(|(signer, _)| *signer)
    }

    /// Who is claimed to have signed, where only one has: an order is one key's.
    #[must_use]
    pub fn only_signer(&self) -> Option<KeyId> {
        match self.signatures[..] {
            [(signer, _)] => Some(signer),
            [] | [_, _, ..] => None,
        }
    }

    /// Checks that `key` has signed the payload as it arrived.
    ///
    /// # Errors
    /// [`Unverified`] if no signature names `key`, or the one that does is not by it.
    pub fn verify(&self, key: &PublicKey) -> Result<Verified<'_>, Unverified> {
        let id = key.id();
        let (_, signature) =
            self.signatures.iter().find(|(signer, _)| *signer == id).ok_or(Unverified::NotSigned(id))?;
        if !verifies(key, &self.signed_bytes(), signature) {
            return Err(Unverified::Forged(id));
        }
        Ok(Verified { payload_type: self.payload_type, payload: &self.payload, signer: id })
    }

    /// The envelope as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let wire = Wire {
            payload: BASE64.encode(&self.payload),
            payload_type: self.payload_type.as_str().to_owned(),
            signatures: self
                .signatures
                .iter()
                .map(|(keyid, signature)| WireSignature {
                    keyid: *keyid,
                    sig: BASE64.encode(signature.as_bytes()),
                })
                .collect(),
        };
        serde_json::to_string(&wire).expect("strings in, strings out: nothing here can fail to serialise")
    }

    fn signed_bytes(&self) -> Vec<u8> {
        pre_authentication_encoding(self.payload_type.as_str(), &self.payload)
    }
}

fn parse_signatures(wire: &[WireSignature]) -> Result<Vec<(KeyId, Signature)>, MalformedEnvelope> {
    if wire.is_empty() || wire.len() > SIGNATURES_MAX {
        return Err(MalformedEnvelope::Signatures(wire.len()));
    }
    let mut signatures: Vec<(KeyId, Signature)> = Vec::with_capacity(wire.len());
    for (index, WireSignature { keyid, sig }) in wire.iter().enumerate() {
        let bytes = BASE64
            .decode(sig.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(MalformedEnvelope::Signature(index))?;
        if signatures.iter().any(|(signer, _)| signer == keyid) {
            return Err(MalformedEnvelope::SignsTwice(*keyid));
        }
        signatures.push((*keyid, Signature::from_bytes(bytes)));
    }
    Ok(signatures)
}

/// The bytes that a DSSE signature covers (protocol.md, "Signature Definition"):
/// `DSSEv1 LEN(type) type LEN(payload) payload`, lengths in ASCII decimal.
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoded = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}
