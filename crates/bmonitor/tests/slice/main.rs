//! The slice through the machine: two nodes as network namespaces, real supervisors, real filters, real
//! connections. Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asked;
mod between;
mod clients;
mod console;
mod couriers;
mod crashes;
mod custody;
mod directory;
mod engines;
mod explain;
mod holders;
mod large;
mod leases;
mod lessee;
mod memory;
mod nonsense;
mod orders;
mod passed;
mod replays;
mod returns;
mod rights;
mod sealed;
mod search;
mod swaps;
mod takeover;
mod terms;
mod volumes;
mod wire;
mod world;

use std::process::ExitCode;

use lab::trial::Trial;

const TRIALS: &[Trial] = &[
    ("a_boundary_opens_a_connection_and_a_severing_cuts_it", orders::opens_and_cuts),
    ("wider_stale_escalating_and_forged_orders_are_refused", orders::refused),
    ("a_severing_waits_for_custody_with_the_receipt_alone", orders::severed_without_custody),
    ("a_severing_waits_for_no_custody_that_hangs_or_dies", orders::severed_with_custody_hung_or_dead),
    ("custody_signs_handshakes_for_couriers_and_nothing_else", custody::signs_handshakes_alone),
    ("an_unlinked_identity_signs_nothing", custody::an_unlinked_identity_signs_nothing),
    ("nonsense_ends_custody", custody::nonsense_ends_custody),
    ("a_suspension_closes_and_its_end_opens", orders::suspended_and_resumed),
    ("a_renewal_from_above_erases_and_ends_the_epoch", orders::renewed_from_above),
    ("a_sealed_order_is_obeyed_once_by_its_node_alone", sealed::obeyed_once),
    ("a_connection_lives_and_dies_by_what_a_name_means", directory::names),
    ("realms_speak_ipv6_through_their_filters", wire::ipv6),
    ("a_thousand_prefixes_a_tier_bind_a_realm", wire::a_thousand_prefixes),
    ("ten_thousand_rules_bind_a_realm_and_the_loop_answers_meanwhile", large::ten_thousand_rules),
    ("a_boundary_that_is_tried_goes_by_itself_unless_confirmed", large::tried),
    ("a_realm_made_again_is_cut_first", wire::a_realm_made_again_is_cut_first),
    ("what_stops_a_packet_is_told_by_tier_and_rule", explain::names_tier_and_rule),
    ("what_passed_at_a_realm_is_told_to_its_tier_alone", passed::told_to_its_tier),
    ("a_directory_is_the_roots_and_never_goes_back", directory::never_back),
    ("a_supervisor_that_dies_takes_no_connection_along", crashes::supervisor_dies_connections_live),
    ("death_at_every_step", crashes::at_every_step),
    ("a_torn_tail_is_cut_and_reported", memory::a_torn_tail_is_cut),
    ("a_broken_record_closes_every_realm_and_halts", memory::a_broken_record_closes_and_halts),
    ("a_foreign_journal_closes_every_realm_and_halts", memory::a_foreign_journal_closes_and_halts),
    ("a_lost_journal_or_key_closes_every_realm_and_halts", memory::a_lost_journal_or_key_closes_and_halts),
    ("a_filter_that_was_taken_off_is_put_back", memory::a_filter_that_was_taken_off_is_put_back),
    ("custody_says_no_secret", asked::says_no_secret),
    ("no_secret_is_anywhere_but_in_custody", search::no_secret_is_anywhere_else),
    ("a_tiers_objects_are_sealed_for_it_and_end_with_it", search::a_tiers_objects_are_its_own),
    ("custodys_memory_is_hidden_as_the_status_says", search::custodys_memory_is_hidden_as_the_status_says),
    ("an_older_journal_is_refused", memory::an_older_journal_is_refused),
    ("a_forked_journal_is_refused", memory::a_forked_journal_is_refused),
    ("an_export_carries_a_signed_head", memory::an_export_carries_a_signed_head),
    ("a_key_file_locks_the_store", memory::a_key_file_locks_the_store),
    ("a_key_file_must_be_on_another_medium", memory::a_key_file_must_be_on_another_medium),
    ("a_share_opens_the_store_at_each_start", memory::a_share_opens_the_store_at_each_start),
    ("boundaries_that_nobody_ordered_have_a_bound", memory::boundaries_that_nobody_ordered_have_a_bound),
    ("the_status_says_where_custody_keeps_its_secrets", memory::secrets_are_where_the_status_says),
    ("a_second_supervisor_is_refused", memory::a_second_supervisor_is_refused),
    ("bad_settings_and_enrolments_are_usage", memory::bad_settings_and_enrolments),
    ("addresses_come_and_go_by_dhcp", leases::live_and_die),
    ("a_realm_is_never_open_without_its_lease_whenever_who_leases_dies", lessee::dies),
    ("hostile_clients_are_answered_or_dropped", clients::hostile),
    ("garbage_on_every_socket_of_a_node_harms_nothing", clients::garbage),
    ("garbage_to_a_courier_harms_nothing", clients::garbage_to_a_courier),
    ("only_root_and_orderers_are_listened_to", clients::uids),
    ("a_term_that_ends_closes_and_erases_nothing", terms::closes_while_the_supervisor_lives),
    ("nothing_passes_when_every_process_is_killed_amid_a_swap", swaps::killed_amid),
    ("the_kernel_closes_what_a_record_takes_back", crashes::kernel_closes_what_a_record_takes_back),
    ("the_kernel_closes_without_a_supervisor", terms::closes_while_the_supervisor_is_dead),
    ("a_node_dials_its_console_and_takes_orders_through_it", couriers::takes_orders),
    ("couriers_come_back_with_the_next_supervisor", couriers::come_back),
    ("a_consoles_calls_are_confined_to_its_tier", couriers::calls_are_confined),
    ("a_tenant_renews_and_nobody_else_learns_its_identity", couriers::renewal),
    ("nothing_of_a_tenancy_is_accepted_after_its_severing", replays::of_a_whole_tenancy),
    ("a_courier_taken_over_gains_nothing_and_stops_no_severing", takeover::gains_nothing),
    ("nonsense_of_a_courier_stops_nobody", nonsense::of_a_courier),
    ("nonsense_ends_the_other_processes", nonsense::to_the_others),
    ("an_engine_serves_and_comes_back_and_ends_with_its_tier", engines::serves_and_comes_back),
    ("a_volume_is_erased_with_its_tenant", volumes::erased_with_the_tenant),
    ("volumes_are_suspended_kept_erased_and_removed", volumes::suspended_kept_forced_and_removed),
    ("the_next_operator_has_the_data_or_nothing", volumes::the_next_operator_with_the_data_or_without),
    ("who_holds_a_closing_volume_is_killed", holders::are_killed),
    ("who_holds_a_closing_volume_unseen_is_shut_out", holders::are_shut_out),
    ("a_lease_that_ends_suspends_engines_and_volumes", returns::lapsed_and_prolonged),
    ("one_node_is_given_back_while_the_other_serves", returns::one_is_given_back),
    ("engines_and_volumes_come_back_after_a_loss_of_power", returns::power_is_cut),
    ("what_ends_late_is_swept_by_the_next_supervisor", returns::who_ends_late_is_swept),
    ("an_engine_that_runs_once_runs_once_whoever_hears_its_end", engines::once_is_once),
    ("a_launcher_that_ends_is_told_and_ends_nothing", returns::the_launcher_ends),
    ("live_processes_have_what_the_table_says", rights::of_live_processes),
    ("other_calls_are_denied", rights::other_calls_are_denied),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Processes that a trial starts.
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--confinement", confinement] if nonsense::is_meant() => return nonsense::taken_over(confinement),
        ["--confinement", confinement] => return takeover::taken_over(confinement),
        ["wait"] => return takeover::waits(),
        ["probe", process] => return rights::probe(process),
        ["probe-refused", process] => return rights::probe_refused(process),
        ["knock", uid, socket] => return clients::knock(uid, socket),
        _ => {}
    }
    lab::trial::main(TRIALS)
}
