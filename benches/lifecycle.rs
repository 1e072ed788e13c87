//! One iteration is the life of one pool, from `create` to `stop`; the question: what does a pool cost?

use std::hint::black_box;

use criterion::Criterion;
use heirloom::{Lineage, PoolConfig, PoolManager, Scope};

fn noop() {
    black_box(());
}

fn start_at(at: &Lineage, config: PoolConfig) -> PoolManager {
    let manager = at.create("render");
    manager.start(config).expect("it starts");
    manager
}

fn stop(manager: &PoolManager) {
    assert!(manager.stop().expect("no task of its own asks").is_complete());
}

/// Starts a pool, runs a task on it, stops it.
fn life(at: &Lineage, config: PoolConfig) {
    let manager = start_at(at, config);
    manager.submit(noop).expect("it is accepted").join().expect("it ends well");
    stop(&manager);
}

fn lives(criterion: &mut Criterion) {
    let here = heirloom::current();
    let mut group = criterion.benchmark_group("lifecycle");
    group.bench_function("leased, without a task", |bencher| {
        bencher.iter(|| stop(&start_at(&here, PoolConfig::leased(4))));
    });
    group.bench_function("leased, one task", |bencher| {
        bencher.iter(|| life(&here, PoolConfig::leased(4)));
    });
    group.bench_function("leased, one task, in a scope of its own", |bencher| {
        bencher.iter(|| Scope::run("request", |scope| life(scope, PoolConfig::leased(4))));
    });
    group.bench_function("dedicated, one task", |bencher| {
        bencher.iter(|| life(&here, PoolConfig::dedicated(4)));
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    lives(&mut criterion);
    criterion.final_summary();
}
