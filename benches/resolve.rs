//! One iteration is one look-up of a manager by its name, or of a value by its key; the question: what does its
//! distance cost, and does a value cost more than a manager?

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use heirloom::{Heirloom, PoolConfig, PoolManager, Scope};

const DEPTHS: [usize; 4] = [0, 1, 8, 64];

static VALUE: Heirloom<u64> = Heirloom::new("value");
static OTHER: Heirloom<u64> = Heirloom::new("other");

/// A scope that owns `"render"` and has a value, and `depth` more below it. With `crowded`, each of those owns another
/// name and another value.
fn chain(depth: usize, crowded: bool) -> Vec<Scope> {
    let mut chain = vec![Scope::new("owner")];
    chain[0].create("render").start(PoolConfig::leased(4)).expect("it starts");
    VALUE.bind_at(&chain[0], 7_u64).expect("it binds");
    for above in 0..depth {
        let below = Scope::new_in(&chain[above], "below");
        if crowded {
            let _in_the_way = below.create("io");
            OTHER.bind_at(&below, 7_u64).expect("it binds");
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

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    look_ups(&mut criterion);
    criterion.final_summary();
}
