//! The end of pools, scopes and starts.

#[path = "../common/mod.rs"]
mod common;

mod a_drain_ends_within_its_deadline;
mod a_future_in_a_scope_ends_it;
mod a_pool_starts_again_once_its_tasks_have_ended;
mod a_pool_stops_after_a_run_on_the_callers_thread;
mod a_pools_end_is_seen_once_and_for_all;
mod a_scope_does_not_wait_for_daemons;
mod a_scope_ends_what_was_asked_for_below_it;
mod a_scopes_end_does_not_wait_for_the_scope_above;
mod a_stop_races_submits_in_order;
mod a_stop_report_names_what_still_runs;
mod an_end_from_an_own_task_is_refused;
mod an_ended_scope_refuses_to_start;
mod cleanup_while_a_panic_unwinds;
mod each_start_is_fresh;
mod every_task_ends_whatever_its_pool_goes_through;
mod stop_waits_until_a_dedicated_pools_threads_are_gone;
mod the_verbs_that_end_do_not_blur;
mod what_was_stopped_midway_is_counted_apart;
