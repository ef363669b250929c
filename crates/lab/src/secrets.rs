//! The secrets of a node and of a console, as they lie in the one place where they may: what a search looks for.
//!
//! The list of a node's is whole, and its randomness need not be known beforehand: custody holds nothing that does not
//! lie in its store, or follow from what lies there, from the moment it was made to the end of its epoch. Who takes it
//! in every epoch has them all. A seed for tests would give no more, and a product that takes one would have a hole:
//! so there is none (decision 47).

use std::collections::BTreeMap;
use std::fs;
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

/// The file of the key under which all others are sealed, and what a key file begins with.
const STORAGE_KEY: &str = "storage.key";
const KEY_FILE: &[u8] = b"leasehold key file 1\n";

/// Secrets, each by a name to tell it by.
pub type Secrets = BTreeMap<String, Vec<u8>>;

/// Those in custody's folder, whose storage key lies there in the clear: of keys that are drawn in one piece each
/// piece for itself; of each volume its salt, its data key, and what the kernel is given.
///
/// # Errors
/// When it is no such folder.
pub fn secrets_of_custody(folder: &Path) -> Result<Secrets, Failed> {
    secrets_of(folder, None)
}

/// The same, of a store that a key file may lock.
pub(crate) fn secrets_of(folder: &Path, key_file: Option<&Path>) -> Result<Secrets, Failed> {
    let act = || format!("read {}", folder.display());
    let key = storage_key(folder, key_file)?;
    let (mut found, mut volumes) = (Secrets::from([("storage.key".to_owned(), key.to_vec())]), Vec::new());
    if let Some(file) = key_file {
        found.insert("key file".to_owned(), fs::read(file).act(act)?.split_off(KEY_FILE.len()));
    }
    for entry in fs::read_dir(folder).act(act)? {
        let name = entry.act(act)?.file_name().to_string_lossy().into_owned();
        let Ok(content) = unseal(&key, &name, &fs::read(folder.join(&name)).act(act)?) else { continue };
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

/// The key under which custody's files are sealed.
fn storage_key(folder: &Path, key_file: Option<&Path>) -> Result<[u8; 32], Failed> {
    let act = || format!("read {}", folder.display());
    let kept = fs::read(folder.join(STORAGE_KEY)).act(act)?;
    if let Some(key) = kept.strip_prefix(b"leasehold storage key 1 plain\n") {
        return key.try_into().act(act);
    }
    let sealed = kept.strip_prefix(b"leasehold storage key 1 key-file\n");
    let (sealed, file) = sealed.zip(key_file).ok_or("its store is locked").act(act)?;
    let medium = fs::read(file).act(act)?;
    let under =
        medium.strip_prefix(KEY_FILE).ok_or("it is no key file").act(|| file.display().to_string())?;
    let key = unseal(under.try_into().act(act)?, STORAGE_KEY, sealed).act(act)?;
    key.as_slice().try_into().act(act)
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
    let key = storage_key(folder, key_file)?;
    for entry in fs::read_dir(folder).act(act)? {
        let name = entry.act(act)?.file_name().to_string_lossy().into_owned();
        if name.starts_with(&tier.to_string()) && name.ends_with(".volume") {
            let content = unseal(&key, &name, &fs::read(folder.join(&name)).act(act)?).act(act)?;
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
