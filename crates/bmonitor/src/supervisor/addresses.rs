//! Addresses by DHCP: which are wished for, what came, and what that means for the realms.
//!
//! A realm is up only while its lease is in force and equals what the directory says. A lease that is lost, or
//! is another than the directory's, closes the realm and ends nothing in it; the kernel closes it at the
//! lease's end by itself, as at the end of a term. What was leased is remembered over a start, so that a
//! supervisor that dies takes no connection along; none of it is in the journal.

mod kept;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use dhcp::{ClientId, TIER_OF_THE_NODE};
use id::{Name, NodeId, TierId, Time};
use node_protocol::Frame;
use node_protocol::call::Warning;
use os::clock::boot;
use os::link::Links;
use tenure::{Gate, World, effects};

pub(super) use self::kept::BYTES_MAX;
use self::kept::{Held, Kept};
use super::documents::put;
use super::services::Service;
use super::{Supervisor, jobs};
use crate::clock::until;
use crate::config::{Config, Realm};
use crate::failure::chain;
use crate::leasing::{FromLeasing, ToLeasing, Who, Wish};
use crate::reconcile::Observed;
use crate::rights::Role;

/// The file in the state folder.
pub(super) const FILE: &str = "addresses.json";
/// The file in the run folder that says that the machine has not been off since.
const ASKED: &str = "addresses";
/// By how much the machine's clock may differ from what a lease's end was told by.
const SLACK: Duration = Duration::from_secs(1);

/// What is known of addresses.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    kept: Kept,
    /// When each lease ends, since the machine's start: whatever the machine's clock does.
    ends: BTreeMap<Who, Duration>,
    /// What the role was told last.
    told: Option<Vec<Wish>>,
    /// The addresses that realms under way are made with.
    building: BTreeMap<Name, Vec<(IpAddr, u8)>>,
    /// Addresses that a server gave and other stations use.
    in_use: BTreeMap<Who, Ipv4Addr>,
}

impl Addresses {
    /// What was remembered, of which nothing is told yet. A file that is not understood is as good as none:
    /// everything is leased anew.
    pub(super) fn remembered(bytes: &[u8], now: Time) -> Self {
        let kept = Kept::parse(bytes).unwrap_or_default();
        let ends = kept.leases.iter().map(|held| (held.who, boot() + until(now, held.until))).collect();
        Self { kept, ends, ..Self::default() }
    }

    /// At the first start since the machine's own, nothing that was leased before is in force until a server has
    /// said so anew: while the machine was off, its addresses may have come to be another's. `run` is in memory.
    ///
    /// # Errors
    /// When that cannot be written down: then nothing may be in force at all.
    pub(super) fn since_the_boot(&mut self, state: &Path, run: &Path) -> std::io::Result<()> {
        let asked = run.join(ASKED);
        if asked.exists() {
            return Ok(());
        }
        self.ends.clear();
        self.kept.leases.iter_mut().for_each(|held| held.until = Time::ZERO);
        put(state, FILE, &serde_json::to_vec(&self.kept).map_err(std::io::Error::other)?)?;
        std::fs::write(asked, [])
    }

    /// The node's own address, while it is leased.
    pub(super) fn own(&self) -> Option<Ipv4Addr> {
        self.lease(Who::Node).map(|held| held.address)
    }

    fn lease(&self, who: Who) -> Option<&Held> {
        let in_force = self.ends.get(&who).is_some_and(|end| boot() < *end);
        self.kept.leases.iter().find(|held| held.who == who && in_force)
    }

    /// How long until the next lease ends.
    pub(super) fn wake_in(&self) -> Option<Duration> {
        let now = boot();
        self.ends.values().filter(|end| **end > now).min().map(|end| end.saturating_sub(now))
    }

    fn set(&mut self, held: Held, end: Duration) {
        self.ends.insert(held.who, end);
        self.in_use.remove(&held.who);
        self.kept.leases.retain(|other| other.who != held.who);
        self.kept.leases.push(held);
    }

    fn remove(&mut self, who: Who) -> Option<Held> {
        self.ends.remove(&who);
        let at = self.kept.leases.iter().position(|held| held.who == who)?;
        Some(self.kept.leases.remove(at))
    }

