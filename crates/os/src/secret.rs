//! Memory for secrets: `memfd_secret(2)`, which even the kernel maps nowhere else. Where there is none (before
//! Linux 5.14, or switched off, as in Debian 12), ordinary memory that is never swapped, never dumped and
//! never inherited: `mlock(2)`, `madvise(2)`.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, compiler_fence};

/// A page.
const PAGE_BYTES: usize = 4096;

/// What hides the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hiding {
    /// No other process and no system call of another reads it, root's neither.
    FromTheKernel,
    /// Ordinary memory, locked: whoever is root can read it.
    FromSwapAndDumps,
}

/// A page for `N` secret bytes; zeros at first, wiped when it is dropped.
pub struct Secret<const N: usize> {
    page: NonNull<u8>,
    hiding: Hiding,
}

impl<const N: usize> Secret<N> {
    const FITS: () = assert!(N <= PAGE_BYTES, "one page");

    /// Hidden as well as this kernel can.
    ///
    /// # Errors
    /// The kernel's, when not even ordinary memory can be locked.
    pub fn new() -> io::Result<Self> {
        let () = Self::FITS;
        match hidden_page() {
            Ok(page) => Ok(Self { page, hiding: Hiding::FromTheKernel }),
            Err(_not_there) => Self::ordinary(),
        }
    }

    /// Ordinary memory, whatever the kernel can.
    ///
    /// # Errors
    /// The kernel's.
    pub fn ordinary() -> io::Result<Self> {
        let page = map(None, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)?;
        let secret = Self { page, hiding: Hiding::FromSwapAndDumps };
        secret.lock()?;
        Ok(secret)
    }

    /// What hides it.
    #[must_use]
    pub const fn hiding(&self) -> Hiding {
        self.hiding
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; N] {
        // SAFETY: the page is mapped, readable, of at least `N` bytes and this value's own, as long as it lives.
        unsafe { self.page.cast().as_ref() }
    }

    /// The bytes, to be set.
    pub const fn bytes_mut(&mut self) -> &mut [u8; N] {
        // SAFETY: as above; it is borrowed mutably, so there is no other reference.
        unsafe { self.page.cast().as_mut() }
    }

    fn lock(&self) -> io::Result<()> {
        let page = self.page.as_ptr().cast();
        // SAFETY: the page is ours and mapped; locking changes nothing of what is in it.
        if unsafe { libc::mlock(page, PAGE_BYTES) } != 0 {
            return Err(io::Error::last_os_error());
        }
        for advice in [libc::MADV_DONTDUMP, libc::MADV_WIPEONFORK] {
            // SAFETY: as above; neither advice changes what this process reads there.
            if unsafe { libc::madvise(page, PAGE_BYTES, advice) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        let page = self.page.as_ptr();
        // SAFETY: mapped, writable, of that length and this value's own, which nobody else refers to.
        let bytes = unsafe { std::slice::from_raw_parts_mut(page, PAGE_BYTES) };
        for byte in bytes {
            // SAFETY: a reference of ours; a volatile write is not left out.
            unsafe { std::ptr::write_volatile(byte, 0) };
        }
        compiler_fence(Ordering::SeqCst);
        // SAFETY: mapped by this value, which is gone after this; nothing refers to it any more.
        unsafe { libc::munmap(page.cast(), PAGE_BYTES) };
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({N} bytes hidden {:?})", self.hiding)
    }
}

fn hidden_page() -> io::Result<NonNull<u8>> {
    // SAFETY: it takes flags and gives a new descriptor, or an error.
    let answer = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let descriptor = i32::try_from(answer).ok().filter(|descriptor| *descriptor >= 0);
    let descriptor = descriptor.ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just given it to us, and nobody else has it.
    let memory = unsafe { OwnedFd::from_raw_fd(descriptor) };
    // SAFETY: a descriptor of ours; no memory of this process is touched.
    if unsafe { libc::ftruncate(memory.as_raw_fd(), PAGE_BYTES.cast_signed() as libc::off_t) } != 0 {
        return Err(io::Error::last_os_error());
    }
    map(Some(&memory), libc::MAP_SHARED)
}

fn map(memory: Option<&OwnedFd>, flags: libc::c_int) -> io::Result<NonNull<u8>> {
    let descriptor = memory.map_or(-1, AsRawFd::as_raw_fd);
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping where the kernel likes: no memory that anything refers to changes.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE_BYTES, access, flags, descriptor, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(page.cast()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    /// What another process would read of this one's memory.
    fn read_from_outside(secret: &Secret<32>) -> io::Result<[u8; 32]> {
        let mut bytes = [0; 32];
        let memory = File::open("/proc/self/mem")?;
        memory.read_exact_at(&mut bytes, secret.page.as_ptr() as u64)?;
        Ok(bytes)
    }

    #[test]
    fn a_hidden_secret_is_read_by_its_owner_alone() {
        let mut secret = Secret::<32>::new().unwrap();
        assert_eq!(secret.bytes(), &[0; 32]);
        *secret.bytes_mut() = [7; 32];
        assert_eq!(secret.bytes(), &[7; 32]);
        let outside = read_from_outside(&secret);
        match secret.hiding() {
            Hiding::FromTheKernel => assert!(outside.is_err(), "{outside:?}"),
            Hiding::FromSwapAndDumps => assert_eq!(outside.unwrap(), [7; 32]),
        }
    }

    #[test]
    fn an_ordinary_secret_is_locked_and_stays_out_of_dumps() {
        let mut secret = Secret::<32>::ordinary().unwrap();
        *secret.bytes_mut() = [7; 32];
        assert_eq!(secret.hiding(), Hiding::FromSwapAndDumps);
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let start = format!("{:x}-", secret.page.as_ptr() as usize);
        let own = maps.split_once(&format!("\n{start}")).expect("it is mapped").1;
        let flags = own.lines().find(|line| line.starts_with("VmFlags:")).unwrap();
        // Locked, not dumped, wiped on fork (proc_pid_smaps(5)).
        assert!(["lo", "dd", "wf"].iter().all(|flag| flags.contains(flag)), "{flags}");
        assert!(!format!("{secret:?}").contains('7'));
    }
}
