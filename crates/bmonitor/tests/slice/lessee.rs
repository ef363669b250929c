//! `kill -9` of who leases a node's addresses, at moments of a lease and a little after them: whatever it had said,
//! heard or told by then, a realm is open only with the address that the directory names and the server leased, and
//! everything recovers by itself.
//!
//! Each life of a lease is hit twice: while it is got, and while it is held or given back. All of it follows from a
//! seed; `LEASE_LIVES` in the environment wishes for more of them than CI lives through.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use dhcp::Kind;
use dhcp::arp::Arp;
use dhcp::frame::UdpChecksum;
use dhcp::server::Class;
use dhcp::wire::{self, Heard};
use id::TierId;
use node_protocol::call::Status;
use os::link::Links;
use os::namespace::Namespace;
use os::poll::{Wanted, wait};
use os::process::Process;

use crate::leases::{
    Office, PATIENCE, Serving, client_of, is_warned, open_at, reserve, say_directory, waits_for, world,
};
use crate::rights::the_one;
use crate::world::{REALMS, TENANT, World, pause};

/// Half of it is soon over: then it is renewed.
const LEASE_S: u32 = 6;
/// Lives in CI: each moment is in them.
const LIVES: u64 = 8;
/// They wait most of the time.
const AT_ONCE: usize = 8;
/// A server counts whole seconds.
const SECOND: u64 = 1;
/// Nobody is killed later after a moment: by then what follows from it is done.
const AFTER_MAX_US: u64 = 4_000;
/// Nor after an order, which takes longer.
const AFTER_ORDER_MAX_US: u64 = 60_000;

const WHILE_GOT: [Moment; 8] = [
    Moment::Said(Kind::Discover, When::Heard),
    Moment::Said(Kind::Offer, When::Sending),
    Moment::Said(Kind::Offer, When::Sent),
    Moment::Said(Kind::Request, When::Heard),
    Moment::Said(Kind::Ack, When::Sending),
    Moment::Said(Kind::Ack, When::Sent),
    Moment::Probed,
    Moment::Announced,
];
/// Of what is held, the next request is a renewal.
const LATER: [Moment; 5] = [
    Moment::Severed,
    Moment::Said(Kind::Request, When::Heard),
    Moment::Said(Kind::Ack, When::Sending),
    Moment::Said(Kind::Ack, When::Sent),
    Moment::Said(Kind::Release, When::Heard),
];

/// When who leases dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// When this is said: before the server hears or sends it, or once it was sent.
    Said(Kind, When),
    /// When it asks whether others use the address that it was given.
    Probed,
    /// When it tells the link that it has the address: it tells the supervisor next.
    Announced,
    /// When the severing was sent to the supervisor.
    Severed,
}

/// By the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// It is not looked at yet.
    Heard,
    /// It is stored and not said yet.
    Sending,
    Sent,
}

/// Kills at a moment, and so long after it.
pub(crate) struct Trap {
    moment: Moment,
    address: Ipv4Addr,
    after: Duration,
    victim: Arc<Process>,
}

impl Trap {
    pub(crate) fn is_sprung_by(&self, frame: &[u8], checksum: UdpChecksum, when: When) -> bool {
        match wire::read(frame, checksum) {
            Ok(Heard::Message(message, _)) => {
                let about = [Some(message.yiaddr), Some(message.ciaddr), message.requested];
                self.moment == Moment::Said(message.kind, when) && about.contains(&Some(self.address))
            }
            // The server asks, too, before it offers.
            Ok(Heard::Arp(Arp { sender, target, .. })) if target == self.address && when == When::Heard => {
                let asks = sender.is_unspecified() && self.moment == Moment::Probed;
                asks || (sender == target && self.moment == Moment::Announced)
            }
            Ok(Heard::Arp(_)) | Err(_) => false,
        }
    }

    /// The server goes on when this returns.
    pub(crate) fn springs(self) {
        after(self.after);
        self.victim.kill().unwrap();
    }
}

/// This is the clock alone: nothing is ready at that time.
fn after(span: Duration) {
    wait(&[], Some(span)).unwrap();
}

/// What follows from a seed (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % bound
    }

    fn micros(&mut self, bound: u64) -> Duration {
        Duration::from_micros(self.below(bound))
    }
}

fn of<const N: usize>(moments: [Moment; N], seed: u64) -> Moment {
    moments[usize::try_from(seed).unwrap() % N]
}

/// Lives one lease after the other, a few at once.
#[expect(clippy::print_stdout, reason = "which moments were hit is part of the evidence")]
pub(crate) fn dies() {
    let lives = std::env::var("LEASE_LIVES").map_or(LIVES, |lives| lives.parse().unwrap());
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let live_all = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= lives {
                return;
            }
            let began = Instant::now();
            match thread::scope(|life| life.spawn(|| live(seed)).join()) {
                Ok(hit) => println!("seed {seed}: {hit}; {:.1} s", began.elapsed().as_secs_f64()),
                Err(_panic) => failed.lock().unwrap().push(seed),
            }
        }
    };
    thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(live_all))));
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "lives that failed, by seed: {failed:?}");
}

