//! Ends: of scopes, pools and families.

use std::time::Duration;

use heirloom::{PoolConfig, Registry, Scope};

use super::super::judge::Row;
use super::super::measure::of;
use super::linear;
use super::tree::siblings;

pub(super) const ROWS: &[Row] = &[
    linear("drop a scope with so many managers", drop_managers),
    linear("drop a scope with so many started pools", drop_pools),
    linear("stop a scope with so many started pools", stop_pools),
    linear("drop so many scopes with a started pool each", drop_scopes),
    linear("shut down a family with so many pools", shutdown),
];

fn with_managers(managers: usize) -> Scope {
    let scope = Scope::new("scope");
    (0..managers as u64).for_each(|name| drop(scope.create(name)));
    scope
}

fn with_pools(pools: usize) -> Scope {
    let scope = Scope::new("scope");
    (0..pools as u64).for_each(|name| scope.create(name).start(PoolConfig::leased(1)).expect("it starts"));
    scope
}

fn drop_managers(managers: usize) -> f64 {
    let scope = with_managers(managers);
    of(|| drop(scope)) / managers as f64
}

fn drop_pools(pools: usize) -> f64 {
    let scope = with_pools(pools);
    of(|| drop(scope)) / pools as f64
}

fn stop_pools(pools: usize) -> f64 {
    let scope = with_pools(pools);
    of(|| drop(scope.stop().expect("no task of its own stops it"))) / pools as f64
}

fn scopes_with_pools(family: &Registry, pools: usize) -> Vec<Scope> {
    let scopes = siblings(family, pools);
    let start = |scope: &Scope| scope.create("pool").start(PoolConfig::leased(1)).expect("it starts");
    scopes.iter().for_each(start);
    scopes
}

fn drop_scopes(pools: usize) -> f64 {
    let scopes = scopes_with_pools(&Registry::new(), pools);
    of(|| drop(scopes)) / pools as f64
}

fn shutdown(pools: usize) -> f64 {
    let family = Registry::new();
    let _scopes = scopes_with_pools(&family, pools);
    of(|| drop(family.shutdown_timeout(Duration::from_secs(10)))) / pools as f64
}
