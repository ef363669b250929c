//! A console as a node sees one: it listens in the router's namespace, and asks what a test wants asked.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use channel::{Accepted, CallFailed, Limits, Link, Listener, Pins, Sign, SignFailed, Stranger};
use id::{Digest, PublicKey};
use keys::{Envelope, SigningKey};
use lab::{Facility, Object};
use node_protocol::call::{Answer, Call, Status};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long anything may take that a console waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The router's address in the nodes' network.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

#[derive(Debug)]
struct Holder(SigningKey);

impl Sign for Holder {
    fn public(&self) -> PublicKey {
        *self.0.public()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignFailed> {
        Ok(*self.0.sign(message).as_bytes())
    }
}

/// A console's channel key and place, before it listens.
pub(crate) struct Unopened {
    key: Arc<Holder>,
    address: SocketAddr,
}

impl Unopened {
    pub(crate) fn new(port: u16) -> Self {
        let key = SigningKey::from_seed(&os::random::bytes().unwrap()).unwrap();
        Self { key: Arc::new(Holder(key)), address: SocketAddr::from((ADDRESS, port)) }
    }

    /// Where it will listen.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// As a lease or an enrolment names it.
    pub(crate) fn named(&self) -> tenure::Console {
        self.named_at(self.address)
    }

    /// The same at another address.
    pub(crate) fn named_at(&self, address: SocketAddr) -> tenure::Console {
        let address = tenure::ConsoleAddress::new(address).unwrap();
        tenure::Console { key: self.key.public(), addresses: vec![address] }
    }

    /// Listens from now on. Nobody is pinned.
    pub(crate) fn open(self, facility: &Facility) -> Console {
        courier_is_built();
        let address = self.address;
        let bound = facility.namespace("router").unwrap().run(|| std::net::TcpListener::bind(address));
        let tcp = bound.unwrap().unwrap();
        tcp.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (runtime, pins) = (runtime.unwrap(), Pins::default());
        let (to, accepted) = mpsc::unbounded_channel();
        let (key, pinned) = (Arc::clone(&self.key), pins.clone());
        runtime.spawn(async move {
            let tcp = TcpListener::from_std(tcp).unwrap();
            let mut listener = Listener::new(tcp, key, pinned, Limits::default()).unwrap();
            while to.send(listener.accept().await).is_ok() {}
        });
        Console { runtime, pins, accepted, early: VecDeque::new() }
    }
}

/// A console that listens.
pub(crate) struct Console {
    runtime: Runtime,
    pub(crate) pins: Pins,
    accepted: mpsc::UnboundedReceiver<Accepted>,
    /// Connections that came while another kind was waited for.
    early: VecDeque<Link>,
}

impl Console {
    /// The next connection of an identity that is pinned.
    pub(crate) fn link(&mut self) -> Link {
        if let Some(link) = self.early.pop_front() {
            return link;
        }
        match self.next() {
            Accepted::Pinned(link) => link,
            Accepted::Stranger(stranger) => panic!("{stranger:?}"),
        }
    }

    /// The next that answers: those of supervisors that are dead may have come before it.
    pub(crate) fn living_link(&mut self) -> Link {
        loop {
            let link = self.link();
            let asked = async { timeout(PATIENCE, link.status()).await };
            if self.runtime.block_on(asked).expect("neither answers nor ends").is_ok() {
                return link;
            }
        }
    }

    /// The next connection of one that is not.
    pub(crate) fn stranger(&mut self) -> Stranger {
        self.pins.open_window(4);
        loop {
            match self.next() {
                Accepted::Pinned(link) => self.early.push_back(link),
                Accepted::Stranger(stranger) => return stranger,
            }
        }
    }

    /// Lets the next stranger say what it is, and pins it. Gives its identity and what its node signed.
    pub(crate) fn enrol(&mut self) -> (PublicKey, Vec<Envelope>) {
        let stranger = self.stranger();
        let identity = stranger.identity();
        let said = self.runtime.block_on(stranger.statements()).unwrap();
        self.pins.close_window();
        self.pins.insert(identity);
        (identity, envelopes(&said))
    }

    fn next(&mut self) -> Accepted {
        let accepted = self.runtime.block_on(async { timeout(PATIENCE, self.accepted.recv()).await });
        accepted.expect("nobody dials").unwrap()
    }

    /// Whether nobody got in since the last one who was asked for.
    pub(crate) fn nobody_came(&mut self) -> bool {
        self.early.is_empty() && self.accepted.try_recv().is_err()
    }

    pub(crate) fn try_call(
        &self,
        link: &Link,
        call: &Call,
        attachment: &[u8],
    ) -> Result<(Answer, Vec<u8>), CallFailed> {
        self.runtime.block_on(link.call(call, attachment))
    }

    pub(crate) fn call(&self, link: &Link, call: &Call, attachment: &[u8]) -> (Answer, Vec<u8>) {
        self.try_call(link, call, attachment).unwrap()
    }

    pub(crate) fn order(&self, link: &Link, envelope: &Envelope) -> Answer {
        self.call(link, &Call::SubmitOrder {}, envelope.to_json().as_bytes()).0
    }

    pub(crate) fn put(&self, link: &Link, object: &Object) -> Digest {
        let name = object.name();
        let (answer, _) = self.call(link, &Call::PutObject { name }, object.as_bytes());
        assert_eq!(answer, Answer::Stored { name });
        name
    }

    /// The first status of a new stream of which something is true.
    pub(crate) fn status_with(&self, link: &Link, wanted: impl Fn(&Status) -> bool) -> Status {
        self.runtime.block_on(async {
            let found = async {
                let mut statuses = link.status().await.unwrap();
                loop {
                    let status = statuses.next().await.unwrap().expect("the stream goes on");
                    if wanted(&status) {
                        return status;
                    }
                }
            };
            timeout(PATIENCE, found).await.expect("it never becomes true")
        })
    }

    /// Waits until a connection has ended.
    pub(crate) fn closed(&self, link: &Link) {
        self.runtime.block_on(async { timeout(PATIENCE, link.closed()).await }).expect("it goes on");
    }
}

/// Envelopes, one a line.
pub(crate) fn envelopes(lines: &[u8]) -> Vec<Envelope> {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| Envelope::parse(line).unwrap()).collect()
}

/// The courier is another package's program: `cargo test -p bmonitor` alone does not build it.
pub(crate) fn courier_is_built() {
    static BUILT: std::sync::Once = std::sync::Once::new();
    BUILT.call_once(|| {
        let cargo = std::env::var_os("CARGO");
        let Some(cargo) = cargo else { return };
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--offline", "--package", "courier"]);
        assert!(command.status().unwrap().success());
    });
}
