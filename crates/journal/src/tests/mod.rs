//! The journal under crashes, damage, a full disk and a second writer.

mod crash;
mod damage;
mod export;
mod full;
mod golden;
mod object;
mod process;
mod sim;

use id::Time;
use serde_json::{Value, json};

use crate::{Body, Journal, Opened, Record};
use sim::{Seed, SimDisk};

const AT: Time = Time::from_millis(1_000);

fn entry(number: u64) -> Value {
    json!({ "entry of": number })
}

/// A journal of two segments: records 1 to 3, then 4 (a snapshot), 5 and 6.
fn two_segments() -> SimDisk {
    let disk = SimDisk::default();
    let mut journal = Journal::create(disk.clone(), AT, &json!({"upto": 1})).unwrap();
    journal.append(AT, &entry(2)).unwrap();
    journal.append(AT, &entry(3)).unwrap();
    journal.snapshot(AT, &json!({"upto": 4})).unwrap();
    journal.append(AT, &entry(5)).unwrap();
    journal.append(AT, &entry(6)).unwrap();
    disk
}

fn said(record: &Record) -> &str {
    match &record.body {
        Body::Entry(json) | Body::Snapshot(json) => json.get(),
    }
}

fn numbers<D>(opened: &Opened<D>) -> Vec<u64> {
    opened.entries.iter().map(|record| record.number).collect()
}

#[test]
fn what_was_appended_is_there_after_opening_again() {
    let opened = Journal::open(two_segments()).unwrap();
    assert_eq!(said(&opened.snapshot), r#"{"upto":4}"#);
    assert_eq!(
        opened.entries.iter().map(said).collect::<Vec<_>>(),
        [r#"{"entry of":5}"#, r#"{"entry of":6}"#]
    );
    assert_eq!(opened.torn, None);
    assert_eq!(opened.journal.head().0, 6);
}

#[test]
fn a_second_journal_is_not_made_over_the_first() {
    assert!(matches!(Journal::create(two_segments(), AT, &json!({})), Err(crate::Error::Exists)));
    assert!(matches!(Journal::open(SimDisk::default()), Err(crate::Error::Missing)));
}

#[test]
fn time_never_goes_back() {
    let mut journal = Journal::open(two_segments()).unwrap().journal;
    let before = Time::from_millis(999);
    assert!(matches!(journal.append(before, &entry(7)), Err(crate::Error::Record(crate::Flaw::WentBack))));
    let recorded = journal.time(before);
    assert_eq!(recorded, AT);
    journal.append(recorded, &entry(7)).unwrap();
    assert_eq!(journal.time(Time::from_millis(2_000)), Time::from_millis(2_000));
}

#[test]
fn a_record_over_the_limit_is_refused_and_changes_nothing() {
    let disk = two_segments();
    let mut journal = Journal::open(disk.clone()).unwrap().journal;
    let long = "x".repeat(crate::RECORD_BYTES_MAX);
    assert!(matches!(journal.append(AT, &long), Err(crate::Error::Record(crate::Flaw::TooLong))));
    let fits = "x".repeat(crate::RECORD_BYTES_MAX - 300);
    assert_eq!(journal.append(AT, &fits).unwrap().0, 7);
    assert_eq!(numbers(&Journal::open(disk).unwrap()), [5, 6, 7]);
}

#[test]
fn raw_line_breaks_and_null_are_no_entries() {
    let mut journal = Journal::open(two_segments()).unwrap().journal;
    let broken = serde_json::value::RawValue::from_string("{\n}".to_owned()).unwrap();
    assert!(matches!(journal.append(AT, &broken), Err(crate::Error::Record(crate::Flaw::Body))));
    assert!(matches!(journal.append(AT, &()), Err(crate::Error::Record(crate::Flaw::Body))));
    assert_eq!(journal.append(AT, &entry(7)).unwrap().0, 7);
}

#[test]
fn lines_are_given_whole_and_in_order() {
    let journal = Journal::open(two_segments()).unwrap().journal;
    let mut export = Vec::new();
    let mut next = 1;
    loop {
        let lines = journal.lines_from(next, 1).unwrap();
        if lines.is_empty() {
            break;
        }
        export.extend_from_slice(&lines);
        next += 1;
    }
    assert_eq!(next, 7);
    assert_eq!(crate::verify(&export, None).unwrap().last, 6);
    let segment = journal.lines_from(1, usize::MAX).unwrap();
    assert_eq!(crate::verify(&segment, None).unwrap().last, 3, "a call stays within one segment");
    assert!(matches!(journal.lines_from(0, 1), Err(crate::Error::Missing)));
}

/// What a head that was kept elsewhere says about the journal that is there now.
#[test]
fn a_kept_head_tells_an_older_and_another_journal() {
    use crate::Held;
    let disk = two_segments();
    let mut journal = Journal::open(disk.clone()).unwrap().journal;
    let (number, digest) = journal.head();
    assert_eq!(journal.holds(number, digest).unwrap(), Held::There);
    assert_eq!(crate::holds(&disk, number, digest).unwrap(), Held::There);
    assert_eq!(journal.holds(number, id::Digest::of(b"other")).unwrap(), Held::Otherwise);
    let older = SimDisk::default();
    let mut before = Journal::create(older.clone(), AT, &json!({})).unwrap();
    assert_eq!(crate::holds(&older, number, digest).unwrap(), Held::Ahead);
    while before.head().0 < number {
        before.append(AT, &entry(9)).unwrap();
    }
    assert_eq!(before.holds(number, digest).unwrap(), Held::Otherwise);
    let first = journal.lines_from(1, 1).unwrap();
    let first = crate::verify(&first, None).unwrap().digest;
    assert_eq!(journal.holds(1, first).unwrap(), Held::There);
    assert_eq!((journal.oldest().unwrap(), journal.oldest_after_forgetting(1).unwrap()), (1, Some(4)));
    journal.forget(1).unwrap();
    assert_eq!((journal.oldest().unwrap(), journal.oldest_after_forgetting(1).unwrap()), (4, None));
    assert_eq!(journal.holds(1, first).unwrap(), Held::Forgotten);
    assert_eq!(journal.holds(number, digest).unwrap(), Held::There);
    assert!(matches!(crate::holds(&SimDisk::default(), 1, first), Err(crate::Error::Missing)));
}

#[test]
fn forgotten_segments_leave_a_journal_that_opens() {
    let disk = two_segments();
    let mut journal = Journal::open(disk.clone()).unwrap().journal;
    assert_eq!(journal.forget(0).unwrap(), 1);
    assert_eq!(journal.forget(0).unwrap(), 0);
    assert!(matches!(journal.lines_from(3, 1), Err(crate::Error::Missing)));
    assert_eq!(numbers(&Journal::open(disk).unwrap()), [5, 6]);
}

#[test]
fn a_long_segment_asks_for_a_snapshot() {
    let mut journal = Journal::create(SimDisk::default(), AT, &json!({})).unwrap();
    let large = "x".repeat(crate::RECORD_BYTES_MAX - 300);
    while !journal.wants_snapshot() {
        journal.append(AT, &large).unwrap();
    }
    assert_eq!(journal.head().0, 6);
    journal.snapshot(AT, &json!({})).unwrap();
    assert!(!journal.wants_snapshot());
}

#[test]
fn seeds_repeat() {
    assert_eq!(Seed::new(7).below(1_000), Seed::new(7).below(1_000));
}