    /// After the machine's clock was set: leases end when they would have ended.
    fn follow_clock(&mut self, now: Time) {
        for held in &mut self.kept.leases {
            let Some(end) = self.ends.get(&held.who) else { continue };
            let ends = now.plus(end.saturating_sub(boot()));
            if until(held.until, ends).max(until(ends, held.until)) > SLACK {
                held.until = ends;
            }
        }
    }
}

/// The addresses that a node wishes for: its own, and those of the realms that have none in the configuration
/// and one in the directory.
fn wishes(
    world: &World,
    node: NodeId,
    config: &Config,
    expected: impl Fn(&Name) -> Option<Ipv4Addr>,
    had: impl Fn(Who) -> Option<Ipv4Addr>,
) -> Vec<Wish> {
    let NodeId(key) = node;
    let client = |tier: &[u8; 16]| ClientId::of(key.as_bytes(), tier).to_string();
    let own = Wish {
        who: Who::Node,
        client: client(&TIER_OF_THE_NODE),
        mac: None,
        expected: None,
        had: had(Who::Node),
    };
    let realms = world.realms.iter().filter(|realm| config.realm(&realm.name).is_none());
    let realms = realms.filter_map(|realm| {
        let who = Who::Realm(realm.tier);
        Some(Wish {
            who,
            client: client(realm.tier.as_bytes()),
            mac: Some(config.mac(&realm.name)),
            expected: Some(expected(&realm.name)?),
            had: had(who),
        })
    });
    std::iter::once(own).chain(realms).collect()
}

/// The same, whatever was had.
fn is_same(one: &[Wish], other: &[Wish]) -> bool {
    let wished = |wish: &Wish| Wish { had: None, ..wish.clone() };
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| wished(one) == wished(other))
}

impl Supervisor {
    /// Starts the dhcp role and tells it what is wished for, where that changed.
    pub(super) fn wish_for_addresses(&mut self) {
        if !self.config.dhcp {
            return;
        }
        if self.services.may_start(&Service::Dhcp) {
            let mut command = jobs::command(Role::Dhcp, None);
            command.args(["--bridge", &self.config.bridge]);
            self.services.start(Service::Dhcp, command);
            self.addresses.told = None;
        }
        let now = self.node.now();
        self.addresses.follow_clock(now);
        let node = NodeId(self.node_key.id());
        let wished = {
            let had = |who| self.addresses.kept.leases.iter().find(|held| held.who == who);
            let had = |who| had(who).map(|held| held.address);
            wishes(&effects(&self.node.tenure), node, &self.config, |name| self.expected(name), had)
        };
        if self.addresses.told.as_deref().is_some_and(|told| is_same(told, &wished))
            || !self.services.listens(&Service::Dhcp)
        {
            return;
        }
        if self.services.send(&Service::Dhcp, &ToLeasing::Wishes(wished.clone()), &[], None).is_ok() {
            self.let_go(&wished);
            self.addresses.told = Some(wished);
        }
    }

    /// Forgets leases that nobody wishes for.
    fn let_go(&mut self, wished: &[Wish]) {
        let gone = |who: Who| !wished.iter().any(|wish| wish.who == who);
        let gone: Vec<Who> =
            self.addresses.kept.leases.iter().map(|held| held.who).filter(|who| gone(*who)).collect();
        for who in &gone {
            self.addresses.remove(*who);
        }
        if !gone.is_empty() {
            self.keep_addresses();
        }
    }

    /// Takes in what the dhcp role says.
    pub(super) fn dhcp_said(&mut self, frame: &Frame) {
        let said: FromLeasing = match frame.message() {
            Ok(said) => said,
            Err(error) => return self.services.end_for(&Service::Dhcp, &chain(&error)),
        };
        let wished = |who: &Who| {
            let told = self.addresses.told.iter().flatten();
            told.into_iter().any(|wish| wish.who == *who)
        };
        match said {
            FromLeasing::Leased { who, address, prefix, router, until_ms } if wished(&who) => {
                let end = Duration::from_millis(until_ms);
                let until = self.node.now().plus(end.saturating_sub(boot()));
                self.leased(Held { who, address, prefix: prefix.clamp(1, 32), router, until }, end);
            }
            FromLeasing::Lost { who, .. } => self.lost(who),
            FromLeasing::InUse { who, address } => drop(self.addresses.in_use.insert(who, address)),
            // It was wished for when that was said.
            FromLeasing::Leased { .. } => {}
        }
    }

    fn leased(&mut self, held: Held, end: Duration) {
        if held.who == Who::Node {
            self.set_own(Some(&held));
        }
        self.addresses.set(held, end);
        self.keep_addresses();
    }

