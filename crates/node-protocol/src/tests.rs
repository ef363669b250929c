//! Frames in whatever parts they arrive, from peers honest and hostile.

use std::io::{self, Read};

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use serde_json::Value;

use crate::call::{Answer, Call};
use crate::courier::{FromCourier, ToCourier};
use crate::frame::{ATTACHMENT_BYTES_MAX, JSON_BYTES_MAX};
use crate::signing::{NoRequest, Requests, Transcript};
use crate::{Decoder, FrameError, encode, frame};

fn header(json: u32, attachment: u32) -> Vec<u8> {
    [json.to_be_bytes(), attachment.to_be_bytes()].concat()
}

#[test]
fn a_frame_reads_back_byte_by_byte() {
    let bytes = encode(&Call::SubmitOrder {}, b"envelope").unwrap();
    let mut decoder = Decoder::default();
    for (index, byte) in bytes.iter().enumerate() {
        assert!(decoder.frame().unwrap().is_none(), "after {index} bytes");
        decoder.push(&[*byte]);
    }
    let frame = decoder.frame().unwrap().unwrap();
    assert_eq!(frame.message::<Call>().unwrap(), Call::SubmitOrder {});
    assert_eq!(frame.attachment, b"envelope");
    assert!(decoder.is_empty());
    assert_eq!(frame::read(&mut bytes.as_slice()).unwrap(), Some(frame));
}

#[test]
fn a_length_over_the_limit_is_refused_at_once_and_for_ever() {
    let [json, attachment] = [JSON_BYTES_MAX, ATTACHMENT_BYTES_MAX].map(|max| u32::try_from(max).unwrap());
    for hostile in [header(json + 1, 0), header(0, attachment + 1), header(u32::MAX, u32::MAX)] {
        let mut decoder = Decoder::default();
        decoder.push(&hostile);
        assert!(matches!(decoder.frame(), Err(FrameError::TooLong { .. })));
        decoder.push(&encode(&Call::SubmitOrder {}, b"").unwrap());
        assert!(matches!(decoder.frame(), Err(FrameError::TooLong { .. })));
        assert!(matches!(frame::read(&mut hostile.as_slice()), Err(FrameError::TooLong { .. })));
    }
    let mut decoder = Decoder::default();
    decoder.push(&header(json, attachment));
    assert!(matches!(decoder.frame(), Ok(None)));
}

#[test]
fn a_decoder_keeps_to_its_own_limits() {
    let mut decoder = Decoder::limited(100, 10);
    decoder.push(&header(100, 10));
    assert!(matches!(decoder.frame(), Ok(None)));
    for hostile in [header(101, 0), header(0, 11)] {
        let mut decoder = Decoder::limited(100, 10);
        decoder.push(&hostile);
        assert!(matches!(decoder.frame(), Err(FrameError::TooLong { .. })));
    }
}

#[test]
fn what_is_too_long_is_not_sent() {
    let long = "x".repeat(JSON_BYTES_MAX);
    assert!(matches!(encode(&long, b""), Err(FrameError::TooLong { .. })));
    assert!(encode(&"", &vec![0; ATTACHMENT_BYTES_MAX]).is_ok());
    assert!(matches!(encode(&"", &vec![0; ATTACHMENT_BYTES_MAX + 1]), Err(FrameError::TooLong { .. })));
}

/// Gives one byte a call, and an interruption before each.
struct Slow<'a>(&'a [u8], bool);

impl Read for Slow<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = into.len().min(1);
        self.0.read(&mut into[..length])
    }
}

#[test]
fn a_reader_takes_one_frame_and_no_byte_of_the_next() {
    let two =
        [encode(&Call::SubmitOrder {}, b"1").unwrap(), encode(&Call::SubmitOrder {}, b"2").unwrap()].concat();
    let mut stream = two.as_slice();
    assert_eq!(frame::read(&mut stream).unwrap().unwrap().attachment, b"1");
    assert_eq!(stream.len(), two.len() / 2);
    let mut slow = Slow(&two, false);
    assert_eq!(frame::read(&mut slow).unwrap().unwrap().attachment, b"1");
    assert_eq!(frame::read(&mut slow).unwrap().unwrap().attachment, b"2");
    assert!(frame::read(&mut slow).unwrap().is_none());
}

