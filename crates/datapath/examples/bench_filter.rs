//! What the filter costs a packet, by test runs of the loaded program: one JSON object a figure, as
//! `cargo xtask bench filter` prints them. A test run has hot caches and no link; the same program over
//! a link, side by side with nftables, is not measured here.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the figures are its output")]

use std::error::Error;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, Instant};

use aya::programs::SchedClassifier;
use aya::{TestRun, TestRunOptions};
use datapath::{Filter, Image, Lease, Program, Settings, compile};
use id::Generation;
use packet_set::{Budget, Field, PacketSet, Ranges, Region, TCP, UDP};

const RUNS: usize = 11;
const REPEAT: u32 = 200_000;
const OWN: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 11);
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("bench-filter-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let measured = os::mount::bpffs(&folder).map_err(Into::into).and_then(|()| {
        let measured = measure(&folder.join("realm"));
        os::mount::unmount(&folder)?;
        measured
    });
    fs::remove_dir(&folder)?;
    measured
}

fn measure(pins: &Path) -> Result<(), Box<dyn Error>> {
    for prefixes in [16, 1_000, 10_000] {
        let settings = Settings { flows_max: 1 << 18, ..Settings::default() };
        let mut filter = Filter::load(pins, &Program::embedded(), &settings)?;
        let pinned = fs::read_dir(pins)?.next().ok_or("nothing is pinned")??.path();
        let leave = SchedClassifier::from_pin(pinned.join("leave"))?;
        let image = image(prefixes)?;
        filter.set_deadline(Duration::MAX)?;
        filter.admit()?;

        let (mut swaps, mut flips) = (Vec::new(), Vec::new());
        for number in 1..=RUNS as u64 {
            let began = Instant::now();
            let prepared = filter.prepare(&image, Generation::new(number).ok_or("too many generations")?)?;
            let filled = Instant::now();
            filter.flip(prepared)?;
            flips.push(filled.elapsed().as_secs_f64() * 1e3);
            swaps.push(began.elapsed().as_secs_f64() * 1e3);
        }
        print(&format!("flip_{prefixes}_ms"), "ms", flips);
        print(&format!("swap_{prefixes}_ms"), "ms", swaps);

        let established = frame(prefixes, 0, 40_000);
        runs(&leave, &established, 1)?;
        let hits = (0..RUNS).map(|_| runs(&leave, &established, REPEAT)).collect::<Result<_, _>>()?;
        print(&format!("established_added_ns_{prefixes}"), "ns", hits);

        let first = (0..RUNS).map(|run| first_packets(&leave, prefixes, run)).collect::<Result<_, _>>()?;
        print(&format!("first_added_ns_{prefixes}"), "ns", first);
        drop(filter);
        Filter::remove(pins, None)?;
    }
    Ok(())
}

/// Two tiers, default deny: each prefix with TCP and UDP to ports 53 and 5000 to 6000.
fn image(prefixes: u32) -> Result<Image, Box<dyn Error>> {
    let mut budget = Budget::of_steps(u64::MAX);
    let ranges = (0..prefixes).map(|number| {
        let first = 0xffff_0000_0000 + u128::from(prefix(number));
        (first, first + 255)
    });
    let region = Region {
        protocol: Ranges::of(vec![(TCP.into(), TCP.into()), (UDP.into(), UDP.into())]),
        remote: Ranges::of(ranges.collect()),
        remote_port: Ranges::of(vec![(53, 53), (5000, 6000)]),
        form: Ranges::one(0),
        local_port: Ranges::all(Field::LocalPort),
        direction: Ranges::all(Field::Direction),
    };
    let set = PacketSet::union_of(&[region], &mut budget)?;
    let lease = Lease { mac: MAC, addresses: vec![IpAddr::V4(OWN)] };
    Ok(compile(&[set.clone(), set], &lease, &mut budget)?)
}

/// Every other /24 from 20.0.0.0 on.
const fn prefix(number: u32) -> u32 {
    0x1400_0000 + number * 512
}

/// UDP from the realm to an address in the prefix.
fn frame(prefixes: u32, number: u32, port: u16) -> Vec<u8> {
    let remote = prefix(number % prefixes) + 1;
    let mut frame = vec![2, 9, 9, 9, 9, 9];
    frame.extend(MAC);
    frame.extend([8, 0, 0x45, 0, 0, 46, 0, 1, 0, 0, 64, UDP, 0, 0]);
    frame.extend(OWN.octets());
    frame.extend(remote.to_be_bytes());
    frame.extend(port.to_be_bytes());
    frame.extend(5001_u16.to_be_bytes());
    frame.extend([0, 26, 0, 0]);
    frame.resize(60, 0);
    frame
}

/// Nanoseconds of a run, on average.
fn runs(program: &SchedClassifier, frame: &[u8], repeat: u32) -> Result<f64, Box<dyn Error>> {
    let options = TestRunOptions { data_in: Some(frame), repeat, ..TestRunOptions::new() };
    let answer = program.test_run(options)?;
    if answer.return_value != 0 {
        return Err("a packet that should pass was dropped".into());
    }
    Ok(answer.duration.as_secs_f64() * 1e9)
}

/// The median over packets of flows that were never seen before, to all prefixes in turn. Each is a
/// test run of its own, so that its cost holds the kernel's clock readings and cold caches too.
fn first_packets(program: &SchedClassifier, prefixes: u32, run: usize) -> Result<f64, Box<dyn Error>> {
    let mut each = Vec::new();
    for number in 0..2_000_u32 {
        let port = u16::try_from(run)? + u16::try_from(number / prefixes)? * 16;
        each.push(runs(program, &frame(prefixes, number.wrapping_mul(2_654_435), port), 1)?);
    }
    Ok(median(&mut each))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print(figure: &str, unit: &str, mut values: Vec<f64>) {
    let value = median(&mut values);
    let (low, high) = (values[0], values[values.len() - 1]);
    println!(
        "{{\"bench\": \"filter\", \"figure\": \"{figure}\", \"value\": {value:.1}, \"unit\": \"{unit}\", \
         \"runs\": {}, \"spread\": [{low:.1}, {high:.1}]}}",
        values.len()
    );
}
