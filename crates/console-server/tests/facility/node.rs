//! A node without a machine: the real `tenure`, the real journal, a real courier's connection for each tier. Only
//! custody, the kernel and the clock are simple.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use channel::{Dialler, Limits, Serve, Sign, SignFailed};
use hyper::body::Bytes;
use id::{Digest, KeyId, Nonce, PublicKey, TierId, Time};
use journal::{Folder, Journal};
use keys::{
    Envelope, Fate, Grade, NodeRecord as _, OpeningKey, Part, Purpose, Receipt, SigningKey, Statement,
    Version,
};
use node_protocol::call::{Answer, Call, Explained, OWN_TIER, Passed, PassedFlows, Refused, Status};
use node_protocol::courier::Console;
use serde_json::json;
use tenure::{Enrolment, Fresh, Input, Made, Outcome, Step, Tenure, Verified, apply_all, decide};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Where each console really listens.
pub(crate) type Consoles = Arc<Mutex<BTreeMap<PublicKey, SocketAddr>>>;

pub(crate) fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    let mut source = std::fs::File::open("/dev/urandom").unwrap();
    std::io::Read::read_exact(&mut source, &mut bytes).unwrap();
    bytes
}

pub(crate) fn now() -> Time {
    Time::ZERO.plus(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

pub(crate) fn key() -> SigningKey {
    SigningKey::from_seed(&random()).unwrap()
}

/// What the node does otherwise than a good one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vice {
    /// Each statement names this key as a controller, too.
    pub(crate) foreign_key: Option<PublicKey>,
    /// Each statement leaves out the first controller.
    pub(crate) missing_key: bool,
    /// A renewal's statement has this nonce.
    pub(crate) other_nonce: Option<Nonce>,
    /// A renewal makes no new identity.
    pub(crate) same_identity: bool,
    /// Statements are signed with another N.
    pub(crate) other_node_key: bool,
    /// The journal is asked for, and never given.
    pub(crate) mute_journal: bool,
    /// The journal is an older one, said to be all that there is.
    pub(crate) older_journal: bool,
    /// Statements name no key that anything could be sealed for.
    pub(crate) no_sealing_key: bool,
    /// Custody takes no share.
    pub(crate) no_share: bool,
    /// It is asked about packets, and never answers.
    pub(crate) mute_about_packets: bool,
}

/// Custody's store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Plain,
    KeyFile,
    Share { share: [u8; 32], open: bool },
}

pub(crate) struct Node {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    consoles: Consoles,
}

/// What passed at each of its realms: one kind that any set of the tests admits, and one that none does.
fn passed() -> PassedFlows {
    let kind = |protocol: u8, remote: &str, flows| Passed {
        packet: json!({ "direction": "in", "protocol": protocol, "remote": remote, "remote_port": 40_000,
            "local_port": 443 }),
        flows,
        seconds_ago: 5,
    };
    let kinds = vec![kind(6, "10.1.5.7", 3), kind(17, "10.1.9.9", 1)];
    PassedFlows { seconds: 1800, beyond: 0, kinds }
}

struct State {
    n: SigningKey,
    other_n: SigningKey,
    vice: Vice,
    tenure: Tenure,
    journal: Journal<Folder>,
    identities: BTreeMap<TierId, Arc<Identity>>,
    documents: Vec<(TierId, String)>,
    couriers: BTreeMap<TierId, Courier>,
    /// What all sealed things are opened with.
    opening: OpeningKey,
    store: Store,
    /// All shares that came.
    shares: Vec<[u8; 32]>,
    /// Custody did not take one.
    refused_share: bool,
    /// How its engines are, as JSON, told to each of its tiers.
    engines: serde_json::Value,
    /// Where its realms are, all of them.
    address: Option<IpAddr>,
    /// Answers to orders that are lost on the way.
    lost: u32,
    /// Orders that are lost on the way.
    unheard: u32,
    /// How often the journal was asked for in vain.
    in_vain: u32,
    _folder: tempfile::TempDir,
}

struct Courier {
    identity: PublicKey,
    task: JoinHandle<()>,
    status: watch::Sender<Option<Bytes>>,
}

