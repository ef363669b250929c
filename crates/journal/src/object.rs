//! Objects: the content that records name by digest and do not hold.
//!
//! An object is 16 random bytes of salt and then the content; its name is the digest of both, so that
//! who sees the name cannot guess the content.

use std::io;

use id::Digest;
use thiserror::Error;

use crate::disk::{Disk, is_full, put_whole, sweep};

/// The salt's length.
pub const SALT_BYTES: usize = 16;

/// The longest object, salt included.
pub const OBJECT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A salted content.
#[derive(Clone, PartialEq, Eq)]
pub struct Object {
    bytes: Vec<u8>,
}

/// Why there is no such object.
#[derive(Debug, Error)]
pub enum ObjectError {
    /// Shorter than a salt or longer than [`OBJECT_BYTES_MAX`].
    #[error("an object has {SALT_BYTES} to {OBJECT_BYTES_MAX} bytes, not {0}")]
    Length(usize),
    /// Other bytes than the name says.
    #[error("the object's bytes are not those of {0}")]
    OtherBytes(Digest),
    /// Nothing under that name.
    #[error("there is no object {0}")]
    Missing(Digest),
    /// What lies under that name is something else.
    #[error("the object {0} is damaged")]
    Damaged(Digest),
    /// The medium is full. Nothing was stored.
    #[error("the objects' disk is full")]
    Full(#[source] io::Error),
    /// The medium failed.
    #[error("reading or writing an object failed")]
    Medium(#[source] io::Error),
}

impl Object {
    /// Salts a content; the caller draws the salt.
    ///
    /// # Errors
    /// [`ObjectError::Length`] if it is too long.
    pub fn new(salt: [u8; SALT_BYTES], content: &[u8]) -> Result<Self, ObjectError> {
        Self::from_bytes([salt.as_slice(), content].concat())
    }

    /// An object as it was stored or sent.
    ///
    /// # Errors
    /// [`ObjectError::Length`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ObjectError> {
        if (SALT_BYTES..=OBJECT_BYTES_MAX).contains(&bytes.len()) {
            Ok(Self { bytes })
        } else {
            Err(ObjectError::Length(bytes.len()))
        }
    }

    /// The digest of salt and content.
    #[must_use]
    pub fn name(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// Salt and content.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The content.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        self.bytes.get(SALT_BYTES..).unwrap_or_default()
    }
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Object({}, {} bytes)", self.name(), self.bytes.len())
    }
}

/// A folder of objects, each a file named by the 64 digits of its digest.
#[derive(Debug)]
pub struct Objects<D> {
    disk: D,
}

impl<D: Disk> Objects<D> {
    /// Opens the folder; sweeps away what a crash left unfinished.
    ///
    /// # Errors
    /// [`ObjectError::Medium`].
    pub fn open(mut disk: D) -> Result<Self, ObjectError> {
        sweep(&mut disk).map_err(ObjectError::Medium)?;
        Ok(Self { disk })
    }

    /// The objects of a folder for reading alone, while another process may store some.
    pub const fn over(disk: D) -> Self {
        Self { disk }
    }

    /// Stores an object under its name and waits until it is on the medium. One that is there stays; a
    /// damaged one is replaced.
    ///
    /// # Errors
    /// [`ObjectError::OtherBytes`] if `name` is not its name, [`ObjectError::Full`],
    /// [`ObjectError::Medium`].
    pub fn put(&mut self, name: &Digest, object: &Object) -> Result<(), ObjectError> {
        if object.name() != *name {
            return Err(ObjectError::OtherBytes(*name));
        }
        match self.get(name) {
            Ok(_) => return Ok(()),
            Err(ObjectError::Missing(_) | ObjectError::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
        put_whole(&mut self.disk, &file_name(name), &object.bytes).map_err(|error| {
            if is_full(&error) { ObjectError::Full(error) } else { ObjectError::Medium(error) }
        })
    }

    /// Reads an object and checks that it is the one.
    ///
    /// # Errors
    /// [`ObjectError::Missing`], [`ObjectError::Damaged`], [`ObjectError::Medium`].
    pub fn get(&self, name: &Digest) -> Result<Object, ObjectError> {
        let bytes = match self.disk.read(&file_name(name), OBJECT_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ObjectError::Missing(*name)),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return Err(ObjectError::Damaged(*name));
            }
            Err(error) => return Err(ObjectError::Medium(error)),
        };
        let object = Object::from_bytes(bytes).map_err(|_too_short| ObjectError::Damaged(*name))?;
        if object.name() == *name { Ok(object) } else { Err(ObjectError::Damaged(*name)) }
    }

    /// Stores what stands for an object, as its sealed form, under its name: nothing here says that it does. Waits
    /// until it is on the medium; what is there is replaced.
    ///
    /// # Errors
    /// [`ObjectError::Full`], [`ObjectError::Medium`].
    pub fn put_form(&mut self, name: &Digest, form: &[u8]) -> Result<(), ObjectError> {
        put_whole(&mut self.disk, &file_name(name), form).map_err(|error| {
            if is_full(&error) { ObjectError::Full(error) } else { ObjectError::Medium(error) }
        })
    }

    /// What was stored in place of an object.
    ///
    /// # Errors
    /// [`ObjectError::Missing`], [`ObjectError::Damaged`] if it is too long, [`ObjectError::Medium`].
    pub fn form(&self, name: &Digest) -> Result<Vec<u8>, ObjectError> {
        self.disk.read(&file_name(name), OBJECT_BYTES_MAX).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                ObjectError::Missing(*name)
            } else if error.kind() == io::ErrorKind::FileTooLarge {
                ObjectError::Damaged(*name)
            } else {
                ObjectError::Medium(error)
            }
        })
    }

    /// Removes an object; one that is not there is removed already.
    ///
    /// # Errors
    /// [`ObjectError::Medium`].
    pub fn remove(&mut self, name: &Digest) -> Result<(), ObjectError> {
        let removed = self.disk.remove(&file_name(name)).and_then(|()| self.disk.sync_folder());
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ObjectError::Medium(error)),
            Err(_) | Ok(()) => Ok(()),
        }
    }

    /// The names of all objects, in order.
    ///
    /// # Errors
    /// [`ObjectError::Medium`].
    pub fn names(&self) -> Result<Vec<Digest>, ObjectError> {
        let files = self.disk.list().map_err(ObjectError::Medium)?;
        let mut names: Vec<Digest> =
            files.iter().filter_map(|file| format!("sha256:{file}").parse().ok()).collect();
        names.sort();
        Ok(names)
    }
}

fn file_name(name: &Digest) -> String {
    name.to_string().trim_start_matches("sha256:").to_owned()
}
