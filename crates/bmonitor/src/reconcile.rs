//! What is to be done so that the world becomes what the journal demands. Pure: from what should be and
//! what is to a row of effects, the most urgent first. Each effect may be done twice without harm.

#[cfg(test)]
mod tests;
pub(crate) mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use self::volumes::{SeenVolume, VolumeKey};
use crate::custody::{Gone, Path};
use id::{Digest, Digester, Epoch, Name, TierId, Time};
use tenure::{Console, Fate, Gate, Made, Part, Procedure, ProcedureId, Realm, Step, World};

/// What is known of the world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// Realms of which there is a trace, by their tiers' names.
    pub(crate) realms: BTreeMap<Name, Seen>,
    /// The secrets in custody's folder.
    pub(crate) secrets: BTreeSet<(TierId, Epoch)>,
    /// The salts in custody's folder, those of volumes too.
    pub(crate) salts: BTreeSet<(TierId, Epoch)>,
    /// The volumes of which there is a salt.
    pub(crate) locked: BTreeSet<VolumeKey>,
    /// The volumes of which there is a trace on the medium.
    pub(crate) volumes: BTreeMap<VolumeKey, SeenVolume>,
    /// The paths by which custody has wrapped volumes that are kept.
    pub(crate) wrapped: BTreeMap<VolumeKey, Path>,
    /// Whether the node has a medium for volumes.
    pub(crate) medium: bool,
    /// The identities that custody made since the start: digests of public keys.
    pub(crate) identities: BTreeMap<(TierId, Epoch), Digest>,
    /// The procedures whose realms have no process left.
    pub(crate) killed: BTreeSet<ProcedureId>,
    /// Of each procedure, how many of its documents are signed and stored.
    pub(crate) signed: BTreeMap<ProcedureId, usize>,
    /// Whether there is a program for couriers.
    pub(crate) courier_program: bool,
    /// The couriers that run, or have not been reaped.
    pub(crate) couriers: BTreeMap<TierId, Courier>,
}

/// A tier's courier as it was told to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Courier {
    /// The epoch of its identity.
    pub(crate) epoch: Epoch,
    /// Whom it dials.
    pub(crate) consoles: Vec<Console>,
}

/// A realm as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// It has its namespace, and a link that is up with its filter alone on both hooks.
    pub(crate) whole: bool,
    /// The gate, where this process set it.
    pub(crate) gate: Option<Seal>,
    /// The policy that a helper found or put in force.
    pub(crate) policy: Option<Digest>,
}

/// How a realm's gate was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seal {
    /// Nothing passes.
    Cut,
    /// Packets pass until that time.
    OpenUntil(Time),
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    /// Set the cut bit. At once, by the supervisor.
    Cut(Name),
    /// Unlink a tier's secrets, or its salts alone, up to an epoch (none: all). At once, by the supervisor.
    UnlinkSecrets(TierId, Option<Epoch>, Gone),
    /// Unlink a removed volume's salt. At once, by the supervisor.
    UnlinkVolume(VolumeKey),
    /// Kill a tier's courier, and its connections with it. At once, by the supervisor.
    EndCourier(TierId),
    /// Tell that a step is done. At once, by the supervisor.
    Tell(ProcedureId, Step, Vec<(TierId, Epoch, Digest)>),
    /// Open the gate until a time. At once, by the supervisor.
    Open(Name, Time),
    /// Kill the processes in realms. By a helper.
    Kill(ProcedureId, Vec<Name>),
    /// Remove a realm. By a helper.
    RealmDown(Name),
    /// Close a volume: by a helper, which reads back that the kernel has its key no more.
    CloseVolume(VolumeKey),
    /// Remove a closed volume. By a helper.
    RemoveVolume(VolumeKey),
    /// Make a realm, or make it whole again. By a helper.
    RealmUp(Name),
    /// Put a policy in force. By a helper.
    Policy(Name, Digest),
    /// Make a tier's identity. By custody.
    MakeIdentity(TierId, Epoch),
    /// Start a tier's courier. At once, by the supervisor, once custody can be asked.
    StartCourier(TierId, Epoch),
    /// Make a volume of so many bytes if need be, and mount it. By a helper.
    AttachVolume(VolumeKey, u64),
    /// Have custody give the kernel the key of a mounted volume.
    GiveKey(VolumeKey),
    /// Show what is in a volume whose key the kernel has. By a helper.
    OpenVolume(VolumeKey, String),
    /// Have custody wrap a kept volume by the present path.
    Rewrap(VolumeKey, Path),
    /// Tell a courier that its consoles are others. At once, by the supervisor.
    TellConsoles(TierId),
    /// Sign a document of a procedure, the n-th. By custody.
    Sign(ProcedureId, usize),
}

