//! Real packets between network namespaces: our server and Debian's clients, our client and a server of Debian,
//! and our two with each other. Needs root, and the packages that `scripts/test` installs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dhclient;
mod dnsmasq;
mod ours;
mod place;
mod programs;
mod station;
mod udhcpc;

use std::process::ExitCode;

fn main() -> ExitCode {
    lab::trial::main(&[
        ("udhcpc_lives_a_lease_of_ours", udhcpc::lives_a_lease),
        ("udhcpc_gets_what_is_reserved_after_a_refusal", udhcpc::is_refused_and_gets_what_is_reserved),
        ("dhclient_lives_a_lease_of_ours", dhclient::lives_a_lease),
        ("our_client_lives_a_lease_of_dnsmasq", dnsmasq::is_lived_with),
        ("our_client_is_refused_by_dnsmasq_and_declines", dnsmasq::refuses),
        ("a_foreign_server_is_reported", dnsmasq::is_reported),
        ("our_client_lives_a_lease_of_ours", ours::a_whole_lease),
        ("a_full_pool_is_reported_and_waited_for", ours::full),
    ])
}
