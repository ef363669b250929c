//! Ten thousand rules, by real orders; and sets that are only tried.

use std::fmt::Write;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use lab::{Object, Said};
use node_protocol::call::{Answer, Call, Status};
use tenure::{TryBoundary, Verb};

use crate::world::{REALMS, SHORT, SOON, TENANT, WEB, World, at};

const RULES: usize = 10_000;
/// The programs under test are not optimised, and a policy of this size takes them seconds.
const PATIENCE: Duration = Duration::from_secs(50);

/// The second node's address for the web server, and rules for others; each tenth is a deny.
fn ten_thousand(last: &str) -> String {
    let mut text = format!("version = 1\n{last}");
    for number in 0..RULES - 1 {
        let (kind, remote) = match number {
            0 => ("allow", "10.1.0.12".to_owned()),
            _ => {
                let kind = if number % 10 == 0 { "deny" } else { "allow" };
                (kind, format!("10.1.{}.{}", 1 + number / 250, number % 250))
            }
        };
        let port = 80 + number % 7;
        write!(text, "[[{kind}]]\nprotocol = \"tcp\"\nremote = \"{remote}\"\nlocal_port = {port}\n").unwrap();
    }
    text
}

fn settled(world: &World) -> Status {
    match world.facility.nodes()[0].call(&Call::Status { settled: true }, &[], PATIENCE).unwrap() {
        (Answer::Status(status), _) => *status,
        other => panic!("{other:?}"),
    }
}

fn order(world: &World, object: &Object) -> Said {
    let verb = Verb::Boundary(tenure::Boundary { tier: None, object: object.name() });
    let envelope = world.tenant.order(&world.standing_now(0, TENANT), verb);
    world.facility.nodes()[0].submit(&envelope, &[object]).unwrap()
}

/// They bind a realm, a rule more is worked out from those, one too many is refused, and the loop answers while
/// they are worked out.
pub(crate) fn ten_thousand_rules() {
    let mut world = World::new();
    world.lease(0, REALMS);
    world.lease(1, REALMS);
    world.settled(0);
    world.settled(1);
    let first = Object::new(&ten_thousand("")).unwrap();
    let caller = world.facility.nodes()[0].caller();
    let put = Call::PutObject { name: first.name() };
    let bytes = first.as_bytes().to_vec();
    let learning = std::thread::spawn(move || caller.call(&put, &bytes, PATIENCE).unwrap());
    let (mut answered, mut longest) = (0, Duration::ZERO);
    while !learning.is_finished() {
        let began = Instant::now();
        world.facility.nodes()[0].call(&Call::Status { settled: false }, &[], PATIENCE).unwrap();
        longest = longest.max(began.elapsed());
        answered += 1;
    }
    assert!(matches!(learning.join().unwrap(), (Answer::Stored { .. }, _)));
    assert!(answered > 2, "only {answered} calls were answered meanwhile, the last within {longest:?}");
    order(&world, &first).accepted();
    settled(&world);
    let _server = world.server(0);
    let client = world.engine(1, "client");
    client.connect(at(0, 80), SOON).unwrap().unwrap();
    client.connect(at(0, 81), SHORT).unwrap().unwrap_err();

    let denies = Object::new(&ten_thousand("[[deny]]\nremote = \"10.1.0.12\"\n")).unwrap();
    order(&world, &denies).accepted();
    settled(&world);
    client.connect(at(0, 80), SHORT).unwrap().unwrap_err();
    let wider = ten_thousand("[[allow]]\nname = \"wide\"\nremote = \"203.0.113.7\"\n");
    assert_eq!(order(&world, &Object::new(&wider).unwrap()).code(), Some("exceeds-boundary"));
}

/// Until the end of a trial: more than a busy machine takes to put it in force, to look at it and to confirm it.
const TRIED_S: u32 = 8;

fn attempt(world: &World, text: &str, seconds: u32) {
    let object = Object::new(text).unwrap();
    let seconds = NonZeroU32::new(seconds).unwrap();
    let verb = Verb::TryBoundary(TryBoundary { object: object.name(), seconds });
    let envelope = world.tenant.order(&world.standing(0, TENANT), verb);
    let said = world.facility.nodes()[0].submit(&envelope, &[&object]).unwrap();
    said.accepted();
}

fn tries(status: &Status) -> bool {
    status.tiers.iter().any(|tier| tier.trial_until.is_some())
}

/// Waits for what only time brings.
fn later(world: &World, wanted: impl Fn(&Status) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !wanted(&world.status_with(0, |_| true)) {
        assert!(Instant::now() < deadline, "it never came to this");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A set that locks its author out goes by itself: by the node's clock, though the supervisor was killed meanwhile
/// and nobody says another word. One that is confirmed stays.
pub(crate) fn tried() {
    let mut world = World::new();
    world.lease(0, REALMS);
    world.lease(1, REALMS);
    world.settled(1);
    let _server = world.server(0);
    let client = world.engine(1, "client");
    world.narrow(0, WEB).accepted();
    world.settled(0);
    client.connect(at(0, 80), SOON).unwrap().unwrap();

    attempt(&world, "version = 1\n", TRIED_S);
    assert!(tries(&world.settled(0)));
    client.connect(at(0, 80), SHORT).unwrap().unwrap_err();
    world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    world.start(0, &[]);
    later(&world, |status| !tries(status));
    world.settled(0);
    client.connect(at(0, 80), SOON).unwrap().unwrap();

    // An order to the same effect within the time confirms it.
    let closed = "version = 1\n[[allow]]\nprotocol = \"udp\"\nremote = \"10.1.0.0/16\"\n";
    attempt(&world, closed, TRIED_S);
    let until = world.settled(0).tiers.iter().find_map(|tier| tier.trial_until).unwrap();
    world.narrow(0, closed).accepted();
    assert!(!tries(&world.settled(0)));
    later(&world, |status| status.at > until);
    world.settled(0);
    client.connect(at(0, 80), SHORT).unwrap().unwrap_err();
}