    fn lost(&mut self, who: Who) {
        if who == Who::Node {
            self.set_own(None);
        }
        if self.addresses.remove(who).is_some() {
            self.keep_addresses();
        }
    }

    /// Puts the node's own address on the bridge, in place of the one that was there, and above every root's
    /// boundary: no realm reaches it.
    fn set_own(&mut self, held: Option<&Held>) {
        let before = self.addresses.kept.leases.iter().find(|held| held.who == Who::Node).cloned();
        let place = |held: &Held| (IpAddr::V4(held.address), held.prefix);
        if let Err(why) = set_address(&self.config.bridge, before.as_ref().map(place), held) {
            self.warn("own-address", why);
        }
        self.node.set_own_address(held.map(|held| held.address.into()));
        if before.as_ref().map(place) != held.map(place) {
            // Their policies hold the deny of the address.
            self.observed.realms.values_mut().for_each(|seen| seen.policy = None);
        }
    }

    /// What is remembered is a help and no promise: a disk that is full costs a lease's asking for it again.
    fn keep_addresses(&mut self) {
        let written = serde_json::to_vec(&self.addresses.kept)
            .map_err(std::io::Error::other)
            .and_then(|bytes| put(&self.config.state, FILE, &bytes));
        if let Err(error) = written {
            self.warn("addresses", format!("the leased addresses cannot be remembered: {error}"));
        }
    }

    /// The role is dead; what it leased goes on until it ends.
    pub(super) fn dhcp_ended(&mut self) {
        self.addresses.told = None;
    }

    /// The address that the directory says a realm has, where it is one that DHCP can give.
    fn expected(&self, name: &Name) -> Option<Ipv4Addr> {
        match self.node.sets.expected_addresses(&self.node.tenure, name)?[..] {
            [IpAddr::V4(address)] => Some(address),
            _ => None,
        }
    }

    /// The lease of a realm, while it is in force and what the directory says.
    fn agreed(&self, tier: TierId, name: &Name) -> Option<&Held> {
        let held = self.addresses.lease(Who::Realm(tier))?;
        (self.expected(name) == Some(held.address)).then_some(held)
    }

    /// What a tier's realm looks like on the wire: as the configuration says, else as it is leased.
    pub(super) fn realm(&self, name: &Name) -> Option<Realm> {
        if let Some(realm) = self.config.realm(name) {
            return Some(realm.clone());
        }
        let tier = self.node.tenure.tier_named(name.as_str())?;
        let held = self.agreed(tier, name).filter(|_| self.config.dhcp)?;
        Some(Realm {
            tier: name.clone(),
            addresses: vec![(held.address.into(), held.prefix)],
            gateways: held.router.map(IpAddr::V4).into_iter().collect(),
        })
    }

    /// What the world should be, as far as there are addresses, and what it is: a realm without its lease is
    /// closed, one with a lease is closed by the kernel when that ends, one with another is made anew.
    pub(super) fn addressed(&self) -> (World, Observed) {
        let (mut world, mut observed) = (effects(&self.node.tenure), self.observed.clone());
        for realm in &mut world.realms {
            if self.config.realm(&realm.name).is_some() {
                continue;
            }
            let Some(held) = self.agreed(realm.tier, &realm.name) else {
                realm.gate = Gate::Cut;
                continue;
            };
            realm.deadline = realm.deadline.min(held.until);
            let built = self.addresses.kept.built.get(&realm.name);
            let as_leased = built.is_some_and(|built| built[..] == [(held.address.into(), held.prefix)]);
            if let Some(seen) = observed.realms.get_mut(&realm.name).filter(|_| !as_leased) {
                seen.whole = false;
            }
        }
        (world, observed)
    }

    /// Whether a tier can have a realm now, or keeps the one it has, closed.
    pub(super) fn can_have_realm(&self, name: &Name) -> bool {
        let keeps = || self.observed.realms.get(name).is_some_and(|seen| seen.whole);
        self.realm(name).is_some() || (self.config.dhcp && keeps())
    }

    /// A realm is being made with these addresses.
    pub(super) fn building(&mut self, name: &Name, addresses: &[(IpAddr, u8)]) {
        self.addresses.building.insert(name.clone(), addresses.to_vec());
    }

