//! Changes: what `decide` answers and `apply` does, one after the other. They are what the journal keeps.

use id::{Epoch, KeyId, LeaseId, Name, NodeId, Nonce, PublicKey, Sequence, TierId, Time};
use serde::{Deserialize, Serialize};

use crate::console::Console;
use crate::input::Made;
use crate::lease::{Contract, Quota, Terms};
use crate::order::{Consent, ControllerKey, EngineAction, PowerAction};
use crate::procedure::{Procedure, ProcedureId, Step};
use crate::right::Grant;
use crate::volume::SizeMib;
use id::Digest;

/// One change of a tenure. In JSON: `{"accepted": {…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// The clock moved on.
    Passed {
        /// To this.
        to: Time,
    },
    /// A term ended: from now on the tier and all below it are suspended. Nothing else happens to them.
    Lapsed {
        /// Whose.
        tier: TierId,
    },
    /// The node got its root.
    Enrolled {
        /// The node.
        node: NodeId,
        /// The root's tier.
        tier: TierId,
        /// The root's enrolment.
        lease: LeaseId,
        /// Its name.
        name: Name,
        /// Its controller keys.
        keys: Vec<ControllerKey>,
        /// Its consoles.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        consoles: Vec<Console>,
        /// The key that signs its directories.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        directory: Option<PublicKey>,
    },
    /// An order was accepted. Its sequence, nonce and leader term are used up.
    Accepted {
        /// The signer's tier.
        tier: TierId,
        /// The signer's lease.
        lease: LeaseId,
        /// The signer's epoch.
        epoch: Epoch,
        /// The signer.
        key: KeyId,
        /// Its sequence.
        seq: Sequence,
        /// Its nonce.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nonce: Option<Nonce>,
        /// Its leader term.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        term: Option<u64>,
    },
    /// A new tier.
    Leased {
        /// The grantor.
        parent: TierId,
        /// The new tier.
        tier: TierId,
        /// Its lease.
        lease: LeaseId,
        /// Its name.
        name: Name,
        /// Its contract.
        contract: Contract,
        /// From when until when.
        terms: Terms,
        /// What it may do.
        rights: Grant,
        /// What it may use.
        quota: Quota,
        /// Its controller keys.
        keys: Vec<ControllerKey>,
        /// The filter set given to it.
        given: Digest,
        /// Its consoles.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        consoles: Vec<Console>,
        /// The key that signs its directories.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        directory: Option<PublicKey>,
    },
    /// A lease says something else now.
    TermsChanged {
        /// The child.
        tier: TierId,
        /// Its contract.
        contract: Contract,
        /// From when until when.
        terms: Terms,
        /// What it may do.
        rights: Grant,
        /// What it may use.
        quota: Quota,
    },
    /// A tier set its own filter set.
    OwnBoundarySet {
        /// The tier.
        tier: TierId,
        /// The set.
        object: Digest,
    },
    /// A tier tries a filter set of its own.
    BoundaryTried {
        /// The tier.
        tier: TierId,
        /// The set.
        object: Digest,
        /// The first instant at which the trial is over.
        until: Time,
    },
    /// A trial is over that nobody confirmed: the set before it is in force again.
    TrialOver {
        /// The tier.
        tier: TierId,
    },
    /// The set given to a tier was replaced.
    GivenBoundarySet {
        /// The child.
        tier: TierId,
        /// The set.
        object: Digest,
    },
    /// A controller key was enrolled, or its rights changed.
    KeyEnrolled {
        /// The tier.
        tier: TierId,
        /// The key.
        key: ControllerKey,
    },
    /// A controller key was removed.
    KeyRemoved {
        /// The tier.
        tier: TierId,
        /// The key.
        key: KeyId,
    },
    /// A tier has these consoles now, and no other.
    ConsolesSet {
        /// The tier.
        tier: TierId,
        /// All of them.
        consoles: Vec<Console>,
    },
    /// Names in the sets of all tiers mean what this directory says.
    DirectorySet {
        /// The signed directory.
        object: Digest,
        /// Its version.
        serial: u64,
    },
    /// A tier consented.
    Consented {
        /// The tier whose data it is.
        tier: TierId,
        /// To what.
        consent: Consent,
    },
    /// A consent was used.
    ConsentUsed {
        /// The tier whose data it is.
        tier: TierId,
        /// Which.
        consent: Consent,
    },
    /// A tier was suspended.
    Suspended {
        /// The tier.
        tier: TierId,
        /// By which one above it.
        by: TierId,
    },
    /// A suspension ended.
    Resumed {
        /// The tier.
        tier: TierId,
        /// Whose suspension.
        by: TierId,
    },
    /// A realm, or for the root the node, was switched.
    Switched {
        /// The tier.
        tier: TierId,
        /// How.
        action: PowerAction,
    },
    /// A tier wants something else of one of its engines.
    EngineSet {
        /// The tier.
        tier: TierId,
        /// The engine.
        name: Name,
        /// What it wants.
        action: EngineAction,
    },
    /// A tier has another volume.
    VolumeMade {
        /// The tier.
        tier: TierId,
        /// What the tier calls it.
        name: Name,
        /// Which of all that the tier ever had.
        number: u64,
        /// Its size.
        size_mib: SizeMib,
    },
    /// A tier has a volume no more; what was in it is unreadable for ever.
    VolumeRemoved {
        /// The tier.
        tier: TierId,
        /// Which.
        name: Name,
    },
    /// A tier passed to another party.
    Reassigned {
        /// The tier.
        tier: TierId,
        /// Its new lease.
        lease: LeaseId,
        /// Its new contract.
        contract: Contract,
        /// The new party's keys.
        keys: Vec<ControllerKey>,
        /// The new party's consoles.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        consoles: Vec<Console>,
    },
    /// A procedure began: every part is in its new epoch from now on. Procedures on the same tiers that were
    /// under way are absorbed.
    Begun {
        /// Which.
        procedure: Procedure,
    },
    /// Custody made an identity.
    IdentityMade(Made),
    /// A step was done.
    StepDone {
        /// Of which procedure.
        procedure: ProcedureId,
        /// Which.
        step: Step,
    },
    /// The last step was done: ended tiers leave the tree, the others open again.
    Completed {
        /// Which procedure.
        procedure: ProcedureId,
    },
}
