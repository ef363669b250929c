//! The key schedule: a volume's data key is wrapped under a key that all tiers above the data make together.
//!
//! ```text
//! c0     = S                                            the volume's erase salt, which never leaves custody
//! ci     = HKDF-SHA-256(salt = c(i-1), ikm = Ki, info = label ‖ node ‖ i ‖ n ‖ tier ‖ epoch), root first
//! header = AES-256-KW(cn, data key)                     may lie about: without S nobody opens it
//! ```
//!
//! Every part of `info` has its length before it; `Ki` is tier i's secret in its present epoch, and the nth tier
//! is the one whose data it is. No tier opens the header without all the others, and one way only leads
//! through the chain, so that a tier learns nothing of another's secret.
//!
//! S is what makes erasure hold: once it is replaced, all tier secrets of all epochs, the present S and
//! every old header together open nothing of what was (the tests say so, and what happens without it).
//! What the library leaves of S in memory, decision 15 speaks of.
//! *Keep* replaces S as well, so that old headers die; but whoever once had the data key still has it.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use id::{Epoch, NodeId, TierId};
use thiserror::Error;
use zeroize::Zeroizing;

/// The length of every secret here.
pub const SECRET_BYTES: usize = 32;

/// The length of a wrapped data key: AES-KW adds 8 bytes.
pub const HEADER_BYTES: usize = SECRET_BYTES + 8;

/// The most tiers from the root to the data; `tenure` grants no longer path.
pub const SHARES_MAX: usize = 32;

/// The length of what the kernel is given for a volume.
pub const KERNEL_KEY_BYTES: usize = 64;

const KERNEL_LABEL: &[u8] = b"leasehold volume in the kernel 1";
const LABEL: &[u8] = b"leasehold volume key 1";

type Bytes = Zeroizing<[u8; SECRET_BYTES]>;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// It is wiped when it is dropped, and cannot be printed, copied or compared.
        ///
        /// ```compile_fail,E0277
        #[doc = concat!("let secret = keys::", stringify!($name), "::from_bytes(&[0; 32]);")]
        /// println!("{secret:?}");
        /// ```
        pub struct $name(Bytes);

        impl $name {
            /// A secret from its bytes; the caller draws them and wipes its own.
            #[must_use]
            pub fn from_bytes(bytes: &[u8; SECRET_BYTES]) -> Self {
                Self(Zeroizing::new(*bytes))
            }

            /// The bytes, for custody's store and for the kernel.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; SECRET_BYTES] {
                &self.0
            }
        }
    };
}

secret!(
    /// `Ki`: what a tier gives to the keys of its own volumes and of all below it, one for each epoch.
    TierSecret
);
secret!(
    /// `S`: one for each volume, replaced whenever its header is.
    EraseSalt
);
secret!(
    /// What a volume's content is encrypted under.
    DataKey
);

impl DataKey {
    /// What the kernel is given: as long as any of its ciphers wants, and of no use for anything else.
    #[must_use]
    pub fn for_the_kernel(&self) -> Zeroizing<[u8; KERNEL_KEY_BYTES]> {
        struct Length;
        impl KeyType for Length {
            fn len(&self) -> usize {
                KERNEL_KEY_BYTES
            }
        }
        let mut key = Zeroizing::new([0; KERNEL_KEY_BYTES]);
        let derived = Salt::new(HKDF_SHA256, &[]).extract(self.as_bytes());
        derived
            .expand(&[KERNEL_LABEL], Length)
            .and_then(|expanded| expanded.fill(key.as_mut_slice()))
            .expect("64 bytes are twice the length of SHA-256");
        key
    }
}

/// A tier on the path from the root to the data.
pub struct Share<'a> {
    /// Which.
    pub tier: TierId,
    /// The epoch of its secret.
    pub epoch: Epoch,
    /// Its secret.
    pub secret: &'a TierSecret,
}

/// A path is of one to [`SHARES_MAX`] tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a volume's path has 1 to {SHARES_MAX} tiers, not {0}")]
pub struct WrongPath(pub usize);

/// Why a volume was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotUnwrapped {
    /// No path.
    #[error(transparent)]
    Path(WrongPath),
    /// The salt, a secret, an epoch, the node or the path is another one, or the header was changed.
    #[error("the header does not open with these keys")]
    OtherKeys,
}