#[test]
fn a_stream_that_ends_in_mid_frame_is_told_from_one_that_ends() {
    let bytes = encode(&Call::SubmitOrder {}, b"envelope").unwrap();
    for length in 1..bytes.len() {
        let mut cut = &bytes[..length];
        assert!(matches!(frame::read(&mut cut), Err(FrameError::Ended)), "{length}");
    }
    assert!(frame::read(&mut [].as_slice()).unwrap().is_none());
}

fn message<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, FrameError> {
    let mut decoder = Decoder::default();
    decoder.push(&header(u32::try_from(json.len()).unwrap(), 0));
    decoder.push(json.as_bytes());
    decoder.frame().unwrap().unwrap().message()
}

#[test]
fn calls_and_answers_have_the_documented_shape() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let tier = "0123456789abcdef0123456789abcdef";
    for json in [
        r#"{"call":"submit-order"}"#.to_owned(),
        format!(r#"{{"call":"put-object","name":"{digest}"}}"#),
        r#"{"call":"read-journal","from":7}"#.to_owned(),
        format!(r#"{{"call":"fresh-nonce","tier":"{tier}"}}"#),
        r#"{"call":"give-share"}"#.to_owned(),
        r#"{"call":"attach","realm":"tenant-a"}"#.to_owned(),
        format!(r#"{{"call":"explain","tier":"{tier}","packet":{{"direction":"in"}}}}"#),
        format!(r#"{{"call":"denials","tier":"{tier}"}}"#),
    ] {
        let call: Call = message(&json).unwrap();
        assert_eq!(serde_json::to_string(&call).unwrap(), json);
    }
    for json in [
        format!(r#"{{"answer":"accepted","record":2,"digest":"{digest}"}}"#),
        format!(r#"{{"answer":"accepted","record":2,"digest":"{digest}","tier":"{tier}","lease":"{tier}"}}"#),
        format!(r#"{{"answer":"stored","name":"{digest}"}}"#),
        r#"{"answer":"lines","oldest":1,"newest":7}"#.to_owned(),
        r#"{"answer":"lines","oldest":3,"newest":7,"head":"{}"}"#.to_owned(),
        r#"{"answer":"handed"}"#.to_owned(),
        format!(r#"{{"answer":"nonce","nonce":"{tier}"}}"#),
        format!(
            r#"{{"answer":"explained","pass":false,"rule":null,"stopped_by":{{"tier":"{tier}","name":"tenant-a","set":"own","rule":"deny[0]","hidden":false}},"open":true,"in_force":true,"generation":3}}"#
        ),
        r#"{"answer":"denials","dropped":{"refused":{"in":2,"out":1}},"refused":[{"by":{"tier":null,"name":null,"set":"built-in","rule":"management","hidden":false},"direction":"out","packets":1}],"unread":0}"#
            .to_owned(),
        r#"{"answer":"refused","code":"used-sequence","exit":6,"message":"sequence 1 was used"}"#.to_owned(),
        r#"{"answer":"refused","code":"c","exit":3,"message":"m","hint":"h","details":{"witness":null}}"#
            .to_owned(),
    ] {
        let answer: Answer = message(&json).unwrap();
        assert_eq!(serde_json::to_string(&answer).unwrap(), json);
    }
}

#[test]
fn calls_of_another_shape_are_refused() {
    for bad in [
        "",
        "null",
        "[]",
        r#"{"call":"other"}"#,
        r#"{"call":"submit-order","more":1}"#,
        r#"{"call":"submit-order","call":"submit-order"}"#,
        r#"{"call":"read-journal"}"#,
        r#"{"call":"read-journal","from":-1}"#,
        r#"{"call":"read-journal","from":1,"from":2}"#,
        r#"{"call":"attach","realm":"../etc"}"#,
        r#"{"call":"submit-order"} {}"#,
    ] {
        assert!(matches!(message::<Call>(bad), Err(FrameError::Json(_))), "{bad}");
    }
    let deep = format!("{{\"call\":{}", "[".repeat(500_000));
    assert!(matches!(message::<Call>(&deep), Err(FrameError::Json(_))));
}

#[test]
fn what_a_courier_says_and_hears_has_the_documented_shape() {
    let tier = "0123456789abcdef0123456789abcdef";
    let key = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let console = format!(r#"{{"key":"{key}","addresses":["10.0.0.2:7443","[fd00:10::2]:7443"]}}"#);
    for json in [
        format!(r#"{{"begin":{{"tier":"{tier}","epoch":1,"identity":"{key}","consoles":[{console}]}}}}"#),
        format!(r#"{{"consoles":[{console}]}}"#),
        format!(r#"{{"answer":{{"number":7,"answer":{{"answer":"nonce","nonce":"{tier}"}}}}}}"#),
    ] {
        let told: ToCourier = message(&json).unwrap();
        assert_eq!(serde_json::to_string(&told).unwrap(), json);
    }
    let json = r#"{"call":{"number":7,"call":{"call":"submit-order"}}}"#;
    let said: FromCourier = message(json).unwrap();
    assert_eq!(serde_json::to_string(&said).unwrap(), json);
    for bad in
        [r#"{"call":{"number":-1,"call":{"call":"submit-order"}}}"#, r#"{"status":{}}"#, r#"{"call":{}}"#]
    {
        assert!(matches!(message::<FromCourier>(bad), Err(FrameError::Json(_))), "{bad}");
    }
}

#[test]
fn what_is_signed_for_a_courier_is_a_clients_handshake_and_nothing_else() {
    for transcript in [Transcript::Sha256([7; 32]), Transcript::Sha384([7; 48])] {
        let message = transcript.message();
        // RFC 8446 §4.4.3, written out once more.
        assert!(message.starts_with(&[0x20; 64]));
        assert_eq!(&message[64..98], b"TLS 1.3, client CertificateVerify\0");
        assert!(message[98..].iter().all(|byte| *byte == 7));
        assert_eq!(Transcript::of_message(&message), Some(transcript));
        for at in 0..98 {
            let mut other = message.clone();
            other[at] ^= 1;
            assert_eq!(Transcript::of_message(&other), None, "byte {at}");
        }
        for length in (0..message.len()).filter(|length| *length != 98 + 32) {
            assert_eq!(Transcript::of_message(&message[..length]), None, "{length} bytes");
        }
    }
    let server = [[0x20; 64].as_slice(), b"TLS 1.3, server CertificateVerify\0", &[7; 32]].concat();
    assert_eq!(Transcript::of_message(&server), None);
}

#[test]
fn requests_to_sign_read_back_byte_by_byte_and_others_never() {
    let both = [Transcript::Sha384([1; 48]), Transcript::Sha256([2; 32])];
    let bytes: Vec<u8> = both.iter().flat_map(Transcript::to_request).collect();
    let (mut requests, mut read) = (Requests::default(), Vec::new());
    for byte in bytes {
        requests.push(&[byte]);
        read.extend(requests.next_request().unwrap());
    }
    assert_eq!(read, both);
    for hostile in (0..=u8::MAX).filter(|length| !matches!(length, 32 | 48)) {
        let mut requests = Requests::default();
        requests.push(&[hostile]);
        assert_eq!(requests.next_request(), Err(NoRequest(hostile)));
        requests.push(&both[0].to_request());
        assert_eq!(requests.next_request(), Err(NoRequest(hostile)));
    }
}

proptest! {
    #[test]
    fn any_frames_in_any_parts_read_back(
        messages in vec((".{0,20}", vec(any::<u8>(), 0..40)), 0..5),
        parts in vec(1_usize..50, 1..20),
    ) {
        let mut bytes = Vec::new();
        for (json, attachment) in &messages {
            bytes.extend(encode(json, attachment).unwrap());
        }
        let (mut decoder, mut rest, mut read) = (Decoder::default(), bytes.as_slice(), Vec::new());
        for part in parts.iter().cycle() {
            while let Some(frame) = decoder.frame().unwrap() {
                read.push((frame.message::<String>().unwrap(), frame.attachment));
            }
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*part).min(rest.len()));
            decoder.push(now);
            rest = later;
        }
        assert_eq!(read, messages);
        assert!(decoder.is_empty());
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..200)) {
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        while let Ok(Some(frame)) = decoder.frame() {
            assert!(frame.message::<Value>().is_ok() || frame.message::<Call>().is_err());
        }
    }
}
