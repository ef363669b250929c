//! Names of nodes, tiers, clusters and groups, as people and interfaces show them.

use std::fmt;
use std::str::FromStr;

use crate::text::{Malformed, serde_as_text};

/// 1 to 32 characters of `a`-`z`, `0`-`9` and `-`, neither first nor last a `-`: safe in file names,
/// in namespace names and on a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let right = (1..=32).contains(&text.len())
            && text.chars().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if right {
            Ok(Self(text.to_owned()))
        } else {
            Err(Malformed::new(text, "a name (1 to 32 of a-z, 0-9 and -, no - at either end)"))
        }
    }
}

serde_as_text!(Name);
