use std::time::Duration;

use expect_test::expect;
use id::Time;
use journal::{Body, Folder, Journal, Objects, Opened};
use tempfile::TempDir;
use tenure::Tenure;

use super::Node;
use crate::entry::{Entry, Snapshot};

fn node(folder: &TempDir) -> Node {
    let disk = |name: &str| Folder::writable(&folder.path().join(name)).unwrap();
    let snapshot = Snapshot { tenure: Tenure::unenrolled() };
    let journal = Journal::create(disk("journal"), Time::ZERO, &snapshot).unwrap();
    let objects = Objects::open(disk("objects")).unwrap();
    Node::new(journal, objects, Tenure::unenrolled(), Vec::new(), Duration::ZERO, |_name, form| {
        Ok(form.to_vec())
    })
    .0
}

/// What is older than is kept goes, what comes after says so, and the rest is a journal.
#[test]
fn old_segments_go_after_it_is_on_record() {
    let folder = TempDir::new().unwrap();
    let mut node = node(&folder);
    let at = |second: u64| Time::from_millis(second * 1_000);
    for second in 1..=4 {
        node.begin_segment(at(second), 2).unwrap();
    }
    assert_eq!(node.journal.oldest().unwrap(), 5);
    drop(node);
    let disk = Folder::writable(&folder.path().join("journal")).unwrap();
    let Opened { journal, snapshot, entries, torn } = Journal::open(disk).unwrap();
    assert_eq!((snapshot.number, torn), (7, None));
    let said: Vec<String> = entries
        .iter()
        .map(|record| match &record.body {
            Body::Entry(entry) => entry.to_string(),
            Body::Snapshot(_) => panic!("a snapshot among the entries"),
        })
        .collect();
    expect![[r#"{"forgotten":{"before":5}}"#]].assert_eq(&said.join("\n"));
    assert_eq!(serde_json::from_str::<Entry>(&said[0]).unwrap(), Entry::Forgotten { before: 5 });
    // Nothing more to forget: nothing is said.
    assert_eq!(journal.oldest_after_forgetting(2).unwrap(), None);
}
