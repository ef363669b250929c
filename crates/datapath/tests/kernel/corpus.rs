//! A million random and edge frames through the loaded program: every verdict must be the oracle's.

use std::collections::BTreeMap;
use std::time::Duration;

use boundary::oracle::{Oracle, Reason, Verdict};
use boundary::{Budget, Direction, PacketSet, ResolvedSet};
use datapath::{Program, Settings, compile};
use id::Generation;

use crate::dice::Dice;
use crate::frames::{Aim, Draft, Frame};
use crate::harness::{Harness, chain};
use crate::world::{FLOWS_MAX, World};

/// Frames of one realm, before another takes its place.
const FRAMES_A_REALM: u64 = 8_000;

/// Where program and oracle part.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) after: u64,
    pub(crate) what: String,
}

/// The corpus: one seed, one row of frames and changes.
pub(crate) struct Corpus {
    dice: Dice,
    harness: Harness,
    world: World,
    oracle: Oracle,
    generation: u64,
    /// How far the flows' time is ahead of the kernel's.
    ahead: Duration,
    drafts: Vec<Draft>,
    pub(crate) split: BTreeMap<(Direction, &'static str), u64>,
    pub(crate) frames: u64,
    pub(crate) switches: u64,
}

impl Corpus {
    pub(crate) fn new(seed: u64, program: &Program) -> Self {
        let mut dice = Dice::new(seed);
        let settings = Settings { flows_max: FLOWS_MAX, ..Settings::default() };
        let mut harness = Harness::new(program, &settings);
        harness.filter.set_deadline(Duration::MAX).unwrap();
        harness.filter.admit().unwrap();
        let world = World::new(&mut dice);
        let oracle = Oracle::new(world.realm());
        let mut corpus = Self {
            dice,
            harness,
            world,
            oracle,
            generation: 0,
            ahead: Duration::ZERO,
            drafts: Vec::new(),
            split: BTreeMap::new(),
            frames: 0,
            switches: 0,
        };
        corpus.switch();
        corpus
    }

    /// Puts `frames` frames to both; the first difference ends it.
    pub(crate) fn run(&mut self, frames: u64) -> Result<(), Difference> {
        while self.frames < frames {
            self.change_something()?;
            let aim = self.rarest();
            if aim == Rarest::Closed {
                self.close_for_one()?;
                continue;
            }
            let frame = self.draw(aim);
            self.compare(&frame)?;
        }
        self.compare_flows()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from((os::clock::boot() + self.ahead).as_millis()).unwrap()
    }

    fn compare(&mut self, frame: &Frame) -> Result<(), Difference> {
        // A tag in the bytes is taken off by the kernel before the program runs, on its way in only.
        let over_cable = self.dice.one_in(100);
        let actual = self.harness.judge(frame, over_cable);
        let now_ms = self.now_ms();
        let expected = self.oracle.verdict(frame.direction, &frame.bytes, false, now_ms);
        self.frames += 1;
        *self.split.entry((frame.direction, name(expected))).or_default() += 1;
        if actual == expected {
            return Ok(());
        }
        let what = format!("{frame:?}: the oracle says {expected:?}, the program {actual:?}");
        Err(Difference { after: self.frames, what })
    }

    fn compare_flows(&self) -> Result<(), Difference> {
        let (theirs, ours) = (self.harness.filter.flows().unwrap().len(), self.oracle.flow_count());
        if theirs == ours {
            return Ok(());
        }
        Err(Difference {
            after: self.frames,
            what: format!("{theirs} flows in the table, {ours} in the oracle's"),
        })
    }

    /// What has been hit least so far, over both directions.
    fn rarest(&mut self) -> Rarest {
        if self.dice.one_in(8) {
            return Rarest::Any;
        }
        // A full table needs flows first, and those pass.
        let full = self.oracle.flow_count() == FLOWS_MAX as usize;
        let fit = |rarest: &Rarest| *rarest != Rarest::TableFull || full;
        let fill = self.dice.one_in(4);
        Rarest::ALL
            .into_iter()
            .filter(|rarest| fill || fit(rarest))
            .min_by_key(|rarest| self.hits(*rarest))
            .unwrap_or(Rarest::Any)
    }