/// The gap between what should be and what is. `configured` names the tiers that can have a realm here;
/// `documents` says how many documents a procedure ends with.
pub(crate) fn reconcile(
    world: &World,
    observed: &Observed,
    configured: &BTreeSet<Name>,
    documents: impl Fn(&Procedure) -> usize,
) -> Vec<Effect> {
    let mut effects = Vec::new();
    for realm in world.realms.iter().filter(|realm| configured.contains(&realm.name)) {
        realm_effects(world, realm, observed, &mut effects);
    }
    for name in observed.realms.keys() {
        if !world.realms.iter().any(|realm| realm.name == *name && configured.contains(name)) {
            cut(name, observed, &mut effects);
            effects.push(Effect::RealmDown(name.clone()));
        }
    }
    courier_effects(world, observed, &mut effects);
    volumes::effects(world, observed, &mut effects);
    for procedure in &world.due {
        procedure_effects(world, procedure, observed, documents(procedure), &mut effects);
    }
    effects.sort();
    effects.dedup();
    effects
}

/// What names the policy of a realm among its policies: what it is denied by all means, what names mean, and
/// the sets that it is made of, from the top.
pub(crate) fn policy_of(world: &World, realm: &Realm) -> Digest {
    let mut digester = Digester::new("leasehold realm policy");
    for address in world.denied.iter().flat_map(|console| &console.addresses) {
        digester = digester.part(address.to_string().as_bytes());
    }
    digester = digester.part(world.directory.as_ref().map_or(&[][..], |object| object.as_bytes()));
    realm.sets.iter().fold(digester, |digester, set| digester.part(set.as_bytes())).finish()
}

fn realm_effects(world: &World, realm: &Realm, observed: &Observed, effects: &mut Vec<Effect>) {
    let name = &realm.name;
    let open = |effects: &mut Vec<Effect>| effects.push(Effect::Open(name.clone(), realm.deadline));
    if realm.gate == Gate::Cut {
        cut(name, observed, effects);
    }
    if is_ending(world, realm.tier) {
        return;
    }
    let Some(seen) = observed.realms.get(name).filter(|seen| seen.whole) else {
        effects.push(Effect::RealmUp(name.clone()));
        return;
    };
    let policy = policy_of(world, realm);
    let in_force = seen.policy == Some(policy);
    if !in_force {
        effects.push(Effect::Policy(name.clone(), policy));
    }
    if realm.gate == Gate::Open {
        match seen.gate {
            // It passes by an older policy until the new one is there. An earlier deadline does not wait for
            // that, a later one does.
            Some(Seal::OpenUntil(until)) if until > realm.deadline => open(effects),
            Some(Seal::OpenUntil(until)) if until < realm.deadline && in_force => open(effects),
            Some(Seal::Cut) | None if in_force => open(effects),
            Some(Seal::OpenUntil(_) | Seal::Cut) | None => {}
        }
    }
}

