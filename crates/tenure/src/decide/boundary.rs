//! Filter sets: one's own, or the one given to a child. Each lies within everything above it.

use id::Digest;
use packet_set::{Budget, Direction, Form, PacketSet, PortUse, Witness, port_use};
use serde_json::{Value, json};

use super::Signer;
use crate::change::Change;
use crate::order::Boundary;
use crate::refusal::{QuotaKind, Refusal};
use crate::rule::{Rule, holds};
use crate::tenure::Tenure;

pub(super) fn set(tenure: &Tenure, signer: &Signer<'_>, args: &Boundary) -> Result<Vec<Change>, Refusal> {
    if let Some(child) = args.tier.filter(|tier| *tier != signer.id) {
        signer.child(tenure, child)?;
        within(tenure, &tenure.sets_of(signer.id), args.object)?;
        return Ok(vec![Change::GivenBoundarySet { tier: child, object: args.object }]);
    }
    if signer.tier.own.is_none() && tenure.own_share(signer.id).objects == 0 {
        return Err(Refusal::ExceedsQuota { what: QuotaKind::Objects, left: 0 });
    }
    let mut above = tenure.sets_of(signer.id);
    if signer.tier.own.is_some() {
        // Its own present set is about to be replaced; it does not bind the next one.
        above.pop();
    }
    within(tenure, &above, args.object)?;
    Ok(vec![Change::OwnBoundarySet { tier: signer.id, object: args.object }])
}

/// Whether the set of `object` lies within all sets of `above`, from the top.
pub(super) fn within(tenure: &Tenure, above: &[Digest], object: Digest) -> Result<(), Refusal> {
    let lower = tenure.aside.sets.get(&object).ok_or(Refusal::UnknownObject { object })?;
    if !holds(Rule::Boundary) {
        return Ok(());
    }
    let nothing = PacketSet::nothing();
    let builtin = tenure.aside.builtin.iter();
    let uppers = builtin.chain(above.iter().map(|digest| tenure.aside.sets.get(digest).unwrap_or(&nothing)));
    let mut budget = Budget::for_tier();
    for (position, upper) in uppers.enumerate() {
        let excess = lower.subtract(upper, &mut budget).map_err(|_too_complex| Refusal::TooComplex {})?;
        if let Some(witness) = excess.witness(&[]) {
            return Err(Refusal::ExceedsBoundary { witness: witness_json(&witness, position) });
        }
    }
    Ok(())
}

/// The counterexample, as far as the node knows it: it holds sets, not the rules that they were made of. The
/// one who wrote the set gets rule names from `leasehold boundary check`.
fn witness_json(witness: &Witness, upper_tier: usize) -> Value {
    let packet = &witness.packet;
    let direction = match packet.direction {
        Direction::In => "in",
        Direction::Out => "out",
    };
    let mut shown = json!({
        "direction": direction,
        "protocol": packet.protocol,
        "remote": packet.remote_address().to_string(),
        "one_way": packet.form == Form::OneWay,
    });
    match port_use(packet.protocol) {
        PortUse::Ports => {
            shown["remote_port"] = json!(packet.remote_port);
            shown["local_port"] = json!(packet.local_port);
        }
        PortUse::TypeAndCode => {
            shown["icmp_type"] = json!(packet.local_port >> 8);
            shown["icmp_code"] = json!(packet.local_port & 0xff);
        }
        PortUse::Unused => {}
    }
    json!({ "packet": shown, "upper_tier": upper_tier })
}
