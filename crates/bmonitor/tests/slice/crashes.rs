//! Death at every named step, and what is found afterwards.

use std::process::Command;
use std::time::Instant;

use node_protocol::call::Status;

use crate::console::{Unopened, courier_is_built};
use crate::world::{REALMS, SHORT, SOON, TENANT, WEB, World, at};

/// The names of all steps, and of the processes that pass them.
fn steps() -> Vec<(String, String)> {
    let listed = Command::new(env!("CARGO_BIN_EXE_bmonitor")).arg("steps").output().unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    let fields = |line: &str| -> Option<(String, String)> {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some((words.next()?, words.next()?))
    };
    text.lines().filter_map(fields).collect()
}

/// A lease, a narrower boundary and a severing, with a death at each step in turn: what was acknowledged is
/// in the journal, and the world is as the journal says.
pub(crate) fn at_every_step() {
    let mut all = steps();
    // Those of engines are passed where there are some: see `engines`.
    all.retain(|(step, _)| !step.starts_with("engine:"));
    assert!(all.len() >= 20, "{all:?}");
    courier_is_built();
    for (step, role) in all {
        die_at(&step, &role);
    }
}

/// How far the story was told, and what of it was acknowledged.
#[derive(Debug, Default)]
struct Story {
    leased: bool,
    narrowed: bool,
    severed: bool,
    ended: bool,
}

fn die_at(step: &str, role: &str) {
    let mut world = World::unstarted();
    // Nobody listens there: the tenant has a courier nevertheless.
    world.tenants_consoles = vec![Unopened::new(7443).named()];
    world.start(0, &["--die-at", step]);
    let (mut story, mut died) = (Story::default(), false);
    while !story.ended {
        match world.alive(0) {
            Some(status) => tell(&world, &status, &mut story),
            None => {
                // At the first start the supervisor halts without custody's answer, and is started again.
                assert!(role != "helper" && !died, "{step}: {}", world.facility.nodes()[0].log());
                died = true;
                world.start(0, &[]);
            }
        }
    }
    assert!(died || role != "supervisor", "nothing passes {step}");
    assert!(!world.realm(0).exists(), "{step}");
    assert!(!world.facility.nodes()[0].pins().join(TENANT).exists(), "{step}");
    let secrets = world.secrets(0);
    assert_eq!(secrets.len(), 1, "{step}: the landlord's alone is left: {secrets:?}");
    assert_eq!(world.signed(0), 2, "{step}");
}

/// Tells the next part. What was acknowledged must still be so; what was not may have happened.
fn tell(world: &World, status: &Status, story: &mut Story) {
    let tier = status.tiers.iter().find(|tier| tier.name.as_str() == TENANT).map(|tier| tier.tier);
    match tier {
        None if story.severed => story.ended = true,
        None => {
            assert!(!story.leased, "an acknowledged lease is lost: {status:?}");
            story.leased = world.try_lease(0, REALMS);
        }
        Some(_) if !story.narrowed => {
            story.leased = true;
            story.narrowed = world.narrow(0, WEB).exit == 0;
        }
        Some(tier) => {
            // Told, whether it was acknowledged or not.
            story.severed = true;
            let said = world.sever(0, tier);
            assert!(said.exit == 0 || said.talk.contains("supervisor"), "{said:?}");
        }
    }
}

/// A supervisor that dies takes nothing along: packets pass as before. What it put on record and did not live
/// to do is done by the next.
pub(crate) fn supervisor_dies_connections_live() {
    let mut world = World::new();
    let (tier, _lease) = world.lease(0, REALMS);
    world.lease(1, REALMS);
    world.settled(0);
    world.settled(1);
    let _server = world.server(0);
    let client = world.engine(1, "client");
    let connection = client.connect(at(0, 80), SOON).unwrap().unwrap();
    world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    client.exchange(connection, SOON).unwrap().unwrap();
    world.start(0, &["--die-at", "record:synced"]);
    world.settled(0);
    client.exchange(connection, SOON).unwrap().unwrap();
    assert_ne!(world.sever(0, tier).exit, 0);
    assert!(world.alive(0).is_none());
    world.start(0, &[]);
    assert!(world.tier(0, TENANT).is_none());
    client.exchange(connection, SHORT).unwrap().unwrap_err();
}

/// A supervisor dies between a record that takes something back and the data path, and none comes after it:
/// the kernel closes the realm by itself. The next one opens what the journal still admits.
pub(crate) fn kernel_closes_what_a_record_takes_back() {
    for step in ["record:braced", "record:synced", "order:answered"] {
        let mut world = World::new();
        world.lease(0, REALMS);
        world.lease(1, REALMS);
        world.settled(0);
        world.settled(1);
        let _server = world.server(0);
        let client = world.engine(1, "client");
        let connection = client.connect(at(0, 80), SOON).unwrap().unwrap();
        world.facility.nodes_mut()[0].kill_supervisor().unwrap();
        world.start(0, &["--die-at", step]);
        world.settled(0);
        client.exchange(connection, SOON).unwrap().unwrap();
        let acknowledged = world.narrow(0, "version = 1\n").exit == 0;
        assert!(world.alive(0).is_none(), "{step}");
        let began = Instant::now();
        while client.exchange(connection, SHORT).unwrap().is_ok() {
            assert!(began.elapsed() < SOON, "{step}: the old boundary holds without end");
        }
        world.start(0, &[]);
        world.settled(0);
        let open = step == "record:braced";
        assert!(!(acknowledged && open), "{step}");
        // What passes again comes with TCP's next repetition, which waits longer each time.
        let patience = if open { SOON } else { SHORT };
        assert_eq!(client.exchange(connection, patience).unwrap().is_ok(), open, "{step}");
    }
}
