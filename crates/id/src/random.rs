//! Ids that are 128 random bits, written as 32 lower-case hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;

use crate::text::{Malformed, serde_as_text};

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id made of these bytes; drawing them is the caller's part.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                HEXLOWER
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or_else(|| Malformed::new(text, $expected))
            }
        }

        serde_as_text!($name);
    };
}

random_id!(
    /// One party's layer of rights on one node; the node draws it when the lease is made
    /// (PROTOCOL, "Tier").
    TierId,
    "a tier id (32 hexadecimal digits)"
);
random_id!(
    /// One lease: the edge from a granting tier to the granted one; for the root, its enrolment.
    LeaseId,
    "a lease id (32 hexadecimal digits)"
);
random_id!(
    /// A number that a node gives out to be used in one order, so that no clock is needed.
    Nonce,
    "a nonce (32 hexadecimal digits)"
);
