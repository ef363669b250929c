//! How long the algebra takes for large boundaries, beside a binary decision diagram (`oxidd`) over the
//! same bits in the same order. One JSON line a figure, as FORMATS ("Benchmarks") has them.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a bench ends where it fails")]
#![expect(clippy::print_stdout, reason = "figures are what it is run for")]

mod binary;
mod rules;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use boundary::{Budget, Comparison, FilterSet, Meaning, PacketSet, ResolvedSet, compare, witness};

const RULES: usize = 10_000;
const RUNS: usize = 11;
/// The binary diagram takes seconds where ours takes milliseconds.
const RUNS_BINARY: usize = 3;
/// The most that each may take, in milliseconds.
const COLD_MS: f64 = 100.0;
const INCREMENTAL_MS: f64 = 1.0;
const WITNESS_MS: f64 = 0.1;
/// How many times faster the cold check is to be than the binary diagram's.
const TIMES_FASTER: f64 = 30.0;

fn main() -> ExitCode {
    let mut random = rules::Random::new(7);
    let upper = random.ordinary_set(RULES);
    let lower = random.narrowed(&upper);
    let wider = random.widened(&lower);
    let kept = [
        cold_check(&upper, &lower),
        incremental(&upper, &lower, &wider),
        counterexample(&upper, &wider),
        adversarial(&mut random),
        parsing(),
    ];
    if kept.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn checked(upper: &ResolvedSet, lower: &ResolvedSet) -> Comparison {
    compare(std::slice::from_ref(upper), lower, &[], &mut Budget::for_tier()).unwrap()
}

/// Both sets from their rules, then contained or not.
#[expect(clippy::print_stderr, reason = "talk beside the data")]
fn cold_check(upper: &ResolvedSet, lower: &ResolvedSet) -> bool {
    let mut budget = Budget::for_tier();
    let comparison = compare(std::slice::from_ref(upper), lower, &[], &mut budget).unwrap();
    assert_eq!(comparison.excess, None);
    let steps = Budget::TIER_STEPS - budget.left();
    eprintln!("cold_check_10k: {steps} steps; {:?}, {:?}", comparison.upper, comparison.lower);
    let ours = millis(RUNS, || checked(upper, lower));
    let binary = millis(RUNS_BINARY, || {
        let manager = binary::Manager::new();
        assert!(manager.set(upper).contains(&manager.set(lower)));
    });
    let least = binary[binary.len() / 2] / TIMES_FASTER;
    print("cold_check_10k_ms", &ours, Some(&binary), Some(COLD_MS.min(least)))
}

/// A rule more in the lower set; and a name in the midst of it that means an address less: each compared rule by
/// rule with the set before, and checked against the upper set.
fn incremental(upper: &ResolvedSet, lower: &ResolvedSet, wider: &ResolvedSet) -> bool {
    let mut within = true;
    let upper = upper.packet_set(&mut Budget::for_tier()).unwrap();
    let before = Meaning::of(lower.clone(), &mut Budget::for_tier()).unwrap();
    let mut fewer = lower.clone();
    let member = fewer.allow.iter_mut().skip(RULES / 3).find(|rule| rule.remote[0].0 < rule.remote[0].1);
    member.unwrap().remote[0].1 -= 1;
    for (figure, after, contained) in
        [("incremental_10k_ms", wider, false), ("incremental_member_10k_ms", &fewer, true)]
    {
        let (mut rules, mut kept) = (vec![after.clone(); RUNS + 1], Vec::new());
        let check = || {
            let mut budget = Budget::for_tier();
            let meaning = before.changed(rules.pop().unwrap(), &mut budget).unwrap();
            let is_within = meaning.packets().is_subset_of(&upper, &mut budget).unwrap();
            assert_eq!(is_within, contained);
            // Letting go of it is no part of the check.
            kept.push(meaning);
        };
        within &= print(figure, &millis(RUNS, check), None, Some(INCREMENTAL_MS));
        let anew = after.packet_set(&mut Budget::for_tier()).unwrap();
        assert_eq!(*before.changed(after.clone(), &mut Budget::for_tier()).unwrap().packets(), anew);
    }
    within
}

/// From two sets that clash to a packet and its box.
fn counterexample(upper: &ResolvedSet, wider: &ResolvedSet) -> bool {
    let comparison = checked(upper, wider);
    assert!(comparison.excess.is_some());
    let find =
        || witness(&comparison.upper, &comparison.lower, &[], &mut Budget::for_tier()).unwrap().unwrap();
    let ours = millis(RUNS, find);
    let manager = binary::Manager::new();
    let (binary_upper, binary_wider) = (manager.set(upper), manager.set(wider));
    let mut found = Vec::new();
    for _ in 0..RUNS_BINARY {
        // Results that are kept in its cache would be no measurement.
        manager.forget();
        found.extend(millis(1, || assert!(binary_upper.counterexample(&binary_wider))));
    }
    found.sort_by(f64::total_cmp);
    print("witness_10k_ms", &ours, Some(&found), Some(WITNESS_MS))
}

/// 640 random overlapping ranges: the worst shape known. Proved or refused, it takes no longer than this.
#[expect(clippy::print_stderr, reason = "talk beside the data")]
fn adversarial(random: &mut rules::Random) -> bool {
    let upper = random.adversarial_set(640);
    let lower = random.narrowed(&upper);
    let mut budget = Budget::for_tier();
    let check = || compare(std::slice::from_ref(&upper), &lower, &[], &mut Budget::for_tier());
    let sets =
        compare(std::slice::from_ref(&upper), &lower, &[], &mut budget).map(|done| (done.upper, done.lower));
    eprintln!("adversarial_640: {} steps; {sets:?}", Budget::TIER_STEPS - budget.left());
    print("adversarial_640_ms", &millis(5, check), None, None)
}

/// The same size as text.
fn parsing() -> bool {
    let text = rules::Random::new(8).file(RULES);
    let parse = || -> PacketSet {
        let set = FilterSet::parse(text.as_bytes()).unwrap().resolve(None).unwrap();
        set.packet_set(&mut Budget::for_tier()).unwrap()
    };
    print("parse_and_build_10k_ms", &millis(RUNS, parse), None, None)
}

/// Milliseconds of each run, ascending; one run before them does not count.
fn millis<T>(runs: usize, mut run: impl FnMut() -> T) -> Vec<f64> {
    if runs > RUNS_BINARY {
        black_box(run());
    }
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            black_box(run());
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Prints the median; gives whether it is within the bound, if it has one.
fn print(figure: &str, ours: &[f64], oxidd: Option<&[f64]>, bound: Option<f64>) -> bool {
    let value = ours[ours.len() / 2];
    let mut line = serde_json::json!({
        "bench": "policy", "figure": figure, "value": rounded(value), "unit": "ms", "runs": ours.len(),
        "spread": [rounded(ours[0]), rounded(ours[ours.len() - 1])],
    });
    if let Some(oxidd) = oxidd {
        let theirs = oxidd[oxidd.len() / 2];
        line["against"] = serde_json::json!({ "oxidd": rounded(theirs) });
        line["ratio"] = rounded(value / theirs).into();
    }
    if let Some(bound) = bound {
        line["median_bound"] = rounded(bound).into();
    }
    println!("{line}");
    bound.is_none_or(|bound| value <= bound)
}

/// Four significant digits are more than such a measurement has.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap()
}
