//! Journals and objects, as files that somebody else may have written.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use id::{Digest, Time};
use journal::{Disk, Error, Journal, Object, inspect, verify};
use serde_json::json;

/// Lines as they are, and as a chain that holds.
pub fn journal_export(bytes: &[u8]) {
    export(bytes);
    export(&chained(bytes));
}

fn export(bytes: &[u8]) {
    if let Ok(summary) = verify(bytes, None) {
        assert!(summary.first <= summary.last);
        assert!(summary.head.is_none_or(|head| (summary.first..=summary.last).contains(&head.record)));
    }
}

/// A journal whose segment holds these bytes: it opens and goes on, or says what is broken and is
/// left as it was. Where records stand in it, an appended one stands behind them.
pub fn journal_folder(bytes: &[u8]) {
    folder(bytes);
    folder(&chained(bytes));
}

fn folder(bytes: &[u8]) {
    let disk = Memory::with_journal();
    let segment = disk.segment();
    disk.files.borrow_mut().insert(segment, bytes.to_vec());
    match (inspect(&disk), Journal::open(disk.clone())) {
        (Ok(before), Ok(mut opened)) => {
            let last = before.entries.last().unwrap_or(&before.snapshot).number;
            let at = opened.journal.time("2026-01-01T00:00:00Z".parse::<Time>().expect("a time"));
            let Ok((number, _)) = opened.journal.append(at, &json!({ "entry": 1 })) else { return };
            assert_eq!(number, last + 1);
            let after = inspect(&disk).expect("what was appended to reads");
            assert_eq!(after.entries.last().map(|record| record.number), Some(number));
        }
        (Err(_), Err(Error::Broken { .. } | Error::Missing)) => {
            assert_eq!(disk.files.borrow()[&disk.segment()], bytes, "a broken journal is left as it was");
        }
        (before, opened) => panic!("inspected {before:?}, opened {}", opened.is_ok()),
    }
}

/// Gives each line the digest that it needs in front, and in place of its first `@` the digest of the line
/// before: by luck alone the fuzzer would never find one. A line that begins with `!` stays as it is.
pub(crate) fn chained(bytes: &[u8]) -> Vec<u8> {
    let (mut lines, mut before) = (Vec::new(), "null".to_owned());
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        if let Some(raw) = line.strip_prefix(b"!") {
            lines.extend_from_slice(raw);
            continue;
        }
        let text = String::from_utf8_lossy(line).replacen('@', &before, 1);
        let digest = Digest::of(text.trim_end_matches('\n').as_bytes());
        before = json!(digest).to_string();
        let hexadecimal: String = digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        lines.extend_from_slice(format!("{hexadecimal} {text}").as_bytes());
    }
    lines
}

pub fn object(bytes: &[u8]) {
    let Ok(object) = Object::from_bytes(bytes.to_vec()) else { return };
    assert_eq!(object.as_bytes(), bytes);
    assert!(bytes.ends_with(object.content()));
}

/// A folder in memory; a clone is the same folder.
#[derive(Debug, Clone, Default)]
struct Memory {
    files: Rc<RefCell<BTreeMap<String, Vec<u8>>>>,
}

impl Memory {
    fn with_journal() -> Self {
        let at = "2026-01-01T00:00:00Z".parse::<Time>().expect("a time");
        let disk = Self::default();
        drop(Journal::create(disk.clone(), at, &json!({ "state": 0 })).expect("memory does not fail"));
        disk
    }

    /// The name of the file that holds records: the only one that reads as lines.
    fn segment(&self) -> String {
        let files = self.files.borrow();
        let segment = files.keys().find(|name| name.ends_with(".journal"));
        segment.expect("a fresh journal has a segment").clone()
    }

    fn change<T>(&self, name: &str, change: impl FnOnce(&mut Vec<u8>) -> T) -> io::Result<T> {
        let mut files = self.files.borrow_mut();
        let file = files.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(change(file))
    }
}

impl Disk for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files.borrow().keys().cloned().collect())
    }

    fn length(&self, name: &str) -> io::Result<Option<u64>> {
        Ok(self.files.borrow().get(name).map(|file| file.len() as u64))
    }

    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        let bytes = self.change(name, |file| file.clone())?;
        if bytes.len() > bytes_max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let begin = usize::try_from(offset).map_err(io::Error::other)?;
        self.files.borrow_mut().entry(name.to_owned()).or_default();
        self.change(name, |file| {
            file.resize(file.len().max(begin + bytes.len()), 0);
            file[begin..begin + bytes.len()].copy_from_slice(bytes);
        })
    }

    fn cut(&mut self, name: &str, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.change(name, |file| file.truncate(length))
    }

    fn sync(&mut self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let bytes = self.change(from, |file| file.clone())?;
        self.remove(from)?;
        self.files.borrow_mut().insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let removed = self.files.borrow_mut().remove(name);
        removed.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        Ok(())
    }
}
