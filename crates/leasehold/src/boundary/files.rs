//! Reading the files that a person names.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use boundary::{Directory, FILE_BYTES_MAX, FilterSet, Packet, Problems, ResolvedSet, parse_packets};

use crate::failure::{Exit, Failure};

/// Packets take about a hundred bytes each: two million of them.
const PACKETS_BYTES_MAX: usize = 256 << 20;

/// The directory, if one is given.
pub(super) fn directory(path: Option<&Path>) -> Result<Option<Directory>, Failure> {
    let Some(path) = path else { return Ok(None) };
    Directory::parse(&read(path, FILE_BYTES_MAX)?).map(Some).map_err(|problems| faults(path, &problems))
}

/// A boundary file with its names resolved.
pub(super) fn set(path: &Path, directory: Option<&Directory>) -> Result<ResolvedSet, Failure> {
    let set = FilterSet::parse(&read(path, FILE_BYTES_MAX)?).map_err(|problems| faults(path, &problems))?;
    set.resolve(directory).map_err(|problems| faults(path, &problems))
}

/// Packets, one a line.
pub(super) fn packets(path: &Path) -> Result<Vec<Packet>, Failure> {
    parse_packets(&read(path, PACKETS_BYTES_MAX)?).map_err(|problems| faults(path, &problems))
}

/// At most one byte more than `bytes_max`, so that the parser sees that it is too long.
fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(bytes_max as u64 + 1).read_to_end(&mut bytes));
    let shown = path.display();
    match read {
        Ok(length) if length > bytes_max => {
            let failure =
                Failure::new(Exit::Usage, format!("{shown} is larger than {} MiB", bytes_max >> 20));
            Err(failure.hint("split it, or write lists and ranges"))
        }
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let failure = Failure::new(Exit::NotFound, format!("there is no file {shown}"));
            Err(failure.hint("a path counts from the folder in which the command runs"))
        }
        Err(error) => Err(Failure::new(Exit::Failed, format!("cannot read {shown}: {error}"))),
    }
}

fn faults(path: &Path, problems: &Problems) -> Failure {
    let fault = |problem: &boundary::Problem| {
        (format!("{}:{}: {}", path.display(), problem.line, problem.error), problem.hint.clone())
    };
    Failure::several(Exit::Usage, problems.as_slice().iter().map(fault).collect())
}
