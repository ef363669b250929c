//! The calls to the supervisor: submit order, put object, read journal, status, nonce, attach.
//!
//! What a call may do does not depend on who makes it: authority is in the order, and the supervisor
//! decides by the peer's uid alone whether it listens at all. Each call gets exactly one answer.

use std::collections::BTreeMap;

use id::{Digest, Epoch, LeaseId, Name, NodeId, Nonce, TierId, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is asked of the supervisor. In JSON: `{"call": "status"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum Call {
    /// Obey an order. Attachment: the envelope as it was received. Answer: [`Answer::Accepted`].
    SubmitOrder {},
    /// Keep an object until an order names it. Attachment: salt and content. Answer: [`Answer::Stored`].
    PutObject {
        /// Its name.
        name: Digest,
    },
    /// Give whole lines of the journal. Answer: [`Answer::Lines`], empty past the end.
    ReadJournal {
        /// The number of the first record wanted; 0: the oldest that there is.
        from: u64,
    },
    /// Say how the node is. Answer: [`Answer::Status`].
    Status {
        /// Answer only when nothing is pending: the world is as the journal demands.
        #[serde(default)]
        settled: bool,
    },
    /// Give what the node signed about a lease or a tier. Answer: [`Answer::Signed`].
    Receipts {
        /// The id of a lease or of a tier, or a tier's name; by a courier also [`OWN_TIER`].
        about: String,
    },
    /// Give a nonce for one order of a tier. Answer: [`Answer::Nonce`].
    FreshNonce {
        /// Whose order it is for.
        tier: TierId,
    },
    /// Open custody's store, or lock it, by a share of the root's console. Attachment: the share, sealed for
    /// the node's root, in an envelope that a key of the root's has signed. Answer: [`Answer::Handed`].
    GiveShare {},
    /// Say what the sets in force say to a packet of a tier's realm. Answer: [`Answer::Explained`].
    Explain {
        /// Whose realm. It learns whose set stops the packet, and which rule where the set is its to see; over the
        /// node's own socket nobody learns which.
        tier: TierId,
        /// As FORMATS writes a packet.
        packet: Value,
    },
    /// Say what was dropped at a tier's realm. Answer: [`Answer::Denials`].
    Denials {
        /// Whose realm.
        tier: TierId,
    },
    /// Say what passed at a tier's realm in the last hour. Only of a tier's own courier. Answer: [`Answer::Passed`].
    Passed {
        /// Whose realm.
        tier: TierId,
    },
    /// Take a part of an image. Attachment: at most 1 MiB. Answer: [`Answer::Image`], which says where to go on.
    PutImage {
        /// Whose it is.
        tier: TierId,
        /// The tier's volume on which it is to lie.
        volume: Name,
        /// Its digest.
        image: Digest,
        /// Where in the image the part begins; 0: the image begins anew.
        offset: u64,
    },
    /// Say how far an image is. Answer: [`Answer::Image`].
    Image {
        /// Whose it is.
        tier: TierId,
        /// The tier's volume.
        volume: Name,
        /// Its digest.
        image: Digest,
    },
    /// Give the end of an engine's output. Only of a tier's own courier. Answer: [`Answer::Output`].
    EngineOutput {
        /// Whose it is.
        tier: TierId,
        /// The engine.
        engine: Name,
    },
    /// Connect to an engine. Answered with the code `not-yet` until there are engines.
    Attach {
        /// The realm's name.
        realm: Name,
    },
}

/// What [`Call::Receipts`] of a courier is about when it is about the courier's own tier, whose ids the
/// console may not know yet. No tier can have this name.
pub const OWN_TIER: &str = "@own";

/// What the supervisor says. In JSON: `{"answer": "stored", …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The order is in the journal, on the medium; what follows from it is under way.
    Accepted {
        /// The record's number.
        record: u64,
        /// The record's digest.
        digest: Digest,
        /// The tier that the order made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<TierId>,
        /// The lease that the order made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<LeaseId>,
    },
    /// The object is on the medium.
    Stored {
        /// Its name.
        name: Digest,
    },
    /// Attachment: lines of the journal.
    Lines {
        /// The number of the oldest record that the node still has.
        oldest: u64,
        /// The number of the journal's newest record.
        newest: u64,
        /// The newest signed head, an envelope on one line; its record may be before or after these lines.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        head: Option<String>,
    },
    /// How the node is.
    Status(Box<Status>),
    /// Attachment: receipts and statements, an envelope a line, oldest first.
    Signed {
        /// How many there are.
        number: u64,
    },
    /// A nonce.
    Nonce {
        /// To be used in one order.
        nonce: Nonce,
    },
    /// How far an image is.
    Image(ImageState),
    /// Attachment: the end of an engine's output.
    Output {},
    /// Custody has it; the status says what came of it.
    Handed {},
    /// What the sets in force say to a packet.
    Explained(Box<Explained>),
    /// What was dropped.
    Denials(Box<Denials>),
    /// What passed.
    Passed(Box<PassedFlows>),
    /// It was not done.
    Refused(Refused),
}

/// How far an image is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageState {
    /// How many of its bytes have arrived.
    pub bytes: u64,
    /// Whether it was unpacked for an engine.
    pub unpacked: bool,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What the sets in force on a node say to a packet of a realm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explained {
    /// Whether every set admits it.
    pub pass: bool,
    /// On pass, the allow of the lowest set that admits it, where that set is the tier's to see.
    pub rule: Option<String>,
    /// Otherwise the first set from the top that refuses it.
    pub stopped_by: Option<StoppedBy>,
    /// Whether the realm is open at all: not severed, suspended, or outside its terms.
    pub open: bool,
    /// Whether the filter enforces these very sets already.
    pub in_force: bool,
    /// The generation that it enforces.
    pub generation: u64,
}

/// The set that stops a packet, and its rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoppedBy {
    /// The tier whose set it is, or to which it is given; none for what is built in.
    pub tier: Option<TierId>,
    /// That tier's name.
    pub name: Option<Name>,
    /// `own`, `given` (by the lease), or `built-in`.
    pub set: String,
    /// The deny that matches; none: no allow does, or it is hidden.
    pub rule: Option<String>,
    /// Whether the set's rules are not the asker's to see.
    pub hidden: bool,
}

