//! Orders: the payload of FORMATS ("Order"), with its verbs and their arguments.
//!
//! `lease`, `tier` and `epoch` are the signer's own; a target that is another tier stands in `args`. The
//! project's `docs/orders.md` has an example of each verb; a test compares them.

use id::{Digest, Epoch, KeyId, LeaseId, Name, NodeId, Nonce, PublicKey, Sequence, TierId, Time};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::console::Console;
use crate::lease::{Contract, Quota, Terms};
use crate::limits::ORDER_BYTES_MAX;
use crate::right::{Grant, Right, Rights};
use crate::volume::SizeMib;

/// The payload type of an order's envelope.
pub const ORDER_PAYLOAD_TYPE: &str = "application/vnd.leasehold.order+json";

/// One signed statement that asks a node to do one thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Payload", into = "Payload")]
pub struct Order {
    /// The node that is to obey.
    pub node: NodeId,
    /// The signer's lease; for the root, its enrolment.
    pub lease: LeaseId,
    /// The signer's tier.
    pub tier: TierId,
    /// The present epoch of the signer's tier.
    pub epoch: Epoch,
    /// Strictly grows per controller key for the node's life.
    pub seq: Sequence,
    /// What makes the order fresh.
    pub freshness: Freshness,
    /// The leader term of a redundant console.
    pub term: Option<u64>,
    /// What is to be done.
    pub verb: Verb,
}

/// How an order shows that it is not an old one: exactly one of the two stands in the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// Not to be accepted at this instant or later.
    NotAfter(Time),
    /// Carries a nonce that the node gave; then no clock is needed.
    Nonce(Nonce),
}

impl Order {
    /// Reads a payload as it was received, after its signature was verified.
    ///
    /// # Errors
    /// What is wrong with the text: its length, its shape, an unknown or missing key, a duplicate.
    pub fn parse(payload: &[u8]) -> Result<Self, String> {
        if payload.len() > ORDER_BYTES_MAX {
            return Err(format!("an order of {} bytes; {ORDER_BYTES_MAX} are the most", payload.len()));
        }
        serde_json::from_slice(payload).map_err(|error| error.to_string())
    }

    /// The payload to sign.
    ///
    /// # Panics
    /// Never: every order has a text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| panic!("an order without a text: {error}"))
    }
}

/// What an order asks for. The name stands in `verb`, the rest in `args`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Makes a new tier below the signer's (right `lease`).
    Lease(Lease),
    /// Changes what a child's lease says (right `lease`).
    Terms(NewTerms),
    /// Hands a child's lease to another party (right `lease`).
    Reassign(Reassign),
    /// Sets a filter set (right `boundary`).
    Boundary(Boundary),
    /// Sets one's own filter set for a while; unless it is set again until then, the one before comes back (right
    /// `boundary`).
    TryBoundary(TryBoundary),
    /// Enrols a controller key of one's own tier, or changes its rights (right `enrol-key`).
    EnrolKey(ControllerKey),
    /// Removes a controller key of one's own tier (right `enrol-key`).
    RemoveKey(RemoveKey),
    /// Says which consoles one's own tier has (right `enrol-key`).
    Consoles(Consoles),
    /// Says what names in the sets of all tiers mean; the root's alone (right `boundary`).
    Directory(Directory),
    /// Has the node make new keys (right `renew`).
    Renew(Renew),
    /// Lets one renewal or re-assignment above keep the signer's data (right `renew`).
    Consent(Consent),
    /// Suspends a tier below (right `suspend`).
    Suspend(Target),
    /// Ends one's own suspension of a tier below (right `suspend`).
    Resume(Target),
    /// Switches a realm, or for the root the node (right `power`).
    Power(Power),
    /// Says whether and how an engine of one's own tier runs (right `engine-run`).
    Engine(Engine),
    /// Makes a volume of one's own tier (right `volume`).
    Volume(NewVolume),
    /// Removes a volume of one's own tier, with all that is in it (right `volume`).
    RemoveVolume(RemoveVolume),
    /// Ends a tier below and everything below it (right `sever`).
    Sever(Target),
}

