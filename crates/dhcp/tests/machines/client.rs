//! One client, step by step (RFC 2131 §4.4).

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcp::arp::Arp;
use dhcp::client::{Client, Command, Event, Loss, Outgoing, Renewal, Settings};
use dhcp::{ClientId, Kind, Mac, Message, REALM_CLASS, Short};

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SERVER_MAC: Mac = Mac([2, 0, 0, 0, 0, 9]);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 8);
/// No jitter; exchanges have this number.
const RANDOM: u64 = 77;

fn settings() -> Settings {
    Settings {
        mac: MAC,
        id: ClientId::of(&[1; 32], &[2; 16]),
        class: Short::new(REALM_CLASS.as_bytes()).unwrap(),
        renewal: Renewal::ToTheServer,
        expected: None,
    }
}

struct One {
    client: Client,
    now: Duration,
}

impl One {
    fn new(settings: Settings, remembered: Option<Ipv4Addr>) -> Self {
        Self { client: Client::new(settings, remembered, Duration::ZERO), now: Duration::ZERO }
    }

    fn step(&mut self, event: Event<'_>) -> Vec<Command> {
        let mut out = Vec::new();
        self.client.step(event, self.now, RANDOM, &mut out);
        out
    }

    fn at(&mut self, seconds: f64) -> Vec<Command> {
        self.now = Duration::from_secs_f64(seconds);
        self.step(Event::Time)
    }

    fn hear(&mut self, message: &Message) -> Vec<Command> {
        self.step(Event::Heard(message, SERVER_MAC))
    }

    /// Bound to `ADDRESS` for 80 seconds from time 0.
    fn bound(settings: Settings) -> Self {
        let mut one = Self::new(settings, None);
        one.at(0.0);
        one.hear(&answer(Kind::Offer));
        one.hear(&answer(Kind::Ack));
        for probe in 0..4 {
            one.at(0.25 * f64::from(probe));
        }
        assert_eq!(one.client.state(), "bound");
        one
    }
}

fn answer(kind: Kind) -> Message {
    Message {
        yiaddr: ADDRESS,
        server: Some(SERVER),
        lease_s: Some(80),
        prefix: Some(24),
        router: Some(SERVER),
        ..Message::new(kind, 77, MAC)
    }
}

fn sent(commands: &[Command]) -> Vec<&Outgoing> {
    commands
        .iter()
        .filter_map(|command| if let Command::Send(outgoing) = command { Some(outgoing) } else { None })
        .collect()
}

fn the_one(commands: &[Command]) -> &Outgoing {
    let sent = sent(commands);
    assert_eq!(sent.len(), 1, "{commands:?}");
    sent[0]
}

#[test]
fn an_address_is_looked_for_taken_probed_and_held() {
    let mut one = One::new(settings(), None);
    let commands = one.at(0.0);
    let discover = the_one(&commands);
    assert_eq!(
        (discover.to, discover.to_mac, discover.from),
        (Ipv4Addr::BROADCAST, Mac::BROADCAST, 0.into())
    );
    assert_eq!((discover.message.kind, discover.message.broadcast), (Kind::Discover, true));
    assert_eq!(discover.message.client, Some(settings().id));
    assert_eq!(discover.message.class, Some(settings().class));
    let commands = one.hear(&answer(Kind::Offer));
    let request = &the_one(&commands).message;
    assert_eq!(
        (request.kind, request.requested, request.server),
        (Kind::Request, Some(ADDRESS), Some(SERVER))
    );
    assert_eq!((request.ciaddr, request.xid), (0.into(), 77));
    assert_eq!(one.hear(&answer(Kind::Ack)), [Command::Probe(ADDRESS)]);
    assert_eq!(one.at(0.2), []);
    assert_eq!(one.at(0.25), [Command::Probe(ADDRESS)]);
    assert_eq!(one.at(0.5), [Command::Probe(ADDRESS)]);
    assert_eq!(one.client.lease(one.now), None);
    let commands = one.at(0.75);
    let [Command::Bound(lease)] = commands[..] else { panic!("{commands:?}") };
    assert_eq!((lease.address, lease.prefix, lease.router), (ADDRESS, 24, Some(SERVER)));
    let seconds = |at: Duration| at.as_secs();
    assert_eq!((seconds(lease.renew_at), seconds(lease.rebind_at), seconds(lease.until)), (40, 70, 80));
    assert_eq!(one.client.lease(one.now), Some(&lease));
}

#[test]
fn the_expected_address_is_waited_for() {
    let offer_of_other = Message { yiaddr: OTHER, ..answer(Kind::Offer) };
    let expecting = Settings { expected: Some(ADDRESS), ..settings() };
    let mut one = One::new(expecting.clone(), None);
    assert_eq!(the_one(&one.at(0.0)).message.requested, Some(ADDRESS));
    assert_eq!(one.hear(&offer_of_other), []);
    assert_eq!(the_one(&one.hear(&answer(Kind::Offer))).message.requested, Some(ADDRESS));
    // It does not come: better another than none.
    let mut one = One::new(expecting, None);
    one.at(0.0);
    one.hear(&offer_of_other);
    assert_eq!(one.client.wake_at(), Some(Duration::from_secs(2)));
    assert_eq!(the_one(&one.at(2.0)).message.requested, Some(OTHER));
}

