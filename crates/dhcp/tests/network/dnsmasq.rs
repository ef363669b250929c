//! Debian's small server. Its leases are two minutes at least; our client's clock is faster instead.

use std::net::Ipv4Addr;
use std::process::Command;

use dhcp::client::{Loss, Renewal};
use dhcp::server::Report;
use os::link::Links;
use os::namespace::Namespace;

use crate::ours::settings;
use crate::place::{Place, Program, eventually};
use crate::station::{Came, Office, Station, config, serve};

const SPEED: u32 = 30;

fn start(place: &Place, machine: &Namespace, network: u8, last: u8) -> Program {
    let mut command = Command::new("dnsmasq");
    command.args(["--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=eth0", "--user=root"]);
    command.args(["--bind-interfaces", "--dhcp-authoritative", "--no-ping", "--log-dhcp", "--pid-file="]);
    command.arg(format!("--dhcp-range=10.0.{network}.10,10.0.{network}.{last},255.255.0.0,120"));
    command.arg(format!("--dhcp-leasefile={}", place.path("dnsmasq.leases").display()));
    place.start(machine, &mut command)
}

pub(crate) fn is_lived_with() {
    for renewal in [Renewal::ToTheServer, Renewal::ToEverybody] {
        let place = Place::new();
        let (machine, serving) = (place.plug("client"), place.machine("server"));
        let server = start(&place, &serving, 5, 20);
        let mut client = Station::start(machine, settings(&place, renewal), None, SPEED);
        let lease = client.bound();
        assert_eq!((lease.server, lease.prefix), (Ipv4Addr::new(10, 0, 0, 2), 16));
        assert_eq!(lease.address.octets()[..3], [10, 0, 5]);
        assert_eq!(client.renewed().address, lease.address);
        // Nobody renews it.
        server.kill();
        assert_eq!(client.lost(), Loss::Expired);
        let _server = start(&place, &serving, 5, 20);
        assert_eq!(client.bound().address, lease.address);
        client.release();
        assert_eq!(client.lost(), Loss::Released);
        eventually("no lease", || {
            let leases = std::fs::read_to_string(place.path("dnsmasq.leases")).unwrap();
            leases.is_empty().then_some(())
        });
    }
}

pub(crate) fn refuses() {
    let place = Place::new();
    let (machine, serving) = (place.plug("client"), place.machine("server"));
    let server = start(&place, &serving, 5, 20);
    // Slower, for dnsmasq may take two seconds to come back and the lease must not end before.
    let mut client = Station::start(machine, settings(&place, Renewal::ToTheServer), None, SPEED / 3);
    let first = client.bound();
    // Another network is served: the renewal is refused. Two addresses, of which a stranger has one.
    server.kill();
    std::fs::remove_file(place.path("dnsmasq.leases")).unwrap();
    let stranger = place.plug("stranger");
    let take = |links: &mut Links| links.add_address("eth0", Ipv4Addr::new(10, 0, 6, 10).into(), 16);
    stranger.run(|| Links::open().and_then(|mut links| take(&mut links))).unwrap().unwrap();
    let _server = start(&place, &serving, 6, 11);
    assert_eq!(client.lost(), Loss::Refused);
    let next = client.bound();
    assert_ne!(next.address, first.address);
    assert_eq!(next.address, Ipv4Addr::new(10, 0, 6, 11));
    drop(client);
    // Whoever asks for the stranger's address finds it out.
    let mut expecting = settings(&place, Renewal::ToTheServer);
    expecting.expected = Some(Ipv4Addr::new(10, 0, 6, 10));
    expecting.id = dhcp::ClientId::from_bytes(b"\0another").unwrap();
    let mut client = Station::start(place.plug("second"), expecting, None, SPEED);
    let used =
        client.wait_for("in use", |came| if let Came::InUse(address) = came { Some(*address) } else { None });
    assert_eq!(used, Ipv4Addr::new(10, 0, 6, 10));
}

pub(crate) fn is_reported() {
    let place = Place::new();
    let (machine, office) = (place.plug("client"), Office::default());
    let _foreign = start(&place, &place.machine("other"), 5, 20);
    let _server = serve(&place.machine("server"), config(9, 8), &office);
    let _client = Station::start(machine, settings(&place, Renewal::ToTheServer), None, 1);
    let foreign = Ipv4Addr::new(10, 0, 0, 3);
    office.is_reported(|report| matches!(report, Report::Foreign { server, .. } if *server == foreign));
}