fn live(seed: u64) -> String {
    let mut random = Random(seed + 1);
    let (got, later) = (of(WHILE_GOT, seed), of(LATER, seed));
    let address = Ipv4Addr::new(10, 1, 0, u8::try_from(50 + random.below(10)).unwrap());
    let (mut world, office) = (world(), Office::giving(LEASE_S));
    world.start(0, &[]);
    let server = Serving::start(&world.facility, &office);
    let (tier, _lease) = world.lease(0, REALMS);
    waits_for(&world, "an address", |status| {
        !is_warned(status, "no-address") && is_warned(status, "no-directory-entry")
    });
    drop(server);
    reserve(&office, &client_of(&world, tier), address);
    let _server = Serving::start(&world.facility, &office);
    let watched = Watched { world: &world, office: &office, tier, address };

    let first = watched.kills_at(got, random.micros(AFTER_MAX_US));
    say_directory(&world, 1, address);
    watched.waits("killed", |_| has_ended(&first));
    watched.waits("a realm", open_at(address));
    watched.is_anew(&first);
    let renewed = office.said(address);

    let second = watched.kills_at(later, random.micros(AFTER_MAX_US));
    let ordered = random.micros(AFTER_ORDER_MAX_US);
    let severs = matches!(later, Moment::Severed | Moment::Said(Kind::Release, _));
    if !severs {
        watched.waits("killed amid a renewal", |_| has_ended(&second));
        watched.waits("renewed after it", |status| {
            office.said(address) > renewed + 1 && open_at(address)(status)
        });
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            after(ordered);
            if later == Moment::Severed {
                second.kill().unwrap();
            }
        });
        assert_eq!(world.sever(0, tier).exit, 0);
    });
    watched.waits("killed", |_| has_ended(&second));
    watched.is_anew(&second);
    watched.leaves_nothing();
    format!("{got:?}, then {later:?}")
}

fn has_ended(process: &Process) -> bool {
    wait(&[(process.ended(), Wanted::READ)], Some(Duration::ZERO)).unwrap()[0]
}

/// A node whose tenant is to be at one address, while it has a lease of it.
struct Watched<'a> {
    world: &'a World,
    office: &'a Office,
    tier: TierId,
    address: Ipv4Addr,
}

impl Watched<'_> {
    /// Who leases now is killed then.
    fn kills_at(&self, moment: Moment, after: Duration) -> Arc<Process> {
        let victim = Arc::new(Process::open(the_one(self.world, "dhcp")).unwrap());
        let trap = Trap { moment, address: self.address, after, victim: Arc::clone(&victim) };
        *self.office.trap.lock().unwrap() = Some(trap);
        victim
    }

    /// Waits, and looks each time whether nothing is as it may not be.
    fn waits(&self, what: &str, wanted: impl Fn(&Status) -> bool) {
        let asked_s = Cell::new(os::clock::wall().as_secs());
        waits_for(self.world, what, |status| {
            self.is_lawful(status, asked_s.get());
            asked_s.set(os::clock::wall().as_secs());
            wanted(status)
        });
    }

    /// A realm is open where the directory says and the server leased, and has no other address.
    fn is_lawful(&self, status: &Status, asked_s: u64) {
        let wanted = IpAddr::V4(self.address);
        for realm in status.tiers.iter().filter_map(|tier| tier.realm.as_ref()) {
            if realm.open {
                assert_eq!(realm.addresses, [wanted], "{status:?}");
                assert!(self.was_leased(asked_s), "open without a lease: {status:?}");
            }
        }
        // It may go meanwhile.
        let Ok(realm) = Namespace::open(&self.world.realm(0)) else { return };
        let inside = realm.run(|| Links::open().and_then(|mut links| links.addresses("eth0"))).unwrap();
        let others = |(address, _): &(IpAddr, u8)| address.is_ipv4() && *address != wanted;
        assert!(!inside.iter().flatten().any(others), "{inside:?}");
    }

    /// Whether the server has given the address to the tenant's realm, and it was the realm's then.
    fn was_leased(&self, then_s: u64) -> bool {
        let client = client_of(self.world, self.tier);
        let records = self.office.records.lock().unwrap();
        let record = records.iter().rfind(|record| record.address == self.address);
        record.is_some_and(|record| record.client == client && record.is_leased(then_s - SECOND))
    }

    /// There is another one, and it is one.
    fn is_anew(&self, killed: &Process) {
        assert!(has_ended(killed));
        self.waits("one who leases", |_| {
            let all = self.world.processes(0);
            all.iter().filter(|(name, _)| name == "dhcp").count() == 1
        });
    }

    /// Nothing of the realm is there, and nobody asks for its address: the server has it again when the lease ends.
    fn leaves_nothing(&self) {
        let status = self.world.settled(0);
        assert!(status.tiers.iter().all(|tier| tier.tier != self.tier), "{status:?}");
        assert!(!self.world.realm(0).exists());
        let node = &self.world.facility.nodes()[0];
        assert!(!node.pins().join(TENANT).exists());
        let is_free = || {
            let records = self.office.records.lock().unwrap();
            let record = records.iter().rfind(|record| record.class == Class::Realm).unwrap();
            !record.is_held(os::clock::wall().as_secs())
        };
        let addresses = node.folder().join("state/addresses.json");
        let remembered = || std::fs::read_to_string(&addresses).unwrap().contains(&self.tier.to_string());
        let began = Instant::now();
        while !is_free() || remembered() {
            let kept = remembered();
            assert!(began.elapsed() < PATIENCE, "remembered: {kept}\n{}", node.log());
            pause();
        }
    }
}