/// A controller key and what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControllerKey {
    /// The public key.
    pub key: PublicKey,
    /// A subset of its tier's rights.
    pub rights: Rights,
}

/// The arguments of `lease`. The node draws the new tier's and lease's ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The new tier's name on this node; also its realm's.
    pub name: Name,
    /// The contract that this lease belongs to.
    pub contract: Contract,
    /// From when until when.
    pub terms: Terms,
    /// What the new tier may do and grant.
    pub rights: Grant,
    /// What the new tier and all below it may use.
    pub quota: Quota,
    /// The new tier's controller keys: all of them.
    pub keys: Vec<ControllerKey>,
    /// The filter set given to it (the cluster boundary).
    pub boundary: Digest,
    /// The new tier's consoles; left out: none, and it is dialled by nobody until it names some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consoles: Vec<Console>,
    /// The key that signs the directories by which names in its sets are resolved. It is the grantor's;
    /// left out: the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PublicKey>,
}

/// The arguments of `terms`: what is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTerms {
    /// The child.
    pub tier: TierId,
    /// The new contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
    /// The new terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// The new rights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rights: Option<Grant>,
    /// The new quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

/// The arguments of `reassign`: the tier stays where it is, with the tiers below it; its party changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reassign {
    /// The child.
    pub tier: TierId,
    /// The contract with the next party.
    pub contract: Contract,
    /// The next party's controller keys: all of them.
    pub keys: Vec<ControllerKey>,
    /// The tiers, this one or below it, whose data is to be kept; each must have consented to exactly
    /// these keys. The data of all others is erased.
    #[serde(default)]
    pub keep: Vec<TierId>,
    /// The next party's consoles; left out: none. Those of the party before are not dialled any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consoles: Vec<Console>,
}

/// The arguments of `boundary`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boundary {
    /// The child to which the set is given; left out: one's own set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierId>,
    /// The filter set.
    pub object: Digest,
}

/// The arguments of `try-boundary`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TryBoundary {
    /// The filter set.
    pub object: Digest,
    /// For how long, by the node's own clock; [`crate::limits::TRIAL_SECONDS_MAX`] at most.
    pub seconds: std::num::NonZeroU32,
}

/// The arguments of `remove-key`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveKey {
    /// The key.
    pub key: KeyId,
}

/// The arguments of `consoles`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consoles {
    /// All of them, one at least.
    pub consoles: Vec<Console>,
}

/// The arguments of `directory`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// The signed directory.
    pub object: Digest,
}

/// The arguments of `renew`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// The tier below whose keys are replaced; left out: one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierId>,
    /// The tiers whose data is to be kept: one's own needs no further consent, one below must have
    /// consented. The data of all others, the renewed tier's and those below, is erased.
    #[serde(default)]
    pub keep: Vec<TierId>,
    /// Stands in the new statement about the renewed tier, which is thereby known to be new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Nonce>,
}

/// The arguments of `consent`: what exactly may be done once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// The tier that is renewed or handed on: one above the signer, or the signer's own.
    pub tier: TierId,
    /// The present epoch of that tier; the consent dies with it.
    pub epoch: Epoch,
    /// For a re-assignment: the ids of all keys of the next party. Left out: a renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<Vec<KeyId>>,
}

/// The arguments of a verb that only names a tier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The tier, which must be below the signer's.
    pub tier: TierId,
}

/// The arguments of `power`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// The tier below; left out: one's own (the root's own is the node itself).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierId>,
    /// What to do.
    pub action: PowerAction,
}

/// What `power` can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PowerAction {
    /// Everything runs.
    On,
    /// Engines are stopped.
    Off,
    /// Engines are frozen; a machine sleeps.
    Standby,
    /// Off and on again.
    Restart,
}

