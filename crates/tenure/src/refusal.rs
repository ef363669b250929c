//! Refusals: values with a stable code, a class and a sentence. A refusal changes nothing.

use id::{Digest, Epoch, Name, Nonce, Sequence, TierId, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::procedure::Step;
use crate::right::Right;

/// Why an input was refused. In JSON: `{"code": …}` with the variant's own keys.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum Refusal {
    /// The node has no root yet.
    #[error("the node is not enrolled")]
    NotEnrolled {},
    /// The node has a root already.
    #[error("the node is enrolled already")]
    AlreadyEnrolled {},
    /// The order is for another node.
    #[error("the order names another node")]
    WrongNode {},
    /// There is no such tier, or it ended.
    #[error("the signer's tier is not on this node")]
    UnknownTier {},
    /// The tier's lease is another one.
    #[error("the order names a lease that the tier does not have")]
    WrongLease {},
    /// The key is not one of the tier's controller keys.
    #[error("the key is not a controller key of the tier")]
    UnknownKey {},
    /// The tier's key set was renewed since, or not yet.
    #[error("the order is for epoch {named}, the tier is in epoch {present}")]
    WrongEpoch {
        /// The order's.
        named: Epoch,
        /// The tier's.
        present: Epoch,
    },
    /// The sequence number is not above the key's last one.
    #[error("sequence {seq} was used; the key's last one is {last}")]
    UsedSequence {
        /// The order's.
        seq: Sequence,
        /// The highest accepted one.
        last: Sequence,
    },
    /// The order's time is over.
    #[error("the order was to be obeyed before {not_after}; it is {now}")]
    Expired {
        /// The order's limit.
        not_after: Time,
        /// The node's clock.
        now: Time,
    },
    /// The node gave no such nonce to the tier, or it is used up.
    #[error("the node gave no such nonce to the tier, or it is used up")]
    UnknownNonce {
        /// The order's.
        nonce: Nonce,
    },
    /// Another console leads since.
    #[error("the order is of leader term {term}, but term {present} has begun")]
    PastTerm {
        /// The order's.
        term: u64,
        /// The highest seen.
        present: u64,
    },
    /// The tier is being made, renewed or ended.
    #[error("a procedure changes the tier's keys; next step: {next}")]
    Busy {
        /// Where the procedure stands.
        next: Step,
    },
    /// An upper tier suspended the signer's, or one above it.
    #[error("the tier is suspended")]
    Suspended {},
    /// The signer's lease, or one above it, does not run now.
    #[error("the lease runs from {not_before} until {until}; it is {now}")]
    NotInTerm {
        /// Of the path.
        not_before: Time,
        /// Of the path.
        until: Time,
        /// The node's clock.
        now: Time,
    },
    /// The tier may not exercise the right now.
    #[error("the tier does not have the right {right}")]
    TierLacksRight {
        /// Which.
        right: Right,
    },
    /// The controller key may not exercise the right.
    #[error("the key does not have the right {right}")]
    KeyLacksRight {
        /// Which.
        right: Right,
    },
    /// The target is not below the signer's tier, or does not exist: the two are not told apart.
    #[error("tier {tier} is not below the signer's")]
    NotBelow {
        /// The target.
        tier: TierId,
    },
    /// The target is no direct child of the signer's tier.
    #[error("tier {tier} has no lease from the signer's tier")]
    NotChild {
        /// The target.
        tier: TierId,
    },
    /// What is granted is more than the grantor may grant, or a key gets more than its tier or its
    /// enroller has.
    #[error("the right {right} exceeds what may be given")]
    ExceedsRights {
        /// The witness.
        right: Right,
    },
    /// The terms reach outside the grantor's.
    #[error("the terms reach outside {not_before} to {until}")]
    ExceedsTerms {
        /// Of the grantor's path.
        not_before: Time,
        /// Of the grantor's path.
        until: Time,
    },
    /// Terms that end before they begin.
    #[error("the terms are empty")]
    EmptyTerms {},
    /// The quota is used up, or more is given than there is.
    #[error("the quota of {what} is used up: {left} are left")]
    ExceedsQuota {
        /// Which.
        what: QuotaKind,
        /// How many are left.
        left: u32,
    },
    /// The set admits a packet that an upper tier refuses.
    #[error("the boundary admits what a higher tier refuses")]
    ExceedsBoundary {
        /// As in FORMATS (`boundary check`); null in the journal.
        witness: Value,
    },
    /// The step budget ran out: not proved, so refused.
    #[error("the boundary is too complex to prove")]
    TooComplex {},
    /// The node does not hold the object.
    #[error("the object {object} is not on this node")]
    UnknownObject {
        /// Which.
        object: Digest,
    },
    /// A hard limit of the node.
    #[error("{what}: {max} are the most")]
    Limit {
        /// Of what.
        what: Limited,
        /// The most.
        max: u64,
    },
    /// A tier of that name is on this node, or still being ended; or the signer's tier has a volume of that name
    /// and another size.
    #[error("the name {name} is taken")]
    NameTaken {
        /// Which.
        name: Name,
    },
    /// The signer's tier grants nothing while something that it granted is still being ended.
    #[error("a severing below is not complete")]
    SeveringUnderWay {},
    /// Data can be kept only with the consent of the tier whose data it is.
    #[error("tier {tier} has not consented to this")]
    NoConsent {
        /// Whose consent is missing.
        tier: TierId,
    },
    /// A renewal from above always erases the renewed tier's data.
    #[error("a renewal from above always erases")]
    ForcedErases {},
    /// A consent names a tier whose replacement cannot touch the signer's data, or a past epoch.
    #[error("there is nothing to consent to: tier {tier} is not above the signer's, or its epoch is another")]
    NothingToConsent {
        /// The tier named.
        tier: TierId,
    },
    /// No key would be left with the right.
    #[error("no other key of the tier has the right {right}")]
    LastKey {
        /// Which.
        right: Right,
    },
    /// A key stands twice in a list, or a list is empty.
    #[error("the list of keys is empty or names a key twice")]
    BadKeys {},
    /// The tier has no engine of that name.
    #[error("the tier has no engine {name}")]
    UnknownEngine {
        /// Which.
        name: Name,
    },
    /// The tier has no volume of that name.
    #[error("the tier has no volume {name}")]
    UnknownVolume {
        /// Which.
        name: Name,
    },
    /// A list of consoles is empty, names one twice, or an address of one twice, not at all, or on the node itself.
    #[error("a console or one of its addresses is missing, stands twice, or is the node's own")]
    BadConsoles {},
    /// The lease names a key for directories that is not the grantor's, or a directory is signed by another.
    #[error("the key for directories is another one")]
    WrongDirectory {},
    /// A directory as new as this one, or newer, is in force.
    #[error("the directory has serial {serial}; {present} is in force")]
    PastDirectory {
        /// The order's.
        serial: u64,
        /// The present one.
        present: u64,
    },
    /// Only the root says what names mean.
    #[error("only the root puts a directory in force")]
    NotRoot {},
    /// A fresh id is in use: the caller's random source is broken.
    #[error("a fresh id is in use already")]
    IdInUse {},
    /// No such procedure is under way.
    #[error("no such procedure is under way")]
    UnknownProcedure {},
    /// The outcome is not that of the next step.
    #[error("step {step} cannot be done before {next}")]
    OutOfOrder {
        /// What was told.
        step: Step,
        /// What must come next.
        next: Step,
    },
    /// [`Step::Remade`] without the identities that are wanted.
    #[error("an identity of tier {tier} is missing or of another epoch")]
    WrongIdentity {
        /// Whose.
        tier: TierId,
    },
    /// A counter is at its end.
    #[error("a counter is at its end")]
    Exhausted {},
}

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuotaKind {
    /// Tiers below.
    Tiers,
    /// Keys remembered.
    Keys,
    /// Objects.
    Objects,
    /// Orders an hour.
    RecordsPerHour,
    /// Volumes, in MiB.
    SpaceMib,
}

