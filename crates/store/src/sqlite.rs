//! A store in one SQLite file: WAL, every commit synced, one writer.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags, Row, params};

use crate::entry::{Entry, Key, PAGE_ENTRIES_MAX, Page, Revision, Transaction};
use crate::writer::Writer;
use crate::{Failed, Store};

/// The version of the tables below.
const FORMAT: i64 = 1;

const TABLES: &str = "
    CREATE TABLE store (only INTEGER PRIMARY KEY CHECK (only = 1), revision INTEGER NOT NULL) STRICT;
    CREATE TABLE entry (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL)
        STRICT, WITHOUT ROWID;
    INSERT INTO store VALUES (1, 0);
    PRAGMA user_version = 1;
";

/// A store in a file. Who has it has it alone, until it is dropped or the process ends.
pub struct Sqlite {
    writer: Writer,
    reader: Mutex<Connection>,
    _held: File,
}

impl Sqlite {
    /// Opens the file, or makes it, readable by its owner alone.
    ///
    /// # Errors
    /// [`Failed::Held`] while another process has it, [`Failed::Format`], [`Failed::Medium`].
    pub fn open(path: &Path) -> Result<Self, Failed> {
        let held = hold(path)?;
        let medium = |error: rusqlite::Error| Failed::medium("open")(error.into());
        let mut writing = Connection::open(path).map_err(medium)?;
        // FULL: the log is synced at each commit, so that what was acknowledged outlives a power cut.
        writing
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;",
            )
            .map_err(medium)?;
        prepare(&mut writing)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(path, flags).map_err(medium)?;
        Ok(Self { writer: Writer::start(writing)?, reader: Mutex::new(reader), _held: held })
    }
}

/// Makes the file with its mode before SQLite does, and locks one beside it: a lock on the file itself
/// would be lost whenever SQLite closes it.
fn hold(path: &Path) -> Result<File, Failed> {
    let open = |path: &Path| {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
    };
    let medium = |error: std::io::Error| Failed::medium("open")(error.into());
    let held = open(&path.with_added_extension("lock")).map_err(medium)?;
    match held.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Failed::Held),
        Err(TryLockError::Error(error)) => return Err(medium(error)),
    }
    open(path).map_err(medium)?;
    Ok(held)
}

fn prepare(connection: &mut Connection) -> Result<(), Failed> {
    let medium = |error: rusqlite::Error| Failed::medium("prepare")(error.into());
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(medium)?;
    match found {
        FORMAT => Ok(()),
        0 => {
            let all = connection.transaction().map_err(medium)?;
            all.execute_batch(TABLES).map_err(medium)?;
            all.commit().map_err(medium)
        }
        found => Err(Failed::Format { found, known: FORMAT }),
    }
}

impl Store for Sqlite {
    fn range(&self, prefix: &str, after: Option<&Key>, entries_max: usize) -> Result<Page, Failed> {
        let entries_max = entries_max.min(PAGE_ENTRIES_MAX);
        let after = after.map_or("", Key::as_str);
        // Keys are ASCII, so that nothing with the prefix stands behind the prefix and this.
        let end = format!("{prefix}\u{10ffff}");
        let read = || -> rusqlite::Result<Vec<Entry>> {
            let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            let mut select = reader.prepare_cached(
                "SELECT key, value, revision FROM entry
                 WHERE key >= ?1 AND key < ?2 AND key > ?3 ORDER BY key LIMIT ?4",
            )?;
            let wanted = i64::try_from(entries_max + 1).unwrap_or(i64::MAX);
            select.query_map(params![prefix, end, after, wanted], entry)?.collect()
        };
        let mut entries = read().map_err(|error| Failed::medium("read")(error.into()))?;
        let more = entries.len() > entries_max;
        entries.truncate(entries_max);
        Ok(Page { entries, more })
    }

    fn commit(&self, transaction: Transaction) -> Result<Revision, Failed> {
        self.writer.commit(transaction)
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, Failed> {
        let read = || -> rusqlite::Result<Option<Entry>> {
            let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            let mut select =
                reader.prepare_cached("SELECT key, value, revision FROM entry WHERE key = ?1")?;
            select.query_map([key.as_str()], entry)?.next().transpose()
        };
        read().map_err(|error| Failed::medium("read")(error.into()))
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let text: String = row.get(0)?;
    let key = text.parse().map_err(|malformed: crate::MalformedKey| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, malformed.into())
    })?;
    Ok(Entry { key, value: row.get(1)?, revision: Revision(row.get(2)?) })
}
