//! One iteration is one no-op task, from `submit` until its result is there. The question: how much does a task cost?

use std::hint::black_box;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion};
use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle};

/// Tasks that are under way at once.
const WINDOW: u64 = 1_000;

fn noop() {
    black_box(());
}

fn started(name: &'static str, config: PoolConfig) -> PoolManager {
    let manager = heirloom::create(name);
    manager.start(config).expect("it starts");
    manager
}

/// Submits so many, then joins each.
fn flood(manager: &PoolManager, tasks: u64) {
    let handles: Vec<TaskHandle<()>> = (0..tasks).map(|_| manager.submit(noop).expect("it is accepted")).collect();
    handles.into_iter().for_each(|handle| handle.join().expect("it ends well"));
}

fn tasks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("submit");
    let kinds = [("leased", PoolConfig::leased(4)), ("dedicated", PoolConfig::dedicated(4))];
    for (kind, config) in kinds {
        let manager = started(kind, config);
        group.bench_function(BenchmarkId::new("one after the other", kind), |bencher| {
            bencher.iter(|| flood(&manager, 1));
        });
        group.bench_function(BenchmarkId::new("many at once", kind), |bencher| {
            bencher.iter_custom(|iterations| {
                let start = Instant::now();
                (0..iterations / WINDOW).for_each(|_| flood(&manager, WINDOW));
                flood(&manager, iterations % WINDOW);
                start.elapsed()
            });
        });
        let request = Scope::new("request");
        let here = request.enter();
        group.bench_function(BenchmarkId::new("many at once, in a scope", kind), |bencher| {
            bencher.iter_custom(|iterations| {
                let start = Instant::now();
                (0..iterations / WINDOW).for_each(|_| flood(&manager, WINDOW));
                flood(&manager, iterations % WINDOW);
                start.elapsed()
            });
        });
        drop(here);
        request.finish();
        assert!(manager.stop().expect("no task of its own asks").is_complete());
    }
    let manager = started("run", PoolConfig::leased(4));
    group.bench_function("run, on the caller's thread", |bencher| {
        bencher.iter(|| manager.run(noop).expect("it ends well"));
    });
    let manager = started("typed", PoolConfig::leased(4).task_type("component_render"));
    group.bench_function("one after the other, of a task type", |bencher| {
        bencher.iter(|| {
            let task = manager.submit_as("component_render", noop).expect("it is accepted");
            task.join().expect("it ends well");
        });
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    tasks(&mut criterion);
    criterion.final_summary();
}
