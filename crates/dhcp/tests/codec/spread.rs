//! Options that are spread over fields and parts: RFC 2131 §4.1, RFC 3396.

use std::net::Ipv4Addr;

use dhcp::{Kind, Mac, Malformed, Message, Short};

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const FILE: usize = 108;
const SNAME: usize = 44;

/// A DISCOVER with these bytes as its options.
pub(crate) fn with_options(options: &[u8]) -> Vec<u8> {
    let mut bytes = Message::new(Kind::Discover, 7, MAC).write();
    bytes.truncate(240);
    bytes.extend(options);
    bytes
}

fn with_fields(options: &[u8], file: &[u8], sname: &[u8]) -> Vec<u8> {
    let mut bytes = with_options(options);
    bytes[FILE..FILE + file.len()].copy_from_slice(file);
    bytes[SNAME..SNAME + sname.len()].copy_from_slice(sname);
    bytes
}

const REQUESTED: [u8; 6] = [50, 4, 10, 0, 0, 9];
const SERVER: [u8; 6] = [54, 4, 10, 0, 0, 1];

#[test]
fn options_go_on_in_the_fields_that_are_taken_over() {
    let (file, sname) = ([&REQUESTED[..], &[255]].concat(), [&SERVER[..], &[255]].concat());
    let read = |overload: u8| {
        let message = Message::read(&with_fields(&[53, 1, 1, 52, 1, overload, 255], &file, &sname)).unwrap();
        (message.requested, message.server)
    };
    let (requested, server) = (Some(Ipv4Addr::new(10, 0, 0, 9)), Some(Ipv4Addr::new(10, 0, 0, 1)));
    assert_eq!(read(1), (requested, None));
    assert_eq!(read(2), (None, server));
    assert_eq!(read(3), (requested, server));
    // Not taken over: names, whatever they look like.
    let message = Message::read(&with_fields(&[53, 1, 1, 255], &file, &sname)).unwrap();
    assert_eq!((message.requested, message.server), (None, None));
}

#[test]
fn an_option_in_parts_is_one_across_fields() {
    let message = Message::read(&with_fields(
        &[53, 1, 1, 52, 1, 3, 60, 2, b'a', b'b', 60, 1, b'c', 255],
        &[60, 1, b'd', 255],
        &[0, 60, 1, b'e', 255],
    ));
    assert_eq!(message.unwrap().class, Short::new(b"abcde"));
}

#[test]
fn a_wrong_overload_is_refused() {
    for (options, file, expected) in [
        (&[53, 1, 1, 52, 1, 0, 255][..], &[255][..], Malformed::Option(52)),
        (&[53, 1, 1, 52, 1, 4, 255], &[255], Malformed::Option(52)),
        (&[53, 1, 1, 52, 2, 1, 1, 255], &[255], Malformed::Option(52)),
        (&[53, 1, 1, 52, 1, 1, 52, 1, 2, 255], &[255], Malformed::Option(52)),
        (&[53, 1, 1, 52, 1, 1, 255], &[52, 1, 2, 255], Malformed::Overload),
        // A field that is taken over ends with an end, like any other.
        (&[53, 1, 1, 52, 1, 1, 255], &[0], Malformed::Endless),
        (&[53, 1, 1, 52, 1, 1, 255], &[60, 127, 1], Malformed::Short),
    ] {
        assert_eq!(Message::read(&with_fields(options, file, &[])), Err(expected), "{options:?} {file:?}");
    }
}

#[test]
fn an_option_of_fixed_length_does_not_come_twice() {
    for (option, code) in [(&[53, 1, 1][..], None), (&REQUESTED, Some(50)), (&SERVER, Some(54))] {
        let twice = [&[53, 1, 1], option, option, &[255]].concat();
        let expected = code.map_or(Malformed::Kind, Malformed::Option);
        assert_eq!(Message::read(&with_options(&twice)), Err(expected));
    }
}
