//! The names of custody's files. The supervisor reads them, too, and custody may have made whatever it likes.

use id::{Epoch, TierId};

pub(crate) const NODE_KEY: &str = "node.key";
pub(crate) const HEAD: &str = "journal.head";
pub(crate) const SECRET: &str = "secret";
pub(crate) const SALT: &str = "salt";
pub(crate) const EARLY: &str = "early";
pub(crate) const COMMITMENT: &str = "commitment";
pub(crate) const OBJECTS: &str = "objects";
pub(crate) const VOLUME: &str = "volume";
pub(crate) const UNFINISHED: &str = "new";

/// Whether a file of that name is sealed, finished or not.
pub(crate) fn hides(name: &str) -> bool {
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
pub(crate) fn secret_of(name: &str) -> Option<(TierId, Epoch)> {
    let (tier, epoch, kind) = parse_name(finished(name))?;
    (!is_commitment(kind)).then_some((tier, epoch))
}

/// Of which tier and epoch a file of that name is a salt, a volume's too, finished or not.
pub(crate) fn salt_of(name: &str) -> Option<(TierId, Epoch)> {
    let (tier, epoch, kind) = parse_name(finished(name))?;
    (kind == SALT || volume_number(kind, VOLUME).is_some()).then_some((tier, epoch))
}

/// Of which volume a file of that name has the salt, finished or not.
pub(crate) fn volume_of(name: &str) -> Option<(TierId, Epoch, u64)> {
    let (tier, epoch, kind) = parse_name(finished(name))?;
    Some((tier, epoch, volume_number(kind, VOLUME)?))
}

pub(crate) fn volume_file_name(tier: TierId, epoch: Epoch, number: u64) -> String {
    format!("{tier}.{epoch}.{number}.{VOLUME}")
}

pub(crate) fn volume_commitment_name(tier: TierId, epoch: Epoch, number: u64) -> String {
    format!("{tier}.{epoch}.{number}.{COMMITMENT}")
}

pub(crate) fn is_commitment(kind: &str) -> bool {
    kind == COMMITMENT || volume_number(kind, COMMITMENT).is_some()
}

/// The number in `NUMBER.KIND`.
fn volume_number(kind: &str, wanted: &str) -> Option<u64> {
    let text = kind.strip_suffix(wanted)?.strip_suffix('.')?;
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// Of which tier a file of that name has the objects' key, finished or not. It lives as long as the tier.
pub(crate) fn objects_of(name: &str) -> Option<TierId> {
    finished(name).strip_suffix(OBJECTS)?.strip_suffix('.')?.parse().ok()
}

pub(crate) fn file_name(tier: TierId, epoch: Epoch, kind: &str) -> String {
    format!("{tier}.{epoch}.{kind}")
}

pub(crate) fn parse_name(name: &str) -> Option<(TierId, Epoch, &str)> {
    let (tier, rest) = name.split_once('.')?;
    let (epoch, kind) = rest.split_once('.')?;
    let of_volume = [VOLUME, COMMITMENT].iter().any(|wanted| volume_number(kind, wanted).is_some());
    let known = of_volume || [SECRET, SALT, EARLY, COMMITMENT].contains(&kind);
    let epoch = epoch.parse().ok().and_then(Epoch::new)?;
    known.then_some((tier.parse().ok()?, epoch, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_none_hide_nothing_and_a_secret_is_seen_in_each_form() {
        let tier = TierId::from_bytes([0; 16]).to_string();
        for secret in ["1.secret", "1.secret.new", "9007199254740991.salt", "3.early", "2.7.volume"] {
            let name = format!("{tier}.{secret}");
            assert!(secret_of(&name).is_some() && hides(&name), "{name}");
        }
        let over = format!("{tier}.9007199254740992.secret");
        let long = "x".repeat(100_000);
        let nul = format!("{tier}.1.secret\0");
        let number = format!("{tier}.1.+7.volume");
        let half = format!("{}.1.secret", &tier[1..]);
        for none in ["", ".", "..", "...", "new", ".new", "a.b.c", &*long, &*over, &*nul, &*number, &*half] {
            assert_eq!(parse_name(none), None, "{none}");
            assert!(!hides(none) && salt_of(none).is_none() && objects_of(none).is_none(), "{none}");
        }
    }
}
