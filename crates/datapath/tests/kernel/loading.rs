//! Loading, finding again after a restart, switching, reading back.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use datapath::{Filter, FilterError, Fitting, Lease, Program, Reason, Settings, compile};
use id::Generation;
use packet_set::{Budget, PacketSet};

use crate::cable::{Cable, NEAR};
use crate::harness::only_folder;
use crate::place::Place;

fn lease() -> Lease {
    Lease { mac: [2, 0, 0, 0, 0, 1], addresses: vec![IpAddr::from([10, 1, 0, 11])] }
}

#[test]
fn what_is_read_back_is_what_was_switched_to() {
    let place = Place::new();
    let program = Program::embedded();
    let settings = Settings::default();
    let mut filter = Filter::load(&place.pins(), &program, &settings).unwrap();
    let image =
        compile(&[PacketSet::everything(), PacketSet::nothing()], &lease(), &mut Budget::for_tier()).unwrap();
    let observed = filter.observe("nolink0").unwrap();
    assert!(observed.cut && observed.live.is_none() && observed.deadline.is_none());

    filter.switch(&image, Generation::new(7).unwrap()).unwrap();
    filter.set_deadline(Duration::from_secs(1)).unwrap();
    filter.admit().unwrap();
    drop(filter);

    let mut filter = Filter::open(&place.pins(), &program, &settings).unwrap().expect("it is pinned");
    let observed = filter.observe("nolink0").unwrap();
    let live = observed.live.unwrap();
    assert_eq!((live.generation, live.digest, live.lease), (7, image.digest(), lease()));
    assert_eq!(observed.deadline, Some(Duration::from_secs(1)));
    assert!(!observed.cut);
    assert!(matches!(
        filter.switch(&image, Generation::new(7).unwrap()),
        Err(FilterError::Stale { live: 7, asked: 7 })
    ));
}

#[test]
fn what_was_prepared_before_another_went_live_is_stale() {
    let place = Place::new();
    let mut filter = Filter::load(&place.pins(), &Program::embedded(), &Settings::default()).unwrap();
    let image = |set| compile(&[set], &lease(), &mut Budget::for_tier()).unwrap();
    let (all, none) = (image(PacketSet::everything()), image(PacketSet::nothing()));
    let number = |number| Generation::new(number).unwrap();
    let early = filter.prepare(&all, number(2)).unwrap();
    filter.switch(&none, number(1)).unwrap();
    assert!(matches!(filter.flip(early), Err(FilterError::Stale { live: 1, asked: 2 })));
    let overwritten = filter.prepare(&none, number(3)).unwrap();
    let late = filter.prepare(&all, number(4)).unwrap();
    assert!(matches!(filter.flip(overwritten), Err(FilterError::Stale { live: 1, asked: 3 })));
    assert_eq!(filter.observe("nolink0").unwrap().live.unwrap().digest, none.digest());
    filter.flip(late).unwrap();
    assert_eq!(filter.observe("nolink0").unwrap().live.unwrap().digest, all.digest());
}

/// Names the pin folder to the process that this test starts of itself, to be killed.
const LOADER: &str = "DATAPATH_TEST_LOADER_PINS";

#[test]
fn a_killed_loader_leaves_the_filter_in_place() {
    if let Some(pins) = std::env::var_os(LOADER) {
        let filter = Filter::load(Path::new(&pins), &Program::embedded(), &Settings::default()).unwrap();
        filter.attach(NEAR).unwrap();
        println!("attached");
        loop {
            // Until it is killed.
            thread::park();
        }
    }
    let place = Place::new();
    let cable = Cable::new(place.folder());
    let mut loader = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "loading::a_killed_loader_leaves_the_filter_in_place", "--nocapture"])
        .env(LOADER, place.pins())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told = BufReader::new(loader.stdout.take().unwrap());
    assert!(told.lines().any(|line| line.unwrap().contains("attached")));
    cable.bring_up();
    for _ in 0..100 {
        assert!(cable.far.send(&[0; 60]).unwrap());
    }
    loader.kill().unwrap();
    loader.wait().unwrap();
    for _ in 0..100 {
        assert!(cable.far.send(&[0; 60]).unwrap());
        assert!(!cable.near.send(&[0; 60]).unwrap());
    }

    let filter = Filter::open(&place.pins(), &Program::embedded(), &Settings::default()).unwrap().unwrap();
    assert_eq!(filter.fitting(NEAR).unwrap(), Fitting::Both);
    let began = Instant::now();
    while filter.counters().unwrap().out.dropped_for(Reason::Closed) < 200 {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", filter.counters());
        thread::yield_now();
    }
    let counters = filter.counters().unwrap();
    assert_eq!(counters.inward.dropped_for(Reason::Closed), 100);
    assert_eq!((counters.out.passed, counters.inward.passed), (0, 0));

    Filter::remove(&place.pins(), Some(NEAR)).unwrap();
    assert_eq!(filter.fitting(NEAR).unwrap(), Fitting::Wrong);
    assert!(Filter::open(&place.pins(), &Program::embedded(), &Settings::default()).unwrap().is_none());
}

#[test]
fn another_filter_on_the_link_is_not_ours() {
    let place = Place::new();
    let _cable = Cable::new(place.folder());
    let load = |name: &str| {
        Filter::load(&place.pins().join(name), &Program::embedded(), &Settings::default()).unwrap()
    };
    fs::create_dir(place.pins()).unwrap();
    let (first, second) = (load("first"), load("second"));
    assert_eq!(first.fitting(NEAR).unwrap(), Fitting::Wrong);
    first.attach(NEAR).unwrap();
    assert_eq!(
        (first.fitting(NEAR).unwrap(), second.fitting(NEAR).unwrap()),
        (Fitting::Both, Fitting::Wrong)
    );
    // In place of the first, without a gap.
    second.attach(NEAR).unwrap();
    assert_eq!(
        (first.fitting(NEAR).unwrap(), second.fitting(NEAR).unwrap()),
        (Fitting::Wrong, Fitting::Both)
    );
    assert_eq!(second.fitting("nolink0").unwrap(), Fitting::NoLink);
}

#[test]
fn a_half_pinned_filter_is_not_opened() {
    let place = Place::new();
    let settings = Settings::default();
    drop(Filter::load(&place.pins(), &Program::embedded(), &settings).unwrap());
    fs::remove_file(only_folder(&place.pins()).join("gate")).unwrap();
    assert!(Filter::open(&place.pins(), &Program::embedded(), &settings).is_err());
    drop(Filter::load(&place.pins(), &Program::embedded(), &settings).unwrap());
    assert!(Filter::open(&place.pins(), &Program::embedded(), &settings).unwrap().is_some());
}

#[test]
fn settings_out_of_range_are_refused() {
    let place = Place::new();
    for (flows_max, log_bytes) in [(0, 4096), (1 << 21, 4096), (1, 4095), (1, 12_288), (1, 1 << 21)] {
        let settings = Settings { flows_max, log_bytes };
        let refused = Filter::load(&place.pins(), &Program::embedded(), &settings);
        assert!(matches!(refused, Err(FilterError::Setting { .. })), "{settings:?}");
    }
}
