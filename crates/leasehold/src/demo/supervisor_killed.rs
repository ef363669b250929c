//! `kill -9` of the supervisor: the kernel goes on enforcing; what comes back is what the journal says.

use std::net::SocketAddr;

use lab::{Failed, Target, Transport};

use super::show::Evidence;
use super::world::{PATIENCE, TENANT_A, World};

const ROUNDS: u8 = 5;

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let before = world.settled(0)?;
    let to = world.at(0, TENANT_A, 80)?;
    let open = world.reach(to, PATIENCE)?.map_err(|why| Failed::new("connect", why))?;
    let targets = denied(world)?;
    world.facility()?.internet.probe(&targets)?;
    // The node's first process starts another supervisor as soon as one is dead; the packets pass the
    // filter while there is none, and while the next one finds its way.
    for round in 1..=ROUNDS {
        let ending = world.node_mut(0)?.kill_supervisor()?;
        let internet = &world.facility()?.internet;
        let goes_on = internet.exchange(open, PATIENCE)?.is_ok() && world.reach(to, PATIENCE)?.is_ok();
        let killed = ending.how == "signal 9";
        let claim =
            "the supervisor is dead; the open connection goes on, a new one opens as the boundary says";
        evidence.check(format!("{round}: {claim}"), killed && goes_on);
        world.settled(0)?;
    }
    let after = world.settled(0)?;
    evidence.check("the next supervisor is at the same record of the journal", after.record >= before.record);
    evidence.check("with the same tiers, epochs and standing", same_tiers(&before, &after));
    let probed = world.facility()?.internet.probed()?;
    let (sent, passed) =
        probed.iter().fold((0, 0), |(sent, passed), one| (sent + one.sent, passed + one.passed));
    evidence.check(
        format!("of {sent} packets to closed ports sent meanwhile, {passed} were answered"),
        passed == 0 && sent > 0,
    );
    let exchanged = world.facility()?.internet.exchange(open, PATIENCE)?.is_ok();
    evidence.check("the open connection is still the same one", exchanged);
    evidence.fact("probes", sent);
    evidence.fact("passed", passed);
    Ok(())
}

fn denied(world: &World<'_>) -> Result<Vec<Target>, Failed> {
    let tcp = |to: SocketAddr| Target { transport: Transport::Tcp, to };
    let udp = |to: SocketAddr| Target { transport: Transport::Udp, to };
    let at = |port| world.at(0, TENANT_A, port);
    Ok(vec![tcp(at(22)?), tcp(at(8080)?), udp(at(53)?)])
}

fn same_tiers(before: &node_protocol::call::Status, after: &node_protocol::call::Status) -> bool {
    let known = |status: &node_protocol::call::Status| -> Vec<_> {
        status.tiers.iter().map(|tier| (tier.tier, tier.lease, tier.epoch, tier.standing.clone())).collect()
    };
    before.node == after.node && known(before) == known(after)
}
