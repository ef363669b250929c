//! The names in custody's folder, which the supervisor reads, too: what hides a secret, and how it goes
//! without custody's help.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use id::{Epoch, TierId};

use super::{STORAGE_KEY, StoreError, because};

pub(super) const NODE_KEY: &str = "node.key";
pub(super) const HEAD: &str = "journal.head";
pub(super) const SECRET: &str = "secret";
pub(super) const SALT: &str = "salt";
pub(super) const EARLY: &str = "early";
pub(super) const COMMITMENT: &str = "commitment";
pub(super) const OBJECTS: &str = "objects";
pub(super) const UNFINISHED: &str = "new";

/// Whether there is a node key in custody's folder; the supervisor asks at its start.
pub(crate) fn has_node_key(folder: &Path) -> io::Result<bool> {
    fs::exists(folder.join(NODE_KEY))
}

/// Whether there is a storage key: custody has begun to keep secrets.
pub(crate) fn has_storage_key(folder: &Path) -> io::Result<bool> {
    fs::exists(folder.join(STORAGE_KEY))
}

/// The secrets in custody's folder, by their names alone; unfinished ones count.
pub(crate) fn secrets(folder: &Path) -> Result<BTreeSet<(TierId, Epoch)>, StoreError> {
    Ok(names(folder)?.iter().filter_map(|name| secret_of(name)).collect())
}

/// Unlinks every secret of a tier up to an epoch (none: all), finished or not, and syncs the folder: the
/// supervisor's part of a severing, for which custody is not needed. `unlinked` is told before the sync.
pub(crate) fn gone_up_to(
    folder: &Path,
    tier: TierId,
    last: Option<Epoch>,
    unlinked: impl Fn(),
) -> Result<(), StoreError> {
    // The key of its objects first: where a secret is left, this was not over.
    if last.is_none() {
        for name in names(folder)?.iter().filter(|name| objects_of(name) == Some(tier)) {
            remove(folder, name).map_err(because("unlink", name))?;
        }
    }
    for name in names(folder)? {
        let Some((of, epoch)) = secret_of(&name) else { continue };
        if of == tier && last.is_none_or(|last| epoch <= last) {
            remove(folder, &name).map_err(because("unlink", &name))?;
        }
    }
    unlinked();
    sync(folder).map_err(because("sync", "custody's folder"))
}

/// A folder under a secret's name is none of ours and no secret: it loses the name. Custody may have filled
/// it with whatever it likes, so that removing it could take without end.
fn remove(folder: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            let number = u64::from_be_bytes(os::random::bytes()?);
            fs::rename(folder.join(name), folder.join(format!("odd.{number:016x}")))
        }
        // Custody may have been quicker.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Whether a file of that name is sealed, finished or not.
pub(super) fn hides(name: &str) -> bool {
    let finished = finished(name);
    finished == NODE_KEY
        || finished == HEAD
        || secret_of(finished).is_some()
        || objects_of(finished).is_some()
}

fn finished(name: &str) -> &str {
    name.strip_suffix(UNFINISHED).and_then(|name| name.strip_suffix('.')).unwrap_or(name)
}

/// Of which tier and epoch a file of that name is a secret, finished or not.
fn secret_of(name: &str) -> Option<(TierId, Epoch)> {
    let (tier, epoch, kind) = parse_name(finished(name))?;
    (kind != COMMITMENT).then_some((tier, epoch))
}

/// Of which tier a file of that name has the objects' key, finished or not. It lives as long as the tier.
fn objects_of(name: &str) -> Option<TierId> {
    finished(name).strip_suffix(OBJECTS)?.strip_suffix('.')?.parse().ok()
}

/// A name that is no text is none of ours: it keeps no severing from going on.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let list = || -> io::Result<Vec<String>> {
        let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    };
    list().map_err(because("list", "custody's folder"))
}

pub(super) fn file_name(tier: TierId, epoch: Epoch, kind: &str) -> String {
    format!("{tier}.{epoch}.{kind}")
}

pub(super) fn parse_name(name: &str) -> Option<(TierId, Epoch, &str)> {
    let (tier, rest) = name.split_once('.')?;
    let (epoch, kind) = rest.split_once('.')?;
    let known = [SECRET, SALT, EARLY, COMMITMENT].contains(&kind);
    let epoch = epoch.parse().ok().and_then(Epoch::new)?;
    known.then_some((tier.parse().ok()?, epoch, kind))
}
