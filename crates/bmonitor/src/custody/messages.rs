//! What the supervisor asks of custody, and what custody answers: a closed set, of which nothing gives a secret
//! away. Each is a frame of `node-protocol`.

use id::{Digest, Epoch, NodeId, TierId, Time};
use keys::{Head, PublicKey, Receipt, SealingKey, Statement};
use serde::{Deserialize, Serialize};

/// The tiers from the root to the one whose volume it is, each with an epoch.
pub(crate) type Path = Vec<(TierId, Epoch)>;

/// A request with its number; the reply has the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Numbered<T> {
    pub(crate) number: u64,
    pub(crate) body: T,
}

/// All that can be asked of custody. Nothing here gives a secret away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Opens the store, or makes it; with a key file if one comes along. The first request.
    Open { key_file: bool },
    /// Opens the store by a share of the root's console, or locks it by one. Attachment: the share, sealed for
    /// the root.
    Share { node: NodeId, root: TierId, epoch: Epoch },
    /// Opens an order that was sealed for a tier's key of that epoch. Attachment: the sealed order.
    Order { node: NodeId, tier: TierId, epoch: Epoch, at: Time },
    /// Makes N, if there is none; gives its public key.
    Node {},
    /// Makes a tier's secrets of an epoch, if there are none; gives the public keys.
    Tier { tier: TierId, epoch: Epoch, root: bool },
    /// Signs a receipt, after looking whether the secrets that it speaks of are gone.
    Receipt(Box<Receipt>),
    /// Signs a statement.
    Statement(Box<Statement>),
    /// Signs a journal's head, if it is not older than the one that was kept; keeps it, if wanted.
    Head { head: Box<Head>, keep: bool },
    /// Serves a courier on the stream that comes along: signs its handshakes with the tier's identity of
    /// that epoch, and nothing else.
    Courier { tier: TierId, epoch: Epoch },
    /// Gives the kernel the key of a volume, through the descriptor that comes along: of a file or folder of the
    /// volume's file system. It is made if there is none.
    Volume { node: NodeId, path: Path, number: u64 },
    /// Wraps the key of a volume anew: by the secrets of this path, under a new salt.
    Rewrap { node: NodeId, path: Path, number: u64 },
    /// Seals an object for a tier. Attachment: the object. The reply's: the sealed one.
    Seal { tier: TierId, name: Digest },
    /// Opens an object that was sealed for a tier. Attachment: the sealed one. The reply's: the object.
    Unseal { tier: TierId, name: Digest },
    /// Lets go of all that belongs to a tier up to an epoch (none: all of it).
    Forget { tier: TierId, last: Option<Epoch> },
}

/// What custody answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Reply {
    /// How the store is now.
    Store(StoreState),
    /// The store does not open: no key file, or another one.
    Shut { why: String },
    /// The node's public key.
    Public { key: PublicKey },
    /// A tier's public keys.
    Tier { identity: PublicKey, sealing: Box<SealingKey> },
    /// A signed envelope.
    Signed { envelope: String },
    /// What was sealed: an order's envelope, as it was signed.
    Opened { envelope: String },
    /// The kernel has the key of a volume; this is what it calls it.
    Key { id: String },
    /// It is done.
    Done {},
    /// It was not done.
    Refused { why: String },
}

/// How custody's store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreState {
    /// What keeps a stolen disk shut.
    pub(crate) protection: Protection,
    /// Whether it is open; else it waits for its share.
    pub(crate) open: bool,
    /// Whether not even root reads the storage key in custody's memory.
    pub(crate) hidden: bool,
    /// The newest head of the journal that custody kept: an older or another journal is not this node's.
    pub(crate) kept: Option<KeptHead>,
}

/// A head that custody keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptHead {
    /// The record's number.
    pub(crate) record: u64,
    /// Its digest.
    pub(crate) digest: Digest,
}

/// What keeps a stolen disk shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Protection {
    /// Nothing.
    None,
    /// A key on another medium.
    KeyFile,
    /// A share that the root's console gives at each start.
    Share,
}