struct Identity(SigningKey);

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Sign for Identity {
    fn public(&self) -> PublicKey {
        *self.0.public()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignFailed> {
        Ok(*self.0.sign(message).as_bytes())
    }
}

impl Node {
    /// A node at its first start, enrolled by what a console says of itself.
    pub(crate) fn enrolled(identity: &console_api::Identity, consoles: &Consoles) -> Self {
        Self::with_vice(identity, consoles, Vice::default())
    }

    pub(crate) fn with_vice(identity: &console_api::Identity, consoles: &Consoles, vice: Vice) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let n = key();
        let journal = Journal::create(
            Folder::writable(folder.path()).unwrap(),
            now(),
            &json!({ "tenure": Tenure::unenrolled() }),
        )
        .unwrap();
        let state = State {
            other_n: key(),
            vice,
            tenure: Tenure::unenrolled(),
            journal,
            identities: BTreeMap::new(),
            documents: Vec::new(),
            couriers: BTreeMap::new(),
            opening: OpeningKey::generate().unwrap(),
            store: Store::Plain,
            shares: Vec::new(),
            refused_share: false,
            engines: json!([]),
            address: None,
            lost: 0,
            unheard: 0,
            in_vain: 0,
            _folder: folder,
            n,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), consoles: Arc::clone(consoles) });
        let enrolment = Enrolment {
            node: id::NodeId(shared.state().n.public().id()),
            document: Digest::of(&random()),
            name: "landlord".parse().unwrap(),
            controllers: identity.controllers.clone(),
            consoles: serde_json::from_value(json!(identity.consoles)).unwrap(),
            directory: Some(identity.directory),
            fresh: Fresh::from_bytes(random()),
            at: now(),
        };
        shared.happens(Input::Enrolment(enrolment));
        Self { shared }
    }

    /// N, as it stands on the node's own screen.
    pub(crate) fn fingerprint(&self) -> KeyId {
        self.shared.state().n.public().id()
    }

    pub(crate) fn tier(&self, name: &str) -> TierId {
        self.shared.state().tenure.tier_named(name).unwrap()
    }

    pub(crate) fn identity(&self, name: &str) -> PublicKey {
        let state = self.shared.state();
        let tier = state.tenure.tier_named(name).unwrap();
        *state.identities[&tier].0.public()
    }

    /// Another node's identity and secret, as one has it who took them from a node before a renewal.
    pub(crate) fn steal(&self, name: &str) -> Arc<impl Sign + use<>> {
        let state = self.shared.state();
        let tier = state.tenure.tier_named(name).unwrap();
        Arc::clone(&state.identities[&tier])
    }

    pub(crate) fn lose_answers(&self, number: u32) {
        self.shared.state().lost = number;
    }

    /// That many orders never come; nobody is told.
    pub(crate) fn lose_orders(&self, number: u32) {
        self.shared.state().unheard = number;
    }

    /// Whether all of them were sent.
    pub(crate) fn has_lost_orders(&self) -> bool {
        self.shared.state().unheard == 0
    }

    /// What its journal has from now on begins with how things stand.
    pub(crate) fn forget_the_past(&self) {
        let mut state = self.shared.state();
        let tenure = json!({ "tenure": state.tenure });
        let at = state.journal.time(now());
        state.journal.snapshot(at, &tenure).unwrap();
        assert!(state.journal.forget(1).unwrap() > 0);
    }

    pub(crate) fn store(&self) -> Store {
        self.shared.state().store
    }

    /// All shares that came.
    pub(crate) fn shares(&self) -> Vec<[u8; 32]> {
        self.shared.state().shares.clone()
    }

    /// Its store becomes another one, and its status says so.
    pub(crate) fn with_store(&self, store: Store) {
        let mut state = self.shared.state();
        state.store = store;
        state.tell_status();
    }

    /// Its engines become these, and its status says so.
    pub(crate) fn with_engines(&self, engines: serde_json::Value) {
        let mut state = self.shared.state();
        state.engines = engines;
        state.tell_status();
    }

    /// Its realms have this address, and its status says so.
    pub(crate) fn with_address(&self, address: IpAddr) {
        let mut state = self.shared.state();
        state.address = Some(address);
        state.tell_status();
    }

    /// Who may give orders to a tier.
    pub(crate) fn controllers(&self, name: &str) -> Vec<PublicKey> {
        let state = self.shared.state();
        let tier = state.tenure.tier(state.tenure.tier_named(name).unwrap()).unwrap();
        tier.keys.values().map(|entry| entry.key).collect()
    }

    /// Starts anew: a store that is locked by a share waits for that.
    pub(crate) fn restart(&self) {
        if let Store::Share { open, .. } = &mut self.shared.state().store {
            *open = false;
        }
        self.reconnect();
    }

    pub(crate) fn become_vicious(&self, vice: Vice) {
        self.shared.state().vice = vice;
    }

    /// Whether somebody waits for a journal that never comes.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.shared.state().in_vain > 0
    }

    pub(crate) fn last_sequence(&self, key: KeyId) -> u64 {
        self.shared.state().tenure.last_sequence(key).map_or(0, id::Sequence::get)
    }

    /// Ends all couriers: nobody reaches the node until it is reconnected.
    pub(crate) fn go_away(&self) {
        for (_, courier) in std::mem::take(&mut self.shared.state().couriers) {
            courier.task.abort();
        }
    }

    /// Ends all couriers, and begins them again.
    pub(crate) fn reconnect(&self) {
        self.go_away();
        self.shared.mind_couriers();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for (_, courier) in std::mem::take(&mut self.shared.state().couriers) {
            courier.task.abort();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Decides, records, applies, and does what follows from it.
    fn happens(self: &Arc<Self>, input: Input) -> Answer {
        let answer = self.state().happens(input);
        self.mind_couriers();
        answer
    }

    /// A courier for each tier that has consoles and an identity, and no other.
    fn mind_couriers(self: &Arc<Self>) {
        let mut state = self.state();
        let wanted: BTreeMap<TierId, (Arc<Identity>, Vec<tenure::Console>)> = state
            .tenure
            .tiers()
            .filter(|(_, tier)| !tier.ending && !tier.consoles.is_empty())
            .filter_map(|(id, tier)| {
                Some((id, (Arc::clone(state.identities.get(&id)?), tier.consoles.clone())))
            })
            .collect();
        state.couriers.retain(|tier, courier| {
            let right = wanted.get(tier).is_some_and(|(identity, _)| identity.public() == courier.identity);
            if !right {
                courier.task.abort();
            }
            right
        });
        for (tier, (identity, consoles)) in wanted {
            if state.couriers.contains_key(&tier) {
                continue;
            }
            let (status, statuses) = watch::channel(None);
            let service = Arc::new(Service { shared: Arc::clone(self), tier, statuses });
            let public = identity.public();
            let real = Arc::clone(&self.consoles);
            let task = tokio::spawn(async move {
                let dialler = Dialler::new(identity, Limits::default());
                loop {
                    let key = consoles[0].key;
                    let address = real.lock().unwrap().get(&key).copied();
                    if let Some(address) = address
                        && let Ok(dialled) = dialler.dial(&Console { key, addresses: vec![address] }).await
                    {
                        dialled.serve(Arc::clone(&service), &Limits::default()).await;
                    }
                    // As a courier rests between two tries; nobody waits for this.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
            state.couriers.insert(tier, Courier { identity: public, task, status });
        }
        state.tell_status();
    }

    fn submit(self: &Arc<Self>, bytes: &[u8]) -> Answer {
        let refused = |code: &str| {
            Answer::Refused(Refused {
                code: code.to_owned(),
                exit: 4,
                message: code.to_owned(),
                hint: None,
                details: None,
            })
        };
        let Ok(envelope) = Envelope::parse(bytes) else { return refused("malformed-envelope") };
        let signer = envelope.only_signer().unwrap();
        let known = {
            let state = self.state();
            let mut tiers = state.tenure.tiers();
            tiers.find_map(|(_, tier)| Some(tier.keys.get(&signer)?.key))
        };
        let Some(verified) = known.and_then(|key| envelope.verify(&key).ok()) else {
            return refused("not-authenticated");
        };
        let order = tenure::Order::parse(verified.payload).unwrap();
        self.happens(Input::Order(Box::new(Verified {
            order,
            signer,
            envelope: Digest::of(bytes),
            fresh: Fresh::from_bytes(random()),
            at: now(),
        })))
    }
}

impl State {
    /// Whether an order that comes is lost, and whether its answer is.
    fn losses(&mut self) -> (bool, bool) {
        if self.unheard > 0 {
            self.unheard -= 1;
            return (true, false);
        }
        let lose = self.lost > 0;
        self.lost -= u32::from(lose);
        (false, lose)
    }

    fn happens(&mut self, input: Input) -> Answer {
        let changes = match decide(&self.tenure, &input) {
            Ok(changes) => changes,
            Err(refusal) => {
                return Answer::Refused(Refused {
                    code: refusal.code(),
                    exit: refusal.exit_code(),
                    message: refusal.to_string(),
                    hint: Some("a hint of the node's".to_owned()),
                    details: serde_json::to_value(&refusal).ok(),
                });
            }
        };
        let entry = json!({ "decided": { "input": input, "changes": changes } });
        let (record, digest) = self.journal.append(self.journal.time(input.at()), &entry).unwrap();
        apply_all(&mut self.tenure, &changes);
        let (tier, lease) = changes
            .iter()
            .find_map(|change| {
                let tenure::Change::Leased { tier, lease, .. } = change else { return None };
                Some((*tier, *lease))
            })
            .unzip();
        self.finish();
        Answer::Accepted { record, digest, tier, lease }
    }

    /// Does every step of every procedure.
    fn finish(&mut self) {
        loop {
            let next = self.tenure.procedures().next().cloned();
            let Some(procedure) = next else { break };
            let mut made = Vec::new();
            if procedure.next == Step::Remade {
                // A tier below whose data is kept keeps its keys.
                let kept =
                    |part: &&tenure::Part| part.fate == tenure::Fate::Kept && part.tier != procedure.tier;
                for part in procedure.parts.iter().filter(|part| !kept(part)) {
                    let keep = self.vice.same_identity && self.identities.contains_key(&part.tier);
                    let identity = if keep {
                        Arc::clone(&self.identities[&part.tier])
                    } else {
                        Arc::new(Identity(key()))
                    };
                    let digest = Digest::of(identity.0.public().as_bytes());
                    made.push(Made { tier: part.tier, epoch: part.epoch, identity: digest });
                    self.identities.insert(part.tier, identity);
                }
            }
            if procedure.next == Step::Receipt {
                self.sign(&procedure);
            }
            let outcome = Outcome { procedure: procedure.id, step: procedure.next, made, at: now() };
            let input = Input::Outcome(outcome);
            let changes = decide(&self.tenure, &input).unwrap();
            let entry = json!({ "decided": { "input": input, "changes": changes } });
            self.journal.append(self.journal.time(now()), &entry).unwrap();
            apply_all(&mut self.tenure, &changes);
        }
    }

    fn sign(&mut self, procedure: &tenure::Procedure) {
        let n = if self.vice.other_node_key { &self.other_n } else { &self.n };
        let (node, node_key) = (id::NodeId(n.public().id()), *n.public());
        let mut documents = Vec::new();
        for part in procedure.parts.iter().filter(|part| part.fate != tenure::Fate::Ended) {
            let tier = self.tenure.tier(part.tier).unwrap();
            let mut controllers: Vec<_> = tier.keys.values().map(|entry| entry.key).collect();
            controllers.extend(self.vice.foreign_key);
            controllers.sort_unstable();
            if self.vice.missing_key {
                controllers.remove(0);
            }
            let statement = Statement {
                version: Version,
                node,
                node_key,
                grade: Grade::HostRoot,
                at: now(),
                lease: tier.lease,
                tier: part.tier,
                epoch: tier.epoch,
                identity: self.identities.get(&part.tier).map(|identity| identity.public()),
                sealing: (!self.vice.no_sealing_key).then(|| self.opening.public().clone()),
                controllers,
                boundary: tier.given,
                directory: tier.directory,
                nonce: procedure.nonce.map(|nonce| self.vice.other_nonce.unwrap_or(nonce)),
            };
            documents.push((part.tier, statement.sign(n).to_json()));
        }
        if procedure.purpose == tenure::Purpose::Severing {
            let (record, record_digest) = self.journal.head();
            let parts = procedure.parts.iter();
            let receipt = Receipt {
                version: Version,
                node,
                node_key,
                grade: Grade::HostRoot,
                at: now(),
                order: Some(procedure.id.0),
                purpose: Purpose::Severing,
                tier: procedure.tier,
                parts: parts
                    .map(|part| Part { tier: part.tier, epoch: part.epoch, fate: Fate::Ended })
                    .collect(),
                destroyed: Vec::new(),
                record,
                record_digest,
                previous: None,
            };
            documents.push((procedure.tier, receipt.sign(n).to_json()));
        }
        self.documents.extend(documents);
    }

    fn answer(&mut self, call: Call, attachment: &[u8], own: TierId) -> (Answer, Vec<u8>) {
        match call {
            Call::PutObject { name } => {
                assert_eq!(Digest::of(attachment), name);
                let signer = self.tenure.directory_signer();
                let directory = signer.and_then(|signer| {
                    keys::verify_directory(&attachment[16..], &signer).ok().zip(Some(signer))
                });
                if let Some((text, signer)) = directory {
                    let directory = boundary::Directory::parse(text.as_bytes()).unwrap();
                    self.tenure.hold_directory(name, signer, directory.serial().unwrap());
                    return (Answer::Stored { name }, Vec::new());
                }
                let set = boundary::FilterSet::parse(&attachment[16..]).unwrap().resolve(None).unwrap();
                let set = set.packet_set(&mut boundary::Budget::for_tier()).unwrap();
                self.tenure.hold(name, set);
                (Answer::Stored { name }, Vec::new())
            }
            Call::ReadJournal { from } if self.vice.older_journal => {
                if from != 0 {
                    return (gone(), Vec::new());
                }
                let lines = self.journal.lines_from(1, 4 << 20).unwrap();
                let first = lines.split_inclusive(|byte| *byte == b'\n').next().unwrap().to_vec();
                (Answer::Lines { oldest: 1, newest: 1, head: None }, first)
            }
            Call::ReadJournal { from } if from != 0 && from < self.journal.oldest().unwrap() => {
                (gone(), Vec::new())
            }
            Call::ReadJournal { from } => {
                let (newest, oldest) = (self.journal.head().0, self.journal.oldest().unwrap());
                let lines = if from > newest {
                    Vec::new()
                } else {
                    self.journal.lines_from(from.max(oldest), 4 << 20).unwrap()
                };
                (Answer::Lines { oldest, newest, head: None }, lines)
            }
            Call::Receipts { about } => {
                let lines: Vec<_> = self
                    .documents
                    .iter()
                    .filter(|(tier, _)| about == tier.to_string() || (about == OWN_TIER && *tier == own))
                    .map(|(_, envelope)| envelope.as_str())
                    .collect();
                (Answer::Signed { number: lines.len() as u64 }, lines.join("\n").into_bytes())
            }
            Call::FreshNonce { tier } => {
                let nonce = Nonce::from_bytes(random()[..16].try_into().unwrap());
                self.tenure.offer_nonce(tier, nonce);
                (Answer::Nonce { nonce }, Vec::new())
            }
            Call::GiveShare {} => {
                assert_eq!(self.tenure.root(), Some(own));
                let node = self.tenure.node().unwrap();
                let envelope = Envelope::parse(attachment).unwrap();
                let root = self.tenure.tier(own).unwrap();
                let signer = &root.keys[&envelope.only_signer().unwrap()];
                let verified = envelope.verify(&signer.key).unwrap();
                assert_eq!(verified.payload_type, keys::PayloadType::Share);
                let share = *keys::open_share(verified.payload, node, &self.opening).unwrap();
                self.shares.push(share);
                match self.store {
                    Store::Plain if !self.vice.no_share => self.store = Store::Share { share, open: true },
                    Store::Share { share: other, .. } if share == other => {
                        self.store = Store::Share { share, open: true };
                    }
                    Store::Plain | Store::KeyFile | Store::Share { .. } => self.refused_share = true,
                }
                self.tell_status();
                (Answer::Handed {}, Vec::new())
            }
            // It says nothing by itself while nothing changes: the watch asks.
            Call::Status { .. } => {
                let said = self.couriers[&own].status.borrow().clone().unwrap();
                (Answer::Status(serde_json::from_slice(&said).unwrap()), Vec::new())
            }
            Call::Denials { .. } => (Answer::Denials(Box::default()), Vec::new()),
            Call::Passed { .. } => (Answer::Passed(Box::new(passed())), Vec::new()),
            Call::Explain { .. } => {
                let explained = Explained {
                    pass: true,
                    rule: None,
                    stopped_by: None,
                    open: true,
                    in_force: true,
                    generation: 1,
                };
                (Answer::Explained(Box::new(explained)), Vec::new())
            }
            Call::SubmitOrder {}
            | Call::PutImage { .. }
            | Call::Image { .. }
            | Call::EngineOutput { .. }
            | Call::Attach { .. } => {
                panic!("not asked here")
            }
        }
    }

    fn tell_status(&self) {
        let warning = match self.store {
            Store::Plain => Some("stolen-disk-unprotected"),
            Store::Share { open: false, .. } => Some("waits-for-share"),
            Store::KeyFile | Store::Share { open: true, .. } => None,
        };
        let warning = warning.map(|code| json!({ "code": code, "message": "a sentence" }));
        let refused = self.refused_share.then(|| json!({ "code": "share", "message": "not taken" }));
        let warnings: Vec<_> = warning.into_iter().chain(refused).collect();
        for (own, courier) in &self.couriers {
            let Some(tier) = self.tenure.tier(*own) else { continue };
            let (record, digest) = self.journal.head();
            // As text: what a status may say besides is no business of these tests.
            let status: Status = serde_json::from_value(json!({
                "name": "fake",
                "node": self.tenure.node(),
                "at": now(),
                "record": record,
                "digest": digest,
                "settled": true,
                "forged": 0,
                "tiers": [{
                    "name": tier.name,
                    "tier": own,
                    "lease": tier.lease,
                    "parent": null,
                    "epoch": tier.epoch,
                    "standing": "in-force",
                    "realm": self.address.map(|address| json!({
                        "open": true, "generation": 1, "mac": "02:00:00:00:00:01", "addresses": [address],
                    })),
                    "engines": self.engines,
                }],
                "warnings": warnings,
            }))
            .unwrap();
            let line = format!("{}\n", serde_json::to_string(&status).unwrap());
            courier.status.send_replace(Some(Bytes::from(line)));
        }
    }
}

fn gone() -> Answer {
    let code = node_protocol::call::code::NOT_FOUND.to_owned();
    let message = "older records are gone".to_owned();
    Answer::Refused(Refused { code, exit: 5, message, hint: None, details: None })
}

struct Service {
    shared: Arc<Shared>,
    tier: TierId,
    statuses: watch::Receiver<Option<Bytes>>,
}

impl Serve for Service {
    async fn call(&self, call: Call, attachment: Vec<u8>) -> (Answer, Vec<u8>) {
        if call == (Call::SubmitOrder {}) {
            // Both are counted before the order is heard: the courier that carries it may be killed by what
            // it orders.
            let (unheard, lose) = self.shared.state().losses();
            if unheard {
                std::future::pending::<()>().await;
            }
            // For the same reason in a task of its own.
            let shared = Arc::clone(&self.shared);
            let submitted = tokio::spawn(async move { shared.submit(&attachment) }).await.unwrap();
            if lose {
                std::future::pending::<()>().await;
            }
            return (submitted, Vec::new());
        }
        let mute = {
            let mut state = self.shared.state();
            let mute = state.vice.mute_journal && matches!(call, Call::ReadJournal { .. });
            state.in_vain += u32::from(mute);
            mute || state.vice.mute_about_packets && matches!(call, Call::Explain { .. })
        };
        if mute {
            std::future::pending::<()>().await;
        }
        self.shared.state().answer(call, &attachment, self.tier)
    }

    fn statuses(&self) -> watch::Receiver<Option<Bytes>> {
        self.statuses.clone()
    }
}

/// Answers nothing, and must not be asked anything.
pub(crate) struct Nothing;

impl Serve for Nothing {
    async fn call(&self, call: Call, _attachment: Vec<u8>) -> (Answer, Vec<u8>) {
        panic!("a console lets somebody in who stole an identity, and asks {call:?}")
    }

    fn statuses(&self) -> watch::Receiver<Option<Bytes>> {
        panic!("a console lets somebody in who stole an identity, and listens")
    }
}
