//! The program and its maps in the kernel.
//!
//! ```text
//! load ─▶ closed ──switch, set_deadline, admit──▶ open ──cut, or the deadline passes──▶ closed
//!                                                   │ switch: all tiers, at one instant
//! ```
//! Attach before the link comes up. Nothing here is undone when a [`Filter`] is dropped: the kernel
//! keeps what is pinned and attached until [`Filter::remove`].

mod flows;
mod observe;
mod pins;

use std::path::{Path, PathBuf};
use std::time::Duration;

use aya::maps::{Array, ArrayOfMaps, MapData, MapError, PerCpuArray, RingBuf};
use aya::programs::SchedClassifier;

use id::Generation;
use os::classifier::{Classifiers, Hook};

pub use self::flows::FlowTable;
pub use self::observe::{Fitting, Live, Observed};
pub use self::pins::{Program, Settings};
use crate::error::FilterError;
use crate::image::Image;
use crate::layout::{self, HEAD, Head};
use crate::report::{Counters, Denial, Direction, Flow, Tally};

type Heads = Array<MapData, [u8; HEAD]>;
type Table = Array<MapData, u64>;

/// The filter of one realm in the kernel.
pub struct Filter {
    folder: PathBuf,
    settings: Settings,
    gate: Array<MapData, u64>,
    live: ArrayOfMaps<MapData, Heads>,
    tables: ArrayOfMaps<MapData, Table>,
    flows: FlowTable,
    counters: PerCpuArray<MapData, u64>,
    denials: RingBuf<MapData>,
    leave: SchedClassifier,
    enter: SchedClassifier,
    /// Counts what was prepared: only the last is whole, for all take the same slot.
    prepared: u64,
}

/// An image that is filled in and waits for [`Filter::flip`].
#[must_use = "it is not live before the flip"]
pub struct Prepared {
    heads: Heads,
    generation: u64,
    /// What was live when it was prepared: the other slot is its own.
    after: Option<u64>,
    /// Its place among all that were prepared.
    number: u64,
}

impl Filter {
    /// Loads the program with fresh maps and pins all of it in the folder `pins` of a bpffs, which is
    /// made if need be. What an unfinished load left there is removed; a whole filter of the same
    /// program and settings that is there is replaced: its flows and counters end. The new filter is
    /// closed and attached nowhere.
    ///
    /// # Errors
    /// The kernel refuses; then nothing new is pinned.
    pub fn load(pins: &Path, program: &Program, settings: &Settings) -> Result<Self, FilterError> {
        pins::load(pins, program, settings)
    }

    /// The whole filter of this program and these settings that is pinned in `pins`, if there is one.
    ///
    /// # Errors
    /// [`FilterError::NotWhole`] when what is pinned there is not what [`Filter::load`] pins.
    pub fn open(pins: &Path, program: &Program, settings: &Settings) -> Result<Option<Self>, FilterError> {
        pins::open(pins, program, settings)
    }

    /// Makes the filter the only one on both hooks of `link`, the host's end of the realm's link, in
    /// the calling thread's network namespace. An older version of it is replaced without a gap.
    ///
    /// # Errors
    /// [`FilterError::Foreign`] when other filters are there; the link must stay down then.
    pub fn attach(&self, link: &str) -> Result<(), FilterError> {
        let mut classifiers = Classifiers::open(link)?;
        classifiers.prepare()?;
        for (hook, program) in self.hooks() {
            let descriptor = program.fd().map_err(FilterError::program("look at"))?;
            classifiers.attach(hook, std::os::fd::AsFd::as_fd(descriptor), "leasehold")?;
        }
        let fitting = self.fitting(link)?;
        if fitting != Fitting::Both {
            return Err(FilterError::Foreign { link: link.to_owned() });
        }
        Ok(())
    }

    /// Makes `image` live under `generation`: [`Self::prepare`], then [`Self::flip`].
    ///
    /// # Errors
    /// As of these two.
    pub fn switch(&mut self, image: &Image, generation: Generation) -> Result<(), FilterError> {
        let prepared = self.prepare(image, generation)?;
        self.flip(prepared)
    }

    /// Fills `image` in beside what is live, which nothing notices. This is the slow part: a call to the
    /// kernel for each word. What was prepared before and is not live is
    /// overwritten. Only one process may do so at a time.
    ///
    /// # Errors
    /// [`FilterError::Stale`], or the kernel refuses.
    pub fn prepare(&mut self, image: &Image, generation: Generation) -> Result<Prepared, FilterError> {
        let live = self.head()?;
        let asked = generation.get();
        if let Some(head) = &live
            && asked <= head.generation
        {
            return Err(FilterError::Stale { live: head.generation, asked });
        }
        let after = live.as_ref().map(|head| head.generation);
        self.prepared += 1;
        let slot = live.map_or(0, |head| (head.slot + 1) % layout::SLOTS);
        let table = new_table(&image.words).map_err(FilterError::map("fill", "tables"))?;
        self.tables.set(slot, &table, 0).map_err(FilterError::map("fill", "tables"))?;
        let mut heads = Heads::create(1, 0).map_err(FilterError::map("make", "live"))?;
        heads.set(0, Head::new(image, asked, slot).encode(), 0).map_err(FilterError::map("fill", "live"))?;
        Ok(Prepared { heads, generation: asked, after, number: self.prepared })
    }

