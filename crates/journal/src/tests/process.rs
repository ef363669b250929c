//! Real folders and real processes: locks, modes, and `kill -9` while another process writes.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{AT, entry};
use crate::{Folder, Journal, inspect};

#[test]
fn a_second_writer_is_refused_and_a_reader_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::create(Folder::writable(&path).unwrap(), AT, &json!({})).unwrap();
    assert_eq!(Folder::writable(&path).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(inspect(&Folder::readable(&path).unwrap()).unwrap().snapshot.number, 1);
    assert!(Journal::create(Folder::readable(&path).unwrap(), AT, &json!({})).is_err());
    assert!(Journal::open(Folder::readable(&path).unwrap()).is_err(), "a reader changes nothing");
    drop(journal);
    assert!(Folder::writable(&path).is_ok());
}

#[test]
fn nobody_else_reads_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    drop(Journal::create(Folder::writable(&path).unwrap(), AT, &json!({})).unwrap());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for file in std::fs::read_dir(&path).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

const WRITER: &str = "LEASEHOLD_TEST_WRITER";

/// Runs itself again as the writer, kills it in the middle, and looks for every record it said was written.
#[test]
fn kill_9_loses_no_acknowledged_record() {
    if let Some(path) = std::env::var_os(WRITER) {
        write_for_ever(path.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    drop(Journal::create(Folder::writable(&path).unwrap(), AT, &json!({})).unwrap());
    for round in 1..=8 {
        let acknowledged = kill_after(&path, round * 7);
        let opened = Journal::open(Folder::writable(&path).unwrap()).unwrap();
        let (last, digest) = opened.journal.head();
        assert!(opened.entries.len() as u64 + opened.snapshot.number == last);
        let found = std::iter::once(&opened.snapshot).chain(&opened.entries);
        let known = found.map(|record| format!("{} {}", record.number, record.digest));
        assert!(
            known.into_iter().any(|record| record == acknowledged),
            "{acknowledged}, last {last} {digest}"
        );
    }
}

fn kill_after(path: &Path, records: usize) -> String {
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "tests::process::kill_9_loses_no_acknowledged_record"])
        .env(WRITER, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let written = lines.map(Result::unwrap).filter_map(|line| line.strip_prefix("wrote ").map(str::to_owned));
    let acknowledged = written.take(records).last();
    writer.kill().unwrap();
    writer.wait().unwrap();
    acknowledged.unwrap()
}

fn write_for_ever(path: &Path) -> ! {
    let mut journal = Journal::open(Folder::writable(path).unwrap()).unwrap().journal;
    loop {
        let (number, digest) = journal.append(AT, &entry(0)).unwrap();
        println!("\nwrote {number} {digest}");
    }
}
