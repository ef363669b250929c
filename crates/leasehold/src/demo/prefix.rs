//! What the names of a demo's network namespaces begin with, so that several demos run side by side.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Paths of unix sockets, and names of network links, are short.
const LENGTH_MAX: usize = 8;

/// One to eight letters and digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prefix(String);

impl Prefix {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Where a running demo keeps its parties' keys and says where its nodes listen.
    pub(crate) fn folder(&self) -> PathBuf {
        PathBuf::from(format!("/run/leasehold-demo-{self}"))
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("lh".to_owned())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Prefix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_one = (1..=LENGTH_MAX).contains(&text.len())
            && text.bytes().all(plain)
            && text.starts_with(|first: char| first.is_ascii_lowercase());
        if is_one {
            Ok(Self(text.to_owned()))
        } else {
            Err("a letter, then at most seven letters and digits")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_short_plain_word() {
        for wrong in ["", "9a", "a-b", "ABC", "a/b", "..", "a b", "abcdefghi"] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
        }
        let parsed: Prefix = "t0123456".parse().unwrap();
        assert_eq!(parsed.folder(), PathBuf::from("/run/leasehold-demo-t0123456"));
        assert_eq!(Prefix::default(), "lh".parse().unwrap());
    }
}
