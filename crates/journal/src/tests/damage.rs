//! Journals cut at every byte, with every bit flipped, and written by somebody hostile.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::sim::SimDisk;
use super::two_segments;
use crate::{Error, Journal, inspect, verify};

const FIRST: &str = "0000000000000001.journal";
const SECOND: &str = "0000000000000004.journal";

/// What reading a journal of these segments comes to: the numbers after the last snapshot and how many
/// bytes are torn, or where it is broken.
fn outcome(segments: &[(&str, &[u8])]) -> Result<(Vec<u64>, u64), (String, usize)> {
    let mut disk = SimDisk::default();
    for (name, bytes) in segments {
        disk.plant(name, bytes);
    }
    match inspect(&disk) {
        Ok(read) => {
            let numbers = read.entries.iter().map(|record| record.number).collect();
            Ok((numbers, read.torn.map_or(0, |torn| torn.bytes)))
        }
        Err(Error::Broken { segment, line, .. }) => Err((segment, line)),
        Err(error) => panic!("{error:?}"),
    }
}

fn segments() -> (Vec<u8>, Vec<u8>) {
    let disk = two_segments();
    (disk.bytes(FIRST), disk.bytes(SECOND))
}

/// Where each line of the second segment ends.
fn line_ends(bytes: &[u8]) -> Vec<usize> {
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(index, _)| index + 1).collect()
}

#[test]
fn cut_at_any_byte_the_whole_records_before_are_left() {
    let (first, whole) = segments();
    let ends = line_ends(&whole);
    for length in 0..=whole.len() {
        let found = outcome(&[(FIRST, &first), (SECOND, &whole[..length])]);
        if length < ends[0] {
            // A segment appears whole, so that this is no crash's work.
            assert_eq!(found, Err((SECOND.to_owned(), 1)), "{length}");
            continue;
        }
        let lines = ends.iter().filter(|end| **end <= length).count();
        let torn = (length - ends[lines - 1]) as u64;
        assert_eq!(found, Ok(([5, 6][..lines - 1].to_vec(), torn)), "{length}");
    }
}

#[test]
fn a_torn_tail_is_cut_off_for_good() {
    let mut disk = two_segments();
    let whole = disk.bytes(SECOND);
    disk.plant(SECOND, &whole[..whole.len() - 1]);
    let opened = Journal::open(disk.clone()).unwrap();
    assert_eq!((super::numbers(&opened), opened.torn.is_some()), (vec![5], true));
    let opened = Journal::open(disk).unwrap();
    assert_eq!((super::numbers(&opened), opened.torn), (vec![5], None));
}

#[test]
fn no_flipped_bit_goes_unseen() {
    let (first, whole) = segments();
    let last = line_ends(&whole)[1];
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match outcome(&[(FIRST, &first), (SECOND, &bytes)]) {
            // In the last record it looks like what a crash tears.
            Ok((numbers, torn)) => {
                assert!(bit / 8 >= last && numbers == [5] && torn > 0, "bit {bit}: {numbers:?}, {torn} torn");
            }
            Err((segment, _)) => assert_eq!(segment, SECOND),
        }
        assert!(verify(&bytes, None).is_err(), "bit {bit}");
    }
}

#[test]
fn no_flipped_bit_of_an_older_segment_is_taken_for_torn() {
    let (whole, second) = segments();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(outcome(&[(FIRST, &bytes), (SECOND, &second)]).is_err(), "bit {bit}");
    }
}

#[test]
fn lines_out_of_place_are_broken() {
    let (first, second) = segments();
    let lines: Vec<&[u8]> = second.split_inclusive(|byte| *byte == b'\n').collect();
    let check = |lines: &[&[u8]], line: usize| {
        let found = outcome(&[(FIRST, &first), (SECOND, &lines.concat())]);
        assert_eq!(found, Err((SECOND.to_owned(), line)), "{lines:?}");
    };
    check(&[lines[0], lines[2]], 2);
    check(&[lines[0], lines[2], lines[1]], 2);
    check(&[lines[0], lines[1], lines[1]], 3);
    check(&[lines[1], lines[2]], 1);
    check(&[lines[0], lines[0]], 2);
    check(&[lines[0], b"\n", lines[1]], 2);
    check(&[lines[0], lines[1], b"\n", b"\n"], 3);
    check(&[&first], 1);
    check(&[lines[0], lines[1], &lines[2][..lines[2].len() - 1], b" ", lines[2]], 3);
}

#[test]
fn a_segment_missing_in_the_middle_is_broken() {
    let third = "0000000000000007.journal";
    let disk = two_segments();
    let mut journal = Journal::open(disk.clone()).unwrap().journal;
    journal.snapshot(super::AT, &serde_json::json!({})).unwrap();
    let found = outcome(&[(FIRST, &disk.bytes(FIRST)), (third, &disk.bytes(third))]);
    assert_eq!(found, Err((third.to_owned(), 1)));
}

#[test]
fn a_segment_under_another_number_is_broken() {
    let other = "0000000000000005.journal";
    assert_eq!(outcome(&[(other, &segments().1)]), Err((other.to_owned(), 1)));
    assert_eq!(outcome(&[(SECOND, &segments().1)]), Ok((vec![5, 6], 0)));
}

/// A line whose digest is right, whatever its JSON.
fn sealed(json: &str) -> Vec<u8> {
    let digest = id::Digest::of(json.as_bytes()).to_string();
    format!("{} {json}\n", digest.trim_start_matches("sha256:")).into_bytes()
}

#[test]
fn hostile_records_with_a_right_digest_are_broken() {
    let good = r#"{"number":1,"at":"2026-01-01T00:00:00Z","previous":null,"snapshot":{}}"#;
    assert!(verify(&sealed(good), None).is_ok());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (from, to) in [
        ("1,", "0,"),
        ("1,", "-1,"),
        ("1,", "1.0,"),
        ("1,", "9007199254740992,"),
        ("1,", "2,"),
        ("null", r#""sha256:00""#),
        ("null", &format!("\"{}\"", id::Digest::of(b""))),
        ("{}", "null"),
        ("{}", "{\n}"),
        ("{}", &deep[..100_000]),
        (r#""snapshot""#, r#""entry":{},"snapshot""#),
        (r#""snapshot""#, r#""snapshot":{},"snapshot""#),
        (r#""snapshot""#, r#""other""#),
        ("Z", "+00:00"),
        ("{}", "{} {}"),
    ] {
        let json = good.replacen(from, to, 1);
        assert!(verify(&sealed(&json), None).is_err(), "{}", &json[..json.len().min(200)]);
    }
    // Nesting alone is the writer's business: a record is read without recursion.
    assert!(verify(&sealed(&good.replacen("{}", &deep, 1)), None).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..300), lines in vec("[0-9a-f]{64} .{0,60}\n", 0..3)) {
        let text = lines.concat();
        for export in [bytes.as_slice(), text.as_bytes()] {
            assert!(verify(export, None).is_err());
            assert!(outcome(&[(FIRST, export)]).is_err());
        }
    }
}
