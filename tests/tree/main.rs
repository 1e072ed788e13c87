//! Places, nodes, look-up and snapshots: the family tree.

#[path = "../common/mod.rs"]
mod common;

mod a_detached_pool_sees_nothing_of_the_submitter;
mod a_foreign_thread_is_a_node_of_its_own;
mod a_future_keeps_its_place_on_every_poll;
mod a_long_chain_is_walked_and_dropped;
mod a_manager_not_found_says_where_it_is;
mod a_namespace_is_a_text_a_number_or_a_type;
mod a_node_lives_as_long_as_it_is_needed;
mod a_refusal_says_whose_the_pool_was;
mod a_registry_of_its_own_is_apart;
mod a_snapshot_has_every_parent;
mod a_started_thread_is_a_child_of_the_place_that_started_it;
mod a_task_becomes_a_node_when_it_is_looked_at;
mod a_task_stands_below_its_submitter;
mod a_thread_that_is_marked_as_shared_has_no_place;
mod create_always_makes_a_new_one;
mod get_finds_the_nearest;
mod get_or_create_is_atomic_per_node;
mod get_or_start_gives_one_that_runs;
mod ids_are_never_reused;
mod listing_keeps_nothing_alive;
mod names_are_printed_escaped_and_cut;
mod siblings_never_meet;
mod the_family_answers_as_its_model;
mod the_place_is_restored;
mod the_registry_finds_threads;
mod the_tree_prints_who_stands_where;
mod thread_locals_being_destroyed;
mod two_workers_and_a_shared_pool;
mod with_lends_what_others_may_unlink;
