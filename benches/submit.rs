//! One iteration is one no-op task, from `submit` until its result is there. The question: how much does a task cost, and how
//! long is it held up by another tenant's flood?

use std::hint::black_box;
use std::time::{Duration, Instant};

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

/// Tasks that the noisy tenant has queued.
const BACKLOG: usize = 10_000;

/// A task of about a microsecond, so that a backlog remains.
fn busy() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(1) {
        std::hint::spin_loop();
    }
}

/// The time of a quiet tenant's task behind a noisy tenant's backlog.
fn beside_a_flood(manager: &PoolManager, noisy: &Scope, quiet: &Scope) -> Duration {
    let submit = || (0..BACKLOG).map(|_| manager.submit(busy).expect("it is accepted")).collect();
    let backlog: Vec<TaskHandle<()>> = noisy.run(submit);
    let start = Instant::now();
    quiet.run(|| manager.submit(noop)).expect("it is accepted").join().expect("it ends well");
    let took = start.elapsed();
    backlog.into_iter().for_each(|handle| handle.join().expect("it ends well"));
    took
}

fn tenants(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a quiet tenant's task");
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    let orders = [
        ("first in, first out", PoolConfig::leased(1)),
        ("fair", PoolConfig::leased(1).fair()),
        ("fair, with priorities", PoolConfig::leased(1).fair().priorities(2)),
    ];
    for (order, config) in orders {
        let manager = started(order, config);
        let [noisy, quiet] = ["noisy", "quiet"].map(Scope::new);
        group.bench_function(BenchmarkId::new("behind 10 000 of another", order), |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| beside_a_flood(&manager, &noisy, &quiet)).sum());
        });
        assert!(manager.stop().expect("no task of its own asks").is_complete());
    }
    group.finish();
}

fn orders(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("many at once, by order");
    let orders = [
        ("first in, first out", PoolConfig::leased(4)),
        ("priorities", PoolConfig::leased(4).priorities(2)),
        ("fair", PoolConfig::leased(4).fair()),
    ];
    for (order, config) in orders {
        let manager = started(order, config);
        let tenant = Scope::new("tenant");
        let here = tenant.enter();
        group.bench_function(order, |bencher| {
            bencher.iter_custom(|iterations| {
                let start = Instant::now();
                (0..iterations / WINDOW).for_each(|_| flood(&manager, WINDOW));
                flood(&manager, iterations % WINDOW);
                start.elapsed()
            });
        });
        drop(here);
        tenant.finish();
        assert!(manager.stop().expect("no task of its own asks").is_complete());
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    tasks(&mut criterion);
    orders(&mut criterion);
    tenants(&mut criterion);
    criterion.final_summary();
}
