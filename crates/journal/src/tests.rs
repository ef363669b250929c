//! The journal on a real folder.

use id::Time;
use serde_json::json;

use crate::{Folder, Journal};

#[test]
fn what_was_appended_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let at = Time::from_millis(1);
    let mut journal = Journal::create(Folder::writable(&path).unwrap(), at, &json!({"tiers": 0})).unwrap();
    let (number, _) = journal.append(at, &json!({"order": 1})).unwrap();
    assert_eq!(number, 2);
    drop(journal);
    let opened = Journal::open(Folder::writable(&path).unwrap()).unwrap();
    assert_eq!(opened.entries.len(), 1);
    assert_eq!(opened.torn, None);
}
