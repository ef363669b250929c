//! Descriptors that a process began with: `close_range(2)`.

use std::io;

/// Marks every descriptor from 3 up close-on-exec, so that none which this process inherited reaches
/// a process that it starts. Nothing is closed here.
///
/// # Errors
/// The kernel's.
pub fn keep_from_children() -> io::Result<()> {
    // SAFETY: only the close-on-exec flags of this process's descriptors change; no descriptor is
    // closed, so every owner of one keeps it.
    let answer = unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
