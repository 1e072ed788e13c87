//! Tests that count what belongs to the process: each runs in a process of its own, see [`common::alone`].

#[path = "../common/mod.rs"]
mod common;

mod allocations;

mod a_cancelled_queue_gives_its_memory_back;
mod a_fair_pool_keeps_no_memory_of_tenants;
mod a_joiner_lends_its_thread;
mod a_panic_is_reported_once;
mod a_pool_keeps_no_memory_of_ended_tasks_places;
#[cfg(target_os = "linux")]
mod a_started_pool_has_no_thread_until_tasks_arrive;
mod a_subscriber_of_a_part_of_the_code_goes_along;
mod a_subscriber_that_panics_breaks_no_wait;
mod a_task_is_one_allocation;
mod a_task_not_let_in_is_reported_once;
mod a_task_runs_inside_the_span_of_its_submitter;
#[cfg(target_os = "linux")]
mod a_thread_shows_its_task;
mod an_idle_manager_is_small;
#[cfg(target_os = "linux")]
mod an_idle_process_has_no_threads;
#[cfg(target_os = "linux")]
mod deadlines_leave_nothing_behind;
mod idle_threads_are_reused_newest_first;
mod many_short_tasks_start_few_threads;
mod pools_share_threads_fairly;
mod the_limit_of_threads_is_respected;
mod the_most_threads_there_were_are_told;
#[cfg(all(feature = "tower", target_os = "linux"))]
mod the_timers_thread_ends_when_no_limit_runs;
