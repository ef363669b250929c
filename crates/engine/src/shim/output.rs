//! An engine's output: from a pipe into two files of bounded length, on the tier's volume. The engine never
//! waits: what the budget does not let through, or the volume does not take, is dropped and counted.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use os::folder::Folder;

use crate::log::{Budget, FILE_BYTES_MAX};

/// The file that is written to, and the one before it.
pub(super) const NEW: &str = "output";
/// The one before.
pub(super) const OLD: &str = "output.old";
/// Bytes that are read in one turn.
const READ_A_TURN: usize = 256 * 1024;

pub(super) struct Output {
    folder: Folder,
    file: Option<File>,
    length: u64,
    budget: Budget,
    pipe: Option<File>,
}

/// A pipe whose reader never waits: the end to write to, and the end to read from.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = io::pipe()?;
    let read = OwnedFd::from(read);
    os::descriptor::never_wait(&read)?;
    Ok((write.into(), read))
}

impl Output {
    pub(super) fn open(logs: &Path) -> io::Result<Self> {
        let folder = Folder::open(logs)?;
        let file = folder.append(NEW, 0o600)?;
        let length = file.metadata()?.len();
        let budget = Budget::full(os::clock::boot());
        Ok(Self { folder, file: Some(file), length, budget, pipe: None })
    }

    pub(super) fn reading(self, pipe: OwnedFd) -> Self {
        Self { pipe: Some(pipe.into()), ..self }
    }

    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Takes what is there, so that nobody who writes waits for long.
    pub(super) fn take(&mut self, now: Duration) {
        let mut part = vec![0; 64 * 1024];
        let mut taken = 0;
        while taken < READ_A_TURN {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut part) {
                Ok(0) => self.pipe = None,
                Ok(length) => {
                    taken += length;
                    self.keep(part.get(..length).unwrap_or_default(), now);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Says what was dropped last.
    pub(super) fn end(&mut self) {
        let dropped = self.budget.dropped();
        if dropped > 0 {
            self.write(&told(dropped)).unwrap_or_default();
        }
    }

    fn keep(&mut self, bytes: &[u8], now: Duration) {
        let kept = self.budget.take(bytes.len(), now);
        let bytes = bytes.get(..kept.bytes).unwrap_or_default();
        if bytes.is_empty() {
            return;
        }
        let before = if kept.dropped_before > 0 { told(kept.dropped_before) } else { Vec::new() };
        if self.write(&[&before, bytes].concat()).is_err() {
            let lost = kept.dropped_before.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            self.budget.not_written(lost);
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.length > FILE_BYTES_MAX {
            self.folder.rename(NEW, OLD)?;
            self.file = Some(self.folder.append(NEW, 0o600)?);
            self.length = 0;
        }
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.write_all(bytes)?;
        self.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(())
    }
}

fn told(dropped: u64) -> Vec<u8> {
    format!("\n[{dropped} bytes of output dropped]\n").into_bytes()
}
