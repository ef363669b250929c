//! Files that are named on the command line.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::failure::{Exit, Failure};

/// Reads a file of at most `bytes_max`.
pub(crate) fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, &error))?;
    if bytes.len() > bytes_max {
        let error = format!("{} has more than {bytes_max} bytes", path.display());
        return Err(Failure::new(Exit::Usage, error));
    }
    Ok(bytes)
}

/// A path that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
    Failure::new(exit, format!("{}: {}", path.display(), told(error)))
}

/// Writes a file that is not there yet, and waits until it is on the medium.
pub(crate) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let written =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    written.map_err(|error| {
        let failure = Failure::new(Exit::Failed, format!("{}: {}", path.display(), told(&error)));
        if error.kind() == io::ErrorKind::AlreadyExists {
            failure.hint("name another file, or remove this one")
        } else {
            failure
        }
    })
}

/// The system's words; for the usual errors without its numbers.
fn told(error: &io::Error) -> String {
    const USUAL: [(io::ErrorKind, &str); 4] = [
        (io::ErrorKind::NotFound, "no such file"),
        (io::ErrorKind::AlreadyExists, "the file is there already"),
        (io::ErrorKind::PermissionDenied, "permission denied"),
        (io::ErrorKind::IsADirectory, "is a folder"),
    ];
    let usual = USUAL.iter().find(|(kind, _)| *kind == error.kind());
    usual.map_or_else(|| error.to_string(), |(_, words)| (*words).to_owned())
}

/// An error and all its causes, in one sentence.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}
