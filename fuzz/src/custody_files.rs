//! Custody's own files, linked here as they stand: whoever has the disk may have put anything in their place, and
//! custody may give them whatever names it likes, which the supervisor reads.

#[expect(dead_code, reason = "custody uses more of it than its parsers")]
mod forms;
#[allow(dead_code, reason = "the forms need one of its types")]
mod messages;

use zeroize::Zeroizing;

use self::forms::names::{
    file_name, hides, objects_of, parse_name, salt_of, secret_of, volume_file_name, volume_of,
};
use self::forms::{KeptVolume, StorageKey, TierSecrets, kept_head, key_file, key_on_medium};

/// Each form, and as text the names: what is taken is written to the very bytes that were read.
pub fn custody_forms(bytes: &[u8]) {
    if let Some(key) = StorageKey::parse(bytes) {
        assert_eq!(key.to_bytes().as_slice(), bytes);
    }
    if let Some(key) = key_on_medium(bytes) {
        assert_eq!(key_file(key).as_slice(), bytes);
    }
    if let Some(volume) = KeptVolume::from_bytes(bytes) {
        assert_eq!(volume.to_bytes().as_slice(), bytes);
    }
    if let Some(secrets) = TierSecrets::from_bytes(Zeroizing::new(bytes.to_vec())) {
        assert_eq!((secrets.as_bytes(), secrets.share().len()), (bytes, 32));
        let (early, has) = (secrets.early(), |secret: &[u8]| secret.iter().any(|byte| *byte != 0));
        assert!(!has(&early[32..64]), "K is left out");
        drop((secrets.identity(), secrets.sealing_key()));
    }
    if let Some(head) = kept_head(bytes) {
        let written = serde_json::to_vec(&head).expect("what was read can be written");
        assert_eq!(kept_head(&written), Some(head));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        text.lines().for_each(name);
    }
}

/// Whatever has a salt is a secret, and whatever is a secret hides; unfinished or not.
fn name(name: &str) {
    if let Some((tier, epoch, kind)) = parse_name(name) {
        assert_eq!(parse_name(&file_name(tier, epoch, kind)), Some((tier, epoch, kind)));
    }
    if let Some((tier, epoch, number)) = volume_of(name) {
        assert_eq!(volume_of(&volume_file_name(tier, epoch, number)), Some((tier, epoch, number)));
        assert_eq!(salt_of(name), Some((tier, epoch)));
    }
    assert!(salt_of(name).is_none() || salt_of(name) == secret_of(name));
    assert!(hides(name) || (secret_of(name).is_none() && objects_of(name).is_none()));
    if hides(name) && !name.ends_with(".new") {
        assert!(hides(&format!("{name}.new")));
    }
}