/// What a volume's header and salt are while nobody has them open.
pub struct Locked {
    salt: EraseSalt,
    header: [u8; HEADER_BYTES],
}

impl Locked {
    /// A data key behind the secrets of a path. Whoever makes it draws a salt that was never used.
    ///
    /// # Errors
    /// [`WrongPath`].
    pub fn new(node: NodeId, path: &[Share<'_>], salt: EraseSalt, data: &DataKey) -> Result<Self, WrongPath> {
        let key = derive(node, path, &salt)?;
        let mut header = [0; HEADER_BYTES];
        AesKek::new(&AES_256, key.as_slice())
            .and_then(|key| key.wrap(data.as_bytes(), &mut header).map(drop))
            .expect("32 bytes under a key of 32 bytes are what AES-256-KW takes");
        Ok(Self { salt, header })
    }

    /// What was kept: the salt by custody, the header anywhere.
    #[must_use]
    pub const fn from_parts(salt: EraseSalt, header: [u8; HEADER_BYTES]) -> Self {
        Self { salt, header }
    }

    /// The salt, for custody's store alone.
    #[must_use]
    pub const fn salt(&self) -> &EraseSalt {
        &self.salt
    }

    /// The header, which is no secret.
    #[must_use]
    pub const fn header(&self) -> &[u8; HEADER_BYTES] {
        &self.header
    }

    /// The data key.
    ///
    /// # Errors
    /// [`NotUnwrapped`].
    pub fn open(&self, node: NodeId, path: &[Share<'_>]) -> Result<DataKey, NotUnwrapped> {
        let key = derive(node, path, &self.salt).map_err(NotUnwrapped::Path)?;
        let mut data: Bytes = Zeroizing::new([0; SECRET_BYTES]);
        AesKek::new(&AES_256, key.as_slice())
            .and_then(|key| key.unwrap(&self.header, data.as_mut_slice()).map(drop))
            .map_err(|_other| NotUnwrapped::OtherKeys)?;
        Ok(DataKey(data))
    }

    /// *Rotate and keep*: the same data behind other secrets and another salt. Revokes nothing from whoever
    /// had the data key.
    ///
    /// # Errors
    /// [`NotUnwrapped`] if it does not open with the old path, or the new one is none; nothing is lost then.
    pub fn kept(
        &self,
        node: NodeId,
        old: &[Share<'_>],
        new: &[Share<'_>],
        salt: EraseSalt,
    ) -> Result<Self, NotUnwrapped> {
        Self::new(node, new, salt, &self.open(node, old)?).map_err(NotUnwrapped::Path)
    }

    /// *Rotate and erase*: other data behind other secrets and another salt. The old salt is wiped here; that
    /// it goes from the medium first is custody's part.
    ///
    /// # Errors
    /// [`WrongPath`]. The old volume is gone all the same.
    pub fn erased(
        self,
        node: NodeId,
        path: &[Share<'_>],
        salt: EraseSalt,
        data: &DataKey,
    ) -> Result<Self, WrongPath> {
        drop(self);
        Self::new(node, path, salt, data)
    }
}

/// The key that wraps the data key.
fn derive(node: NodeId, path: &[Share<'_>], salt: &EraseSalt) -> Result<Bytes, WrongPath> {
    if path.is_empty() || path.len() > SHARES_MAX {
        return Err(WrongPath(path.len()));
    }
    let mut chain: Bytes = salt.0.clone();
    for (share, place) in path.iter().zip(1_u64..) {
        let info = info(node, place, path.len() as u64, share);
        let salt = Salt::new(HKDF_SHA256, chain.as_slice());
        salt.extract(share.secret.as_bytes())
            .expand(&[&info], HKDF_SHA256)
            .and_then(|expanded| expanded.fill(chain.as_mut_slice()))
            .expect("32 bytes are the length of one SHA-256");
    }
    Ok(chain)
}

fn info(node: NodeId, place: u64, places: u64, share: &Share<'_>) -> Vec<u8> {
    let parts: [&[u8]; 6] = [
        LABEL,
        node.0.as_bytes(),
        &place.to_be_bytes(),
        &places.to_be_bytes(),
        share.tier.as_bytes(),
        &share.epoch.get().to_be_bytes(),
    ];
    let with_length = |part: &&[u8]| [&(part.len() as u64).to_be_bytes(), *part].concat();
    parts.iter().flat_map(with_length).collect()
}
