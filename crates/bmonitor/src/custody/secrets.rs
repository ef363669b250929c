//! What custody keeps for a tier in one epoch: in `TIER.EPOCH.secret` its identity U, the key that orders are
//! sealed for, its secret K of the key schedule; in `TIER.EPOCH.salt` the erase salt S of its volume.

use std::io;

use keys::{OPENING_SECRET_BYTES, OpeningKey, SECRET_BYTES, SealingKey, SigningKey};
use zeroize::Zeroizing;

use super::store::StoreError;

/// U's seed, K, then the opening secret.
const BYTES: usize = 2 * SECRET_BYTES + OPENING_SECRET_BYTES;

/// A tier's secrets of an epoch.
pub(super) struct TierSecrets(Zeroizing<Vec<u8>>);

impl TierSecrets {
    /// New ones. The opening key is drawn by the library, the others by the caller.
    pub(super) fn draw(random: impl Fn() -> io::Result<[u8; 32]>) -> Result<Self, StoreError> {
        let opening = OpeningKey::generate().map_err(|_failed| StoreError::Library)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES));
        for _ in 0..2 {
            bytes.extend_from_slice(&*Zeroizing::new(random().map_err(StoreError::Random)?));
        }
        bytes.extend_from_slice(opening.secret().as_slice());
        Ok(Self(bytes))
    }

    /// Those of a file's content, which was sealed.
    pub(super) fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        (bytes.len() == BYTES).then_some(Self(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same without what data is encrypted under: for before the store is open.
    pub(super) fn early(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = self.0.clone();
        bytes.iter_mut().skip(SECRET_BYTES).take(SECRET_BYTES).for_each(|byte| *byte = 0);
        bytes
    }

    /// U.
    pub(super) fn identity(&self) -> Option<SigningKey> {
        SigningKey::from_seed(self.0.first_chunk()?).ok()
    }

    /// K, the tier's part in the keys of its own volumes and of all below it.
    pub(super) fn share(&self) -> &[u8] {
        self.0.get(SECRET_BYTES..2 * SECRET_BYTES).unwrap_or_default()
    }

    /// What orders are sealed for.
    pub(super) fn opening_key(&self) -> Option<OpeningKey> {
        OpeningKey::from_secret(self.0.get(2 * SECRET_BYTES..)?.try_into().ok()?).ok()
    }

    /// The public half of that.
    pub(super) fn sealing_key(&self) -> Option<SealingKey> {
        Some(self.opening_key()?.public().clone())
    }
}
