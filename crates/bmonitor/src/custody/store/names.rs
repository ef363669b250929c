//! What the supervisor does in custody's folder by the names alone: it sees what hides a secret, and unlinks it
//! without custody's help.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use id::{Epoch, TierId};

use super::{StoreError, because};
use crate::custody::forms::STORAGE_KEY;
use crate::custody::forms::names::{NODE_KEY, UNFINISHED, objects_of, salt_of, secret_of, volume_of};

/// Whether there is a node key in custody's folder; the supervisor asks at its start.
pub(crate) fn has_node_key(folder: &Path) -> io::Result<bool> {
    fs::exists(folder.join(NODE_KEY))
}

/// Whether there is a storage key: custody has begun to keep secrets.
pub(crate) fn has_storage_key(folder: &Path) -> io::Result<bool> {
    fs::exists(folder.join(STORAGE_KEY))
}

/// The salts in custody's folder, those of volumes too, by their names alone: what the data of a tier in an epoch is
/// erased with.
pub(crate) fn salts(folder: &Path) -> Result<BTreeSet<(TierId, Epoch)>, StoreError> {
    Ok(names(folder)?.iter().filter_map(|name| salt_of(name)).collect())
}

/// The volumes of which there is a salt, by tier and number.
pub(crate) fn volumes(folder: &Path) -> Result<BTreeSet<(TierId, u64)>, StoreError> {
    Ok(names(folder)?
        .iter()
        .filter_map(|name| volume_of(name))
        .map(|(tier, _, number)| (tier, number))
        .collect())
}

/// What of custody's folder goes with a tier's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gone {
    /// Every secret.
    Secrets,
    /// The salts alone, by which the data is erased: the rest is still wanted for what lies below and is kept.
    Salts,
}

/// Unlinks all there is of one volume, and syncs the folder: it opens no more, custody or no custody.
pub(crate) fn volume_gone(folder: &Path, tier: TierId, number: u64) -> Result<(), StoreError> {
    for name in names(folder)? {
        if volume_of(&name).is_some_and(|(of, _, volume)| (of, volume) == (tier, number)) {
            remove(folder, &name).map_err(because("unlink", &name))?;
        }
    }
    sync(folder).map_err(because("sync", "custody's folder"))
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
    gone: Gone,
    unlinked: impl Fn(),
) -> Result<(), StoreError> {
    // The key of its objects first: where a secret is left, this was not over.
    if last.is_none() && gone == Gone::Secrets {
        for name in names(folder)?.iter().filter(|name| objects_of(name) == Some(tier)) {
            remove(folder, name).map_err(because("unlink", name))?;
        }
    }
    for name in names(folder)? {
        let secret = match gone {
            Gone::Secrets => secret_of(&name),
            Gone::Salts => salt_of(&name),
        };
        let Some((of, epoch)) = secret else { continue };
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

/// The finished files of a volume, the newest last.
pub(in crate::custody) fn volume_files(
    folder: &Path,
    tier: TierId,
    number: u64,
) -> Result<Vec<String>, StoreError> {
    let names = names(folder)?;
    let finished = names.iter().filter(|name| !name.ends_with(UNFINISHED));
    let all = finished.filter_map(|name| Some((volume_of(name)?, name)));
    let mut found: Vec<_> = all
        .filter(|((of, _, volume), _)| (*of, *volume) == (tier, number))
        .map(|((_, epoch, _), name)| (epoch, name.clone()))
        .collect();
    found.sort();
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

/// A name that is no text is none of ours: it keeps no severing from going on.
pub(in crate::custody) fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let list = || -> io::Result<Vec<String>> {
        let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    };
    list().map_err(because("list", "custody's folder"))
}
