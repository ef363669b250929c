//! The tour: its steps in their order.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use lab::{Failed, Guard};

use super::prefix::Prefix;
use super::show::{Evidence, Show};
use super::world::World;
use super::{
    addressed, boundary_refused, cluster_boundary, consoles_up, deeper, enrolled, leased, leased_again,
    node_dead, nodes_up, orders_refused, power_cut, severed, sub_boundary, supervisor_killed, taken_over,
    web,
};

/// The byte that says at the end that every step held.
pub(crate) const HELD: &[u8; 1] = b"h";
pub(crate) const BROKEN: &[u8; 1] = b"b";

struct Step {
    /// As programs know it; never renamed.
    name: &'static str,
    title: &'static str,
    run: fn(&mut World<'_>, &mut Evidence) -> Result<(), Failed>,
}

const fn step(
    name: &'static str,
    title: &'static str,
    run: fn(&mut World<'_>, &mut Evidence) -> Result<(), Failed>,
) -> Step {
    Step { name, title, run }
}

const STEPS: &[Step] = &[
    step(
        "boundary-refused",
        "A boundary wider than the landlord's is refused, with a packet that shows why",
        boundary_refused::run,
    ),
    step("consoles-up", "Three parties start their consoles", consoles_up::run),
    step("nodes-up", "Seven nodes come up and enrol the landlord", nodes_up::run),
    step(
        "enrolled",
        "The nodes dial the landlord's console, which compares them with their screens",
        enrolled::run,
    ),
    step("leased", "The landlord leases two clusters: nothing passes yet", leased::run),
    step(
        "addressed",
        "DHCP gives each realm its address, the signed directory says which: up where both agree",
        addressed::run,
    ),
    step("taken-over", "Fig. 6: the tenants take their nodes over", taken_over::run),
    step(
        "cluster-boundary",
        "Fig. 7: a connection inside a cluster works, one to the other tenant does not",
        cluster_boundary::run,
    ),
    step(
        "sub-boundary",
        "Fig. 8: a tenant narrows its own boundary; a wider one is refused, with a packet",
        sub_boundary::run,
    ),
    step("orders-refused", "Forged, altered, stale, replayed and escalating orders", orders_refused::run),
    step("supervisor-killed", "kill -9 of a node's supervisor", supervisor_killed::run),
    step("power-cut", "n6 loses its power and comes back", power_cut::run),
    step("deeper", "The tenant leases n2 on to a tier of its own", deeper::run),
    step("engine-served", "A tenant's engine serves from an encrypted volume", web::served),
    step("engine-killed", "The engine is killed", web::killed),
    step("engine-hung", "The engine hangs", web::hung),
    step("node-dead", "n3 is cut dead at night, and a spare takes its place", node_dead::run),
    step("severed", "The landlord severs the lease on n1 while a connection is open", severed::run),
    step("leased-again", "n1 goes to tenant-b", leased_again::run),
];

/// Goes through the steps until one does not hold; says so on `over`; with `stays`, keeps the facility.
pub(crate) fn run((guard, prefix): (&Guard, &Prefix), show: &Show, mut over: UnixStream, stays: bool) {
    let (mut world, began) = (World::new(guard, prefix), Instant::now());
    let held = STEPS.iter().enumerate().all(|(place, step)| {
        show.begin(place + 1, step.title);
        let (begun, mut evidence) = (Instant::now(), Evidence::default());
        if let Err(failed) = (step.run)(&mut world, &mut evidence) {
            evidence.check(failed.told(), false);
            evidence.fact("error", failed.told());
            world.last_words().into_iter().for_each(|line| evidence.tell(line));
        }
        show.end(step.name, begun.elapsed(), &evidence);
        evidence.holds()
    });
    if held {
        show.person(&format!("\nAll {} steps held, in {:.1} s.", STEPS.len(), began.elapsed().as_secs_f64()));
    }
    if held && stays {
        world.ways_to_look_around().iter().for_each(|text| show.person(text));
    }
    // Nobody to tell it to is the end of the process.
    if over.write_all(if held { HELD } else { BROKEN }).is_ok() && held && stays {
        loop {
            std::thread::park();
        }
    }
}
