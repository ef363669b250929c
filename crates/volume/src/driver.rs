//! What a kind of volume can do; one contract test holds for all kinds.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use os::fscrypt::KeyId;
use os::space::Space;
use thiserror::Error;

/// Where one volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    folder: PathBuf,
    name: String,
    number: u64,
}

impl Place {
    /// The volume of a tier that was its `number`th; `folder` is the tier's own. Nobody knows the name of one that
    /// is only to be closed and removed.
    #[must_use]
    pub fn new(folder: PathBuf, name: Option<&id::Name>, number: u64) -> Self {
        // No name has a dot.
        let name = name.map_or_else(|| format!(".{number}"), |name| name.as_str().to_owned());
        Self { folder, name, number }
    }

    /// The tier's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where its content shows while it is open.
    #[must_use]
    pub fn content(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Its image: all that lies on the medium.
    #[must_use]
    pub fn image(&self) -> PathBuf {
        self.folder.join(format!("{}.image", self.number))
    }

    /// The number in an image's name, finished or not.
    #[must_use]
    pub fn number_in(name: &str) -> Option<u64> {
        let text = name.strip_suffix(".new").unwrap_or(name).strip_suffix(".image")?;
        text.parse().ok().filter(|number: &u64| number.to_string() == text)
    }
}

/// How a volume is, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// There is no image.
    Absent,
    /// Nobody has it open, and the kernel has no key of it.
    Closed,
    /// The kernel has its file system mounted, here or elsewhere; its content does not show here.
    Attached,
    /// Its content shows, and the kernel has its key.
    Open(Space),
}

/// Why a volume is not as was asked.
#[derive(Debug, Error)]
pub enum VolumeError {
    /// A file of the volume.
    #[error("cannot {act} {path}")]
    File {
        /// What was to be done.
        act: &'static str,
        /// With what.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// A facility of the kernel.
    #[error(transparent)]
    Kernel(#[from] os::Failed),
    /// There is no file system in it yet, and none could be made.
    #[error("mkfs.ext4 fails: {0}")]
    Format(String),
    /// The kernel has the key, but it opens something else.
    #[error("the volume is encrypted under another key")]
    OtherKey,
    /// The kernel does not have the key.
    #[error("the kernel does not have the key")]
    NoKey,
    /// Another volume shows at its place.
    #[error("another volume is open at {0}")]
    Taken(String),
    /// Somebody has files open, which the kernel still reads and writes. `device` is the file system's.
    #[error("the key is not gone: files of the volume are open")]
    Busy {
        /// The number of the block device.
        device: u64,
    },
    /// It was shut, and somebody still holds it.
    #[error("the volume was shut, and files of it are still open somewhere")]
    Shut,
    /// It must be closed for this.
    #[error("the volume is not closed")]
    NotClosed,
}

/// One kind of encrypted volume. Each act may be done twice, and be broken off anywhere and done again; two at once on
/// one volume wait for each other.
pub trait Driver {
    /// Makes the medium of a volume, of that many bytes, unless it is there.
    ///
    /// # Errors
    /// No room, no tool, or the kernel's.
    fn provision(&self, place: &Place, bytes: u64) -> Result<(), VolumeError>;

    /// Makes the volume ready to take its key, and gives what the key is to be given through.
    ///
    /// # Errors
    /// No medium, [`VolumeError::Shut`], or the kernel's.
    fn attach(&self, place: &Place) -> Result<OwnedFd, VolumeError>;

    /// Shows the content of a volume whose key the kernel has been given. The first key that ever opens it is its
    /// key; another one is taken away from the kernel again.
    ///
    /// # Errors
    /// [`VolumeError::OtherKey`], [`VolumeError::NoKey`], or the kernel's.
    fn open(&self, place: &Place, key: KeyId) -> Result<(), VolumeError>;

    /// Hides the content, takes the key away, and reads back that it is gone. Without an error it is gone.
    ///
    /// # Errors
    /// [`VolumeError::Busy`] while somebody has files open: the key opens nothing new then, but what is open goes
    /// on. To be done again after those are gone.
    fn close(&self, place: &Place) -> Result<(), VolumeError>;

    /// For a volume that cannot be closed because somebody holds it who cannot be ended: has the kernel refuse every
    /// read and write of it, whoever has what open. Nothing that was written is lost. It can be opened again when it
    /// is held no more, and was closed.
    ///
    /// # Errors
    /// The kernel's.
    fn shut(&self, place: &Place) -> Result<(), VolumeError>;

    /// How it is.
    ///
    /// # Errors
    /// The kernel's.
    fn status(&self, place: &Place) -> Result<Status, VolumeError>;

    /// Removes the medium of a closed volume.
    ///
    /// # Errors
    /// [`VolumeError::NotClosed`], or the kernel's.
    fn remove(&self, place: &Place) -> Result<(), VolumeError>;
}
