//! Journals as they lie on nodes. Every later version must come to the same state from them: what a snapshot
//! says is what the records before it come to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use expect_test::{Expect, expect};
use id::{Digest, Epoch, NodeId, PublicKey, TierId, Time};
use journal::{Folder, Journal, Objects, SALT_BYTES};
use keys::{SigningKey, sign_directory};
use serde_json::{Value, json};
use tempfile::TempDir;
use tenure::{Fresh, Input, Made, Order, Outcome, Tenure, Verified, apply_all};

use super::{Node, Submitted};
use crate::entry::{Entry, Snapshot};
use crate::step::Steps;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Applies a journal from its very first record on, and compares at each snapshot.
fn check(folder: &Path, wanted: &Expect) {
    let mut names: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let (mut tenure, mut kinds, mut compared) = (None, BTreeMap::<&str, u32>::new(), 0);
    for path in names {
        for line in fs::read_to_string(&path).unwrap().lines() {
            let record: Value = serde_json::from_str(&line[65..]).unwrap();
            if let Some(snapshot) = record.get("snapshot") {
                let said = serde_json::from_value::<Snapshot>(snapshot.clone()).unwrap().tenure;
                if let Some(come_to) = tenure.replace(said.clone()) {
                    assert_eq!(come_to, said, "record {}", record["number"]);
                    compared += 1;
                }
                continue;
            }
            let kind = match serde_json::from_value(record["entry"].clone()).unwrap() {
                Entry::Decided { changes, .. } => {
                    apply_all(tenure.as_mut().unwrap(), &changes);
                    "decided"
                }
                Entry::Refused { .. } => "refused",
                Entry::NoOrder { .. } => "no-order",
                Entry::Forgotten { .. } => "forgotten",
            };
            *kinds.entry(kind).or_default() += 1;
        }
    }
    let tenure: Tenure = tenure.unwrap();
    let mut told = vec![format!("{kinds:?}, {compared} snapshots compared")];
    let mut tiers: Vec<_> = tenure.tiers().collect();
    tiers.sort_by_key(|(_, tier)| tier.name.to_string());
    told.extend(tiers.into_iter().map(|(id, tier)| {
        let (name, epoch, keys) = (&tier.name, tier.epoch, tier.keys.len());
        format!("{name}: epoch {epoch}, {keys} keys, {:?}", tenure.standing(id))
    }));
    wanted.assert_eq(&told.join("\n"));
    // The chain is whole too, and the node starts from it.
    let disk = Folder::readable(folder).unwrap();
    assert_eq!(journal::inspect(&disk).unwrap().torn, None);
}

