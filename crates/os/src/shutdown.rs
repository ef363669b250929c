//! An end to a file system that others still hold: ext4's `EXT4_IOC_SHUTDOWN`. What is open stays open, and nothing can be
//! read or written by it any more; what was written before is on the medium. The file system is itself again when
//! nobody holds anything of it and it is mounted anew.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

const SHUTDOWN: u32 = 0x8004_587d;
/// Everything that was written is put on the medium first.
const FLUSH_ALL: u32 = 0;

/// Has the kernel refuse everything on the file system of an open file. Doing it twice is doing it once.
///
/// # Errors
/// The kernel's.
pub fn shut_down(within: impl AsFd) -> io::Result<()> {
    let how = FLUSH_ALL;
    let pointer: *const u32 = &raw const how;
    // SAFETY: the request reads one number, which lives until the call returns.
    let answer = unsafe { libc::ioctl(within.as_fd().as_raw_fd(), libc::Ioctl::from(SHUTDOWN), pointer) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
