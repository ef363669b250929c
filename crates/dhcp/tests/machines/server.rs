//! One server, message by message (RFC 2131 §4.3).

use std::net::Ipv4Addr;

use dhcp::server::{
    Class, Command, Config, Event, NotReserved, Pool, Record, Report, Server, Standing, Wrong,
};
use dhcp::{ClientId, Kind, Mac, Message, NODE_CLASS, REALM_CLASS, Short};

use crate::world::{SERVER, config};

const NOW: u64 = 1_000_000;
const FOREIGN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 66);

fn mac(number: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, number])
}

fn unchecked() -> Config {
    Config { check: false, ..config() }
}

fn server() -> Server {
    Server::new(unchecked(), [])
}

fn host(third: u8, fourth: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, third, fourth)
}

fn message(kind: Kind, number: u8) -> Message {
    Message {
        client: Some(client(number)),
        class: Short::new(REALM_CLASS.as_bytes()),
        ..Message::new(kind, 5, mac(number))
    }
}

fn client(number: u8) -> ClientId {
    ClientId::of(&[number; 32], &[1; 16])
}

fn ask(server: &mut Server, message: &Message, now_s: u64) -> Vec<Command> {
    let mut out = Vec::new();
    server.step(Event::Heard(message, message.chaddr), now_s, &mut out);
    out
}

fn selecting(number: u8, address: Ipv4Addr) -> Message {
    Message { requested: Some(address), server: Some(SERVER), ..message(Kind::Request, number) }
}

fn reboot(number: u8, address: Ipv4Addr) -> Message {
    Message { requested: Some(address), ..message(Kind::Request, number) }
}

fn renewal(number: u8, address: Ipv4Addr) -> Message {
    Message { ciaddr: address, ..message(Kind::Request, number) }
}

/// The kind and address of the answer, if there is one.
fn answered(commands: &[Command]) -> Option<(Kind, Ipv4Addr)> {
    let answer = |command: &Command| match command {
        Command::Reply(reply) => Some((reply.message.kind, reply.message.yiaddr)),
        Command::Store(_) | Command::Check { .. } | Command::Report(_) => None,
    };
    commands.iter().find_map(answer)
}

const NAK: Option<(Kind, Ipv4Addr)> = Some((Kind::Nak, Ipv4Addr::UNSPECIFIED));

fn ack(address: Ipv4Addr) -> Option<(Kind, Ipv4Addr)> {
    Some((Kind::Ack, address))
}

/// A server whose client `number` has the address that it gave it.
fn leased(server: &mut Server, number: u8) -> Ipv4Addr {
    let (kind, address) = answered(&ask(server, &message(Kind::Discover, number), NOW)).unwrap();
    assert_eq!(kind, Kind::Offer);
    assert_eq!(answered(&ask(server, &selecting(number, address), NOW)), ack(address));
    address
}

#[test]
fn what_is_given_is_stored_before_it_is_said() {
    let mut server = server();
    let offer = ask(&mut server, &message(Kind::Discover, 1), NOW);
    let [Command::Reply(reply)] = &offer[..] else { panic!("{offer:?}") };
    let address = reply.message.yiaddr;
    assert_eq!((reply.to, reply.to_mac), (address, mac(1)));
    let commands = ask(&mut server, &selecting(1, address), NOW);
    let [Command::Store(record), Command::Reply(reply)] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(
        *record,
        Record {
            address,
            client: client(1),
            mac: mac(1),
            class: Class::Realm,
            until_s: NOW + 61,
            standing: Standing::Leased
        }
    );
    let said = &reply.message;
    assert_eq!((said.lease_s, said.renewal_s, said.rebinding_s), (Some(60), Some(30), Some(53)));
    assert_eq!((said.prefix, said.server, said.client.as_ref()), (Some(16), Some(SERVER), Some(&client(1))));
}

