//! A test runner for tests whose program the lab starts again (`harness = false`): it speaks enough of
//! the standard one's command line for `cargo test` and for runners that ask for a list.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

/// A named test; it fails by panicking.
pub type Trial = (&'static str, fn());

/// Serves the lab if this process is one of its own; else runs the trials that the command line asks
/// for, one after the other.
#[must_use]
#[expect(clippy::print_stdout, reason = "a test runner's output")]
pub fn main(trials: &[Trial]) -> ExitCode {
    if let Some(ended) = crate::role::serve() {
        return ended;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let filters: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| {
        filters.is_empty()
            || filters
                .iter()
                .any(|&filter| if has("--exact") { name == filter } else { name.contains(filter.as_str()) })
    };
    // Nothing here is ever ignored.
    let chosen = trials.iter().filter(|(name, _)| wanted(name) && !has("--ignored"));
    if has("--list") {
        chosen.for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (name, trial) in chosen {
        let began = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(trial));
        let word = if ended.is_ok() { "ok" } else { "FAILED" };
        failed += usize::from(ended.is_err());
        println!("test {name} ... {word} ({:.2} s)", began.elapsed().as_secs_f64());
    }
    println!("test result: {}", if failed == 0 { "ok" } else { "FAILED" });
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
