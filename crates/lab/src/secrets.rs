//! The secrets of a node and of a console, as they lie in the one place where they may: what a search looks for.
//!
//! The list of a node's is whole, and its randomness need not be known beforehand: custody holds nothing that does not
//! lie in its store, or follow from what lies there, from the moment it was made to the end of its epoch. Who takes it
//! in every epoch has them all. A seed for tests would give no more, and a product that takes one would have a hole:
//! so there is none (decision 47).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use id::{Epoch, NodeId, TierId};
use keys::at_rest::unseal;
use keys::{
    EraseSalt, HEADER_BYTES, Locked, OPENING_SECRET_BYTES, SECRET_BYTES, Share, SigningKey, TierSecret,
};

use crate::failed::{Act, Failed};

/// Where the public key lies within an opening secret, with its hash (FIPS 203).
const PUBLIC: std::ops::Range<usize> = 1152..2368;

/// The file of the key under which all others are sealed, and what it begins with, by what locks it.
const STORAGE_KEY: &str = "storage.key";
const PLAIN: &[u8] = b"leasehold storage key 1 plain\n";
const BY_KEY_FILE: &[u8] = b"leasehold storage key 1 key-file\n";
const BY_SHARE: &[u8] = b"leasehold storage key 1 share\n";
/// What a key file begins with.
const KEY_FILE: &[u8] = b"leasehold key file 1\n";

/// Secrets, each by a name to tell it by.
pub type Secrets = BTreeMap<String, Vec<u8>>;

/// Those in custody's folder, whose storage key lies there in the clear: of keys that are drawn in one piece each
/// piece for itself; of each volume its salt, its data key, and what the kernel is given.
///
/// # Errors
/// When it is no such folder.
pub fn secrets_of_custody(folder: &Path) -> Result<Secrets, Failed> {
    secrets_by(folder, None)
}

/// The same where a key file or a share locks the storage key: `under` is what is in that. It is one of them, and so is
/// the key under which a share's store keeps the root's identities.
///
/// # Errors
/// When it is no such folder, or locked by something else.
pub fn secrets_of_locked_custody(folder: &Path, under: &[u8; 32]) -> Result<Secrets, Failed> {
    secrets_by(folder, Some(*under))
}

/// The same, of a store that a key file may lock.
pub(crate) fn secrets_of(folder: &Path, key_file: Option<&Path>) -> Result<Secrets, Failed> {
    secrets_by(folder, key_file.map(key_in).transpose()?)
}

fn secrets_by(folder: &Path, under: Option<[u8; 32]>) -> Result<Secrets, Failed> {
    let act = || format!("read {}", folder.display());
    let Storage { key, early } = storage_key(folder, under)?;
    let (mut found, mut volumes) = (Secrets::from([(STORAGE_KEY.to_owned(), key.to_vec())]), Vec::new());
    found.extend(under.map(|under| ("the lock".to_owned(), under.to_vec())));
    found.extend(early.map(|early| ("the early key".to_owned(), early.to_vec())));
    for (name, sealed) in files_in(folder).act(act)? {
        let Ok(content) = unseal(&key, &name, &sealed) else { continue };
        if name.ends_with(".secret") {
            let (own, opening) = content
                .len()
                .checked_sub(OPENING_SECRET_BYTES)
                .and_then(|at| content.split_at_checked(at))
                .ok_or("it is too short")
                .act(act)?;
            for (place, part) in own.chunks(32).enumerate() {
                found.insert(format!("{name} {place}"), part.to_vec());
            }
            found.insert(format!("{name} opening"), opening.get(..PUBLIC.start).unwrap_or_default().to_vec());
            found.insert(
                format!("{name} opening, end"),
                opening.get(PUBLIC.end..).unwrap_or_default().to_vec(),
            );
        } else if name == "node.key" || name.ends_with(".salt") || name.ends_with(".objects") {
            found.insert(name, content.to_vec());
        } else if name.ends_with(".volume") {
            found.insert(format!("{name} salt"), content.get(..SECRET_BYTES).unwrap_or_default().to_vec());
            volumes.push((name, content));
        }
    }
    for (name, content) in volumes {
        let (data, kernels) =
            volume_keys(&content, &found).ok_or("its keys do not follow").act(|| name.clone())?;
        found.extend([(format!("{name} data key"), data), (format!("{name} kernel's key"), kernels)]);
    }
    Ok(found)
}

/// What `storage.key` has.
struct Storage {
    /// Under which custody's files are sealed.
    key: [u8; 32],
    /// Under which a store that a share locks keeps the root's identities.
    early: Option<[u8; 32]>,
}

fn storage_key(folder: &Path, under: Option<[u8; 32]>) -> Result<Storage, Failed> {
    let act = || format!("read {}", folder.display());
    let kept = fs::read(folder.join(STORAGE_KEY)).act(act)?;
    if let Some(key) = kept.strip_prefix(PLAIN) {
        return Ok(Storage { key: key.try_into().act(act)?, early: None });
    }
    let by_share = kept.strip_prefix(BY_SHARE).and_then(<[u8]>::split_first_chunk);
    let (early, sealed) = match by_share {
        Some((early, sealed)) => (Some(*early), Some(sealed)),
        None => (None, kept.strip_prefix(BY_KEY_FILE)),
    };
    let (sealed, under) = sealed.zip(under).ok_or("its store is locked").act(act)?;
    let key = unseal(&under, STORAGE_KEY, sealed).act(act)?;
    Ok(Storage { key: key.as_slice().try_into().act(act)?, early })
}

