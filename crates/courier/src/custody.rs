//! The holder of the tier's identity: a socket to custody, which signs handshakes on it.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use channel::{Sign, SignFailed};
use id::PublicKey;
use node_protocol::signing::{SIGNATURE_BYTES, Transcript};
use tokio::sync::Notify;

/// How long custody may take. Until then this process does nothing else.
const PATIENCE: Duration = Duration::from_secs(2);

/// Signs by asking custody. After a failure the socket has no meaning any more (an answer may come late),
/// and the courier ends: the supervisor starts it again with another.
#[derive(Debug)]
pub(crate) struct Custody {
    socket: Mutex<UnixStream>,
    identity: PublicKey,
    refused: Arc<Notify>,
}

impl Custody {
    /// The holder of `identity` at the other end of `socket`, and what tells of its first failure.
    pub(crate) fn new(socket: OwnedFd, identity: PublicKey) -> io::Result<(Self, Arc<Notify>)> {
        let socket = UnixStream::from(socket);
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let refused = Arc::new(Notify::new());
        Ok((Self { socket: Mutex::new(socket), identity, refused: Arc::clone(&refused) }, refused))
    }

    fn ask(&self, transcript: &Transcript) -> io::Result<[u8; SIGNATURE_BYTES]> {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        socket.write_all(&transcript.to_request())?;
        let mut signature = [0; SIGNATURE_BYTES];
        socket.read_exact(&mut signature)?;
        Ok(signature)
    }
}

impl Sign for Custody {
    fn public(&self) -> PublicKey {
        self.identity
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignFailed> {
        // Custody puts together by itself what is signed; it takes a handshake's hash and nothing else.
        let transcript = Transcript::of_message(message).ok_or(SignFailed)?;
        self.ask(&transcript).map_err(|_failed| {
            self.refused.notify_one();
            SignFailed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Custody, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        let identity = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".parse().unwrap();
        (Custody::new(here.into(), identity).unwrap().0, there)
    }

    #[test]
    fn the_hash_alone_goes_to_custody_and_the_signature_comes_back() {
        let (custody, mut there) = pair();
        there.write_all(&[9; SIGNATURE_BYTES]).unwrap();
        let transcript = Transcript::Sha384([7; 48]);
        assert_eq!(custody.sign(&transcript.message()).unwrap(), [9; SIGNATURE_BYTES]);
        let mut asked = [0; 49];
        there.read_exact(&mut asked).unwrap();
        assert_eq!(asked[..], transcript.to_request());
    }

    #[test]
    fn what_is_no_handshake_is_not_asked_for() {
        let (custody, mut there) = pair();
        assert_eq!(custody.sign(b"{\"verb\":\"sever\"}"), Err(SignFailed));
        drop(custody);
        let mut asked = Vec::new();
        there.read_to_end(&mut asked).unwrap();
        assert!(asked.is_empty());
    }

    #[test]
    fn without_custody_there_is_no_signature() {
        let (custody, there) = pair();
        drop(there);
        assert_eq!(custody.sign(&Transcript::Sha256([7; 32]).message()), Err(SignFailed));
    }
}
