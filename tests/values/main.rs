//! Values that are bound to places.

#[path = "../common/mod.rs"]
mod common;

mod a_failed_initialiser_fails_all_who_wait;
mod a_panic_in_a_keys_drop_costs_nothing;
mod a_policy_says_who_inherits;
mod a_published_value_fulfils_a_flight;
mod a_sealed_key_binds_nothing_more;
mod a_subscriber_sees_each_binding_once;
mod a_value_goes_with_its_place;
mod a_wait_for_ones_own_initialiser_is_refused;
mod an_initialiser_runs_once;
mod each_key_of_a_map_is_by_itself;
mod nothing_is_locked_while_a_values_own_code_runs;
mod the_nearest_value_wins;
