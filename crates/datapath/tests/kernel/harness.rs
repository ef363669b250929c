//! A loaded filter that frames can be put to: by a test run of the program, or over a cable where the
//! test run refuses the frame.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aya::maps::{HashMap, Map, MapData};
use aya::programs::{ProgramError, SchedClassifier};
use aya::{TestRun, TestRunOptions};
use boundary::Direction;
use boundary::oracle::{Reason, Verdict};
use datapath::{Filter, Program, Settings};

use crate::cable::{Cable, NEAR};
use crate::frames::Frame;
use crate::place::Place;

/// The filter on the near end of a cable between two empty namespaces.
pub(crate) struct Harness {
    pub(crate) filter: Filter,
    leave: SchedClassifier,
    enter: SchedClassifier,
    flows: HashMap<MapData, [u8; 24], [u8; 32]>,
    pub(crate) cable: Cable,
    /// Frames judged by a test run, and over the cable.
    pub(crate) ways: (u64, u64),
    // Last: what is mounted goes when all else is closed.
    _place: Place,
}

impl Harness {
    /// Moves the calling thread into a namespace of its own: a test has a thread of its own.
    pub(crate) fn new(program: &Program, settings: &Settings) -> Self {
        let place = Place::new();
        let filter = Filter::load(&place.pins(), program, settings)
            .unwrap_or_else(|error| panic!("{}", chain(&error)));
        let pins = only_folder(&place.pins());
        let cable = Cable::new(place.folder());
        filter.attach(NEAR).unwrap();
        cable.bring_up();
        Self {
            filter,
            leave: SchedClassifier::from_pin(pins.join("leave")).unwrap(),
            enter: SchedClassifier::from_pin(pins.join("enter")).unwrap(),
            flows: Map::from_map_data(MapData::from_pin(pins.join("flows")).unwrap())
                .unwrap()
                .try_into()
                .unwrap(),
            cable,
            ways: (0, 0),
            _place: place,
        }
    }

    /// The verdict, as the program's answer, its log and its counters tell it together.
    pub(crate) fn judge(&mut self, frame: &Frame, over_cable: bool) -> Verdict {
        if !over_cable {
            let program = if frame.direction == Direction::Out { &self.leave } else { &self.enter };
            let options = TestRunOptions { data_in: Some(&frame.bytes), ..TestRunOptions::new() };
            match program.test_run(options) {
                Ok(answer) => {
                    self.ways.0 += 1;
                    return self.logged(answer.return_value == 0);
                }
                Err(ProgramError::SyscallError(error))
                    if error.io_error.kind() == io::ErrorKind::InvalidInput => {}
                Err(error) => panic!("{}", chain(&error)),
            }
        }
        self.ways.1 += 1;
        let passed = self.send(frame);
        self.logged(passed)
    }

    /// What the log says, which must agree with the answer.
    fn logged(&mut self, passed: bool) -> Verdict {
        let denials = self.filter.denials(2);
        match denials.as_slice() {
            [] if passed => Verdict::Pass,
            [denial] if !passed => Verdict::Drop(in_the_oracles_words(denial.reason)),
            _ => panic!("the program says passed = {passed} and logs {denials:?}"),
        }
    }

    /// Sends over the cable and waits until the filter has counted it.
    fn send(&mut self, frame: &Frame) -> bool {
        let before = self.counted();
        let socket = if frame.direction == Direction::Out { &self.cable.far } else { &self.cable.near };
        let _taken: bool = socket.send(&frame.bytes).unwrap();
        let began = Instant::now();
        loop {
            let now = self.counted();
            if now.0 + now.1 == before.0 + before.1 + 1 {
                return now.0 > before.0;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "the filter never saw {frame:?}");
            std::thread::yield_now();
        }
    }

    /// Packets passed and dropped, both ways.
    fn counted(&self) -> (u64, u64) {
        let counters = self.filter.counters().unwrap();
        let dropped = |dropped: [u64; 8]| dropped.iter().sum::<u64>();
        (
            counters.out.passed + counters.inward.passed,
            dropped(counters.out.dropped) + dropped(counters.inward.dropped),
        )
    }

    /// Lets time pass for all flows: they were seen last that much earlier. The program's clock is the
    /// kernel's own and cannot be turned.
    pub(crate) fn age_flows(&mut self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap();
        let entries: Vec<_> = self.flows.iter().map(Result::unwrap).collect();
        for (key, mut value) in entries {
            let seen = u64::from_le_bytes(value[8..16].try_into().unwrap());
            value[8..16].copy_from_slice(&seen.wrapping_sub(by).to_le_bytes());
            self.flows.insert(key, value, 0).unwrap();
        }
    }

    /// One frame of a segment that stands for `packets` on the wire.
    pub(crate) fn judge_large(&mut self, frame: &Frame, packets: u32) -> bool {
        // struct __sk_buff: gso_segs is at byte 164, the whole has 192 bytes.
        let mut context = [0_u8; 192];
        context[164..168].copy_from_slice(&packets.to_ne_bytes());
        let options =
            TestRunOptions { data_in: Some(&frame.bytes), ctx_in: Some(&context), ..TestRunOptions::new() };
        let program = if frame.direction == Direction::Out { &self.leave } else { &self.enter };
        program.test_run(options).unwrap().return_value == 0
    }
}

/// The folder that a load made in `pins`.
pub(crate) fn only_folder(pins: &Path) -> PathBuf {
    let folders: Vec<PathBuf> = fs::read_dir(pins).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [only] = folders.as_slice() else { panic!("{folders:?} in {}", pins.display()) };
    only.clone()
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn in_the_oracles_words(reason: datapath::Reason) -> Reason {
    match reason {
        datapath::Reason::Closed => Reason::Closed,
        datapath::Reason::Malformed => Reason::Malformed,
        datapath::Reason::Unsupported => Reason::Unsupported,
        datapath::Reason::Spoofed => Reason::Spoofed,
        datapath::Reason::NotMine => Reason::NotMine,
        datapath::Reason::NoFlow => Reason::NoFlow,
        datapath::Reason::Refused { tier } => Reason::Refused { tier: tier.into() },
        datapath::Reason::TableFull => Reason::TableFull,
    }
}
