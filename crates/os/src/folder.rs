//! A folder held by a descriptor: what is in it stays within reach wherever the process's root goes.
//! `openat(2)`, `mkdirat(2)`, `unlinkat(2)`, `renameat(2)`. Names are single ones; no link is followed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

/// A folder.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    /// Opens a folder by its path.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY, Mode::empty())?))
    }

    /// Opens a folder in it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn folder(&self, name: &str) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY | OFlags::NOFOLLOW;
        Ok(Self(openat(&self.0, name, flags, Mode::empty())?))
    }

    /// Makes a folder in it, if there is none.
    ///
    /// # Errors
    /// The kernel's.
    pub fn make(&self, name: &str, mode: u32) -> io::Result<()> {
        match mkdirat(&self.0, name, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The text of a file in it, of at most `max` bytes.
    ///
    /// # Errors
    /// The kernel's; what is no text is [`io::ErrorKind::InvalidData`].
    pub fn read(&self, name: &str, max: u64) -> io::Result<String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut text = String::new();
        File::from(openat(&self.0, name, flags, Mode::empty())?).take(max).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Writes to a file that is there, in one call: what the kernel's own files want.
    ///
    /// # Errors
    /// The kernel's.
    pub fn tell(&self, name: &str, text: &str) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        File::from(openat(&self.0, name, flags, Mode::empty())?).write_all(text.as_bytes())
    }

    /// Opens a file to append to, and makes it if there is none.
    ///
    /// # Errors
    /// The kernel's.
    pub fn append(&self, name: &str, mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(File::from(openat(&self.0, name, flags, Mode::from_raw_mode(mode))?))
    }

    /// Gives a file another name, in the place of what has it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.0, from, &self.0, to)?)
    }

    /// Removes a file; one that is not there is no error.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        gone(unlinkat(&self.0, name, AtFlags::empty()))
    }

    /// Removes an empty folder; one that is not there is no error.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove_folder(&self, name: &str) -> io::Result<()> {
        gone(unlinkat(&self.0, name, AtFlags::REMOVEDIR))
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn gone(removed: Result<(), Errno>) -> io::Result<()> {
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_folder_is_reached_by_its_descriptor_and_through_no_link() {
        let outer = tempfile::tempdir().unwrap();
        let folder = Folder::open(outer.path()).unwrap();
        folder.make("a", 0o700).unwrap();
        folder.make("a", 0o700).unwrap();
        let inner = folder.folder("a").unwrap();
        inner.append("log", 0o600).unwrap().write_all(b"one").unwrap();
        inner.append("log", 0o600).unwrap().write_all(b"two").unwrap();
        inner.rename("log", "old").unwrap();
        assert_eq!(inner.read("old", 100).unwrap(), "onetwo");
        inner.tell("old", "two").unwrap();
        assert_eq!(inner.read("old", 100).unwrap(), "twotwo");
        std::os::unix::fs::symlink("old", outer.path().join("a/link")).unwrap();
        inner.read("link", 9).unwrap_err();
        inner.append("link", 0o600).unwrap_err();
        inner.remove("old").unwrap();
        inner.remove("old").unwrap();
        inner.remove("link").unwrap();
        folder.remove_folder("a").unwrap();
        folder.remove_folder("a").unwrap();
    }
}
