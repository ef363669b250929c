//! The rules that the tests break, one at a time, to show that the model notices.
//!
//! In the product every rule holds; `holds` is a constant there and costs nothing.

/// One rule of `decide` or `apply`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// An order names the present epoch of its tier.
    Epoch,
    /// A target is below the signer's tier.
    Tier,
    /// A renewal or severing takes everything below along.
    Cascade,
    /// What may be granted on may not thereby be exercised.
    GrantableIsNotExercisable,
    /// A key's last sequence survives its removal.
    SequenceSurvives,
    /// A key's last sequence survives the lease under which it was used.
    SequenceSurvivesLease,
    /// A term that ends suspends and does nothing else.
    LapseOnlySuspends,
    /// Steps are done in their order.
    StepOrder,
    /// Nothing is granted while a severing below is not complete.
    NoRegrant,
    /// A lower set admits only what the sets above admit.
    Boundary,
    /// Granted rights are among the grantor's grantable ones.
    RightsSubset,
    /// Granted terms lie inside the grantor's.
    TermsSubset,
    /// Effective rights follow the path, not the lease alone.
    RightsAlongPath,
    /// Effective terms follow the path, not the lease alone.
    TermsAlongPath,
    /// A consent is used once.
    ConsentOnce,
    /// Data is kept only with consent.
    ConsentNeeded,
    /// A consent names the next party's keys.
    ConsentNamesSuccessor,
    /// A quota never stands in the way of a severing.
    QuotaSparesSevering,
    /// A sequence is above the last one.
    Sequence,
    /// A nonce is used once.
    NonceOnce,
    /// An order is not obeyed after its time.
    NotAfter,
    /// The clock never goes back.
    ClockForward,
    /// A trial that nobody confirms is over at its time.
    TrialEnds,
    /// An order names the tier's present lease.
    Lease,
    /// A key has its own rights only.
    KeyRights,
    /// A removed key is no key of the tier any more.
    RemovalRemoves,
    /// A renewal from above erases the renewed tier's data.
    ForcedErases,
    /// An erasure replaces the salt.
    ErasureReplacesSalt,
    /// A suspended tier gives no orders.
    Suspension,
    /// A tier's view has its own content only.
    View,
    /// A stale leader term is refused.
    LeaderTerm,
    /// A key enrols others with its own rights at most.
    EnrollerRights,
    /// A severing goes through outside terms, while suspended, and while keys wait for custody.
    SeveringNeedsTheRightAlone,
    /// A tier names its own consoles, nobody else's.
    OwnConsoles,
    /// The next party's consoles replace those of the one before.
    NextPartyOwnConsoles,
    /// A tier that is severed has no console.
    SeveredHasNoConsole,
    /// A directory's version never goes back.
    DirectoryForward,
    /// Only the root says what names mean.
    DirectoryOfRoot,
    /// A directory is signed by the root's key for directories.
    DirectorySigned,
    /// What is applied is the record, and nothing that stands beside it.
    AppliesRecordAlone,
}

#[cfg(test)]
impl Rule {
    /// All of them.
    pub(crate) const ALL: [Self; 40] = [
        Self::Epoch,
        Self::Tier,
        Self::Cascade,
        Self::GrantableIsNotExercisable,
        Self::SequenceSurvives,
        Self::SequenceSurvivesLease,
        Self::LapseOnlySuspends,
        Self::StepOrder,
        Self::NoRegrant,
        Self::Boundary,
        Self::RightsSubset,
        Self::TermsSubset,
        Self::RightsAlongPath,
        Self::TermsAlongPath,
        Self::ConsentOnce,
        Self::ConsentNeeded,
        Self::ConsentNamesSuccessor,
        Self::QuotaSparesSevering,
        Self::Sequence,
        Self::NonceOnce,
        Self::NotAfter,
        Self::ClockForward,
        Self::TrialEnds,
        Self::Lease,
        Self::KeyRights,
        Self::RemovalRemoves,
        Self::ForcedErases,
        Self::ErasureReplacesSalt,
        Self::Suspension,
        Self::View,
        Self::LeaderTerm,
        Self::EnrollerRights,
        Self::SeveringNeedsTheRightAlone,
        Self::OwnConsoles,
        Self::NextPartyOwnConsoles,
        Self::SeveredHasNoConsole,
        Self::DirectoryForward,
        Self::DirectoryOfRoot,
        Self::DirectorySigned,
        Self::AppliesRecordAlone,
    ];
}

/// Whether the rule holds: in the product, always.
#[cfg(not(test))]
pub(crate) const fn holds(_rule: Rule) -> bool {
    true
}

/// Whether the rule holds: unless this thread broke it.
#[cfg(test)]
pub(crate) fn holds(rule: Rule) -> bool {
    broken::BROKEN.get() != Some(rule)
}

#[cfg(test)]
pub(crate) mod broken {
    use std::cell::Cell;

    use super::Rule;

    thread_local! {
        pub(super) static BROKEN: Cell<Option<Rule>> = const { Cell::new(None) };
    }

    /// Runs `act` with one rule broken, or with none.
    pub(crate) fn with<T>(rule: Option<Rule>, act: impl FnOnce() -> T) -> T {
        let before = BROKEN.replace(rule);
        let result = act();
        BROKEN.set(before);
        result
    }
}