/// The arguments of `engine`: one engine of the signer's own tier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Its name among the tier's engines.
    pub name: Name,
    /// What to do.
    pub action: EngineAction,
}

/// What `engine` can do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum EngineAction {
    /// It runs by this specification from now on.
    Deploy {
        /// The specification, an object that names the same engine.
        specification: Digest,
    },
    /// It runs.
    Start,
    /// It does not run, and stays.
    Stop,
    /// It is ended and runs again.
    Restart,
    /// The same, with its image unpacked anew.
    Reload,
    /// It is ended and forgotten.
    Remove,
}

/// The arguments of `volume`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewVolume {
    /// Its name among the tier's volumes.
    pub name: Name,
    /// Its size, all that belongs to it counted.
    pub size_mib: SizeMib,
}

/// The arguments of `remove-volume`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveVolume {
    /// Which of the tier's volumes.
    pub name: Name,
}

impl Verb {
    /// The name in the payload.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Lease(_) => "lease",
            Self::Terms(_) => "terms",
            Self::Reassign(_) => "reassign",
            Self::Boundary(_) => "boundary",
            Self::TryBoundary(_) => "try-boundary",
            Self::EnrolKey(_) => "enrol-key",
            Self::RemoveKey(_) => "remove-key",
            Self::Consoles(_) => "consoles",
            Self::Directory(_) => "directory",
            Self::Renew(_) => "renew",
            Self::Consent(_) => "consent",
            Self::Suspend(_) => "suspend",
            Self::Resume(_) => "resume",
            Self::Power(_) => "power",
            Self::Engine(_) => "engine",
            Self::Volume(_) => "volume",
            Self::RemoveVolume(_) => "remove-volume",
            Self::Sever(_) => "sever",
        }
    }

    /// The right that the signer's tier and key both need.
    #[must_use]
    pub const fn right(&self) -> Right {
        match self {
            Self::Lease(_) | Self::Terms(_) | Self::Reassign(_) => Right::Lease,
            Self::Boundary(_) | Self::TryBoundary(_) | Self::Directory(_) => Right::Boundary,
            Self::EnrolKey(_) | Self::RemoveKey(_) | Self::Consoles(_) => Right::EnrolKey,
            Self::Renew(_) | Self::Consent(_) => Right::Renew,
            Self::Suspend(_) | Self::Resume(_) => Right::Suspend,
            Self::Power(_) => Right::Power,
            Self::Engine(_) => Right::EngineRun,
            Self::Volume(_) | Self::RemoveVolume(_) => Right::Volume,
            Self::Sever(_) => Right::Sever,
        }
    }

    /// The objects that the order speaks of; the shell must hold them before it is decided.
    #[must_use]
    pub fn objects(&self) -> Vec<Digest> {
        match self {
            Self::Lease(args) => vec![args.boundary],
            Self::Boundary(args) => vec![args.object],
            Self::TryBoundary(args) => vec![args.object],
            Self::Directory(args) => vec![args.object],
            Self::Engine(Engine { action: EngineAction::Deploy { specification }, .. }) => {
                vec![*specification]
            }
            Self::Engine(_)
            | Self::Terms(_)
            | Self::Reassign(_)
            | Self::EnrolKey(_)
            | Self::RemoveKey(_)
            | Self::Consoles(_)
            | Self::Renew(_)
            | Self::Consent(_)
            | Self::Suspend(_)
            | Self::Resume(_)
            | Self::Power(_)
            | Self::Volume(_)
            | Self::RemoveVolume(_)
            | Self::Sever(_) => Vec::new(),
        }
    }
}

/// The payload as it stands in the envelope. `args` is kept raw until `verb` is known, so that unknown and
/// duplicate keys in it are noticed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    node: NodeId,
    lease: LeaseId,
    tier: TierId,
    epoch: Epoch,
    seq: Sequence,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_after: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<Nonce>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    term: Option<u64>,
    verb: String,
    args: Box<RawValue>,
}

