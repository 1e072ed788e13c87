//! Waits: what gives way, what runs in place and what is refused.

#[path = "../common/mod.rs"]
mod common;

mod a_circle_of_waits_is_found_and_named;
mod a_future_is_a_wait_of_the_thread_that_blocks_on_it;
mod a_join_runs_exactly_its_task_in_place;
mod a_wait_gives_its_place_away;
mod a_waker_that_comes_back_meets_no_lock;
mod a_waker_that_panics_strands_nothing;
mod deep_nesting_keeps_stacks_bounded;
mod divide_and_conquer_by_join;
mod extra_threads_for_waits_are_bounded;
mod pools_that_wait_for_each_other_go_on;
mod pools_whose_tasks_meet_all_run;
#[cfg(feature = "stacker")]
mod tasks_run_inside_one_another_to_any_depth;
mod waiters_for_capacity_are_woken_in_turn;
mod waiting_until_idle_waits_for_everything;
mod waits_at_the_bound_of_waits_end;
mod waits_have_async_forms;
mod waits_of_a_local_pools_thread_end;
mod waits_on_a_pool_that_keeps_its_places_end;
mod what_a_task_leaves_is_still_its_own;
