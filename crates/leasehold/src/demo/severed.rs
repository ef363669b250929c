//! Severing cuts an open connection, without anybody's help but the landlord's order.

use std::time::Duration;

use keys::{NodeRecord, Receipt};
use lab::Failed;
use tenure::{Target, Verb};

use super::show::Evidence;
use super::world::{LANDLORD, PATIENCE, SILENCE, TENANT_A, World};

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let (to, other) = (world.at(0, TENANT_A, 80)?, world.at(1, TENANT_A, 80)?);
    let refused = |why| Failed::new("connect", why);
    let open = world.reach(to, PATIENCE)?.map_err(refused)?;
    let elsewhere = world.reach(other, PATIENCE)?.map_err(refused)?;
    let internet = &world.facility()?.internet;
    internet.exchange(open, PATIENCE)?.map_err(refused)?;
    internet.stream(open)?;
    let (own, root) = (world.standing(0, TENANT_A)?, world.standing(0, LANDLORD)?);
    let order = world.parties()?.landlord.order(&root, Verb::Sever(Target { tier: own.tier }));
    let ordered = os::clock::monotonic();
    let said = world.node(0)?.submit(&order, &[])?;
    let status = world.settled(0)?;
    evidence.check(format!("n1 obeys the landlord's severing {}", said.talk.trim_end()), said.exit == 0);
    let streamed = internet.streamed(open)?;
    let cut = Duration::from_nanos(streamed.last_ns).saturating_sub(ordered);
    let ms = (cut.as_secs_f64() * 1e4).round() / 10.0;
    evidence.check(
        format!(
            "the open connection carried {} answers; the last came {ms} ms after the order",
            streamed.answers
        ),
        streamed.answers > 0,
    );
    evidence.check("it carries nothing any more", internet.exchange(open, SILENCE)?.is_err());
    evidence.check("nothing new connects", world.reach(to, SILENCE)?.is_err());
    let gone = !world.facility()?.path_of(&format!("n1-{TENANT_A}")).exists();
    evidence.check("its realm is gone", gone);
    let ended = world.engine(0, TENANT_A)?.heard().is_err();
    evidence.check("the engine in it was killed", ended);
    evidence.check("the tier is gone", !status.tiers.iter().any(|tier| tier.tier == own.tier));
    evidence.check("n2, which was not severed, serves on", internet.exchange(elsewhere, PATIENCE)?.is_ok());
    receipt(world, &own, evidence)?;
    evidence.fact("sever_ms", ms);
    evidence.fact("answers", streamed.answers);
    world.engines.retain(|(of, _)| *of != (0, TENANT_A));
    Ok(())
}

/// The node signed that the tenant's secret is gone; anybody can check that.
fn receipt(world: &World<'_>, severed: &lab::Standing, evidence: &mut Evidence) -> Result<(), Failed> {
    let said = world.node(0)?.bmonitor(&["receipt".into(), severed.lease.to_string().into()])?;
    let lines = said.answer.as_str().map_or_else(|| said.answer.to_string(), str::to_owned);
    let verified = lines.lines().rev().find_map(|line| Receipt::verify(line.as_bytes(), None).ok());
    let holds = verified.as_ref().is_some_and(|receipt| receipt.node == severed.node);
    evidence.check("the node's receipt is signed by the node's key", holds);
    if let Some(receipt) = verified {
        evidence.tell(format!(
            "it says: {} secrets destroyed, record {}",
            receipt.destroyed.len(),
            receipt.record
        ));
        evidence.fact("receipt_record", receipt.record);
        evidence.fact("receipt_grade", serde_json::json!(receipt.grade));
    }
    Ok(())
}
