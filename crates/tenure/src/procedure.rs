//! Procedures: what makes, renews or ends tiers, in steps that survive a crash.
//!
//! ```text
//! sever            record ─ cut ─ secret gone ─ courier gone ─ engines killed ─ closed ─────────── receipt
//! renew, reassign  record ─ cut ─ secret gone ─ courier gone ─ engines killed ─ closed ─ remade ── receipt
//!  (all data kept) record ────────────────────────────────────────────────────────────── remade ── receipt
//! lease, enrolment record ────────────────────────────────────────────────────────────── remade ── receipt
//! ```
//!
//! The order's own record, with the new epochs, is the first step. Each further step is done in the world,
//! then told as an outcome and recorded. None waits for a tenant, a console or a dead process; a step that
//! custody does ([`Step::Remade`], [`Step::Receipt`]) waits for custody, and stands after everything that
//! closes and destroys.

use std::fmt;

use id::{Digest, Epoch, Nonce, TierId};
use serde::{Deserialize, Serialize};

/// A procedure is named by the digest of the envelope (for the root: of the enrolment) that began it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcedureId(pub Digest);

impl fmt::Display for ProcedureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A procedure under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Procedure {
    /// Its name.
    pub id: ProcedureId,
    /// What it is for.
    pub purpose: Purpose,
    /// Whose order began it; for the enrolment, the root.
    pub by: TierId,
    /// The tier that was named; the others in `parts` are below it.
    pub tier: TierId,
    /// What becomes of each tier, parents before children.
    pub parts: Vec<Part>,
    /// What is to be done next.
    pub next: Step,
    /// What the asker of a renewal wants to see in the new statement about the named tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Nonce>,
}

/// What a procedure is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The root's first identity.
    Enrolment,
    /// A new tier.
    Lease,
    /// New keys for tiers that stay.
    Renewal,
    /// A tier passes to another party.
    Reassignment,
    /// Tiers end.
    Severing,
}

/// One tier's part in a procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The tier.
    pub tier: TierId,
    /// Its epoch from now on.
    pub epoch: Epoch,
    /// What becomes of its data.
    pub fate: Fate,
}

/// What becomes of a tier's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// There was none yet.
    New,
    /// Wrapped anew under the new keys, with a new salt S.
    Kept,
    /// S is replaced, so that it is unreadable for ever.
    Erased,
    /// S is gone, and the tier ends.
    Ended,
}

impl Fate {
    /// Whether the data is unreadable afterwards.
    #[must_use]
    pub const fn destroys(self) -> bool {
        matches!(self, Self::Erased | Self::Ended)
    }
}

/// What is done in the world, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The data path's cut bit is set for the realms of all parts but the kept ones.
    Cut,
    /// The sealed S of every erased or ended part is unlinked; custody is killed if need be.
    SecretGone,
    /// Those parts' couriers are killed, their connections and pins gone.
    CourierGone,
    /// Those parts' engines are killed, all processes of the realm reaped.
    EnginesKilled,
    /// Volumes are closed, kernel keys removed and read back as gone; ended realms are removed.
    Closed,
    /// Custody made an identity of the new epoch for every part that stays, and wrapped kept data anew.
    Remade,
    /// N has signed what is due: a receipt for what was destroyed, a statement for what was made.
    Receipt,
}

impl Step {
    /// All, in their order.
    pub const ALL: [Self; 7] = [
        Self::Cut,
        Self::SecretGone,
        Self::CourierGone,
        Self::EnginesKilled,
        Self::Closed,
        Self::Remade,
        Self::Receipt,
    ];

    /// The name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::SecretGone => "secret-gone",
            Self::CourierGone => "courier-gone",
            Self::EnginesKilled => "engines-killed",
            Self::Closed => "closed",
            Self::Remade => "remade",
            Self::Receipt => "receipt",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Procedure {
    /// The first step of a procedure with these parts.
    #[must_use]
    pub fn first_step(parts: &[Part]) -> Step {
        if parts.iter().any(|part| part.fate.destroys()) { Step::Cut } else { Step::Remade }
    }

    /// The step after `step`, or nothing at the end.
    #[must_use]
    pub fn step_after(&self, step: Step) -> Option<Step> {
        let skipped = |next: &Step| *next == Step::Remade && self.purpose == Purpose::Severing;
        Step::ALL.into_iter().find(|next| *next > step && !skipped(next))
    }

    /// This tier's part.
    #[must_use]
    pub fn part(&self, tier: TierId) -> Option<&Part> {
        self.parts.iter().find(|part| part.tier == tier)
    }
}
