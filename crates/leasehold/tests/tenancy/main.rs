//! A tenancy from its lease to its severing, with real consoles and a real node as processes: what of it may be
//! seen where, and that nothing of it is accepted afterwards. Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod console;
mod deeds;
mod garbage;
mod hello;
mod kills;
mod orders;
mod replays;
mod rules;
mod search;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    lab::trial::main(&[
        ("no_secret_is_in_any_socket_file_log_or_core", search::in_no_socket_file_log_or_core),
        ("a_console_killed_in_the_middle_of_orders_keeps_what_it_accepted", kills::in_the_middle_of_orders),
        ("a_console_killed_amid_a_lease_a_takeover_or_a_severing_gets_it_done", deeds::amid),
        ("garbage_at_the_door_of_nodes_keeps_no_node_out", garbage::at_the_door_of_nodes),
        ("no_byte_of_a_tenancy_is_accepted_after_it", replays::no_byte_of_a_tenancy),
        ("no_tier_is_told_anothers_rules", rules::no_tier_is_told_anothers),
    ])
}
