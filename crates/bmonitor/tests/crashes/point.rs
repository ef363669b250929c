//! Where a life is hit.

use std::fmt;
use std::time::Duration;

/// One crash in one life; everything of it follows from its seed.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) seed: u64,
    /// The act of the life in which it is armed.
    pub(crate) act: usize,
    pub(crate) how: How,
}

#[derive(Debug, Clone)]
pub(crate) enum How {
    /// At a named step, by the process that passes it.
    Step { name: String, process: String },
    /// So long after the act's order was sent.
    After(Duration),
}

/// The longest time after an order; acts take longer than that, so most hit the middle of one.
const AFTER_MAX_US: u64 = 150_000;

impl Point {
    /// Odd seeds are steps, each another one, even seeds are times.
    pub(crate) fn new(seed: u64, steps: &[(String, String)]) -> Self {
        let mut random = Random(seed);
        let act = usize::try_from(random.below(crate::life::ACTS.len() as u64)).unwrap();
        if seed.is_multiple_of(2) {
            return Self { seed, act, how: How::After(Duration::from_micros(random.below(AFTER_MAX_US))) };
        }
        // 7 has no divisor in common with the number of steps: consecutive seeds go through all of them.
        let place = usize::try_from(seed / 2 * 7).unwrap() % steps.len();
        let (name, process) = steps[place].clone();
        // A node is enrolled once, before the first act.
        let act = if name.starts_with("enrol:") { 0 } else { act };
        Self { seed, act, how: How::Step { name, process } }
    }

    /// A life's own random numbers.
    pub(crate) fn random(&self) -> Random {
        Random(self.seed.wrapping_mul(0x9e37_79b9))
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {:2}  act {} {:9}", self.seed, self.act, crate::life::ACTS[self.act].name())?;
        match &self.how {
            How::Step { name, process } => write!(f, "  at {name} ({process})"),
            How::After(span) => write!(f, "  {:.3} ms after the order", span.as_secs_f64() * 1e3),
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

    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        std::array::from_fn(|_| self.next().to_be_bytes()[0])
    }
}
