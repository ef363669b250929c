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

/// Secrets, each by a name to tell it by.
pub type Secrets = BTreeMap<String, Vec<u8>>;

/// Those in custody's folder, whose storage key lies there in the clear: of keys that are drawn in one piece each
/// piece for itself; of each volume its salt, its data key, and what the kernel is given.
///
/// # Errors
/// When it is no such folder.
pub fn secrets_of_custody(folder: &Path) -> Result<Secrets, Failed> {
    let act = || format!("read {}", folder.display());
    let storage = fs::read(folder.join("storage.key")).act(act)?;
    let key =
        storage.strip_prefix(b"leasehold storage key 1 plain\n").ok_or("its store is locked").act(act)?;
    let key: [u8; 32] = key.try_into().act(act)?;
    let (mut found, mut volumes) = (Secrets::from([("storage.key".to_owned(), key.to_vec())]), Vec::new());
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

/// The data key of a volume, and what the kernel is given, by the secrets of its path.
fn volume_keys(content: &[u8], known: &Secrets) -> Option<(Vec<u8>, Vec<u8>)> {
    let (salt, rest) = content.split_first_chunk::<SECRET_BYTES>()?;
    let (header, path) = rest.split_first_chunk::<HEADER_BYTES>()?;
    let node = SigningKey::from_seed(known.get("node.key")?.as_slice().try_into().ok()?).ok()?;
    let secret = |place: &[u8]| {
        let (tier, epoch) = place.split_first_chunk::<16>()?;
        let (tier, epoch) =
            (TierId::from_bytes(*tier), Epoch::new(u64::from_be_bytes(epoch.try_into().ok()?))?);
        // A tier's part in the keys of data lies behind its identity.
        let part = known.get(&format!("{tier}.{epoch}.secret 1"))?.as_slice();
        Some((tier, epoch, TierSecret::from_bytes(part.try_into().ok()?)))
    };
    let secrets = path.chunks(16 + 8).map(secret).collect::<Option<Vec<_>>>()?;
    let shares = secrets.iter().map(|(tier, epoch, secret)| Share { tier: *tier, epoch: *epoch, secret });
    let locked = Locked::from_parts(EraseSalt::from_bytes(salt), *header);
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
