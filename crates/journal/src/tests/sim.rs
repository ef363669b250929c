//! A disk in memory that loses what was not synced, in every way that a real one may.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use crate::Disk;

/// Pseudo-random numbers (xorshift64*), the same for the same seed.
pub(super) struct Seed(u64);

impl Seed {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % bound
    }
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

#[derive(Clone)]
enum Naming {
    Name(String, usize),
    Rename(String, String),
    Remove(String),
}

#[derive(Default, Clone)]
struct Content {
    on_medium: Vec<u8>,
    seen: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Default)]
struct State {
    contents: Vec<Content>,
    names_on_medium: BTreeMap<String, usize>,
    names: BTreeMap<String, usize>,
    pending: Vec<Naming>,
    /// How many more calls succeed; then every call fails until the crash.
    calls_left: Option<usize>,
    calls: usize,
    bytes_max: Option<usize>,
    syncs_fail: bool,
}

/// All clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct SimDisk(Rc<RefCell<State>>);

impl SimDisk {
    /// The machine dies at the n-th call from now.
    pub(super) fn die_after(&self, calls: usize) {
        self.0.borrow_mut().calls_left = Some(calls);
    }

    /// How many calls there were.
    pub(super) fn calls(&self) -> usize {
        self.0.borrow().calls
    }

    pub(super) fn limit_to(&self, bytes: Option<usize>) {
        self.0.borrow_mut().bytes_max = bytes;
    }

    pub(super) fn let_syncs_fail(&self, fail: bool) {
        self.0.borrow_mut().syncs_fail = fail;
    }

    pub(super) fn used(&self) -> usize {
        self.0.borrow().used()
    }

    /// The process is gone, the machine is not: all that was written is seen.
    pub(super) fn restart(&self) {
        self.0.borrow_mut().calls_left = None;
    }

    /// The machine is gone: of all that was not synced, anything may be on the medium.
    pub(super) fn lose_power(&self, seed: &mut Seed) {
        let mut state = self.0.borrow_mut();
        for content in &mut state.contents {
            for change in std::mem::take(&mut content.pending) {
                apply_some(&mut content.on_medium, change, seed);
            }
            content.seen = content.on_medium.clone();
        }
        // A journalling file system keeps the order of names.
        let kept = seed.below(state.pending.len() + 1);
        for naming in state.pending.split_off(0).into_iter().take(kept) {
            rename(&mut state.names_on_medium, naming);
        }
        state.names = state.names_on_medium.clone();
        state.calls_left = None;
    }

    pub(super) fn bytes(&self, name: &str) -> Vec<u8> {
        self.read(name, usize::MAX).unwrap()
    }

    /// Puts a file there, synced.
    pub(super) fn plant(&mut self, name: &str, bytes: &[u8]) {
        self.write(name, 0, bytes).unwrap();
        self.cut(name, bytes.len() as u64).unwrap();
        self.sync(name).unwrap();
        self.sync_folder().unwrap();
    }
}

fn apply_some(bytes: &mut Vec<u8>, change: Change, seed: &mut Seed) {
    let outcome = seed.below(4);
    match change {
        _ if outcome == 0 => {}
        Change::Cut(length) => bytes.truncate(length),
        Change::Write(offset, written) => {
            let mut written = written;
            if outcome == 1 {
                written.truncate(seed.below(written.len() + 1));
            } else if outcome == 2 && !written.is_empty() {
                // The length is on the medium, a piece of the content is not.
                let begin = seed.below(written.len());
                let end = begin + seed.below(written.len() - begin + 1);
                written[begin..end].fill(0);
            }
            write_at(bytes, offset, &written);
        }
    }
}

fn write_at(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    bytes.resize(bytes.len().max(offset + written.len()), 0);
    bytes[offset..offset + written.len()].copy_from_slice(written);
}

fn rename(names: &mut BTreeMap<String, usize>, naming: Naming) {
    match naming {
        Naming::Name(name, content) => drop(names.insert(name, content)),
        Naming::Remove(name) => drop(names.remove(&name)),
        Naming::Rename(from, to) => {
            if let Some(content) = names.remove(&from) {
                names.insert(to, content);
            }
        }
    }
}

impl State {
    fn step(&mut self) -> io::Result<()> {
        self.calls += 1;
        match &mut self.calls_left {
            Some(0) => Err(io::Error::other("the machine died")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn used(&self) -> usize {
        self.names.values().map(|content| self.contents[*content].seen.len()).sum()
    }

    fn content(&mut self, name: &str) -> io::Result<&mut Content> {
        let content = *self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(&mut self.contents[content])
    }

    fn naming(&mut self, naming: Naming) {
        rename(&mut self.names, naming.clone());
        self.pending.push(naming);
    }

    fn change(&mut self, name: &str, change: Change) -> io::Result<()> {
        let content = self.content(name)?;
        content.pending.push(change.clone());
        match change {
            Change::Cut(length) => content.seen.truncate(length),
            Change::Write(offset, bytes) => write_at(&mut content.seen, offset, &bytes),
        }
        Ok(())
    }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.borrow_mut().step()?;
        Ok(self.0.borrow().names.keys().cloned().collect())
    }

    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        let bytes = state.content(name)?.seen.clone();
        if bytes.len() > bytes_max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    fn length(&self, name: &str) -> io::Result<Option<u64>> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        Ok(state.content(name).ok().map(|content| content.seen.len() as u64))
    }

    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        let died = state.step();
        if died.is_err() && state.calls_left == Some(0) && state.content(name).is_err() {
            return died;
        }
        if state.content(name).is_err() {
            state.contents.push(Content::default());
            let content = state.contents.len() - 1;
            state.naming(Naming::Name(name.to_owned(), content));
        }
        let offset = usize::try_from(offset).unwrap();
        let room = state.bytes_max.map_or(usize::MAX, |max| max.saturating_sub(state.used()));
        let old = state.content(name)?.seen.len().saturating_sub(offset);
        let fitting = bytes.len().min(room.saturating_add(old));
        // What does not fit is not written, and neither is what comes after the machine's death: half.
        let written = if died.is_err() { fitting / 2 } else { fitting };
        state.change(name, Change::Write(offset, bytes[..written].to_vec()))?;
        died?;
        if fitting < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn cut(&mut self, name: &str, length: u64) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        state.change(name, Change::Cut(usize::try_from(length).unwrap()))
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        if state.syncs_fail {
            return Err(io::Error::other("the medium is bad"));
        }
        let content = state.content(name)?;
        content.pending.clear();
        content.on_medium = content.seen.clone();
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        state.naming(Naming::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        state.content(name)?;
        state.naming(Naming::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        state.pending.clear();
        state.names_on_medium = state.names.clone();
        Ok(())
    }
}
