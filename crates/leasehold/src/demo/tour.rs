//! The tour: its steps in their order.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use lab::{Failed, Guard};

use super::boundary_refused;
use super::show::{Evidence, Show};
use super::world::World;

/// The byte that says at the end that every step held.
pub(crate) const HELD: &[u8; 1] = b"h";
const BROKEN: &[u8; 1] = b"b";

struct Step {
    /// As programs know it; never renamed.
    name: &'static str,
    title: &'static str,
    run: fn(&mut World<'_>, &mut Evidence) -> Result<(), Failed>,
}

const STEPS: &[Step] = &[Step {
    name: "boundary-refused",
    title: "A boundary wider than the landlord's is refused, with a packet that shows why",
    run: boundary_refused::run,
}];

/// Goes through the steps until one does not hold; says so on `over`; with `stays`, keeps the facility.
pub(crate) fn run(guard: &Guard, show: &Show, mut over: UnixStream, stays: bool) {
    let mut world = World::new(guard);
    let held = STEPS.iter().enumerate().all(|(place, step)| {
        show.begin(place + 1, step.title);
        let (began, mut evidence) = (Instant::now(), Evidence::default());
        if let Err(failed) = (step.run)(&mut world, &mut evidence) {
            evidence.check(failed.told(), false);
            evidence.fact("error", failed.told());
        }
        show.end(step.name, began.elapsed(), &evidence);
        evidence.holds()
    });
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
