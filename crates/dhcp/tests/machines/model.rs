//! Many clients and a server by seeds.

use std::collections::BTreeMap;

use crate::world::{Perils, World};

const SEEDS: u64 = 60;
const MINUTE_MS: u64 = 60_000;

const ALL: Perils = Perils { wire: true, arp: false, forgets: false };

/// Runs a world for so long with all perils, then an hour without, after which everybody must have an address.
fn live(seed: u64, perils: Perils) -> BTreeMap<&'static str, u64> {
    let mut world = World::new(seed, perils);
    world.run(60 * MINUTE_MS, true);
    world.calm();
    world.run(60 * MINUTE_MS, false);
    if world.pools_suffice() {
        assert_eq!(world.holders(), world.clients(), "somebody is left without an address");
        *world.seen.entry("all served").or_default() += 1;
    }
    world.seen
}

fn live_all(perils: Perils) -> BTreeMap<&'static str, u64> {
    let mut seen = BTreeMap::new();
    for seed in 0..SEEDS {
        let one = std::panic::catch_unwind(|| live(seed, perils));
        let one = one.unwrap_or_else(|_| panic!("in the world of seed {seed}"));
        for (what, times) in one {
            *seen.entry(what).or_default() += times;
        }
    }
    seen
}

#[test]
fn never_two_clients_with_one_address() {
    let seen = live_all(ALL);
    for what in [
        "all served",
        "bound",
        "declined",
        "expired",
        "full",
        "in use",
        "message lost",
        "message repeated",
        "refused",
        "released",
        "renewed",
        "reserved",
        "reserved in use",
        "server restarted",
    ] {
        assert!(seen.get(what).is_some_and(|&times| times >= 20), "{what} hardly came about: {seen:?}");
    }
}

#[test]
fn never_two_clients_with_one_address_where_stations_answer_to_arp() {
    drop(live_all(Perils { arp: true, ..ALL }));
}

#[test]
fn a_server_that_forgets_what_it_stored_is_caught() {
    let caught = |seed| std::panic::catch_unwind(|| live(seed, Perils { forgets: true, ..ALL })).is_err();
    assert!((0..SEEDS).any(caught));
}
