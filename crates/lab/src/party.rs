//! A party: its controller key, the orders that it signs, and what a node says to them.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use id::{Digest, Epoch, LeaseId, NodeId, Sequence, TierId, Time};
use keys::{Envelope, PayloadType, PublicKey, SigningKey};
use node_protocol::call::{Answer, Call, Status};
use node_protocol::frame;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tenure::{Console, ControllerKey, Freshness, Order, Rights, Verb};

use crate::failed::{Act, Failed};
use crate::node::Node;

/// How long a node that does not answer is left alone before it is asked again.
const SHORTEST: Duration = Duration::from_millis(2);

/// A party with one controller key.
#[derive(Debug)]
pub struct Party {
    key: SigningKey,
    sequence: AtomicU64,
}

/// Where a signer stands on a node: what its orders must name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The node.
    pub node: NodeId,
    /// The signer's lease.
    pub lease: LeaseId,
    /// The signer's tier.
    pub tier: TierId,
    /// Its present epoch.
    pub epoch: Epoch,
}

/// Content that an order names by its digest: 16 random bytes, then the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object(Vec<u8>);

/// How the node answered a command of `bmonitor`.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The exit code of FORMATS.
    pub exit: i32,
    /// What stood on stdout.
    pub answer: Value,
    /// What stood on stderr.
    pub talk: String,
}

impl Party {
    /// A party with a new key.
    ///
    /// # Errors
    /// When the kernel has no random numbers.
    pub fn new() -> Result<Self, Failed> {
        let act = || "make a controller key".to_owned();
        Self::of_seed(&os::random::bytes().act(act)?)
    }

    /// A party whose key follows from `seed`, for tests that replay.
    ///
    /// # Errors
    /// When the seed makes no key; no such seed is known.
    pub fn of_seed(seed: &[u8; 32]) -> Result<Self, Failed> {
        let key = SigningKey::from_seed(seed).act(|| "make a controller key".to_owned())?;
        Ok(Self { key, sequence: AtomicU64::new(0) })
    }

    /// Its controller key.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The key with these rights, as orders and enrolments list it.
    #[must_use]
    pub fn controller(&self, rights: Rights) -> ControllerKey {
        ControllerKey { key: *self.key.public(), rights }
    }

    /// `enrolment.json` of a node called `root` there, whose root this party is.
    #[must_use]
    pub fn enrolment(&self, root: &str) -> String {
        self.enrolment_with(root, &[], None)
    }

    /// The same, with the root's consoles and the key that signs its directories.
    #[must_use]
    pub fn enrolment_with(&self, root: &str, consoles: &[Console], directory: Option<PublicKey>) -> String {
        let controllers = [self.controller(Rights::ALL)];
        serde_json::json!({
            "version": 1,
            "name": root,
            "controllers": controllers,
            "consoles": consoles,
            "directory": directory,
        })
        .to_string()
    }

    /// A signed order with the key's next sequence number, valid for ever.
    #[must_use]
    pub fn order(&self, standing: &Standing, verb: Verb) -> Envelope {
        let number = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        self.order_numbered(standing, number, verb)
    }

    /// The same with a sequence number of the caller's choice.
    #[must_use]
    pub fn order_numbered(&self, standing: &Standing, number: u64, verb: Verb) -> Envelope {
        let order = Order {
            node: standing.node,
            lease: standing.lease,
            tier: standing.tier,
            epoch: standing.epoch,
            seq: Sequence::new(number).unwrap_or_default(),
            freshness: Freshness::NotAfter(Time::MAX),
            term: None,
            verb,
        };
        Envelope::sign(PayloadType::Order, order.to_json().into_bytes(), &self.key)
    }
}

impl Object {
    /// Salts a text.
    ///
    /// # Errors
    /// When the kernel has no random numbers.
    pub fn new(text: &str) -> Result<Self, Failed> {
        let salt: [u8; 16] = os::random::bytes().act(|| "salt an object".to_owned())?;
        Ok(Self([salt.as_slice(), text.as_bytes()].concat()))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// Salt and text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Standing {
    /// Where the tier stands that is called `name` in a status.
    #[must_use]
    pub fn of(status: &Status, name: &str) -> Option<Self> {
        let tier = status.tiers.iter().find(|tier| tier.name.as_str() == name)?;
        Some(Self { node: status.node?, lease: tier.lease, tier: tier.tier, epoch: tier.epoch })
    }
}

impl Said {
    /// The answer in its own type.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Failed> {
        serde_json::from_value(self.answer.clone())
            .act(|| format!("understand {} ({})", self.answer, self.talk.trim_end()))
    }

