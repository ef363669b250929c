//! Our client and our server, over a link.

use std::net::Ipv4Addr;

use dhcp::client::{Loss, Renewal, Settings};
use dhcp::server::{Report, Standing};
use dhcp::{ClientId, Mac, REALM_CLASS, Short};
use os::link::Links;

use crate::place::{Place, eventually};
use crate::station::{Office, Station, config, serve};

/// For the machine that is plugged in as `client`.
pub(crate) fn settings(place: &Place, renewal: Renewal) -> Settings {
    settings_of(place, "client", renewal)
}

fn settings_of(place: &Place, name: &str, renewal: Renewal) -> Settings {
    let link = place.machine(name).run(|| Links::open().and_then(|mut links| links.find("eth0")));
    Settings {
        mac: Mac(link.unwrap().unwrap().mac.unwrap()),
        id: ClientId::of_mac(Mac(std::array::from_fn(|at| name.as_bytes()[at % name.len()]))),
        class: Short::new(REALM_CLASS.as_bytes()).unwrap(),
        renewal,
        expected: None,
    }
}

pub(crate) fn a_whole_lease() {
    for renewal in [Renewal::ToTheServer, Renewal::ToEverybody] {
        let place = Place::new();
        let (machine, office) = (place.plug("client"), Office::default());
        let serve_again = || serve(&place.machine("server"), config(9, 60), &office);
        let server = serve_again();
        // A minute passes in three seconds.
        let mut client = Station::start(machine, settings(&place, renewal), None, 20);
        let lease = client.bound();
        assert_eq!(client.renewed().address, lease.address);
        drop(server);
        assert_eq!(client.lost(), Loss::Expired);
        let server = serve_again();
        assert_eq!(client.bound().address, lease.address);
        // It dies, and remembers its address.
        drop(client);
        let client_again =
            || Station::start(place.machine("client"), settings(&place, renewal), Some(lease.address), 20);
        let mut client = client_again();
        assert_eq!(client.bound().address, lease.address);
        // What it remembers is another's by now.
        drop((client, server));
        let reserved = Ipv4Addr::new(10, 0, 2, 99);
        office.reserved.lock().unwrap().push((settings(&place, renewal).id, reserved));
        let _server = serve_again();
        let mut client = client_again();
        assert_eq!(client.bound().address, reserved);
        client.release();
        let standing = || office.record(reserved).unwrap().standing;
        eventually("released", || (standing() == Standing::Released).then_some(()));
    }
}

pub(crate) fn full() {
    let place = Place::new();
    let office = Office::default();
    let _server = serve(&place.machine("server"), config(1, 60), &office);
    let mut first =
        Station::start(place.plug("first"), settings_of(&place, "first", Renewal::ToTheServer), None, 1);
    let lease = first.bound();
    let second = place.plug("second");
    let mut second = Station::start(second, settings_of(&place, "second", Renewal::ToTheServer), None, 4);
    office.is_reported(|report| matches!(report, Report::Full { .. }));
    first.release();
    assert_eq!(second.bound().address, lease.address);
}
