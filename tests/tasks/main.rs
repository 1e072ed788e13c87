//! Tasks: handles, panics, refusals and the ways to submit.

#[path = "../common/mod.rs"]
mod common;

mod a_borrowing_scope_waits_for_its_tasks;
mod a_call_finds_submits_and_waits;
mod a_dropped_handle_can_cancel_its_task;
mod a_handle_tells_how_its_task_ended;
mod a_map_waits_for_capacity;
mod a_panic_is_caught_and_handed_over;
mod a_panicking_task_costs_no_worker;
mod a_promise_ends_once_in_every_race;
mod a_promised_task_ends_from_outside;
mod a_refusal_gives_the_closure_back;
mod a_scope_maps_borrowed_items;
mod a_set_yields_tasks_as_they_finish;
mod a_stream_is_no_faster_than_its_reader;
mod a_typed_handle_has_every_verb;
mod a_typed_manager_is_bound_to_one_start;
mod a_typed_pool_takes_only_its_type;
mod a_wait_with_a_limit_runs_no_task_in_place;
mod every_accepted_task_ends_once;
mod every_error_has_a_remedy;
mod every_verb_returns_the_one_error;
mod it_serves_as_an_executor;
mod many_tasks_are_submitted_at_once;
mod map_unordered_yields_as_tasks_finish;
mod map_yields_results_in_order;
mod one_error_takes_in_all_others;
mod run_uses_the_callers_thread;
mod submitting_never_blocks;
mod try_join_all_ends_with_its_tasks;
mod try_map_ends_at_the_first_error;
