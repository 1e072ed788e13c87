//! Tasks: handles, panics, refusals and the ways to submit.

#[path = "../common/mod.rs"]
mod common;

mod a_borrowing_scope_waits_for_its_tasks;
mod a_dropped_handle_can_cancel_its_task;
mod a_handle_tells_how_its_task_ended;
mod a_panic_is_caught_and_handed_over;
mod a_panicking_task_costs_no_worker;
mod a_refusal_gives_the_closure_back;
mod a_set_yields_tasks_as_they_finish;
mod a_typed_handle_has_every_verb;
mod a_typed_manager_is_bound_to_one_start;
mod a_typed_pool_takes_only_its_type;
mod every_accepted_task_ends_once;
mod every_verb_returns_the_one_error;
mod it_serves_as_an_executor;
mod map_yields_results_in_order;
mod one_error_takes_in_all_others;
mod run_uses_the_callers_thread;
mod submitting_never_blocks;
