//! Whether nodes live. A count of missed pulses alone cannot say: at one lost pulse in a hundred it declares
//! hundreds of thousands of false deaths a year among ten thousand nodes. So a silent node is first suspected, then
//! probed hard for a second, and only then declared.
//!
//! ```text
//!  Awaited ─ pulse ─▶ Alive ─ silent for 2.25 s, or the connection ended ─▶ Suspect (probed)
//!     │                ▲ ▲                                                   │
//!     │ 30 s           │ └───────────── pulse, or the monitor answers ───────┤
//!     ▼                │                                                     │ 1 s of probes later:
//!  Unreachable ◀───────┼──────── many are silent: the console doubts itself ─┤
//!     │ doubt ends ─▶ Suspect    the machine answers, its monitor does not ──┼─▶ Quiet ─ 10 s ─▶ Hung
//!                      └───────────────── pulse ◀── Dead ◀── nothing answers ┘
//! ```
//!
//! From death to `Dead`: the last pulse is at most a second old at death; it is missed 2.25 s after it came; the
//! probes take 1 s. With a turn each 100 ms that is 3.35 s at the most. A connection that ends is evidence by
//! itself: then it is 1.1 s. A machine that goes down ends its connections first, and answers for another moment:
//! the second without an answer begins when it does not any more.

use std::collections::BTreeMap;

use id::NodeId;
use serde::{Deserialize, Serialize};

/// Milliseconds on a clock that never goes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// How many milliseconds have gone by since an earlier one.
    const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How long is long. Nodes pulse once a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// A node that was silent for so long is suspected: two pulses did not come, with a quarter of a second for
    /// the way.
    pub suspect_ms: u64,
    /// For so long a suspect is probed, and nothing of it may answer, until it is declared.
    pub probe_ms: u64,
    /// An answer of the machine's counts for so long: one that goes down answers for a moment, as if it lived.
    pub answered_ms: u64,
    /// A monitor that was silent for so long, on a machine that answers, hangs: a monitor that is started anew
    /// is back before.
    pub hung_ms: u64,
    /// A node that never came after the console's start is missed after this.
    pub awaited_ms: u64,
    /// Two turns further apart than this: the watch itself was late, and what it did not hear is forgiven.
    pub turn_ms_max: u64,
    /// For so long a declared death counts among the nodes that fell silent at once.
    pub together_ms: u64,
    /// More than this share of the nodes silent at once, in thousandths, and more than one: the console doubts
    /// itself.
    pub many_per_mille: usize,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            suspect_ms: 2_250,
            probe_ms: 1_000,
            answered_ms: 500,
            hung_ms: 10_000,
            awaited_ms: 30_000,
            turn_ms_max: 500,
            together_ms: 10_000,
            many_per_mille: 20,
        }
    }
}

/// What is perceived of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// A status came, or the monitor answered a probe.
    Pulse,
    /// The machine's kernel answered a probe, whatever it said.
    Machine,
    /// Its last connection ended.
    Ended,
}

/// How a node is, as far as the watch can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It was not heard since the watch began.
    Awaited,
    /// It pulses.
    Alive,
    /// It is silent, and being probed.
    Suspect,
    /// The machine answers, its monitor does not yet.
    Quiet,
    /// The machine answers, and its monitor has not for long.
    Hung,
    /// Nothing answers.
    Dead,
    /// Nothing answers, and that may be the console's own fault.
    Unreachable,
}

/// A node's health became another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whose.
    pub node: NodeId,
    /// What it was.
    pub before: Health,
    /// What it is.
    pub now: Health,
}

/// What is known of one node. Each state has what it needs to go on.
#[derive(Debug, Clone, Copy)]
enum State {
    Awaited { since: Moment },
    Alive { heard: Moment },
    Suspect { heard: Moment, since: Moment, machine: Option<Moment> },
    Quiet { heard: Moment, machine: Moment },
    Hung { machine: Moment },
    Dead { since: Moment },
    Unreachable { never: bool },
}

impl State {
    const fn health(self) -> Health {
        match self {
            Self::Awaited { .. } => Health::Awaited,
            Self::Alive { .. } => Health::Alive,
            Self::Suspect { .. } => Health::Suspect,
            Self::Quiet { .. } => Health::Quiet,
            Self::Hung { .. } => Health::Hung,
            Self::Dead { .. } => Health::Dead,
            Self::Unreachable { .. } => Health::Unreachable,
        }
    }

    /// What a sign makes of it.
    const fn hear(self, sign: Sign, now: Moment) -> Self {
        match (sign, self) {
            (Sign::Pulse, _) => Self::Alive { heard: now },
            (Sign::Ended, Self::Alive { heard }) => Self::Suspect { heard, since: now, machine: None },
            (Sign::Machine, Self::Suspect { heard, since, .. }) => {
                Self::Suspect { heard, since, machine: Some(now) }
            }
            (Sign::Machine, Self::Quiet { heard, .. }) => Self::Quiet { heard, machine: now },
            (Sign::Machine, Self::Hung { .. }) => Self::Hung { machine: now },
            // A machine that answers again proves nothing of the engines on it; its monitor's pulse does.
            (Sign::Machine | Sign::Ended, state) => state,
        }
    }

    /// The watch did not hear for a while: what has passed meanwhile proves nothing.
    const fn forgive(self, now: Moment) -> Self {
        match self {
            Self::Awaited { .. } => Self::Awaited { since: now },
            Self::Alive { .. } => Self::Alive { heard: now },
            Self::Suspect { machine, .. } => Self::Suspect { heard: now, since: now, machine },
            Self::Quiet { .. } => Self::Quiet { heard: now, machine: now },
            Self::Hung { .. } => Self::Hung { machine: now },
            Self::Dead { .. } | Self::Unreachable { .. } => self,
        }
    }

