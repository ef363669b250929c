//! Who signs a handshake. The process with the network need not be the one with the key.

use std::fmt::Debug;

use id::PublicKey;
use thiserror::Error;

/// One key of one side, which signs handshakes.
pub trait Sign: Debug + Send + Sync {
    /// The public half.
    fn public(&self) -> PublicKey;

    /// Signs a handshake: Ed25519 over exactly `message`. It is called on the thread that does the handshake,
    /// and must come back soon whatever happens.
    ///
    /// # Errors
    /// [`SignFailed`]: the handshake fails.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignFailed>;
}

/// There is no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the holder of the key does not sign")]
pub struct SignFailed;

/// TLS could not be set up: of the library's own making, and the same each time.
#[derive(Debug, Error)]
#[error("TLS cannot be set up")]
pub struct NotSetUp(#[from] rustls::Error);
