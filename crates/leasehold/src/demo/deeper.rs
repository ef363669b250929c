//! A tenant leases on to a tier of its own: the same rules, one level down.

use lab::{Failed, Transport};
use tenure::{Target, Verb};

use super::boundaries;
use super::show::Evidence;
use super::world::{PATIENCE, SILENCE, TEAM, TENANT_A, World};

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let parties = world.parties()?;
    let tenant = (&parties.tenant_a, TENANT_A);
    let too_much = world.lease(1, tenant, (&parties.team, TEAM), boundaries::TENANT_WIDE)?;
    evidence.check("the tenant cannot lease on more than it has itself (exit 3)", too_much.exit == 3);
    let said = world.lease(1, tenant, (&parties.team, TEAM), boundaries::TENANT)?;
    evidence
        .check(format!("n2 obeys the tenant's own lease to a team {}", said.talk.trim_end()), said.exit == 0);
    world.settled(1)?;
    let (wide, _, _) = world.order_boundary(1, (&parties.team, TEAM), boundaries::CLUSTER_A)?;
    evidence.check("the team cannot take what the landlord admits and the tenant does not", wide.exit == 3);
    let (said, _, _) = world.order_boundary(1, (&parties.team, TEAM), boundaries::TENANT)?;
    evidence.check("its boundary within both is obeyed", said.exit == 0);
    world.realm_up(1, TEAM)?;
    world.start_engine(1, TEAM)?.listen(Transport::Tcp, 80)?;
    let to = world.at(1, TEAM, 80)?;
    evidence.check(format!("its engine answers at {to}"), world.reach(to, PATIENCE)?.is_ok());
    let (own, below) = (world.standing(1, TENANT_A)?, world.standing(1, TEAM)?);
    let sever = Verb::Sever(Target { tier: below.tier });
    let said = world.node(1)?.submit(&world.parties()?.tenant_a.order(&own, sever), &[])?;
    evidence.check("the tenant severs it without asking the landlord", said.exit == 0);
    world.settled(1)?;
    evidence.check("then nothing answers there", world.reach(to, SILENCE)?.is_err());
    let served = world.reach(world.at(1, TENANT_A, 80)?, PATIENCE)?.is_ok();
    evidence.check("and the tenant's own realm serves on", served);
    world.engines.retain(|(of, _)| *of != (1, TEAM));
    world.directory_spread(|text| !text.contains(TEAM))?;
    evidence.check("the landlord's directory has forgotten its address", true);
    Ok(())
}
