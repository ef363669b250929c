//! A process in some network namespace, seen from the lab: it listens and talks when told to, with
//! ordinary sockets.

pub(crate) mod wire;

use std::io::BufReader;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use os::poll::{Wanted, wait};

use self::wire::{Answer, Ask, Heard, Probed, Streamed, Target, Transport};
use crate::failed::{Act, Failed};
use crate::line;
use crate::role::Role;

/// How long an engine may take to start, and to answer beyond what it was asked to wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that talks to the network for the lab.
#[derive(Debug)]
pub struct Host {
    name: String,
    stream: Mutex<BufReader<UnixStream>>,
    /// Set when the lab itself started it.
    child: Option<Child>,
}

impl Host {
    /// Starts one outside of all nodes.
    pub(crate) fn start_here(name: &str, namespace: &Path, folder: &Path) -> Result<Self, Failed> {
        let act = || format!("start the engine {name:?}");
        let socket = folder.join(format!("{name}.sock"));
        let listener = UnixListener::bind(&socket).act(act)?;
        let mut command = Role::Engine.command();
        command.arg(namespace).arg(&socket).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().act(act)?;
        let mut host = Self::accept(name, &listener, &socket)?;
        host.child = Some(child);
        Ok(host)
    }

    /// Waits for an engine that was started to connect to `socket`.
    pub(crate) fn accept(name: &str, listener: &UnixListener, socket: &Path) -> Result<Self, Failed> {
        let act = || format!("hear from the engine {name:?}");
        if wait(&[(listener.as_fd(), Wanted::READ)], Some(PATIENCE)).act(act)? != [true] {
            return Err(Failed::new(act(), "it took too long"));
        }
        let (stream, _) = listener.accept().act(act)?;
        std::fs::remove_file(socket).act(act)?;
        Ok(Self { name: name.to_owned(), stream: Mutex::new(BufReader::new(stream)), child: None })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends back whatever comes to `port`, on all addresses that it has.
    ///
    /// # Errors
    /// When the port is taken, or the engine is gone.
    pub fn listen(&self, transport: Transport, port: u16) -> Result<(), Failed> {
        let answer = self.ask(&Ask::Listen { transport, port }, Duration::ZERO)?;
        if answer == Answer::Done { Ok(()) } else { Err(self.odd(&answer)) }
    }

    /// What came to the ports it listens on.
    ///
    /// # Errors
    /// When the engine is gone.
    pub fn heard(&self) -> Result<Vec<Heard>, Failed> {
        let answer = self.ask(&Ask::Heard, Duration::ZERO)?;
        if let Answer::Heard(heard) = answer { Ok(heard) } else { Err(self.odd(&answer)) }
    }

    /// Opens a TCP connection; gives its number, or in words why it could not.
    ///
    /// # Errors
    /// When the engine is gone.
    pub fn connect(&self, to: SocketAddr, within: Duration) -> Result<Result<usize, String>, Failed> {
        match self.ask(&Ask::Connect { to, within_ms: millis(within) }, within)? {
            Answer::Connected(connection) => Ok(Ok(connection)),
            Answer::Not(why) => Ok(Err(why)),
            other @ (Answer::Done
            | Answer::Back(_)
            | Answer::Heard(_)
            | Answer::Streamed(_)
            | Answer::Probed(_)) => Err(self.odd(&other)),
        }
    }

    /// Sends bytes over a connection and waits for them to come back; how long that took.
    ///
    /// # Errors
    /// When the engine is gone.
    pub fn exchange(&self, connection: usize, within: Duration) -> Result<Result<Duration, String>, Failed> {
        self.back(&Ask::Exchange { connection, within_ms: millis(within) }, within)
    }

    /// Sends a datagram and waits for it to come back.
    ///
    /// # Errors
    /// When the engine is gone.
    pub fn datagram(&self, to: SocketAddr, within: Duration) -> Result<Result<Duration, String>, Failed> {
        self.back(&Ask::Datagram { to, within_ms: millis(within) }, within)
    }

    /// Goes on sending over a connection from now, each byte when the one before came back.
    ///
    /// # Errors
    /// When the engine is gone.
    pub fn stream(&self, connection: usize) -> Result<(), Failed> {
        self.ask(&Ask::Stream { connection }, Duration::ZERO).map(drop)
    }

    /// How that went so far.
    ///
    /// # Errors
    /// When the engine is gone.
    pub fn streamed(&self, connection: usize) -> Result<Streamed, Failed> {
        let answer = self.ask(&Ask::Streamed { connection }, Duration::ZERO)?;
        if let Answer::Streamed(streamed) = answer { Ok(streamed) } else { Err(self.odd(&answer)) }
    }

    /// Goes on sending datagrams to each of these from now, one each `every`, answered or not.
    ///
    /// # Errors
    /// When the engine is gone, or has no socket for it.
    pub fn send(&self, to: &[SocketAddr], every: Duration) -> Result<(), Failed> {
        let every_us = u64::try_from(every.as_micros()).unwrap_or(u64::MAX);
        let answer = self.ask(&Ask::Send { to: to.to_vec(), every_us }, Duration::ZERO)?;
        if answer == Answer::Done { Ok(()) } else { Err(self.odd(&answer)) }
    }

    /// Goes on trying to reach the targets from now.
    ///
    /// # Errors
    /// When the engine is gone.
    pub fn probe(&self, targets: &[Target]) -> Result<(), Failed> {
        self.ask(&Ask::Probe { targets: targets.to_vec() }, Duration::ZERO).map(drop)
    }

    /// Ends that; what it found.
    ///
    /// # Errors
    /// When the engine is gone.
    pub fn probed(&self) -> Result<Vec<Probed>, Failed> {
        let answer = self.ask(&Ask::Probed, Duration::ZERO)?;
        if let Answer::Probed(probed) = answer { Ok(probed) } else { Err(self.odd(&answer)) }
    }

    fn back(&self, ask: &Ask, within: Duration) -> Result<Result<Duration, String>, Failed> {
        match self.ask(ask, within)? {
            Answer::Back(micros) => Ok(Ok(Duration::from_micros(micros))),
            Answer::Not(why) => Ok(Err(why)),
            other @ (Answer::Done
            | Answer::Connected(_)
            | Answer::Heard(_)
            | Answer::Streamed(_)
            | Answer::Probed(_)) => Err(self.odd(&other)),
        }
    }

    fn ask(&self, ask: &Ask, busy: Duration) -> Result<Answer, Failed> {
        let act = || format!("ask the engine {:?}", self.name);
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.get_ref().set_read_timeout(Some(PATIENCE + busy)).act(act)?;
        line::send(stream.get_ref(), ask).act(act)?;
        let answer = line::receive(&mut *stream).act(act)?;
        answer.ok_or("it has ended").act(act)
    }

    fn odd(&self, answer: &Answer) -> Failed {
        Failed::new(format!("use the engine {:?}", self.name), format!("it said {answer:?}"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The stream's end ends the process; only one of the lab's own has to be reaped here.
        let stream = self.stream.get_mut().unwrap_or_else(PoisonError::into_inner);
        let ended = stream.get_ref().shutdown(std::net::Shutdown::Both).is_ok();
        if let Some(child) = &mut self.child
            && ended
            && let Err(error) = child.wait()
        {
            crate::role::complain(&Failed::new(format!("end the engine {:?}", self.name), error));
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
