//! Custody's folder. A file is there whole or not at all; what is unlinked is gone once the folder is synced.
//! Everything secret in it is sealed under the storage key ([`super::lock`]).

pub(super) mod names;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use id::{Digest, Digester, Epoch, NodeId, TierId, Time};
use keys::at_rest::{seal, unseal};
use keys::{
    Addressee, MalformedSealedOrder, NotOpened, NotUnwrapped, SealedOrder, SealingKey, SigningKey, open_share,
};
use os::secret::Hiding;
use thiserror::Error;
use zeroize::Zeroizing;

use self::names::names;
pub(crate) use self::names::{
    Gone, gone_up_to, has_node_key, has_storage_key, salts, secrets, volume_gone, volumes,
};
use super::forms::names::{
    COMMITMENT, EARLY, HEAD, NODE_KEY, OBJECTS, SALT, SECRET, UNFINISHED, file_name, hides, is_commitment,
    parse_name,
};
use super::forms::{STORAGE_KEY, TierSecrets, kept_head};
use super::lock::{self, Kept, Key};
use super::{KeptHead, Protection};
use crate::step::{Step, Steps};

/// The longest file of the folder, sealed.
const BYTES_MAX: u16 = 8192;

/// Why custody did not do it.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    #[error("cannot {act} {file}")]
    File { act: &'static str, file: String, source: io::Error },
    #[error("{file} is damaged")]
    Damaged { file: String },
    #[error("cannot draw random bytes")]
    Random(#[source] io::Error),
    #[error("the library makes no key")]
    Library,
    #[error("there is no memory for secrets")]
    Memory(#[source] io::Error),
    #[error("the node has no key")]
    NoNodeKey,
    #[error("it is in the name of another node")]
    OtherNode,
    #[error("there is no tier {0}, or not any more")]
    NoTier(TierId),
    #[error("the secret of tier {tier}, epoch {epoch} is still there")]
    NotGone { tier: TierId, epoch: Epoch },
    #[error("the journal's record {kept}, which was kept, is not behind this head")]
    OlderJournal { kept: u64 },
    #[error("the storage key is gone, but what it sealed is there")]
    StorageKeyGone,
    #[error("the store is locked by a key file, and there is none")]
    KeyFileGone,
    #[error("the key file has no key")]
    NoKeyFile,
    #[error("the key file is another one: the store does not open")]
    WrongKeyFile,
    #[error("the key file cannot be used")]
    KeyFile(#[source] io::Error),
    #[error("the store is locked by a key file already")]
    HasKeyFile,
    #[error("it is no sealed order")]
    NoSealedOrder(#[source] MalformedSealedOrder),
    #[error("the sealed order is not obeyed")]
    NotOpened(#[source] NotOpened),
    #[error("the tier has no secrets of that epoch")]
    NoSecrets,
    #[error("it is no share for this node and its root")]
    NoShare,
    #[error("the share is another one: the store does not open")]
    WrongShare,
    #[error("the volume does not open")]
    NotUnwrapped(#[source] NotUnwrapped),
    #[error("the kernel does not take the volume's key")]
    Kernel(#[source] io::Error),
    #[error("the store is locked: it waits for its share")]
    Locked,
}

/// The folder, opened by custody itself.
pub(crate) struct Store<'a> {
    pub(super) folder: PathBuf,
    pub(super) steps: &'a Steps,
    kept: Option<Kept>,
    key: Option<Key>,
}

/// A tier's public keys.
pub(super) struct Public {
    pub(super) identity: SigningKey,
    pub(super) sealing: SealingKey,
}

impl<'a> Store<'a> {
    /// The store in a folder, locked.
    pub(crate) fn new(folder: &Path, steps: &'a Steps) -> Self {
        Self { folder: folder.to_owned(), steps, kept: None, key: None }
    }

    /// Opens it, or makes it: with a key file, if there is one. One that waits for its share stays locked.
    pub(super) fn open(
        &mut self,
        key_file: Option<File>,
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<(), StoreError> {
        let kept = self.read(STORAGE_KEY)?.map(|bytes| Kept::parse(&bytes)).transpose()?;
        let (kept, key) = match (kept, key_file) {
            (None, key_file) => self.make(key_file, random)?,
            (Some(Kept::Plain(key)), None) => (Kept::Plain(lock::hidden(key.bytes())?), Some(key)),
            // The medium was given later: from now on the disk alone opens nothing.
            (Some(Kept::Plain(key)), Some(file)) => self.lock_by(key, file, random)?,
            (Some(Kept::KeyFile(_)), None) => return Err(StoreError::KeyFileGone),
            (Some(Kept::KeyFile(sealed)), Some(file)) => {
                let key = lock::unwrap(&sealed, &lock::key_in(file, false, random)?)?;
                (Kept::KeyFile(sealed), Some(key.ok_or(StoreError::WrongKeyFile)?))
            }
            (Some(kept @ Kept::Share(..)), _) => (kept, None),
        };
        (self.kept, self.key) = (Some(kept), key);
        Ok(())
    }

    fn make(
        &self,
        key_file: Option<File>,
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<(Kept, Option<Key>), StoreError> {
        if names(&self.folder)?.iter().any(|name| hides(name)) {
            return Err(StoreError::StorageKeyGone);
        }
        let key = lock::drawn(&random)?;
        if let Some(file) = key_file {
            return self.lock_by(key, file, random);
        }
        let kept = Kept::Plain(lock::hidden(key.bytes())?);
        self.put(STORAGE_KEY, &kept.to_bytes())?;
        Ok((kept, Some(key)))
    }

    fn lock_by(
        &self,
        key: Key,
        file: File,
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<(Kept, Option<Key>), StoreError> {
        let under = lock::key_in(file, true, &random)?;
        let kept = Kept::KeyFile(lock::wrap(&key, &under, &random().map_err(StoreError::Random)?));
        self.put(STORAGE_KEY, &kept.to_bytes())?;
        Ok((kept, Some(key)))
    }

    /// Opens an order that was sealed for a tier in its present epoch.
    pub(super) fn open_order(&self, to: &Addressee, at: Time, sealed: &[u8]) -> Result<String, StoreError> {
        let sealed = SealedOrder::parse(sealed).map_err(StoreError::NoSealedOrder)?;
        let secrets = match self.early_secrets(to.tier, to.epoch)? {
            Some(secrets) => secrets,
            None => self.tier_secrets(to.tier, to.epoch)?.ok_or(StoreError::NoSecrets)?,
        };
        let opening = secrets.opening_key().ok_or(StoreError::Library)?;
        let order = sealed.open(&opening, to, at).map_err(StoreError::NotOpened)?;
        String::from_utf8(order).map_err(|_no_text| StoreError::NotOpened(NotOpened::Inside))
    }

    /// Opens the store by a share, or locks it by one: from then on it is wanted at each start. `root` is the
    /// tier that gives shares, and its epoch; `sealed` is for it.
    pub(super) fn take_share(
        &mut self,
        node: NodeId,
        (tier, epoch): (TierId, Epoch),
        sealed: &[u8],
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<(), StoreError> {
        let secrets = match self.early_secrets(tier, epoch)? {
            Some(secrets) => secrets,
            None => self.tier_secrets(tier, epoch)?.ok_or(StoreError::Locked)?,
        };
        let opening = secrets.opening_key().ok_or(StoreError::Library)?;
        let share = open_share(sealed, node, &opening).ok_or(StoreError::NoShare)?;
        let share = lock::hidden(&share)?;
        match (&self.kept, &self.key) {
            (Some(Kept::KeyFile(_)), _) => return Err(StoreError::HasKeyFile),
            (Some(Kept::Share(_, sealed)), None) => {
                self.key = Some(lock::unwrap(sealed, &share)?.ok_or(StoreError::WrongShare)?);
            }
            (Some(Kept::Share(_, sealed)), Some(_)) => {
                lock::unwrap(sealed, &share)?.ok_or(StoreError::WrongShare)?;
            }
            (Some(Kept::Plain(_)), Some(key)) => {
                let wrapped = lock::wrap(key, &share, &random().map_err(StoreError::Random)?);
                let kept = Kept::Share(lock::drawn(&random)?, wrapped);
                self.put_early(&kept, tier, epoch, &secrets, random)?;
                self.put(STORAGE_KEY, &kept.to_bytes())?;
                self.kept = Some(kept);
            }
            (Some(Kept::Plain(_)) | None, _) => return Err(StoreError::Locked),
        }
        Ok(())
    }

    /// Where a share opens the store, the root's identity must be usable before.
    fn put_early(
        &self,
        kept: &Kept,
        tier: TierId,
        epoch: Epoch,
        secrets: &TierSecrets,
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<(), StoreError> {
        let Kept::Share(early, _) = kept else { return Ok(()) };
        let name = file_name(tier, epoch, EARLY);
        let salt = random().map_err(StoreError::Random)?;
        self.put(&name, &seal(early.bytes(), &salt, &name, &secrets.early()))
    }

    /// What keeps a stolen disk shut, once it was opened or waits.
    pub(super) fn protection(&self) -> Option<Protection> {
        self.kept.as_ref().map(Kept::protection)
    }

    /// What hides the storage key in memory; nothing while the store is locked.
    pub(super) fn hiding(&self) -> Option<Hiding> {
        self.key.as_ref().map(Key::hiding)
    }

    /// The node's key N.
    pub(super) fn node_key(&self) -> Result<SigningKey, StoreError> {
        let seed = self.unsealed(NODE_KEY)?.ok_or(StoreError::NoNodeKey)?;
        let key = seed.as_slice().try_into().ok().and_then(|seed| SigningKey::from_seed(seed).ok());
        key.ok_or_else(|| damaged(NODE_KEY))
    }

    /// The node's key N, made now if there is none.
    pub(super) fn node_key_or_new(
        &self,
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<SigningKey, StoreError> {
        match self.node_key() {
            Err(StoreError::NoNodeKey) => {}
            ended => return ended,
        }
        let seed = Zeroizing::new(random().map_err(StoreError::Random)?);
        let key = SigningKey::from_seed(&seed).map_err(|_unusable| damaged("a new seed"))?;
        self.put_sealed(NODE_KEY, seed.as_slice(), random)?;
        Ok(key)
    }

    /// A tier's public keys of an epoch. Its secrets are made now, with a salt, if there are none.
    pub(super) fn tier_or_new(
        &self,
        tier: TierId,
        epoch: Epoch,
        root: bool,
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<Public, StoreError> {
        let early = self.early_secrets(tier, epoch)?;
        let has_early = early.is_some();
        let secrets = match early.map_or_else(|| self.tier_secrets(tier, epoch), |early| Ok(Some(early)))? {
            Some(secrets) => secrets,
            None => self.new_secrets(tier, epoch, &random)?,
        };
        if let Some(kept) = self.kept.as_ref().filter(|_| root && !has_early) {
            self.put_early(kept, tier, epoch, &secrets, random)?;
        }
        let damaged = || damaged(&file_name(tier, epoch, SECRET));
        Ok(Public {
            identity: secrets.identity().ok_or_else(damaged)?,
            sealing: secrets.sealing_key().ok_or_else(damaged)?,
        })
    }

    /// A tier's identity of an epoch, if there is one. The root's is there before the store is open.
    pub(super) fn identity(&self, tier: TierId, epoch: Epoch) -> Result<Option<SigningKey>, StoreError> {
        let secrets = match self.early_secrets(tier, epoch)? {
            Some(secrets) => Some(secrets),
            None => self.tier_secrets(tier, epoch)?,
        };
        let Some(secrets) = secrets else { return Ok(None) };
        secrets.identity().map(Some).ok_or_else(|| damaged(&file_name(tier, epoch, SECRET)))
    }

    pub(super) fn tier_secrets(&self, tier: TierId, epoch: Epoch) -> Result<Option<TierSecrets>, StoreError> {
        let name = file_name(tier, epoch, SECRET);
        let Some(bytes) = self.unsealed(&name)? else { return Ok(None) };
        TierSecrets::from_bytes(bytes).map(Some).ok_or_else(|| damaged(&name))
    }

    /// The root's, in a store that a share opens.
    fn early_secrets(&self, tier: TierId, epoch: Epoch) -> Result<Option<TierSecrets>, StoreError> {
        let Some(Kept::Share(early, _)) = &self.kept else { return Ok(None) };
        let name = file_name(tier, epoch, EARLY);
        let Some(sealed) = self.read(&name)? else { return Ok(None) };
        let bytes = unseal(early.bytes(), &name, &sealed).map_err(|_other| damaged(&name))?;
        TierSecrets::from_bytes(bytes).map(Some).ok_or_else(|| damaged(&name))
    }

    fn new_secrets(
        &self,
        tier: TierId,
        epoch: Epoch,
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<TierSecrets, StoreError> {
        let secrets = TierSecrets::draw(&random)?;
        let salt = Zeroizing::new(random().map_err(StoreError::Random)?);
        // The commitment first: a secret without one could be destroyed and not be named. The secret last: where
        // it is, the others are.
        let commitment = commitment(tier, epoch, &secrets, &salt).to_string();
        self.put(&file_name(tier, epoch, COMMITMENT), commitment.as_bytes())?;
        self.put_sealed(&file_name(tier, epoch, SALT), salt.as_slice(), &random)?;
        self.put_sealed(&file_name(tier, epoch, SECRET), secrets.as_bytes(), random)?;
        self.steps.reach(Step::CustodyKept);
        Ok(secrets)
    }

    /// The commitments to a tier's secrets up to an epoch (none: all), if none of these is there any more.
    pub(super) fn destroyed(&self, tier: TierId, last: Option<Epoch>) -> Result<Vec<Digest>, StoreError> {
        let mut found = Vec::new();
        for name in names(&self.folder)? {
            let Some((of, epoch, kind)) = parse_name(&name) else { continue };
            if of != tier || last.is_some_and(|last| epoch > last) {
                continue;
            }
            if !is_commitment(kind) {
                return Err(StoreError::NotGone { tier, epoch });
            }
            let text = self.read(&name)?.unwrap_or_default();
            let digest = str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
            found.push((epoch, digest.ok_or_else(|| damaged(&name))?));
        }
        found.sort_unstable();
        Ok(found.into_iter().map(|(_epoch, digest)| digest).collect())
    }

    /// Seals an object for a tier that lives. Its key is made with the first.
    pub(super) fn seal_object(
        &self,
        tier: TierId,
        name: &Digest,
        content: &[u8],
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<Vec<u8>, StoreError> {
        let lives = secrets(&self.folder)?.iter().any(|(of, _epoch)| *of == tier);
        let file = format!("{tier}.{OBJECTS}");
        let key = match self.unsealed(&file)? {
            Some(key) => key,
            None if !lives => return Err(StoreError::NoTier(tier)),
            None => {
                let key = Zeroizing::new(random().map_err(StoreError::Random)?);
                self.put_sealed(&file, key.as_slice(), &random)?;
                Zeroizing::new(key.to_vec())
            }
        };
        let key = key.first_chunk().ok_or_else(|| damaged(&file))?;
        Ok(seal(key, &random().map_err(StoreError::Random)?, &name.to_string(), content))
    }

    /// Opens an object that was sealed for a tier, as long as that lives.
    pub(super) fn unseal_object(
        &self,
        tier: TierId,
        name: &Digest,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let file = format!("{tier}.{OBJECTS}");
        let key = self.unsealed(&file)?.ok_or(StoreError::NoTier(tier))?;
        let key = key.first_chunk().ok_or_else(|| damaged(&file))?;
        unseal(key, &name.to_string(), sealed).map_err(|_other| damaged("the object"))
    }

    /// The newest head of the journal that was kept. Sealed, though it is no secret: so it cannot be replaced
    /// together with the journal, where something locks the store.
    pub(super) fn kept_head(&self) -> Result<Option<KeptHead>, StoreError> {
        let Some(bytes) = self.unsealed(HEAD)? else { return Ok(None) };
        kept_head(&bytes).map(Some).ok_or_else(|| damaged(HEAD))
    }

    /// Refuses a head that is older than the kept one, or another one of the same number.
    pub(super) fn follows_kept(&self, head: &KeptHead) -> Result<(), StoreError> {
        match self.kept_head()? {
            Some(kept) if head.record < kept.record => Err(StoreError::OlderJournal { kept: kept.record }),
            Some(kept) if head.record == kept.record && head.digest != kept.digest => {
                Err(StoreError::OlderJournal { kept: kept.record })
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn keep_head(
        &self,
        head: &KeptHead,
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_vec(head).map_err(|_number_and_text| damaged(HEAD))?;
        self.put_sealed(HEAD, &json, random)
    }

    fn key(&self) -> Result<&Key, StoreError> {
        self.key.as_ref().ok_or(StoreError::Locked)
    }

    pub(super) fn unsealed(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let key = self.key()?;
        let Some(sealed) = self.read(name)? else { return Ok(None) };
        unseal(key.bytes(), name, &sealed).map(Some).map_err(|_other| damaged(name))
    }

    pub(super) fn put_sealed(
        &self,
        name: &str,
        content: &[u8],
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<(), StoreError> {
        let salt = random().map_err(StoreError::Random)?;
        self.put(name, &seal(self.key()?.bytes(), &salt, name, content))
    }

    fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let file = match File::open(self.folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(because("open", name))?,
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::from(BYTES_MAX)));
        file.take(u64::from(BYTES_MAX)).read_to_end(&mut bytes).map_err(because("read", name))?;
        Ok(Some(bytes))
    }

    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let unfinished = self.folder.join(format!("{name}.{UNFINISHED}"));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&unfinished).map_err(because("make", name))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(because("write", name))?;
        self.steps.reach(Step::CustodyWritten);
        fs::rename(&unfinished, self.folder.join(name)).map_err(because("name", name))?;
        names::sync(&self.folder).map_err(because("sync the folder of", name))
    }
}

fn commitment(tier: TierId, epoch: Epoch, secrets: &TierSecrets, salt: &[u8; 32]) -> Digest {
    let digester = Digester::new("leasehold secret commitment").part(tier.as_bytes());
    digester.part(&epoch.get().to_be_bytes()).part(salt).part(secrets.share()).finish()
}

fn damaged(file: &str) -> StoreError {
    StoreError::Damaged { file: file.to_owned() }
}

pub(super) fn because(act: &'static str, file: &str) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::File { act, file: file.to_owned(), source }
}
