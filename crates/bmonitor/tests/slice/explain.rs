//! What is told of a packet that was stopped: whose set it was, and the rule where it is the asker's to see.

use id::TierId;
use lab::Object;
use node_protocol::call::{Answer, Call, Denials, Explained, StoppedBy, Way};
use serde_json::json;
use tenure::Verb;

use crate::world::{REALMS, SHORT, SOON, TENANT, World, at};

/// The landlord's own: a rule that no tenant may read.
const LANDLORDS: &str = "version = 1\n[[allow]]\nremote = [\"10.1.0.0/16\", \"10.2.0.0/16\"]\n\
                         [[deny]]\nname = \"secret\"\nprotocol = \"tcp\"\nlocal_port = 82\n";
const TENANTS: &str = "version = 1\n[[allow]]\nname = \"web\"\nprotocol = \"tcp\"\nremote = [\"10.1.0.0/24\"]\n\
                       [[deny]]\nname = \"no-admin\"\nprotocol = \"tcp\"\nlocal_port = 81\n\
                       [[deny]]\nname = \"not-that-either\"\nprotocol = \"tcp\"\nlocal_port = 82\n";

fn explained(world: &World, tier: TierId, remote: &str, port: u16) -> Explained {
    let packet = json!({
        "direction": "in", "protocol": 6, "remote": remote, "remote_port": 40_000, "local_port": port,
    });
    let call = Call::Explain { tier, packet };
    match world.facility.nodes()[0].call(&call, &[], SOON).unwrap() {
        (Answer::Explained(explained), _) => *explained,
        other => panic!("{other:?}"),
    }
}

fn denials(world: &World, tier: TierId) -> Denials {
    match world.facility.nodes()[0].call(&Call::Denials { tier }, &[], SOON).unwrap() {
        (Answer::Denials(denials), _) => *denials,
        other => panic!("{other:?}"),
    }
}

fn by(stopped: &StoppedBy) -> (Option<&str>, &str, Option<&str>, bool) {
    let name = stopped.name.as_ref().map(id::Name::as_str);
    (name, stopped.set.as_str(), stopped.rule.as_deref(), stopped.hidden)
}

pub(crate) fn names_tier_and_rule() {
    let mut world = World::new();
    let (tier, _lease) = world.lease(0, REALMS);
    world.lease(1, REALMS);
    let object = Object::new(LANDLORDS).unwrap();
    let verb = Verb::Boundary(tenure::Boundary { tier: None, object: object.name() });
    let envelope = world.landlord.order(&world.standing(0, "landlord"), verb);
    assert_eq!(world.facility.nodes()[0].submit(&envelope, &[&object]).unwrap().exit, 0);
    assert_eq!(world.narrow(0, TENANTS).exit, 0);
    world.settled(0);

    let passes = explained(&world, tier, "10.1.0.12", 80);
    assert_eq!((passes.pass, passes.rule.as_deref(), passes.stopped_by), (true, Some("web"), None));
    assert!(passes.open && passes.in_force && passes.generation > 0);
    for (remote, port, wanted) in [
        ("10.1.0.12", 81, (Some(TENANT), "own", Some("no-admin"), false)),
        ("10.1.9.9", 80, (Some(TENANT), "own", None, false)),
        ("10.2.0.1", 80, (Some(TENANT), "given", None, false)),
        // The landlord's own set comes first, and its rules are not the tenant's to read.
        ("10.1.0.12", 82, (Some("landlord"), "own", None, true)),
        ("203.0.113.9", 80, (Some("landlord"), "own", None, true)),
        ("10.0.0.11", 80, (None, "built-in", Some("management"), false)),
    ] {
        let stopped = explained(&world, tier, remote, port).stopped_by.unwrap();
        assert_eq!(by(&stopped), wanted, "{remote} {port}");
    }

    // What the filter dropped on the wire is counted by the same names.
    world.settled(1);
    let client = world.engine(1, "client");
    for port in [81, 82] {
        client.connect(at(0, port), SHORT).unwrap().unwrap_err();
    }
    let denials = denials(&world, tier);
    let told: Vec<_> = denials.refused.iter().map(|each| (by(&each.by), each.direction)).collect();
    let wanted = [
        ((Some("landlord"), "own", None, true), Way::In),
        ((Some(TENANT), "own", Some("no-admin"), false), Way::In),
    ];
    for each in wanted {
        assert!(told.contains(&each), "{told:?}");
    }
    let refused: u64 = denials.refused.iter().map(|each| each.packets).sum();
    let counted: u64 = denials.dropped["refused"].values().sum();
    assert_eq!((refused, denials.unread), (counted, 0));
    assert_eq!(denials.refused.iter().filter(|each| each.by.hidden).count(), 1);
}
