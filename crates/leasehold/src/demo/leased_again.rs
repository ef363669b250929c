//! The node goes to the next tenant. What the one before it signed means nothing any more.

use lab::{Failed, Transport};

use super::boundaries;
use super::show::Evidence;
use super::world::{LANDLORD, PATIENCE, TENANT_B, World};

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let parties = world.parties()?;
    let said =
        world.lease(0, (&parties.landlord, LANDLORD), (&parties.tenant_b, TENANT_B), boundaries::LANDLORD)?;
    evidence.check(format!("n1 obeys the lease to the next tenant {}", said.talk.trim_end()), said.exit == 0);
    world.settled(0)?;
    let (said, _, _) = world.order_boundary(0, (&parties.tenant_b, TENANT_B), boundaries::TENANT)?;
    evidence.check("and its boundary order", said.exit == 0);
    let now = world.standing(0, TENANT_B)?;
    let (old, object) = world.old_order.as_ref().ok_or_else(|| Failed::new("replay", "there is no order"))?;
    let replayed = world.node(0)?.submit(old, &[object])?;
    let code = |said: &lab::Said| said.code().unwrap_or("none").to_owned();
    evidence.check(
        format!("an order of the tenant before is refused ({})", code(&replayed)),
        [3, 4, 6].contains(&replayed.exit),
    );
    let verb = tenure::Verb::Boundary(tenure::Boundary { tier: None, object: object.name() });
    let posing = world.node(0)?.submit(&world.parties()?.tenant_a.order(&now, verb), &[object])?;
    evidence.check(
        format!("and so is a new one by its key in the next tenant's name ({})", code(&posing)),
        [3, 4].contains(&posing.exit),
    );
    evidence.fact("replayed", code(&replayed));
    evidence.fact("posing", code(&posing));
    world.start_engine(0, TENANT_B)?.listen(Transport::Tcp, 80)?;
    let to = world.at(0, TENANT_B, 80)?;
    let open = world.reach(to, PATIENCE)?;
    evidence.check(format!("the next tenant's engine answers at {to}"), open.is_ok());
    Ok(())
}
