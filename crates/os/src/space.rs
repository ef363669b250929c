//! Room on a file system: `statvfs(3)`, `fallocate(2)`, `syncfs(2)`.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::FallocateFlags;

/// How much room there is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All that files can have.
    pub size: u64,
    /// What is free for everybody.
    pub free: u64,
}

/// The room on the file system of a file or folder.
///
/// # Errors
/// The kernel's.
pub fn of(within: impl AsFd) -> io::Result<Space> {
    let found = rustix::fs::fstatvfs(within)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space { size: bytes(found.f_blocks), free: bytes(found.f_bavail) })
}

/// Gives a file that many bytes on the medium now, so that there is room for them later.
///
/// # Errors
/// The kernel's: there is no room, or the file system cannot do this.
pub fn reserve(file: impl AsFd, bytes: u64) -> io::Result<()> {
    Ok(rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes)?)
}

/// Has everything that was written to the file system put on the medium.
///
/// # Errors
/// The kernel's.
pub fn sync(within: impl AsFd) -> io::Result<()> {
    Ok(rustix::fs::syncfs(within)?)
}
