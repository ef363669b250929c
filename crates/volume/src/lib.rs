//! The encrypted volumes of tiers. Keys go from custody to the kernel; this crate knows their ids only.
//!
//! ```text
//!            provision          attach            (custody)            open
//! absent ───────────────▶ closed ─────▶ attached ───────────▶ keyed ─────────▶ open
//!    ▲       remove          ▲                                                  │
//!    └───────────────────────┴───────────────── close ◀─────────────────────────┘
//!                              the kernel says that the key is gone
//! ```
//!
//! A volume is an image of its own: a file of a fixed size on whatever the node has for it. Whoever has the image and
//! no key has names, contents and targets of links as ciphertext; sizes, times, modes, owners and the shape of the
//! tree are seen. Values of extended attributes are *not* encrypted: nothing with meaning belongs there.
//!
//! Mounts are made in the mount namespace of the calling thread, which is to be the monitor's own.
#![forbid(unsafe_code)]

mod driver;
mod fscrypt;

pub use driver::{Driver, Place, Status, VolumeError};
pub use fscrypt::{Fscrypt, Room};
pub use os::fscrypt::{KEY_BYTES, KeyId};
pub use os::space::Space;
