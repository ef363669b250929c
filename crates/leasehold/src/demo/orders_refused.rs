//! Orders that nobody with the right to give them gave now: forged, altered, stale, replayed, escalating.

use id::Epoch;
use keys::Envelope;
use lab::{Failed, Object, Said, Standing};
use serde_json::{Map, Value, json};
use tenure::{Boundary, Target, Verb};

use super::boundaries::CLUSTER_A as WIDE;
use super::desk::base64;
use super::show::Evidence;
use super::world::{LANDLORD, SILENCE, TENANT_A, World};

const NOT_AUTHENTICATED: i32 = 4;
const REFUSED: i32 = 3;
const STALE: i32 = 6;

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let before = world.settled(0)?;
    let mut answers = Map::new();
    for (kind, words, said, exits) in attempts(world)? {
        let code = said.code().unwrap_or("none").to_owned();
        evidence.check(format!("{words}: refused ({code})"), exits.contains(&said.exit));
        answers.insert(kind.to_owned(), json!({ "exit": said.exit, "code": code }));
    }
    let after = world.settled(0)?;
    evidence.check("what no known key signed is counted, not recorded", after.forged > before.forged);
    evidence.check("refusals of known keys are in the journal", after.record > before.record);
    evidence.check("the tiers are as they were", after.tiers == before.tiers);
    let closed = world.reach(world.at(0, TENANT_A, 8080)?, SILENCE)?.is_err();
    evidence.check("and port 8080, which they would have opened, is closed", closed);
    evidence.fact("orders", Value::from(answers));
    evidence.fact("forged", after.forged - before.forged);
    evidence.fact("recorded", after.record - before.record);
    Ok(())
}

type Attempt = (&'static str, &'static str, Said, &'static [i32]);

fn attempts(world: &World<'_>) -> Result<Vec<Attempt>, Failed> {
    let (parties, node) = (world.parties()?, world.node(0)?);
    let (own, root) = (world.standing(0, TENANT_A)?, world.standing(0, LANDLORD)?);
    let wide = Object::new(WIDE)?;
    let open = || Verb::Boundary(Boundary { tier: None, object: wide.name() });
    let ours = |order: &Envelope| node.submit(order, &[&wide]);
    let forged = ours(&parties.stranger.order(&own, open()))?;
    let altered = node.submit_bytes(&altered(&parties.tenant_a.order(&own, open())), &[&wide])?;
    let past = Standing { epoch: Epoch::new(own.epoch.get() + 1).unwrap_or_default(), ..own };
    let stale = ours(&parties.tenant_a.order(&past, open()))?;
    let (old, object) = world.old_order.as_ref().ok_or_else(|| Failed::new("replay", "there is no order"))?;
    let replayed = node.submit(old, &[object])?;
    let backwards = ours(&parties.tenant_a.order_numbered(&own, 1, open()))?;
    let posing = ours(&parties.tenant_a.order(&root, open()))?;
    let above = ours(&parties.tenant_a.order(&own, Verb::Sever(Target { tier: root.tier })))?;
    let elsewhere = world.node(1)?.submit(&parties.tenant_a.order(&own, open()), &[&wide])?;
    Ok(vec![
        ("forged", "signed by a stranger", forged, &[NOT_AUTHENTICATED]),
        ("altered", "one character of the tenant's order changed on the way", altered, &[NOT_AUTHENTICATED]),
        ("stale", "for another epoch than the present one", stale, &[STALE, REFUSED]),
        ("replayed", "an accepted order, sent again", replayed, &[STALE, REFUSED]),
        ("sequence", "an old sequence number, freshly signed", backwards, &[STALE, REFUSED]),
        ("posing", "the tenant's key in the landlord's name", posing, &[NOT_AUTHENTICATED, REFUSED]),
        ("escalating", "the tenant severs the landlord", above, &[REFUSED]),
        ("elsewhere", "an order for n1, sent to n2", elsewhere, &[NOT_AUTHENTICATED, REFUSED]),
    ])
}

/// The envelope with one digit of its payload's sequence number changed.
fn altered(order: &Envelope) -> Vec<u8> {
    let payload = String::from_utf8_lossy(order.unverified_payload()).into_owned();
    let text = order.to_json();
    let mut value: Value = serde_json::from_str(&text).unwrap_or_default();
    let changed = payload.replacen("\"seq\":", "\"seq\":1", 1);
    if let Some(slot) = value.get_mut("payload") {
        *slot = Value::from(base64(changed.as_bytes()));
    }
    value.to_string().into_bytes()
}
