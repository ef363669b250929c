//! Images: tar files, unpacked below one folder. What is in one is anybody's work, so nothing of it is believed:
//! no path leads out, no link is followed, nothing but files, folders and links is made, and all of it has bounds.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use id::{Digest, DigestStream};
use tar::{Archive, EntryType};
use thiserror::Error;

/// Bounds of an image.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of the tar file, and of all files together.
    pub bytes: u64,
    /// Files, folders and links.
    pub entries: usize,
    /// Bytes of a path.
    pub path_bytes: usize,
    /// Folders that lie in each other.
    pub depth: usize,
}

/// The bounds of every image.
pub const BOUNDS: Bounds = Bounds { bytes: 1024 * 1024 * 1024, entries: 50_000, path_bytes: 1024, depth: 32 };

/// Folders of an image that are an engine's world: what an image has in them is hidden.
pub const WORLD: [&str; 5] = ["data", "dev", "proc", "run", "tmp"];

/// Why an image is not unpacked.
#[derive(Debug, Error)]
pub enum NotUnpacked {
    /// The bytes are not those that are named.
    #[error("the image is {found}, not {wanted}")]
    OtherBytes {
        /// What they are.
        found: Digest,
        /// What was wanted.
        wanted: Digest,
    },
    /// It is larger than any image may be.
    #[error("the image has too many {0}")]
    TooMany(&'static str),
    /// An entry that no image may have.
    #[error("{path}: {why}")]
    Entry {
        /// Its path, as far as it can be shown.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It is no tar file, or cannot be read.
    #[error("the image cannot be read")]
    Unreadable(#[source] io::Error),
    /// A file cannot be written.
    #[error("{path} cannot be written")]
    Unwritable {
        /// Which.
        path: String,
        /// The kernel's reason.
        source: io::Error,
    },
}

/// The digest of what `from` gives, to its end.
///
/// # Errors
/// When it cannot be read, or has more bytes than any image.
pub fn digest(from: &mut impl Read, bounds: &Bounds) -> Result<Digest, NotUnpacked> {
    let (mut stream, mut total, mut part) = (DigestStream::default(), 0, vec![0; 128 * 1024]);
    loop {
        match from.read(&mut part) {
            Ok(0) => return Ok(stream.finish()),
            Ok(length) => {
                total += length as u64;
                if total > bounds.bytes {
                    return Err(NotUnpacked::TooMany("bytes"));
                }
                stream.push(part.get(..length).unwrap_or_default());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(NotUnpacked::Unreadable(error)),
        }
    }
}

/// Unpacks a tar file into `folder`, which must be empty and nobody else's to write to. Owners, times, extended
/// attributes and all modes but "executable" are left behind.
///
/// # Errors
/// See [`NotUnpacked`]; what was made until then stays in `folder`.
pub fn unpack(image: impl Read, folder: &Path, bounds: &Bounds) -> Result<(), NotUnpacked> {
    let mut unpacked = Unpacked { folder, bounds, made: BTreeMap::new(), bytes: 0 };
    for name in WORLD {
        unpacked.folder(Path::new(name))?;
    }
    let mut archive = Archive::new(image.take(bounds.bytes));
    let entries = archive.entries().map_err(NotUnpacked::Unreadable)?;
    for entry in entries {
        unpacked.entry(&mut entry.map_err(NotUnpacked::Unreadable)?)?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Folder,
    File,
    Link,
}

struct Unpacked<'a> {
    folder: &'a Path,
    bounds: &'a Bounds,
    made: BTreeMap<PathBuf, Made>,
    bytes: u64,
}

impl Unpacked<'_> {
    fn entry(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> Result<(), NotUnpacked> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            return Ok(());
        }
        let raw = entry.path_bytes().into_owned();
        if raw.len() > self.bounds.path_bytes {
            return Err(wrong(&raw, "its path is too long"));
        }
        let named = entry.path().map_err(|_odd| wrong(&raw, "its path is no path"))?.into_owned();
        let path = inside(&named).ok_or_else(|| wrong(&raw, "its path leads out of the image"))?;
        if path.components().count() > self.bounds.depth {
            return Err(wrong(&raw, "it lies too deep"));
        }
        if path.as_os_str().is_empty() {
            return if kind == EntryType::Directory { Ok(()) } else { Err(wrong(&raw, "it has no name")) };
        }
        if kind.is_dir() {
            self.folder(&path)
        } else if kind.is_file() || kind.is_contiguous() {
            self.file(&path, entry)
        } else if kind.is_symlink() {
            let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
            self.symbolic_link(&path, &target)
        } else if kind.is_hard_link() {
            let target = entry.link_name().ok().flatten().and_then(|target| inside(&target));
            self.hard_link(&path, target.as_deref())
        } else {
            Err(wrong(&raw, "it is neither file nor folder nor link"))
        }
    }

    /// Makes the folders above a path. What is there must be a folder that was made here: no link is walked.
    fn above(&mut self, path: &Path) -> Result<(), NotUnpacked> {
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => self.folder(parent),
            Some(_) | None => Ok(()),
        }
    }

    fn folder(&mut self, path: &Path) -> Result<(), NotUnpacked> {
        match self.made.get(path) {
            Some(Made::Folder) => return Ok(()),
            Some(Made::File | Made::Link) => return Err(taken(path)),
            None => {}
        }
        self.above(path)?;
        self.count(path, Made::Folder)?;
        let whole = self.folder.join(path);
        let made = fs::create_dir(&whole);
        made.and_then(|()| fs::set_permissions(&whole, Permissions::from_mode(0o755)))
            .map_err(unwritable(path))
    }

    fn file(&mut self, path: &Path, entry: &mut tar::Entry<'_, impl Read>) -> Result<(), NotUnpacked> {
        self.above(path)?;
        self.count(path, Made::File)?;
        self.bytes = self.bytes.saturating_add(entry.size());
        if self.bytes > self.bounds.bytes {
            return Err(NotUnpacked::TooMany("bytes"));
        }
        let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
        let mode = if executable { 0o755 } else { 0o644 };
        let whole = self.folder.join(path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&whole)
            .map_err(unwritable(path))?;
        copy(entry, &mut file, path)?;
        // Whatever the umask says.
        file.set_permissions(Permissions::from_mode(mode)).map_err(unwritable(path))
    }

    fn symbolic_link(&mut self, path: &Path, target: &[u8]) -> Result<(), NotUnpacked> {
        let text = str::from_utf8(target).map_err(|_no_text| entry_error(path, "its target is no text"))?;
        let fits = !text.is_empty() && text.len() <= self.bounds.path_bytes && !text.contains('\0');
        if !fits || !stays_inside(path, Path::new(text)) {
            return Err(entry_error(path, "a link leads out of the image"));
        }
        self.above(path)?;
        self.count(path, Made::Link)?;
        symlink(text, self.folder.join(path)).map_err(unwritable(path))
    }

    fn hard_link(&mut self, path: &Path, target: Option<&Path>) -> Result<(), NotUnpacked> {
        let target = target.filter(|target| self.made.get(*target) == Some(&Made::File));
        let target = target.ok_or_else(|| entry_error(path, "a link to no file of the image"))?.to_owned();
        self.above(path)?;
        self.count(path, Made::Link)?;
        // A link by name serves as well, and needs no right to make others.
        let up = "../".repeat(path.components().count().saturating_sub(1));
        symlink(Path::new(&up).join(target), self.folder.join(path)).map_err(unwritable(path))
    }

    fn count(&mut self, path: &Path, made: Made) -> Result<(), NotUnpacked> {
        if self.made.contains_key(path) {
            return Err(taken(path));
        }
        if self.made.len() >= self.bounds.entries {
            return Err(NotUnpacked::TooMany("entries"));
        }
        self.made.insert(path.to_owned(), made);
        Ok(())
    }
}

/// A path that begins at the image's root and never goes up; nothing for any other.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(clean)
}

/// Whether a link at `path` to `target` stays in the image: it is relative, and never goes above the root.
fn stays_inside(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

fn copy(from: &mut impl Read, to: &mut impl Write, path: &Path) -> Result<(), NotUnpacked> {
    let mut part = vec![0; 128 * 1024];
    loop {
        match from.read(&mut part) {
            Ok(0) => return Ok(()),
            Ok(length) => to.write_all(part.get(..length).unwrap_or_default()).map_err(unwritable(path))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(NotUnpacked::Unreadable(error)),
        }
    }
}

fn wrong(raw: &[u8], why: &'static str) -> NotUnpacked {
    let path: String = String::from_utf8_lossy(raw).chars().take(80).collect();
    NotUnpacked::Entry { path: path.escape_debug().to_string(), why }
}

fn entry_error(path: &Path, why: &'static str) -> NotUnpacked {
    wrong(path.as_os_str().as_encoded_bytes(), why)
}

fn taken(path: &Path) -> NotUnpacked {
    entry_error(path, "it stands in the image twice, or in another's place")
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> NotUnpacked {
    let path = path.display().to_string();
    move |source| NotUnpacked::Unwritable { path, source }
}

#[cfg(test)]
mod tests;