#[test]
fn what_a_client_had_that_is_known_to_be_gone_is_anothers_at_once() {
    let mut server = server();
    let address = leased(&mut server, 1);
    server.reserve(client(2), address).unwrap();
    assert_eq!(answered(&ask(&mut server, &message(Kind::Discover, 2), NOW)), None);
    let mut out = Vec::new();
    server.step(Event::Ended(&client(1)), NOW, &mut out);
    let [Command::Store(record)] = &out[..] else { panic!("{out:?}") };
    assert_eq!((record.address, record.standing), (address, Standing::Released));
    assert_eq!(leased(&mut server, 2), address);
    // Should it live after all, it is told.
    assert_eq!(answered(&ask(&mut server, &renewal(1, address), NOW)), NAK);
    // Who has nothing has nothing to lose.
    server.step(Event::Ended(&client(3)), NOW, &mut out);
    assert_eq!(out.len(), 1);
}

#[test]
fn pools_follow_from_the_vendor_class() {
    for (class, expected) in
        [(Some(NODE_CLASS), Some(1)), (Some(REALM_CLASS), Some(2)), (Some("x"), None), (None, None)]
    {
        let class = class.and_then(|class| Short::new(class.as_bytes()));
        let discover = Message { class, ..message(Kind::Discover, 1) };
        let offered = answered(&ask(&mut server(), &discover, NOW));
        assert_eq!(offered.map(|(_, address)| address.octets()[2]), expected);
    }
}

#[test]
fn answers_go_where_the_client_hears_them() {
    let mut server = server();
    let to = |commands: Vec<Command>| match commands.into_iter().next_back() {
        Some(Command::Reply(reply)) => (reply.to, reply.to_mac),
        other => panic!("{other:?}"),
    };
    let everybody = (Ipv4Addr::BROADCAST, Mac::BROADCAST);
    let broadcast = Message { broadcast: true, ..message(Kind::Discover, 1) };
    assert_eq!(to(ask(&mut server, &broadcast, NOW)), everybody);
    let address = leased(&mut server, 1);
    assert_eq!(to(ask(&mut server, &renewal(1, address), NOW)), (address, mac(1)));
    assert_eq!(to(ask(&mut server, &renewal(2, address), NOW)), everybody);
    // The standard looks at the address before the flag.
    let both = Message { broadcast: true, ..renewal(1, address) };
    assert_eq!(to(ask(&mut server, &both, NOW)), (address, mac(1)));
}

#[test]
fn requests_are_granted_refused_or_left_to_others() {
    let elsewhere = Ipv4Addr::new(192, 168, 0, 5);
    let mut first = server();
    let own = leased(&mut first, 1);
    let others = leased(&mut first, 2);
    let free = (1..=6).map(|host_| host(2, host_)).find(|address| ![own, others].contains(address)).unwrap();
    for (request, expected) in [
        // SELECTING: this server was chosen, so it says yes or no.
        (selecting(1, own), ack(own)),
        (selecting(3, free), ack(free)),
        (selecting(3, own), NAK),
        (selecting(3, host(1, 1)), NAK),
        (selecting(3, elsewhere), NAK),
        // INIT-REBOOT
        (reboot(1, own), ack(own)),
        (reboot(1, others), NAK),
        (reboot(1, free), NAK),
        (reboot(1, elsewhere), NAK),
        (reboot(3, own), NAK),
        (reboot(3, elsewhere), NAK),
        // Nothing is known of the client, and nobody else has the address: another server may have given it.
        (reboot(3, free), None),
        (reboot(3, host(7, 7)), None),
        // RENEWING, REBINDING
        (renewal(1, own), ack(own)),
        (renewal(3, own), NAK),
        (renewal(3, free), None),
        (renewal(3, elsewhere), NAK),
        // No state of a client sends these.
        (Message { requested: None, ..selecting(1, own) }, None),
        (Message { ciaddr: own, ..selecting(1, own) }, None),
        (message(Kind::Request, 1), None),
        // By a relay.
        (Message { giaddr: SERVER, ..reboot(1, own) }, None),
    ] {
        assert_eq!(answered(&ask(&mut first.clone(), &request, NOW)), expected, "{request:?}");
    }
}

