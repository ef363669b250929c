//! The forms of custody's own files. All but `storage.key` and the key file are read when they have been unsealed: what
//! is in them custody wrote itself, or the disk lies.
//!
//! `storage.key` is a line that says what the store is locked with, then bytes:
//!
//! | line | bytes | what else opens the store |
//! |---|---|---|
//! | `leasehold storage key 1 plain` | the key | nothing: a stolen disk is open |
//! | `leasehold storage key 1 key-file` | the key, sealed under the key file's | the file on another medium |
//! | `leasehold storage key 1 share` | the early key, then the storage key, sealed under the share | what the root's console gives at each start |

pub(crate) mod names;

use id::{Epoch, TierId};
use keys::{
    EraseSalt, HEADER_BYTES, Locked, OPENING_SECRET_BYTES, OpeningKey, SECRET_BYTES, SealingKey, SigningKey,
};
use zeroize::Zeroizing;

use super::messages::{KeptHead, Path};

/// The file's name in custody's folder.
pub(crate) const STORAGE_KEY: &str = "storage.key";

const PLAIN: &[u8] = b"leasehold storage key 1 plain\n";
const KEY_FILE: &[u8] = b"leasehold storage key 1 key-file\n";
const SHARE: &[u8] = b"leasehold storage key 1 share\n";
/// What a key file begins with.
const MEDIUM: &[u8] = b"leasehold key file 1\n";

/// The content of `storage.key`, where it lies.
pub(crate) enum StorageKey<'a> {
    /// The key itself.
    Plain(&'a [u8; 32]),
    /// The key, sealed.
    KeyFile(&'a [u8]),
    /// The early key, and the storage key, sealed.
    Share(&'a [u8; 32], &'a [u8]),
}

impl<'a> StorageKey<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        if let Some(key) = bytes.strip_prefix(PLAIN) {
            return Some(Self::Plain(key.try_into().ok()?));
        }
        if let Some(sealed) = bytes.strip_prefix(KEY_FILE) {
            return Some(Self::KeyFile(sealed));
        }
        let (early, sealed) = bytes.strip_prefix(SHARE)?.split_first_chunk()?;
        Some(Self::Share(early, sealed))
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Plain(key) => [PLAIN, *key].concat(),
            Self::KeyFile(sealed) => [KEY_FILE, sealed].concat(),
            Self::Share(early, sealed) => [SHARE, *early, sealed].concat(),
        })
    }
}

/// The key in a key file, on a medium that somebody else may have written.
pub(crate) fn key_on_medium(bytes: &[u8]) -> Option<&[u8; 32]> {
    bytes.strip_prefix(MEDIUM)?.try_into().ok()
}

/// What a key file has in it.
pub(crate) fn key_file(key: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([MEDIUM, key].concat())
}

/// What lies in `journal.head`.
pub(crate) fn kept_head(bytes: &[u8]) -> Option<KeptHead> {
    serde_json::from_slice(bytes).ok()
}

/// U's seed, K, then the opening secret.
pub(crate) const TIER_SECRETS_BYTES: usize = 2 * SECRET_BYTES + OPENING_SECRET_BYTES;

/// What custody keeps for a tier in one epoch, in `TIER.EPOCH.secret`: its identity U, the key that orders are sealed
/// for, its secret K of the key schedule. (In `TIER.EPOCH.salt` is the erase salt S of its volume.)
pub(crate) struct TierSecrets(Zeroizing<Vec<u8>>);

