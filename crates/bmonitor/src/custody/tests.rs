use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use id::{Digest, Epoch, NodeId, TierId, Time};
use keys::{Fate, Grade, NodeRecord, Part, PublicKey, Purpose, Receipt, Version};
use tempfile::TempDir;

use super::{Reply, Request, Store, StoreError, answer, gone_up_to, has_node_key, secrets};
use crate::step::Steps;

struct Fixture {
    folder: TempDir,
    drawn: Cell<u8>,
    steps: Steps,
}

impl Fixture {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), drawn: Cell::new(0), steps: Steps::default() }
    }

    fn ask(&self, request: Request) -> Result<Reply, StoreError> {
        let random = || {
            self.drawn.set(self.drawn.get() + 1);
            Ok([self.drawn.get(); 32])
        };
        answer(&Store::new(self.folder.path(), &self.steps), request, random)
    }

    fn public(&self, request: Request) -> PublicKey {
        match self.ask(request).unwrap() {
            Reply::Public { key } => key,
            other @ (Reply::Signed { .. } | Reply::Done {} | Reply::Refused { .. }) => panic!("{other:?}"),
        }
    }

    fn gone(&self, tier: TierId, last: Option<Epoch>) {
        gone_up_to(self.folder.path(), tier, last, || ()).unwrap();
    }
}

const TIER: TierId = TierId::from_bytes([7; 16]);
const OTHER: TierId = TierId::from_bytes([8; 16]);

fn epoch(number: u64) -> Epoch {
    Epoch::new(number).unwrap()
}

fn receipt(key: PublicKey) -> Request {
    Request::Receipt(Box::new(Receipt {
        version: Version,
        node: NodeId(key.id()),
        node_key: key,
        grade: Grade::HostRoot,
        at: Time::ZERO,
        order: None,
        purpose: Purpose::Severing,
        tier: TIER,
        parts: [TIER, OTHER].map(|tier| Part { tier, epoch: epoch(3), fate: Fate::Ended }).to_vec(),
        destroyed: Vec::new(),
        record: 1,
        record_digest: Digest::of(b""),
        previous: None,
    }))
}

#[test]
fn the_node_key_is_made_once() {
    let custody = Fixture::new();
    assert!(!has_node_key(custody.folder.path()).unwrap());
    let first = custody.public(Request::Node {});
    assert_eq!(custody.public(Request::Node {}), first);
    assert!(has_node_key(custody.folder.path()).unwrap());
}

#[test]
fn a_tier_keeps_its_key_for_an_epoch_and_gets_another_in_the_next() {
    let custody = Fixture::new();
    let first = custody.public(Request::Tier { tier: TIER, epoch: epoch(1) });
    assert_eq!(custody.public(Request::Tier { tier: TIER, epoch: epoch(1) }), first);
    assert_ne!(custody.public(Request::Tier { tier: TIER, epoch: epoch(2) }), first);
    assert_ne!(custody.public(Request::Tier { tier: OTHER, epoch: epoch(1) }), first);
}

#[test]
fn no_receipt_before_the_last_secret_is_gone() {
    let custody = Fixture::new();
    let key = custody.public(Request::Node {});
    for (tier, number) in [(TIER, 1), (TIER, 2), (OTHER, 1)] {
        custody.public(Request::Tier { tier, epoch: epoch(number) });
    }
    custody.gone(TIER, None);
    let refused = custody.ask(receipt(key)).unwrap_err();
    assert_eq!(refused.to_string(), format!("the secret of tier {OTHER}, epoch 1 is still there"));
    custody.gone(OTHER, None);
    let Reply::Signed { envelope } = custody.ask(receipt(key)).unwrap() else { panic!("not signed") };
    let signed = Receipt::verify(envelope.as_bytes(), Some(&key)).unwrap();
    assert_eq!(signed.destroyed.len(), 3);
}

#[test]
fn a_later_epoch_outlives_the_end_of_an_earlier_one() {
    let custody = Fixture::new();
    custody.public(Request::Tier { tier: TIER, epoch: epoch(1) });
    let kept = custody.public(Request::Tier { tier: TIER, epoch: epoch(2) });
    custody.gone(TIER, Some(epoch(1)));
    assert_eq!(custody.public(Request::Tier { tier: TIER, epoch: epoch(2) }), kept);
}

#[test]
fn an_unfinished_secret_goes_too() {
    let custody = Fixture::new();
    let unfinished = custody.folder.path().join(format!("{TIER}.1.secret.new"));
    fs::write(&unfinished, b"half").unwrap();
    custody.gone(TIER, None);
    assert!(!unfinished.exists());
}

#[test]
fn nothing_is_signed_in_another_nodes_name() {
    let custody = Fixture::new();
    custody.public(Request::Node {});
    let stranger = keys::SigningKey::from_seed(&[99; 32]).unwrap();
    assert!(matches!(custody.ask(receipt(*stranger.public())), Err(StoreError::OtherNode)));
}

#[test]
fn a_damaged_secret_is_an_error_and_not_replaced() {
    let custody = Fixture::new();
    let path = custody.folder.path().join(format!("{TIER}.1.secret"));
    fs::write(&path, b"short").unwrap();
    assert!(custody.ask(Request::Tier { tier: TIER, epoch: epoch(1) }).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"short");
}

/// Custody's folder is custody's: whatever it puts there, the supervisor's part of a severing goes on.
#[test]
fn a_name_that_is_no_text_keeps_no_secret() {
    let fixture = Fixture::new();
    let tier = TierId::from_bytes([1; 16]);
    let epoch = Epoch::new(1).unwrap();
    fixture.public(Request::Tier { tier, epoch });
    fs::write(fixture.folder.path().join(OsStr::from_bytes(b"\xff.1.secret")), b"").unwrap();
    assert_eq!(secrets(fixture.folder.path()).unwrap().len(), 1);
    fixture.gone(tier, None);
    assert!(secrets(fixture.folder.path()).unwrap().is_empty());
}
