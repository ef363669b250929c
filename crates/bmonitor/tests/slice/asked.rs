//! Custody is asked all that can be asked of it, as it is meant and otherwise: no secret is in any answer, nor in what
//! it writes to stderr.
//!
//! Which kinds of request there are, custody itself says where it is asked for another one: a kind that is new fails this
//! trial until it is asked here, too.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use id::{Digest, Epoch, LeaseId, NodeId, PublicKey, SealingKey, TierId, Time};
use keys::{Fate, Grade, Head, Part, Purpose, Receipt, SealedOrder, Statement, Version};
use lab::{Party, Secrets, Standing, secrets_of_custody, secrets_of_locked_custody};
use node_protocol::signing::Transcript;
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};
use tenure::{Target, Verb};

use crate::custody::{self, Custody, TIER};
use crate::search::{nothing_in, search_for};
use crate::volumes;

const ROOT: &str = "fedcba9876543210fedcba9876543210";
const NOBODY: &str = "00000000000000000000000000000001";
/// What a key file begins with.
const MEDIUM: &[u8] = b"leasehold key file 1\n";

pub(crate) fn says_no_secret() {
    // A node that lives: of its volume's file system the kernel takes keys.
    let tenancy = volumes::tenancy();
    let mut asked = Asked::new();
    asked.of_keys();
    asked.of_signatures();
    asked.of_what_is_sealed();
    asked.of_volumes(&File::open(tenancy.content("data")).unwrap());
    asked.learn();
    asked.of_couriers();
    let mut asked = asked.again();
    let kinds = asked.what_nobody_may_ask();
    assert_eq!(kinds, asked.meant.keys().cloned().collect::<Vec<_>>(), "all kinds are asked here");
    asked.of_ends();
    asked.of_shares();
    asked.of_key_files();

    asked.said.extend(asked.custody.ended());
    assert!(asked.secrets.len() > 20 && asked.said.len() > 20_000, "{:?}", asked.secrets.keys());
    let search = search_for(&asked.secrets);
    nothing_in(&search, &asked.said, "what custody says");
    // The search finds what is there.
    for secret in asked.secrets.values() {
        assert!(!search.find(&[asked.said.as_slice(), secret].concat()).is_empty());
    }
}

/// One custody after the other on one store, what they have said, and what they may not say.
struct Asked {
    custody: Custody,
    folder: Rc<TempDir>,
    key: PublicKey,
    secrets: Secrets,
    said: Vec<u8>,
    /// A request of each kind, as it is meant.
    meant: BTreeMap<String, Value>,
}

impl Asked {
    fn new() -> Self {
        let mut custody = Custody::opened();
        let public = custody.ask(&json!({"node": {}}), None);
        let key = public["public"]["key"].as_str().unwrap().parse().unwrap();
        let folder = Rc::clone(&custody.folder);
        let (secrets, said, meant) = (Secrets::new(), Vec::new(), BTreeMap::new());
        Self { custody, folder, key, secrets, said, meant }
    }

    fn again(mut self) -> Self {
        self.said.extend(self.custody.ended());
        Self { custody: Custody::opened_in(&self.folder), ..self }
    }

    fn node(&self) -> NodeId {
        NodeId(self.key.id())
    }

    /// All secrets that lie in the store now.
    fn learn(&mut self) {
        self.secrets.extend(secrets_of_custody(self.folder.path()).unwrap());
    }

    /// Asks as it is meant, or not; the answer is of this kind.
    fn says(
        &mut self,
        (kind, body): (&str, Value),
        attachment: &[u8],
        handed: Option<OwnedFd>,
        wanted: &str,
    ) -> (Value, Vec<u8>) {
        let (answer, attachment) = self.custody.ask_about(&json!({kind: body}), attachment, handed);
        let answer = answer.unwrap_or_else(|| panic!("custody ended: {kind} {body}"));
        assert!(!answer[wanted].is_null(), "{kind} {body}: {answer}");
        if wanted != "refused" {
            self.meant.entry(kind.to_owned()).or_insert(body);
        }
        (answer[wanted].clone(), attachment)
    }

