//! The program between a supervisor, custody and consoles that a test plays. Needs root: it gives up rights.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use channel::{Accepted, Limits, Link, Listener, Pins, Sign, SignFailed};
use id::{Digest, Epoch, PublicKey, Time};
use keys::SigningKey;
use node_protocol::call::{Answer, Call, Status};
use node_protocol::courier::{
    AllowedCall, Begin, Confinement, Console, FromCourier, Limits as CourierLimits, ToCourier,
};
use node_protocol::signing::Requests;
use node_protocol::{encode, frame};
use os::child::{Child, ending};
use os::poll::{Wanted, wait};
use tokio::net::TcpListener;
use tokio::time::timeout;

const PROGRAM: &str = env!("CARGO_BIN_EXE_bmonitor-courier");
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than a supervisor that lives is silent.
const SILENCE: Duration = Duration::from_millis(1500);

/// The calls of the supervisor's table, where tests compare the two.
const CALLS: &[&str] = &[
    "brk",
    "mmap",
    "mremap",
    "munmap",
    "mprotect",
    "madvise",
    "futex",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "getrandom",
    "clock_gettime",
    "gettid",
    "getpid",
    "tgkill",
    "kill",
    "sched_yield",
    "restart_syscall",
    "exit",
    "exit_group",
    "socket",
    "connect",
    "getsockopt",
    "setsockopt",
    "shutdown",
    "read",
    "write",
    "writev",
    "recvfrom",
    "sendto",
    "recvmsg",
    "close",
    "fcntl",
    "ioctl",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "eventfd2",
    "socketpair",
];

#[derive(Debug)]
struct Holder(SigningKey);

fn holder(seed: u8) -> Arc<Holder> {
    Arc::new(Holder(SigningKey::from_seed(&[seed; 32]).unwrap()))
}

impl Sign for Holder {
    fn public(&self) -> PublicKey {
        *self.0.public()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignFailed> {
        Ok(*self.0.sign(message).as_bytes())
    }
}

/// The identity of the tier.
const IDENTITY: u8 = 1;

/// A courier, and its supervisor's end.
struct Courier(Child);

impl Courier {
    /// Started as the supervisor starts it; custody signs on a thread, or has hung if it is not to.
    fn start(consoles: Vec<Console>, custody_signs: bool) -> Self {
        let first = |name: &str| if name == "socket" { vec![2, 10] } else { Vec::new() };
        let calls = CALLS.iter().map(|name| AllowedCall { name: (*name).to_owned(), first: first(name) });
        let confinement = Confinement {
            uid: 65_251,
            parent: std::process::id(),
            limits: CourierLimits { core_bytes: 0, descriptors: 64, address_space_bytes: 1 << 30 },
            calls: calls.collect(),
        };
        let mut command = Command::new(PROGRAM);
        command.args(["--confinement", &serde_json::to_string(&confinement).unwrap()]);
        let child = Child::start(command).unwrap();
        child.stream.set_nonblocking(false).unwrap();
        let (custody, theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || sign(custody, custody_signs));
        let begin = ToCourier::Begin(Begin {
            tier: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            epoch: Epoch::default(),
            identity: holder(IDENTITY).public(),
            consoles,
        });
        let bytes = encode(&begin, b"").unwrap();
        assert_eq!(os::descriptor::send(&child.stream, &bytes, Some(theirs.as_fd())).unwrap(), bytes.len());
        Self(child)
    }

    fn say(&mut self, message: &ToCourier) {
        frame::write(&mut self.0.stream, message, b"").unwrap();
    }

    fn status(&mut self, record: u64) {
        self.say(&ToCourier::Status(Box::new(status(record))));
    }

