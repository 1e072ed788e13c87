//! Tests of the bridges to other crates, each module with its feature.

#[cfg(all(feature = "inspector", unix))]
mod browser;
#[cfg(feature = "metrics")]
#[path = "../../src/totals/buckets.rs"]
mod buckets;
#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "tower")]
mod grpc;
#[cfg(feature = "inspector")]
mod served;
#[cfg(feature = "tower")]
mod web;
#[cfg(feature = "tower")]
#[path = "../../src/timer/wheel.rs"]
mod wheel;

#[cfg(feature = "tower")]
mod a_client_that_goes_takes_its_work_along;
#[cfg(feature = "tower")]
mod a_deadline_comes_out_when_it_is_due;
#[cfg(feature = "tokio")]
mod a_joiner_inside_a_runtime_lends_no_thread;
#[cfg(feature = "serde")]
mod a_pool_is_configured_by_a_file;
#[cfg(feature = "tokio")]
mod a_portal_never_waits_for_a_runtime_that_is_gone;
#[cfg(feature = "tokio")]
mod a_portal_refuses_to_block_a_runtime;
#[cfg(feature = "tokio")]
mod a_portal_runs_futures_for_pool_tasks;
#[cfg(feature = "tokio")]
mod a_promise_serves_futures_of_a_runtime;
#[cfg(feature = "tower")]
mod a_request_ends_at_its_time_limit;
#[cfg(feature = "tower")]
mod a_request_has_a_scope_of_its_own;
#[cfg(feature = "tower")]
mod a_request_stands_below_its_tenant;
#[cfg(feature = "tower")]
mod a_request_too_many_is_answered_at_once;
#[cfg(feature = "tower")]
mod a_requests_deadline_comes_with_it;
#[cfg(feature = "tower")]
mod a_response_that_gives_up_cancels;
#[cfg(feature = "tokio")]
mod a_signal_needs_a_runtime;
#[cfg(feature = "serde")]
mod a_snapshot_has_one_shape_in_json;
#[cfg(feature = "tower")]
mod a_streamed_body_ends_at_its_requests_limit;
#[cfg(feature = "tower")]
mod a_streamed_body_stands_in_its_request;
#[cfg(feature = "task-log")]
mod a_tasks_log_is_bounded;
#[cfg(feature = "task-log")]
mod a_tasks_log_is_its_own;
#[cfg(feature = "tokio")]
mod a_wait_on_a_runtimes_thread_for_that_runtime_is_told;
#[cfg(feature = "tokio")]
mod block_on_is_not_held_up_by_tokios_budget;
mod code_without_a_place_owns_nothing;
#[cfg(feature = "tokio")]
mod each_future_stands_at_its_own_place;
#[cfg(feature = "tokio")]
mod spawned_work_belongs_to_its_scopes;
#[cfg(feature = "tokio")]
mod ten_thousand_futures_stand_where_they_should;
#[cfg(feature = "metrics")]
mod the_dashboard_shows_what_is_published;
#[cfg(feature = "inspector")]
mod the_inspector_answers_its_own_hosts;
#[cfg(all(feature = "inspector", unix))]
mod the_inspector_is_for_everybody;
#[cfg(feature = "inspector")]
mod the_inspector_outlasts_its_readers;
#[cfg(feature = "inspector")]
mod the_inspector_sends_what_changed;
#[cfg(all(feature = "inspector", unix))]
mod the_inspector_shows_the_family_live;
#[cfg(feature = "tokio")]
mod the_lint_list_names_calls_that_exist;
#[cfg(all(feature = "tokio", feature = "tower"))]
mod the_page_on_layers_is_true;
mod the_prelude_shadows_no_crate;
#[cfg(feature = "metrics")]
mod the_times_of_tasks_are_published;
#[cfg(feature = "metrics")]
mod times_are_counted_in_buckets;
#[cfg(feature = "metrics")]
mod what_pools_do_is_published;
#[cfg(all(feature = "tokio", feature = "tower"))]
mod work_that_outlives_its_response;
