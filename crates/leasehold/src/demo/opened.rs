//! The landlord gives the tenant a boundary, and the tenant narrows it to one port: a real TCP
//! connection opens.

use lab::Failed;

use super::boundaries::{LANDLORD, TENANT};
use super::show::Evidence;
use super::world::{PATIENCE, SILENCE, TENANT_A, World};

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    for place in 0..2 {
        let given = world.give_boundary(place, TENANT_A, LANDLORD)?.exit == 0;
        world.settled(place)?;
        let (said, order, object) =
            world.order_boundary(place, (&world.parties()?.tenant_a, TENANT_A), TENANT)?;
        let name = world.node(place)?.name().to_owned();
        evidence.check(format!("{name} obeys the landlord, who gives its tenant a boundary"), given);
        evidence.check(
            format!("{name} obeys the tenant's boundary order {}", said.talk.trim_end()),
            said.exit == 0,
        );
        world.settled(place)?;
        if place == 0 {
            world.old_order = Some((order, object));
        }
    }
    let to = world.at(0, TENANT_A, 80)?;
    let connection = world.reach(to, PATIENCE)?;
    evidence.check(format!("the outside client connects to {to}"), connection.is_ok());
    if let Ok(connection) = connection {
        let back = world.facility()?.internet.exchange(connection, PATIENCE)?;
        evidence.check("and what it says comes back", back.is_ok());
        let micros = back.map_or(0, |span| u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
        evidence.fact("round_trip_us", micros);
    }
    for port in [22, 8080] {
        let closed = world.reach(world.at(0, TENANT_A, port)?, SILENCE)?.is_err();
        evidence.check(format!("port {port} stays closed, though an engine listens"), closed);
    }
    let out = world.engine(0, TENANT_A)?.connect(world.at(1, TENANT_A, 80)?, SILENCE)?;
    evidence.check("the realm itself reaches nobody: it may answer, not call", out.is_err());
    Ok(())
}
