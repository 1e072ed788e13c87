//! Work-stealing pools.
#![cfg(feature = "rayon")]

#[path = "../common/mod.rs"]
mod common;

mod a_scope_counts_what_stands_in_it;
mod a_scope_ends_what_it_asked_of_a_work_stealing_pool;
mod a_wait_on_a_work_stealing_pool_gets_others_a_thread;
mod a_work_stealing_pool_comes_and_goes;
mod a_work_stealing_pool_has_all_the_threads_it_counts_on;
mod a_work_stealing_pool_maps_and_streams;
mod a_work_stealing_pool_runs_parallel_code;
mod stolen_work_sees_no_foreign_place;
mod waits_on_a_work_stealing_pool_end;
mod what_waits_in_a_work_stealing_pool_is_counted_once;
