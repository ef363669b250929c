//! What a console remembers, behind one narrow trait: entries under keys, read by range, written by
//! compare-and-swap, all under one revision that only grows.
//!
//! # What must stay true
//! - [`Store::commit`] returns after its writes are on the medium, all of them, or fails with none there.
//! - A store has one holder: whoever opens it holds it until the value is dropped (decision 20).
//! - Nothing that ticks is written here: pulses and status stay in memory.
//!
//! `contract` is what any store must pass; [`Sqlite`] is the one that there is.
#![forbid(unsafe_code)]

mod entry;
mod sqlite;
mod writer;

pub use entry::{
    Entry, Key, MalformedKey, PAGE_ENTRIES_MAX, Page, Revision, Transaction, VALUE_BYTES_MAX, WRITES_MAX,
};
pub use sqlite::Sqlite;

use thiserror::Error;

/// A store. All calls block until the medium has answered; none takes longer than its one fsync.
pub trait Store: Send + Sync {
    /// The entries whose keys begin with `prefix`, in the order of their keys, after `after`; at most
    /// `entries_max` of them, and never more than [`PAGE_ENTRIES_MAX`].
    ///
    /// # Errors
    /// [`Failed::Medium`].
    fn range(&self, prefix: &str, after: Option<&Key>, entries_max: usize) -> Result<Page, Failed>;

    /// Writes if what the transaction expects is so. Gives the revision that the writes have.
    ///
    /// # Errors
    /// [`Failed::Conflict`] if something expected is otherwise: nothing was written, read again.
    /// [`Failed::Limit`], [`Failed::Medium`].
    fn commit(&self, transaction: Transaction) -> Result<Revision, Failed>;

    /// The entry of one key.
    ///
    /// # Errors
    /// [`Failed::Medium`].
    fn get(&self, key: &Key) -> Result<Option<Entry>, Failed>;
}

/// Why a store did not do it.
#[derive(Debug, Error)]
pub enum Failed {
    /// Somebody else wrote in between.
    #[error("{key} is not as it was when it was read")]
    Conflict {
        /// The first key that is otherwise.
        key: Key,
    },
    /// A value, or a transaction, over its limit.
    #[error("{what}: {found}, at most {max} are taken")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How much there was.
        found: usize,
        /// The most.
        max: usize,
    },
    /// Another process has this store.
    #[error("another console runs on this store")]
    Held,
    /// The store was written by a later version.
    #[error("the store has format {found}; this program knows {known}")]
    Format {
        /// What stands in it.
        found: i64,
        /// What is known here.
        known: i64,
    },
    /// The medium failed. Nothing of the transaction is there.
    #[error("the store's medium failed: {act}")]
    Medium {
        /// What was being done.
        act: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Failed {
    pub(crate) fn medium(act: &'static str) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> Self {
        move |source| Self::Medium { act, source }
    }
}
