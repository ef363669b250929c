//! What a console reads that others wrote: the files that parties hand each other, and nodes' journals. The console's
//! mirror is linked here as it stands.

use console_api::{Identity, Offer};
use id::{Digest, KeyId, NodeId, PublicKey, Time};
use keys::{NodeRecord as _, Statement};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure::{Fresh, Freshness, Input, Order, Target, Tenure, Verb, Verified};

use self::console_mirror::Mirror;
use crate::journal::chained;

#[expect(dead_code, reason = "the console uses more of it than its parser")]
#[path = "../../crates/console-server/src/node/mirror.rs"]
mod console_mirror;

/// An offer: what is read is written so that it reads the same, and each statement in it is a node's or refused.
pub fn offer(bytes: &[u8]) {
    let Some(offer) = reads_back::<Offer>(bytes) else { return };
    for lease in &offer.leases {
        // Nobody's signature is in reach here: it is the reading that counts.
        drop(Statement::verify(lease.statement.as_bytes(), None));
    }
}

/// A party's file.
pub fn identity(bytes: &[u8]) {
    reads_back::<Identity>(bytes);
}

fn reads_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(bytes).ok()?;
    let text = serde_json::to_vec(&read).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<T>(&text).ok().as_ref(), Some(&read));
    Some(read)
}

/// A node's journal, which may lie about everything: all of the lines are taken or nothing, and whatever they say of
/// tiers, the console finds its way through them.
pub fn mirror(bytes: &[u8]) {
    lines(bytes);
    lines(&chained(bytes));
}

fn lines(bytes: &[u8]) {
    // The node is the one that the journal names, so that more of them are taken.
    let text = String::from_utf8_lossy(bytes);
    let named =
        text.match_indices("\"lh1:").find_map(|(at, _)| text.get(at + 1..at + 48)?.parse::<KeyId>().ok());
    let Some(key) = "ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw".parse::<PublicKey>().ok() else {
        return;
    };
    let mut mirror = Mirror::empty(std::path::PathBuf::new(), NodeId(named.unwrap_or(key.id())), key);
    let taken = mirror.take(bytes).is_ok();
    assert_eq!(taken && !bytes.is_empty(), mirror.is_known());
    look_at(&mirror.tenure);
}

/// What the console asks of a mirror.
fn look_at(tenure: &Tenure) {
    let tiers: Vec<_> = tenure.tiers().map(|(id, _)| id).collect();
    for &tier in &tiers {
        assert!(tenure.path(tier).len() <= tiers.len());
        assert!(tenure.subtree(tier).len() <= tiers.len());
        assert!(serde_json::to_value(tenure.standing(tier)).is_ok());
        for (child, _) in tenure.children(tier) {
            plan(tenure, tier, child);
        }
    }
}

/// What a severing of one tier by another would mean.
fn plan(tenure: &Tenure, by: id::TierId, tier: id::TierId) {
    let (Some(state), Some(node)) = (tenure.tier(by), tenure.node()) else { return };
    let Some(signer) = state.keys.keys().next() else { return };
    let order = Order {
        node,
        lease: state.lease,
        tier: by,
        epoch: state.epoch,
        seq: tenure.last_sequence(*signer).unwrap_or_default().next().unwrap_or_default(),
        freshness: Freshness::NotAfter(Time::MAX),
        term: None,
        verb: Verb::Sever(Target { tier }),
    };
    let verified = Verified {
        order,
        signer: *signer,
        envelope: Digest::of(b""),
        fresh: Fresh::from_bytes([0; 32]),
        at: Time::ZERO,
    };
    drop(tenure::plan(tenure, &Input::Order(Box::new(verified))));
}
