//! Ports that send back what comes.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::host::wire::{Heard, Transport};

/// The ports of an engine; each has its thread, which lives as long as the process.
#[derive(Default)]
pub(super) struct Listeners(Vec<(Transport, u16, Arc<Tally>)>);

/// What came to a port.
#[derive(Default)]
struct Tally {
    count: AtomicU64,
    last_ns: AtomicU64,
    sent_ns: AtomicU64,
}

impl Tally {
    fn came(&self) -> u64 {
        let now = u64::try_from(os::clock::monotonic().as_nanos()).unwrap_or(u64::MAX);
        self.last_ns.store(now, Ordering::Relaxed);
        now
    }

    /// A datagram came; one of a flow without end says when it was sent.
    fn datagram_came(&self, content: &[u8]) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let now = self.came();
        let sent = content.try_into().map_or(0, u64::from_be_bytes);
        if sent <= now {
            self.sent_ns.fetch_max(sent, Ordering::Relaxed);
        }
    }
}

impl Listeners {
    pub(super) fn add(&mut self, transport: Transport, port: u16) -> std::io::Result<()> {
        let tally = Arc::new(Tally::default());
        let counted = Arc::clone(&tally);
        // `::` listens for IPv4 as well (ipv6(7)).
        let at = (Ipv6Addr::UNSPECIFIED, port);
        match transport {
            Transport::Tcp => {
                let listener = TcpListener::bind(at)?;
                thread::spawn(move || accept(&listener, &counted));
            }
            Transport::Udp => {
                let socket = UdpSocket::bind(at)?;
                thread::spawn(move || return_datagrams(&socket, &counted));
            }
        }
        self.0.push((transport, port, tally));
        Ok(())
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        let heard = |(transport, port, tally): &(Transport, u16, Arc<Tally>)| Heard {
            transport: *transport,
            port: *port,
            count: tally.count.load(Ordering::Relaxed),
            last_ns: tally.last_ns.load(Ordering::Relaxed),
            sent_ns: tally.sent_ns.load(Ordering::Relaxed),
        };
        self.0.iter().map(heard).collect()
    }
}

fn accept(listener: &TcpListener, tally: &Arc<Tally>) {
    while let Ok((stream, _)) = listener.accept() {
        tally.count.fetch_add(1, Ordering::Relaxed);
        tally.came();
        let tally = Arc::clone(tally);
        thread::spawn(move || return_bytes(stream, &tally));
    }
}

fn return_bytes(mut stream: TcpStream, tally: &Tally) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        tally.came();
        if stream.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
}

fn return_datagrams(socket: &UdpSocket, tally: &Tally) {
    let mut buffer = [0; 2048];
    loop {
        // An error here is the refusal of an earlier answer: it says nothing about the next.
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            tally.datagram_came(&buffer[..length]);
            if socket.send_to(&buffer[..length], from).is_err() {
                continue;
            }
        }
    }
}
