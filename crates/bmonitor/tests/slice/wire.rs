//! What the sets do to packets of both families, and with a thousand prefixes a tier.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::time::Instant;

use datapath::{Filter, Program, Settings};
use lab::Object;
use os::link::Links;
use tenure::Verb;

use crate::world::{REALMS, SHORT, SOON, TENANT, World, at};

/// The IPv6 network of the realms, one port of it.
const WEB_V6: &str = "version = 1\n[[allow]]\nprotocol = \"tcp\"\nremote = [\"fd00:10:1::/64\"]\nlocal_port = 80\n\
                      [[allow]]\ndirection = \"out\"\nremote = [\"fd00:10:1::/64\"]\n";
const BOTH: &str = "version = 1\n[[allow]]\nremote = [\"10.1.0.0/16\", \"fd00:10:1::/64\"]\n";

fn v6(node: usize, port: u16) -> SocketAddr {
    format!("[fd00:10:1::1{}]:{port}", node + 1).parse().unwrap()
}

/// Realms find each other by neighbour discovery, through both filters, and are judged like in IPv4.
pub(crate) fn ipv6() {
    let mut world = World::unstarted();
    for node in 0..2 {
        let path = world.facility.nodes()[node].configuration().join("bmonitor.toml");
        let text = fs::read_to_string(&path).unwrap();
        let v4 = format!("\"10.1.0.1{}/16\"", node + 1);
        let both = format!("{v4}, \"fd00:10:1::1{}/64\"", node + 1);
        assert!(text.contains(&v4), "{text}");
        fs::write(&path, text.replace(&v4, &both)).unwrap();
        world.start(node, &[]);
        world.settled(node);
        world.lease(node, BOTH);
    }
    world.narrow(0, WEB_V6).accepted();
    let server = world.server(0);
    server.listen(lab::Transport::Tcp, 81).unwrap();
    world.settled(0);
    world.settled(1);
    let client = world.engine(1, "client");
    let connection = client.connect(v6(0, 80), SOON).unwrap().unwrap();
    client.exchange(connection, SOON).unwrap().unwrap();
    client.connect(v6(0, 81), SHORT).unwrap().unwrap_err();
    // Its IPv4 is another matter: the set speaks of IPv6 alone.
    client.connect(at(0, 80), SHORT).unwrap().unwrap_err();
    world.narrow(0, REALMS).accepted();
    world.settled(0);
    client.exchange(connection, SHORT).unwrap().unwrap_err();
    client.connect(v6(0, 80), SHORT).unwrap().unwrap_err();
    client.connect(at(0, 80), SOON).unwrap().unwrap();
}

/// A thousand prefixes, the second node's address among them.
fn thousand(rest: &str) -> String {
    let mut remote = String::from("\"10.1.0.12/32\"");
    for number in 0..999 {
        write!(remote, ", \"10.{}.{}.0/25\"", 100 + number / 250, number % 250).unwrap();
    }
    format!("version = 1\n[[allow]]\nremote = [{remote}]\n{rest}")
}

/// Three sets of a thousand prefixes each bind a realm, by real orders.
pub(crate) fn a_thousand_prefixes() {
    let mut world = World::new();
    let object = Object::new(&thousand("")).unwrap();
    let verb = Verb::Boundary(tenure::Boundary { tier: None, object: object.name() });
    let envelope = world.landlord.order(&world.standing(0, "landlord"), verb);
    world.facility.nodes()[0].submit(&envelope, &[&object]).unwrap().accepted();
    world.lease(0, &thousand("[[deny]]\nprotocol = \"udp\"\n"));
    world.lease(1, REALMS);
    world.settled(1);
    let began = Instant::now();
    let own = thousand("[[deny]]\nprotocol = \"udp\"\n[[deny]]\nprotocol = \"tcp\"\nlocal_port = 81\n");
    world.narrow(0, &own).accepted();
    world.settled(0);
    assert!(began.elapsed() < SOON, "in force after {:?}", began.elapsed());
    let _server = world.server(0);
    let client = world.engine(1, "client");
    client.connect(at(0, 80), SOON).unwrap().unwrap();
    assert_eq!(client.connect(at(0, 81), SHORT).unwrap().unwrap_err(), "no answer");
    let wider = own.replace("\"10.1.0.12/32\"", "\"10.1.0.12/31\"");
    assert_eq!(world.narrow(0, &wider).code(), Some("exceeds-boundary"));
}

/// A realm that is made again has the filter that was pinned while it was open: it is cut before its link
/// comes up, whatever becomes of the supervisor then.
pub(crate) fn a_realm_made_again_is_cut_first() {
    let mut world = World::unstarted();
    world.start(0, &[]);
    world.settled(0);
    world.lease(0, REALMS);
    world.settled(0);
    world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    let pins = world.facility.nodes()[0].pins().join(TENANT);
    let namespace = world.facility.namespace("n1").unwrap();
    let link = || {
        let links = Links::open().unwrap().list().unwrap();
        links.into_iter().map(|link| link.name).find(|name| name.starts_with('r')).unwrap()
    };
    let is_cut = |link: &str| {
        let filter = Filter::open(&pins, &Program::embedded(), &Settings::default()).unwrap().unwrap();
        filter.observe(link).unwrap().cut
    };
    let before = namespace
        .run(|| {
            let name = link();
            assert!(!is_cut(&name), "the realm was not open");
            Links::open().unwrap().delete(&name).unwrap();
            name
        })
        .unwrap();
    // The first thing that a helper does now is to make the realm; then the supervisor dies.
    world.start(0, &["--die-at", "effect:done"]);
    world.facility.nodes_mut()[0].supervisor_ended(SOON).unwrap();
    let cut = namespace.run(|| (link() == before, is_cut(&before))).unwrap();
    assert_eq!(cut, (true, true), "{}", world.facility.nodes()[0].log());
    world.start(0, &[]);
    assert!(world.tier(0, TENANT).unwrap().realm.unwrap().open);
}