impl std::fmt::Display for QuotaKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tiers => "tiers",
            Self::Keys => "keys",
            Self::Objects => "objects",
            Self::RecordsPerHour => "records per hour",
            Self::SpaceMib => "MiB of volumes",
        })
    }
}

/// What a hard limit is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limited {
    /// Tiers along a path.
    Depth,
    /// Controller keys of a tier.
    Keys,
    /// Unused consents of a tier.
    Consents,
    /// Consoles of a tier.
    Consoles,
    /// Addresses of a console.
    Addresses,
    /// Engines of a tier.
    Engines,
    /// Volumes of a tier.
    Volumes,
    /// Seconds of a trial.
    TrialSeconds,
}

impl std::fmt::Display for Limited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Depth => "tiers along a path",
            Self::Keys => "controller keys of a tier",
            Self::Consents => "unused consents",
            Self::Consoles => "consoles of a tier",
            Self::Addresses => "addresses of a console",
            Self::Engines => "engines of a tier",
            Self::Volumes => "volumes of a tier",
            Self::TrialSeconds => "seconds of a trial",
        })
    }
}

/// Whose fault a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Nobody whom the node knows said it.
    NotAuthenticated,
    /// Once right, or prepared on a state that is gone.
    Stale,
    /// A rule or a higher tier says no.
    Refused,
    /// The shell told something that cannot be.
    Shell,
}