    /// Makes live what was prepared: every packet is judged wholly by the old or wholly by the new.
    /// When this returns, none is judged by the old one any more; open flows are asked again with
    /// their next packet.
    ///
    /// # Errors
    /// [`FilterError::Stale`] when another one was prepared or went live since, or the kernel refuses; then
    /// what was live stays.
    pub fn flip(&mut self, prepared: Prepared) -> Result<(), FilterError> {
        let live = self.head()?.map(|head| head.generation);
        if live != prepared.after || self.prepared != prepared.number {
            return Err(FilterError::Stale { live: live.unwrap_or(0), asked: prepared.generation });
        }
        // One pointer. The kernel returns after every packet that saw the old one is done.
        self.live.set(0, &prepared.heads, 0).map_err(FilterError::map("switch", "live"))
    }

    /// Opens the gate: packets pass as the live image says, until the deadline.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn admit(&mut self) -> Result<(), FilterError> {
        self.set_gate(layout::GATE_OPEN, 1)
    }

    /// Cuts: from now on nothing passes, either way, open flows included.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn cut(&mut self) -> Result<(), FilterError> {
        self.set_gate(layout::GATE_OPEN, 0)
    }

    /// Sets when the kernel itself closes the filter, as time since the machine started
    /// ([`os::clock::boot`]). [`Duration::MAX`] is never.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_deadline(&mut self, deadline: Duration) -> Result<(), FilterError> {
        self.set_gate(layout::GATE_DEADLINE, u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The verdicts since the filter was loaded.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn counters(&self) -> Result<Counters, FilterError> {
        Ok(Counters { inward: self.tally(Direction::In)?, out: self.tally(Direction::Out)? })
    }

    /// Takes at most `most` denials from the log, oldest first. Only one process may do so at a time.
    pub fn denials(&mut self, most: usize) -> Vec<Denial> {
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(record) = self.denials.next() else { break };
            taken.extend(layout::denial(&record));
        }
        taken
    }

    /// See [`FlowTable::flows`].
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn flows(&self) -> Result<Vec<Flow>, FilterError> {
        self.flows.flows()
    }

    /// See [`FlowTable::sweep`].
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn sweep(&mut self, now: Duration) -> Result<usize, FilterError> {
        self.flows.sweep(now)
    }

    /// The flow table by itself, for who reads it elsewhere.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn flow_table(&self) -> Result<FlowTable, FilterError> {
        pins::flow_table(&self.folder, &self.settings)
    }

    /// Takes the hooks from `link`, if it is given and still there, and every pin from `pins`. The link
    /// must be down or gone: nothing filters it afterwards.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(pins: &Path, link: Option<&str>) -> Result<(), FilterError> {
        match link.map(Classifiers::open).transpose() {
            Ok(Some(mut classifiers)) => classifiers.clear()?,
            Ok(None) => (),
            Err(failed) if failed.not_found() => (),
            Err(failed) => return Err(failed.into()),
        }
        pins::remove(pins)
    }

    const fn hooks(&self) -> [(Hook, &SchedClassifier); 2] {
        [(Hook::Ingress, &self.leave), (Hook::Egress, &self.enter)]
    }

    fn head(&self) -> Result<Option<Head>, FilterError> {
        let heads = match self.live.get(&0, 0) {
            Ok(heads) => heads,
            Err(MapError::KeyNotFound) => return Ok(None),
            Err(error) => return Err(FilterError::map("read", "live")(error)),
        };
        let bytes = heads.get(&0, 0).map_err(FilterError::map("read", "live"))?;
        let head = Head::decode(&bytes).ok_or_else(|| self.not_whole("its head is not one"))?;
        Ok(Some(head))
    }

    fn not_whole(&self, what: &str) -> FilterError {
        FilterError::NotWhole { path: self.folder.clone(), what: what.to_owned() }
    }

    fn set_gate(&mut self, which: u32, value: u64) -> Result<(), FilterError> {
        self.gate.set(which, value, 0).map_err(FilterError::map("write", "gate"))
    }

    fn tally(&self, direction: Direction) -> Result<Tally, FilterError> {
        let first = match direction {
            Direction::In => 0,
            Direction::Out => layout::COUNTERS_A_DIRECTION,
        };
        let sum = |what: u32| -> Result<u64, FilterError> {
            let each = self.counters.get(&(first + what), 0).map_err(FilterError::map("read", "counters"))?;
            Ok(each.iter().sum())
        };
        let mut tally =
            Tally { passed: sum(0)?, log_lost: sum(layout::COUNTER_LOG_LOST)?, ..Tally::default() };
        for (what, cell) in (1..).zip(&mut tally.dropped) {
            *cell = sum(what)?;
        }
        for (what, cell) in (layout::COUNTER_TIER..).zip(&mut tally.refused_by) {
            *cell = sum(what)?;
        }
        Ok(tally)
    }
}

fn new_table(words: &[u64]) -> Result<Table, MapError> {
    let mut table = Table::create(u32::try_from(words.len()).unwrap_or(u32::MAX), layout::TABLE_FLAGS)?;
    for (index, word) in (0..).zip(words) {
        // New words are zero.
        if *word != 0 {
            table.set(index, word, 0)?;
        }
    }
    Ok(table)
}
