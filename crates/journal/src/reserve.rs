//! A file that takes up space, so that there is some when a severing must be recorded.

use std::io;

use crate::disk::Disk;

/// How much is kept: some thousand records of a severing, or four of the longest.
pub const RESERVE_BYTES: u64 = 4 * 1024 * 1024;

/// The least that is given back at once.
const PIECE: u64 = 64 * 1024;

const NAME: &str = "reserve";

/// How much of the reserve is whole.
#[derive(Debug)]
pub(crate) struct Reserve {
    bytes: u64,
}

impl Reserve {
    /// What stands there.
    pub(crate) fn open(disk: &impl Disk) -> io::Result<Self> {
        let bytes = disk.length(NAME)?.unwrap_or(0).min(RESERVE_BYTES);
        Ok(Self { bytes })
    }

    pub(crate) const fn is_whole(&self) -> bool {
        self.bytes == RESERVE_BYTES
    }

    /// Takes the space again, as far as there is some.
    pub(crate) fn fill(&mut self, disk: &mut impl Disk) -> io::Result<()> {
        if self.is_whole() {
            return Ok(());
        }
        let piece = filler();
        while self.bytes < RESERVE_BYTES {
            let length = (RESERVE_BYTES - self.bytes).min(PIECE);
            let part = piece.get(..usize::try_from(length).unwrap_or(piece.len())).unwrap_or(&piece);
            disk.write(NAME, self.bytes, part).and_then(|()| disk.sync(NAME))?;
            self.bytes += part.len() as u64;
        }
        disk.sync_folder()
    }

    /// Gives back enough for `wanted` bytes, or all that is left; false if nothing was left.
    pub(crate) fn give(&mut self, disk: &mut impl Disk, wanted: u64) -> io::Result<bool> {
        if self.bytes == 0 {
            return Ok(false);
        }
        self.bytes = self.bytes.saturating_sub(wanted.next_multiple_of(PIECE).max(PIECE));
        disk.cut(NAME, self.bytes)?;
        disk.sync(NAME)?;
        Ok(true)
    }
}

/// Bytes that no file system compresses away or stores as a hole (xorshift64).
fn filler() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < PIECE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}
