//! Inside a network namespace: the process that does what a [`Host`](crate::Host) is asked to.

mod listen;
mod probe;
mod send;
mod stream;

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use os::namespace::Namespace;

use self::listen::Listeners;
use self::probe::Prober;
use self::stream::Connection;
use crate::failed::{Act, Failed};
use crate::host::wire::{Answer, Ask};
use crate::line;

/// Enters the namespace, connects to the lab and serves it until it hangs up.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failed> {
    let act = || "run an engine".to_owned();
    let [namespace, socket] = arguments else { return Err(Failed::new(act(), "two arguments are wanted")) };
    os::signal::unblock().act(act)?;
    os::process::new_session().act(act)?;
    Namespace::open(namespace.as_ref()).and_then(|namespace| namespace.enter()).act(act)?;
    let stream = UnixStream::connect(socket).act(act)?;
    let mut asks = BufReader::new(stream.try_clone().act(act)?);
    let mut engine = Engine::default();
    while let Ok(Some(ask)) = line::receive(&mut asks) {
        if line::send(&stream, &engine.answer(ask)).is_err() {
            break;
        }
    }
    Ok(())
}

#[derive(Default)]
struct Engine {
    listeners: Listeners,
    connections: Vec<Connection>,
    prober: Option<Prober>,
}

impl Engine {
    fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Listen { transport, port } => done(self.listeners.add(transport, port)),
            Ask::Heard => Answer::Heard(self.listeners.heard()),
            Ask::Connect { to, within_ms } => self.connect(to, Duration::from_millis(within_ms)),
            Ask::Exchange { connection, within_ms } => match self.connections.get_mut(connection) {
                Some(open) => back(|| exchange(&open.stream, Duration::from_millis(within_ms))),
                None => unknown(),
            },
            Ask::Datagram { to, within_ms } => back(|| datagram(to, Duration::from_millis(within_ms))),
            Ask::Stream { connection } => match self.connections.get_mut(connection) {
                Some(open) => done(open.begin()),
                None => unknown(),
            },
            Ask::Streamed { connection } => match self.connections.get(connection) {
                Some(open) => Answer::Streamed(open.streamed()),
                None => unknown(),
            },
            Ask::Send { to, every_us } => done(send::begin(&to, Duration::from_micros(every_us))),
            Ask::Probe { targets } => {
                self.prober = Some(Prober::start(targets));
                Answer::Done
            }
            Ask::Probed => Answer::Probed(self.prober.take().map(Prober::finish).unwrap_or_default()),
        }
    }

    fn connect(&mut self, to: SocketAddr, within: Duration) -> Answer {
        match TcpStream::connect_timeout(&to, within) {
            Ok(stream) => {
                self.connections.push(Connection::new(stream));
                Answer::Connected(self.connections.len() - 1)
            }
            Err(error) => Answer::Not(told(&error)),
        }
    }
}

/// Sends a line and reads it back. A late answer to an earlier one is passed over: each line is another.
fn exchange(mut stream: &TcpStream, within: Duration) -> std::io::Result<()> {
    let sent = os::random::bytes::<8>()?;
    let deadline = Instant::now() + within;
    stream.set_nodelay(true)?;
    stream.write_all(&sent)?;
    let mut window = [0; 8];
    while window != sent {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        window.rotate_left(1);
        window[7] = byte[0];
    }
    Ok(())
}

fn datagram(to: SocketAddr, within: Duration) -> std::io::Result<()> {
    let socket = UdpSocket::bind(any(to))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(within))?;
    let sent = os::random::bytes::<8>()?;
    socket.send(&sent)?;
    let mut came = [0; 8];
    socket.recv(&mut came)?;
    Ok(())
}

/// Any own address of the family of `to`.
fn any(to: SocketAddr) -> SocketAddr {
    if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() }
}

fn back(act: impl FnOnce() -> std::io::Result<()>) -> Answer {
    let began = Instant::now();
    match act() {
        Ok(()) => Answer::Back(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)),
        Err(error) => Answer::Not(told(&error)),
    }
}

fn done(result: std::io::Result<()>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Not(told(&error)),
    }
}

fn unknown() -> Answer {
    Answer::Not("there is no such connection".to_owned())
}

/// A read that times out says "try again"; people say "no answer".
fn told(error: &std::io::Error) -> String {
    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
        "no answer".to_owned()
    } else {
        error.to_string()
    }
}
