//! The transcripts under `cmd/`: what a person types, and exactly what comes back. Each has its files
//! beside it (`x.md`, `x.in/`). `TRYCMD=overwrite cargo test -p leasehold --test cli` writes them anew.

#[test]
fn every_transcript_is_what_happens() {
    trycmd::TestCases::new().case("tests/cmd/*/*.md");
}
