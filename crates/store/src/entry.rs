//! Keys, entries, and what is asked of them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest value.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// The most writes, and the most expectations, of one transaction.
pub const WRITES_MAX: usize = 256;

/// The most entries of one page.
pub const PAGE_ENTRIES_MAX: usize = 1000;

const KEY_BYTES_MAX: usize = 512;

/// The name of an entry: 1 to 512 printable ASCII characters without blanks. Its parts are divided by `/`,
/// so that `node/` is the prefix of all nodes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// A text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key has 1 to {KEY_BYTES_MAX} printable ASCII characters without blanks")]
pub struct MalformedKey;

impl Key {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = MalformedKey;

    fn from_str(text: &str) -> Result<Self, MalformedKey> {
        let right =
            (1..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if right { Ok(Self(text.to_owned())) } else { Err(MalformedKey) }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Counts the transactions of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub(crate) i64);

impl Revision {
    /// The plain number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.unsigned_abs()
    }
}

/// One entry as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: Key,
    /// Its value.
    pub value: Vec<u8>,
    /// The transaction that wrote it.
    pub revision: Revision,
}

/// A part of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order of their keys.
    pub entries: Vec<Entry>,
    /// Whether there are more behind the last one.
    pub more: bool,
}

/// Writes that happen together, if what they rest on is still so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    pub(crate) expected: Vec<(Key, Option<Revision>)>,
    pub(crate) writes: Vec<(Key, Option<Vec<u8>>)>,
}

impl Transaction {
    /// One that expects and writes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects the entry as it was read; none: that there is none.
    #[must_use]
    pub fn expect(mut self, key: &Key, entry: Option<&Entry>) -> Self {
        self.expected.push((key.clone(), entry.map(|entry| entry.revision)));
        self
    }

    /// Writes an entry, whatever was there.
    #[must_use]
    pub fn put(mut self, key: &Key, value: Vec<u8>) -> Self {
        self.writes.push((key.clone(), Some(value)));
        self
    }

    /// Takes an entry away; one that is not there is away already.
    #[must_use]
    pub fn remove(mut self, key: &Key) -> Self {
        self.writes.push((key.clone(), None));
        self
    }
}
