//! The landlord leases both nodes to the tenant, with an empty boundary. Their realms come up closed.

use lab::{Failed, Transport};
use serde_json::{Value, json};

use super::boundaries;
use super::show::Evidence;
use super::world::{LANDLORD, SILENCE, TENANT_A, World, made};

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let mut facts = Vec::new();
    for place in 0..2 {
        let parties = world.parties()?;
        let from = (&parties.landlord, LANDLORD);
        let said = world.lease(place, from, (&parties.tenant_a, TENANT_A), boundaries::NOTHING)?;
        let name = world.node(place)?.name().to_owned();
        evidence.check(
            format!("{name} obeys the landlord's lease order {}", said.talk.trim_end()),
            said.exit == 0,
        );
        let status = world.settled(place)?;
        let tier = made(&said);
        evidence
            .check(format!("{name} has the tier"), status.tiers.iter().any(|found| Some(found.tier) == tier));
        let realm = world.facility()?.path_of(&format!("{name}-{TENANT_A}")).exists();
        evidence.check(format!("its realm is the network namespace lh-{name}-{TENANT_A}"), realm);
        let engine = world.start_engine(place, TENANT_A)?;
        for port in [22, 80, 8080] {
            engine.listen(Transport::Tcp, port)?;
        }
        engine.listen(Transport::Udp, 53)?;
        facts.push(json!({ "name": name, "tier": tier.map(|tier| tier.to_string()) }));
    }
    nothing_passes(world, evidence)?;
    evidence.fact("nodes", Value::from(facts));
    Ok(())
}

/// Engines listen in both realms by now.
fn nothing_passes(world: &World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let at = |place, port| world.at(place, TENANT_A, port);
    let from_outside = world.reach(at(0, 80)?, SILENCE)?;
    evidence.check("the outside client reaches nothing in it", from_outside.is_err());
    let across = world.engine(1, TENANT_A)?.connect(at(0, 80)?, SILENCE)?;
    evidence.check("neither does the tenant's other realm", across.is_err());
    let datagram = world.engine(1, TENANT_A)?.datagram(at(0, 53)?, SILENCE)?;
    evidence.check("nor a datagram", datagram.is_err());
    let heard: u64 = world.engine(0, TENANT_A)?.heard()?.iter().map(|heard| heard.count).sum();
    evidence.check("the engine in the realm heard nothing at all", heard == 0);
    evidence.fact("heard", heard);
    Ok(())
}
