//! Journals and receipts by somebody who wants them to be believed, or the reader to fail. Whatever the file:
//! one line of JSON with FORMATS' keys on stdout for each document, exit 0 or 3, and "valid" never for what the
//! node did not sign.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use id::{Digest, Epoch, NodeId, TierId, Time};
use keys::{
    Envelope, Fate, Grade, Head, NodeRecord as _, Part, PayloadType, Purpose, Receipt, SigningKey, Version,
};
use serde_json::{Value, json};
use tempfile::TempDir;

fn key(byte: u8) -> SigningKey {
    SigningKey::from_seed(&[byte; 32]).unwrap()
}

fn at(second: u64) -> Time {
    Time::from_millis(1_780_000_000_000 + second * 1_000)
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_leasehold")).args(args).output().unwrap()
}

/// Runs `leasehold WHAT verify` over these bytes; gives each document's verdict.
fn verdicts(what: &str, bytes: &[u8], more: &[&str]) -> Vec<bool> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, bytes).unwrap();
    let path = file.to_str().unwrap();
    let ran = run(&[&[what, "verify", path, "-o", "json"], more].concat());
    let stdout = String::from_utf8(ran.stdout).unwrap();
    let stderr = String::from_utf8(ran.stderr).unwrap();
    let answers: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let valid: Vec<bool> = answers.iter().map(|answer| answer["valid"].as_bool().unwrap()).collect();
    for answer in &answers {
        let grade = answer.get("grade").unwrap();
        assert!(grade.is_null() || grade == "host-root", "{answer}");
        assert!(
            answer["valid"] == json!(true) || (grade.is_null() && answer["reason"].is_string()),
            "{answer}"
        );
    }
    let all = !valid.is_empty() && valid.iter().all(|valid| *valid);
    assert_eq!(ran.status.code(), Some(if all { 0 } else { 3 }), "{stdout}{stderr}");
    assert_eq!(all, stderr.is_empty(), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    valid
}

/// Five records, the head of the last one behind them, and their digests.
fn export(folder: &Path) -> (Vec<u8>, Vec<Digest>) {
    let disk = journal::Folder::writable(folder).unwrap();
    let mut journal = journal::Journal::create(disk, at(0), &json!({"tiers": []})).unwrap();
    let mut digests = vec![journal.head().1];
    for number in 1..5_u64 {
        digests.push(journal.append(at(number), &json!({"entry": number})).unwrap().1);
    }
    let mut lines = journal.lines_from(1, usize::MAX).unwrap();
    lines.extend(head(5, digests[4], &key(9)));
    (lines, digests)
}

fn head(record: u64, record_digest: Digest, key: &SigningKey) -> Vec<u8> {
    let (node, node_key) = (NodeId(key.public().id()), *key.public());
    let head =
        Head { version: Version, node, node_key, grade: Grade::HostRoot, at: at(9), record, record_digest };
    (head.sign(key).to_json() + "\n").into_bytes()
}

fn receipt(record: u64, record_digest: Digest) -> Receipt {
    let tier = TierId::from_bytes([1; 16]);
    Receipt {
        version: Version,
        node: NodeId(key(9).public().id()),
        node_key: *key(9).public(),
        grade: Grade::HostRoot,
        at: at(9),
        order: None,
        purpose: Purpose::Severing,
        tier,
        parts: vec![Part { tier, epoch: Epoch::new(2).unwrap(), fate: Fate::Ended }],
        destroyed: vec![Digest::of(b"salt")],
        record,
        record_digest,
        previous: None,
    }
}

fn line(index: usize, export: &[u8]) -> Vec<u8> {
    export.split_inclusive(|&byte| byte == b'\n').nth(index).unwrap().to_vec()
}

/// A line as it would be if its writer had said otherwise, with the digest that then fits.
fn rewritten(line: &[u8], from: &str, to: &str) -> Vec<u8> {
    let json = String::from_utf8(line[65..].to_vec()).unwrap();
    let changed = json.trim_end().replacen(from, to, 1);
    assert_ne!(changed, json.trim_end());
    let digest = Digest::of(changed.as_bytes()).to_string();
    format!("{} {changed}\n", digest.trim_start_matches("sha256:")).into_bytes()
}

