//! What is told of a packet that was stopped: whose set it was, and the rule where it is the asker's to see.

use id::TierId;
use lab::Object;
use node_protocol::call::{Answer, Call, Denials, Explained, RefusedBy, StoppedBy, Way, code};
use serde_json::json;
use tenure::Verb;

use crate::couriers::{Tenancy, refused};
use crate::world::{REALMS, SHORT, SOON, TENANT, at};

/// The landlord's own: a rule that no tenant may read.
const LANDLORDS: &str = "version = 1\n[[allow]]\nremote = [\"10.1.0.0/16\", \"10.2.0.0/16\"]\n\
                         [[deny]]\nname = \"secret\"\nprotocol = \"tcp\"\nlocal_port = 82\n";
const TENANTS: &str = "version = 1\n[[allow]]\nname = \"web\"\nprotocol = \"tcp\"\nremote = [\"10.1.0.0/24\"]\n\
                       [[deny]]\nname = \"no-admin\"\nprotocol = \"tcp\"\nlocal_port = 81\n\
                       [[deny]]\nname = \"not-that-either\"\nprotocol = \"tcp\"\nlocal_port = 82\n";

fn about(tier: TierId, remote: &str, port: u16) -> Call {
    let packet = json!({
        "direction": "in", "protocol": 6, "remote": remote, "remote_port": 40_000, "local_port": port,
    });
    Call::Explain { tier, packet }
}

/// As the tenant's console hears it.
fn explained(tenancy: &Tenancy, remote: &str, port: u16) -> Explained {
    let answer = tenancy.tenant.call(&tenancy.tenants, &about(tenancy.tier, remote, port), &[]).0;
    let Answer::Explained(explained) = answer else { panic!("{answer:?}") };
    *explained
}

fn denials(answer: Answer) -> Denials {
    let Answer::Denials(denials) = answer else { panic!("{answer:?}") };
    *denials
}

fn by(stopped: &StoppedBy) -> (Option<&str>, &str, Option<&str>, bool) {
    let name = stopped.name.as_ref().map(id::Name::as_str);
    (name, stopped.set.as_str(), stopped.rule.as_deref(), stopped.hidden)
}

pub(crate) fn names_tier_and_rule() {
    let mut tenancy = Tenancy::begin();
    // The other node is the landlord's alone.
    let tenants_consoles = std::mem::take(&mut tenancy.world.tenants_consoles);
    tenancy.world.start(1, &[]);
    tenancy.world.lease(1, REALMS);
    tenancy.world.tenants_consoles = tenants_consoles;
    let (tier, world) = (tenancy.tier, &tenancy.world);
    let object = Object::new(LANDLORDS).unwrap();
    let verb = Verb::Boundary(tenure::Boundary { tier: None, object: object.name() });
    let envelope = world.landlord.order(&world.standing(0, "landlord"), verb);
    world.facility.nodes()[0].submit(&envelope, &[&object]).unwrap().accepted();
    world.narrow(0, TENANTS).accepted();
    world.settled(0);

    let passes = explained(&tenancy, "10.1.0.12", 80);
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
        let stopped = explained(&tenancy, remote, port).stopped_by.unwrap();
        assert_eq!(by(&stopped), wanted, "{remote} {port}");
    }

    // What the filter dropped on the wire is counted by the same names.
    tenancy.world.settled(1);
    let client = tenancy.world.engine(1, "client");
    for port in [81, 82] {
        client.connect(at(0, port), SHORT).unwrap().unwrap_err();
    }
    let heard = denials(tenancy.tenant.call(&tenancy.tenants, &Call::Denials { tier }, &[]).0);
    let told: Vec<_> = heard.refused.iter().map(|each| (by(&each.by), each.direction)).collect();
    let wanted = [
        ((Some("landlord"), "own", None, true), Way::In),
        ((Some(TENANT), "own", Some("no-admin"), false), Way::In),
    ];
    for each in wanted {
        assert!(told.contains(&each), "{told:?}");
    }
    let counted: u64 = heard.refused.iter().map(|each| each.packets).sum();
    assert_eq!((counted, heard.unread), (heard.dropped["refused"].values().sum(), 0));
    assert_eq!(heard.refused.iter().filter(|each| each.by.hidden).count(), 1);
    // The kernel's own count of each set says the same.
    let sum = |all: &[RefusedBy], set: Option<&str>| -> u64 {
        all.iter().filter(|each| by(&each.by).0 == set).map(|each| each.packets).sum()
    };
    for set in [Some("landlord"), Some(TENANT)] {
        assert_eq!(sum(&heard.by_set, set), sum(&heard.refused, set), "{heard:?}");
    }
    told_to_nobody_else(&tenancy);
}

/// The tier above does not hear of them, and who sits at the node hears whose set it was.
fn told_to_nobody_else(tenancy: &Tenancy) {
    let Tenancy { world, landlord, landlords, tier, .. } = tenancy;
    let call = about(*tier, "10.1.0.12", 81);
    for call in [&call, &Call::Denials { tier: *tier }] {
        assert_eq!(refused(landlord.call(landlords, call, &[]).0), code::NOT_FOUND);
    }
    let ask = |call: &Call| world.facility.nodes()[0].call(call, &[], SOON).unwrap().0;
    let Answer::Explained(explained) = ask(&call) else { panic!("no explanation") };
    assert_eq!(by(&explained.stopped_by.unwrap()), (Some(TENANT), "own", None, true));
    let heard = denials(ask(&Call::Denials { tier: *tier }));
    assert!(
        !heard.refused.is_empty()
            && heard.refused.iter().all(|each| each.by.hidden && each.by.rule.is_none())
    );
}
