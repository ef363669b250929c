//! The transcripts under `cmd/`: what a person types, and exactly what comes back. Each has its files
//! beside it (`x.md`, `x.in/`). `TRYCMD=overwrite cargo test -p leasehold --test cli` writes them anew.

use std::fmt::Write as _;
use std::process::Command;

#[test]
fn every_transcript_is_what_happens() {
    trycmd::TestCases::new().case("tests/cmd/*/*.md");
}

#[test]
fn nobody_else_reads_a_key_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("owner.key");
    let mut command = Command::new(env!("CARGO_BIN_EXE_leasehold"));
    assert!(command.args(["key", "generate"]).arg(&file).output().unwrap().status.success());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Rules whose ranges overlap at random in three dimensions. What can't be proved is never "contained".
#[test]
fn a_set_over_budget_is_refused_as_too_complex() {
    let mut number = 7_u64;
    let mut below = |bound: u64| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (number >> 33) % bound
    };
    let mut text = "version = 1\n".to_owned();
    for _ in 0..4_000 {
        let (address, remote, local) = (below(200), below(50_000), below(50_000));
        write!(
            text,
            "[[allow]]\nprotocol = \"tcp\"\nremote = \"{address}.{}.0.0-{}.{}.0.0\"\n\
             remote_port = \"{remote}-{}\"\nlocal_port = \"{local}-{}\"\n",
            below(256),
            address + 1 + below(40),
            below(256),
            remote + below(15_000),
            local + below(15_000),
        )
        .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hard.toml");
    std::fs::write(&file, text).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_leasehold"))
        .args(["boundary", "check", "-o", "json", "--upper"])
        .arg(&file)
        .arg("--lower")
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), "");
    assert!(String::from_utf8(ran.stderr).unwrap().contains("too complex to prove"));
}
