//! Is an address in use? Questions and answers of ARP (RFC 826), as RFC 5227 asks before an address is used.

use std::net::Ipv4Addr;

use crate::mac::Mac;
use crate::malformed::Malformed;

const ARP: [u8; 2] = [0x08, 0x06];
/// Ethernet, IPv4, their lengths.
const KINDS: [u8; 6] = [0, 1, 8, 0, 6, 4];
const BYTES: usize = 42;

/// One packet of ARP: its sender says who it is, or asks about `target`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// Whether it asks; else it answers.
    pub asks: bool,
    /// The sender's hardware address.
    pub sender_mac: Mac,
    /// The sender's address; 0.0.0.0 in a probe.
    pub sender: Ipv4Addr,
    /// The address that it is about.
    pub target: Ipv4Addr,
}

impl Arp {
    /// The frame that asks everybody who has `address`, without saying that we have it (RFC 5227 §2.1.1).
    #[must_use]
    pub fn probe(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
        question(mac, Ipv4Addr::UNSPECIFIED, address)
    }

    /// The frame that tells everybody who has `address` from now on: others may remember who had it before
    /// (RFC 5227 §2.3).
    #[must_use]
    pub fn announcement(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
        question(mac, address, address)
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// When it is no question or answer of ARP for IPv4 over Ethernet.
    pub fn read(frame: &[u8]) -> Result<Self, Malformed> {
        let bytes = frame.first_chunk::<BYTES>().ok_or(Malformed::Short)?;
        let asks = bytes[21] == 1;
        if bytes[12..14] != ARP || bytes[14..20] != KINDS || bytes[20] != 0 || !(1..=2).contains(&bytes[21]) {
            return Err(Malformed::Protocol);
        }
        let address = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
        Ok(Self {
            asks,
            sender_mac: Mac(std::array::from_fn(|index| bytes[22 + index])),
            sender: address(28),
            target: address(38),
        })
    }

    /// Whether it shows that a station other than `own` uses `address`, or is about to (RFC 5227 §2.1.1).
    #[must_use]
    pub fn shows_use_of(&self, address: Ipv4Addr, own: Mac) -> bool {
        let claims = self.sender == address;
        let probes = self.asks && self.sender.is_unspecified() && self.target == address;
        self.sender_mac != own && (claims || probes)
    }
}

fn question(mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(BYTES);
    frame.extend(Mac::BROADCAST.0);
    frame.extend(mac.0);
    frame.extend(ARP);
    frame.extend(KINDS);
    frame.extend([0, 1]);
    frame.extend(mac.0);
    frame.extend(sender.octets());
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_shows_whose_an_address_is() {
        let (address, own, other) =
            (Ipv4Addr::new(10, 1, 0, 16), Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let announced = Arp::read(&Arp::announcement(own, address)).unwrap();
        assert_eq!((announced.sender, announced.target, announced.asks), (address, address, true));
        assert!(announced.shows_use_of(address, other) && !announced.shows_use_of(address, own));
        let probed = Arp::read(&Arp::probe(own, address)).unwrap();
        assert!(probed.sender.is_unspecified() && probed.shows_use_of(address, other));
    }
}