    /// The same of what needs nothing to go along.
    fn answers(&mut self, kind: &str, body: Value, wanted: &str) -> Value {
        self.says((kind, body), b"", None, wanted).0
    }

    fn of_keys(&mut self) {
        self.answers("open", json!({"key_file": false}), "store");
        self.answers("node", json!({}), "public");
        for (tier, root) in [(ROOT, true), (TIER, false)] {
            for epoch in 1..4 {
                self.answers("tier", json!({"tier": tier, "epoch": epoch, "root": root}), "tier");
            }
        }
    }

    fn statement(&self) -> Statement {
        Statement {
            version: Version,
            node: self.node(),
            node_key: self.key,
            grade: Grade::HostRoot,
            at: Time::ZERO,
            lease: LeaseId::from_bytes([7; 16]),
            tier: tier(TIER),
            epoch: Epoch::default(),
            identity: None,
            sealing: None,
            controllers: vec![self.key],
            boundary: None,
            directory: None,
            nonce: None,
        }
    }

    fn of_signatures(&mut self) {
        let stranger = NodeId(keys::SigningKey::from_seed(&[99; 32]).unwrap().public().id());
        self.answers("statement", json!(self.statement()), "signed");
        let others = Statement { node: stranger, ..self.statement() };
        self.answers("statement", json!(others), "refused");
        let (node, node_key) = (self.node(), self.key);
        let head = |node, record, text: &[u8]| Head {
            version: Version,
            node,
            node_key,
            grade: Grade::HostRoot,
            at: Time::ZERO,
            record,
            record_digest: Digest::of(text),
        };
        self.answers("head", json!({"head": head(node, 5, b"5"), "keep": true}), "signed");
        for refused in [head(node, 4, b"4"), head(node, 5, b"other"), head(stranger, 6, b"6")] {
            self.answers("head", json!({"head": refused, "keep": true}), "refused");
        }
    }

    fn of_what_is_sealed(&mut self) {
        let of = |tier: &str, about: &[u8]| json!({"tier": tier, "name": Digest::of(about)});
        let object = b"what a boundary says".as_slice();
        let (_, sealed) = self.says(("seal", of(TIER, object)), object, None, "done");
        assert_eq!(self.says(("unseal", of(TIER, object)), &sealed, None, "done").1, object);
        self.says(("seal", of(NOBODY, object)), object, None, "refused");
        for (name, content) in
            [(of(TIER, b""), &sealed), (of(NOBODY, object), &sealed), (of(TIER, object), &Vec::new())]
        {
            self.says(("unseal", name), content, None, "refused");
        }

        let epoch = Epoch::new(2).unwrap();
        let at = Standing { node: self.node(), lease: LeaseId::from_bytes([7; 16]), tier: tier(TIER), epoch };
        let order = Party::new().unwrap().order(&at, Verb::Sever(Target { tier: tier(TIER) }));
        let sealed =
            SealedOrder::seal(order.to_json().as_bytes(), &self.sealing_key(TIER, 2)).unwrap().to_json();
        let to =
            |tier: &str, epoch: u64| json!({"node": at.node, "tier": tier, "epoch": epoch, "at": Time::ZERO});
        let (opened, _) = self.says(("order", to(TIER, 2)), sealed.as_bytes(), None, "opened");
        assert_eq!(opened["envelope"], order.to_json());
        for (to, sealed) in
            [(to(TIER, 1), sealed.as_str()), (to(NOBODY, 2), &sealed), (to(TIER, 2), "{}"), (to(TIER, 2), "")]
        {
            self.says(("order", to), sealed.as_bytes(), None, "refused");
        }
        let late = json!({"node": at.node, "tier": TIER, "epoch": 2, "at": Time::MAX});
        self.says(("order", late), sealed.as_bytes(), None, "refused");
    }

    fn sealing_key(&mut self, tier: &str, epoch: u64) -> SealingKey {
        let public =
            self.answers("tier", json!({"tier": tier, "epoch": epoch, "root": tier == ROOT}), "tier");
        serde_json::from_value(public["sealing"].clone()).unwrap()
    }

