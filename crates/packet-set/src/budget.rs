//! Steps that an operation may take. A step builds at most one edge, so the budget bounds memory too.

use std::error::Error;
use std::fmt;

/// Steps that are left. Handed from operation to operation, it bounds them all together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    left: u64,
}

impl Budget {
    /// What a lower tier's set may cost to build and to compare: about a second, and at worst some
    /// hundred bytes a step. Two sets of ten thousand ordinary rules need about a tenth of it.
    pub const TIER_STEPS: u64 = 8_000_000;

    /// What a comparison of finished sets may cost where somebody waits for it: some 10 ns a step.
    pub const TURN_STEPS: u64 = 4_000_000;

    /// That many steps.
    #[must_use]
    pub const fn of_steps(steps: u64) -> Self {
        Self { left: steps }
    }

    /// [`Budget::TIER_STEPS`] steps.
    #[must_use]
    pub const fn for_tier() -> Self {
        Self::of_steps(Self::TIER_STEPS)
    }

    /// [`Budget::TURN_STEPS`] steps.
    #[must_use]
    pub const fn for_turn() -> Self {
        Self::of_steps(Self::TURN_STEPS)
    }

    /// Steps that are left.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// Takes one step.
    pub(crate) fn step(&mut self) -> Result<(), TooComplex> {
        self.steps(1)
    }

    /// Takes that many.
    pub(crate) fn steps(&mut self, steps: usize) -> Result<(), TooComplex> {
        self.left = self.left.checked_sub(steps as u64).ok_or(TooComplex)?;
        Ok(())
    }
}

/// The budget ran out: nothing is proved, and the caller must refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooComplex;

impl fmt::Display for TooComplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too complex to prove")
    }
}

impl Error for TooComplex {}
