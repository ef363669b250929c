//! A lease that ends suspends: the kernel closes the realm, with or without a supervisor, and nothing is
//! erased.

use std::time::{Duration, Instant};

use lab::Object;
use tenure::{Lease, Terms, Verb};

use crate::world::{REALMS, SHORT, SOON, TENANT, World, at};

const TERM: Duration = Duration::from_secs(3);

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
    let until = world.settled(0).at.plus(TERM);
    let object = Object::new(REALMS).unwrap();
    let lease = Lease { terms: Terms { not_before: id::Time::ZERO, until }, ..world.lease_of(&object) };
    let envelope = world.landlord.order(&world.standing(0, "landlord"), Verb::Lease(lease));
    assert_eq!(world.facility.nodes()[0].submit(&envelope, &[&object]).unwrap().exit, 0);
    world.settled(0);
    let _server = world.server(0);
    let client = world.engine(1, "client");
    let connection = client.connect(at(0, 80), SOON).unwrap().unwrap();
    if dead {
        world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    }
    let began = Instant::now();
    while client.exchange(connection, SHORT).unwrap().is_ok() {
        assert!(began.elapsed() < TERM + SOON, "the realm is open after its term");
    }
    if dead {
        world.start(0, &[]);
    }
    let tier = world.tier(0, TENANT).unwrap();
    assert_eq!((tier.standing.as_str(), tier.realm.unwrap().open), ("not-in-term", false));
    assert_eq!(world.secrets(0).len(), 2, "a lapse erases nothing");
}