    /// `within` is of a file system that takes keys.
    fn of_volumes(&mut self, within: &File) {
        let node = self.node();
        let of = |path: Value, number: u64| json!({"node": node, "path": path, "number": number});
        let path = |tier: &str, epoch: u64| json!([[ROOT, 1], [tier, epoch]]);
        let handed = |file: &File| Some(OwnedFd::from(file.try_clone().unwrap()));
        for number in [1, 2] {
            self.says(("volume", of(path(TIER, 2), number)), b"", handed(within), "key");
        }
        self.answers("rewrap", of(path(TIER, 3), 1), "done");
        self.says(("volume", of(path(TIER, 3), 1)), b"", handed(within), "key");
        // It is made all the same, and stays within.
        let nowhere = File::open("/dev/null").unwrap();
        self.says(("volume", of(path(TIER, 2), 3)), b"", handed(&nowhere), "refused");
        self.answers("volume", of(path(TIER, 2), 4), "refused");
        let long = vec![json!([TIER, 2]); 100];
        for wrong in [json!([]), path(NOBODY, 1), path(TIER, 9), json!(long)] {
            self.says(("volume", of(wrong.clone(), u64::MAX)), b"", handed(within), "refused");
        }
        self.answers("rewrap", of(path(TIER, 9), 1), "refused");
        self.answers("rewrap", of(json!([]), 1), "refused");
    }

    fn of_couriers(&mut self) {
        let (mut courier, served) = self.custody.courier(2);
        assert_eq!(served, json!({"done": {}}));
        self.meant.insert("courier".to_owned(), json!({"tier": TIER, "epoch": 2}));
        for transcript in [Transcript::Sha256([7; 32]), Transcript::Sha384([8; 48])] {
            self.said.extend(custody::sign(&mut courier, &transcript.to_request()).unwrap());
        }
        assert_eq!(custody::sign(&mut courier, b"give me the key that you sign with"), None);
        let (_none, refused) = self.custody.courier(9);
        assert!(refused["refused"].is_object(), "{refused}");
        self.answers("courier", json!({"tier": TIER, "epoch": 2}), "refused");
    }

    /// Of every kind requests that no supervisor sends; each ends a custody of its own. Gives the kinds that there are.
    fn what_nobody_may_ask(&mut self) -> Vec<String> {
        // Not done yet, but what is wrong with them needs nothing that is.
        let share = json!({"node": self.node(), "root": ROOT, "epoch": 1});
        let last = json!({"tier": NOBODY, "last": 1});
        self.says(("share", share.clone()), b"no share", None, "refused");
        self.answers("receipt", json!(self.receipt()), "refused");
        self.meant.extend([
            ("share".to_owned(), share),
            ("forget".to_owned(), last),
            ("receipt".to_owned(), json!(self.receipt())),
        ]);
        for (kind, body) in self.meant.clone() {
            let mut forms = vec![json!({kind.clone(): null}), json!({kind.clone(): "x".repeat(1000)})];
            let mut more = body.clone();
            more["and"] = json!("the secret");
            forms.push(json!({kind.clone(): more}));
            if let Some(first) = body.as_object().unwrap().keys().next() {
                let (mut less, mut other) = (body.clone(), body.clone());
                less.as_object_mut().unwrap().remove(first);
                other[first] = json!([[{}]]);
                // What may be left out is not missed.
                forms.extend((kind != "forget").then(|| json!({kind.clone(): less})));
                forms.push(json!({kind.clone(): other}));
            }
            for form in forms {
                let talk = self.ends(&form);
                assert!(talk.contains("the message is not one that is known here"), "{form}: {talk}");
            }
        }
        for nonsense in
            [json!({}), json!([]), json!("open"), json!({"node": {}, "open": {"key_file": false}})]
        {
            self.ends(&nonsense);
        }
        for wish in ["storage-key", "secret"] {
            self.ends(&json!({wish: {"tier": TIER, "epoch": 1}}));
        }
        let talk = self.ends(&json!({"export": {}}));
        let (_, known) = talk.split_once("expected one of ").unwrap();
        let mut known: Vec<_> = known.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        known.sort();
        known
    }

