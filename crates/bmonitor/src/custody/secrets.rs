//! A tier's secrets of an epoch, drawn.

use std::io;

use keys::OpeningKey;
use zeroize::Zeroizing;

use super::forms::{TIER_SECRETS_BYTES, TierSecrets};
use super::store::StoreError;

impl TierSecrets {
    /// New ones. The opening key is drawn by the library, the others by the caller.
    pub(super) fn draw(random: impl Fn() -> io::Result<[u8; 32]>) -> Result<Self, StoreError> {
        let opening = OpeningKey::generate().map_err(|_failed| StoreError::Library)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(TIER_SECRETS_BYTES));
        for _ in 0..2 {
            bytes.extend_from_slice(&*Zeroizing::new(random().map_err(StoreError::Random)?));
        }
        bytes.extend_from_slice(opening.secret().as_slice());
        Self::from_bytes(bytes).ok_or(StoreError::Library)
    }
}
