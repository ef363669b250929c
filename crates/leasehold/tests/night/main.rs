//! What a landlord's and a tenant's consoles do by themselves, with real processes on real nodes: engines that are
//! deployed, that die and hang; a node that dies. Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod engines;
mod spare;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    lab::trial::main(&[
        ("a_node_dies_at_night_and_a_spare_takes_its_place", spare::night),
        ("an_engine_is_deployed_dies_hangs_and_is_removed", engines::day),
    ])
}