/// The key in a key file.
fn key_in(file: &Path) -> Result<[u8; 32], Failed> {
    let act = || format!("read {}", file.display());
    let medium = fs::read(file).act(act)?;
    let key = medium.strip_prefix(KEY_FILE).ok_or("it is no key file").act(act)?;
    key.try_into().act(act)
}

/// The files of a folder, as they were at one moment: custody gives a file its name once it is written, so that one that
/// is gone when it is read is there under another name.
fn files_in(folder: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    loop {
        let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        let read = |entry: fs::DirEntry| {
            Ok((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?))
        };
        match entries.into_iter().map(read).collect() {
            Err(error) if io::Error::kind(&error) == io::ErrorKind::NotFound => {}
            ended => return ended,
        }
    }
}

/// What the data key of a tier's volume is wrapped by: no secret, and of no use without all secrets of the path.
#[derive(Debug, Clone)]
pub struct VolumeLock {
    /// The data key, wrapped.
    pub header: [u8; HEADER_BYTES],
    /// The tiers from the root to the data, each with the epoch of its secret.
    pub path: Vec<(TierId, Epoch)>,
}

/// That of a tier's only volume.
pub(crate) fn volume_lock(
    folder: &Path,
    key_file: Option<&Path>,
    tier: TierId,
) -> Result<VolumeLock, Failed> {
    let act = || format!("look for the volume of tier {tier}");
    let Storage { key, .. } = storage_key(folder, key_file.map(key_in).transpose()?)?;
    for (name, sealed) in files_in(folder).act(act)? {
        if name.starts_with(&tier.to_string()) && name.ends_with(".volume") {
            let content = unseal(&key, &name, &sealed).act(act)?;
            let (_, header, path) = volume_parts(&content).ok_or("it is damaged").act(act)?;
            return Ok(VolumeLock { header, path });
        }
    }
    Err(Failed::new(act(), "there is none"))
}

/// A volume's salt, its header, and its path.
#[expect(clippy::type_complexity, reason = "it is taken apart where it is made")]
fn volume_parts(content: &[u8]) -> Option<(&[u8; SECRET_BYTES], [u8; HEADER_BYTES], Vec<(TierId, Epoch)>)> {
    let (salt, rest) = content.split_first_chunk::<SECRET_BYTES>()?;
    let (header, path) = rest.split_first_chunk::<HEADER_BYTES>()?;
    let place = |place: &[u8]| {
        let (tier, epoch) = place.split_first_chunk::<16>()?;
        Some((TierId::from_bytes(*tier), Epoch::new(u64::from_be_bytes(epoch.try_into().ok()?))?))
    };
    Some((salt, *header, path.chunks(16 + 8).map(place).collect::<Option<_>>()?))
}

/// The data key of a volume, and what the kernel is given, by the secrets of its path.
fn volume_keys(content: &[u8], known: &Secrets) -> Option<(Vec<u8>, Vec<u8>)> {
    let (salt, header, path) = volume_parts(content)?;
    let node = SigningKey::from_seed(known.get("node.key")?.as_slice().try_into().ok()?).ok()?;
    let secret = |(tier, epoch): (TierId, Epoch)| {
        // A tier's part in the keys of data lies behind its identity.
        let part = known.get(&format!("{tier}.{epoch}.secret 1"))?.as_slice();
        Some((tier, epoch, TierSecret::from_bytes(part.try_into().ok()?)))
    };
    let secrets = path.into_iter().map(secret).collect::<Option<Vec<_>>>()?;
    let shares = secrets.iter().map(|(tier, epoch, secret)| Share { tier: *tier, epoch: *epoch, secret });
    let locked = Locked::from_parts(EraseSalt::from_bytes(salt), header);
    let data = locked.open(NodeId(node.public().id()), &shares.collect::<Vec<_>>()).ok()?;
    Some((data.as_bytes().to_vec(), data.for_the_kernel().to_vec()))
}

/// Those in a console's folder: its keys and the token of its door.
///
/// # Errors
/// When it is no such folder.
pub fn secrets_of_console(folder: &Path) -> Result<Secrets, Failed> {
    let act = || format!("read {}", folder.display());
    let mut found = Secrets::new();
    for entry in fs::read_dir(folder).act(act)? {
        let name = entry.act(act)?.file_name().to_string_lossy().into_owned();
        let content = || fs::read_to_string(folder.join(&name)).act(act);
        if name.ends_with(".key") {
            let text = content()?;
            let secret = text.lines().find_map(|line| line.strip_prefix("leasehold-secret-1:"));
            let secret = secret.ok_or("a key file without a secret").act(act)?;
            let secret = BASE64URL_NOPAD.decode(secret.as_bytes()).act(act)?;
            found.insert(name.clone(), secret);
        } else if name.ends_with(".token") {
            let token = HEXLOWER.decode(content()?.trim_end().as_bytes()).act(act)?;
            found.insert(name.clone(), token);
        }
    }
    Ok(found)
}