    fn hits(&self, rarest: Rarest) -> u64 {
        let hits = |direction| self.split.get(&(direction, rarest.name())).copied().unwrap_or(0);
        hits(Direction::Out) + hits(Direction::In)
    }

    fn draw(&mut self, rarest: Rarest) -> Frame {
        let aim = match rarest {
            Rarest::Closed | Rarest::Any => self.dice.pick(&[
                Aim::Neighbour,
                Aim::Malformed,
                Aim::Unsupported,
                Aim::Spoofed,
                Aim::NotMine,
                Aim::NoFlow,
                Aim::First,
                Aim::Admitted,
            ]),
            Rarest::Passed => {
                if self.dice.one_in(3) {
                    Aim::Neighbour
                } else {
                    return self.follow();
                }
            }
            Rarest::Malformed => Aim::Malformed,
            Rarest::Unsupported => Aim::Unsupported,
            Rarest::Spoofed => Aim::Spoofed,
            Rarest::NotMine => Aim::NotMine,
            Rarest::NoFlow => Aim::NoFlow,
            Rarest::Refused => Aim::First,
            Rarest::TableFull => Aim::Admitted,
        };
        if aim == Aim::Admitted && !self.world.admitted.is_empty() {
            return self.begin();
        }
        let spoils = matches!(aim, Aim::Malformed | Aim::Unsupported | Aim::Spoofed | Aim::NotMine);
        if spoils && self.dice.one_in(3) {
            let right = self.follow();
            return self.world.spoilt(&mut self.dice, aim, right);
        }
        self.world.frame(&mut self.dice, aim)
    }

    /// The first frame of a flow that every tier admits; remembered, so that others follow it.
    fn begin(&mut self) -> Frame {
        let packet = self.world.admitted_packet(&mut self.dice);
        let local = self.world.local_for(&mut self.dice, packet.remote);
        let identifier = self.dice.port() % 64;
        let draft = Draft { packet, local, tcp_flags: crate::frames::SYN, identifier, padding: 0 };
        let frame = self.world.whole(&mut self.dice, &draft);
        if self.drafts.len() == 2 * FLOWS_MAX as usize {
            let place = self.dice.below(self.drafts.len());
            self.drafts.swap_remove(place);
        }
        self.drafts.push(draft);
        frame
    }

    fn follow(&mut self) -> Frame {
        if self.drafts.is_empty() {
            return self.world.frame(&mut self.dice, Aim::Neighbour);
        }
        let place = self.dice.below(self.drafts.len());
        if self.dice.one_in(5) {
            return self.world.error_about(&mut self.dice, &self.drafts[place]);
        }
        self.world.follow(&mut self.dice, &self.drafts[place])
    }

    /// Now and then: other rules, time passing, a sweep, another realm.
    fn change_something(&mut self) -> Result<(), Difference> {
        if self.frames.is_multiple_of(FRAMES_A_REALM) && self.frames > 0 {
            self.compare_flows()?;
            self.another_realm();
        } else if self.dice.one_in(4_000) {
            self.world.change_stack(&mut self.dice);
            self.oracle.replace_stack(self.world.stack.clone());
            self.switch();
        } else if self.dice.one_in(400) {
            let by = self.dice.pick(&[5, 25, 25, 25, 1_500, 3_000]);
            let by = Duration::from_secs(by);
            self.harness.age_flows(by);
            self.ahead += by;
        } else if self.dice.one_in(2_500) {
            self.compare_flows()?;
            let now_ms = self.now_ms();
            self.oracle.sweep(now_ms);
            self.harness.filter.sweep(os::clock::boot()).unwrap();
            self.compare_flows()?;
        }
        Ok(())
    }

    /// One frame while the filter is cut, or past its deadline.
    fn close_for_one(&mut self) -> Result<(), Difference> {
        let frame = if self.dice.one_in(3) { self.follow() } else { self.draw(Rarest::Any) };
        if self.dice.one_in(2) {
            self.harness.filter.cut().unwrap();
            self.oracle.set_cut(true);
        } else {
            self.harness.filter.set_deadline(os::clock::boot()).unwrap();
            self.oracle.set_deadline(Some(0));
        }
        self.compare(&frame)?;
        self.harness.filter.admit().unwrap();
        self.harness.filter.set_deadline(Duration::MAX).unwrap();
        self.oracle.set_cut(false);
        self.oracle.set_deadline(None);
        Ok(())
    }