/// A courier that should not be there goes at once, whatever else is under way.
fn courier_effects(world: &World, observed: &Observed, effects: &mut Vec<Effect>) {
    for (tier, courier) in &observed.couriers {
        match world.realm(*tier).filter(|realm| realm.courier && realm.epoch == courier.epoch) {
            None => effects.push(Effect::EndCourier(*tier)),
            Some(realm) if realm.consoles != courier.consoles => effects.push(Effect::TellConsoles(*tier)),
            Some(_) => {}
        }
    }
    // Whoever is dialled asks for the newest statement: it is signed when the procedure is over.
    let under_way = |realm: &&Realm| world.due.iter().any(|procedure| procedure.part(realm.tier).is_some());
    let wanted = world.realms.iter().filter(|realm| realm.courier && observed.courier_program);
    let wanted = wanted.filter(|realm| !under_way(realm));
    for realm in wanted.filter(|realm| !observed.couriers.contains_key(&realm.tier)) {
        match observed.identities.get(&(realm.tier, realm.epoch)) {
            None => effects.push(Effect::MakeIdentity(realm.tier, realm.epoch)),
            Some(identity) if realm.identity == Some(*identity) => {
                effects.push(Effect::StartCourier(realm.tier, realm.epoch));
            }
            // Custody lost the identity that is on record, and made another: nobody is to be shown that.
            Some(_) => {}
        }
    }
}

/// The realms, open for all that is known, that will be cut or pass by another policy, each with the time when the kernel is to close
/// it meanwhile: `latest`, or before.
pub(crate) fn braced(coming: &World, observed: &Observed, latest: Time) -> Vec<(Name, Time)> {
    let stays = |name: &Name, seen: &Seen| {
        let realm = coming.realms.iter().find(|realm| realm.name == *name);
        realm.is_some_and(|realm| realm.gate == Gate::Open && seen.policy == Some(policy_of(coming, realm)))
    };
    let open = observed.realms.iter().filter_map(|(name, seen)| match seen.gate {
        Some(Seal::OpenUntil(until)) => Some((name, seen, until.min(latest))),
        None => Some((name, seen, latest)),
        Some(Seal::Cut) => None,
    });
    open.filter(|(name, seen, _)| !stays(name, seen)).map(|(name, _, until)| (name.clone(), until)).collect()
}

fn cut(name: &Name, observed: &Observed, effects: &mut Vec<Effect>) {
    if !is_cut(name, observed) {
        effects.push(Effect::Cut(name.clone()));
    }
}

/// A realm without a trace lets nothing through.
fn is_cut(name: &Name, observed: &Observed) -> bool {
    observed.realms.get(name).is_none_or(|seen| seen.gate == Some(Seal::Cut))
}

fn is_ending(world: &World, tier: TierId) -> bool {
    let parts = world.due.iter().filter_map(|procedure| procedure.part(tier));
    parts.into_iter().any(|part| part.fate == Fate::Ended)
}

