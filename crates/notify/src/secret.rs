//! Secrets in files: nobody's but their owner's, read when they are used, gone afterwards.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

const BYTES_MAX: u64 = 4096;

/// A secret. It has no `Debug` and no text.
pub struct Secret(Zeroizing<Vec<u8>>);

/// Why a secret was not read.
#[derive(Debug, Error)]
pub enum UnreadSecret {
    /// The file cannot be read.
    #[error("could not read {0}")]
    Unread(PathBuf, #[source] std::io::Error),
    /// Others can read it, too.
    #[error("others may read {0} (mode {1:o}); chmod 600 it")]
    Open(PathBuf, u32),
    /// It is empty, or too long to be one.
    #[error("{0} has no secret of 1 to 4096 bytes")]
    Malformed(PathBuf),
}

impl Secret {
    /// Reads a file. Blanks at its ends are no part of the secret.
    ///
    /// # Errors
    /// [`UnreadSecret`].
    pub fn read(path: &Path) -> Result<Self, UnreadSecret> {
        let unread = |error| UnreadSecret::Unread(path.to_owned(), error);
        let file = File::open(path).map_err(unread)?;
        // Of the file that is open, not of one that has its name a moment later.
        let mode = file.metadata().map_err(unread)?.mode();
        if mode & 0o077 != 0 {
            return Err(UnreadSecret::Open(path.to_owned(), mode & 0o777));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(BYTES_MAX).unwrap_or(0) + 1));
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unread)?;
        let trimmed = bytes.trim_ascii();
        if trimmed.is_empty() || bytes.len() as u64 > BYTES_MAX {
            return Err(UnreadSecret::Malformed(path.to_owned()));
        }
        Ok(Self(Zeroizing::new(trimmed.to_vec())))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert!(matches!(Secret::read(&path), Err(UnreadSecret::Unread(..))));
        fs::write(&path, "  hush \n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Secret::read(&path), Err(UnreadSecret::Open(_, 0o640))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(Secret::read(&path).ok().unwrap().as_bytes(), b"hush");
        fs::write(&path, "\n").unwrap();
        assert!(matches!(Secret::read(&path), Err(UnreadSecret::Malformed(_))));
        fs::write(&path, "x".repeat(5000)).unwrap();
        assert!(matches!(Secret::read(&path), Err(UnreadSecret::Malformed(_))));
    }
}
