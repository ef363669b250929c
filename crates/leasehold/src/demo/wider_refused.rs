//! The tenant orders more than the landlord's boundary admits: the node refuses, with a packet.

use lab::Failed;
use serde_json::Value;

use super::boundaries::TENANT_WIDE;
use super::show::Evidence;
use super::world::{PATIENCE, SILENCE, TENANT_A, World};

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let before = world.settled(0)?;
    let (said, _, _) = world.order_boundary(0, (&world.parties()?.tenant_a, TENANT_A), TENANT_WIDE)?;
    evidence.check("n1 refuses the wider boundary (exit 3)", said.exit == 3);
    said.talk.lines().for_each(|line| evidence.tell(line));
    let text = said.answer.to_string();
    evidence.check("and names a packet that shows why", text.contains("203.0.113") && text.contains("22"));
    evidence.fact("code", said.code().unwrap_or_default());
    evidence.fact("details", said.answer.get("details").cloned().unwrap_or(Value::Null));
    let after = world.settled(0)?;
    evidence.check("the refusal is in the journal", after.record > before.record);
    evidence.check("port 22 stays closed", world.reach(world.at(0, TENANT_A, 22)?, SILENCE)?.is_err());
    evidence.check("port 80 stays open", world.reach(world.at(0, TENANT_A, 80)?, PATIENCE)?.is_ok());
    Ok(())
}
