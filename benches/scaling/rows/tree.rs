//! Nodes: scopes that open and close, and listings of a family.

use std::hint::black_box;
use std::time::{Duration, Instant};

use heirloom::{PoolConfig, Registry, Scope};

use super::super::judge::Row;
use super::super::measure::{best, of};
use super::{constant, linear};

pub(super) const ROWS: &[Row] = &[
    constant("open and close a scope beside so many", scope_beside),
    constant("open and close a scope below so many", scope_below),
    constant("checkpoint beside so many cancelled scopes", checkpoint_beside),
    constant("set a scope's deadline beside so many", deadline_beside),
    linear("snapshot of a family with so many scopes", snapshot),
    linear("a family with so many scopes as text", text),
    linear("a family with so many scopes below one another as a snapshot", deep_snapshot),
    linear("list the managers of a family with so many", managers),
    linear("say where else a name is, among so many managers", elsewhere),
    linear("drop a chain of so many scopes", drop_chain),
    linear("hold and drop so many hooks for a cancel", hooks),
];

pub(super) fn siblings(family: &Registry, scopes: usize) -> Vec<Scope> {
    (0..scopes).map(|_| Scope::new_in(&family.root(), "sibling")).collect()
}

/// So many scopes below the first, each below the one before.
pub(super) fn chain(family: &Registry, scopes: usize) -> Vec<Scope> {
    let mut chain = vec![Scope::new_in(&family.root(), "outermost")];
    for above in 0..scopes {
        chain.push(Scope::new_in(&chain[above], "below"));
    }
    chain
}

fn open_and_close(parent: &Scope) {
    let scope = Scope::new_in(parent, "request");
    drop(scope.enter());
    scope.finish();
}

fn scope_beside(scopes: usize) -> f64 {
    let family = Registry::new();
    let parent = Scope::new_in(&family.root(), "parent");
    let _open: Vec<_> = (0..scopes).map(|_| Scope::new_in(&parent, "sibling")).collect();
    best(200, |_| open_and_close(&parent))
}

fn scope_below(scopes: usize) -> f64 {
    let mut chain = chain(&Registry::new(), scopes);
    let cost = best(200, |_| open_and_close(&chain[scopes]));
    // From the innermost, so that each drop cancels one scope.
    while chain.pop().is_some() {}
    cost
}

fn checkpoint_beside(scopes: usize) -> f64 {
    let family = Registry::new();
    let cancelled = siblings(&family, scopes);
    cancelled.iter().for_each(Scope::cancel);
    let here = Scope::new_in(&family.root(), "here");
    here.run(|| best(500, |_| drop(black_box(heirloom::checkpoint()))))
}

fn deadline_beside(scopes: usize) -> f64 {
    let family = Registry::new();
    let later = Instant::now() + Duration::from_secs(3600);
    let others = siblings(&family, scopes);
    others.iter().for_each(|scope| scope.deadline(later));
    best(200, |_| {
        let scope = Scope::new_in(&family.root(), "request");
        scope.deadline(later);
        scope.finish();
    })
}

fn snapshot(scopes: usize) -> f64 {
    let family = Registry::new();
    let _open = siblings(&family, scopes);
    of(|| drop(black_box(family.snapshot()))) / scopes as f64
}

fn text(scopes: usize) -> f64 {
    let family = Registry::new();
    let _open = siblings(&family, scopes);
    let tree = family.tree();
    of(|| drop(black_box(tree.to_string()))) / scopes as f64
}

fn deep_snapshot(scopes: usize) -> f64 {
    let family = Registry::new();
    let mut chain = chain(&family, scopes);
    let cost = of(|| drop(black_box(family.snapshot()))) / scopes as f64;
    while chain.pop().is_some() {}
    cost
}

fn managers(scopes: usize) -> f64 {
    let family = Registry::new();
    let open = siblings(&family, scopes);
    open.iter().for_each(|scope| drop(scope.create("io")));
    of(|| drop(black_box(family.managers()))) / scopes as f64
}

fn elsewhere(scopes: usize) -> f64 {
    let family = Registry::new();
    let open = siblings(&family, scopes);
    open.iter().for_each(|scope| drop(scope.create("io")));
    let missing = family.root().get("missing").unwrap_err();
    let missing = missing.as_manager_not_found().expect("no manager has the name");
    of(|| drop(black_box(missing.elsewhere()))) / scopes as f64
}

fn drop_chain(scopes: usize) -> f64 {
    let mut chain = chain(&Registry::new(), scopes);
    // The innermost alone keeps the others.
    let innermost = chain.pop().map(|scope| scope.lineage().clone());
    while chain.pop().is_some() {}
    of(|| drop(innermost)) / scopes as f64
}

fn hooks(hooks: usize) -> f64 {
    let scope = Scope::new("scope");
    let pool = scope.create("pool");
    pool.start(PoolConfig::leased(1)).expect("it starts");
    scope.run(|| {
        of(|| {
            let mut held: Vec<_> = (0..hooks).map(|_| heirloom::on_cancel(|| ())).collect();
            // In another order than that of their registration.
            for at in 0..held.len() {
                let other = at.wrapping_mul(7919) % held.len();
                held.swap(at, other);
            }
            drop(held);
        })
    }) / hooks as f64
}
