//! The second tour: a small business owns three computers. One firm operates the hardware, another the software, and the
//! business is the user of what runs on them: four tiers, each with a console of its own. Operators change, and the
//! owner needs none of them for it.

mod begin;
mod handed;
mod severed;
mod world;

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use lab::{Failed, Guard};

use self::world::Business;
use super::prefix::Prefix;
use super::show::{Evidence, Show};
use super::tour::{BROKEN, HELD};

/// A step: as programs know it, for people, and what it does.
type Step = (&'static str, &'static str, fn(&mut Business<'_>, &mut Evidence) -> Result<(), Failed>);

const STEPS: &[Step] = &[
    (
        "consoles-up",
        "Six parties start their consoles: the owner, four operators, the owner as user",
        begin::consoles,
    ),
    ("nodes-up", "Three computers come up, and the owner compares them with their screens", begin::nodes),
    ("leased-down", "Owner to hardware operator, to software operator, to the owner as user", begin::leased),
    (
        "served",
        "The user's engine serves the outside; a boundary wider than those above is refused",
        begin::served,
    ),
    (
        "software-severed",
        "The owner severs the software operator's lease on n1, while that operator is offline",
        severed::software,
    ),
    (
        "software-handed-on",
        "Another software operator takes n3 over; the user has consented, and does not notice",
        handed::software,
    ),
    (
        "hardware-severed",
        "The owner severs the hardware operator's lease on n2, while that operator is offline",
        severed::hardware,
    ),
    (
        "hardware-handed-on",
        "Another hardware operator takes n3 over, with nothing of what was on it",
        handed::hardware,
    ),
];

/// Goes through the steps until one does not hold; says so on `over`; with `stays`, keeps everything.
pub(crate) fn run((guard, prefix): (&Guard, &Prefix), show: &Show, mut over: UnixStream, stays: bool) {
    let (mut business, began) = (Business::new(guard, prefix), Instant::now());
    let held = STEPS.iter().enumerate().all(|(place, (name, title, step))| {
        show.begin(place + 1, title);
        let (begun, mut evidence) = (Instant::now(), Evidence::default());
        if let Err(failed) = step(&mut business, &mut evidence) {
            evidence.check(failed.told(), false);
            evidence.fact("error", failed.told());
            business.last_words().into_iter().for_each(|line| evidence.tell(line));
        }
        show.end(name, begun.elapsed(), &evidence);
        evidence.holds()
    });
    if held {
        show.person(&format!("\nAll {} steps held, in {:.1} s.", STEPS.len(), began.elapsed().as_secs_f64()));
    }
    if held && stays {
        business.ways_to_look_around().iter().for_each(|text| show.person(text));
    }
    // Nobody to tell it to is the end of the process.
    if over.write_all(if held { HELD } else { BROKEN }).is_ok() && held && stays {
        loop {
            std::thread::park();
        }
    }
}
