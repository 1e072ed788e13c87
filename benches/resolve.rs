//! One iteration is one look-up of a manager by its name, or of a value by its key.
//!
//! The questions: how much does each level cost, does a value cost more than a manager, and how much does a look-up cost
//! that finds nothing among many managers?

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use heirloom::{Heirloom, PoolConfig, PoolManager, Scope};

const DEPTHS: [usize; 4] = [0, 1, 8, 64];

static VALUE: Heirloom<u64> = Heirloom::new("value");
static OTHER: Heirloom<u64> = Heirloom::new("other");
static NOWHERE: Heirloom<u64> = Heirloom::new("nowhere");

/// A scope that owns `"render"` and has a value, and `depth` more below it. With `crowded`, each of those owns another
/// name and another value.
fn chain(depth: usize, crowded: bool) -> Vec<Scope> {
    let mut chain = vec![Scope::new("owner")];
    chain[0].create("render").start(PoolConfig::leased(4)).expect("it starts");
    VALUE.at(&chain[0]).bind(7_u64).expect("it binds");
    for above in 0..depth {
        let below = Scope::new_in(&chain[above], "below");
        if crowded {
            let _in_the_way = below.create("io");
            OTHER.at(&below).bind(7_u64).expect("it binds");
        }
        chain.push(below);
    }
    chain
}

fn borrow(manager: &PoolManager) {
    black_box(manager);
}

fn look(value: &u64) {
    black_box(value);
}

fn look_ups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resolve");
    for depth in DEPTHS {
        let chain = chain(depth, false);
        let _here = chain[depth].enter();
        group.bench_function(BenchmarkId::new("with", depth), |bencher| {
            bencher.iter(|| heirloom::with("render", borrow));
        });
        group.bench_function(BenchmarkId::new("get", depth), |bencher| {
            bencher.iter(|| heirloom::get("render"));
        });
        group.bench_function(BenchmarkId::new("value, with", depth), |bencher| {
            bencher.iter(|| VALUE.with(look));
        });
        group.bench_function(BenchmarkId::new("value, get", depth), |bencher| {
            bencher.iter(|| VALUE.get());
        });
    }
    for depth in DEPTHS {
        let chain = chain(depth, true);
        let _here = chain[depth].enter();
        group.bench_function(BenchmarkId::new("with, past others", depth), |bencher| {
            bencher.iter(|| heirloom::with("render", borrow));
        });
        group.bench_function(BenchmarkId::new("value, with, past others", depth), |bencher| {
            bencher.iter(|| VALUE.with(look));
        });
    }
    group.finish();
}

/// Looks a name up that no node has, beside managers of other nodes.
fn in_vain(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resolve in vain");
    for others in [10, 100_000] {
        let _others: Vec<Scope> = (0..others)
            .map(|_| {
                let scope = Scope::new("other");
                let _theirs = scope.create("render");
                scope
            })
            .collect();
        let asker = Scope::new("asker");
        let _here = asker.enter();
        group.bench_function(BenchmarkId::new("get", others), |bencher| {
            bencher.iter(|| heirloom::get("nowhere").is_err());
        });
        group.bench_function(BenchmarkId::new("with", others), |bencher| {
            bencher.iter(|| heirloom::with("nowhere", borrow).is_err());
        });
        group.bench_function(BenchmarkId::new("value, get", others), |bencher| {
            bencher.iter(|| NOWHERE.get().is_err());
        });
        let missing = heirloom::get("render").expect_err("others have it");
        group.bench_function(BenchmarkId::new("elsewhere", others), |bencher| {
            bencher.iter(|| missing.as_manager_not_found().map(|missing| missing.elsewhere()));
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    look_ups(&mut criterion);
    in_vain(&mut criterion);
    criterion.final_summary();
}
