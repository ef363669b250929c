//! A node's tree of tiers: who may say what, and what follows. Pure.
//!
//! ```text
//!            decide(&Tenure, &Input) ──▶ Err(Refusal)          the state is untouched
//!                     │
//!                     ▼
//!               Ok(Vec<Change>) ──journal, fsync──▶ apply(&mut Tenure, &Change)
//!                                                        │
//!                                                        ▼
//!                                             effects(&Tenure) ──▶ World
//! ```
//!
//! The shell's part: it verifies the signature of an order (with the key that [`Tenure`] has for the tier),
//! draws fresh ids, reads the clock, holds the objects that the order names ([`Tenure::hold`]), records what
//! was decided, applies it, makes the world so, and tells each finished step of a procedure as an
//! [`Outcome`]. After a start it applies the recorded changes to a snapshot and never decides again.
//!
//! Nothing here does I/O, reads a clock or draws random numbers.
#![forbid(unsafe_code)]

mod apply;
mod binding;
mod change;
mod console;
mod decide;
mod effects;
mod engine;
mod input;
mod lease;
pub mod limits;
mod order;
mod plan;
mod procedure;
mod refusal;
mod right;
mod rule;
mod tenure;
mod tier;
mod view;
mod volume;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use self::tenure::{Clock, DirectoryInForce, Standing, Tenure};
pub use apply::{apply, apply_all};
pub use binding::Binding;
pub use change::Change;
pub use console::{Console, ConsoleAddress, are_consoles};
pub use decide::decide;
pub use effects::{Gate, Realm, World, effects};
pub use engine::{EngineDemand, WantedEngine};
pub use input::{Enrolment, Fresh, Input, Made, Outcome, Verified};
pub use lease::{Contract, Quota, Terms};
pub use order::{
    Boundary, Consent, Consoles, ControllerKey, Directory, Engine, EngineAction, Freshness, Lease, NewTerms,
    NewVolume, ORDER_PAYLOAD_TYPE, Order, Power, PowerAction, Reassign, RemoveKey, RemoveVolume, Renew,
    Target, TryBoundary, Verb,
};
pub use plan::{Consequence, Plan, What, consequences, overhangs, plan};
pub use procedure::{Fate, Part, Procedure, ProcedureId, Purpose, Step};
pub use refusal::{Class, Limited, QuotaKind, Refusal};
pub use right::{Grant, Right, Rights};
pub use tier::{Data, KeyEntry, Power as TierPower, PowerState, Tier, Trial, Used};
pub use view::{Granted, View, view};
pub use volume::{SizeMib, Volume, WantedVolume};
