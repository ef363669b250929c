//! The clients of the socket. Nobody is waited for: what a client does not send or take in time is dropped.

#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use node_protocol::call::{Answer, Call, Refused, code};
use node_protocol::{Decoder, encode};
use os::clock::boot;
use os::poll::Wanted;

/// Clients at once; another waits until one of these is done or out of time.
const CLIENTS_MAX: usize = 16;
/// How long a client may take for a whole call, and for taking its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may wait for the node to settle.
const SETTLING_PATIENCE: Duration = Duration::from_secs(120);
/// Clients accepted in one turn: whoever connects without end, allowed or not, holds up nothing else.
const ACCEPTED_A_TURN: usize = CLIENTS_MAX;
/// Bytes read from one client in one turn.
const READ_A_TURN: usize = 256 * 1024;

/// One client.
#[derive(Debug)]
struct Client {
    stream: UnixStream,
    decoder: Decoder,
    answer: Vec<u8>,
    /// Tells it from all that came before.
    id: u64,
    /// It asked to be answered when the node has settled.
    waits: bool,
    /// Its call is under way, and nothing more is read meanwhile.
    busy: bool,
    deadline: Duration,
    gone: bool,
}

/// All clients, and the socket where they come from.
#[derive(Debug)]
pub(super) struct Connections {
    listener: UnixListener,
    allowed: Vec<u32>,
    clients: Vec<Client>,
    last: u64,
}

/// A call of a client that is not answered yet.
#[derive(Debug)]
pub(super) struct Asked {
    client: usize,
    pub(super) call: Call,
    pub(super) attachment: Vec<u8>,
}

impl Connections {
    /// Serves a listening socket that does not block; `allowed` are the uids beside 0.
    pub(super) fn new(listener: UnixListener, allowed: Vec<u32>) -> Self {
        Self { listener, allowed, clients: Vec::new(), last: 0 }
    }

    /// What to wait for.
    pub(super) fn descriptors(&self) -> Vec<(BorrowedFd<'_>, Wanted)> {
        // One whose call is under way is not looked at, so that its end is not seen over and over.
        let clients = self.clients.iter().filter(|client| !client.busy).map(|client| {
            let writes = !client.answer.is_empty();
            (client.stream.as_fd(), Wanted { read: !writes, write: writes })
        });
        let listener = (self.clients.len() < CLIENTS_MAX).then(|| (self.listener.as_fd(), Wanted::READ));
        listener.into_iter().chain(clients).collect()
    }

    /// How long until a client's time is over.
    pub(super) fn wake_in(&self) -> Option<Duration> {
        self.clients.iter().map(|client| client.deadline).min().map(|at| at.saturating_sub(boot()))
    }

    /// Reads and writes what is ready, accepts. Gives the whole calls that have arrived, one a client.
    pub(super) fn turn(&mut self) -> Vec<Asked> {
        let mut asked = Vec::new();
        let mut kept = Vec::new();
        for mut client in std::mem::take(&mut self.clients) {
            client.write();
            let call = client.read();
            // Whose whole call is here was in time: it may be this process that had no time to look.
            client.gone |= call.is_none() && client.deadline <= boot();
            match call {
                Some((call, attachment)) => {
                    asked.push(Asked { client: kept.len(), call, attachment });
                    kept.push(client);
                }
                None if client.gone => {}
                None => kept.push(client),
            }
        }
        self.clients = kept;
        self.accept();
        asked
    }

    /// Forgets the clients that are gone. To be called when every call of the turn is answered.
    pub(super) fn sweep(&mut self) {
        self.clients.retain(|client| !client.gone);
    }

    /// Answers a call.
    pub(super) fn answer(&mut self, asked: &Asked, answer: &Answer, attachment: &[u8]) {
        if let Some(client) = self.clients.get_mut(asked.client) {
            client.reply(answer, attachment);
        }
    }

    /// The client is answered when the node has settled.
    pub(super) fn park(&mut self, asked: &Asked) {
        if let Some(client) = self.clients.get_mut(asked.client) {
            client.waits = true;
            client.deadline = boot() + SETTLING_PATIENCE;
        }
    }

    /// What the client is called that asked.
    pub(super) fn id(&self, asked: &Asked) -> u64 {
        self.clients.get(asked.client).map_or(0, |client| client.id)
    }

    /// The client is answered when its call is done.
    pub(super) fn busy(&mut self, asked: &Asked) {
        if let Some(client) = self.clients.get_mut(asked.client) {
            client.busy = true;
            client.deadline = boot() + SETTLING_PATIENCE;
        }
    }

    /// Answers a client whose call was under way, if it is still there.
    pub(super) fn answer_later(&mut self, id: u64, answer: &Answer) {
        if let Some(client) = self.clients.iter_mut().find(|client| client.id == id) {
            client.busy = false;
            client.reply(answer, &[]);
        }
    }

    pub(super) fn somebody_waits(&self) -> bool {
        self.clients.iter().any(|client| client.waits)
    }

    /// Answers all that wait for the node to settle.
    pub(super) fn answer_waiting(&mut self, answer: &Answer) {
        for client in self.clients.iter_mut().filter(|client| client.waits) {
            client.waits = false;
            client.reply(answer, &[]);
        }
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTED_A_TURN {
            if self.clients.len() >= CLIENTS_MAX {
                return;
            }
            let Ok((stream, _address)) = self.listener.accept() else { return };
            // Who is not allowed sees the connection close.
            let allowed = os::peer::uid(&stream).is_ok_and(|uid| uid == 0 || self.allowed.contains(&uid));
            if allowed && stream.set_nonblocking(true).is_ok() {
                self.last += 1;
                self.clients.push(Client {
                    id: self.last,
                    busy: false,
                    stream,
                    decoder: Decoder::default(),
                    answer: Vec::new(),
                    waits: false,
                    deadline: boot() + PATIENCE,
                    gone: false,
                });
            }
        }
    }
}

impl Client {
    /// Reads on; gives a call when one is whole. While an answer is under way nothing more is read.
    fn read(&mut self) -> Option<(Call, Vec<u8>)> {
        if !self.answer.is_empty() || self.gone || self.busy {
            return None;
        }
        let mut part = [0; 32 * 1024];
        let mut taken = 0;
        loop {
            match self.decoder.frame() {
                Ok(Some(frame)) if !self.waits => match frame.message::<Call>() {
                    Ok(call) => return Some((call, frame.attachment)),
                    Err(error) => self.refuse(&crate::failure::chain(&error)),
                },
                // A client that waits has nothing to say.
                Ok(Some(_)) => self.gone = true,
                Ok(None) => {}
                Err(error) => self.refuse(&error.to_string()),
            }
            if self.gone || !self.answer.is_empty() || taken >= READ_A_TURN {
                return None;
            }
            match self.stream.read(&mut part) {
                Ok(0) => self.gone = true,
                Ok(length) => {
                    taken += length;
                    self.decoder.push(part.get(..length).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.gone = true,
            }
        }
    }

    fn reply(&mut self, answer: &Answer, attachment: &[u8]) {
        match encode(answer, attachment) {
            Ok(bytes) => {
                self.answer = bytes;
                self.deadline = boot() + PATIENCE;
                self.write();
            }
            Err(_too_long) => self.gone = true,
        }
    }

    /// What cannot be understood is answered once; the stream has no meaning after that.
    fn refuse(&mut self, why: &str) {
        let refused = Refused {
            code: code::MALFORMED_MESSAGE.to_owned(),
            exit: 2,
            message: why.to_owned(),
            hint: None,
            details: None,
        };
        self.reply(&Answer::Refused(refused), &[]);
        self.gone = true;
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