    /// What time makes of it.
    const fn turn(self, timing: &Timing, doubts: bool, now: Moment) -> Self {
        match self {
            Self::Awaited { since } if now.since(since) >= timing.awaited_ms => {
                Self::Unreachable { never: true }
            }
            Self::Alive { heard } if now.since(heard) >= timing.suspect_ms => {
                Self::Suspect { heard, since: now, machine: None }
            }
            Self::Suspect { heard, since, machine } if now.since(since) >= timing.probe_ms => {
                match machine {
                    Some(machine) if now.since(machine) < timing.answered_ms => {
                        Self::Quiet { heard, machine }
                    }
                    // It did answer, and does not any more: a second without any answer is still to come.
                    Some(machine) if now.since(machine) < timing.probe_ms => self,
                    Some(_) | None if doubts => Self::Unreachable { never: false },
                    Some(_) | None => Self::Dead { since: now },
                }
            }
            Self::Quiet { heard, machine } if now.since(machine) >= timing.suspect_ms => {
                Self::Suspect { heard, since: now, machine: None }
            }
            Self::Quiet { heard, machine } if now.since(heard) >= timing.hung_ms => Self::Hung { machine },
            Self::Hung { machine } if now.since(machine) >= timing.suspect_ms => {
                Self::Suspect { heard: machine, since: now, machine: None }
            }
            Self::Unreachable { never: false } if !doubts => {
                Self::Suspect { heard: now, since: now, machine: None }
            }
            Self::Awaited { .. }
            | Self::Alive { .. }
            | Self::Suspect { .. }
            | Self::Quiet { .. }
            | Self::Hung { .. }
            | Self::Dead { .. }
            | Self::Unreachable { .. } => self,
        }
    }

    /// Whether it is one of those that fell silent at once.
    const fn is_silent(self, timing: &Timing, now: Moment) -> bool {
        match self {
            Self::Suspect { machine: None, .. } => true,
            Self::Suspect { machine: Some(machine), .. } => now.since(machine) >= timing.answered_ms,
            Self::Unreachable { never } => !never,
            Self::Dead { since } => now.since(since) < timing.together_ms,
            Self::Awaited { .. } | Self::Alive { .. } | Self::Quiet { .. } | Self::Hung { .. } => false,
        }
    }
}

/// The watch over all nodes of a console.
#[derive(Debug)]
pub struct Watch {
    timing: Timing,
    nodes: BTreeMap<NodeId, (State, Health)>,
    turned: Option<Moment>,
    doubts: bool,
}

impl Watch {
    /// A watch over nobody yet.
    #[must_use]
    pub const fn new(timing: Timing) -> Self {
        Self { timing, nodes: BTreeMap::new(), turned: None, doubts: false }
    }

    /// Watches exactly these from now on; who was watched before keeps its state.
    pub fn follow(&mut self, nodes: impl IntoIterator<Item = NodeId>, now: Moment) {
        let mut before = std::mem::take(&mut self.nodes);
        let awaited = (State::Awaited { since: now }, Health::Awaited);
        let kept = nodes.into_iter().map(|node| (node, before.remove(&node).unwrap_or(awaited)));
        self.nodes = kept.collect();
    }

    /// Something was perceived of a node; of a node that is not watched nothing is.
    pub fn hear(&mut self, node: NodeId, sign: Sign, now: Moment) {
        if let Some((state, _)) = self.nodes.get_mut(&node) {
            *state = state.hear(sign, now);
        }
    }

    /// Time has passed: whose health is another one now. To be called each 100 ms or so.
    pub fn turn(&mut self, now: Moment) -> Vec<Verdict> {
        let late = self.turned.is_some_and(|before| now.since(before) > self.timing.turn_ms_max);
        self.turned = Some(now);
        if late {
            for (state, _) in self.nodes.values_mut() {
                *state = state.forgive(now);
            }
        }
        self.doubts = self.is_many_silent(now);
        let mut verdicts = Vec::new();
        for (node, (state, told)) in &mut self.nodes {
            *state = state.turn(&self.timing, self.doubts, now);
            let health = state.health();
            if health != *told {
                verdicts.push(Verdict { node: *node, before: *told, now: health });
                *told = health;
            }
        }
        // Of two who become suspect in one turn each is silent to the other already.
        self.doubts = self.is_many_silent(now);
        verdicts
    }

    fn is_many_silent(&self, now: Moment) -> bool {
        let silent = self.nodes.values().filter(|(state, _)| state.is_silent(&self.timing, now)).count();
        silent > 1 && silent * 1000 > self.nodes.len() * self.timing.many_per_mille
    }

    /// Whether so many are silent at once that the fault may be the console's own.
    #[must_use]
    pub const fn doubts(&self) -> bool {
        self.doubts
    }

    /// Who is to be probed now, and how hard: `true` for suspects, about whom there is a second to find out.
    pub fn probed(&self) -> impl Iterator<Item = (NodeId, bool)> {
        self.nodes.iter().filter_map(|(node, (state, _))| match state {
            State::Suspect { .. } => Some((*node, true)),
            State::Quiet { .. } | State::Hung { .. } | State::Unreachable { .. } | State::Dead { .. } => {
                Some((*node, false))
            }
            State::Awaited { .. } | State::Alive { .. } => None,
        })
    }

    /// How a node is.
    #[must_use]
    pub fn health(&self, node: NodeId) -> Option<Health> {
        self.nodes.get(&node).map(|(state, _)| state.health())
    }
}

#[cfg(test)]
mod tests;