fn procedure_effects(
    world: &World,
    procedure: &Procedure,
    observed: &Observed,
    documents: usize,
    effects: &mut Vec<Effect>,
) {
    let id = procedure.id;
    let before = effects.len();
    let mut made = Vec::new();
    let realms = |wanted: fn(Fate) -> bool| -> Vec<Name> {
        let parts = procedure.parts.iter().filter(|part| wanted(part.fate));
        let names = parts.filter_map(|part| world.realm(part.tier)).map(|realm| realm.name.clone());
        names.filter(|name| observed.realms.contains_key(name)).collect()
    };
    match procedure.next {
        Step::Cut => realms(Fate::destroys).iter().for_each(|name| cut(name, observed, effects)),
        Step::SecretGone => {
            // A secret by which data below is locked that is kept goes when that data is wrapped anew.
            let gone = if keeps(procedure) { Gone::Salts } else { Gone::Secrets };
            for part in procedure.parts.iter().filter(|part| part.fate.destroys()) {
                unlink(part, gone, observed, effects);
            }
        }
        Step::CourierGone => {
            let parts = procedure.parts.iter().filter(|part| part.fate.destroys());
            let ending = parts.filter(|part| observed.couriers.contains_key(&part.tier));
            effects.extend(ending.map(|part| Effect::EndCourier(part.tier)));
        }
        Step::EnginesKilled => {
            let realms = realms(Fate::destroys);
            if !observed.killed.contains(&id) && !realms.is_empty() {
                effects.push(Effect::Kill(id, realms));
            }
        }
        Step::Closed => {
            volumes::closings(procedure, observed, effects);
            effects.extend(realms(|fate| fate == Fate::Ended).into_iter().map(Effect::RealmDown));
        }
        Step::Remade => remake(world, procedure, observed, &mut made, effects),
        Step::Receipt => {
            // A statement names the identity, of which only the digest is on record.
            for part in procedure.parts.iter().filter(|part| part.fate != Fate::Ended) {
                if !observed.identities.contains_key(&(part.tier, part.epoch)) {
                    effects.push(Effect::MakeIdentity(part.tier, part.epoch));
                }
            }
            if effects.len() > before {
                return;
            }
            let signed = observed.signed.get(&id).copied().unwrap_or(0);
            effects.extend((signed < documents).then_some(Effect::Sign(id, signed)));
        }
    }
    if effects.len() == before {
        effects.push(Effect::Tell(id, procedure.next, made));
    }
}

/// Of an ended tier every secret goes; of an erased one those before its present epoch.
fn unlink(part: &Part, gone: Gone, observed: &Observed, effects: &mut Vec<Effect>) {
    let up_to = match part.fate {
        Fate::Ended => None,
        Fate::New | Fate::Kept | Fate::Erased => Some(before(part.epoch)),
    };
    let goes =
        |(tier, epoch): &(TierId, Epoch)| *tier == part.tier && up_to.is_none_or(|last| *epoch <= last);
    let present = if gone == Gone::Secrets { &observed.secrets } else { &observed.salts };
    if present.iter().any(goes) {
        effects.push(Effect::UnlinkSecrets(part.tier, up_to, gone));
    }
}

fn before(epoch: Epoch) -> Epoch {
    Epoch::new(epoch.get().saturating_sub(1)).unwrap_or_default()
}

/// Whether some data is kept.
fn keeps(procedure: &Procedure) -> bool {
    procedure.parts.iter().any(|part| part.fate == Fate::Kept)
}

fn remake(
    world: &World,
    procedure: &Procedure,
    observed: &Observed,
    made: &mut Vec<(TierId, Epoch, Digest)>,
    effects: &mut Vec<Effect>,
) {
    let mut all = true;
    for part in procedure.parts.iter().filter(|part| part.fate != Fate::Ended) {
        match observed.identities.get(&(part.tier, part.epoch)) {
            Some(identity) => made.push((part.tier, part.epoch, *identity)),
            None => {
                all = false;
                effects.push(Effect::MakeIdentity(part.tier, part.epoch));
            }
        }
    }
    if all {
        let before = effects.len();
        for part in procedure.parts.iter().filter(|part| part.fate == Fate::Kept) {
            volumes::rewrap(world, part.tier, observed, effects);
        }
        if effects.len() > before {
            return;
        }
        // The old salts of kept data go when the new ones are there, and with them the secrets that they needed.
        let replaced = |part: &&Part| matches!(part.fate, Fate::Kept | Fate::Erased);
        for part in procedure.parts.iter().filter(replaced) {
            unlink(part, Gone::Secrets, observed, effects);
        }
    }
}

/// What is told with a step, as the core takes it.
pub(crate) fn as_made(made: &[(TierId, Epoch, Digest)]) -> Vec<Made> {
    made.iter()
        .map(|(tier, epoch, identity)| Made { tier: *tier, epoch: *epoch, identity: *identity })
        .collect()
}
