//! All bytes of a tenancy, sent again after its severing: every connection, and offers to resume it, to the live
//! consoles; what the consoles said, to the node leased again to the same party; and every order to that node, by
//! its socket and through its own courier.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::thread::JoinHandle;

use lab::Stream;
use node_protocol::call::Answer;
use os::namespace::Namespace;
use serde_json::Value;

use crate::console::{Console, key, say_again};
use crate::hello;
use crate::orders::obeyed;
use crate::world::{CHANNEL_PORT, LANDLORD, PARTIES, PATIENCE, TENANT, World, connected};

/// More than a server's part of a handshake and its complaint: then something was answered.
const HANDSHAKE_BYTES_MAX: usize = 4096;

/// Says it from there, and gives what comes back until the other end hangs up.
fn say(from: &Namespace, to: SocketAddrV4, bytes: &[u8]) -> Vec<u8> {
    let mut stream = from.run(|| TcpStream::connect(to)).unwrap().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap_or_default();
    stream.shutdown(Shutdown::Write).unwrap_or_default();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    answer
}

#[expect(clippy::print_stdout, reason = "the reason for each is part of the evidence")]
pub(crate) fn no_byte_of_a_tenancy() {
    let mut world = World::new();
    let recording = world.record();
    world.enrol();
    let offer = world.grant("L-1");
    world.take(offer);
    world.live();
    world.sever("L-1");
    let streams = recording.finish().unwrap().streams();
    to_the_consoles(&mut world, &streams);
    // The landlord's, to the node that dials it again.
    let node_dials = say_to_whoever_dials(&mut world, LANDLORD, &streams);
    hangs_up(node_dials);
    world.runs_again(LANDLORD);

    let controllers =
        [LANDLORD, TENANT].map(|party| key(&world.console_folder(party).join("controller.key")));
    let journal = world.facility.nodes()[0].caller().journal(PATIENCE).unwrap();
    let orders = obeyed(&journal, &controllers);
    let node_dials = say_to_whoever_dials(&mut world, TENANT, &streams);
    world.grant("L-2");
    // Nobody has taken it over yet, so that its courier dials with its first identity.
    hangs_up(node_dials);
    let (place, at) = (world.facility.namespace("tenant").unwrap(), world.channel(TENANT));
    let before = world.settled();
    let console =
        Console::dialled(&world.runtime, &place, at, key(&world.console_folder(TENANT).join("channel.key")));
    let mut verbs = Vec::new();
    for order in &orders {
        let by_socket = world.facility.nodes()[0].submit(&order.envelope, &[]).unwrap();
        let Answer::Refused(refused) = console.order(&order.envelope) else {
            panic!("{} is obeyed", order.verb)
        };
        assert_eq!(by_socket.code(), Some(refused.code.as_str()), "{}", order.verb);
        println!("{}: {} ({})", order.verb, refused.code, refused.message);
        assert!(["unknown-tier", "used-sequence"].contains(&refused.code.as_str()), "{}", refused.code);
        verbs.push(order.verb.as_str());
    }
    assert_eq!(verbs, ["lease", "renew", "boundary", "boundary", "enrol-key", "sever"]);
    let after = world.settled();
    assert_eq!(before.tiers, after.tiers);
    // Each refusal is on record, of both ways, and nothing else is.
    assert_eq!(after.record - before.record, 2 * orders.len() as u64);
}

/// In the place of a party's console, which dies: all that it has said in one connection after the other.
fn say_to_whoever_dials(world: &mut World, party: usize, streams: &[Stream]) -> JoinHandle<Vec<Vec<u8>>> {
    world.facility.consoles_mut()[party].kill().unwrap();
    let (place, at) = (world.facility.namespace(PARTIES[party]).unwrap(), world.channel(party));
    let said: Vec<Vec<u8>> =
        streams.iter().filter(|stream| stream.from == at).map(|stream| stream.bytes.clone()).collect();
    assert!(said.len() >= 2, "the console has spoken to a stranger and to whom it knew: {}", said.len());
    say_again(&place, at, said)
}

#[expect(clippy::print_stdout, reason = "how soon it saw what this is is part of the evidence")]
fn hangs_up(replayed: JoinHandle<Vec<Vec<u8>>>) {
    for heard in replayed.join().unwrap() {
        println!("a session of a console's, said again: the node hung up after {} bytes", heard.len());
        assert!(heard.len() < HANDSHAKE_BYTES_MAX);
    }
}

/// All that the node has sent, and that with an offer to resume.
#[expect(clippy::print_stdout, reason = "how much was sent again is part of the evidence")]
fn to_the_consoles(world: &mut World, streams: &[Stream]) {
    let before: Value = world.get(LANDLORD, "/v1/nodes");
    assert!(connected(&before));
    let node = world.facility.namespace("n1").unwrap();
    for party in [LANDLORD, TENANT] {
        let to = world.channel(party);
        let to_it: Vec<&Stream> = streams.iter().filter(|stream| stream.to == to).collect();
        assert!(to_it.len() >= 2 && to.port() == CHANNEL_PORT, "{}", to_it.len());
        for stream in to_it.iter().filter(|stream| !stream.bytes.is_empty()) {
            let answer = say(&node, to, &stream.bytes);
            println!("{} bytes to {to}, said again: {} come back", stream.bytes.len(), answer.len());
            assert!(answer.len() < HANDSHAKE_BYTES_MAX);
            let offering = hello::offering(&stream.bytes);
            let answer = say(&node, to, &offering);
            assert!(!hello::resumes(&answer) && answer.len() < HANDSHAKE_BYTES_MAX);
        }
    }
    // Nobody got in, and nobody was thrown out.
    let nodes: Value = world.get(TENANT, "/v1/nodes");
    assert!(!connected(&nodes), "{nodes}");
    let after: Value = world.get(LANDLORD, "/v1/nodes");
    assert!(connected(&after), "{after}");
    assert_eq!(before["items"][0]["tiers"][0]["identity"], after["items"][0]["tiers"][0]["identity"]);
}