impl TierSecrets {
    /// Those of a file's content, which was sealed.
    pub(crate) fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        (bytes.len() == TIER_SECRETS_BYTES).then_some(Self(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same without what data is encrypted under: for before the store is open.
    pub(crate) fn early(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = self.0.clone();
        bytes.iter_mut().skip(SECRET_BYTES).take(SECRET_BYTES).for_each(|byte| *byte = 0);
        bytes
    }

    /// U.
    pub(crate) fn identity(&self) -> Option<SigningKey> {
        SigningKey::from_seed(self.0.first_chunk()?).ok()
    }

    /// K, the tier's part in the keys of its own volumes and of all below it.
    pub(crate) fn share(&self) -> &[u8] {
        self.0.get(SECRET_BYTES..2 * SECRET_BYTES).unwrap_or_default()
    }

    /// What orders are sealed for.
    pub(crate) fn opening_key(&self) -> Option<OpeningKey> {
        OpeningKey::from_secret(self.0.get(2 * SECRET_BYTES..)?.try_into().ok()?).ok()
    }

    /// The public half of that.
    pub(crate) fn sealing_key(&self) -> Option<SealingKey> {
        Some(self.opening_key()?.public().clone())
    }
}

/// A tier's id and an epoch.
const PLACE_BYTES: usize = 16 + 8;

/// What lies in `TIER.EPOCH.NUMBER.volume`.
pub(crate) struct KeptVolume {
    pub(crate) locked: Locked,
    pub(crate) path: Path,
}

impl KeptVolume {
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
        bytes.extend_from_slice(self.locked.salt().as_bytes());
        bytes.extend_from_slice(self.locked.header());
        for (tier, epoch) in &self.path {
            bytes.extend_from_slice(tier.as_bytes());
            bytes.extend_from_slice(&epoch.get().to_be_bytes());
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (salt, rest) = bytes.split_first_chunk::<SECRET_BYTES>()?;
        let (header, rest) = rest.split_first_chunk::<HEADER_BYTES>()?;
        let place = |place: &[u8]| {
            let (tier, epoch) = place.split_first_chunk::<16>()?;
            Some((TierId::from_bytes(*tier), Epoch::new(u64::from_be_bytes(epoch.try_into().ok()?))?))
        };
        let path: Option<Path> = rest.chunks(PLACE_BYTES).map(place).collect();
        Some(Self { locked: Locked::from_parts(EraseSalt::from_bytes(salt), *header), path: path? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_key_is_of_one_form_or_none() {
        let plain = StorageKey::Plain(&[7; 32]).to_bytes();
        assert!(matches!(StorageKey::parse(&plain), Some(StorageKey::Plain(key)) if *key == [7; 32]));
        let over = [plain.as_slice(), &[0]].concat();
        let later = [b"leasehold storage key 2 plain\n".as_slice(), &[7; 32]].concat();
        let nul = [b"\0".as_slice(), &plain].concat();
        let short = [SHARE, &[7; 31]].concat();
        let wrong =
            [&[], &plain[..plain.len() - 1], &over, &later, &nul, &short, &[0xff; 8192], PLAIN, SHARE];
        for (place, wrong) in wrong.iter().enumerate() {
            assert!(StorageKey::parse(wrong).is_none(), "{place}");
        }
        assert_eq!(key_on_medium(&key_file(&[9; 32])), Some(&[9; 32]));
        for wrong in [&b""[..], MEDIUM, &[MEDIUM, &[9; 33]].concat(), &[9; 32]] {
            assert_eq!(key_on_medium(wrong), None);
        }
    }

    #[test]
    fn what_is_too_short_too_long_or_of_another_type_is_damaged() {
        for length in [0, 1, TIER_SECRETS_BYTES - 1, TIER_SECRETS_BYTES + 1, 8192] {
            assert!(TierSecrets::from_bytes(Zeroizing::new(vec![1; length])).is_none(), "{length}");
        }
        let head = SECRET_BYTES + HEADER_BYTES;
        let place = [[1; PLACE_BYTES - 8].as_slice(), &7_u64.to_be_bytes()].concat();
        for places in [0, 1, 300] {
            let bytes = [vec![1; head], place.repeat(places)].concat();
            let volume = KeptVolume::from_bytes(&bytes).unwrap();
            assert_eq!((volume.path.len(), volume.to_bytes().as_slice()), (places, bytes.as_slice()));
            assert!(KeptVolume::from_bytes(&[bytes.as_slice(), &[1]].concat()).is_none(), "{places}");
        }
        // An epoch is 53 bits.
        let over = [vec![1; head], vec![0xff; PLACE_BYTES]].concat();
        assert!(KeptVolume::from_bytes(&over).is_none());
        assert!(KeptVolume::from_bytes(&vec![0; head - 1]).is_none());
        let digest = id::Digest::of(b"");
        let right = format!("{{\"record\":7,\"digest\":\"{digest}\"}}");
        assert_eq!(kept_head(right.as_bytes()).map(|head| head.record), Some(7));
        for wrong in [
            right.replace("7,", "-7,"),
            right.replace("7,", "18446744073709551616,"),
            right.replace("7,", "7.5,"),
            right.replace("7,", "\"7\","),
            right.replace("7,", "7,\"more\":1,"),
            right.replace("7,", "7,\"record\":7,"),
            right.replace("sha256", "sha257"),
            format!("{right}\0"),
            "[".repeat(100_000),
            String::new(),
        ] {
            assert_eq!(kept_head(wrong.as_bytes()), None, "{}", &wrong[..wrong.len().min(80)]);
        }
    }

    #[test]
    fn each_first_input_of_the_fuzzer_is_taken_by_its_form() {
        let seed = |name: &str| {
            let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/custody_forms");
            std::fs::read(std::path::Path::new(seeds).join(name)).unwrap()
        };
        assert!(matches!(StorageKey::parse(&seed("plain")), Some(StorageKey::Plain(_))));
        assert!(matches!(StorageKey::parse(&seed("key_file")), Some(StorageKey::KeyFile(_))));
        assert!(matches!(StorageKey::parse(&seed("share")), Some(StorageKey::Share(..))));
        assert!(key_on_medium(&seed("medium")).is_some());
        assert!(kept_head(&seed("head")).is_some());
        let secrets = TierSecrets::from_bytes(Zeroizing::new(seed("tier_secrets"))).unwrap();
        assert!(secrets.identity().is_some() && secrets.sealing_key().is_some());
        assert_eq!(KeptVolume::from_bytes(&seed("volume")).map(|volume| volume.path.len()), Some(3));
        let names = String::from_utf8(seed("names")).unwrap();
        assert_eq!(names.lines().filter_map(names::parse_name).count(), 6);
        assert_eq!(names.lines().filter(|name| names::hides(name)).count(), 8);
    }
}