#[test]
fn pauses_double_up_to_a_minute() {
    let mut one = One::new(settings(), None);
    let (mut at, mut pauses) = (0.0, Vec::new());
    for _ in 0..7 {
        assert_eq!(the_one(&one.at(at)).message.kind, Kind::Discover);
        let next = one.client.wake_at().unwrap().as_secs_f64();
        pauses.push((next - at).round());
        at = next;
    }
    // The jitter is none here: a second less than in the middle.
    assert_eq!(pauses, [3.0, 7.0, 15.0, 31.0, 63.0, 63.0, 63.0]);
}

#[test]
fn an_offer_that_is_not_honoured_is_given_up() {
    let mut one = One::new(settings(), None);
    one.at(0.0);
    one.hear(&answer(Kind::Offer));
    let mut requests = 1;
    loop {
        let at = one.client.wake_at().unwrap().as_secs_f64();
        let commands = one.at(at);
        if the_one(&commands).message.kind == Kind::Discover {
            break;
        }
        requests += 1;
    }
    assert_eq!(requests, 4);
}

#[test]
fn a_lease_is_renewed_rebound_and_lost() {
    let mut one = One::bound(settings());
    assert_eq!(one.at(39.9), []);
    let commands = one.at(40.0);
    let renewal = the_one(&commands);
    assert_eq!((renewal.from, renewal.to, renewal.to_mac), (ADDRESS, SERVER, SERVER_MAC));
    let request = &renewal.message;
    assert_eq!((request.ciaddr, request.requested, request.server), (ADDRESS, None, None));
    assert_eq!(one.client.wake_at(), Some(Duration::from_secs(70)));
    // The time counts from the request, not from its answer.
    one.now = Duration::from_secs(45);
    let commands = one.hear(&answer(Kind::Ack));
    let [Command::Renewed(lease)] = commands[..] else { panic!("{commands:?}") };
    assert_eq!(lease.until, Duration::from_secs(120));
    // Now nobody answers.
    assert_eq!(the_one(&one.at(80.0)).to, SERVER);
    let commands = one.at(110.0);
    let rebinding = the_one(&commands);
    assert_eq!((rebinding.to, rebinding.to_mac), (Ipv4Addr::BROADCAST, Mac::BROADCAST));
    assert_eq!(rebinding.message.ciaddr, ADDRESS);
    assert_eq!(one.client.state(), "rebinding");
    assert!(one.client.lease(Duration::from_millis(119_999)).is_some());
    assert!(one.client.lease(Duration::from_secs(120)).is_none());
    assert_eq!(one.at(120.0), [Command::Lost(Loss::Expired)]);
    assert_eq!(the_one(&one.at(121.0)).message.kind, Kind::Discover);
}

#[test]
fn a_machine_that_slept_over_the_end_uses_nothing() {
    let mut one = One::bound(settings());
    assert_eq!(one.at(500.0), [Command::Lost(Loss::Expired)]);
    // And an answer that comes too late gives nothing.
    let mut one = One::bound(settings());
    one.at(40.0);
    one.now = Duration::from_secs(80);
    assert_eq!(one.hear(&answer(Kind::Ack)), []);
}

#[test]
fn a_renewal_to_everybody_has_the_form_of_a_reboot() {
    let mut one = One::bound(Settings { renewal: Renewal::ToEverybody, ..settings() });
    for at in [40.0, 70.0] {
        let commands = one.at(at);
        let renewal = the_one(&commands);
        assert_eq!((renewal.to, renewal.from), (Ipv4Addr::BROADCAST, 0.into()));
        let request = &renewal.message;
        assert_eq!((request.ciaddr, request.requested, request.server), (0.into(), Some(ADDRESS), None));
        assert!(request.broadcast);
    }
}

#[test]
fn a_refusal_takes_the_address_away() {
    for at in [40.0, 70.0] {
        let mut one = One::bound(settings());
        one.at(at);
        let nak = Message { yiaddr: 0.into(), lease_s: None, ..answer(Kind::Nak) };
        assert_eq!(one.hear(&nak), [Command::Lost(Loss::Refused)]);
        assert_eq!(one.client.state(), "init");
    }
    // Nobody asked.
    let mut one = One::bound(settings());
    assert_eq!(one.hear(&answer(Kind::Nak)), []);
}

#[test]
fn who_is_refused_again_and_again_asks_more_slowly() {
    let mut one = One::new(settings(), None);
    let (mut at, mut pauses) = (0.0, Vec::new());
    for _ in 0..4 {
        one.at(at);
        one.hear(&answer(Kind::Offer));
        one.hear(&answer(Kind::Nak));
        let next = one.client.wake_at().unwrap().as_secs_f64();
        pauses.push(next - at);
        at = next;
    }
    assert_eq!(pauses, [0.0, 2.0, 4.0, 8.0]);
}

