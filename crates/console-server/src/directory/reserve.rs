//! Reservations: each tier below the root has an address of its own on each node, from when its lease is made until
//! it ends. DHCP gives it, the directory says it, and a realm comes up only where the two agree.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use id::{Name, NodeId, TierId};
use serde::{Deserialize, Serialize};
use store::Transaction;

use crate::api::No;
use crate::node::live::Place;
use crate::records::{self, KnownNode, key, value};
use crate::settings::Range;
use crate::state::Console;

/// An address that is kept for one realm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reservation {
    pub(crate) node: NodeId,
    pub(crate) tier: TierId,
    /// The tier's name on the node: what the directory calls its realm.
    pub(crate) name: Name,
    pub(crate) address: Ipv4Addr,
}

impl Console {
    /// All reservations, by node and tier.
    pub(crate) fn reservations(&self) -> Result<Vec<Reservation>, No> {
        let all = records::all::<Reservation>(self.store(), "reservation/")?;
        Ok(all.into_iter().map(|read| read.value).collect())
    }
}

/// Reserves for the tiers that are there, releases for those that are gone. Says whether anything changed. The caller
/// holds the turn in which addresses are given out.
pub(super) async fn follow_tiers(
    console: &Console,
    pool: Option<&Range>,
    node: &KnownNode,
    tiers: &[(TierId, Name)],
) -> Result<bool, No> {
    let Some(pool) = pool else { return Ok(false) };
    let all = console.reservations()?;
    let mut taken: BTreeSet<Ipv4Addr> = all.iter().map(|reservation| reservation.address).collect();
    let mut transaction = Transaction::new();
    let mut last: Option<Ipv4Addr> = records::get(console.store(), &last_key())?.map(|read| read.value);
    let mut changed = false;
    for gone in
        all.iter().filter(|one| one.node == node.node && !tiers.iter().any(|(tier, _)| *tier == one.tier))
    {
        transaction = transaction.remove(&reservation_key(gone.node, gone.tier));
        changed = true;
    }
    for (tier, name) in tiers {
        if all.iter().any(|one| one.node == node.node && one.tier == *tier) {
            continue;
        }
        // Neighbours remember for a while who had an address: one that came free is the last to be given anew.
        let after = pool.addresses().filter(|address| last.is_none_or(|last| *address > last));
        let Some(address) = after.chain(pool.addresses()).find(|address| !taken.contains(address)) else {
            let told = format!("no address is left in {pool} for tier {name} of node {}", node.name);
            return Err(No::new("pool-full", console_api::Exit::Failed, told)
                .hint("widen `realms` in console.toml, or sever what is not used"));
        };
        taken.insert(address);
        last = Some(address);
        let one = Reservation { node: node.node, tier: *tier, name: name.clone(), address };
        transaction = transaction.put(&reservation_key(one.node, one.tier), value(&one));
        changed = true;
    }
    if changed {
        if let Some(last) = last {
            transaction = transaction.put(&last_key(), value(&last));
        }
        console.commit(transaction).await?;
    }
    Ok(changed)
}

/// Moves the address that is kept for one realm, whose node is known to be off, to another. Whether there was one. The caller holds the turn in which
/// addresses are given out.
pub(crate) async fn move_address(console: &Console, from: Place, to: Place, name: &Name) -> Result<bool, No> {
    let all = console.reservations()?;
    let Some(old) = all.iter().find(|one| (one.node, one.tier) == from) else { return Ok(false) };
    // Whoever has it could not give it back: its node is off.
    if let Some(office) = &console.dhcp {
        office.ended(from.0, from.1)?;
    }
    let one = Reservation { node: to.0, tier: to.1, name: name.clone(), address: old.address };
    let transaction = Transaction::new()
        .remove(&reservation_key(from.0, from.1))
        .put(&reservation_key(one.node, one.tier), value(&one));
    console.commit(transaction).await?;
    Ok(true)
}

/// The address that was reserved last.
fn last_key() -> store::Key {
    key("directory/last-reserved".to_owned())
}

fn reservation_key(node: NodeId, tier: TierId) -> store::Key {
    key(format!("reservation/{node}/{tier}"))
}
