//! Couriers that custody signs for. What a courier can do is fixed with its stream: it sends the hash of a
//! handshake, and gets the signature of one tier's identity of one epoch over what a TLS 1.3 client signs
//! there. One that does anything else is let go; none is waited for.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use id::{Epoch, TierId};
use node_protocol::signing::{Requests, Transcript};
use os::poll::Wanted;

/// Couriers at once; more tiers than that have none on one node.
pub(super) const SIGNERS_MAX: usize = 64;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Signers(Vec<Signer>);

#[derive(Debug)]
struct Signer {
    tier: TierId,
    epoch: Epoch,
    stream: UnixStream,
    requests: Requests,
    /// What of an answer is not taken yet; nothing is read meanwhile.
    answer: Vec<u8>,
    gone: bool,
}

impl Signers {
    /// Serves a courier from now on, on a stream that does not block: the supervisor made it so. Gives whether
    /// there was a place.
    pub(super) fn add(&mut self, tier: TierId, epoch: Epoch, stream: UnixStream) -> bool {
        let room = self.0.len() < SIGNERS_MAX;
        if room {
            let (requests, answer) = (Requests::default(), Vec::new());
            self.0.push(Signer { tier, epoch, stream, requests, answer, gone: false });
        }
        room
    }

    /// Lets go of those of a tier up to an epoch (none: all of its).
    pub(super) fn forget(&mut self, tier: TierId, last: Option<Epoch>) {
        self.0.retain(|signer| signer.tier != tier || last.is_some_and(|last| signer.epoch > last));
    }

    /// What to wait for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = (BorrowedFd<'_>, Wanted)> {
        self.0.iter().map(|signer| {
            let writes = !signer.answer.is_empty();
            (signer.stream.as_fd(), Wanted { read: !writes, write: writes })
        })
    }

    /// Reads and answers what is ready. `sign` gives no signature where the identity is gone.
    pub(super) fn turn(&mut self, sign: impl Fn(TierId, Epoch, &[u8]) -> Option<[u8; 64]>) {
        for signer in &mut self.0 {
            let (tier, epoch) = (signer.tier, signer.epoch);
            signer.turn(|message| sign(tier, epoch, message));
        }
        self.0.retain(|signer| !signer.gone);
    }
}

impl Signer {
    fn turn(&mut self, sign: impl Fn(&[u8]) -> Option<[u8; 64]>) {
        self.write();
        // One question a turn, so that a courier with many keeps nobody else waiting.
        if self.gone || !self.answer.is_empty() {
            return;
        }
        match self.read() {
            Ok(Some(transcript)) => match sign(&transcript.message()) {
                Some(signature) => self.answer.extend_from_slice(&signature),
                None => self.gone = true,
            },
            Ok(None) => {}
            Err(_nonsense) => self.gone = true,
        }
        self.write();
    }

    fn read(&mut self) -> io::Result<Option<Transcript>> {
        let nonsense = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        if let Some(waiting) = self.requests.next_request().map_err(nonsense)? {
            return Ok(Some(waiting));
        }
        let mut part = [0; 49];
        match self.stream.read(&mut part) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                self.requests.push(part.get(..length).unwrap_or_default());
                self.requests.next_request().map_err(nonsense)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self) {
        while !self.answer.is_empty() {
            match self.stream.write(&self.answer) {
                Ok(0) => self.gone = true,
                Ok(length) => drop(self.answer.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.gone = true,
            }
            if self.gone {
                return;
            }
        }
    }
}
