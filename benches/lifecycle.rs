//! One iteration is the life of one pool, from `create` to `stop`.
//!
//! The question: how much does a pool cost, also beside a plain rayon pool? With the feature `tower` also: how much does
//! a request's scope cost?

#[cfg(feature = "tower")]
#[path = "lifecycle/requests.rs"]
mod requests;

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

/// A small parallel loop, for the pools that are made for one.
#[cfg(feature = "rayon")]
fn parallel() -> u64 {
    use rayon::prelude::*;
    (0..black_box(1000u64)).into_par_iter().sum()
}

/// Makes a pool for one parallel loop and drops it, as a request would.
#[cfg(feature = "rayon")]
fn parallel_lives(criterion: &mut Criterion) {
    let here = heirloom::current();
    let mut group = criterion.benchmark_group("lifecycle, one parallel loop");
    group.bench_function("plain rayon", |bencher| {
        bencher.iter(|| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().expect("threads can be had");
            pool.install(parallel)
        });
    });
    group.bench_function("work-stealing, stopped", |bencher| {
        bencher.iter(|| {
            let manager = start_at(&here, PoolConfig::work_stealing(4));
            let sum = manager.install(parallel).expect("it ends well");
            stop(&manager);
            sum
        });
    });
    group.bench_function("work-stealing, its scope dropped", |bencher| {
        bencher.iter(|| {
            let request = Scope::new("request");
            start_at(&request, PoolConfig::work_stealing(4)).install(parallel).expect("it ends well")
        });
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    lives(&mut criterion);
    #[cfg(feature = "rayon")]
    parallel_lives(&mut criterion);
    #[cfg(feature = "tower")]
    requests::requests(&mut criterion);
    criterion.final_summary();
}
