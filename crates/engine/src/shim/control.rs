//! The streams by which a shim is told what to do and tells how it is: a line of JSON each. Few at once, bounded
//! in both directions; one that takes nothing is let go of.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use os::poll::{Wanted, wait};
use serde::Serialize;

use super::{Command, Launch, Report};

/// The longest line.
pub const LINE_BYTES_MAX: usize = 256 * 1024;
/// Streams at once: a new supervisor connects while the end of the one before is not seen yet.
const STREAMS_MAX: usize = 4;
/// What may wait to be taken.
const UNSENT_MAX: usize = 256 * 1024;

/// One stream of lines.
#[derive(Debug)]
pub struct Lines {
    /// The stream; it does not block.
    pub stream: UnixStream,
    heard: Vec<u8>,
    unsent: VecDeque<u8>,
    over: bool,
}

impl Lines {
    /// Takes a stream.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, heard: Vec::new(), unsent: VecDeque::new(), over: false })
    }

    /// Whether nothing more will come or go.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Whether something waits to be taken.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// The whole lines that have arrived, as values; one that is none ends the stream.
    pub fn take<T: serde::de::DeserializeOwned>(&mut self) -> Vec<T> {
        let mut part = [0; 16 * 1024];
        let mut found = Vec::new();
        while !self.over {
            match self.stream.read(&mut part) {
                Ok(0) => self.over = true,
                Ok(length) => self.heard.extend_from_slice(part.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.over = true,
            }
            if self.heard.len() > LINE_BYTES_MAX {
                break;
            }
        }
        while let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
            let rest = self.heard.split_off(end + 1);
            let line = std::mem::replace(&mut self.heard, rest);
            match serde_json::from_slice(&line) {
                Ok(value) => found.push(value),
                Err(_) => self.over = true,
            }
        }
        self.over |= self.heard.len() > LINE_BYTES_MAX;
        found
    }

    /// Sends a value, without waiting: what is not taken now is sent by [`Self::flush`]. One that lets too much
    /// wait is over.
    pub fn tell(&mut self, value: &impl Serialize) {
        if self.over {
            return;
        }
        match serde_json::to_vec(value) {
            Ok(line) if self.unsent.len() + line.len() < UNSENT_MAX => {
                self.unsent.extend(line);
                self.unsent.push_back(b'\n');
                self.flush();
            }
            Ok(_) | Err(_) => self.over = true,
        }
    }

    /// Sends what waits, as far as it is taken.
    pub fn flush(&mut self) {
        while !self.over && !self.unsent.is_empty() {
            let (first, _) = self.unsent.as_slices();
            match self.stream.write(first) {
                Ok(taken) => drop(self.unsent.drain(..taken)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.over = true,
            }
        }
    }
}

/// All streams of a shim.
pub(super) struct Control {
    streams: Vec<Lines>,
    /// What was heard while room was made for who connects.
    heard: Vec<Command>,
}

impl Control {
    pub(super) fn new(first: UnixStream) -> io::Result<Self> {
        Ok(Self { streams: vec![Lines::new(first)?], heard: Vec::new() })
    }

    /// What the shim is to launch: the first line of the first stream.
    pub(super) fn launch(&mut self, at_most: Duration) -> io::Result<Launch> {
        let deadline = os::clock::boot() + at_most;
        let lines = self.streams.first_mut().ok_or(io::ErrorKind::NotConnected)?;
        loop {
            if let Some(launch) = lines.take().pop() {
                return Ok(launch);
            }
            let left = deadline.saturating_sub(os::clock::boot());
            if lines.over || left.is_zero() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            wait(&[(lines.stream.as_fd(), Wanted::READ)], Some(left))?;
        }
    }

    /// Takes in who connects, and tells them how the engine is. Where there is no room, who has hung up makes it
    /// before who has not: the oldest may be the supervisor's.
    pub(super) fn accept(&mut self, listener: &UnixListener, report: impl Fn() -> Report) {
        while let Ok((stream, _)) = listener.accept() {
            if self.streams.len() >= STREAMS_MAX {
                self.hear();
            }
            if self.streams.len() >= STREAMS_MAX {
                self.streams.remove(0);
            }
            if let Ok(mut lines) = Lines::new(stream) {
                lines.tell(&report());
                self.streams.push(lines);
            }
        }
    }

    pub(super) fn commands(&mut self) -> Vec<Command> {
        self.hear();
        std::mem::take(&mut self.heard)
    }

    /// Takes what has been said, and lets go of who has hung up.
    fn hear(&mut self) {
        self.heard.extend(self.streams.iter_mut().flat_map(Lines::take::<Command>));
        self.streams.retain(|lines| !lines.over);
    }

    pub(super) fn tell(&mut self, report: &Report) {
        for lines in &mut self.streams {
            lines.tell(report);
        }
    }

    /// Sends what waits, and waits at most that long for it to be taken.
    pub(super) fn flush(&mut self, at_most: Duration) {
        let deadline = os::clock::boot() + at_most;
        loop {
            for lines in &mut self.streams {
                lines.flush();
            }
            self.streams.retain(|lines| !lines.over);
            let left = deadline.saturating_sub(os::clock::boot());
            let waiting: Vec<_> = self.streams.iter().filter(|lines| lines.has_unsent()).collect();
            if waiting.is_empty() || left.is_zero() {
                return;
            }
            let write = Wanted { read: false, write: true };
            let descriptors: Vec<_> = waiting.iter().map(|lines| (lines.stream.as_fd(), write)).collect();
            if wait(&descriptors, Some(left)).is_err() {
                return;
            }
        }
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = (BorrowedFd<'_>, Wanted)> {
        self.streams
            .iter()
            .map(|lines| (lines.stream.as_fd(), Wanted { read: true, write: lines.has_unsent() }))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;

    use id::Digest;

    use super::*;
    use crate::run::Phase;
    use crate::shim::Key;

    fn report() -> Report {
        Report {
            engine: "web".parse().unwrap(),
            key: Key { specification: Digest::of(b""), restarts: 0, reloads: 0 },
            shim: 1,
            since: 0,
            phase: Phase::Starting,
            status: String::new(),
            missing: Vec::new(),
            ending: None,
            refused: None,
        }
    }

    #[test]
    fn strangers_who_hang_up_cost_the_supervisor_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (mut supervisor, first) = UnixStream::pair().unwrap();
        let mut control = Control::new(first).unwrap();
        // All of them before the shim looks: it was held up.
        let strangers: Vec<UnixStream> = (0..STREAMS_MAX * 3)
            .map(|_| {
                let mut stranger = UnixStream::connect(folder.path().join("socket")).unwrap();
                stranger.write_all(b"nonsense").unwrap();
                stranger.shutdown(Shutdown::Write).unwrap();
                stranger
            })
            .collect();
        supervisor.write_all(b"\"stop\"\n").unwrap();
        control.accept(&listener, report);
        assert_eq!(control.commands(), [Command::Stop]);
        drop(strangers);
        // It has heard all the time how the engine is, and hears it still.
        control.tell(&report());
        supervisor.set_nonblocking(true).unwrap();
        assert!(supervisor.read(&mut [0; 4096]).unwrap() > 0);
    }
}