#[test]
fn no_hostile_export_is_believed() {
    let folder = TempDir::new().unwrap();
    let (good, digests) = export(&folder.path().join("journal"));
    let own = key(9).public().to_string();
    let named = ["--node-key", own.as_str()];
    assert_eq!(verdicts("journal", &good, &named), [true]);
    let lines: Vec<Vec<u8>> = (0..6).map(|index| line(index, &good)).collect();
    let but = |index: usize, other: Vec<u8>| {
        let mut lines = lines.clone();
        lines[index] = other;
        lines.concat()
    };
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("history rewritten from one record on", but(2, rewritten(&lines[2], "\"entry\":2", "\"entry\":7"))),
        ("the last record rewritten", but(4, rewritten(&lines[4], "\"entry\":4", "\"entry\":7"))),
        ("a key twice", but(2, rewritten(&lines[2], "\"entry\":2", "\"entry\":2,\"entry\":3"))),
        ("entry and snapshot", but(2, rewritten(&lines[2], "\"entry\":2", "\"entry\":2,\"snapshot\":3"))),
        ("a number too large", but(2, rewritten(&lines[2], "\"number\":3", "\"number\":9007199254740993"))),
        ("time going back", but(2, rewritten(&lines[2], "20:26:42", "20:26:22"))),
        (
            "deep nesting",
            but(2, rewritten(&lines[2], "\"entry\":{\"entry\":2}", &format!("\"entry\":{deep}"))),
        ),
        ("two lines changed places", [&lines[1], &lines[0], &lines[5]].map(|line| line.as_slice()).concat()),
        ("a record twice", [&lines[0], &lines[0], &lines[5]].map(|line| line.as_slice()).concat()),
        ("a head before its record", [&lines[5], &lines[0]].map(|line| line.as_slice()).concat()),
        ("a head by another node", but(5, head(5, digests[4], &key(8)))),
        ("a second head by another node", [good.clone(), head(5, digests[4], &key(8))].concat()),
        ("a head for a record to come", but(5, head(6, digests[4], &key(9)))),
        ("a head for record 0", but(5, head(0, digests[0], &key(9)))),
        ("a head for the highest number", but(5, head(9_007_199_254_740_991, digests[0], &key(9)))),
        (
            "a head that is a receipt",
            but(5, (receipt(5, digests[4]).sign(&key(9)).to_json() + "\n").into_bytes()),
        ),
        ("no head", lines[..5].concat()),
        ("the end cut off", good[..good.len() - 2].to_vec()),
        (
            "line ends of another system",
            String::from_utf8(good.clone()).unwrap().replace('\n', "\r\n").into(),
        ),
        ("a mark of byte order", [b"\xef\xbb\xbf".as_slice(), &good].concat()),
        ("zeros behind", [good.as_slice(), &[0; 4096]].concat()),
        ("an empty line", [good.as_slice(), b"\n"].concat()),
        ("no text", vec![0xff; 1000]),
        ("one long line", vec![b'a'; 9 * 1024 * 1024]),
        ("braces", vec![b'{'; 300 * 1024]),
        ("nothing", Vec::new()),
    ];
    for (what, bytes) in cases {
        assert_eq!(verdicts("journal", &bytes, &named), [false], "{what}");
    }
}

/// No single changed byte of an export with a head under a known key goes unseen, wherever it is.
#[test]
fn no_changed_byte_of_an_export_is_believed() {
    let folder = TempDir::new().unwrap();
    let (good, _) = export(&folder.path().join("journal"));
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 1;
        let verified = journal::verify(&bad, Some(key(9).public()));
        let vouched = verified.ok().and_then(|summary| summary.head).map(|head| head.record);
        assert_ne!(vouched, Some(5), "byte {place}");
    }
}

#[test]
fn no_hostile_receipt_is_believed() {
    let folder = TempDir::new().unwrap();
    let (journal, digests) = export(&folder.path().join("journal"));
    let path = folder.path().join("export");
    fs::write(&path, &journal).unwrap();
    let own = key(9).public().to_string();
    let named = ["--node-key", own.as_str()];
    let with_journal = ["--node-key", own.as_str(), "--journal", path.to_str().unwrap()];
    let good = receipt(5, digests[4]).sign(&key(9)).to_json();
    assert_eq!(verdicts("receipt", good.as_bytes(), &named), [true]);
    assert_eq!(verdicts("receipt", good.as_bytes(), &with_journal), [true]);
    // Signed by the node, and not about this journal.
    for (record, digest) in [(4, digests[4]), (6, digests[4]), (0, digests[0]), (5, digests[3])] {
        let other = receipt(record, digest).sign(&key(9)).to_json();
        assert_eq!(verdicts("receipt", other.as_bytes(), &with_journal), [false], "record {record}");
    }
    let payload = |json: String| Envelope::sign(PayloadType::Receipt, json.into_bytes(), &key(9)).to_json();
    let said = serde_json::to_string(&receipt(5, digests[4])).unwrap();
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("another's", receipt(5, digests[4]).sign(&key(8)).to_json().into()),
        ("a better grade", payload(said.replace("host-root", "attested-by-me")).into()),
        ("a key twice", payload(said.replacen('{', "{\"version\":1,", 1)).into()),
        ("a key more", payload(said.replacen('{', "{\"more\":1,", 1)).into()),
        ("another version", payload(said.replacen("\"version\":1", "\"version\":2", 1)).into()),
        ("deep nesting", payload(format!("{{\"version\":{deep}}}")).into()),
        ("an empty payload", payload(String::new()).into()),
        ("another type", good.replace("receipt+json", "statement+json").into()),
        ("an order", Envelope::sign(PayloadType::Order, said.clone().into(), &key(9)).to_json().into()),
        (
            "no signature",
            r#"{"payload":"","payloadType":"application/vnd.leasehold.receipt+json","signatures":[]}"#.into(),
        ),
        ("too long", vec![b' '; 300 * 1024]),
        ("no text", vec![0xff; 1000]),
        ("zeros", vec![0; 1000]),
        ("nothing", Vec::new()),
        ("half of it", good.as_bytes()[..good.len() / 2].to_vec()),
    ];
    for (what, bytes) in cases {
        assert_eq!(verdicts("receipt", &bytes, &named), [false], "{what}");
    }
    // A good one beside a bad one: each has its verdict.
    let two = format!("{good}\n{}\n", receipt(5, digests[4]).sign(&key(8)).to_json());
    assert_eq!(verdicts("receipt", two.as_bytes(), &named), [true, false]);
}

/// A journal that does not hold proves nothing about a receipt.
#[test]
fn a_receipt_beside_a_broken_journal_is_not_believed() {
    let folder = TempDir::new().unwrap();
    let (mut journal, digests) = export(&folder.path().join("journal"));
    journal[70] ^= 1;
    let (export, signed) = (folder.path().join("export"), folder.path().join("receipt"));
    fs::write(&export, &journal).unwrap();
    fs::write(&signed, receipt(5, digests[4]).sign(&key(9)).to_json()).unwrap();
    let ran = run(&["receipt", "verify", signed.to_str().unwrap(), "--journal", export.to_str().unwrap()]);
    assert_eq!(ran.status.code(), Some(3));
    assert!(String::from_utf8(ran.stderr).unwrap().contains("line 1 does not hold"));
}
