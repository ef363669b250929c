//! The few things that the journal asks of a folder, and the real folder that does them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A flat folder of files. Nothing is on the medium before the `sync` that follows it.
pub trait Disk {
    /// The names of all files.
    ///
    /// # Errors
    /// The medium's.
    fn list(&self) -> io::Result<Vec<String>>;

    /// A whole file; [`io::ErrorKind::FileTooLarge`] if it has more than `bytes_max`.
    ///
    /// # Errors
    /// The medium's, and the one above.
    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>>;

    /// The length of a file; none if there is no such file.
    ///
    /// # Errors
    /// The medium's.
    fn length(&self, name: &str) -> io::Result<Option<u64>>;

    /// Writes at an offset; makes the file if there is none.
    ///
    /// # Errors
    /// The medium's; some of the bytes may have been written then.
    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts a file to a length.
    ///
    /// # Errors
    /// The medium's.
    fn cut(&mut self, name: &str, length: u64) -> io::Result<()>;

    /// Brings a file's content to the medium.
    ///
    /// # Errors
    /// The medium's; what is on it is unknown then.
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Gives a file another name, in place of the file that had it.
    ///
    /// # Errors
    /// The medium's.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The medium's.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Brings the names to the medium.
    ///
    /// # Errors
    /// The medium's; what is on it is unknown then.
    fn sync_folder(&mut self) -> io::Result<()>;
}

/// What an unfinished file is called; swept away at the next opening.
pub(crate) const UNFINISHED: &str = ".new";

/// Puts a whole file under a name: after a crash it is there whole, or not at all.
pub(crate) fn put_whole(disk: &mut impl Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = format!("{name}{UNFINISHED}");
    let written = disk
        .cut_if_there(&unfinished)
        .and_then(|()| disk.write(&unfinished, 0, bytes))
        .and_then(|()| disk.sync(&unfinished));
    if let Err(error) = written {
        // Best effort: what stays is swept away at the next opening, and the cause is what matters here.
        drop(disk.remove(&unfinished));
        return Err(error);
    }
    disk.rename(&unfinished, name)?;
    disk.sync_folder()
}

/// Removes what a crash left of [`put_whole`].
pub(crate) fn sweep(disk: &mut impl Disk) -> io::Result<()> {
    let unfinished: Vec<String> =
        disk.list()?.into_iter().filter(|name| name.ends_with(UNFINISHED)).collect();
    for name in &unfinished {
        disk.remove(name)?;
    }
    if unfinished.is_empty() { Ok(()) } else { disk.sync_folder() }
}

/// Whether an error means that there is no space left.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

trait CutIfThere: Disk {
    fn cut_if_there(&mut self, name: &str) -> io::Result<()> {
        match self.cut(name, 0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            ended => ended,
        }
    }
}

impl<D: Disk> CutIfThere for D {}

/// A folder of a real file system; files 0600, the folder 0700.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held for writing; none for a reader.
    lock: Option<File>,
    /// The file written last, so that an append does not open it anew.
    open: Option<(String, File)>,
}

impl Folder {
    const LOCK: &'static str = "lock";

    /// The folder for writing, made if it is missing. Its parent must exist.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another process writes there, else the medium's.
    pub fn writable(path: &Path) -> io::Result<Self> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {
                sync_folder_at(path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(Self::LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::WouldBlock, "another process writes there")
            }
            TryLockError::Error(error) => error,
        })?;
        Ok(Self { path: path.to_owned(), lock: Some(lock), open: None })
    }

    /// An existing folder for reading alone, while somebody may write there.
    ///
    /// # Errors
    /// The medium's.
    pub fn readable(path: &Path) -> io::Result<Self> {
        if !fs::metadata(path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { path: path.to_owned(), lock: None, open: None })
    }

    fn for_writing(&self) -> io::Result<()> {
        match self.lock {
            Some(_) => Ok(()),
            None => Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "opened for reading alone")),
        }
    }

    fn file(&mut self, name: &str, make: bool) -> io::Result<&File> {
        self.for_writing()?;
        let file = match self.open.take() {
            Some((open, file)) if open == name => file,
            Some(_) | None => OpenOptions::new()
                .read(true)
                .write(true)
                .create(make)
                .truncate(false)
                .mode(0o600)
                .open(self.path.join(name))?,
        };
        Ok(&self.open.insert((name.to_owned(), file)).1)
    }
}

impl Disk for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name().into_string().map_err(|_name| io::ErrorKind::InvalidFilename)?;
            if name != Self::LOCK {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        let mut bytes = Vec::new();
        File::open(self.path.join(name))?.take(limit).read_to_end(&mut bytes)?;
        if bytes.len() > bytes_max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    fn length(&self, name: &str) -> io::Result<Option<u64>> {
        match fs::metadata(self.path.join(name)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(name, true)?.write_all_at(bytes, offset)
    }

    fn cut(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.file(name, false)?.set_len(length)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.file(name, false)?.sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.for_writing()?;
        self.open = None;
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.for_writing()?;
        self.open = None;
        fs::remove_file(self.path.join(name))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        sync_folder_at(&self.path)
    }
}

fn sync_folder_at(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
