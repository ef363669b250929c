//! Ports that send back what comes.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::host::wire::{Heard, Transport};

/// The ports of an engine; each has its thread, which lives as long as the process.
#[derive(Default)]
pub(super) struct Listeners(Vec<(Transport, u16, Arc<AtomicU64>)>);

impl Listeners {
    pub(super) fn add(&mut self, transport: Transport, port: u16) -> std::io::Result<()> {
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
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
        self.0.push((transport, port, count));
        Ok(())
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        let heard = |(transport, port, count): &(Transport, u16, Arc<AtomicU64>)| Heard {
            transport: *transport,
            port: *port,
            count: count.load(Ordering::Relaxed),
        };
        self.0.iter().map(heard).collect()
    }
}

fn accept(listener: &TcpListener, count: &AtomicU64) {
    while let Ok((stream, _)) = listener.accept() {
        count.fetch_add(1, Ordering::Relaxed);
        thread::spawn(move || return_bytes(stream));
    }
}

fn return_bytes(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
}

fn return_datagrams(socket: &UdpSocket, count: &AtomicU64) {
    let mut buffer = [0; 2048];
    loop {
        // An error here is the refusal of an earlier answer: it says nothing about the next.
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            count.fetch_add(1, Ordering::Relaxed);
            if socket.send_to(&buffer[..length], from).is_err() {
                continue;
            }
        }
    }
}
