//! DHCP: what anybody on the wire sends.

use dhcp::Message;
use dhcp::arp::Arp;
use dhcp::frame::{Datagram, UdpChecksum};

/// A message that is read is written so that it reads the same.
pub fn dhcp_message(bytes: &[u8]) {
    let Ok(message) = Message::read(bytes) else { return };
    let written = message.write();
    assert!(written.len() <= dhcp::MESSAGE_BYTES_MAX);
    assert_eq!(Message::read(&written), Ok(message));
}

/// A datagram that is read is written so that it reads the same, and checksums only ever refuse more.
pub fn dhcp_frame(frame: &[u8]) {
    let lenient = Datagram::read(frame, UdpChecksum::NotReady);
    let strict = Datagram::read(frame, UdpChecksum::Ready);
    assert!(strict.is_err() || strict == lenient);
    if let Ok(datagram) = lenient
        && datagram.payload.len() <= dhcp::MESSAGE_BYTES_MAX
    {
        let written = datagram.write();
        assert_eq!(Datagram::read(&written, UdpChecksum::Ready), Ok(datagram));
    }
    assert!(Arp::read(frame).is_err() || lenient.is_err());
}
