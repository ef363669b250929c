//! The tenant's half of Fig. 6: an offer is checked against what the tenant knows itself, before anything of it
//! counts.

use std::sync::Arc;

use console_api::{
    Check, EraseBelow, ErasesBelow, Offer, OfferedLease, Take, Taken, TakenLease, TierState, Trust,
};
use id::{Digest, Epoch, KeyId, Name, PublicKey};
use keys::{NodeRecord as _, Statement};
use store::Transaction;

use crate::api::{No, usage};
use crate::order::decode;
use crate::records::{KnownNode, KnownTier, value};
use crate::state::Console;
use crate::statement::{Checked, Expect, Expected, check};

/// The most leases of one offer.
const LEASES_MAX: usize = 10_000;

/// Checks each lease of the offer, and takes those that hold.
pub(super) async fn take(console: &Arc<Console>, take: &Take) -> Result<Taken, No> {
    if take.offer.leases.is_empty() || take.offer.leases.len() > LEASES_MAX {
        return Err(usage(format!("an offer has 1 to {LEASES_MAX} leases")));
    }
    // Whatever comes back to a terminal has a shape by then.
    tenure::Contract::try_from(take.offer.contract.clone()).map_err(usage)?;
    for offered in &take.offer.leases {
        let _: Name = offered.name.parse().map_err(malformed)?;
    }
    let confirmed = take.node_keys.iter().map(|text| node_key(text)).collect::<Result<Vec<_>, _>>()?;
    let mut leases = Vec::new();
    for offered in &take.offer.leases {
        leases.push(one(console, &take.offer, offered, &confirmed).await?);
    }
    Ok(Taken { contract: take.offer.contract.clone(), leases })
}

/// Lets tiers that are being taken over make their keys anew though those below have not consented. Gives how many.
pub(super) async fn erase_below(console: &Arc<Console>, wanted: &EraseBelow) -> Result<ErasesBelow, No> {
    let mut leases = Vec::new();
    for read in console.tiers()? {
        let taking = matches!(read.value.state, TierState::Taking | TierState::Renewing);
        if !taking || read.value.contract.as_ref() != Some(&wanted.contract) {
            continue;
        }
        let tier = KnownTier { erase_below: true, ..read.value.clone() };
        let key = &read.entry.key;
        console.commit(Transaction::new().expect(key, Some(&read.entry)).put(key, value(&tier))).await?;
        leases.push(tier.lease);
    }
    console.live.happen();
    if leases.is_empty() {
        return Err(crate::api::not_found("no lease under this contract is being taken over"));
    }
    Ok(ErasesBelow { leases })
}

fn malformed(malformed: id::Malformed) -> No {
    usage(malformed.to_string())
}

/// A key id, or a public key.
fn node_key(text: &str) -> Result<KeyId, No> {
    if text.starts_with("lh1:") {
        text.parse().map_err(malformed)
    } else {
        text.parse().map(|key: PublicKey| key.id()).map_err(malformed)
    }
}

async fn one(
    console: &Arc<Console>,
    offer: &Offer,
    offered: &OfferedLease,
    confirmed: &[KeyId],
) -> Result<TakenLease, No> {
    // Where keys were learnt from somebody else, each node must be one of them.
    let node_key = if confirmed.is_empty() {
        None
    } else {
        Some(confirmed.iter().copied().find(|key| *key == offered.node.0).unwrap_or(confirmed[0]))
    };
    let trust = if node_key.is_some() { Trust::Confirmed } else { Trust::Grantor };
    let object = decode(&offered.boundary)?;
    let expected = expected(console, offered, node_key, Digest::of(&object));
    let Checked { statement, mut checks } = check(offered.statement.as_bytes(), &expected);
    let shown = statement.as_ref().and_then(|statement| statement.identity);
    let mut taken = TakenLease {
        node_name: offered.name.clone(),
        node: offered.node,
        tier: offered.tier,
        lease: offered.lease,
        trust,
        accepted: false,
        checks: Vec::new(),
        identity: shown,
    };
    if let (Some(statement), Some(identity)) = (statement, shown) {
        let recorded = record(console, offer, offered, &statement, identity, trust, object).await;
        taken.accepted = recorded.is_ok();
        let found =
            recorded.err().map_or_else(|| "nothing here contradicts it".to_owned(), |no| no.0.message);
        checks.push(Check { check: "known".to_owned(), holds: taken.accepted, found });
    }
    taken.checks = checks;
    Ok(taken)
}

/// What the first statement must say. The epoch is the first of a tier that was just made, and a later one of a tier that
/// was handed on: the lease is new in both cases. The boundary is the one whose text the offer holds.
fn expected(
    console: &Console,
    offered: &OfferedLease,
    node_key: Option<KeyId>,
    boundary: Digest,
) -> Expected {
    Expected {
        node: offered.node,
        node_key,
        controllers: console.controller_keys(),
        tier: offered.tier,
        lease: offered.lease,
        epoch: Expect::After(Epoch::default()),
        boundary: Expect::Is(Some(boundary)),
        directory: Expect::Is(offered.directory),
        nonce: None,
        not_identity: None,
        identity: None,
    }
}

async fn record(
    console: &Arc<Console>,
    offer: &Offer,
    offered: &OfferedLease,
    statement: &Statement,
    identity: PublicKey,
    trust: Trust,
    object: Vec<u8>,
) -> Result<(), No> {
    let name: Name = offered.name.parse().map_err(malformed)?;
    let known = console.tier((offered.node, offered.tier))?;
    if known.is_some_and(|read| read.value.lease == offered.lease) {
        return Err(crate::api::refused("already-taken", "this lease was taken before"));
    }
    // A statement proves that N says it, not that somebody has the identity: one that is a tier's here already,
    // named by another node, would draw that tier's connections to itself.
    if console.place(&identity).is_some() {
        return Err(crate::api::refused("identity-known", "another tier has this identity here"));
    }
    let object = journal::Object::from_bytes(object).map_err(|error| usage(error.to_string()))?;
    console.keep_object(&object)?;
    // A name that the console gave itself stays.
    let name = console.node(&offered.node.to_string()).map_or(name, |node| node.name);
    let node = KnownNode {
        node: statement.node,
        node_key: *statement.node_key(),
        name,
        trust,
        at: console.world.now(),
    };
    let tier = KnownTier {
        node: statement.node,
        tier: statement.tier,
        lease: statement.lease,
        contract: Some(offer.contract.clone()),
        terms: Some(offered.terms),
        epoch: statement.epoch,
        identity,
        state: TierState::Taking,
        nonce: None,
        boundary: statement.boundary,
        directory: statement.directory,
        statement: offered.statement.clone(),
        erase_below: false,
    };
    console.introduce_node(&node, &tier).await?;
    console.pin(identity, (tier.node, tier.tier));
    Ok(())
}
