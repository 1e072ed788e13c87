//! Gates: one at a time, and who waits for whom.

#[path = "../common/mod.rs"]
mod common;

mod a_busy_gate_says_who_is_in;
mod a_gate_is_entered_again_by_the_same_code_only;
mod a_gate_is_found_through_the_tree;
mod a_gate_is_handed_over_in_the_order_of_asking;
mod a_gate_lets_one_in_at_a_time;
mod a_gate_whose_holder_waits_for_the_asker_says_so_at_once;
mod a_pool_runs_its_tasks_under_a_gate;
mod a_request_to_stop_ends_a_wait_at_a_gate;
