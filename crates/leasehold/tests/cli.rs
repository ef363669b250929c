//! The transcripts under `cmd/`: what a person types, and exactly what comes back. Each has its files
//! beside it (`x.md`, `x.in/`). `TRYCMD=overwrite cargo test -p leasehold --test cli` writes them anew.

#[test]
fn every_transcript_is_what_happens() {
    trycmd::TestCases::new().case("tests/cmd/*/*.md");
}

#[test]
fn nobody_else_reads_a_key_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("owner.key");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_leasehold"));
    assert!(command.args(["key", "generate"]).arg(&file).output().unwrap().status.success());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}
