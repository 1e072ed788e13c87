//! Pools: limits, queues, order, settings and threads.

#[path = "../common/mod.rs"]
mod common;

mod a_local_pool_runs_only_where_it_is_told_to;
mod a_manager_runs_at_most_one_pool;
mod a_panic_in_a_workers_error_strands_nothing;
mod a_serial_pool_is_strictly_serial;
mod a_start_returns_when_its_workers_are_warm;
mod a_submitter_can_wait_for_room;
mod a_task_pushed_while_its_pool_looks_is_not_left_behind;
mod a_worker_is_initialised_before_its_first_task;
mod a_workers_state_is_lent_to_one_task_at_a_time;
mod an_abandoned_initialiser_is_not_waited_for;
mod an_impossible_setting_is_named;
mod an_initialiser_that_fails_strands_nothing;
mod cancelled_tasks_never_count_as_running;
mod dedicated_threads_belong_to_one_pool;
mod each_tenant_has_a_limit;
mod ensure_started_is_idempotent;
mod room_that_one_cannot_use_goes_to_the_next;
mod shares_are_counted;
mod tasks_start_in_order;
mod tenants_take_turns;
mod the_limit_is_exact;
mod the_queue_limit_counts_what_is_queued;
mod urgent_tasks_start_first;