#[test]
fn who_comes_back_gets_what_it_had() {
    let mut server = server();
    let address = leased(&mut server, 1);
    let later = NOW + 10_000;
    assert_eq!(
        answered(&ask(&mut server.clone(), &message(Kind::Discover, 1), later)),
        Some((Kind::Offer, address))
    );
    assert_eq!(answered(&ask(&mut server.clone(), &renewal(1, address), later)), ack(address));
    // Unless somebody else has it by then.
    assert_eq!(answered(&ask(&mut server, &selecting(2, address), later)), ack(address));
    assert_eq!(answered(&ask(&mut server, &renewal(1, address), later)), NAK);
}

#[test]
fn a_reservation_wins() {
    let mut server = server();
    let address = leased(&mut server, 2);
    server.reserve(client(1), address).unwrap();
    // The holder keeps it until its time is over, and gets no more time.
    assert_eq!(answered(&ask(&mut server, &renewal(2, address), NOW + 10)), NAK);
    let commands = ask(&mut server, &message(Kind::Discover, 1), NOW + 10);
    assert_eq!(commands, [Command::Report(Report::ReservedInUse { address, client: client(1) })]);
    let later = NOW + 61;
    assert_eq!(
        answered(&ask(&mut server, &message(Kind::Discover, 2), later)).map(|(_, other)| other == address),
        Some(false)
    );
    assert_eq!(answered(&ask(&mut server, &message(Kind::Discover, 1), later)), Some((Kind::Offer, address)));
    assert_eq!(answered(&ask(&mut server, &selecting(1, host(2, 5)), later)), NAK);
    assert_eq!(answered(&ask(&mut server, &selecting(1, address), later)), ack(address));
    // One that is in no pool, for a client of a class that has none.
    server.reserve(client(3), host(9, 9)).unwrap();
    let other = Message { class: None, ..message(Kind::Discover, 3) };
    assert_eq!(answered(&ask(&mut server, &other, later)), Some((Kind::Offer, host(9, 9))));
    assert_eq!(
        server.reserve(client(4), host(9, 9)),
        Err(NotReserved::Taken { address: host(9, 9), client: client(3) })
    );
    for outside in [SERVER, host(0, 0), Ipv4Addr::new(10, 1, 0, 1), Ipv4Addr::new(10, 0, 255, 255)] {
        assert_eq!(server.reserve(client(4), outside), Err(NotReserved::Outside { address: outside }));
    }
    // Another one in its place.
    server.reserve(client(3), host(9, 8)).unwrap();
    server.reserve(client(4), host(9, 9)).unwrap();
    server.unreserve(&client(4));
    assert_eq!(server.reservations().count(), 2);
}

#[test]
fn addresses_for_reservations_are_nobodys() {
    let mut server = server();
    let taken = leased(&mut server, 1);
    let mut given = Vec::new();
    while let Some(address) = server.unreserved(Class::Realm, NOW) {
        server.reserve(client(u8::try_from(given.len()).unwrap() + 10), address).unwrap();
        given.push(address);
    }
    assert_eq!(given.len(), 5);
    assert!(!given.contains(&taken));
    assert_eq!(server.unreserved(Class::Other, NOW), None);
}

#[test]
fn a_restart_keeps_what_was_stored() {
    let mut before = server();
    let address = leased(&mut before, 1);
    let records: Vec<_> = before.records().cloned().collect();
    let mut after = Server::new(unchecked(), records);
    assert_eq!(answered(&ask(&mut after, &renewal(1, address), NOW + 5)), ack(address));
    assert_eq!(answered(&ask(&mut after, &reboot(2, address), NOW + 5)), NAK);
}

#[test]
fn a_full_pool_is_reported() {
    let mut server = server();
    for number in 1..=6 {
        leased(&mut server, number);
    }
    let full = [Command::Report(Report::Full { class: Class::Realm, client: client(7) })];
    assert_eq!(ask(&mut server, &message(Kind::Discover, 7), NOW), full);
    // Given back: free.
    let address = server.records().next().unwrap().address;
    let holder = server.records().next().unwrap().mac.0[5];
    let release = Message { ciaddr: address, ..message(Kind::Release, holder) };
    let stored = ask(&mut server, &release, NOW);
    assert!(
        matches!(&stored[..], [Command::Store(Record { standing: Standing::Released, .. })]),
        "{stored:?}"
    );
    assert_eq!(answered(&ask(&mut server, &message(Kind::Discover, 7), NOW)), Some((Kind::Offer, address)));
}

