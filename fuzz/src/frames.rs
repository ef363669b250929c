//! Frames: those between a node's processes, and raw Ethernet frames to the model of the data path.

use boundary::oracle::{Oracle, Realm, Reason, Verdict};
use boundary::{Direction, ResolvedRule, ResolvedSet};
use node_protocol::signing::{Requests, Transcript};
use node_protocol::{Decoder, Frame, call, courier, encode};

/// In one piece or byte by byte: the same frames, and the same end.
pub fn node_frames(bytes: &[u8]) {
    let (whole, whole_ended_well) = decoded(std::iter::once(bytes));
    let (parts, parts_ended_well) = decoded(bytes.chunks(1));
    assert_eq!(whole_ended_well, parts_ended_well);
    assert!(whole == parts);
    for frame in &whole {
        reads_back::<call::Call>(frame);
        reads_back::<call::Answer>(frame);
        reads_back::<courier::ToCourier>(frame);
        reads_back::<courier::FromCourier>(frame);
    }
}

/// What a courier sends to custody, in one piece or byte by byte: the same requests, and the same end. What is
/// signed for each is a TLS client's handshake, whatever it was.
pub fn signing_requests(bytes: &[u8]) {
    let whole = requests(std::iter::once(bytes));
    assert!(whole == requests(bytes.chunks(1)));
    let mut sent: Vec<u8> = Vec::new();
    for transcript in &whole.0 {
        let message = transcript.message();
        assert!(
            message.starts_with(&[b' '; 64])
                && message[64..].starts_with(b"TLS 1.3, client CertificateVerify\0")
        );
        assert_eq!(Transcript::of_message(&message), Some(*transcript));
        sent.extend(transcript.to_request());
    }
    assert!(bytes.starts_with(&sent));
    if let Some(transcript) = Transcript::of_message(bytes) {
        assert_eq!(transcript.message(), bytes);
    }
}

fn requests<'bytes>(parts: impl Iterator<Item = &'bytes [u8]>) -> (Vec<Transcript>, bool) {
    let (mut requests, mut found) = (Requests::default(), Vec::new());
    for part in parts {
        requests.push(part);
        loop {
            match requests.next_request() {
                Ok(Some(transcript)) => found.push(transcript),
                Ok(None) => break,
                Err(_) => return (found, false),
            }
        }
    }
    (found, true)
}

fn decoded<'bytes>(parts: impl Iterator<Item = &'bytes [u8]>) -> (Vec<Frame>, bool) {
    let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
    for part in parts {
        decoder.push(part);
        loop {
            match decoder.frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, false),
            }
        }
    }
    (frames, true)
}

/// A message that is read is written so that it reads the same.
fn reads_back<T: serde::Serialize + serde::de::DeserializeOwned>(frame: &Frame) {
    let Ok(message) = frame.message::<T>() else { return };
    let first = encode(&message, &frame.attachment).expect("what was read can be written");
    let (frames, _) = decoded(std::iter::once(first.as_slice()));
    let again: T = frames[0].message().expect("what was written reads");
    assert_eq!(encode(&again, &frame.attachment).ok(), Some(first));
}

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const ADDRESS: [u8; 4] = [192, 0, 2, 1];
const FLOWS: usize = 4;

/// The bytes as a row of frames: a flag byte, a length, that many bytes. Nothing crashes, the flow table
/// keeps to its size, and nothing passes that no boundary could ever admit.
pub fn packets(bytes: &[u8]) {
    let mut oracle = Oracle::new(Realm {
        mac: MAC,
        v4: vec![ADDRESS.into()],
        v6: vec!["2001:db8::1".parse().expect("an address")],
        stack: vec![ResolvedSet::everything(), without_port_22()],
        flow_capacity: FLOWS,
    });
    let (mut rest, mut now_ms) = (bytes, 0);
    while let [flags, length, after @ ..] = rest {
        let (frame, behind) = after.split_at(after.len().min(usize::from(*length)));
        rest = behind;
        now_ms += u64::from(flags >> 4) * 5_000;
        let direction = if flags & 1 == 0 { Direction::Out } else { Direction::In };
        let tagged = flags & 2 != 0;
        let verdict = oracle.verdict(direction, frame, tagged, now_ms);
        if verdict == Verdict::Pass {
            assert!(!tagged && frame.len() >= 14);
            assert!(direction == Direction::In || frame[6..12] == MAC);
            assert!(frame[12..14] != [8, 0] || direction == Direction::In || frame[26..30] == ADDRESS);
        }
        assert!(oracle.flow_count() <= FLOWS);
        let mut cut = oracle.clone();
        cut.set_cut(true);
        assert_eq!(cut.verdict(direction, frame, tagged, now_ms), Verdict::Drop(Reason::Closed));
    }
}

fn without_port_22() -> ResolvedSet {
    let mut set = ResolvedSet::everything();
    let mut rule = ResolvedRule::any("deny[0]");
    (rule.protocol, rule.local_port) = (Some(6), vec![(22, 22)]);
    set.deny.push(rule);
    set
}
