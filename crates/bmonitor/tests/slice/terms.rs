//! A lease that ends suspends: the kernel closes the realm, with or without a supervisor, and nothing is
//! erased.

use std::time::{Duration, Instant};

use id::Time;
use node_protocol::call::Status;
use tenure::{NewTerms, Terms, Verb};

use crate::world::{REALMS, SHORT, SOON, TENANT, World, at, is_past};

const TERM: Duration = Duration::from_secs(2);

pub(crate) fn closes_while_the_supervisor_lives() {
    lapse(false);
}

pub(crate) fn closes_while_the_supervisor_is_dead() {
    lapse(true);
}

fn lapse(dead: bool) {
    let mut world = World::new();
    world.lease(1, REALMS);
    world.settled(1);
    let (tier, _lease) = world.lease(0, REALMS);
    world.settled(0);
    let _server = world.server(0);
    let client = world.engine(1, "client");
    let connection = client.connect(at(0, 80), SOON).unwrap().unwrap();
    // The term ends soon: not before all this is there, however long that took.
    let until = world.settled(0).at.plus(TERM);
    let terms = Some(Terms { not_before: Time::ZERO, until });
    let change = NewTerms { tier, contract: None, terms, rights: None, quota: None };
    world.say(0, Verb::Terms(change)).accepted();
    world.settled(0);
    if dead {
        world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    }
    is_past(until);
    let began = Instant::now();
    while client.exchange(connection, SHORT).unwrap().is_ok() {
        assert!(began.elapsed() < SOON, "the realm is open after its term");
    }
    if dead {
        world.start(0, &[]);
    }
    world.status_with(0, is_not_in_term);
    assert!(!world.tier(0, TENANT).unwrap().realm.unwrap().open);
    assert_eq!(world.secrets(0).len(), 2, "a lapse erases nothing");
}

/// Whether the tenant's lease is over, as the node's supervisor sees it.
pub(crate) fn is_not_in_term(status: &Status) -> bool {
    status.tiers.iter().any(|tier| tier.name.as_str() == TENANT && tier.standing == "not-in-term")
}