    /// It is made.
    pub(super) fn built(&mut self, name: &Name) {
        let Some(addresses) = self.addresses.building.remove(name) else { return };
        if self.config.realm(name).is_none()
            && self.addresses.kept.built.insert(name.clone(), addresses.clone()) != Some(addresses)
        {
            self.keep_addresses();
        }
    }

    /// The addresses that a realm was made with, whatever became of its lease.
    pub(super) fn built_with(&self, name: &Name) -> Option<Vec<(IpAddr, u8)>> {
        self.addresses.kept.built.get(name).cloned()
    }

    /// What stands between realms and their addresses.
    pub(super) fn missing_addresses(&self) -> Vec<Warning> {
        if !self.config.dhcp {
            return Vec::new();
        }
        let warning = |code: &str, message| Warning { code: code.to_owned(), message };
        let own = self.addresses.own().is_none();
        let own =
            own.then(|| warning("no-address", "the node has no address: no DHCP server answers".to_owned()));
        let world = effects(&self.node.tenure);
        let realms = world.realms.iter().filter(|realm| self.config.realm(&realm.name).is_none());
        // The root runs nothing on most nodes: that the directory gives it no address is no lack.
        let root = self.node.tenure.root();
        let realms = realms.filter(|realm| Some(realm.tier) != root || self.expected(&realm.name).is_some());
        let realms = realms.filter(|realm| self.agreed(realm.tier, &realm.name).is_none()).map(|realm| {
            let name = &realm.name;
            let leased = self.addresses.lease(Who::Realm(realm.tier)).map(|held| held.address);
            match (self.expected(name), leased) {
                (None, _) => warning(
                    "no-directory-entry",
                    format!("realm {name} is down: the directory in force gives it no IPv4 address"),
                ),
                (Some(expected), Some(leased)) => warning(
                    "elsewhere",
                    format!("realm {name} is down: DHCP gives it {leased}, the directory says {expected}"),
                ),
                (Some(_), None) => warning(
                    "no-address",
                    format!("realm {name} is down: no DHCP server gives it its address"),
                ),
            }
        });
        let in_use = self.addresses.in_use.values().map(|address| {
            warning("address-in-use", format!("DHCP gave {address}, which another station uses"))
        });
        own.into_iter().chain(realms).chain(in_use).collect()
    }
}

/// Changes a link's address. The way out by a router is added where there is none; one that is there stays.
fn set_address(link: &str, before: Option<(IpAddr, u8)>, held: Option<&Held>) -> Result<(), String> {
    let mut links = Links::open().map_err(|failed| chain(&failed))?;
    let after = held.map(|held| (IpAddr::V4(held.address), held.prefix));
    if let Some((address, prefix)) = before.filter(|_| before != after) {
        // What is not there needs not be removed.
        links.remove_address(link, address, prefix).unwrap_or_default();
    }
    let Some(held) = held else { return Ok(()) };
    let there = |done: Result<(), os::Failed>| match done {
        Err(failed) if !failed.already_exists() => Err(chain(&failed)),
        Ok(()) | Err(_) => Ok(()),
    };
    there(links.add_address(link, held.address.into(), held.prefix))?;
    held.router.map_or(Ok(()), |router| there(links.add_default_route(router.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_leased_before_the_machine_was_off_is_asked_for_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (state, run) = (folder.path(), folder.path().join("run"));
        std::fs::create_dir(&run).unwrap();
        let held = Held {
            who: Who::Node,
            address: Ipv4Addr::new(10, 0, 0, 7),
            prefix: 16,
            router: None,
            until: Time::MAX,
        };
        let started = |bytes: &[u8]| {
            let mut addresses = Addresses::remembered(bytes, Time::ZERO);
            addresses.since_the_boot(state, &run).unwrap();
            addresses
        };
        // The first start of all, and a lease that comes.
        assert_eq!(started(b"").own(), None);
        let leased = serde_json::to_vec(&Kept { leases: vec![held.clone()], ..Kept::default() }).unwrap();
        assert_eq!(started(&leased).own(), Some(held.address), "a supervisor that was killed");
        // Power is lost: what is in memory is gone.
        std::fs::remove_dir_all(&run).unwrap();
        std::fs::create_dir(&run).unwrap();
        let after = started(&leased);
        assert_eq!((after.own(), after.kept.leases[0].address), (None, held.address));
        // Nobody has said anything yet when the supervisor dies again.
        assert_eq!(started(&std::fs::read(state.join(FILE)).unwrap()).own(), None);
    }
}
