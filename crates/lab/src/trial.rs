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
    let filters: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-')).collect();
    let names: Vec<&str> = trials.iter().map(|(name, _)| *name).collect();
    let (wanted, meant_nothing) = choose(&names, &filters, has("--exact"));
    // Nothing here is ever ignored.
    let chosen = trials.iter().filter(|(name, _)| wanted.contains(name) && !has("--ignored"));
    if has("--list") {
        chosen.for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    // A test that was asked for and is not there has not passed.
    if !meant_nothing.is_empty() {
        println!("test result: FAILED. 0 passed; 0 failed; no trial here is called {meant_nothing:?}");
        return ExitCode::FAILURE;
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

/// The names that any of the filters means (no filter: all), and the filters that mean none.
fn choose<'a>(names: &[&'a str], filters: &[&'a str], exact: bool) -> (Vec<&'a str>, Vec<&'a str>) {
    let means = |filter: &str, name: &str| if exact { name == filter } else { name.contains(filter) };
    let wanted = |name: &&str| filters.is_empty() || filters.iter().any(|filter| means(filter, name));
    let nothing = |filter: &&str| !names.iter().any(|name| means(filter, name));
    (names.iter().copied().filter(wanted).collect(), filters.iter().copied().filter(nothing).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["water_runs", "water_boils", "fire_burns"];

    #[test]
    fn a_filter_that_means_no_trial_is_named() {
        assert_eq!(choose(&NAMES, &[], false), (NAMES.to_vec(), vec![]));
        assert_eq!(choose(&NAMES, &["water", "burns"], false), (NAMES.to_vec(), vec![]));
        assert_eq!(choose(&NAMES, &["boils", "snow"], false), (vec!["water_boils"], vec!["snow"]));
        assert_eq!(choose(&NAMES, &["boils"], true), (vec![], vec!["boils"]));
        assert_eq!(choose(&NAMES, &["fire_burns"], true), (vec!["fire_burns"], vec![]));
    }
}
