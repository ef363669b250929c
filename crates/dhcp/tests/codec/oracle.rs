//! In both directions: what one codec writes, the other reads as the same.

use std::net::Ipv4Addr;

use dhcp::{ClientId, Kind, MESSAGE_BYTES_MAX, Mac, Message, Short};
use dhcproto::v4::{DhcpOption, Flags, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, v4};
use proptest::{prop_assert, prop_assert_eq, proptest};

use crate::any;

proptest! {
    #[test]
    fn what_is_written_reads_the_same(message in any::message()) {
        let bytes = message.write();
        prop_assert!((300..=MESSAGE_BYTES_MAX).contains(&bytes.len()));
        prop_assert_eq!(Message::read(&bytes), Ok(message));
    }

    #[test]
    fn the_oracle_reads_what_is_written(message in any::message()) {
        let read = v4::Message::decode(&mut Decoder::new(&message.write())).unwrap();
        prop_assert_eq!(&of_oracle(&read), &message);
        prop_assert_eq!(read.htype(), v4::HType::Eth);
        prop_assert_eq!(read.opcode(), opcode(message.kind));
    }

    #[test]
    fn what_the_oracle_writes_reads_the_same(message in any::message()) {
        let bytes = to_oracle(&message).to_vec().unwrap();
        prop_assert_eq!(Message::read(&bytes), Ok(message));
    }
}

fn opcode(kind: Kind) -> Opcode {
    if kind.is_from_server() { Opcode::BootReply } else { Opcode::BootRequest }
}

const KINDS: [(Kind, MessageType); 8] = [
    (Kind::Discover, MessageType::Discover),
    (Kind::Offer, MessageType::Offer),
    (Kind::Request, MessageType::Request),
    (Kind::Decline, MessageType::Decline),
    (Kind::Ack, MessageType::Ack),
    (Kind::Nak, MessageType::Nak),
    (Kind::Release, MessageType::Release),
    (Kind::Inform, MessageType::Inform),
];

fn mask(prefix: u8) -> Ipv4Addr {
    let ones = u64::from(u32::MAX) << (32 - prefix);
    Ipv4Addr::from(u32::try_from(ones & u64::from(u32::MAX)).unwrap())
}

fn to_oracle(message: &Message) -> v4::Message {
    let mut to = v4::Message::new_with_id(
        message.xid,
        message.ciaddr,
        message.yiaddr,
        message.siaddr,
        message.giaddr,
        &message.chaddr.0,
    );
    to.set_opcode(opcode(message.kind)).set_secs(message.secs);
    to.set_flags(if message.broadcast { Flags::default().set_broadcast() } else { Flags::default() });
    let (_, kind) = KINDS.into_iter().find(|(kind, _)| *kind == message.kind).unwrap();
    let codes = |short: &Short| short.as_bytes().iter().map(|&code| OptionCode::from(code)).collect();
    let text = |short: &Short| String::from_utf8(short.as_bytes().to_vec()).unwrap();
    let options = [
        Some(DhcpOption::MessageType(kind)),
        message.requested.map(DhcpOption::RequestedIpAddress),
        message.lease_s.map(DhcpOption::AddressLeaseTime),
        message.server.map(DhcpOption::ServerIdentifier),
        message.parameters.as_ref().map(|codes_| DhcpOption::ParameterRequestList(codes(codes_))),
        message.text.as_ref().map(|short| DhcpOption::Message(text(short))),
        message.size_max.map(DhcpOption::MaxMessageSize),
        message.renewal_s.map(DhcpOption::Renewal),
        message.rebinding_s.map(DhcpOption::Rebinding),
        message.class.as_ref().map(|class| DhcpOption::ClassIdentifier(class.as_bytes().to_vec())),
        message.client.as_ref().map(|client| DhcpOption::ClientIdentifier(client.as_bytes().to_vec())),
        message.prefix.map(|prefix| DhcpOption::SubnetMask(mask(prefix))),
        message.router.map(|router| DhcpOption::Router(vec![router])),
    ];
    for option in options.into_iter().flatten() {
        to.opts_mut().insert(option);
    }
    to
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the oracle knows many more options")]
fn of_oracle(from: &v4::Message) -> Message {
    let options = from.opts();
    let kind = options.msg_type().unwrap();
    let (kind, _) = KINDS.into_iter().find(|(_, of)| *of == kind).unwrap();
    let mut message = Message::new(kind, from.xid(), Mac(from.chaddr().try_into().unwrap()));
    (message.secs, message.broadcast) = (from.secs(), from.flags().broadcast());
    (message.ciaddr, message.yiaddr) = (from.ciaddr(), from.yiaddr());
    (message.siaddr, message.giaddr) = (from.siaddr(), from.giaddr());
    for (_, option) in options.iter() {
        match option.clone() {
            DhcpOption::MessageType(_) => (),
            DhcpOption::RequestedIpAddress(address) => message.requested = Some(address),
            DhcpOption::AddressLeaseTime(seconds) => message.lease_s = Some(seconds),
            DhcpOption::ServerIdentifier(address) => message.server = Some(address),
            DhcpOption::ParameterRequestList(codes) => {
                message.parameters = Short::new(&codes.into_iter().map(u8::from).collect::<Vec<_>>());
            }
            DhcpOption::Message(text) => message.text = Short::new(text.as_bytes()),
            DhcpOption::MaxMessageSize(bytes) => message.size_max = Some(bytes),
            DhcpOption::Renewal(seconds) => message.renewal_s = Some(seconds),
            DhcpOption::Rebinding(seconds) => message.rebinding_s = Some(seconds),
            DhcpOption::ClassIdentifier(class) => message.class = Short::new(&class),
            DhcpOption::ClientIdentifier(client) => message.client = ClientId::from_bytes(&client),
            DhcpOption::SubnetMask(mask) => {
                message.prefix = Some(u8::try_from(u32::from(mask).leading_ones()).unwrap());
            }
            DhcpOption::Router(routers) => message.router = routers.first().copied(),
            other => panic!("nobody wrote {other:?}"),
        }
    }
    message
}
