//! Garbage at the doors of consoles and of a node that dials them: the node gets in afterwards, and stays in.

use console_api::{Order, OrderState};
use lab::{Door, Garbage};
use serde_json::{Value, json};

use crate::world::{LANDLORD, World, another_key, connected};

/// More than the handshakes that a console has under way at most.
const ROWS: usize = 300;

/// At the door that nodes dial, before a node has, and while one is connected.
pub(crate) fn at_the_door_of_nodes() {
    let mut world = World::new();
    let mut garbage = Garbage::new(20_261_130);
    throw(&world, &mut garbage);
    world.enrol();
    obeyed(&mut world);
    let connections = |world: &World| world.facility.nodes()[0].log().matches(": connected").count();
    let before = connections(&world);
    assert!(before > 0);
    throw(&world, &mut garbage);
    obeyed(&mut world);
    let nodes: Value = world.get(LANDLORD, "/v1/nodes");
    assert!(connected(&nodes) && connections(&world) == before, "{nodes}");
    let log = world.facility.consoles()[LANDLORD].log();
    assert!(!log.contains("panicked"), "{log}");
}

fn throw(world: &World, garbage: &mut Garbage) {
    let doors = world.facility.throw_garbage("landlord", garbage, ROWS).unwrap();
    assert!(doors.contains(&Door::Tcp(world.channel(LANDLORD).into())), "{doors:?}");
}

fn obeyed(world: &mut World) {
    let done: Order = world.post(LANDLORD, "/v1/orders", &another_key());
    assert_eq!(done.state, OrderState::Accepted, "{}", json!(done));
}
