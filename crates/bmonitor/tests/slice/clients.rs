//! Clients of the socket that mean no good: the node goes on answering the others.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

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