/// Of the first version that kept a journal: no consoles, no directories, nothing sealed.
#[test]
fn the_first_golden_journal_comes_to_the_same_state() {
    check(
        &golden().join("first"),
        &expect![[r#"
        {"decided": 46, "no-order": 1, "refused": 2}, 4 snapshots compared
        owner: epoch 1, 1 keys, InForce
        tenant-c: epoch 1, 1 keys, InForce"#]],
    );
}

/// A node whose inputs are all given here; drives what the golden journals were made with.
struct Writer {
    node: Node,
    sequences: BTreeMap<u8, u64>,
    seconds: u64,
    drawn: u8,
}

fn key(number: u8) -> PublicKey {
    PublicKey::from_bytes([number; 32]).unwrap()
}

impl Writer {
    fn new(folder: &TempDir) -> Self {
        let disk = |name: &str| Folder::writable(&folder.path().join(name)).unwrap();
        let snapshot = Snapshot { tenure: Tenure::unenrolled() };
        let journal = Journal::create(disk("journal"), at(0), &snapshot).unwrap();
        let objects = Objects::open(disk("objects")).unwrap();
        let (node, _) =
            Node::new(journal, objects, Tenure::unenrolled(), Vec::new(), Duration::ZERO, |_name, form| {
                Ok(form.to_vec())
            });
        Self { node, sequences: BTreeMap::new(), seconds: 0, drawn: 0 }
    }

    fn now(&mut self) -> Time {
        self.seconds += 1;
        at(self.seconds)
    }

    fn fresh(&mut self) -> Fresh {
        self.drawn += 1;
        Fresh::from_bytes([self.drawn; 32])
    }

    fn object(&mut self, text: &str) -> Digest {
        let bytes = [&[7; SALT_BYTES], text.as_bytes()].concat();
        let name = Digest::of(&bytes);
        let learned = self.node.question(name, bytes.clone(), None).unwrap().answer().unwrap();
        self.node.store(name, learned, &bytes, None).unwrap();
        name
    }

    fn submit(&mut self, input: Input) -> Submitted {
        self.node.submit(input, &Steps::default()).unwrap()
    }

    fn enrol(&mut self) -> TierId {
        let (fresh, at) = (self.fresh(), self.now());
        let all = [
            "lease",
            "sever",
            "enrol-key",
            "renew",
            "boundary",
            "power",
            "suspend",
            "engine-run",
            "engine-debug",
            "volume",
            "disclose-key",
            "read-journal",
        ];
        let enrolment = json!({"enrolment": {
            "node": NodeId(key(9).id()), "document": Digest::of(b"enrolment"), "name": "owner",
            "controllers": [{"key": key(1), "rights": all}], "fresh": fresh, "at": at,
            "consoles": [console(21)], "directory": directory_key().public(),
        }});
        assert!(matches!(
            self.submit(serde_json::from_value(enrolment).unwrap()),
            Submitted::Accepted { .. }
        ));
        self.finish();
        fresh.tier
    }

    fn order(&mut self, tier: TierId, signer: u8, verb: &str, args: Value) -> Submitted {
        let present = self.node.tenure.tier(tier).unwrap();
        let sequence = self.sequences.entry(signer).or_default();
        *sequence += 1;
        let payload = json!({
            "node": NodeId(key(9).id()), "lease": present.lease, "tier": tier, "epoch": present.epoch,
            "seq": *sequence, "not_after": "2030-01-01T00:00:00Z", "verb": verb, "args": args,
        });
        let order = Order::parse(payload.to_string().as_bytes()).unwrap();
        let envelope = Digest::of(payload.to_string().as_bytes());
        let (fresh, at) = (self.fresh(), self.now());
        let verified = Verified { order, signer: key(signer).id(), envelope, fresh, at };
        self.submit(Input::Order(Box::new(verified)))
    }

    /// An order that is obeyed, with all that follows; gives the ids that it could use.
    fn obeyed(&mut self, tier: TierId, signer: u8, verb: &str, args: Value) -> TierId {
        let submitted = self.order(tier, signer, verb, args);
        assert!(matches!(submitted, Submitted::Accepted { .. }), "{verb}: {submitted:?}");
        let made = TierId::from_bytes([self.drawn; 16]);
        self.finish();
        made
    }

    fn refused(&mut self, tier: TierId, signer: u8, verb: &str, args: Value) {
        let submitted = self.order(tier, signer, verb, args);
        assert!(matches!(submitted, Submitted::Refused(_)), "{verb}: {submitted:?}");
    }

    fn finish(&mut self) {
        loop {
            let next = self.node.tenure.procedures().next().cloned();
            let Some(procedure) = next else { return };
            let made = procedure.parts.iter().map(|part| {
                let text = format!("{} {}", part.tier, part.epoch);
                Made { tier: part.tier, epoch: part.epoch, identity: Digest::of(text.as_bytes()) }
            });
            let made = if procedure.next == tenure::Step::Remade { made.collect() } else { Vec::new() };
            let at = self.now();
            let outcome = Outcome { procedure: procedure.id, step: procedure.next, made, at };
            assert!(matches!(self.submit(Input::Outcome(outcome)), Submitted::Accepted { .. }));
        }
    }

    fn snapshot(&mut self) {
        let (at, snapshot) = (self.now(), Snapshot { tenure: self.node.tenure.clone() });
        self.node.journal.snapshot(at, &snapshot).unwrap();
    }
}

fn at(seconds: u64) -> Time {
    Time::from_millis(1_780_000_000_000 + seconds * 1_000)
}

fn directory_key() -> SigningKey {
    SigningKey::from_seed(&[20; 32]).unwrap()
}

fn console(number: u8) -> Value {
    json!({"key": key(number), "addresses": ["192.168.0.2:7443"]})
}

fn lease(name: &str, signer: u8, boundary: Digest, until: Time, tiers: u64) -> Value {
    let rights = json!([
        "lease",
        "sever",
        "enrol-key",
        "renew",
        "boundary",
        "power",
        "suspend",
        "engine-run",
        "volume",
        "read-journal",
    ]);
    json!({
        "name": name, "contract": "L-9", "terms": {"not_before": at(0), "until": until},
        "rights": {"exercise": rights, "grant": rights},
        "quota": {"tiers": tiers, "keys": tiers * 8, "objects": tiers * 8, "records_per_hour": tiers * 50},
        "keys": [{"key": key(signer), "rights": rights}], "boundary": boundary,
        "consoles": [console(signer + 20)], "directory": directory_key().public(),
    })
}

/// A node's life with each verb, refusals, a term's end, and snapshots amid procedures.
fn life(folder: &TempDir) -> Node {
    let mut writer = Writer::new(folder);
    let root = writer.enrol();
    let wide = writer.object("version = 1\n[[allow]]\nprotocol = \"tcp\"\nremote = \"10.0.0.0/8\"\n");
    let narrow = writer.object("version = 1\n[[allow]]\nprotocol = \"tcp\"\nremote = \"10.1.0.0/16\"\n");
    let wider = writer.object("version = 1\n[[allow]]\nprotocol = \"udp\"\nremote = \"any\"\n");
    let far = at(1_000_000);
    let names = "version = 1\nserial = 7\nfacility = [\"10.0.0.0/8\"]\n";
    let directory = writer.object(&sign_directory(names, &directory_key()));
    writer.obeyed(root, 1, "directory", json!({"object": directory}));
    let tenant = writer.obeyed(root, 1, "lease", lease("tenant-a", 2, wide, far, 6));
    let user = writer.obeyed(tenant, 2, "lease", lease("user-b", 3, narrow, far, 2));
    let guest = writer.obeyed(tenant, 2, "lease", lease("guest", 4, narrow, at(500), 1));
    writer.obeyed(user, 3, "boundary", json!({"tier": user, "object": narrow}));
    writer.refused(user, 3, "boundary", json!({"tier": user, "object": wider}));
    writer.refused(user, 3, "sever", json!({"tier": tenant}));
    writer.obeyed(tenant, 2, "enrol-key", json!({"key": key(12), "rights": ["sever", "boundary"]}));
    writer.snapshot();
    writer.obeyed(tenant, 12, "boundary", json!({"tier": tenant, "object": narrow}));
    writer.obeyed(tenant, 2, "remove-key", json!({"key": key(12).id()}));
    writer.obeyed(
        root,
        1,
        "terms",
        json!({"tier": tenant, "terms": {"not_before": at(0), "until": at(900_000)}}),
    );
    writer.obeyed(tenant, 2, "consoles", json!({"consoles": [console(30), console(31)]}));
    writer.obeyed(root, 1, "suspend", json!({"tier": tenant}));
    writer.obeyed(root, 1, "resume", json!({"tier": tenant}));
    writer.obeyed(tenant, 2, "power", json!({"tier": user, "action": "restart"}));
    writer.obeyed(user, 3, "renew", json!({"keep": [user], "nonce": "c0".repeat(16)}));
    let epoch = writer.node.tenure.tier(user).map_or(Epoch::default(), |tier| tier.epoch);
    writer.obeyed(user, 3, "consent", json!({"tier": user, "epoch": epoch, "successor": [key(5).id()]}));
    let reassign = json!({
        "tier": user, "contract": "L-10", "keys": [{"key": key(5), "rights": ["sever", "enrol-key", "renew"]}],
        "keep": [user], "consoles": [console(25)],
    });
    writer.obeyed(tenant, 2, "reassign", reassign);
    let now = at(600);
    writer.seconds = 600;
    writer.submit(Input::Lapse { at: now });
    let at = writer.now();
    let no_order = Entry::NoOrder { signer: key(2).id(), why: "no order".to_owned(), unrecorded: 3 };
    writer.node.journal.append(at, &no_order).unwrap();
    // A snapshot while a procedure is under way.
    assert!(matches!(writer.order(tenant, 2, "renew", json!({"keep": []})), Submitted::Accepted { .. }));
    writer.snapshot();
    writer.finish();
    assert!(matches!(writer.order(root, 1, "sever", json!({"tier": tenant})), Submitted::Accepted { .. }));
    writer.snapshot();
    writer.finish();
    assert!(writer.node.tenure.tier(guest).is_none());
    writer.obeyed(root, 1, "lease", lease("tenant-c", 6, wide, far, 4));
    writer.snapshot();
    writer.node
}

#[test]
fn the_golden_journal_of_today_is_written_and_comes_to_the_same_state() {
    let folder = TempDir::new().unwrap();
    drop(life(&folder));
    let today = golden().join("today");
    for entry in fs::read_dir(folder.path().join("journal")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".journal") {
            let text = fs::read_to_string(entry.path()).unwrap();
            expect_test::expect_file![today.join(&name)].assert_eq(&text);
        }
    }
    check(
        &today,
        &expect![[r#"
            {"decided": 48, "no-order": 1, "refused": 2}, 4 snapshots compared
            owner: epoch 1, 1 keys, InForce
            tenant-c: epoch 1, 1 keys, InForce"#]],
    );
}