#[test]
fn an_address_in_use_is_declined() {
    let mut one = One::new(settings(), None);
    one.at(0.0);
    one.hear(&answer(Kind::Offer));
    one.hear(&answer(Kind::Ack));
    let arp = |sender| Arp { asks: false, sender_mac: SERVER_MAC, sender, target: 0.into() };
    assert_eq!(one.step(Event::Arp(arp(OTHER))), []);
    let commands = one.step(Event::Arp(arp(ADDRESS)));
    let decline = &the_one(&commands).message;
    assert_eq!(
        (decline.kind, decline.requested, decline.server),
        (Kind::Decline, Some(ADDRESS), Some(SERVER))
    );
    assert_eq!(decline.ciaddr, Ipv4Addr::UNSPECIFIED);
    assert!(commands.contains(&Command::InUse(ADDRESS)));
    assert_eq!(one.client.wake_at(), Some(Duration::from_secs(10)));
}

#[test]
fn a_remembered_address_is_asked_for_first() {
    let reboot = || {
        let mut one = One::new(settings(), Some(ADDRESS));
        let commands = one.at(0.0);
        let request = &the_one(&commands).message;
        assert_eq!((request.requested, request.server, request.ciaddr), (Some(ADDRESS), None, 0.into()));
        one
    };
    assert_eq!(reboot().hear(&answer(Kind::Ack)), [Command::Probe(ADDRESS)]);
    let mut one = reboot();
    one.hear(&answer(Kind::Nak));
    assert_eq!(the_one(&one.at(1.0)).message.kind, Kind::Discover);
    let mut one = reboot();
    assert_eq!(the_one(&one.at(4.0)).message.kind, Kind::Request);
    assert_eq!(the_one(&one.at(20.0)).message.kind, Kind::Discover);
    // Another address than it asked for is not what it asked for.
    assert_eq!(reboot().hear(&Message { yiaddr: OTHER, ..answer(Kind::Ack) }), []);
}

#[test]
fn what_is_given_back_is_not_used() {
    let mut one = One::bound(settings());
    let commands = one.step(Event::Release);
    let release = the_one(&commands);
    assert_eq!((release.to, release.to_mac, release.from), (SERVER, SERVER_MAC, ADDRESS));
    assert_eq!((release.message.kind, release.message.ciaddr), (Kind::Release, ADDRESS));
    assert!(commands.contains(&Command::Lost(Loss::Released)));
    assert_eq!((one.client.wake_at(), one.client.lease(one.now)), (None, None));
    assert_eq!(one.at(1000.0), []);
}

#[test]
fn answers_for_others_and_useless_ones_are_not_taken() {
    let others: [fn(&mut Message); 4] = [
        |message| message.xid = 78,
        |message| message.chaddr = SERVER_MAC,
        |message| message.client = ClientId::from_bytes(b"xx"),
        |message| message.kind = Kind::Request,
    ];
    let useless: [fn(&mut Message); 8] = [
        |message| message.lease_s = None,
        |message| message.lease_s = Some(0),
        |message| message.prefix = None,
        |message| message.server = None,
        |message| message.server = Some(OTHER),
        |message| message.yiaddr = 0.into(),
        |message| message.yiaddr = Ipv4Addr::BROADCAST,
        |message| message.yiaddr = Ipv4Addr::LOCALHOST,
    ];
    for spoil in others.into_iter().chain(useless) {
        let mut one = One::new(settings(), None);
        one.at(0.0);
        one.hear(&answer(Kind::Offer));
        let mut ack = answer(Kind::Ack);
        spoil(&mut ack);
        assert_eq!((one.hear(&ack), one.client.state()), (vec![], "requesting"), "{ack:?}");
    }
    for spoil in others {
        let mut one = One::new(settings(), None);
        one.at(0.0);
        let mut offer = answer(Kind::Offer);
        spoil(&mut offer);
        assert_eq!((one.hear(&offer), one.client.state()), (vec![], "selecting"), "{offer:?}");
    }
}

#[test]
fn times_out_of_order_are_replaced() {
    for (renewal_s, rebinding_s, expected) in [
        (None, None, (40, 70)),
        (Some(10), Some(20), (10, 20)),
        (Some(90), Some(20), (20, 20)),
        (Some(10), Some(80), (10, 70)),
        (Some(u32::MAX), Some(u32::MAX), (40, 70)),
    ] {
        let mut one = One::new(settings(), None);
        one.at(0.0);
        one.hear(&answer(Kind::Offer));
        one.hear(&Message { renewal_s, rebinding_s, ..answer(Kind::Ack) });
        (1..4).for_each(|probe| drop(one.at(0.25 * f64::from(probe))));
        let lease = one.client.lease(one.now).unwrap();
        assert_eq!(
            (lease.renew_at.as_secs(), lease.rebind_at.as_secs()),
            expected,
            "{renewal_s:?} {rebinding_s:?}"
        );
    }
}
