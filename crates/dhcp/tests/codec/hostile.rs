//! What no honest station sends.

use dhcp::{Kind, MESSAGE_BYTES_MAX, Mac, Malformed, Message};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::sample::Index;
use proptest::{prop_assert_eq, proptest};

use crate::any::message;
use crate::spread::with_options;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

#[test]
fn every_prefix_of_a_message_is_refused() {
    let whole = with_options(&[53, 1, 1, 60, 3, 1, 2, 3, 61, 2, 0, 9, 255]);
    assert!(Message::read(&whole).is_ok());
    for length in 0..whole.len() {
        assert!(Message::read(&whole[..length]).is_err(), "{length}");
    }
}

#[test]
fn wrong_options_are_refused_by_name() {
    for (options, expected) in [
        (&[255][..], Malformed::Kind),
        (&[53, 1, 0, 255], Malformed::Kind),
        (&[53, 1, 9, 255], Malformed::Kind),
        (&[53, 0, 255], Malformed::Kind),
        (&[53, 2, 1, 1, 255], Malformed::Kind),
        // What a server sends does not come as a client's.
        (&[53, 1, 2, 255], Malformed::Kind),
        (&[53, 1, 1], Malformed::Endless),
        (&[53, 1, 1, 61], Malformed::Endless),
        (&[53, 1, 1, 61, 200, 1, 255], Malformed::Short),
        (&[53, 1, 1, 61, 1, 7, 255], Malformed::Option(61)),
        (&[53, 1, 1, 61, 0, 255], Malformed::Option(61)),
        (&[53, 1, 1, 60, 0, 255], Malformed::Option(60)),
        (&[53, 1, 1, 50, 3, 1, 2, 3, 255], Malformed::Option(50)),
        (&[53, 1, 1, 51, 5, 0, 0, 0, 0, 1, 255], Malformed::Option(51)),
        (&[53, 1, 1, 57, 1, 1, 255], Malformed::Option(57)),
        (&[53, 1, 1, 1, 4, 255, 0, 255, 0, 255], Malformed::Option(1)),
        (&[53, 1, 1, 3, 0, 255], Malformed::Option(3)),
        (&[53, 1, 1, 3, 6, 1, 2, 3, 4, 5, 6, 255], Malformed::Option(3)),
    ] {
        assert_eq!(Message::read(&with_options(options)), Err(expected), "{options:?}");
    }
}

#[test]
fn other_links_and_protocols_are_refused() {
    let good = Message::new(Kind::Discover, 7, MAC).write();
    for (at, byte, expected) in [
        (0, 2, Malformed::Kind),
        (0, 0, Malformed::Kind),
        (1, 6, Malformed::NotDhcp),
        (2, 7, Malformed::NotDhcp),
        (2, 255, Malformed::NotDhcp),
        (28, 3, Malformed::NotDhcp),
        (236, 0, Malformed::NotDhcp),
    ] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        assert_eq!(Message::read(&bytes), Err(expected), "{at}");
    }
}

#[test]
fn a_message_longer_than_a_frame_is_refused() {
    let mut bytes = Message::new(Kind::Discover, 7, MAC).write();
    bytes.resize(MESSAGE_BYTES_MAX, 0);
    assert!(Message::read(&bytes).is_ok());
    bytes.push(0);
    assert_eq!(Message::read(&bytes), Err(Malformed::Long));
}

#[test]
fn a_long_option_is_refused_where_it_would_have_to_be_short() {
    let parts = [[60].as_slice(), &[255], &[b'x'; 255], &[60, 1, b'x']].concat();
    let options = [&[53, 1, 1], parts.as_slice(), &[255]].concat();
    assert_eq!(Message::read(&with_options(&options)), Err(Malformed::Option(60)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..1600)) {
        drop(Message::read(&bytes));
    }

    #[test]
    fn any_options_are_read_or_refused(options in vec(any::<u8>(), 0..300)) {
        let read = Message::read(&with_options(&options));
        if let Ok(message) = read {
            prop_assert_eq!(Message::read(&message.write()), Ok(message));
        }
    }

    #[test]
    fn a_changed_byte_is_read_or_refused(message in message(), at in any::<Index>(), byte in any::<u8>()) {
        let mut bytes = message.write();
        *at.get_mut(&mut bytes) = byte;
        if let Ok(read) = Message::read(&bytes) {
            prop_assert_eq!(Message::read(&read.write()), Ok(read));
        }
    }
}
