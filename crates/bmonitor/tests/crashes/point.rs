//! Where a life is hit.

use std::fmt;
use std::time::Duration;

/// What a life goes through, and what it can be hit by.
pub(crate) struct Story {
    /// What its acts are called, in their order.
    pub(crate) acts: &'static [&'static str],
    /// The number of the last act at which a step can be armed so that the rest of the life passes it.
    pub(crate) last_for: fn(&str) -> usize,
    /// Who is killed at seeded times.
    pub(crate) victims: &'static [Victim],
    /// The number of the act at which an image is unpacked: at another there is no unpacker.
    pub(crate) unpacks: usize,
}

/// One crash in one life; everything of it follows from its seed.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) seed: u64,
    /// The act of the life in which it is armed.
    pub(crate) act: usize,
    act_name: &'static str,
    pub(crate) how: How,
}

#[derive(Debug, Clone)]
pub(crate) enum How {
    /// At a named step, by the process that passes it.
    Step { name: String, process: String },
    /// So long after the act's order was sent.
    After(Victim, Duration),
}

/// Who is killed. Where there is none such process at that time, the supervisor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    Supervisor,
    Custody,
    /// All helpers that are at work.
    Helpers,
    /// An engine's.
    Shim,
    /// Those of all tiers.
    Couriers,
    /// Nobody can start another one, and the node says so: its supervisor is started anew after it.
    Launcher,
    /// It is waited for: it begins a little after the order, and is soon done.
    Unpacker,
}

impl Victim {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Supervisor => "the supervisor",
            Self::Custody => "custody",
            Self::Helpers => "helpers",
            Self::Shim => "the shim",
            Self::Couriers => "couriers",
            Self::Launcher => "the launcher",
            Self::Unpacker => "the unpacker",
        }
    }

    /// The first argument by which it is found; of the supervisor the lab knows the process.
    pub(crate) const fn process(self) -> Option<&'static str> {
        match self {
            Self::Supervisor => None,
            Self::Custody => Some("custody"),
            Self::Helpers => Some("helper"),
            Self::Shim => Some("shim"),
            Self::Couriers => Some("--confinement"),
            Self::Launcher => Some("launcher"),
            Self::Unpacker => Some("unpacker"),
        }
    }
}

/// The longest time after an order; acts take longer than that, so most hit the middle of one.
const AFTER_MAX_US: u64 = 150_000;

impl Point {
    /// Odd seeds are steps, each another one, even seeds are times.
    pub(crate) fn new(seed: u64, steps: &[(String, String)], story: &Story) -> Self {
        let mut random = Random(seed);
        let act = random.place(story.acts.len());
        let (act, how) = if seed.is_multiple_of(2) {
            let span = Duration::from_micros(random.below(AFTER_MAX_US));
            let victim = story.victims[random.place(story.victims.len())];
            let act = if victim == Victim::Unpacker { story.unpacks } else { act };
            (act, How::After(victim, span))
        } else {
            let (name, process) = steps[usize::try_from(seed / 2).unwrap() % steps.len()].clone();
            (act % ((story.last_for)(&name) + 1), How::Step { name, process })
        };
        Self { seed, act, act_name: story.acts[act], how }
    }

    /// A life's own random numbers.
    pub(crate) fn random(&self) -> Random {
        Random(self.seed.wrapping_mul(0x9e37_79b9))
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {:2}  act {} {:9}", self.seed, self.act, self.act_name)?;
        match &self.how {
            How::Step { name, process } => write!(f, "  at {name} ({process})"),
            How::After(victim, span) => {
                write!(f, "  {} {:.3} ms after the order", victim.name(), span.as_secs_f64() * 1e3)
            }
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn place(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        std::array::from_fn(|_| self.next().to_be_bytes()[0])
    }
}
