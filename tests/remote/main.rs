//! Jobs in other processes, on the loopback engine.

mod broker;
#[path = "../common/mod.rs"]
mod common;
mod puppet;
mod world;

mod a_cancel_reaches_all_machines;
mod a_job_ends_once_whatever_dies;
mod a_job_knows_its_origin;
mod a_job_stands_in_a_remote_scope;
mod a_remote_pool_serves_async_code;
mod a_serving_counts_each_job_once;
mod a_serving_ends_in_order;
mod a_serving_says_whether_it_is_ready;
mod a_worker_keeps_its_protocol;
mod an_origin_keeps_its_protocol;
mod errors_travel;
mod no_user_code_runs_on_the_engines_thread;
mod two_versions_of_a_job_meet;
mod values_travel_with_a_job;