#[test]
fn only_the_holder_gives_back_or_declines() {
    let mut server = server();
    let address = leased(&mut server, 1);
    let release = |number| Message { ciaddr: address, ..message(Kind::Release, number) };
    let decline =
        |number| Message { requested: Some(address), server: Some(SERVER), ..message(Kind::Decline, number) };
    for foreign in [
        release(2),
        decline(2),
        Message { server: Some(FOREIGN), ..release(1) },
        Message { server: Some(FOREIGN), ..decline(1) },
        Message { server: None, ..decline(1) },
    ] {
        assert_eq!(ask(&mut server, &foreign, NOW), [], "{foreign:?}");
    }
    let declined = ask(&mut server, &decline(1), NOW);
    assert!(
        matches!(declined[..], [Command::Store(_), Command::Report(Report::InUse { .. })]),
        "{declined:?}"
    );
    for number in [1, 2] {
        let offered = answered(&ask(&mut server, &message(Kind::Discover, number), NOW)).unwrap();
        assert_ne!(offered.1, address);
        assert_eq!(answered(&ask(&mut server, &reboot(number, address), NOW)), NAK);
    }
}

#[test]
fn who_asks_often_holds_one_offer() {
    let mut server = server();
    for asked in 1..=6 {
        let discover = Message { requested: Some(host(2, asked)), ..message(Kind::Discover, 1) };
        assert!(answered(&ask(&mut server, &discover, NOW)).is_some());
    }
    for number in 2..=6 {
        leased(&mut server, number);
    }
}

#[test]
fn inform_gives_no_lease() {
    let inform = Message { ciaddr: host(7, 7), ..message(Kind::Inform, 1) };
    let commands = ask(&mut server(), &inform, NOW);
    let [Command::Reply(reply)] = &commands[..] else { panic!("{commands:?}") };
    let said = &reply.message;
    assert_eq!((said.kind, said.yiaddr, said.lease_s, said.prefix), (Kind::Ack, 0.into(), None, Some(16)));
    assert_eq!(reply.to, host(7, 7));
    let outside = Message { ciaddr: Ipv4Addr::new(192, 168, 0, 1), ..inform };
    assert_eq!(ask(&mut server(), &outside, NOW), []);
}

#[test]
fn foreign_servers_are_reported_once() {
    let mut server = server();
    let foreign = |kind| Message { server: Some(FOREIGN), ..message(kind, 9) };
    // A client chose it.
    let chosen = Message { requested: Some(host(2, 1)), ..foreign(Kind::Request) };
    let report = |mac| Command::Report(Report::Foreign { server: FOREIGN, mac });
    assert_eq!(ask(&mut server, &chosen, NOW), [report(None)]);
    assert_eq!(ask(&mut server, &chosen, NOW), []);
    // It is heard itself.
    assert_eq!(ask(&mut server, &foreign(Kind::Offer), NOW), [report(Some(mac(9)))]);
    assert_eq!(ask(&mut server, &foreign(Kind::Ack), NOW), []);
    let own = Message { server: Some(SERVER), ..message(Kind::Offer, 9) };
    assert_eq!(ask(&mut server, &own, NOW), []);
    // However many there are, they cost little.
    for number in 0..=255 {
        let many = Message { server: Some(host(8, number)), ..foreign(Kind::Nak) };
        ask(&mut server, &many, NOW);
    }
    assert_eq!(server.foreign().count(), 16);
}

