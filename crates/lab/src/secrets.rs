//! The secrets of a node and of a console, as they lie in the one place where they may: what a search looks for.
//!
//! The list of a node's is whole, and its randomness need not be known beforehand: custody holds nothing that does not
//! lie in its store, from the moment it was made to the end of its epoch. Who takes it in every epoch has them all.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use keys::OPENING_SECRET_BYTES;
use keys::at_rest::unseal;

use crate::failed::{Act, Failed};

/// Where the public key lies within an opening secret, with its hash (FIPS 203).
const PUBLIC: std::ops::Range<usize> = 1152..2368;

/// Secrets, each by a name to tell it by.
pub type Secrets = BTreeMap<String, Vec<u8>>;

/// Those in custody's folder, whose storage key lies there in the clear: of keys that are drawn in one piece each
/// piece for itself.
///
/// # Errors
/// When it is no such folder.
pub fn secrets_of_custody(folder: &Path) -> Result<Secrets, Failed> {
    let act = || format!("read {}", folder.display());
    let storage = fs::read(folder.join("storage.key")).act(act)?;
    let key =
        storage.strip_prefix(b"leasehold storage key 1 plain\n").ok_or("its store is locked").act(act)?;
    let key: [u8; 32] = key.try_into().act(act)?;
    let mut found = Secrets::from([("storage.key".to_owned(), key.to_vec())]);
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
        }
    }
    Ok(found)
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