/// What was dropped at a realm, since its tier's epoch began or the node's monitor did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denials {
    /// Packets by reason and direction, all of them.
    pub dropped: BTreeMap<String, BTreeMap<Way, u64>>,
    /// Of those with the reason `refused`: by set, all of them, and by no rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_set: Vec<RefusedBy>,
    /// The same by set and rule, as far as the log was read in time.
    pub refused: Vec<RefusedBy>,
    /// Packets that found the log full: they are in `dropped` alone.
    pub unread: u64,
}

/// Packets that a set refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedBy {
    /// By which set and rule.
    pub by: StoppedBy,
    /// Who sent them.
    pub direction: Way,
    /// How many.
    pub packets: u64,
}

/// The flows that a realm had in the last hour, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassedFlows {
    /// For how long they were recorded, 3600 at most: less where the realm or the node's monitor began later.
    pub seconds: u64,
    /// Flows of kinds for which there was no room, since the record began.
    pub beyond: u64,
    /// Each kind.
    pub kinds: Vec<Passed>,
}

/// Flows that differ in nothing but the caller's port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passed {
    /// The first packet of the newest one, as FORMATS writes a packet.
    pub packet: Value,
    /// How many began since the record did, or were open then.
    pub flows: u64,
    /// How long ago their last packet was seen.
    pub seconds_ago: u64,
}

/// Who sends: `in` is the remote, `out` the realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// The remote.
    In,
    /// The realm.
    Out,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// A stable code: that of `tenure::Refusal`, or one of [`code`].
    pub code: String,
    /// The exit code of the command that asked (FORMATS, "Exit codes").
    pub exit: u8,
    /// A sentence for a person: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What the code's own shape has to say, as a witness packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

/// Codes beside those of `tenure::Refusal`.
pub mod code {
    /// The frame or the message was not understood.
    pub const MALFORMED_MESSAGE: &str = "malformed-message";
    /// The bytes are no envelope.
    pub const MALFORMED_ENVELOPE: &str = "malformed-envelope";
    /// The payload is no order.
    pub const MALFORMED_ORDER: &str = "malformed-order";
    /// No key that this node knows has signed, or the signature does not hold.
    pub const NOT_AUTHENTICATED: &str = "not-authenticated";
    /// The bytes are not the object of that name.
    pub const MALFORMED_OBJECT: &str = "malformed-object";
    /// A boundary's names mean nothing on this node: no directory is in force, or it does not have them.
    pub const UNKNOWN_NAMES: &str = "unknown-names";
    /// A directory that the key which the enrolment names has not signed.
    pub const WRONG_DIRECTORY: &str = "wrong-directory";
    /// The journal's disk is full: only a severing is taken.
    pub const DISK_FULL: &str = "disk-full";
    /// The node halted; its status says why.
    pub const HALTED: &str = "halted";
    /// There is no such record any more, or not yet such a thing.
    pub const NOT_FOUND: &str = "not-found";
    /// The node cannot do this yet, in this version.
    pub const NOT_YET: &str = "not-yet";
    /// The node failed.
    pub const FAILED: &str = "failed";
}

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The node's name, for people.
    pub name: Name,
    /// The node; none before custody made its key.
    pub node: Option<NodeId>,
    /// The node's clock.
    pub at: Time,
    /// The number of the journal's newest record.
    pub record: u64,
    /// The digest of the journal's newest record.
    pub digest: Digest,
    /// Whether the world is as the journal demands: no effect is pending.
    pub settled: bool,
    /// How many things came that nobody whom the node knows has signed, since its start.
    pub forged: u64,
    /// The version of the directory in force, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<u64>,
    /// Every tier, parents first.
    pub tiers: Vec<TierStatus>,
    /// What somebody should know: each a stable code and a sentence.
    pub warnings: Vec<Warning>,
}

