mod histories;

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;

use id::KeyId;
use id::{Digest, Epoch, NodeId, TierId, Time};
use keys::{
    Fate, Grade, Head, NodeRecord, Part, PublicKey, Purpose, Receipt, SealingKey, Version, seal_share,
};
use tempfile::TempDir;

use super::Protection;
use super::{Gone, Reply, Request, Store, StoreError, answer, gone_up_to, has_node_key, secrets};
use crate::step::Steps;

struct Fixture {
    folder: TempDir,
    media: TempDir,
    drawn: Cell<u64>,
    steps: Steps,
}

impl Fixture {
    fn new() -> Self {
        let [folder, media] = [(); 2].map(|()| TempDir::new().unwrap());
        Self { folder, media, drawn: Cell::new(0), steps: Steps::default() }
    }

    /// One whose folder is in memory: quick, and of no other random numbers than its own.
    fn in_memory(seed: u64) -> Self {
        let [folder, media] = [(); 2].map(|()| TempDir::new_in("/dev/shm").unwrap());
        Self { folder, media, drawn: Cell::new((seed + 1) << 32), steps: Steps::default() }
    }

    fn ask(&self, request: Request) -> Result<Reply, StoreError> {
        let store = self.opened(None)?;
        answer(&store, request, || self.draw())
    }

    #[expect(clippy::unnecessary_wraps, reason = "as randomness is handed in")]
    fn draw(&self) -> io::Result<[u8; 32]> {
        self.drawn.set(self.drawn.get() + 1);
        let number = self.drawn.get();
        Ok(u8::try_from(number)
            .map_or_else(|_| *Digest::of(&number.to_be_bytes()).as_bytes(), |low| [low; 32]))
    }

    fn opened(&self, key_file: Option<File>) -> Result<Store<'_>, StoreError> {
        let mut store = Store::new(self.folder.path(), &self.steps);
        store.open(key_file, || self.draw())?;
        Ok(store)
    }

    /// A key file on a medium of its own.
    fn medium(&self, name: &str) -> File {
        let mut options = File::options();
        let path = self.media.path().join(name);
        options.read(true).write(true).create(true).truncate(false).open(path).unwrap()
    }

    fn public(&self, request: Request) -> PublicKey {
        match self.ask(request).unwrap() {
            Reply::Public { key } => key,
            Reply::Tier { identity, .. } => identity,
            other @ (Reply::Store(_)
            | Reply::Shut { .. }
            | Reply::Signed { .. }
            | Reply::Opened { .. }
            | Reply::Key { .. }
            | Reply::Done {}
            | Reply::Refused { .. }) => panic!("{other:?}"),
        }
    }

    fn gone(&self, tier: TierId, last: Option<Epoch>) {
        gone_up_to(self.folder.path(), tier, last, Gone::Secrets, || ()).unwrap();
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
    let first = custody.public(Request::Tier { tier: TIER, epoch: epoch(1), root: false });
    assert_eq!(custody.public(Request::Tier { tier: TIER, epoch: epoch(1), root: false }), first);
    assert_ne!(custody.public(Request::Tier { tier: TIER, epoch: epoch(2), root: false }), first);
    assert_ne!(custody.public(Request::Tier { tier: OTHER, epoch: epoch(1), root: false }), first);
}

