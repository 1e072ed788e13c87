//! One iteration is one no-op task among many that several threads submit and join at once.
//!
//! The question: how much do producers slow each other down, on one pool and on a pool each? And how much do threads outside of
//! the pools, which keep each CPU busy, slow down one producer?

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use heirloom::{PoolConfig, PoolManager, TaskHandle};

/// Tasks that one producer has under way at once.
const WINDOW: u64 = 1_000;

fn noop() {
    black_box(());
}

fn produce(manager: &PoolManager, tasks: u64) {
    let mut left = tasks;
    while left > 0 {
        let window = left.min(WINDOW);
        let handles: Vec<TaskHandle<()>> = (0..window).map(|_| manager.submit(noop).expect("it is accepted")).collect();
        handles.into_iter().for_each(|handle| handle.join().expect("it ends well"));
        left -= window;
    }
}

/// A producer per entry of `managers`, all at once: from the first one's start to the last one's end.
fn together(managers: &[PoolManager], tasks: u64) -> Duration {
    let barrier = Barrier::new(managers.len());
    let each = tasks.div_ceil(managers.len() as u64);
    let run = |manager: &PoolManager| {
        barrier.wait();
        let start = Instant::now();
        produce(manager, each);
        (start, Instant::now())
    };
    let spans: Vec<(Instant, Instant)> = thread::scope(|scope| {
        let threads: Vec<_> = managers.iter().map(|manager| scope.spawn(|| run(manager))).collect();
        threads.into_iter().map(|thread| thread.join().expect("the producer ends well")).collect()
    });
    let first = spans.iter().map(|span| span.0).min();
    let last = spans.iter().map(|span| span.1).max();
    first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first)
}

fn started() -> PoolManager {
    let manager = heirloom::create("contended");
    manager.start(PoolConfig::leased(4)).expect("it starts");
    manager
}

fn producers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("contention");
    for producers in [1, 2, 4, 8] {
        let shared = vec![started(); producers];
        group.bench_function(BenchmarkId::new("one pool", producers), |bencher| {
            bencher.iter_custom(|tasks| together(&shared, tasks));
        });
        let own: Vec<PoolManager> = (0..producers).map(|_| started()).collect();
        group.bench_function(BenchmarkId::new("a pool each", producers), |bencher| {
            bencher.iter_custom(|tasks| together(&own, tasks));
        });
    }
    group.finish();
}

/// Waits for tasks while two other threads for each CPU are always busy.
fn crowded(criterion: &mut Criterion) {
    let over = AtomicBool::new(false);
    let busy = 2 * thread::available_parallelism().map_or(1, usize::from);
    let mut group = criterion.benchmark_group("beside busy threads");
    thread::scope(|scope| {
        for _ in 0..busy {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    black_box(());
                }
            });
        }
        let manager = started();
        group.bench_function("round trip", |bencher| {
            bencher.iter(|| manager.submit(noop).and_then(TaskHandle::join).expect("it ends well"));
        });
        group.bench_function("a dedicated pool from start to stop", |bencher| {
            bencher.iter(|| {
                let manager = heirloom::create("crowded");
                manager.start(PoolConfig::dedicated(4)).expect("it starts");
                manager.submit(noop).and_then(TaskHandle::join).expect("it ends well");
                manager.stop().expect("it ends")
            });
        });
        over.store(true, Ordering::Relaxed);
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    producers(&mut criterion);
    crowded(&mut criterion);
    criterion.final_summary();
}
