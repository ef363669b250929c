//! A lane: a realm, a router that filters (or does not), and a net that takes what comes.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use datapath::{Filter, Program, Settings};
use id::Generation;
use os::link::{End, Links};
use os::namespace::Namespace;

use crate::policy::{self, MAC, OWN};
use crate::{Outcome, cost, nft};

/// The net's own address: in the first prefix of the policy.
pub(crate) const NET: Ipv4Addr = Ipv4Addr::new(20, 0, 0, 1);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const ROUTER: Ipv4Addr = Ipv4Addr::new(20, 0, 0, 2);
/// Fewer than a processor's queue of packets holds.
const BURST: u32 = 500;
/// Bursts of a turn.
const BURSTS: u32 = 10;
const DESTINATIONS: u32 = 256;

/// How a lane filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Not at all.
    Nothing,
    /// By the program under test.
    Filter,
    /// By nftables with conntrack, which asks the policy about each packet.
    NftAsks,
    /// By nftables with conntrack, which lets what is established pass unasked.
    NftTrusts,
}

pub(crate) struct Lane {
    kind: Kind,
    pub(crate) realm: Namespace,
    pub(crate) router: Namespace,
    pub(crate) net: Namespace,
    pub(crate) filter: Option<Filter>,
    pub(crate) pins: PathBuf,
    socket: UdpSocket,
    counters: File,
}

pub(crate) fn settings() -> Settings {
    Settings { flows_max: 1 << 15, ..Settings::default() }
}

impl Lane {
    pub(crate) fn make(folder: &Path, kind: Kind, prefixes: u32) -> Outcome<Self> {
        let name = |part: &str| folder.join(format!("{kind:?}-{prefixes}-{part}"));
        let [realm, router, net] = ["realm", "router", "net"].map(|part| Namespace::create(&name(part)));
        let (realm, router, net) = (realm?, router?, net?);
        for namespace in [&realm, &router, &net] {
            namespace.run(quiet)??;
        }
        let pins = folder.join("bpf").join(format!("{kind:?}-{prefixes}"));
        let filter = router.run(|| -> Outcome<Option<Filter>> {
            let mut links = Links::open()?;
            let cable = |links: &mut Links, near: &str, far: &str, mac, namespace: &Namespace| {
                let near = End { name: near, mac: None, namespace: None };
                links.add_veth(near, End { name: far, mac, namespace: Some(namespace.as_fd()) })
            };
            cable(&mut links, "realm", "eth0", Some(MAC), &realm)?;
            cable(&mut links, "outside", "eth0", None, &net)?;
            let filter = match kind {
                Kind::Filter => Some(filtered(&pins, prefixes)?),
                Kind::Nothing | Kind::NftAsks | Kind::NftTrusts => None,
            };
            for (link, address, bits) in [("realm", GATEWAY, 24), ("outside", ROUTER, 30)] {
                links.add_address(link, IpAddr::V4(address), bits)?;
                links.set_up(link)?;
            }
            fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
            Ok(filter)
        })??;
        realm.run(|| end(OWN, 24, GATEWAY))??;
        net.run(|| end(NET, 30, ROUTER))??;
        router.run(|| Links::open()?.add_default_route(IpAddr::V4(NET)))??;
        match kind {
            Kind::Nothing | Kind::Filter => {}
            Kind::NftAsks => nft::apply(&router, prefixes, false)?,
            Kind::NftTrusts => nft::apply(&router, prefixes, true)?,
        }
        let socket = realm.run(|| UdpSocket::bind((OWN, 40_000)))??;
        // Neighbours are found before anything is measured.
        let knock = || TcpStream::connect_timeout(&(NET, 5_999).into(), Duration::from_secs(5));
        match realm.run(knock)? {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            other => return Err(format!("the way to the net: {other:?}").into()),
        }
        let counters = net.run(|| File::open("/proc/thread-self/net/dev"))??;
        Ok(Self { kind, realm, router, net, filter, pins, socket, counters })
    }

