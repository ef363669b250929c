//! What a courier and the supervisor say to each other, over the courier's stdin.
//!
//! ```text
//! supervisor                                  courier (one a tier and epoch)
//!   Begin ────────────────────────────────────▶  dials the consoles
//!   Consoles, whenever they change ───────────▶  dials the new ones, drops the others
//!   Status, one a second ─────────────────────▶  passes it on to whoever listens
//!            ◀──────────────────────────── Call  a number, and what a console asked
//!   Answer ───────────────────────────────────▶  the same number
//! ```
//!
//! Every call gets one answer; answers may come in another order. The courier keeps at most
//! [`CALLS_OPEN_MAX`] calls open. The supervisor reads no further call while the courier takes no answers,
//! and drops snapshots that the courier does not take: it never waits, and a courier that takes nothing
//! for long is killed.

use std::net::SocketAddr;

use id::{Epoch, PublicKey, TierId};
use serde::{Deserialize, Serialize};

use crate::call::{Answer, Call, Status};

/// Calls that a courier may have open at once.
pub const CALLS_OPEN_MAX: usize = 8;

/// Consoles of a tier.
pub const CONSOLES_MAX: usize = 4;

/// Addresses of a console.
pub const ADDRESSES_MAX: usize = 4;

/// The rights of a courier, from the supervisor's table of rights. It is a program of its own, and makes
/// them true of itself before it reads anything else. They stand on its command line, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confinement {
    /// Its uid and gid, which no other process has.
    pub uid: u32,
    /// The process that must be its parent; it dies with it.
    pub parent: u32,
    /// The most that it may use.
    pub limits: Limits,
    /// The system calls that work.
    pub calls: Vec<AllowedCall>,
}

/// The limits of a courier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Of a core dump.
    pub core_bytes: u64,
    /// Open at once.
    pub descriptors: u64,
    /// Of address space.
    pub address_space_bytes: u64,
}

/// A system call that works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedCall {
    /// Its name.
    pub name: String,
    /// The values that its first argument may have; none: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<u32>,
}

/// What a courier that the supervisor started is told. In JSON: `{"begin": {…}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToCourier {
    /// The first message, and never again: for another identity there is another courier.
    Begin(Begin),
    /// The tier's consoles are these from now on.
    Consoles(Vec<Console>),
    /// The answer to the call of that number. Attachment: the answer's.
    Answer {
        /// The call's number.
        number: u64,
        /// What the supervisor says.
        answer: Answer,
    },
    /// How the node is, as the tier may see it. One a second.
    Status(Box<Status>),
}

/// For whom a courier works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// The tier.
    pub tier: TierId,
    /// Its epoch.
    pub epoch: Epoch,
    /// The tier's identity U of that epoch. Custody signs with it: see [`crate::signing`].
    pub identity: PublicKey,
    /// The consoles to dial.
    pub consoles: Vec<Console>,
}

/// A console to dial.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// Its channel key: whoever answers without it learns nothing.
    pub key: PublicKey,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
}

/// What a courier says. In JSON: `{"call": {…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromCourier {
    /// A console asks something. Attachment: the call's.
    Call {
        /// Chosen by the courier; no other open call of its has it.
        number: u64,
        /// What is asked.
        call: Call,
    },
}
