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
    let (began, mut passed, mut failed) = (Instant::now(), 0, 0);
    for (name, trial) in chosen {
        let ended = catch_unwind(AssertUnwindSafe(trial));
        println!("test {name} ... {}", if ended.is_ok() { "ok" } else { "FAILED" });
        *(if ended.is_ok() { &mut passed } else { &mut failed }) += 1;
    }
    println!(
        "test result: {}. {passed} passed; {failed} failed; 0 ignored; 0 measured; finished in {:.2}s",
        if failed == 0 { "ok" } else { "FAILED" },
        began.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