/// An encrypted volume of a tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeStatus {
    /// What the tier calls it; told to the tier itself alone, as what follows below the size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Its size.
    pub size_mib: u32,
    /// `open`, `opening`, or `closed` while its tier may not act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What is used of it, while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_mib: Option<u64>,
}

/// How a tier is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierStatus {
    /// Its name, for people; its realm's too.
    pub name: Name,
    /// The tier.
    pub tier: TierId,
    /// Its lease; the root's is its enrolment.
    pub lease: LeaseId,
    /// The tier that granted it; none for the root.
    pub parent: Option<TierId>,
    /// Its epoch.
    pub epoch: Epoch,
    /// Whether it may act: `in-force`, `busy`, `suspended`, `not-in-term`, `ending`.
    pub standing: String,
    /// A packet that its sets admit and something above them refuses, as `exceeds-boundary` has it: what stands
    /// above was tightened since, or names mean something else. The lesser holds. Whoever is not the tier is told
    /// `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beyond: Option<Value>,
    /// Until when its own set is only tried: then the one before it comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_until: Option<Time>,
    /// The directory with which names in the tier's sets last came to mean something else, since the node's monitor
    /// started. Told to the tier alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names_since: Option<u64>,
    /// Its realm, where it has one.
    pub realm: Option<RealmStatus>,
    /// Its volumes. Of those of others sizes alone are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeStatus>,
    /// Its engines, told to the tier itself alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<EngineStatus>,
}

/// How an engine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineStatus {
    /// Its name among the tier's engines.
    pub name: Name,
    /// What it does.
    pub state: EngineState,
    /// Whether it said that it is ready, or need not.
    pub ready: bool,
    /// What it says of itself: free text, of the engine's own making.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// How often it was started by itself since the supervisor's start.
    pub restarts: u64,
    /// Since when its process runs; none: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// How its last run ended, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<EngineExit>,
    /// Whether its last run ran out of memory, whatever its exit says.
    pub out_of_memory: bool,
    /// Whether its last run was ended because it hung: it missed its watchdog, or was not ready in time.
    pub watchdog: bool,
    /// Why it does not run though it should: a stable code or a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What this machine lacks to confine or limit it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

impl EngineStatus {
    /// The reason of one whose image is on its way from the archive to the volume: it starts when it is there.
    pub const IMAGE_UNPACKING: &str = "image-unpacking";
}

/// What an engine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineState {
    /// Its process runs and is not ready yet.
    Starting,
    /// It runs and is ready.
    Running,
    /// It hangs and is being killed.
    Hung,
    /// It ended by itself and will be started again.
    BackingOff,
    /// It is being ended as ordered.
    Stopping,
    /// It does not run, as ordered.
    Stopped,
    /// It ended by itself and is not started again, as its specification says.
    Ended,
    /// It should run and cannot be started: see the reason.
    Waiting,
}

/// How a run of an engine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum EngineExit {
    /// It ended with that exit code.
    Code(i32),
    /// That signal ended it.
    Signal(i32),
}

/// How a realm is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RealmStatus {
    /// Whether packets pass at all.
    pub open: bool,
    /// The generation that the data path enforces; 0 while it has none.
    pub generation: u64,
    /// Its hardware address.
    pub mac: String,
    /// Its addresses.
    pub addresses: Vec<std::net::IpAddr>,
}

/// What somebody should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warning {
    /// Stable: `torn-tail`, `disk-full`, `stolen-disk-unprotected`, `waits-for-share`, `secrets-in-ordinary-memory`.
    pub code: String,
    /// For a person.
    pub message: String,
}