impl TryFrom<Payload> for Order {
    type Error = String;

    fn try_from(payload: Payload) -> Result<Self, String> {
        let freshness = match (payload.not_after, payload.nonce) {
            (Some(time), None) => Freshness::NotAfter(time),
            (None, Some(nonce)) => Freshness::Nonce(nonce),
            (None, None) | (Some(_), Some(_)) => {
                return Err("exactly one of `not_after` and `nonce` is wanted".to_owned());
            }
        };
        if payload.term.is_some_and(|term| term > id::INTEGER_MAX) {
            return Err("a `term` below 2^53 is wanted".to_owned());
        }
        Ok(Self {
            node: payload.node,
            lease: payload.lease,
            tier: payload.tier,
            epoch: payload.epoch,
            seq: payload.seq,
            freshness,
            term: payload.term,
            verb: verb_of(&payload.verb, payload.args.get())?,
        })
    }
}

fn verb_of(name: &str, args: &str) -> Result<Verb, String> {
    fn read<'a, T: Deserialize<'a>>(args: &'a str) -> Result<T, String> {
        serde_json::from_str(args).map_err(|error| format!("in `args`: {error}"))
    }
    Ok(match name {
        "lease" => Verb::Lease(read(args)?),
        "terms" => Verb::Terms(read(args)?),
        "reassign" => Verb::Reassign(read(args)?),
        "boundary" => Verb::Boundary(read(args)?),
        "try-boundary" => Verb::TryBoundary(read(args)?),
        "enrol-key" => Verb::EnrolKey(read(args)?),
        "remove-key" => Verb::RemoveKey(read(args)?),
        "consoles" => Verb::Consoles(read(args)?),
        "directory" => Verb::Directory(read(args)?),
        "renew" => Verb::Renew(read(args)?),
        "consent" => Verb::Consent(read(args)?),
        "suspend" => Verb::Suspend(read(args)?),
        "resume" => Verb::Resume(read(args)?),
        "power" => Verb::Power(read(args)?),
        "engine" => Verb::Engine(read(args)?),
        "volume" => Verb::Volume(read(args)?),
        "remove-volume" => Verb::RemoveVolume(read(args)?),
        "sever" => Verb::Sever(read(args)?),
        _ => return Err(format!("an unknown verb {:?}", name.chars().take(40).collect::<String>())),
    })
}

impl From<Order> for Payload {
    fn from(order: Order) -> Self {
        let (not_after, nonce) = match order.freshness {
            Freshness::NotAfter(time) => (Some(time), None),
            Freshness::Nonce(nonce) => (None, Some(nonce)),
        };
        let args = match &order.verb {
            Verb::Lease(args) => raw(args),
            Verb::Terms(args) => raw(args),
            Verb::Reassign(args) => raw(args),
            Verb::Boundary(args) => raw(args),
            Verb::TryBoundary(args) => raw(args),
            Verb::EnrolKey(args) => raw(args),
            Verb::RemoveKey(args) => raw(args),
            Verb::Consoles(args) => raw(args),
            Verb::Directory(args) => raw(args),
            Verb::Renew(args) => raw(args),
            Verb::Consent(args) => raw(args),
            Verb::Suspend(args) | Verb::Resume(args) | Verb::Sever(args) => raw(args),
            Verb::Power(args) => raw(args),
            Verb::Engine(args) => raw(args),
            Verb::Volume(args) => raw(args),
            Verb::RemoveVolume(args) => raw(args),
        };
        Self {
            node: order.node,
            lease: order.lease,
            tier: order.tier,
            epoch: order.epoch,
            seq: order.seq,
            not_after,
            nonce,
            term: order.term,
            verb: order.verb.name().to_owned(),
            args,
        }
    }
}

fn raw(args: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(args).unwrap_or_else(|error| panic!("arguments without a text: {error}"))
}