impl Class {
    /// The exit code of FORMATS.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Shell => 1,
            Self::Refused => 3,
            Self::NotAuthenticated => 4,
            Self::Stale => 6,
        }
    }
}

impl Refusal {
    /// Whose fault it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::WrongNode {} | Self::UnknownTier {} | Self::WrongLease {} | Self::UnknownKey {} => {
                Class::NotAuthenticated
            }
            Self::WrongEpoch { .. }
            | Self::UsedSequence { .. }
            | Self::Expired { .. }
            | Self::UnknownNonce { .. }
            | Self::PastTerm { .. }
            | Self::PastDirectory { .. } => Class::Stale,
            Self::AlreadyEnrolled {}
            | Self::IdInUse {}
            | Self::UnknownProcedure {}
            | Self::OutOfOrder { .. }
            | Self::WrongIdentity { .. } => Class::Shell,
            Self::NotEnrolled {}
            | Self::Busy { .. }
            | Self::Suspended {}
            | Self::NotInTerm { .. }
            | Self::TierLacksRight { .. }
            | Self::KeyLacksRight { .. }
            | Self::NotBelow { .. }
            | Self::NotChild { .. }
            | Self::ExceedsRights { .. }
            | Self::ExceedsTerms { .. }
            | Self::EmptyTerms {}
            | Self::ExceedsQuota { .. }
            | Self::ExceedsBoundary { .. }
            | Self::TooComplex {}
            | Self::UnknownObject { .. }
            | Self::Limit { .. }
            | Self::NameTaken { .. }
            | Self::SeveringUnderWay {}
            | Self::NoConsent { .. }
            | Self::ForcedErases {}
            | Self::NothingToConsent { .. }
            | Self::LastKey { .. }
            | Self::BadKeys {}
            | Self::UnknownEngine { .. }
            | Self::UnknownVolume { .. }
            | Self::BadConsoles {}
            | Self::WrongDirectory {}
            | Self::NotRoot {}
            | Self::Exhausted {} => Class::Refused,
        }
    }

    /// The exit code of a command that was refused so.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        self.class().exit_code()
    }

    /// The same without what it tells of a set's content. The signer hears all of it; the record of it is in the
    /// journal, which every tier of the node reads.
    #[must_use]
    pub fn without_content(mut self) -> Self {
        if let Self::ExceedsBoundary { witness } = &mut self {
            *witness = Value::Null;
        }
        self
    }

    /// The stable code: `wrong-epoch`.
    #[must_use]
    pub fn code(&self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|value| Some(value.get("code")?.as_str()?.to_owned()))
            .unwrap_or_default()
    }
}
