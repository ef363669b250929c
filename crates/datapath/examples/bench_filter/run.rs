//! What the program itself takes, by the kernel's own test run of it: no hook, no interrupts, warm caches. The least
//! of many runs counts, so that a busy machine changes nothing.

use aya::programs::SchedClassifier;
use aya::{TestRun, TestRunOptions};

use crate::figures::Figure;
use crate::lane::Lane;
use crate::{Outcome, ROUNDS, frame, policy};

/// Runs of which the kernel tells the mean.
const REPEAT: u32 = 100_000;
/// New flows of a round. One that is run for the first time begins a flow, the second time it is of one.
const NEW: u16 = 2_000;

/// An established packet's time, and how much more that of a new flow takes; gives whether bounds are kept.
pub(crate) fn figures(lane: &mut Lane, prefixes: u32, bound: f64) -> Outcome<bool> {
    lane.forget_flows()?;
    let folder = std::fs::read_dir(&lane.pins)?.next().ok_or("nothing is pinned")??.path();
    let program = SchedClassifier::from_pin(folder.join("leave"))?;
    let run = |bytes: &[u8], repeat: u32| -> Outcome<f64> {
        let options = TestRunOptions { data_in: Some(bytes), repeat, ..TestRunOptions::new() };
        let answer = program.test_run(options)?;
        if answer.return_value != 0 {
            return Err("a packet that the policy admits is dropped".into());
        }
        Ok(answer.duration.as_secs_f64() * 1e9)
    };
    let (mut established, mut more) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        established.push(run(&frame([2; 6], policy::prefix(0) + 4, 40_000, 5_000), REPEAT)?);
        let mut twice = [Vec::new(), Vec::new()];
        for times in &mut twice {
            for number in 0..NEW {
                let remote = policy::prefix(u32::from(number).wrapping_mul(2_654_435) % prefixes) + 4;
                // No two have the same ports.
                let remote_port = 5_000 + number % 1_000;
                let local_port = 20_000 + u16::try_from(round)? * 2 + number / 1_000;
                times.push(run(&frame([2; 6], remote, local_port, remote_port), 1)?);
            }
        }
        let [first, again] = twice.map(|mut times| crate::figures::median(&mut times));
        more.push(first - again);
    }
    let least = established.iter().copied().fold(f64::MAX, f64::min);
    let established = Figure::of(&format!("run_established_ns_{prefixes}"), "ns", &mut [least]);
    let kept = established.at_most(Some(bound)).print();
    Ok(Figure::of(&format!("run_first_more_ns_{prefixes}"), "ns", &mut more).print() && kept)
}
