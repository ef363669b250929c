//! `status`: how the node is, for people and for tests.

use std::net::IpAddr;

use id::{Digest, TierId};
use node_protocol::call::{Answer, RealmStatus, Status, TierStatus, Warning};
use tenure::{Standing, Tier, World, effects};

use super::Supervisor;
use crate::config::Realm;
use crate::custody::{Protection, StoreState};
use crate::reconcile::Seal;

/// Warnings that concern every tier; the others name what is one tier's alone.
const EVERYBODYS: [&str; 5] =
    ["stolen-disk-unprotected", "disk-full", "waits-for-share", "secrets-in-ordinary-memory", "no-launcher"];

impl Supervisor {
    /// How the node is now, for who sits at it.
    pub(super) fn status(&mut self) -> Answer {
        let tenure = &self.node.tenure;
        let tiers = tenure.root().map(|root| tenure.subtree(root)).unwrap_or_default();
        let mut status = self.status_with(&tiers);
        for tier in &mut status.tiers {
            hide_beyond(tier);
        }
        Answer::Status(Box::new(status))
    }

    /// The same as a tier may see it: itself and what it granted. Of the node's troubles the root hears all,
    /// the others what concerns them.
    pub(super) fn status_of(&mut self, tier: TierId) -> Status {
        let tenure = &self.node.tenure;
        let is_root = tenure.root() == Some(tier);
        let tiers = if is_root {
            tenure.subtree(tier)
        } else {
            std::iter::once(tier).chain(tenure.children(tier).map(|(child, _)| child)).collect()
        };
        let mut status = self.status_with(&tiers);
        if !is_root {
            status.warnings.retain(|warning| EVERYBODYS.contains(&warning.code.as_str()));
            status.warnings.extend(self.names_lost(Some(tier)));
            status.forged = 0;
        }
        for own in status.tiers.iter_mut().filter(|own| own.tier == tier) {
            own.engines = self.engines_of(tier, status.at);
        }
        for other in status.tiers.iter_mut().filter(|other| other.tier != tier) {
            hide_beyond(other);
            (other.trial_until, other.names_since) = (None, None);
            for volume in &mut other.volumes {
                (volume.name, volume.state, volume.used_mib) = (None, None, None);
            }
        }
        status
    }

    /// The sets in force, of one tier or all, of which a directory has lost names. Which names is content.
    fn names_lost(&self, of: Option<TierId>) -> Vec<Warning> {
        let tier = of.and_then(|of| self.node.tenure.tier(of));
        let concerns = |name: &Digest| {
            tier.is_none_or(|tier| tier.given.as_ref() == Some(name) || tier.own.as_ref() == Some(name))
        };
        let lost = self.node.sets.lost().iter().filter(|name| concerns(name));
        lost.map(|name| Warning {
            code: "names-lost".to_owned(),
            message: format!("the directory has lost names of the boundary {name}: these close"),
        })
        .collect()
    }

    fn status_with(&mut self, tiers: &[TierId]) -> Status {
        self.take_denials();
        let at = self.node.now();
        let (record, digest) = self.node.journal.head();
        let tenure = &self.node.tenure;
        let world = effects(tenure);
        let tiers = tiers.iter().filter_map(|id| Some((*id, tenure.tier(*id)?)));
        Status {
            name: self.config.name.clone(),
            node: tenure.node(),
            at,
            record,
            digest,
            settled: self.settled,
            forged: self.forged,
            directory: tenure.directory().map(|directory| directory.serial),
            tiers: tiers.map(|(id, tier)| self.tier_status(&world, id, tier)).collect(),
            warnings: self.warnings(),
        }
    }

    fn tier_status(&self, world: &World, id: TierId, tier: &Tier) -> TierStatus {
        TierStatus {
            name: tier.name.clone(),
            tier: id,
            lease: tier.lease,
            parent: tier.parent,
            epoch: tier.epoch,
            standing: standing(self.node.tenure.standing(id)).to_owned(),
            beyond: self.node.beyond().get(&id).cloned(),
            trial_until: tier.trial.map(|trial| trial.until),
            names_since: tier
                .given
                .into_iter()
                .chain(tier.own)
                .filter_map(|set| self.node.sets.renamed(set))
                .max(),
            realm: self.realm_status(tier),
            volumes: world.realm(id).map(|realm| self.volume_statuses(realm)).unwrap_or_default(),
            engines: Vec::new(),
        }
    }

    fn realm_status(&self, tier: &Tier) -> Option<RealmStatus> {
        let realm = self.realm(&tier.name)?;
        let seen = self.observed.realms.get(&tier.name);
        let open = seen.is_some_and(|seen| seen.whole && matches!(seen.gate, Some(Seal::OpenUntil(_))));
        let mac = self.config.mac(&tier.name).map(|byte| format!("{byte:02x}"));
        Some(RealmStatus {
            open,
            generation: self.generations.get(&tier.name).map_or(0, |generation| generation.get()),
            mac: mac.join(":"),
            addresses: realm.addresses.iter().map(|(address, _prefix)| *address).collect(),
        })
    }

    /// Whether a realm has other addresses than the directory says.
    fn elsewhere(&self, realm: &Realm) -> Option<Warning> {
        let expected = self.node.sets.expected_addresses(&self.node.tenure, &realm.tier)?;
        let given: Vec<IpAddr> = realm.addresses.iter().map(|(address, _prefix)| *address).collect();
        (given != expected).then(|| Warning {
            code: "elsewhere".to_owned(),
            message: format!("realm {} has {given:?}, the directory says {expected:?}", realm.tier),
        })
    }

    fn warnings(&self) -> Vec<Warning> {
        let failures = self.jobs.failures().into_iter();
        let failures = failures.map(|message| Warning { code: "effect-failed".to_owned(), message });
        let services = self.services.failures().into_iter();
        let services = services.map(|message| Warning { code: "service-failed".to_owned(), message });
        let lost = self.names_lost(None);
        let elsewhere = self.config.realms.iter().filter_map(|realm| self.elsewhere(realm));
        let warned = self.store_warnings().chain(self.warned.iter().cloned());
        let missing = self.missing_addresses();
        let no_medium = self.no_medium();
        warned
            .chain(no_medium)
            .chain(self.no_launcher())
            .chain(self.held_volumes())
            .chain(lost)
            .chain(elsewhere)
            .chain(missing)
            .chain(failures)
            .chain(services)
            .collect()
    }
}

impl Supervisor {
    /// What custody's store does not keep from whom.
    fn store_warnings(&self) -> impl Iterator<Item = Warning> {
        let StoreState { protection, open, hidden, kept: _ } = self.store;
        let disk = (protection == Protection::None).then_some((
            "stolen-disk-unprotected",
            "stolen disk: unprotected (nothing locks custody's store)",
        ));
        let share = (!open).then_some((
            "waits-for-share",
            "custody's store is locked: nothing is opened before the root's console has given its share",
        ));
        let memory = (open && !hidden).then_some((
            "secrets-in-ordinary-memory",
            "this kernel has no memfd_secret: root can read custody's keys in memory",
        ));
        let all = disk.into_iter().chain(share).chain(memory);
        all.map(|(code, message)| Warning { code: code.to_owned(), message: message.to_owned() })
    }
}

/// The packet would tell what stands in another tier's own set.
fn hide_beyond(of: &mut TierStatus) {
    of.beyond = of.beyond.take().map(|_witness| true.into());
}

const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::InForce => "in-force",
        Standing::Busy => "busy",
        Standing::Suspended => "suspended",
        Standing::NotInTerm => "not-in-term",
        Standing::Ending => "ending",
    }
}