    /// The stable code of a refusal, or nothing.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.answer.get("code").and_then(Value::as_str)
    }

    /// For tests: the node did what it was asked for.
    ///
    /// # Panics
    /// When it did not, with all that it said.
    #[track_caller]
    pub fn accepted(&self) {
        assert!(self.exit == 0, "exit {}: {} {}", self.exit, self.talk.trim_end(), self.answer);
    }

    pub(crate) fn of(output: &Output) -> Self {
        let answer = serde_json::from_slice(&output.stdout);
        let text = || Value::from(String::from_utf8_lossy(&output.stdout).into_owned());
        Self {
            exit: output.status.code().unwrap_or(-1),
            answer: answer.unwrap_or_else(|_not_json| text()),
            talk: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A client of a node's supervisor, to be used while the node is acted on.
#[derive(Debug, Clone)]
pub struct Caller {
    name: String,
    socket: PathBuf,
}

impl Caller {
    /// Makes one call to the supervisor, as the courier or a command does.
    ///
    /// # Errors
    /// When there is no answer within `patience`. A refusal is an answer.
    pub fn call(
        &self,
        call: &Call,
        attachment: &[u8],
        patience: Duration,
    ) -> Result<(Answer, Vec<u8>), Failed> {
        let act = || format!("call the supervisor of {:?}", self.name);
        let mut stream = UnixStream::connect(&self.socket).act(act)?;
        stream.set_read_timeout(Some(patience)).act(act)?;
        frame::write(&mut stream, call, attachment).act(act)?;
        let frame = frame::read(&mut stream).act(act)?.ok_or("it hung up").act(act)?;
        Ok((frame.message().act(act)?, frame.attachment))
    }

    /// Submits an order with its objects.
    ///
    /// # Errors
    /// When there is no answer within `patience`. A refusal is an answer.
    pub fn order(
        &self,
        envelope: &Envelope,
        objects: &[&Object],
        patience: Duration,
    ) -> Result<Answer, Failed> {
        for object in objects {
            let (answer, _) = self.call(&Call::PutObject { name: object.name() }, &object.0, patience)?;
            if !matches!(answer, Answer::Stored { .. }) {
                return Ok(answer);
            }
        }
        Ok(self.call(&Call::SubmitOrder {}, envelope.to_json().as_bytes(), patience)?.0)
    }

    /// All lines of the journal.
    ///
    /// # Errors
    /// When the supervisor does not answer, or refuses.
    pub fn journal(&self, patience: Duration) -> Result<Vec<u8>, Failed> {
        let mut journal = Vec::new();
        loop {
            let from = 1 + journal.iter().filter(|byte| **byte == b'\n').count() as u64;
            let (answer, lines) = self.call(&Call::ReadJournal { from }, &[], patience)?;
            match answer {
                Answer::Lines { .. } if lines.is_empty() => return Ok(journal),
                Answer::Lines { .. } => journal.extend(lines),
                Answer::Accepted { .. }
                | Answer::Stored { .. }
                | Answer::Signed { .. }
                | Answer::Status(_)
                | Answer::Nonce { .. }
                | Answer::Handed {}
                | Answer::Image(_)
                | Answer::Output {}
                | Answer::Explained(_)
                | Answer::Denials(_)
                | Answer::Passed(_)
                | Answer::Refused(_) => {
                    return Err(Failed::new("read the journal", format!("the node said {answer:?}")));
                }
            }
        }
    }
}

/// What people do with `bmonitor` at a node.
impl Node {
    /// `bmonitor order`: submits an order with its objects.
    ///
    /// # Errors
    /// When the command cannot be run. A refusal is an answer.
    pub fn submit(&self, envelope: &Envelope, objects: &[&Object]) -> Result<Said, Failed> {
        self.submit_bytes(envelope.to_json().as_bytes(), objects)
    }

    /// The same with any bytes in the place of the envelope.
    ///
    /// # Errors
    /// When the command cannot be run.
    pub fn submit_bytes(&self, envelope: &[u8], objects: &[&Object]) -> Result<Said, Failed> {
        let act = || "write an order".to_owned();
        let folder = self.folder().join("orders");
        let write = |bytes: &[u8]| -> Result<_, Failed> {
            let path = folder.join(format!("{:016x}", u64::from_ne_bytes(os::random::bytes().act(act)?)));
            fs::write(&path, bytes).act(act)?;
            Ok(path)
        };
        let mut arguments = vec!["order".into(), write(envelope)?.into_os_string()];
        for object in objects {
            arguments.extend(["--object".into(), write(&object.0)?.into_os_string()]);
        }
        self.bmonitor(&arguments)
    }

    /// How the node is, once it answers and no effect is pending.
    ///
    /// # Errors
    /// When that takes longer than `patience`.
    pub fn settled(&self, patience: Duration) -> Result<Status, Failed> {
        self.status(true, patience)
    }

    /// How the node is, once it answers.
    ///
    /// # Errors
    /// When that takes longer than `patience`.
    pub fn answering(&self, patience: Duration) -> Result<Status, Failed> {
        self.status(false, patience)
    }

    /// A supervisor that starts has no socket yet, one that was killed a dead one: both are tried until
    /// the deadline, the condition being that it answers.
    fn status(&self, settled: bool, patience: Duration) -> Result<Status, Failed> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.call(&Call::Status { settled }, &[], left.max(SHORTEST)) {
                Ok((Answer::Status(status), _)) => return Ok(*status),
                Ok((other, _)) => {
                    return Err(Failed::new("read the status", format!("the node said {other:?}")));
                }
                Err(failed) if left.is_zero() => return Err(failed),
                Err(_) => os::poll::wait(&[], Some(SHORTEST)).map(drop).act(|| "wait".to_owned())?,
            }
        }
    }

    /// Makes one call to the supervisor: [`Caller::call`].
    ///
    /// # Errors
    /// When there is no answer within `patience`. A refusal is an answer.
    pub fn call(
        &self,
        call: &Call,
        attachment: &[u8],
        patience: Duration,
    ) -> Result<(Answer, Vec<u8>), Failed> {
        self.caller().call(call, attachment, patience)
    }

    /// Whatever calls this node's supervisor, present and to come.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller { name: self.name().to_owned(), socket: self.socket() }
    }

    /// Runs `bmonitor` with these arguments, at this node's socket, for JSON.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn bmonitor(&self, arguments: &[std::ffi::OsString]) -> Result<Said, Failed> {
        let program = self.program()?;
        let output = Command::new(program)
            .args(arguments)
            .arg("--socket")
            .arg(self.socket())
            .args(["-o", "json"])
            .output()
            .act(|| format!("run {}", program.display()))?;
        Ok(Said::of(&output))
    }

    fn program(&self) -> Result<&Path, Failed> {
        self.bmonitor_path().ok_or("the plan has no bmonitor").act(|| "talk to a node".to_owned())
    }
}
