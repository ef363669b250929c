//! A journal of version 1 as it lies on a node's disk. Every later version must read it.

use std::path::{Path, PathBuf};

use expect_test::{expect, expect_file};
use id::{NodeId, Time};
use keys::{Grade, Head, NodeRecord as _, SigningKey, Version};
use serde_json::json;

use super::said;
use super::sim::SimDisk;
use crate::{Folder, Journal, inspect, verify};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[test]
fn the_golden_journal_is_still_read() {
    let read = inspect(&Folder::readable(&golden().join("journal")).unwrap()).unwrap();
    assert_eq!((read.first, read.torn), (1, None));
    let records = std::iter::once(&read.snapshot).chain(&read.entries);
    let told: Vec<String> =
        records.map(|record| format!("{} {} {}", record.number, record.at, said(record))).collect();
    expect![[r#"
        4 2026-05-28T20:26:42Z {"tiers":["tenant-a"]}
        5 2026-05-28T20:26:43Z {"refused":"replayed"}"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn the_golden_export_is_still_vouched_for() {
    let export = std::fs::read(golden().join("export.journal")).unwrap();
    let key = SigningKey::from_seed(&[9; 32]).unwrap();
    let summary = verify(&export, Some(key.public())).unwrap();
    assert_eq!((summary.first, summary.last, summary.head.unwrap().record), (1, 5, 5));
}

/// Today's version writes the golden files. When one has to write otherwise, this test goes with it and
/// the two above stay.
#[test]
fn the_golden_journal_is_still_written() {
    let disk = SimDisk::default();
    let at = |seconds: u64| Time::from_millis(1_780_000_000_000 + seconds * 1_000);
    let mut journal = Journal::create(disk.clone(), at(0), &json!({"tiers": []})).unwrap();
    journal.append(at(1), &json!({"input": "order", "changes": [{"leased": "tenant-a"}]})).unwrap();
    journal.append(at(1), &json!({"begun": "ö \u{7f} \" \n"})).unwrap();
    journal.snapshot(at(2), &json!({"tiers": ["tenant-a"]})).unwrap();
    let (record, record_digest) = journal.append_reserved(at(3), &json!({"refused": "replayed"})).unwrap();
    for name in ["0000000000000001.journal", "0000000000000004.journal"] {
        let text = String::from_utf8(disk.bytes(name)).unwrap();
        expect_file![golden().join("journal").join(name)].assert_eq(&text);
    }

    let key = SigningKey::from_seed(&[9; 32]).unwrap();
    let (node, node_key) = (NodeId(key.public().id()), *key.public());
    let grade = Grade::HostRoot;
    let head = Head { version: Version, node, node_key, grade, at: at(3), record, record_digest };
    let lines =
        [journal.lines_from(1, usize::MAX).unwrap(), journal.lines_from(4, usize::MAX).unwrap()].concat();
    let export = format!("{}{}\n", String::from_utf8(lines).unwrap(), head.sign(&key).to_json());
    expect_file![golden().join("export.journal")].assert_eq(&export);
}
