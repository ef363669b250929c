use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::*;

const STRANGER: u32 = 65_302;
const CONNECT: &str = r"
import socket, sys
for _ in range(int(sys.argv[2])):
    client = socket.socket(socket.AF_UNIX)
    client.connect(sys.argv[1])
";

/// Who is turned away takes no place, and must not keep a turn from its end by coming back and back.
#[test]
fn a_turn_turns_away_no_more_than_it_may_accept() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut connections = Connections::new(listener, Vec::new());
    let number = ACCEPTED_A_TURN * 3;
    let mut command = Command::new("python3");
    command.args(["-c", CONNECT]).arg(&path).arg(number.to_string()).uid(STRANGER).current_dir("/");
    assert!(command.status().unwrap().success());
    let waiting = |connections: &Connections| {
        let ready = os::poll::wait(&connections.descriptors(), Some(Duration::ZERO)).unwrap();
        ready == [true]
    };
    let mut turns = 0;
    while waiting(&connections) {
        assert!(connections.turn().is_empty() && connections.clients.is_empty());
        turns += 1;
    }
    assert_eq!(turns, 3);
}

/// A supervisor that the disk or the machine has held up reads calls late that came in time.
#[test]
fn a_call_that_was_there_in_time_is_answered_however_late_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut connections = Connections::new(listener, Vec::new());
    let mut client = UnixStream::connect(&path).unwrap();
    let silent = UnixStream::connect(&path).unwrap();
    assert!(connections.turn().is_empty());
    let name = id::Digest::of(b"object");
    client.write_all(&encode(&Call::PutObject { name }, b"object").unwrap()).unwrap();
    connections.clients.iter_mut().for_each(|client| client.deadline = Duration::ZERO);
    let asked = connections.turn();
    assert_eq!(asked.len(), 1);
    let number = connections.id(&asked[0]);
    connections.busy(&asked[0]);
    connections.sweep();
    // Who has said nothing in that time is gone.
    assert_eq!(connections.clients.len(), 1);
    drop(silent);
    connections.answer_later(number, &Answer::Stored { name });
    let answer = node_protocol::frame::read(&mut client).unwrap().unwrap();
    assert!(matches!(answer.message().unwrap(), Answer::Stored { .. }));
}
