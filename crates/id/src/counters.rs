//! Numbers that only grow. All stay below 2^53, so that every JSON reader keeps them exact (PROTOCOL, "Order").

use std::fmt;

use serde::{Deserialize, Serialize};

/// The largest integer in any message: 2^53 - 1.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(try_from = "u64")]
        pub struct $name(u64);

        impl $name {
            /// The number, or nothing if it is past [`INTEGER_MAX`].
            #[must_use]
            pub const fn new(number: u64) -> Option<Self> {
                if number <= INTEGER_MAX { Some(Self(number)) } else { None }
            }

            /// The plain number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The next one, or nothing at the end of the range: then nothing more is accepted.
            #[must_use]
            pub const fn next(self) -> Option<Self> {
                Self::new(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl TryFrom<u64> for $name {
            type Error = &'static str;

            fn try_from(number: u64) -> Result<Self, Self::Error> {
                Self::new(number).ok_or("a number below 2^53 is wanted")
            }
        }
    };
}

counter!(
    /// Counts a tier's key sets. Never goes back in a node's life.
    Epoch
);
counter!(
    /// Counts the orders of one controller key. Strictly grows for a node's life.
    Sequence
);
counter!(
    /// Counts the policies loaded into a realm's data path.
    Generation
);
