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
pub(super) const VOLUME: &str = "volume";
pub(super) const UNFINISHED: &str = "new";

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
    (!is_commitment(kind)).then_some((tier, epoch))
}

/// Of which tier and epoch a file of that name is a salt, a volume's too, finished or not.
fn salt_of(name: &str) -> Option<(TierId, Epoch)> {
    let (tier, epoch, kind) = parse_name(finished(name))?;
    (kind == SALT || volume_number(kind, VOLUME).is_some()).then_some((tier, epoch))
}

/// Of which volume a file of that name has the salt, finished or not.
fn volume_of(name: &str) -> Option<(TierId, Epoch, u64)> {
    let (tier, epoch, kind) = parse_name(finished(name))?;
    Some((tier, epoch, volume_number(kind, VOLUME)?))
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

pub(in crate::custody) fn volume_file_name(tier: TierId, epoch: Epoch, number: u64) -> String {
    format!("{tier}.{epoch}.{number}.{VOLUME}")
}

pub(in crate::custody) fn volume_commitment_name(tier: TierId, epoch: Epoch, number: u64) -> String {
    format!("{tier}.{epoch}.{number}.{COMMITMENT}")
}

pub(super) fn is_commitment(kind: &str) -> bool {
    kind == COMMITMENT || volume_number(kind, COMMITMENT).is_some()
}

/// The number in `NUMBER.KIND`.
fn volume_number(kind: &str, wanted: &str) -> Option<u64> {
    let text = kind.strip_suffix(wanted)?.strip_suffix('.')?;
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// Of which tier a file of that name has the objects' key, finished or not. It lives as long as the tier.
fn objects_of(name: &str) -> Option<TierId> {
    finished(name).strip_suffix(OBJECTS)?.strip_suffix('.')?.parse().ok()
}

/// A name that is no text is none of ours: it keeps no severing from going on.
pub(in crate::custody) fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let list = || -> io::Result<Vec<String>> {
        let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    };
    list().map_err(because("list", "custody's folder"))
}

pub(super) fn file_name(tier: TierId, epoch: Epoch, kind: &str) -> String {
    format!("{tier}.{epoch}.{kind}")
}

pub(in crate::custody) fn parse_name(name: &str) -> Option<(TierId, Epoch, &str)> {
    let (tier, rest) = name.split_once('.')?;
    let (epoch, kind) = rest.split_once('.')?;
    let of_volume = [VOLUME, COMMITMENT].iter().any(|wanted| volume_number(kind, wanted).is_some());
    let known = of_volume || [SECRET, SALT, EARLY, COMMITMENT].contains(&kind);
    let epoch = epoch.parse().ok().and_then(Epoch::new)?;
    known.then_some((tier.parse().ok()?, epoch, kind))
}