#[test]
fn no_receipt_before_the_last_secret_is_gone() {
    let custody = Fixture::new();
    let key = custody.public(Request::Node {});
    for (tier, number) in [(TIER, 1), (TIER, 2), (OTHER, 1)] {
        custody.public(Request::Tier { tier, epoch: epoch(number), root: false });
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
    custody.public(Request::Tier { tier: TIER, epoch: epoch(1), root: false });
    let kept = custody.public(Request::Tier { tier: TIER, epoch: epoch(2), root: false });
    custody.gone(TIER, Some(epoch(1)));
    assert_eq!(custody.public(Request::Tier { tier: TIER, epoch: epoch(2), root: false }), kept);
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
fn no_head_is_signed_that_is_older_than_the_kept_one() {
    let custody = Fixture::new();
    let key = custody.public(Request::Node {});
    let ask = |record, text: &[u8], keep| {
        let head = Head {
            version: Version,
            node: NodeId(key.id()),
            node_key: key,
            grade: Grade::HostRoot,
            at: Time::ZERO,
            record,
            record_digest: Digest::of(text),
        };
        custody.ask(Request::Head { head: Box::new(head), keep })
    };
    assert!(ask(3, b"3", false).is_ok() && ask(2, b"2", true).is_ok() && ask(2, b"2", false).is_ok());
    assert!(matches!(ask(1, b"1", false), Err(StoreError::OlderJournal { kept: 2 })));
    assert!(matches!(ask(2, b"other", true), Err(StoreError::OlderJournal { kept: 2 })));
    assert!(ask(3, b"other", true).is_ok());
    assert_eq!(custody.opened(None).unwrap().kept_head().unwrap().unwrap().record, 3);
}

#[test]
fn a_tiers_objects_open_as_long_as_it_lives() {
    let custody = Fixture::new();
    let name = Digest::of(b"object");
    let sealed = {
        let store = custody.opened(None).unwrap();
        let nobody = store.seal_object(TIER, &name, b"object", || custody.draw());
        assert!(matches!(nobody, Err(StoreError::NoTier(TIER))));
        custody.public(Request::Tier { tier: TIER, epoch: epoch(1), root: false });
        store.seal_object(TIER, &name, b"object", || custody.draw()).unwrap()
    };
    let store = custody.opened(None).unwrap();
    assert!(!sealed.windows(6).any(|window| window == b"object"));
    assert_eq!(store.unseal_object(TIER, &name, &sealed).unwrap().as_slice(), b"object");
    assert!(store.unseal_object(TIER, &Digest::of(b"other"), &sealed).is_err());
    assert!(store.unseal_object(OTHER, &name, &sealed).is_err());
    // A renewal ends an epoch, not the tier.
    custody.public(Request::Tier { tier: TIER, epoch: epoch(2), root: false });
    custody.gone(TIER, Some(epoch(1)));
    assert!(store.unseal_object(TIER, &name, &sealed).is_ok());
    custody.gone(TIER, None);
    assert!(matches!(store.unseal_object(TIER, &name, &sealed), Err(StoreError::NoTier(TIER))));
    assert!(matches!(store.seal_object(TIER, &name, b"", || custody.draw()), Err(StoreError::NoTier(TIER))));
}

#[test]
fn a_damaged_secret_is_an_error_and_not_replaced() {
    let custody = Fixture::new();
    let path = custody.folder.path().join(format!("{TIER}.1.secret"));
    fs::write(&path, b"short").unwrap();
    assert!(custody.ask(Request::Tier { tier: TIER, epoch: epoch(1), root: false }).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"short");
}

/// Custody's folder is custody's: whatever it puts there, the supervisor's part of a severing goes on.
#[test]
fn a_name_that_is_no_text_keeps_no_secret() {
    let fixture = Fixture::new();
    let tier = TierId::from_bytes([1; 16]);
    let epoch = Epoch::new(1).unwrap();
    fixture.public(Request::Tier { tier, epoch, root: false });
    fs::write(fixture.folder.path().join(OsStr::from_bytes(b"\xff.1.secret")), b"").unwrap();
    assert_eq!(secrets(fixture.folder.path()).unwrap().len(), 1);
    fixture.gone(tier, None);
    assert!(secrets(fixture.folder.path()).unwrap().is_empty());
}

/// Nor does a folder under a secret's name, whatever is in it.
#[test]
fn a_folder_under_a_secrets_name_holds_up_no_severing() {
    let fixture = Fixture::new();
    fixture.public(Request::Tier { tier: TIER, epoch: epoch(1), root: false });
    for name in ["2.secret", "3.salt", "4.secret.new"] {
        let path = fixture.folder.path().join(format!("{TIER}.{name}"));
        fs::create_dir_all(path.join("deep/below")).unwrap();
    }
    assert_eq!(secrets(fixture.folder.path()).unwrap().len(), 4);
    fixture.gone(TIER, None);
    assert!(secrets(fixture.folder.path()).unwrap().is_empty());
}

/// What lies in the folder, by name.
fn contents(folder: &TempDir) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn nothing_in_the_folder_but_the_plain_storage_key_shows_a_secret() {
    let fixture = Fixture::new();
    fixture.public(Request::Node {});
    fixture.public(Request::Tier { tier: TIER, epoch: epoch(1), root: false });
    for (name, content) in contents(&fixture.folder) {
        // Every drawn secret is 32 times the same byte; salts of sealed files are no secrets, and one each.
        let runs = content.windows(32).filter(|window| window.iter().all(|byte| *byte == window[0])).count();
        let sealed = name.ends_with("secret") || name.ends_with("salt") || name == "node.key";
        assert_eq!(runs, usize::from(sealed || name == "storage.key"), "{name}");
    }
}

#[test]
fn a_store_with_a_key_file_opens_with_that_one_alone() {
    let fixture = Fixture::new();
    let store = fixture.opened(Some(fixture.medium("key"))).unwrap();
    assert_eq!(store.protection(), Some(Protection::KeyFile));
    let key = *store.node_key_or_new(|| fixture.draw()).unwrap().public();
    let again = fixture.opened(Some(fixture.medium("key"))).unwrap();
    assert_eq!(*again.node_key().unwrap().public(), key);
    assert!(matches!(fixture.opened(None), Err(StoreError::KeyFileGone)));
    assert!(matches!(fixture.opened(Some(fixture.medium("empty"))), Err(StoreError::NoKeyFile)));
    let other = Fixture::new();
    other.drawn.set(100);
    drop(other.opened(Some(other.medium("key"))).unwrap());
    assert!(matches!(fixture.opened(Some(other.medium("key"))), Err(StoreError::WrongKeyFile)));
    assert_eq!(fs::read(fixture.media.path().join("empty")).unwrap(), b"");
}

#[test]
fn a_store_is_locked_by_a_medium_that_comes_later() {
    let fixture = Fixture::new();
    let key = fixture.public(Request::Node {});
    assert_eq!(fixture.opened(None).unwrap().protection(), Some(Protection::None));
    drop(fixture.opened(Some(fixture.medium("key"))).unwrap());
    assert!(matches!(fixture.opened(None), Err(StoreError::KeyFileGone)));
    let store = fixture.opened(Some(fixture.medium("key"))).unwrap();
    assert_eq!(*store.node_key().unwrap().public(), key);
}

#[test]
fn a_lost_storage_key_is_not_replaced() {
    let fixture = Fixture::new();
    fixture.public(Request::Node {});
    fs::remove_file(fixture.folder.path().join("storage.key")).unwrap();
    assert!(matches!(fixture.opened(None), Err(StoreError::StorageKeyGone)));
    assert!(!fixture.folder.path().join("storage.key").exists());
}

fn node() -> NodeId {
    NodeId(KeyId::of_public_key(&[5; 32]))
}

fn root(store: &Store<'_>, number: u64, fixture: &Fixture) -> (PublicKey, SealingKey) {
    let public = store.tier_or_new(TIER, epoch(number), true, || fixture.draw()).unwrap();
    (*public.identity.public(), public.sealing)
}

#[test]
fn a_store_with_a_share_opens_with_that_one_alone_and_has_the_roots_identity_before() {
    let fixture = Fixture::new();
    let key = fixture.public(Request::Node {});
    fixture.public(Request::Tier { tier: OTHER, epoch: epoch(1), root: false });
    let mut store = fixture.opened(None).unwrap();
    let (identity, sealing) = root(&store, 1, &fixture);
    let share = seal_share(&[42; 32], node(), &sealing).unwrap();
    store.take_share(node(), (TIER, epoch(1)), &share, || fixture.draw()).unwrap();
    assert_eq!(store.protection(), Some(Protection::Share));

    let mut store = fixture.opened(None).unwrap();
    assert!(store.hiding().is_none() && matches!(store.node_key(), Err(StoreError::Locked)));
    assert_eq!(*store.identity(TIER, epoch(1)).unwrap().unwrap().public(), identity);
    assert!(matches!(store.identity(OTHER, epoch(1)), Err(StoreError::Locked)));
    assert_eq!(root(&store, 1, &fixture), (identity, sealing.clone()));
    let give = |store: &mut Store<'_>, share: [u8; 32], node| {
        let sealed = seal_share(&share, node, &sealing).unwrap();
        store.take_share(node, (TIER, epoch(1)), &sealed, || fixture.draw())
    };
    assert!(matches!(give(&mut store, [43; 32], node()), Err(StoreError::WrongShare)));
    assert!(store.hiding().is_none());
    give(&mut store, [42; 32], node()).unwrap();
    assert_eq!(*store.node_key().unwrap().public(), key);
    // The root's next identity is there before the next share, too.
    let (second, _sealing) = root(&store, 2, &fixture);
    assert_ne!(second, identity);
    let store = fixture.opened(None).unwrap();
    assert_eq!(*store.identity(TIER, epoch(2)).unwrap().unwrap().public(), second);
}

/// What lies on a disk whose store waits for its share: the root's identity, and nothing that data is under.
#[test]
fn an_early_copy_has_no_key_of_data() {
    let fixture = Fixture::new();
    let mut store = fixture.opened(None).unwrap();
    let (_identity, sealing) = root(&store, 1, &fixture);
    let share = seal_share(&[42; 32], node(), &sealing).unwrap();
    store.take_share(node(), (TIER, epoch(1)), &share, || fixture.draw()).unwrap();
    let storage = fs::read(fixture.folder.path().join("storage.key")).unwrap();
    let early: [u8; 32] = storage.split(|byte| *byte == b'\n').nth(1).unwrap()[..32].try_into().unwrap();
    let name = format!("{TIER}.1.early");
    let sealed = fs::read(fixture.folder.path().join(&name)).unwrap();
    let copy = keys::at_rest::unseal(&early, &name, &sealed).unwrap();
    assert_eq!(copy[32..64], [0; 32]);
    assert!(keys::at_rest::unseal(&early, &format!("{TIER}.1.secret"), &sealed).is_err());
}