    /// Before a round: the flows of the round before are forgotten, where it is to begin new ones.
    pub(crate) fn begin(&mut self, new: Option<usize>) -> Outcome<()> {
        let Some(round) = new else { return Ok(()) };
        let local = 41_000 + u16::try_from(round)?;
        self.socket = self.realm.run(|| UdpSocket::bind((OWN, local)))??;
        self.forget_flows()
    }

    /// Empties the filter's table.
    pub(crate) fn forget_flows(&mut self) -> Outcome<()> {
        if let Some(filter) = &mut self.filter {
            filter.sweep(os::clock::boot() + Duration::from_secs(7_200))?;
        }
        Ok(())
    }

    /// Nanoseconds of processor time for each packet of a turn. With `new` no two of a round are of one flow.
    pub(crate) fn cost_of_turn(&mut self, prefixes: u32, turn: u32, new: bool) -> Outcome<f64> {
        let mut due = self.arrived()?;
        let theirs = cost::kernel_threads()?;
        let mut used = Duration::ZERO;
        for burst in turn * BURSTS..(turn + 1) * BURSTS {
            let began = cost::own()?;
            for number in burst * BURST..(burst + 1) * BURST {
                let port = if new { u16::try_from(number / DESTINATIONS)? } else { 1 };
                self.send(prefixes, number % DESTINATIONS, 5000 + port)?;
            }
            used += cost::own()? - began;
            due += u64::from(BURST);
            self.wait_for(due)?;
        }
        used += cost::kernel_threads()? - theirs;
        Ok(used.as_secs_f64() * 1e9 / f64::from(BURSTS * BURST))
    }

    fn send(&self, prefixes: u32, number: u32, port: u16) -> Outcome<()> {
        // All over the policy, not its first prefixes alone; and none that the router has on its own link.
        let remote = policy::prefix(number.wrapping_mul(2_654_435) % prefixes) + 4 + number / prefixes;
        self.socket.send_to(&[0; 18], SocketAddrV4::new(remote.into(), port))?;
        Ok(())
    }

    /// Packets that came to the net's end.
    fn arrived(&mut self) -> Outcome<u64> {
        let mut text = String::new();
        self.counters.rewind()?;
        self.counters.read_to_string(&mut text)?;
        let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:")).ok_or("no eth0")?;
        Ok(line.split_whitespace().nth(1).ok_or("no packets")?.parse()?)
    }

    /// Waits until as many have come. A lane may lose none, lest what it does not do count as cheap.
    fn wait_for(&mut self, wanted: u64) -> Outcome<()> {
        let until = os::clock::boot() + Duration::from_secs(5);
        loop {
            let arrived = self.arrived()?;
            if arrived >= wanted {
                return Ok(());
            }
            if os::clock::boot() > until {
                return Err(
                    format!("{:?}: {} packets did not come through", self.kind, wanted - arrived).into()
                );
            }
        }
    }
}

/// The filter on the router's end of the realm's cable, open.
fn filtered(pins: &Path, prefixes: u32) -> Outcome<Filter> {
    let mut filter = Filter::load(pins, &Program::embedded(), &settings())?;
    filter.attach("realm")?;
    filter.switch(&policy::image(prefixes, false)?, Generation::new(1).ok_or("no generation")?)?;
    filter.set_deadline(Duration::MAX)?;
    filter.admit()?;
    Ok(filter)
}

fn end(address: Ipv4Addr, bits: u8, gateway: Ipv4Addr) -> Result<(), os::Failed> {
    let mut links = Links::open()?;
    links.add_address("eth0", IpAddr::V4(address), bits)?;
    links.set_up("eth0")?;
    links.add_default_route(IpAddr::V4(gateway))
}

/// No router solicitations, no duplicate detection: only the bench's own packets.
fn quiet() -> std::io::Result<()> {
    for file in ["all", "default"] {
        fs::write(format!("/proc/sys/net/ipv6/conf/{file}/disable_ipv6"), "1")?;
    }
    Ok(())
}
