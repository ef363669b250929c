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
