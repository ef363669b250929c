//! Between frames on a link and what the machines are told and want.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::arp::Arp;
use crate::client::Outgoing;
use crate::frame::{Datagram, UdpChecksum};
use crate::mac::Mac;
use crate::malformed::Malformed;
use crate::message::Message;
use crate::server::Reply;
use crate::{CLIENT_PORT, SERVER_PORT};

/// What a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A message of DHCP, and the station that it came from.
    Message(Message, Mac),
    /// ARP.
    Arp(Arp),
}

/// Reads a frame. What clients say comes to the servers' port, what servers say to the clients'.
///
/// # Errors
/// When it is neither DHCP nor ARP, or not right.
pub fn read(frame: &[u8], checksum: UdpChecksum) -> Result<Heard, Malformed> {
    let datagram = match Datagram::read(frame, checksum) {
        Err(Malformed::Protocol) => return Arp::read(frame).map(Heard::Arp),
        datagram => datagram?,
    };
    let message = Message::read(datagram.payload)?;
    let port = if message.kind.is_from_server() { CLIENT_PORT } else { SERVER_PORT };
    if datagram.to.port() != port || !datagram.from_mac.is_one_station() {
        return Err(Malformed::Protocol);
    }
    Ok(Heard::Message(message, datagram.from_mac))
}

/// The frame of a client's message.
#[must_use]
pub fn of_client(outgoing: &Outgoing) -> Vec<u8> {
    Datagram {
        from_mac: outgoing.message.chaddr,
        to_mac: outgoing.to_mac,
        from: SocketAddrV4::new(outgoing.from, CLIENT_PORT),
        to: SocketAddrV4::new(outgoing.to, SERVER_PORT),
        payload: &outgoing.message.write(),
    }
    .write()
}

/// The frame of a server's answer.
#[must_use]
pub fn of_server(reply: &Reply, mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    Datagram {
        from_mac: mac,
        to_mac: reply.to_mac,
        from: SocketAddrV4::new(address, SERVER_PORT),
        to: SocketAddrV4::new(reply.to, CLIENT_PORT),
        payload: &reply.message.write(),
    }
    .write()
}