    /// A custody of the same store is asked this, and ends without an answer. Gives its last words.
    fn ends(&mut self, request: &Value) -> String {
        let mut other = Custody::opened_in(&self.folder);
        assert_eq!(other.ask_about(request, b"", None).0, None, "{request}");
        let said = other.ended();
        self.said.extend_from_slice(&said);
        String::from_utf8(said).unwrap()
    }

    fn receipt(&self) -> Receipt {
        let ended = Part { tier: tier(TIER), epoch: Epoch::new(4).unwrap(), fate: Fate::Ended };
        Receipt {
            version: Version,
            node: self.node(),
            node_key: self.key,
            grade: Grade::HostRoot,
            at: Time::ZERO,
            order: None,
            purpose: Purpose::Severing,
            tier: tier(TIER),
            parts: vec![ended],
            destroyed: Vec::new(),
            record: 6,
            record_digest: Digest::of(b""),
            previous: None,
        }
    }

    /// The supervisor unlinks what is of a tier.
    fn of_ends(&mut self) {
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if name.starts_with(TIER) && !name.ends_with("commitment") {
                fs::remove_file(&path).unwrap();
            }
        }
        for last in [json!(3), json!(null)] {
            self.answers("forget", json!({"tier": TIER, "last": last}), "done");
        }
        let receipt = self.answers("receipt", json!(self.receipt()), "signed");
        let signed: Value = serde_json::from_str(receipt["envelope"].as_str().unwrap()).unwrap();
        assert!(!signed["signatures"][0].is_null(), "{signed}");
    }

    /// A share locks the store; one that waits for it is asked everything again.
    fn of_shares(&mut self) {
        let (node, sealing) = (self.node(), self.sealing_key(ROOT, 3));
        let share: [u8; 32] = os::random::bytes().unwrap();
        let sealed = keys::seal_share(&share, node, &sealing).unwrap();
        let other = keys::seal_share(&[1; 32], node, &sealing).unwrap();
        let to = json!({"node": node, "root": ROOT, "epoch": 3});
        self.says(("share", to.clone()), &sealed, None, "store");
        let waits = Custody::unopened(Some(&self.folder));
        self.said.extend(std::mem::replace(&mut self.custody, waits).ended());
        assert_eq!(self.answers("open", json!({"key_file": false}), "store")["open"], false);
        for (kind, body) in self.meant.clone() {
            self.custody.ask(&json!({kind: body}), None);
        }
        self.says(("share", to.clone()), &other, None, "refused");
        self.says(("share", to.clone()), &[], None, "refused");
        assert_eq!(self.says(("share", to), &sealed, None, "store").0["open"], true);
        let secrets = secrets_of_locked_custody(self.folder.path(), &share).unwrap();
        assert!(secrets.contains_key("the early key"));
        self.secrets.extend(secrets);
    }

    /// A key file locks another store.
    fn of_key_files(&mut self) {
        let medium = NamedTempFile::new().unwrap();
        let mut other = Custody::unopened(None);
        let handed = |file: &NamedTempFile| Some(OwnedFd::from(file.reopen().unwrap()));
        let open = json!({"open": {"key_file": true}});
        assert_eq!(other.ask(&open, handed(&medium))["store"]["protection"], "key-file");
        other.identity(1);
        let mut key = [0; 32];
        medium.as_file().read_exact_at(&mut key, MEDIUM.len() as u64).unwrap();
        let folder = Rc::clone(&other.folder);
        self.said.extend(other.ended());
        let wrong = NamedTempFile::new().unwrap();
        wrong.as_file().write_all_at(&[MEDIUM, &[7; 32]].concat(), 0).unwrap();
        for file in [handed(&wrong), None, handed(&medium)] {
            let mut again = Custody::unopened(Some(&folder));
            again.ask(&open, file);
            again.ask(&json!({"tier": {"tier": TIER, "epoch": 1, "root": false}}), None);
            self.said.extend(again.ended());
        }
        let secrets = secrets_of_locked_custody(folder.path(), &key).unwrap();
        self.secrets
            .extend(secrets.into_iter().map(|(name, secret)| (format!("{name}, key file's"), secret)));
    }
}

fn tier(text: &str) -> TierId {
    text.parse().unwrap()
}
