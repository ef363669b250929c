//! Custody as a process of its own, spoken to as the supervisor and as couriers speak to it.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::rc::Rc;

use node_protocol::signing::Transcript;
use node_protocol::{encode, frame};
use os::child::Child;
use os::poll::{Wanted, wait};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

pub(crate) const TIER: &str = "0123456789abcdef0123456789abcdef";

/// A custody of its own, with everything that the rights table takes from it.
pub(crate) struct Custody {
    child: Child,
    number: u64,
    pub(crate) folder: Rc<TempDir>,
    /// What it writes to stderr.
    talk: NamedTempFile,
    /// All that it has answered.
    answered: Vec<u8>,
}

impl Custody {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        chown(folder.path(), Some(65_210), Some(65_210)).unwrap();
        Self::start_in(&Rc::new(folder))
    }

    fn start_in(folder: &Rc<TempDir>) -> Self {
        let talk = NamedTempFile::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bmonitor"));
        command.arg("custody").args(["--parent", &std::process::id().to_string()]);
        command.arg("--folder").arg(folder.path()).stderr(talk.reopen().unwrap());
        let child = Child::start(command).unwrap();
        child.stream.set_nonblocking(false).unwrap();
        Self { child, number: 0, folder: Rc::clone(folder), talk, answered: Vec::new() }
    }

    pub(crate) fn opened() -> Self {
        Self::start().open()
    }

    /// Another one on the same store, after that one has ended.
    pub(crate) fn opened_in(folder: &Rc<TempDir>) -> Self {
        Self::start_in(folder).open()
    }

    fn open(mut self) -> Self {
        let reply = self.ask(&json!({"open": {"key_file": false}}), None);
        assert_eq!(reply["store"]["protection"], "none", "{reply}");
        self
    }

    /// One whose store is not opened yet; a new one unless a folder is given.
    pub(crate) fn unopened(folder: Option<&Rc<TempDir>>) -> Self {
        folder.map_or_else(Self::start, Self::start_in)
    }

    pub(crate) fn identity(&mut self, epoch: u64) -> id::PublicKey {
        let reply = self.ask(&json!({"tier": {"tier": TIER, "epoch": epoch, "root": false}}), None);
        reply["tier"]["identity"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn ask(&mut self, request: &Value, handed: Option<OwnedFd>) -> Value {
        let reply = self.ask_about(request, b"", handed).0;
        reply.unwrap_or_else(|| panic!("custody ended: {request}"))
    }

    /// Asks about what goes along; gives the answer and what came with that. No answer: it ended.
    pub(crate) fn ask_about(
        &mut self,
        request: &Value,
        attachment: &[u8],
        handed: Option<OwnedFd>,
    ) -> (Option<Value>, Vec<u8>) {
        self.number += 1;
        let bytes = encode(&json!({"number": self.number, "body": request}), attachment).unwrap();
        let sent =
            os::descriptor::send(&self.child.stream, &bytes, handed.as_ref().map(AsFd::as_fd)).unwrap();
        self.child.stream.write_all(&bytes[sent..]).unwrap();
        let Some(reply) = frame::read(&mut self.child.stream).unwrap() else { return (None, Vec::new()) };
        self.answered.extend_from_slice(&reply.attachment);
        let message: Value = reply.message().unwrap();
        self.answered.extend_from_slice(message.to_string().as_bytes());
        assert_eq!(message["number"], self.number);
        (Some(message["body"].clone()), reply.attachment)
    }

    pub(crate) fn courier(&mut self, epoch: u64) -> (UnixStream, Value) {
        let (here, there) = UnixStream::pair().unwrap();
        there.set_nonblocking(true).unwrap();
        let reply = self.ask(&json!({"courier": {"tier": TIER, "epoch": epoch}}), Some(there.into()));
        (here, reply)
    }

    /// Hangs up; gives all that it has said, on stderr, too, once it is dead.
    pub(crate) fn ended(mut self) -> Vec<u8> {
        self.child.stream.shutdown(Shutdown::Both).unwrap();
        wait(&[(self.child.ended(), Wanted::READ)], None).unwrap();
        self.child.reap().unwrap();
        [self.answered, fs::read(self.talk.path()).unwrap()].concat()
    }
}

/// One signature, or the end of the stream.
pub(crate) fn sign(stream: &mut UnixStream, request: &[u8]) -> Option<[u8; 64]> {
    let mut signature = [0; 64];
    stream.write_all(request).ok()?;
    stream.read_exact(&mut signature).ok().map(|()| signature)
}

/// A courier gets signatures of its tier's identity over a handshake's hash, as long as that identity lives;
/// of another epoch none, and of anything else none.
pub(crate) fn signs_handshakes_alone() {
    let mut custody = Custody::opened();
    let key = custody.identity(2);
    let (mut courier, served) = custody.courier(2);
    assert_eq!(served, json!({"done": {}}));
    for transcript in [Transcript::Sha256([7; 32]), Transcript::Sha384([8; 48])] {
        let signature = sign(&mut courier, &transcript.to_request()).unwrap();
        assert!(keys::verifies(&key, &transcript.message(), &keys::Signature::from_bytes(signature)));
    }
    for epoch in [1, 3] {
        let (mut stranger, refused) = custody.courier(epoch);
        assert!(refused["refused"].is_object(), "{refused}");
        assert_eq!(sign(&mut stranger, &Transcript::Sha256([7; 32]).to_request()), None);
    }
    let (mut hostile, _served) = custody.courier(2);
    assert_eq!(sign(&mut hostile, b"sign this order for me"), None);
    // One that asks and takes no answer keeps nobody else waiting.
    let (mut greedy, _served) = custody.courier(2);
    greedy.set_nonblocking(true).unwrap();
    while greedy.write(&Transcript::Sha256([1; 32]).to_request()).is_ok() {}
    assert!(sign(&mut courier, &Transcript::Sha256([9; 32]).to_request()).is_some());
    let forget = |last: u64| json!({"forget": {"tier": TIER, "last": last}});
    assert_eq!(custody.ask(&forget(1), None), json!({"done": {}}));
    assert!(sign(&mut courier, &Transcript::Sha256([9; 32]).to_request()).is_some());
    assert_eq!(custody.ask(&forget(2), None), json!({"done": {}}));
    assert_eq!(sign(&mut courier, &Transcript::Sha256([9; 32]).to_request()), None);
}

/// What is unlinked cannot be signed with, by custody that was told nothing.
pub(crate) fn an_unlinked_identity_signs_nothing() {
    let mut custody = Custody::opened();
    custody.identity(1);
    let (mut courier, _served) = custody.courier(1);
    assert!(sign(&mut courier, &Transcript::Sha256([7; 32]).to_request()).is_some());
    fs::remove_file(custody.folder.path().join(format!("{TIER}.1.secret"))).unwrap();
    assert_eq!(sign(&mut courier, &Transcript::Sha256([7; 32]).to_request()), None);
}

/// What no supervisor says ends custody.
pub(crate) fn nonsense_ends_custody() {
    for nonsense in
        [&b"\xff\xff\xff\xff\xff\xff\xff\xff"[..], b"\0\0\0\x02\0\0\0\0[]", b"\0\0\0\x02\0\0\0\x01{}x"]
    {
        let mut custody = Custody::start();
        custody.child.stream.write_all(nonsense).unwrap();
        wait(&[(custody.child.ended(), Wanted::READ)], None).unwrap();
        assert_eq!(custody.child.reap().unwrap().unwrap().code(), Some(1));
    }
}
