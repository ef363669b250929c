//! Probes: packets to places that should not be reached, without end until told to stop.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::any;
use crate::host::wire::{Probed, Target, Transport};

/// How long a probe waits for an answer before the next one goes out. An answer that comes later is
/// seen as well: UDP by the same socket, TCP by the kernel's own repeated tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Threads that probe, one a target.
pub(super) struct Prober {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Probed>>,
}

impl Prober {
    pub(super) fn start(targets: Vec<Target>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |target| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || probe(target, &stop))
        };
        Self { threads: targets.into_iter().map(start).collect(), stop }
    }

    pub(super) fn finish(self) -> Vec<Probed> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    }
}

fn probe(target: Target, stop: &AtomicBool) -> Probed {
    let mut probed = Probed { target, sent: 0, passed: 0 };
    let socket = UdpSocket::bind(any(target.to)).ok();
    while !stop.load(Ordering::Relaxed) {
        let passed = match (target.transport, &socket) {
            (Transport::Tcp, _) => connects(target.to),
            (Transport::Udp, Some(socket)) => answers(socket, target.to),
            (Transport::Udp, None) => false,
        };
        probed.sent += 1;
        probed.passed += u64::from(passed);
    }
    probed
}

/// A refusal is an answer, too: the packet arrived and one came back.
fn connects(to: SocketAddr) -> bool {
    match TcpStream::connect_timeout(&to, PAUSE) {
        Ok(_) => true,
        Err(error) => matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset),
    }
}

fn answers(socket: &UdpSocket, to: SocketAddr) -> bool {
    let mut came = [0; 8];
    socket.send_to(b"probe", to).is_ok()
        && socket.set_read_timeout(Some(PAUSE)).is_ok()
        && socket.recv_from(&mut came).is_ok()
}