    fn another_realm(&mut self) {
        self.world = World::new(&mut self.dice);
        self.oracle = Oracle::new(self.world.realm());
        self.drafts.clear();
        // All flows are idle by then.
        self.harness.filter.sweep(os::clock::boot() + Duration::from_secs(7_200)).unwrap();
        self.switch();
    }

    fn switch(&mut self) {
        self.generation += 1;
        self.switches += 1;
        let sets: Vec<PacketSet> = self.world.stack.iter().map(set).collect();
        let image = compile(&sets, &self.world.lease(), &mut Budget::of_steps(u64::MAX)).unwrap();
        let generation = Generation::new(self.generation).unwrap();
        self.harness.filter.switch(&image, generation).unwrap_or_else(|error| panic!("{}", chain(&error)));
    }

    /// How many frames went which way.
    pub(crate) const fn ways(&self) -> (u64, u64) {
        self.harness.ways
    }
}

fn set(rules: &ResolvedSet) -> PacketSet {
    rules.packet_set(&mut Budget::of_steps(u64::MAX)).unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rarest {
    Passed,
    Closed,
    Malformed,
    Unsupported,
    Spoofed,
    NotMine,
    NoFlow,
    Refused,
    TableFull,
    Any,
}

impl Rarest {
    const ALL: [Self; 9] = [
        Self::Passed,
        Self::Closed,
        Self::Malformed,
        Self::Unsupported,
        Self::Spoofed,
        Self::NotMine,
        Self::NoFlow,
        Self::Refused,
        Self::TableFull,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Passed => "pass",
            Self::Closed => "closed",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::Spoofed => "spoofed",
            Self::NotMine => "not-mine",
            Self::NoFlow => "no-flow",
            Self::Refused => "refused",
            Self::TableFull => "table-full",
            Self::Any => "any",
        }
    }
}

const fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Drop(Reason::Closed) => "closed",
        Verdict::Drop(Reason::Malformed) => "malformed",
        Verdict::Drop(Reason::Unsupported) => "unsupported",
        Verdict::Drop(Reason::Spoofed) => "spoofed",
        Verdict::Drop(Reason::NotMine) => "not-mine",
        Verdict::Drop(Reason::NoFlow) => "no-flow",
        Verdict::Drop(Reason::Refused { .. }) => "refused",
        Verdict::Drop(Reason::TableFull) => "table-full",
    }
}

pub(crate) const FRAMES: u64 = 1_000_000;
pub(crate) const SEED: u64 = 20_260_727;

/// How many frames `cargo xtask soak` asks for.
const DEEPER: &str = "DATAPATH_FRAMES";

#[test]
fn a_million_frames_get_the_oracles_verdict() {
    let frames = std::env::var(DEEPER).map_or(FRAMES, |frames| frames.parse().unwrap());
    let mut corpus = Corpus::new(SEED, &Program::embedded());
    corpus.run(frames).unwrap_or_else(|difference| panic!("after {}: {}", difference.after, difference.what));
    let (runs, sent) = corpus.ways();
    println!("{frames} frames, seed {SEED}, {} generations: 0 differences", corpus.switches);
    println!("{runs} by a test run of the program, {sent} over a cable");
    for rarest in Rarest::ALL {
        let hits = |direction| corpus.split.get(&(direction, rarest.name())).copied().unwrap_or(0);
        let (out, inward) = (hits(Direction::Out), hits(Direction::In));
        println!("{:>12}: {:>7} ({out} out, {inward} in)", rarest.name(), out + inward);
    }
    for rarest in Rarest::ALL {
        assert!(corpus.hits(rarest) * 10 >= frames, "{} is under 10 %", rarest.name());
    }
}

/// The same in a minute on a machine that is emulated (`cargo xtask guest`).
#[test]
fn a_thousand_frames_get_the_oracles_verdict() {
    let mut corpus = Corpus::new(SEED, &Program::embedded());
    corpus.run(1_000).unwrap_or_else(|difference| panic!("after {}: {}", difference.after, difference.what));
    let hits = Rarest::ALL.map(|rarest| corpus.hits(rarest));
    println!("1,000 frames, {} generations, {hits:?} of each verdict: 0 differences", corpus.switches);
    assert!(hits.into_iter().all(|hits| hits > 0), "{hits:?}");
}
