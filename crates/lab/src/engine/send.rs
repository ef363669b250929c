//! Datagrams without end: a flow that goes on sending, whatever becomes of it.

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use super::any;

/// Begins to send to each of `to`, on a thread each that lives as long as the process.
pub(super) fn begin(to: &[SocketAddr], every: Duration) -> std::io::Result<()> {
    for &to in to {
        let socket = UdpSocket::bind(any(to))?;
        thread::spawn(move || send(&socket, to, every));
    }
    Ok(())
}

/// Each says when it is sent. What cannot be sent now is lost, as anywhere on the way.
fn send(socket: &UdpSocket, to: SocketAddr, every: Duration) {
    while os::poll::wait(&[], Some(every)).is_ok() {
        let now = u64::try_from(os::clock::monotonic().as_nanos()).unwrap_or(u64::MAX);
        if socket.send_to(&now.to_be_bytes(), to).is_err() {
            continue;
        }
    }
}
