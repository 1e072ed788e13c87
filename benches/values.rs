//! One iteration is one initialisation with many waiters, from the moment all wait until the last has its value, or one
//! binding and its end.
//!
//! The questions: how much does waking all waiters cost, and how much does a value of a request's own cost?

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use heirloom::{Heirloom, HeirloomMap, Lineage, PoolConfig, PoolManager, Scope};

static VALUE: Heirloom<u64> = Heirloom::new("value");
static MAP: HeirloomMap<u64, u64> = HeirloomMap::new("map");

/// One flight: how long its landing takes until the last waiter has the value.
fn land(pool: &PoolManager, waiters: usize) -> Duration {
    let ask = || *VALUE.get_or_init(|| unreachable!("another leads")).expect("it lands");
    let mut handles = Vec::new();
    let mut landing = Instant::now();
    let made = VALUE.get_or_init(|| {
        handles.extend((0..waiters).map(|_| pool.submit(ask).expect("it is accepted")));
        while pool.stats().waiting < waiters {
            thread::yield_now();
        }
        landing = Instant::now();
        7
    });
    black_box(made.expect("it is made"));
    handles.into_iter().for_each(|handle| {
        black_box(handle.join().expect("it ends well"));
    });
    let took = landing.elapsed();
    VALUE.at(&Lineage::process()).unbind();
    took
}

fn flights(criterion: &mut Criterion) {
    let pool = heirloom::create("askers");
    pool.start(PoolConfig::leased(4)).expect("it starts");
    let mut group = criterion.benchmark_group("flight");
    for waiters in [1, 64] {
        group.bench_function(BenchmarkId::new("land", waiters), |bencher| {
            bencher.iter_custom(|flights| (0..flights).map(|_| land(&pool, waiters)).sum());
        });
    }
    group.bench_function("nobody waits", |bencher| {
        bencher.iter(|| {
            black_box(VALUE.get_or_init(|| 7)).expect("it is made");
            VALUE.at(&Lineage::process()).unbind()
        });
    });
    group.finish();
}

fn bindings(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("binding");
    group.bench_function("a scope", |bencher| bencher.iter(|| drop(Scope::new("request"))));
    group.bench_function("a scope with a value", |bencher| {
        bencher.iter(|| {
            let scope = Scope::new("request");
            VALUE.at(&scope).bind(7_u64).expect("it binds");
        });
    });
    MAP.publish(7, 7_u64).expect("it binds");
    group.bench_function("a map's value, found", |bencher| bencher.iter(|| MAP.get(black_box(&7))));
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    flights(&mut criterion);
    bindings(&mut criterion);
    criterion.final_summary();
}
