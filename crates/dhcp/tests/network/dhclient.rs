//! ISC's client, which keeps to T1 and T2, with leases of seconds.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use dhcp::frame::{Datagram, UdpChecksum};
use dhcp::server::{Class, Standing};
use dhcp::{Mac, Message, REALM_CLASS, SERVER_PORT};
use os::namespace::Namespace;
use os::packet::Tap;

use crate::place::{Place, Program, eventually};
use crate::programs::Script;
use crate::station::{Office, config, serve};

/// Two seconds between T2 and the end.
const LEASE_S: u32 = 16;

const SCRIPT: &str = r#"
case "$reason" in
PREINIT) ip link set "$interface" up ;;
BOUND|RENEW|REBIND|REBOOT) ip -4 addr replace "$new_ip_address/16" dev "$interface" ;;
EXPIRE|FAIL|RELEASE|STOP) ip -4 addr flush dev "$interface" ;;
esac
echo "$reason $new_ip_address $new_subnet_mask $new_routers $new_dhcp_server_identifier" >> "$lines"
"#;

fn command(place: &Place, script: &Script) -> Command {
    let mut command = Command::new("dhclient");
    command.args(["-4", "-d", "-sf"]).arg(&script.path).arg("-lf").arg(place.path("leases"));
    command.arg("-pf").arg(place.path("pid")).arg("-cf").arg(place.path("conf"));
    command
}

fn start(place: &Place, machine: &Namespace, script: &Script) -> Program {
    place.start(machine, command(place, script).arg("eth0"))
}

fn address(line: &[String]) -> Ipv4Addr {
    line[1].parse().unwrap()
}

/// Waits until the client has a lease on its medium that is good for a while: it tells its script first, and what
/// is killed in between remembers nothing, and has nothing to give back.
fn writes_it_down(place: &Place) {
    eventually("a lease that is written down", || {
        let text = std::fs::read_to_string(place.path("leases")).ok()?;
        let until =
            |line: &str| line.trim().strip_prefix("expire epoch ")?.split(';').next()?.parse::<u64>().ok();
        let latest = Duration::from_secs(text.lines().filter_map(until).max()?);
        (latest > os::clock::wall() + Duration::from_secs(u64::from(LEASE_S) / 2)).then_some(())
    });
}

/// Waits until the client asks everybody for more time.
fn asks_everybody(machine: &Namespace, address: Ipv4Addr) {
    let tap = machine.run(|| Tap::open("eth0", &[SERVER_PORT])).unwrap().unwrap();
    eventually("a request to everybody", || {
        let tapped = tap.receive().unwrap()?;
        let datagram = Datagram::read(&tapped.frame, UdpChecksum::NotReady).ok()?;
        let message = Message::read(datagram.payload).ok()?;
        (datagram.to_mac == Mac::BROADCAST && message.ciaddr == address).then_some(())
    });
}

pub(crate) fn lives_a_lease() {
    let place = Place::new();
    let (machine, office) = (place.plug("client"), Office::default());
    // It asks each second, twice at least between T2 and the end of its lease. Where it waits two, it may ask in T2's
    // own second, when it still asks the server alone, and then wake a moment after the end: it asks nobody.
    let conf = format!(
        "send vendor-class-identifier \"{REALM_CLASS}\";\nsend dhcp-client-identifier 00:11:22:33;\n\
         db-time-format local;\ninitial-interval 1;\nbackoff-cutoff 1;\nretry 1;\nselect-timeout 0;\n"
    );
    std::fs::write(place.path("conf"), conf).unwrap();
    let mut script = Script::new(place.folder(), SCRIPT);
    let serve_again = || serve(&place.machine("server"), config(9, LEASE_S), &office);
    let server = serve_again();
    let client = start(&place, &machine, &script);
    let bound = script.wait_for(&["BOUND"]);
    let given = address(&bound);
    assert_eq!(bound[2..], ["255.255.0.0", "10.0.0.1", "10.0.0.2"]);
    let record = office.record(given).unwrap();
    assert_eq!((record.class, record.client.to_string().as_str()), (Class::Realm, "00112233"));
    assert_eq!(address(&script.wait_for(&["RENEW"])), given);
    // The server is gone until after T2: the client asks everybody.
    drop(server);
    asks_everybody(&place.machine("server"), given);
    let server = serve_again();
    // It calls the answer one or the other, as the second falls; bound anew, if the end came first.
    assert_eq!(address(&script.wait_for(&["RENEW", "REBIND", "BOUND"])), given);
    // Gone for longer than a lease.
    drop(server);
    script.wait_for(&["EXPIRE"]);
    let server = serve_again();
    assert_eq!(address(&script.wait_for(&["BOUND"])), given);
    // The client dies, and remembers.
    writes_it_down(&place);
    client.kill();
    let client = start(&place, &machine, &script);
    // Bound anew, if it was gone for longer than a lease.
    assert_eq!(address(&script.wait_for(&["REBOOT", "BOUND"])), given);
    // Given back.
    writes_it_down(&place);
    client.kill();
    let mut release = command(&place, &script);
    let releasing = machine.run(|| release.args(["-r", "eth0"]).output()).unwrap().unwrap();
    assert!(releasing.status.success(), "{releasing:?}");
    eventually("released", || (office.record(given).unwrap().standing == Standing::Released).then_some(()));
    drop(server);
}
