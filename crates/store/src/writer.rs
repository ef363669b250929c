//! The one thread that writes. Whoever wants something written waits for its answer.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use crate::Failed;
use crate::entry::{Key, Revision, Transaction, VALUE_BYTES_MAX, WRITES_MAX};

/// How many wait before the next who asks is held up.
const WAITING_MAX: usize = 64;

struct Asked {
    transaction: Transaction,
    answer: SyncSender<Result<Revision, Failed>>,
}

/// The thread, as those see it who ask.
pub(crate) struct Writer {
    asking: Option<SyncSender<Asked>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection) -> Result<Self, Failed> {
        let (asking, asked) = sync_channel(WAITING_MAX);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || serve(connection, &asked))
            .map_err(|error| Failed::medium("start the writer")(error.into()))?;
        Ok(Self { asking: Some(asking), thread: Some(thread) })
    }

    pub(crate) fn commit(&self, transaction: Transaction) -> Result<Revision, Failed> {
        check_limits(&transaction)?;
        let gone = || Failed::medium("ask the writer")("it has ended".into());
        let (answer, answered) = sync_channel(1);
        let asking = self.asking.as_ref().ok_or_else(gone)?;
        asking.send(Asked { transaction, answer }).map_err(|_ended| gone())?;
        answered.recv().map_err(|_ended| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Nobody asks any more: the thread ends, and with it the connection is closed.
        drop(self.asking.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn check_limits(transaction: &Transaction) -> Result<(), Failed> {
    for (what, found) in
        [("writes of a transaction", transaction.writes.len()), ("expectations", transaction.expected.len())]
    {
        if found > WRITES_MAX {
            return Err(Failed::Limit { what, found, max: WRITES_MAX });
        }
    }
    let lengths = transaction.writes.iter().filter_map(|(_, value)| value.as_ref().map(Vec::len));
    match lengths.max() {
        Some(found) if found > VALUE_BYTES_MAX => {
            Err(Failed::Limit { what: "bytes of a value", found, max: VALUE_BYTES_MAX })
        }
        Some(_) | None => Ok(()),
    }
}

fn serve(mut connection: Connection, asked: &Receiver<Asked>) {
    while let Ok(Asked { transaction, answer }) = asked.recv() {
        // Who asked may have gone; what was written stays written.
        drop(answer.send(write(&mut connection, &transaction)));
    }
}

fn write(connection: &mut Connection, transaction: &Transaction) -> Result<Revision, Failed> {
    let medium = |error: rusqlite::Error| Failed::medium("write")(error.into());
    let all = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(medium)?;
    for (key, expected) in &transaction.expected {
        if revision_of(&all, key).map_err(medium)? != *expected {
            return Err(Failed::Conflict { key: key.clone() });
        }
    }
    let revision = all
        .query_row("UPDATE store SET revision = revision + 1 RETURNING revision", [], |row| row.get(0))
        .map_err(medium)?;
    for (key, value) in &transaction.writes {
        match value {
            Some(value) => all.execute(
                "INSERT OR REPLACE INTO entry (key, value, revision) VALUES (?1, ?2, ?3)",
                params![key.as_str(), value, revision],
            ),
            None => all.execute("DELETE FROM entry WHERE key = ?1", [key.as_str()]),
        }
        .map_err(medium)?;
    }
    all.commit().map_err(medium)?;
    Ok(Revision(revision))
}

fn revision_of(all: &rusqlite::Transaction<'_>, key: &Key) -> rusqlite::Result<Option<Revision>> {
    all.prepare_cached("SELECT revision FROM entry WHERE key = ?1")?
        .query_row([key.as_str()], |row| row.get(0).map(Revision))
        .optional()
}
