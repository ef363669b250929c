//! Exports with signed heads.

use id::NodeId;
use keys::{Grade, Head, NodeRecord as _, PublicKey, SigningKey, Version};

use super::{AT, two_segments};
use crate::{Broken, Journal, Summary, Why, verify};

fn key(byte: u8) -> SigningKey {
    SigningKey::from_seed(&[byte; 32]).unwrap()
}

fn lines() -> Vec<Vec<u8>> {
    let journal = Journal::open(two_segments()).unwrap().journal;
    (1..=6).map(|number| journal.lines_from(number, 1).unwrap()).collect()
}

fn head(number: u64, line: &[u8], key: &SigningKey) -> Vec<u8> {
    let json = &line[65..line.len() - 1];
    let head = Head {
        version: Version,
        node: NodeId(key.public().id()),
        node_key: *key.public(),
        grade: Grade::HostRoot,
        at: AT,
        record: number,
        record_digest: id::Digest::of(json),
    };
    format!("{}\n", head.sign(key).to_json()).into_bytes()
}

fn check(lines: &[&[u8]], node_key: Option<&PublicKey>) -> Result<Summary, Broken> {
    verify(&lines.concat(), node_key)
}

#[test]
fn a_head_vouches_for_the_records_before_it() {
    let lines = lines();
    let (third, sixth) = (head(3, &lines[2], &key(1)), head(6, &lines[5], &key(1)));
    let mut all: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    assert_eq!(check(&all, None).unwrap().head, None);
    all.insert(3, &third);
    assert_eq!(check(&all, None).unwrap().head.unwrap().record, 3);
    all.push(&sixth);
    let vouched = check(&all, Some(key(1).public())).unwrap().head.unwrap();
    assert_eq!(
        (vouched.record, vouched.grade, vouched.node),
        (6, Grade::HostRoot, NodeId(key(1).public().id()))
    );
    let broken = check(&all, Some(key(2).public())).unwrap_err();
    assert!(matches!(broken, Broken { line: 4, why: Why::Head(_) }), "{broken:?}");
}

#[test]
fn any_run_is_an_export() {
    let lines = lines();
    let summary = check(&[&lines[1], &lines[2], &lines[3]], None).unwrap();
    assert_eq!((summary.first, summary.last), (2, 4));
    let broken = check(&[&lines[1], &lines[3]], None).unwrap_err();
    assert_eq!(broken.line, 2);
    assert!(matches!(check(&[], None), Err(Broken { line: 1, why: Why::Empty })));
}

#[test]
fn a_head_that_fits_nothing_is_refused() {
    let lines = lines();
    for (number, line) in [(2, &lines[0]), (7, &lines[0]), (0, &lines[0]), (u64::MAX, &lines[0])] {
        let stray = head(number, line, &key(1));
        let broken = check(&[&lines[0], &stray], None).unwrap_err();
        assert!(matches!(broken.why, Why::OtherRecord(_) | Why::Head(_)), "{broken:?}");
    }
    let (one, other) = (head(1, &lines[0], &key(1)), head(1, &lines[0], &key(2)));
    assert!(matches!(check(&[&lines[0], &one, &other], None).unwrap_err().why, Why::OtherNode));
    assert!(matches!(check(&[&one, &lines[0]], None).unwrap_err().why, Why::OtherRecord(1)));
}
