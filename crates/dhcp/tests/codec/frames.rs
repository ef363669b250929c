//! Datagrams in frames, and ARP.

use std::net::{Ipv4Addr, SocketAddrV4};

use dhcp::arp::Arp;
use dhcp::frame::{Datagram, UdpChecksum};
use dhcp::{Mac, Malformed};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::{prop_assert, prop_assert_eq, proptest};

use crate::any;

const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
const B: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn datagram(payload: &[u8]) -> Datagram<'_> {
    Datagram {
        from_mac: A,
        to_mac: Mac::BROADCAST,
        from: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68),
        to: SocketAddrV4::new(Ipv4Addr::BROADCAST, 67),
        payload,
    }
}

#[test]
fn a_known_frame_is_written_byte_by_byte() {
    // The checksums were computed by hand as RFC 791 and RFC 768 say.
    let expected = [
        &[0xff; 6][..],
        &A.0,
        &[0x08, 0x00],
        &[0x45, 0, 0, 31, 0, 0, 0, 0, 64, 17],
        &[0x7a, 0xcf, 0, 0, 0, 0, 255, 255, 255, 255],
        &[0, 68, 0, 67, 0, 11, 0x3a, 0xef],
        b"abc",
    ];
    assert_eq!(datagram(b"abc").write(), expected.concat());
}

#[test]
fn what_the_link_puts_behind_is_not_looked_at() {
    let mut frame = datagram(b"abc").write();
    frame.resize(60, 0xee);
    assert_eq!(Datagram::read(&frame, UdpChecksum::Ready), Ok(datagram(b"abc")));
}

#[test]
fn options_of_ipv4_are_skipped() {
    let frame = datagram(b"abc").write();
    // Two words of no operation: the sum of the header grows by theirs, two in the length word, four in the total.
    let mut longer = [&frame[..34], &[1; 8], &frame[34..]].concat();
    longer[14] = 0x47;
    longer[17] += 8;
    longer[24..26].copy_from_slice(&[0, 0]);
    let sum = longer[14..42].as_chunks::<2>().0.iter().map(|pair| u32::from(u16::from_be_bytes(*pair)));
    let sum: u32 = sum.sum();
    let checksum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    longer[24..26].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(Datagram::read(&longer, UdpChecksum::Ready), Ok(datagram(b"abc")));
}

#[test]
fn wrong_frames_are_refused() {
    let good = datagram(b"abc").write();
    for length in 0..good.len() {
        assert!(Datagram::read(&good[..length], UdpChecksum::Ready).is_err(), "{length}");
    }
    for (at, byte, expected) in [
        (12, 0x86, Malformed::Protocol),
        (14, 0x65, Malformed::Protocol),
        (14, 0x44, Malformed::Length),
        (14, 0x4f, Malformed::Length),
        (16, 0xff, Malformed::Short),
        (17, 19, Malformed::Length),
        (20, 0x20, Malformed::Checksum),
        (23, 6, Malformed::Protocol),
        (39, 7, Malformed::Length),
        (39, 12, Malformed::Short),
        (40, 0, Malformed::Checksum),
        (44, b'x', Malformed::Checksum),
    ] {
        let mut frame = good.clone();
        frame[at] = byte;
        assert_eq!(Datagram::read(&frame, UdpChecksum::Ready), Err(expected), "{at}");
    }
}

#[test]
fn fragments_are_refused() {
    for (flags, offset, checksum) in [(0x20, 0, 0x5a), (0, 1, 0x7a), (0x1f, 0xff, 0x5a)] {
        let mut frame = datagram(b"abc").write();
        (frame[20], frame[21], frame[24]) = (flags, offset, checksum);
        frame[25] = if offset == 0 {
            0xcf
        } else if offset == 1 {
            0xce
        } else {
            0xd0
        };
        assert_eq!(Datagram::read(&frame, UdpChecksum::Ready), Err(Malformed::Fragment), "{flags} {offset}");
    }
}

#[test]
fn an_unfinished_checksum_is_no_reason_to_refuse() {
    let mut frame = datagram(b"abc").write();
    frame[41] ^= 1;
    assert_eq!(Datagram::read(&frame, UdpChecksum::Ready), Err(Malformed::Checksum));
    assert_eq!(Datagram::read(&frame, UdpChecksum::NotReady), Ok(datagram(b"abc")));
    // None at all is allowed by RFC 768.
    (frame[40], frame[41]) = (0, 0);
    assert_eq!(Datagram::read(&frame, UdpChecksum::Ready), Ok(datagram(b"abc")));
}

#[test]
fn a_probe_asks_and_answers_show_use() {
    let address = Ipv4Addr::new(10, 0, 0, 9);
    let probe = Arp::read(&Arp::probe(A, address)).unwrap();
    assert_eq!(probe, Arp { asks: true, sender_mac: A, sender: Ipv4Addr::UNSPECIFIED, target: address });
    // Another that probes for the same address at the same time is about to use it; we ourselves are not.
    assert!(probe.shows_use_of(address, B) && !probe.shows_use_of(address, A));
    let answer = Arp { asks: false, sender_mac: B, sender: address, target: Ipv4Addr::UNSPECIFIED };
    assert!(answer.shows_use_of(address, A) && !answer.shows_use_of(address, B));
    let elsewhere = Arp { sender: Ipv4Addr::new(10, 0, 0, 8), ..answer };
    assert!(!elsewhere.shows_use_of(address, A));
    let question = Arp { asks: true, sender: Ipv4Addr::new(10, 0, 0, 8), target: address, sender_mac: B };
    assert!(!question.shows_use_of(address, A));
}

proptest! {
    #[test]
    fn a_datagram_reads_back(
        from_mac in any::mac(), to_mac in any::mac(), from in any::address(), to in any::address(),
        ports in any::<(u16, u16)>(), payload in vec(any::<u8>(), 0..1472)
    ) {
        let datagram = Datagram {
            from_mac, to_mac, payload: &payload,
            from: SocketAddrV4::new(from, ports.0), to: SocketAddrV4::new(to, ports.1),
        };
        let frame = datagram.write();
        prop_assert_eq!(Datagram::read(&frame, UdpChecksum::Ready), Ok(datagram));
    }

    #[test]
    fn one_flipped_bit_behind_the_ethernet_header_is_noticed(
        payload in vec(any::<u8>(), 1..400), at in 14_usize..400, bit in 0..8_u32
    ) {
        let datagram = datagram(&payload);
        let mut frame = datagram.write();
        let at = 14 + at % (frame.len() - 14);
        frame[at] ^= 1 << bit;
        prop_assert!(Datagram::read(&frame, UdpChecksum::Ready).is_err());
    }

    #[test]
    fn any_frame_is_read_or_refused(frame in vec(any::<u8>(), 0..200)) {
        let datagram = Datagram::read(&frame, UdpChecksum::NotReady);
        prop_assert!(datagram.is_err() || Arp::read(&frame).is_err());
    }
}
