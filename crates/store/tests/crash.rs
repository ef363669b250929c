//! A writer that is killed in mid-write loses nothing that it acknowledged. The test starts itself again as
//! the writer: it has a runner of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a runner tells its trials")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use store::{Key, Sqlite, Store as _, Transaction};

const TRIALS: [(&str, fn()); 1] = [("a_killed_writer_loses_nothing_acknowledged", killed)];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, folder] = &arguments[..]
        && word == "write"
    {
        write(Path::new(folder));
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| argument == "--list") {
        TRIALS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    for (name, trial) in TRIALS {
        trial();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

/// Writes pairs that belong together, for ever, and says each number once it is acknowledged.
fn write(folder: &Path) {
    let store = Sqlite::open(&folder.join("store.sqlite")).unwrap();
    let begin = store.range("left/", None, 1000).map_or(0, |page| page.entries.len());
    for number in begin.. {
        let pair = Transaction::new()
            .put(&key(&format!("left/{number:06}")), vec![7; 2000])
            .put(&key(&format!("right/{number:06}")), vec![7; 2000]);
        store.commit(pair).unwrap();
        let mut out = std::io::stdout();
        // Who listens is gone when it has killed this process.
        drop(writeln!(out, "{number}").and_then(|()| out.flush()));
    }
}

fn killed() {
    let folder = tempfile::tempdir().unwrap();
    let own = std::env::current_exe().unwrap();
    let mut acknowledged = 0;
    for round in 1..=8 {
        let mut writer =
            Command::new(&own).arg("write").arg(folder.path()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        for line in lines.take(round) {
            let line = line.unwrap();
            acknowledged = line.parse().unwrap();
        }
        writer.kill().and_then(|()| writer.wait()).unwrap();

        let store = Sqlite::open(&folder.path().join("store.sqlite")).unwrap();
        let keys = |prefix: &str| {
            let page = store.range(prefix, None, 1000).unwrap();
            page.entries.iter().map(|entry| entry.key.as_str()[prefix.len()..].to_owned()).collect::<Vec<_>>()
        };
        let (left, right) = (keys("left/"), keys("right/"));
        assert_eq!(left, right, "half a transaction is there");
        assert!(left.len() > acknowledged, "{acknowledged} was acknowledged, {} are there", left.len());
    }
}
