//! A full disk: simulated, and a small tmpfs.

use std::process::Command;

use serde_json::json;

use super::sim::SimDisk;
use super::{AT, entry, numbers};
use crate::{Disk, Error, Folder, Journal, RESERVE_BYTES};

/// Appends until the disk is full; gives the number of the last record.
fn fill<D: Disk>(journal: &mut Journal<D>, entry: &str) -> u64 {
    loop {
        match journal.append(AT, &entry) {
            Ok(_) => {}
            Err(Error::Full(_)) => return journal.head().0,
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn a_full_disk_takes_no_part_of_a_record_and_still_takes_severings() {
    let disk = SimDisk::default();
    disk.limit_to(Some(usize::try_from(RESERVE_BYTES).unwrap() + 10_000));
    let mut journal = Journal::create(disk.clone(), AT, &json!({})).unwrap();
    let last = fill(&mut journal, &"x".repeat(700));
    let small = journal.append(AT, &entry(0));
    assert!(small.is_ok() || matches!(small, Err(Error::Full(_))));
    assert!(journal.head().0 >= last && journal.head().0 > 10);

    let severings = 200;
    let before = journal.head().0;
    for _ in 0..severings {
        journal.append_reserved(AT, &"y".repeat(20_000)).unwrap();
    }
    assert_eq!(journal.head().0, before + severings);
    // What is left of the reserve is not for others.
    assert!(matches!(journal.append(AT, &entry(0)), Err(Error::Full(_))));
    assert!(matches!(journal.snapshot(AT, &"z".repeat(10_000)), Err(Error::Full(_))));
    let opened = Journal::open(disk.clone()).unwrap();
    assert_eq!((opened.journal.head().0, opened.torn), (before + severings, None));

    disk.limit_to(None);
    let mut journal = opened.journal;
    journal.append(AT, &entry(0)).unwrap();
    assert!(disk.used() as u64 > RESERVE_BYTES + severings * 20_000, "the reserve was filled again");
}

#[test]
fn a_severing_fails_only_when_the_whole_reserve_is_gone() {
    let disk = SimDisk::default();
    let mut journal = Journal::create(disk.clone(), AT, &json!({})).unwrap();
    disk.limit_to(Some(disk.used()));
    let large = "x".repeat(1_000_000);
    let severings = (0..).take_while(|_| journal.append_reserved(AT, &large).is_ok()).count();
    assert_eq!(severings, 4);
    assert!(matches!(journal.append_reserved(AT, &large), Err(Error::Full(_))));
    assert_eq!(numbers(&Journal::open(disk).unwrap()), [2, 3, 4, 5]);
}

const TMPFS: &str = "LEASEHOLD_TEST_TMPFS";

/// Runs itself again in a mount namespace of its own, which takes the tmpfs with it whatever happens.
#[test]
fn a_full_tmpfs_takes_no_part_of_a_record_and_still_takes_severings() {
    if let Some(folder) = std::env::var_os(TMPFS) {
        return on_a_small_tmpfs(folder.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let script = "mount -t tmpfs -o size=6m tmpfs \"$0\" && exec \"$1\" --exact --nocapture \"$2\"";
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(folder.path())
        .arg(this)
        .arg("tests::full::a_full_tmpfs_takes_no_part_of_a_record_and_still_takes_severings")
        .env(TMPFS, folder.path())
        .status()
        .unwrap();
    assert!(status.success(), "needs root: {status}");
}

fn on_a_small_tmpfs(folder: &std::path::Path) {
    let path = folder.join("journal");
    let mut journal = Journal::create(Folder::writable(&path).unwrap(), AT, &json!({})).unwrap();
    let before = fill(&mut journal, &"x".repeat(10_000));
    assert!(before > 50, "{before}");
    for _ in 0..100 {
        journal.append_reserved(AT, &"y".repeat(20_000)).unwrap();
    }
    assert!(matches!(journal.append(AT, &"x".repeat(10_000)), Err(Error::Full(_))));
    drop(journal);
    let opened = Journal::open(Folder::writable(&path).unwrap()).unwrap();
    assert_eq!((opened.journal.head().0, opened.torn), (before + 100, None));
}
