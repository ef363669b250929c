//! What is remembered of leased addresses over a start of the supervisor.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use id::{Name, Time};
use serde::{Deserialize, Serialize};

use super::Who;

/// The longest file.
pub(crate) const BYTES_MAX: u64 = 256 * 1024;

/// What outlives the supervisor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    pub(crate) leases: Vec<Held>,
    /// The addresses that realms were made with.
    pub(crate) built: BTreeMap<Name, Vec<(IpAddr, u8)>>,
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Held {
    pub(crate) who: Who,
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
    pub(crate) router: Option<Ipv4Addr>,
    pub(crate) until: Time,
}

impl Kept {
    /// What a file says; nothing where it is no such file, or speaks of networks that there are not.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let kept: Self = serde_json::from_slice(bytes).ok()?;
        let mut whose = BTreeSet::new();
        let leased = kept.leases.iter().all(|held| (1..=32).contains(&held.prefix) && whose.insert(held.who));
        let built = kept.built.values().flatten().all(|(address, prefix)| match address {
            IpAddr::V4(_) => *prefix <= 32,
            IpAddr::V6(_) => *prefix <= 128,
        });
        (leased && built).then_some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_none_is_as_good_as_none() {
        let lease = r#"{"who":"node","address":"10.0.0.7","prefix":16,"router":null,"until":"2026-11-23T21:00:00.000Z"}"#;
        let file = |leases: &str, built: &str| format!("{{\"leases\":[{leases}],\"built\":{{{built}}}}}");
        let right = file(lease, r#""t1":[["10.1.0.7",16],["fd00::7",64]]"#);
        let kept = Kept::parse(right.as_bytes()).unwrap();
        assert_eq!((kept.leases.len(), kept.built.len()), (1, 1));
        for wrong in [
            file(&lease.replace("16", "0"), ""),
            file(&lease.replace("16", "33"), ""),
            file(&lease.replace("16", "272"), ""),
            file(&lease.replace("16", "-1"), ""),
            file(&lease.replace("16", "\"16\""), ""),
            file(&lease.replace("10.0.0.7", "fd00::7"), ""),
            file(&lease.replace("10.0.0.7", "10.0.0.7\\u0000"), ""),
            file(&lease.replace("2026", "99999999999999999999"), ""),
            file(&lease.replace("\"who\"", "\"more\":1,\"who\""), ""),
            file(&lease.replace("null", "[[[[]]]]"), ""),
            file(&format!("{lease},{lease}"), ""),
            file(lease, r#""t1":[["10.1.0.7",33]]"#),
            file(lease, r#""t1":[["fd00::7",129]]"#),
            file(lease, r#""T 1":[]"#),
            format!("{right}{right}"),
            format!("{right}\0"),
            format!("{{\"leases\":{}", "[".repeat(100_000)),
            String::new(),
        ] {
            assert_eq!(Kept::parse(wrong.as_bytes()), None, "{}", &wrong[..wrong.len().min(200)]);
        }
    }
}
