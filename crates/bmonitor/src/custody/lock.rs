//! What custody's store is locked with: the storage key, under which every secret file is sealed, and
//! what keeps the storage key from whoever has the disk alone.
//!
//! The early key seals copies of the root's identities, with which the node dials the console that has the
//! share: whoever has the disk has these.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use keys::at_rest::{seal, unseal};
use os::secret::Secret;
use zeroize::{Zeroize, Zeroizing};

use super::forms::{STORAGE_KEY, StorageKey, key_file, key_on_medium};
use super::messages::Protection;
use super::store::StoreError;

/// A key that is made or read, where no other process reads it.
pub(super) type Key = Secret<32>;

/// The content of `storage.key`.
pub(super) enum Kept {
    /// The key itself.
    Plain(Key),
    /// The key, sealed.
    KeyFile(Vec<u8>),
    /// The early key, and the storage key, sealed.
    Share(Key, Vec<u8>),
}

impl Kept {
    pub(super) const fn protection(&self) -> Protection {
        match self {
            Self::Plain(_) => Protection::None,
            Self::KeyFile(_) => Protection::KeyFile,
            Self::Share(..) => Protection::Share,
        }
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, StoreError> {
        match StorageKey::parse(bytes) {
            Some(StorageKey::Plain(key)) => Ok(Self::Plain(hidden(key)?)),
            Some(StorageKey::KeyFile(sealed)) => Ok(Self::KeyFile(sealed.to_vec())),
            Some(StorageKey::Share(early, sealed)) => Ok(Self::Share(hidden(early)?, sealed.to_vec())),
            None => Err(StoreError::Damaged { file: STORAGE_KEY.to_owned() }),
        }
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Plain(key) => StorageKey::Plain(key.bytes()),
            Self::KeyFile(sealed) => StorageKey::KeyFile(sealed),
            Self::Share(early, sealed) => StorageKey::Share(early.bytes(), sealed),
        }
        .to_bytes()
    }
}

/// The storage key, sealed under another one.
pub(super) fn wrap(key: &Key, under: &Key, salt: &[u8; 32]) -> Vec<u8> {
    seal(under.bytes(), salt, STORAGE_KEY, key.bytes())
}

/// The storage key, if it was sealed under that one.
pub(super) fn unwrap(sealed: &[u8], under: &Key) -> Result<Option<Key>, StoreError> {
    let Ok(bytes) = unseal(under.bytes(), STORAGE_KEY, sealed) else { return Ok(None) };
    let Some(bytes) = bytes.first_chunk::<32>() else { return Ok(None) };
    hidden(bytes).map(Some)
}

/// A key's bytes, moved to where no other process reads them.
pub(super) fn hidden(bytes: &[u8; 32]) -> Result<Key, StoreError> {
    let mut key = Key::new().map_err(StoreError::Memory)?;
    key.bytes_mut().copy_from_slice(bytes);
    Ok(key)
}

/// A new key.
pub(super) fn drawn(random: impl Fn() -> io::Result<[u8; 32]>) -> Result<Key, StoreError> {
    let mut bytes = random().map_err(StoreError::Random)?;
    let key = hidden(&bytes);
    bytes.zeroize();
    key
}

/// The key in a key file. One that is empty gets a new key, if the store is new.
pub(super) fn key_in(
    mut file: File,
    make: bool,
    random: impl Fn() -> io::Result<[u8; 32]>,
) -> Result<Key, StoreError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    (&file).take(256).read_to_end(&mut bytes).map_err(StoreError::KeyFile)?;
    if let Some(key) = key_on_medium(&bytes) {
        return hidden(key);
    }
    if !bytes.is_empty() || !make {
        return Err(StoreError::NoKeyFile);
    }
    let key = drawn(random)?;
    let content = key_file(key.bytes());
    let written = file.seek(SeekFrom::Start(0)).and_then(|_start| file.write_all(&content));
    written.and_then(|()| file.sync_all()).map_err(StoreError::KeyFile)?;
    Ok(key)
}