    /// How it ended, by itself.
    fn ended(&mut self) -> String {
        assert!(wait(&[(self.0.ended(), Wanted::READ)], Some(PATIENCE)).unwrap()[0], "it lives on");
        ending(self.0.reap().unwrap().unwrap())
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        if self.0.reap().is_ok_and(|ended| ended.is_none()) {
            self.0.kill().unwrap();
            self.ended();
        }
    }
}

fn sign(mut stream: UnixStream, signs: bool) {
    let (mut requests, mut part) = (Requests::default(), [0; 64]);
    while let Ok(length @ 1..) = stream.read(&mut part) {
        requests.push(&part[..length]);
        while let (Some(transcript), true) = (requests.next_request().unwrap(), signs) {
            stream.write_all(&holder(IDENTITY).sign(&transcript.message()).unwrap()).unwrap();
        }
    }
}

fn status(record: u64) -> Status {
    serde_json::from_value(serde_json::json!({
        "name": "n1", "node": null, "at": Time::ZERO, "record": record, "digest": Digest::of(b""), "settled": true,
        "forged": 0, "tiers": [], "warnings": [], "directory": null,
    }))
    .unwrap()
}

/// A console with the identity pinned, and how it is dialled.
async fn console(seed: u8) -> (Listener, Console) {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pins = Pins::new([holder(IDENTITY).public()]);
    let listener = Listener::new(tcp, holder(seed), pins, Limits::default()).unwrap();
    let addresses: Vec<SocketAddr> = vec![listener.address().unwrap()];
    let named = Console { key: holder(seed).public(), addresses };
    (listener, named)
}

async fn accept(listener: &mut Listener) -> Link {
    match timeout(PATIENCE, listener.accept()).await.unwrap() {
        Accepted::Pinned(link) => link,
        Accepted::Stranger(stranger) => panic!("{stranger:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_statuses_go_through_and_a_silent_supervisor_is_heard_as_silence() {
    let (mut listener, named) = console(2).await;
    let mut courier = Courier::start(vec![named], true);
    let link = accept(&mut listener).await;
    let name = Digest::of(b"object");
    let asked = tokio::spawn({
        let link = link.clone();
        async move { link.call(&Call::PutObject { name }, b"object").await }
    });
    let said: FromCourier = frame::read(&mut courier.0.stream).unwrap().unwrap().message().unwrap();
    let FromCourier::Call { number, call } = said;
    assert_eq!(call, Call::PutObject { name });
    courier.say(&ToCourier::Answer { number, answer: Answer::Stored { name } });
    assert_eq!(asked.await.unwrap().unwrap().0, Answer::Stored { name });

    courier.status(1);
    let mut statuses = link.status().await.unwrap();
    assert_eq!(statuses.next().await.unwrap().unwrap().record, 1);
    courier.status(2);
    assert_eq!(statuses.next().await.unwrap().unwrap().record, 2);
    // The supervisor hangs: the stream stops, though the connection is there and TLS answers.
    assert!(timeout(SILENCE, statuses.next()).await.is_err());
    courier.status(3);
    assert_eq!(statuses.next().await.unwrap().unwrap().record, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn consoles_that_change_are_dropped_and_dialled() {
    let (mut first, first_named) = console(2).await;
    let (mut second, second_named) = console(3).await;
    let mut courier = Courier::start(vec![first_named], true);
    let link = accept(&mut first).await;
    courier.say(&ToCourier::Consoles(vec![second_named]));
    timeout(PATIENCE, link.closed()).await.unwrap();
    let link = accept(&mut second).await;
    // The same again changes nothing.
    let (_third, third_named) = console(4).await;
    let again = Console { key: holder(3).public(), addresses: vec![second.address().unwrap()] };
    courier.say(&ToCourier::Consoles(vec![again, third_named]));
    courier.status(1);
    assert_eq!(link.status().await.unwrap().next().await.unwrap().unwrap().record, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_dies_with_the_supervisor_and_its_connections_with_it() {
    let (mut listener, named) = console(2).await;
    let mut courier = Courier::start(vec![named], true);
    let link = accept(&mut listener).await;
    courier.0.stream.shutdown(std::net::Shutdown::Both).unwrap();
    timeout(PATIENCE, link.closed()).await.unwrap();
    assert_eq!(courier.ended(), "exit code 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_custody_does_not_sign() {
    let (mut listener, named) = console(2).await;
    let mut courier = Courier::start(vec![named], false);
    tokio::select! {
        accepted = listener.accept() => panic!("{accepted:?}"),
        ended = tokio::task::spawn_blocking(move || courier.ended()) => assert_eq!(ended.unwrap(), "exit code 1"),
    }
}

#[test]
fn what_is_no_supervisor_starts_no_courier() {
    for confinement in ["", "{}", "null", r#"{"uid":0}"#] {
        let output = Command::new(PROGRAM).args(["--confinement", confinement]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{confinement}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("not understood"));
    }
    assert_eq!(Command::new(PROGRAM).output().unwrap().status.code(), Some(2));
    // A confinement for somebody else's child.
    let confinement = Confinement {
        uid: 65_251,
        parent: 1,
        limits: CourierLimits { core_bytes: 0, descriptors: 64, address_space_bytes: 1 << 30 },
        calls: Vec::new(),
    };
    let told = serde_json::to_string(&confinement).unwrap();
    let output = Command::new(PROGRAM).args(["--confinement", &told]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("die with the supervisor"));
}
