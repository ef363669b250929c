//! Policies of 10,000 prefixes take turns under traffic, by a process that is killed again and again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use datapath::{Filter, Program, Reason};
use id::Generation;
use os::packet::FrameSocket;

use crate::figures::Figure;
use crate::lane::{Lane, NET, settings};
use crate::{Outcome, ROUNDS, frame, policy};

/// Names the pins to the process that switches.
pub(crate) const SWAPPER: &str = "BENCH_FILTER_SWAPS";
const PREFIXES: u32 = 10_000;
/// Packets under traffic: half of them pass by both policies, half by none.
const PACKETS: u64 = 20_000_000;
/// The most that may pass between the order to switch and its effect.
const EFFECT_MS: f64 = 50.0;
/// Switches of one process before it is killed.
const LIFE: usize = 7;

/// How long a switch takes, and how many of twenty million packets are judged wrongly meanwhile; gives whether
/// bounds are kept.
pub(crate) fn measure(lane: &mut Lane) -> Outcome<bool> {
    let images = [policy::image(PREFIXES, true)?, policy::image(PREFIXES, false)?];
    let filter = lane.filter.as_mut().ok_or("the lane has no filter")?;
    let (mut swaps, mut flips) = (Vec::new(), Vec::new());
    for (number, image) in (2..).zip(images.iter().cycle().take(ROUNDS)) {
        let began = Instant::now();
        let prepared = filter.prepare(image, Generation::new(number).ok_or("no generation")?)?;
        let filled = Instant::now();
        filter.flip(prepared)?;
        flips.push(filled.elapsed().as_secs_f64() * 1e3);
        swaps.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let swaps = Figure::of("swap_10000_ms", "ms", &mut swaps).print();
    let flips = Figure::of("swap_effect_ms", "ms", &mut flips).at_most(Some(EFFECT_MS)).print();
    Ok(under_traffic(lane)? && swaps && flips)
}

fn under_traffic(lane: &Lane) -> Outcome<bool> {
    let filter = lane.filter.as_ref().ok_or("the lane has no filter")?;
    let socket = lane.realm.run(|| FrameSocket::open("eth0"))??;
    let router = lane.router.run(|| os::link::Links::open()?.find("realm"))??.mac.ok_or("no MAC")?;
    // Both policies let go to one port and to no other.
    let [passes, falls] = [5_000, 7_000].map(|port| frame(router, NET.to_bits(), 40_001, port));
    let before = filter.counters()?.out;
    let stop = AtomicBool::new(false);
    let (kills, switches) = thread::scope(|scope| -> Outcome<(usize, usize)> {
        let switching = scope.spawn(|| -> Outcome<(usize, usize)> {
            let (mut kills, mut switches) = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                switches += one_life(&lane.pins)?;
                kills += 1;
            }
            Ok((kills, switches))
        });
        let sent = (0..PACKETS / 2).try_for_each(|_| -> Result<(), os::Failed> {
            socket.send(&passes)?;
            socket.send(&falls)?;
            Ok(())
        });
        stop.store(true, Ordering::Relaxed);
        let switched = switching.join().map_err(|_panic| "the switching thread panicked")?;
        sent?;
        switched
    })?;
    let judged = |tally: &datapath::Tally| tally.passed + tally.dropped.iter().sum::<u64>();
    let until = Instant::now() + Duration::from_secs(10);
    while judged(&filter.counters()?.out) - judged(&before) < PACKETS && Instant::now() < until {}
    let after = filter.counters()?.out;
    let passed = after.passed - before.passed;
    let refused =
        after.dropped_for(Reason::Refused { tier: 0 }) - before.dropped_for(Reason::Refused { tier: 0 });
    let wrong = (PACKETS / 2).abs_diff(passed) + (PACKETS / 2).abs_diff(refused);
    #[expect(clippy::print_stderr, reason = "beside the figures")]
    {
        eprintln!(
            "{PACKETS} packets, {switches} switches, {kills} switching processes killed, {wrong} wrong"
        );
    }
    let wrong = Figure::of("swap_wrong_verdicts", "packets", &mut [f64::from(u32::try_from(wrong)?)]);
    Ok(wrong.at_most(Some(0.0)).print())
}

/// Starts a process that switches, and kills it in the midst of it; how often it had switched.
fn one_life(pins: &Path) -> Outcome<usize> {
    let mut child: Child = Command::new(std::env::current_exe()?)
        .env(SWAPPER, pins)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()?;
    let told = BufReader::new(child.stdout.take().ok_or("no stdout")?);
    let switches = told.lines().take(LIFE).map_while(Result::ok).count();
    child.kill()?;
    child.wait()?;
    if switches == LIFE { Ok(switches) } else { Err("the process that switches ended by itself".into()) }
}

/// The process that switches: tells of each switch.
pub(crate) fn swap_until_killed(pins: &Path) -> Outcome<()> {
    let images = [policy::image(PREFIXES, true)?, policy::image(PREFIXES, false)?];
    let opened = Filter::open(pins, &Program::embedded(), &settings())?;
    let mut filter = opened.ok_or("no filter is pinned")?;
    let live = filter.observe("nolink")?.live.ok_or("nothing is live")?.generation;
    for (number, image) in (live + 1..).zip(images.iter().cycle()) {
        filter.switch(image, Generation::new(number).ok_or("no generation")?)?;
        println!("switched");
    }
    Ok(())
}
