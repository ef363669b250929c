//! Clients of the socket that mean no good: the node goes on answering the others.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::world::World;

fn connect(path: &PathBuf) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(crate::world::SOON)).unwrap();
    stream
}

pub(crate) fn hostile() {
    let mut world = World::unstarted();
    world.start(0, &[]);
    let before = world.settled(0);
    let socket = world.facility.nodes()[0].socket();
    let lengths = |json: u32, attachment: u32| [json.to_be_bytes(), attachment.to_be_bytes()].concat();
    let call =
        |json: &str| [lengths(u32::try_from(json.len()).unwrap(), 0), json.as_bytes().to_vec()].concat();
    let broken = [
        lengths(u32::MAX, u32::MAX),
        lengths(0, 0),
        call("{}"),
        call("{\"call\":\"make-coffee\"}"),
        call("{\"call\":\"status\",\"settled\":1}"),
        vec![0; 8],
    ];
    for bytes in broken {
        let mut stream = connect(&socket);
        stream.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.contains("malformed-message"), "{bytes:?}: {answer}");
    }
    // Half a frame each, and more clients than are served at once: none of them is waited for.
    let half = || {
        let mut stream = connect(&socket);
        stream.write_all(&lengths(100, 0)).unwrap();
        stream
    };
    let held: Vec<UnixStream> = (0..64).map(|_| half()).collect();
    drop(held);
    let after = world.settled(0);
    assert_eq!((after.record, after.digest), (before.record, before.digest));
}

/// Whatever is said to them, the node's processes live, and nothing is recorded.
pub(crate) fn garbage() {
    let mut world = World::unstarted();
    world.start(0, &[]);
    world.lease(0, crate::world::REALMS);
    let before = world.settled(0);
    let running = world.facility.running("n1").unwrap();
    let mut garbage = lab::Garbage::new(20_261_123);
    let doors = world.facility.throw_garbage("n1", &mut garbage, 200).unwrap();
    assert!(doors.contains(&lab::Door::Unix(world.facility.nodes()[0].socket())), "{doors:?}");
    let after = world.settled(0);
    assert_eq!((after.record, after.digest, after.tiers), (before.record, before.digest, before.tiers));
    assert_eq!(world.facility.running("n1").unwrap(), running);
}

/// So does a courier, whatever answers in its console's place.
pub(crate) fn garbage_to_a_courier() {
    const DIALS: usize = 6;
    let mut world = World::unstarted();
    let console = crate::console::Unopened::new(7444);
    crate::console::courier_is_built();
    let router = world.facility.namespace("router").unwrap();
    let listener = router.run(|| TcpListener::bind(console.address())).unwrap().unwrap();
    world.tenants_consoles = vec![console.named()];
    world.start(0, &[]);
    let (tier, _lease) = world.lease(0, crate::world::REALMS);
    world.settled(0);
    let running = world.facility.running("n1").unwrap();
    let mut garbage = lab::Garbage::new(20_261_126);
    for _ in 0..DIALS {
        let (mut courier, _from) = listener.accept().unwrap();
        courier.set_read_timeout(Some(crate::world::SOON)).unwrap();
        // It hangs up as soon as it has seen enough of it.
        courier.write_all(&garbage.row()).unwrap_or_default();
        courier.shutdown(Shutdown::Write).unwrap_or_default();
        courier.read_to_end(&mut Vec::new()).unwrap_or_default();
    }
    assert_eq!(world.facility.running("n1").unwrap(), running);
    assert_eq!(world.tier(0, crate::world::TENANT).unwrap().tier, tier);
}

const ORDERER: u32 = 65_301;
const STRANGER: u32 = 65_302;

/// Beside root, only the uids of `orderers` are listened to.
pub(crate) fn uids() {
    let mut world = World::unstarted();
    let folder = world.facility.nodes()[0].folder().to_owned();
    let path = world.facility.nodes()[0].configuration().join("bmonitor.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("version = 1\n", &format!("version = 1\norderers = [{ORDERER}]\n")))
        .unwrap();
    // Strangers can walk to the socket: it is the supervisor that turns them away.
    for ancestor in [folder.as_path(), folder.parent().unwrap()] {
        fs::set_permissions(ancestor, Permissions::from_mode(0o711)).unwrap();
    }
    world.start(0, &[]);
    world.settled(0);
    let socket = world.facility.nodes()[0].socket();
    let knock = |uid: u32| {
        let mut command = Command::new("/proc/self/exe");
        command.args(["knock", &uid.to_string()]).arg(&socket);
        command.status().unwrap().code()
    };
    assert_eq!(knock(ORDERER), Some(0));
    assert_eq!(knock(STRANGER), Some(9));
}

/// Becomes the uid and asks for the status: 0 answered, 9 turned away.
pub(crate) fn knock(uid: &str, socket: &str) -> ExitCode {
    let uid: u32 = uid.parse().unwrap();
    os::privilege::become_user(uid, uid).unwrap();
    let mut stream = connect(&PathBuf::from(socket));
    let call = node_protocol::call::Call::Status { settled: false };
    let asked = node_protocol::frame::write(&mut stream, &call, &[]);
    match asked.and_then(|()| node_protocol::frame::read(&mut stream)) {
        Ok(Some(_answer)) => ExitCode::SUCCESS,
        Ok(None) | Err(_) => ExitCode::from(9),
    }
}
