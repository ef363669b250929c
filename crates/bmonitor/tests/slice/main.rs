//! The slice through the machine: two nodes as network namespaces, real supervisors, real filters, real
//! connections. Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod orders;
mod world;

use std::process::ExitCode;

use lab::trial::Trial;

const TRIALS: &[Trial] = &[
    ("a_boundary_opens_a_connection_and_a_severing_cuts_it", orders::opens_and_cuts),
    ("wider_stale_escalating_and_forged_orders_are_refused", orders::refused),
];

fn main() -> ExitCode {
    lab::trial::main(TRIALS)
}