#[test]
fn an_address_is_checked_before_it_is_offered() {
    let mut server = Server::new(config(), []);
    let commands = ask(&mut server, &message(Kind::Discover, 1), NOW);
    let [Command::Check { address: used, .. }] = commands[..] else { panic!("{commands:?}") };
    let mut out = Vec::new();
    server.step(Event::Checked { address: used, used: true }, NOW, &mut out);
    let [Command::Store(_), Command::Report(Report::InUse { .. }), Command::Check { address: next, .. }] =
        out[..]
    else {
        panic!("{out:?}")
    };
    assert_ne!(next, used);
    out.clear();
    server.step(Event::Checked { address: next, used: false }, NOW, &mut out);
    assert_eq!(answered(&out), Some((Kind::Offer, next)));
    // Nobody waits for it any more.
    out.clear();
    server.step(Event::Checked { address: next, used: false }, NOW, &mut out);
    assert_eq!(out, []);
    // What it has is not checked: it would answer itself.
    assert_eq!(answered(&ask(&mut server, &selecting(1, next), NOW)), ack(next));
    assert_eq!(answered(&ask(&mut server, &message(Kind::Discover, 1), NOW)), Some((Kind::Offer, next)));
}

#[test]
fn all_that_is_wrong_with_a_setup_is_said_at_once() {
    assert_eq!(config().check(), []);
    let pool = |first, last| Some(Pool { first, last, prefix: 16, router: None, reserved_only: false });
    let wrong = Config {
        lease_s: 3,
        nodes: pool(host(1, 9), host(1, 1)),
        realms: pool(host(0, 1), host(2, 0)),
        others: pool(host(1, 255), Ipv4Addr::new(10, 1, 0, 1)),
        ..config()
    };
    assert_eq!(
        wrong.check(),
        [
            Wrong::Lease,
            Wrong::Backwards(Class::Node),
            Wrong::Outside(Class::Realm),
            Wrong::Outside(Class::Other),
            Wrong::Overlap(Class::Node, Class::Realm),
            Wrong::Overlap(Class::Realm, Class::Other),
        ]
    );
    let only = |pool: Pool| Config { nodes: Some(pool), realms: None, others: None, ..config() }.check();
    let good = config().nodes.unwrap();
    assert_eq!(only(Pool { prefix: 31, ..good }), [Wrong::Prefix(Class::Node)]);
    assert_eq!(only(Pool { router: Some(Ipv4Addr::new(10, 9, 0, 1)), ..good }), [Wrong::Router(Class::Node)]);
    assert_eq!(only(Pool { router: Some(host(1, 3)), ..good }), [Wrong::Outside(Class::Node)]);
    let large = Pool { prefix: 8, last: Ipv4Addr::new(10, 1, 1, 1), ..good };
    assert_eq!(only(large), [Wrong::Large(Class::Node)]);
    assert_eq!(Config { nodes: None, realms: None, others: None, ..config() }.check(), [Wrong::Empty]);
}

#[test]
fn each_pool_may_have_a_network_of_its_own() {
    let (at, router) = (|last| Ipv4Addr::new(10, 1, 0, last), Some(Ipv4Addr::new(10, 1, 0, 1)));
    let realms = Some(Pool { first: at(11), last: at(20), prefix: 24, router, reserved_only: false });
    let mut server = Server::new(Config { realms, ..unchecked() }, []);
    let commands = ask(&mut server, &message(Kind::Discover, 1), NOW);
    let [Command::Reply(reply)] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((reply.message.prefix, reply.message.router), (Some(24), router));
    server.reserve(client(2), at(99)).unwrap();
    assert!(server.reserve(client(3), at(1)).is_err());
    let node = Message { class: Short::new(NODE_CLASS.as_bytes()), ..message(Kind::Discover, 4) };
    let commands = ask(&mut server, &node, NOW);
    let [Command::Reply(reply)] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((reply.message.prefix, reply.message.router), (Some(16), None));
}

#[test]
fn a_pool_for_reservations_alone_is_nobody_elses() {
    let realms = config().realms.map(|pool| Pool { reserved_only: true, ..pool });
    let mut server = Server::new(Config { realms, ..unchecked() }, []);
    assert_eq!(ask(&mut server, &message(Kind::Discover, 1), NOW), []);
    assert_eq!(answered(&ask(&mut server, &selecting(1, host(2, 3)), NOW)), NAK);
    server.reserve(client(1), host(2, 3)).unwrap();
    assert_eq!(leased(&mut server, 1), host(2, 3));
}
