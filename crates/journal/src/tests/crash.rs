//! The machine or the process dies at every call to the disk, also while it opens again.

use id::Digest;
use serde_json::json;

use super::sim::{Seed, SimDisk};
use super::{AT, entry};
use crate::{Error, Journal, Opened};

/// What was acknowledged: record number and digest. None before the journal's creation was.
type Acknowledged = Option<Vec<(u64, Digest)>>;

/// A life with records short and long, a severing, a rotation and old segments removed.
fn live(disk: &SimDisk) -> Acknowledged {
    let mut journal = Journal::create(disk.clone(), AT, &json!({})).ok()?;
    let mut acknowledged = vec![journal.head()];
    let long = "x".repeat(3_000);
    let mut step = |journal: &mut Journal<SimDisk>, what: usize| {
        let done = match what {
            0 | 1 | 4 => journal.append(AT, &entry(2)),
            2 => journal.append_reserved(AT, &long),
            3 | 5 => journal.snapshot(AT, &json!({"snapshot": long})),
            _ => return journal.forget(2).is_ok(),
        };
        acknowledged.extend(done.as_ref().ok());
        done.is_ok()
    };
    for what in 0..=6 {
        if !step(&mut journal, what) {
            break;
        }
    }
    Some(acknowledged)
}

/// All acknowledged records are there, and at most one more, which was on its way.
fn check_nothing_lost(opened: &Opened<SimDisk>, acknowledged: &Acknowledged, what: &str) {
    let Some(acknowledged) = acknowledged else { return };
    let (last, digest) = *acknowledged.last().unwrap();
    let (head, _) = opened.journal.head();
    assert!(head == last || head == last + 1, "{what}: {last} was acknowledged, {head} is there");
    let found = std::iter::once(&opened.snapshot).chain(&opened.entries).find(|record| record.number == last);
    let found = found.map(|record| record.digest);
    let before = if head == last { None } else { opened.snapshot.previous };
    assert!(found == Some(digest) || before == Some(digest), "{what}: record {last} reads otherwise");
}

fn open(disk: &SimDisk, acknowledged: &Acknowledged, what: &str) -> Option<Opened<SimDisk>> {
    match Journal::open(disk.clone()) {
        Ok(opened) => {
            check_nothing_lost(&opened, acknowledged, what);
            Some(opened)
        }
        Err(Error::Missing) if acknowledged.is_none() => None,
        Err(error) => panic!("{what}: {error:?}"),
    }
}

fn calls_of_a_life() -> usize {
    let disk = SimDisk::default();
    assert_eq!(live(&disk).unwrap().len(), 7);
    disk.calls()
}

#[test]
fn no_acknowledged_record_is_lost_when_power_goes_at_any_call() {
    for call in 0..calls_of_a_life() {
        for round in 0..8 {
            let (disk, mut seed) = (SimDisk::default(), Seed::new((call * 100 + round) as u64));
            disk.die_after(call);
            let acknowledged = live(&disk);
            disk.lose_power(&mut seed);
            let what = format!("call {call}, round {round}");
            // Power goes again while the journal opens.
            disk.die_after(seed.below(40));
            drop(Journal::open(disk.clone()));
            disk.lose_power(&mut seed);
            let Some(mut opened) = open(&disk, &acknowledged, &what) else { continue };
            let (number, _) = opened.journal.append(AT, &entry(0)).unwrap();
            disk.lose_power(&mut seed);
            let again = open(&disk, &Some(vec![opened.journal.head()]), &what).unwrap();
            assert_eq!((again.journal.head().0, again.torn), (number, None), "{what}");
        }
    }
}

#[test]
fn what_a_restarted_process_read_stays_when_power_goes_after() {
    for call in 0..calls_of_a_life() {
        let (disk, mut seed) = (SimDisk::default(), Seed::new(call as u64));
        disk.die_after(call);
        let acknowledged = live(&disk);
        disk.restart();
        let what = format!("call {call}");
        let Some(opened) = open(&disk, &acknowledged, &what) else { continue };
        disk.lose_power(&mut seed);
        let again = open(&disk, &acknowledged, &what).unwrap();
        assert_eq!(again.journal.head(), opened.journal.head(), "{what}");
    }
}

#[test]
fn after_a_failed_fsync_nothing_more_is_written() {
    let disk = super::two_segments();
    let mut journal = Journal::open(disk.clone()).unwrap().journal;
    disk.let_syncs_fail(true);
    assert!(matches!(journal.append(AT, &entry(7)), Err(Error::Unsure(_))));
    disk.let_syncs_fail(false);
    assert!(matches!(journal.append(AT, &entry(7)), Err(Error::Unsure(_))));
    assert!(matches!(journal.append_reserved(AT, &entry(7)), Err(Error::Unsure(_))));
    assert!(matches!(journal.snapshot(AT, &json!({})), Err(Error::Unsure(_))));
    assert!(Journal::open(disk).unwrap().journal.append(AT, &entry(7)).is_ok());
}
