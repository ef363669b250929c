//! The machine under a node, as far as it matters: which secrets, engines and receipts there are.

use std::collections::{BTreeMap, BTreeSet};

use id::TierId;

use crate::{Fate, Procedure, ProcedureId, Purpose, Step, Tenure, effects};

/// A sealed salt S in custody's store; the data under it can be opened as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Secret {
    /// Which salt of the tier it is, as the tenure counts.
    pub(super) salt: u64,
    /// Which data lies under it: the model's own number, never used twice.
    pub(super) data: u32,
}

/// What is there, whatever BMonitor believes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Machine {
    pub(super) secrets: BTreeMap<TierId, Secret>,
    /// The tiers whose engines run, with the data that these have open.
    pub(super) engines: BTreeMap<TierId, u32>,
    pub(super) cut: BTreeSet<TierId>,
    pub(super) custody_dead: bool,
    next_data: u32,
}

impl Machine {
    /// Puts first data under the first salt of a tier.
    pub(super) fn settle(&mut self, tier: TierId) {
        self.next_data += 1;
        self.secrets.insert(tier, Secret { salt: 0, data: self.next_data });
    }

    /// Does the next step of a procedure, if it can be done now. Doing it twice is doing it once.
    pub(super) fn perform(&mut self, tenure: &Tenure, procedure: &Procedure) -> bool {
        let destroyed = || procedure.parts.iter().filter(|part| part.fate.destroys());
        match procedure.next {
            Step::Cut => self.cut.extend(destroyed().map(|part| part.tier)),
            Step::SecretGone => {
                for part in destroyed() {
                    // Custody keeps the salt that the world asks for, and no other.
                    let wanted = tenure.tier(part.tier).map(|tier| tier.data.salt);
                    if self.secrets.get(&part.tier).is_some_and(|secret| Some(secret.salt) != wanted) {
                        self.secrets.remove(&part.tier);
                    }
                }
            }
            Step::EnginesKilled => {
                for part in destroyed() {
                    self.engines.remove(&part.tier);
                }
            }
            Step::CourierGone | Step::Closed => {}
            Step::Remade | Step::Receipt if self.custody_dead => return false,
            Step::Remade => self.remake(tenure, procedure),
            Step::Receipt => {}
        }
        true
    }

    fn remake(&mut self, tenure: &Tenure, procedure: &Procedure) {
        for part in &procedure.parts {
            let Some(tier) = tenure.tier(part.tier).filter(|tier| !tier.ending) else { continue };
            match (part.fate, self.secrets.get_mut(&part.tier)) {
                (Fate::Kept, Some(secret)) => secret.salt = tier.data.salt,
                (_, Some(secret)) if secret.salt == tier.data.salt => {}
                (Fate::New | Fate::Erased | Fate::Kept | Fate::Ended, _) => {
                    self.next_data += 1;
                    let secret = Secret { salt: tier.data.salt, data: self.next_data };
                    self.secrets.insert(part.tier, secret);
                }
            }
        }
    }

    /// Starts what the world wants started. Stopping is the procedures' part, so that it can fail to happen.
    pub(super) fn follow(&mut self, tenure: &Tenure) {
        for realm in effects(tenure).realms {
            let secret = self.secrets.get(&realm.tier).filter(|secret| secret.salt == realm.data.salt);
            if let (true, Some(secret)) = (realm.engines, secret) {
                self.engines.insert(realm.tier, secret.data);
                self.cut.remove(&realm.tier);
            }
        }
    }

    /// Whether any of this data can still be opened or is open.
    pub(super) fn has_any(&self, doomed: &BTreeSet<u32>) -> bool {
        self.secrets.values().any(|secret| doomed.contains(&secret.data))
            || self.engines.values().any(|data| doomed.contains(data))
    }
}

/// What an order doomed: the model's own reckoning, from the order and the machine, of what must be gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Doom {
    pub(super) procedure: ProcedureId,
    pub(super) purpose: Purpose,
    /// Who granted the tier that was named.
    pub(super) grantor: Option<TierId>,
    /// The tiers and the data of theirs that must be gone before any receipt.
    pub(super) data: BTreeMap<TierId, u32>,
}

impl Doom {
    pub(super) fn all(&self) -> BTreeSet<u32> {
        self.data.values().copied().collect()
    }
}
