//! Any message, as property tests draw them.

use std::net::Ipv4Addr;

use dhcp::{ClientId, Kind, Mac, Message, Short};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::{Strategy, any};
use proptest::sample::select;

pub(crate) fn address() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>().prop_map(Ipv4Addr::from)
}

pub(crate) fn mac() -> impl Strategy<Value = Mac> {
    any::<[u8; 6]>().prop_map(Mac).prop_filter("one station", |mac| mac.is_one_station())
}

fn short() -> impl Strategy<Value = Short> {
    vec(any::<u8>(), 1..=Short::BYTES_MAX).prop_map(|bytes| Short::new(&bytes).unwrap())
}

/// The oracle reads words as text, so these are.
fn text() -> impl Strategy<Value = Short> {
    "[ -~]{1,255}".prop_map(|text| Short::new(text.as_bytes()).unwrap())
}

fn client() -> impl Strategy<Value = ClientId> {
    vec(any::<u8>(), ClientId::BYTES_MIN..=Short::BYTES_MAX)
        .prop_map(|bytes| ClientId::from_bytes(&bytes).unwrap())
}

type Numbers = (Option<u32>, Option<u32>, Option<u32>, Option<u16>, Option<u8>);

fn numbers() -> impl Strategy<Value = Numbers> {
    (of(any::<u32>()), of(any::<u32>()), of(any::<u32>()), of(any::<u16>()), of(0..=32_u8))
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    let fixed = (select(Kind::ALL.to_vec()), any::<u32>(), any::<u16>(), any::<bool>(), mac());
    let addresses = (address(), address(), address(), address());
    let options = (of(address()), of(address()), of(address()));
    let bytes = (of(short()), of(text()), of(short()), of(client()));
    (fixed, addresses, options, numbers(), bytes).prop_map(|(fixed, addresses, options, numbers, bytes)| {
        let (kind, xid, secs, broadcast, chaddr) = fixed;
        let mut message = Message { secs, broadcast, ..Message::new(kind, xid, chaddr) };
        (message.ciaddr, message.yiaddr, message.siaddr, message.giaddr) = addresses;
        (message.requested, message.server, message.router) = options;
        (message.lease_s, message.renewal_s, message.rebinding_s, message.size_max, message.prefix) = numbers;
        (message.parameters, message.text, message.class, message.client) = bytes;
        message
    })
}
