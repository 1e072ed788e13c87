//! Requests to stop, and the waits that hear them.

#[path = "../common/mod.rs"]
mod common;

mod a_cancel_says_why_and_where;
mod a_cancelled_queued_task_is_over_at_once;
mod a_deadline_travels_down_the_tree;
mod a_future_hears_of_a_request;
mod a_hook_runs_when_its_place_is_asked_to_stop;
mod a_promise_sees_its_cancel;
mod a_request_by_handle_is_heard_wherever_the_code_stands;
mod a_request_to_stop_reaches_everything_below;
mod a_request_to_stop_stays_until_it_is_declined;
mod a_shielded_thread_is_asked_only_itself;
mod a_sleeper_wakes_when_it_is_asked_to_stop;
mod a_tasks_time_is_limited;
mod cancelled_work_makes_room_in_a_full_queue;
mod every_verb_names_a_deadline;
mod join_cancelling_passes_requests_on;
mod wakers_of_a_request_are_run_apart;
mod what_a_cancelled_task_drops_may_join_another;
