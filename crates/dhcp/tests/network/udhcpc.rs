//! Busybox's client. It takes no lease for shorter than two minutes, so it is told when to renew.

use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use dhcp::server::{Class, Standing};
use dhcp::{ClientId, NODE_CLASS};
use os::namespace::Namespace;
use rustix::process::Signal;

use crate::place::{Place, Program, eventually};
use crate::programs::Script;
use crate::station::{Office, config, serve};

const SCRIPT: &str = r#"
case "$1" in
deconfig) ip -4 addr flush dev "$interface" ;;
bound|renew) ip -4 addr replace "$ip/$mask" dev "$interface" ;;
esac
echo "$1 $ip $mask $router $lease $serverid" >> "$lines"
"#;

fn start(place: &Place, machine: &Namespace, script: &Script) -> Program {
    let mut command = Command::new("udhcpc");
    command.args(["-f", "-i", "eth0", "-t", "100", "-T", "1", "-A", "1", "-V", NODE_CLASS, "-s"]);
    place.start(machine, command.arg(&script.path))
}

fn address(line: &[String]) -> Ipv4Addr {
    line[1].parse().unwrap()
}

pub(crate) fn lives_a_lease() {
    let place = Place::new();
    let (machine, office) = (place.plug("client"), Office::default());
    let mut script = Script::new(place.folder(), SCRIPT);
    let server = serve(&place.machine("server"), config(9, 200), &office);
    let client = start(&place, &machine, &script);
    let bound = script.wait_for(&["bound"]);
    let given = address(&bound);
    assert_eq!(bound[2..], ["16", "10.0.0.1", "200", "10.0.0.2"]);
    assert!(config(9, 200).nodes.unwrap().contains(given));
    let record = office.record(given).unwrap();
    assert_eq!((record.class, record.standing), (Class::Node, Standing::Leased));
    // It names itself by its hardware address.
    assert_eq!(record.client, ClientId::of_mac(record.mac));
    // Renewed by the kernel's UDP, to the server alone.
    client.signal(Signal::USR1);
    assert_eq!(address(&script.wait_for(&["renew"])), given);
    // The server dies and comes back: it knows the lease.
    drop(server);
    let _server = serve(&place.machine("server"), config(9, 200), &office);
    client.signal(Signal::USR1);
    assert_eq!(address(&script.wait_for(&["renew"])), given);
    // Given back.
    client.signal(Signal::USR2);
    script.wait_for(&["deconfig"]);
    eventually("released", || (office.record(given).unwrap().standing == Standing::Released).then_some(()));
    client.kill();
    // Another time it gets the same.
    let _client = start(&place, &machine, &script);
    assert_eq!(address(&script.wait_for(&["bound"])), given);
    assert!(std::fs::metadata(place.path("udhcpc")).unwrap().size() > 0);
}

pub(crate) fn is_refused_and_gets_what_is_reserved() {
    let place = Place::new();
    let (machine, office) = (place.plug("client"), Office::default());
    let mut script = Script::new(place.folder(), SCRIPT);
    let server = serve(&place.machine("server"), config(9, 200), &office);
    let client = start(&place, &machine, &script);
    let given = address(&script.wait_for(&["bound"]));
    drop(server);
    let reserved = Ipv4Addr::new(10, 0, 77, 7);
    office.reserved.lock().unwrap().push((office.record(given).unwrap().client, reserved));
    let _server = serve(&place.machine("server"), config(9, 200), &office);
    client.signal(Signal::USR1);
    script.wait_for(&["nak"]);
    assert_eq!(address(&script.wait_for(&["bound"])), reserved);
}
