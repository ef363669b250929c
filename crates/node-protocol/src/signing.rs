//! What a courier asks of custody: one signature a handshake, over its own socket to custody.
//!
//! ```text
//! request   1 byte: 32 or 48, then as many bytes: the hash of the handshake so far
//! answer    64 bytes: the signature
//! ```
//!
//! The courier sends the hash alone, and custody itself puts in front of it what TLS 1.3 wants there (RFC 8446
//! §4.4.3). So nothing that is signed here can ever be read as an order, a statement, a server's handshake
//! or anything else. Whose identity signs is fixed with the socket. Custody refuses by closing it.

use thiserror::Error;

/// The length of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// What stands before the hash in what a TLS 1.3 client signs: 64 spaces, the context, a zero.
const CONTEXT: &[u8; 33] = b"TLS 1.3, client CertificateVerify";
const SPACES: usize = 64;
const BEFORE: usize = SPACES + CONTEXT.len() + 1;

/// The hash of a handshake up to the client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transcript {
    /// Of a cipher suite with SHA-256.
    Sha256([u8; 32]),
    /// Of a cipher suite with SHA-384.
    Sha384([u8; 48]),
}

/// A request of another shape: the socket has no more meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a request to sign begins with {0}, which is the length of no hash")]
pub struct NoRequest(pub u8);

impl Transcript {
    /// The hash in what a TLS client is about to sign; none if it is anything else.
    #[must_use]
    pub fn of_message(message: &[u8]) -> Option<Self> {
        let (before, hash) = message.split_at_checked(BEFORE)?;
        let transcript = Self::from_hash(hash)?;
        (before == Self::before()).then_some(transcript)
    }

    /// Exactly what is to be signed.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let mut message = Self::before();
        message.extend_from_slice(self.hash());
        message
    }

    /// The bytes that ask for the signature.
    #[must_use]
    pub fn to_request(&self) -> Vec<u8> {
        let length = match self {
            Self::Sha256(_) => 32,
            Self::Sha384(_) => 48,
        };
        let mut request = vec![length];
        request.extend_from_slice(self.hash());
        request
    }

    fn from_hash(hash: &[u8]) -> Option<Self> {
        match hash.len() {
            32 => hash.try_into().ok().map(Self::Sha256),
            48 => hash.try_into().ok().map(Self::Sha384),
            _ => None,
        }
    }

    const fn hash(&self) -> &[u8] {
        match self {
            Self::Sha256(hash) => hash,
            Self::Sha384(hash) => hash,
        }
    }

    fn before() -> Vec<u8> {
        let mut before = vec![b' '; SPACES];
        before.extend_from_slice(CONTEXT);
        before.push(0);
        before
    }
}

/// Puts requests together from whatever parts arrive. It never holds more than one and what came in one
/// [`Self::push`]; after an error it gives that error for ever.
#[derive(Debug, Default)]
pub struct Requests {
    bytes: Vec<u8>,
}

impl Requests {
    /// Takes bytes that have arrived. The caller reads no more before [`Self::next_request`] has nothing to
    /// give.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole request, if it has arrived.
    ///
    /// # Errors
    /// [`NoRequest`], as soon as the length has arrived.
    pub fn next_request(&mut self) -> Result<Option<Transcript>, NoRequest> {
        let Some((&length, rest)) = self.bytes.split_first() else { return Ok(None) };
        if !matches!(length, 32 | 48) {
            return Err(NoRequest(length));
        }
        let Some(hash) = rest.get(..usize::from(length)) else { return Ok(None) };
        let transcript = Transcript::from_hash(hash);
        self.bytes.drain(..=usize::from(length));
        Ok(transcript)
    }
}
