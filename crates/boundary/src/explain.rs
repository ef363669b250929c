//! Who decides about a packet: the word of a stack of sets, rule by rule.

use packet_set::Packet;

use crate::resolved::{Decision, ResolvedSet};

/// What a stack of sets says to a packet, from the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation<'a> {
    /// The first set that stops it; nothing: it passes.
    pub stopped_by: Option<usize>,
    /// The deny that stops it, or nothing where no allow matched; on pass the lowest set's matching allow.
    pub rule: Option<&'a str>,
}

/// Asks the sets one after the other, from the top. A stack of none passes nothing.
#[must_use]
pub fn explain<'a>(stack: &'a [ResolvedSet], packet: &Packet) -> Explanation<'a> {
    let mut explanation = Explanation { stopped_by: stack.is_empty().then_some(0), rule: None };
    for (place, set) in stack.iter().enumerate() {
        match set.decide(packet) {
            Decision::Admitted(allow) => explanation.rule = Some(&allow.name),
            Decision::Denied(deny) => {
                return Explanation { stopped_by: Some(place), rule: Some(&deny.name) };
            }
            Decision::NotAllowed => return Explanation { stopped_by: Some(place), rule: None },
        }
    }
    explanation
}
