//! One iteration is one `checkpoint`, one cancel with its sleeper's wake-up, or one cancel of one queued task.
//!
//! The questions: how much does a `checkpoint` cost at each depth, how soon does a cancelled sleeper wake, and does a
//! cancel cost more beside long queues of other submitters?

use std::hint::black_box;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use heirloom::{PoolConfig, Scope};

const DEPTHS: [usize; 3] = [0, 8, 64];

/// As many scopes below one another, the last of which is stood in.
fn chain(depth: usize) -> Vec<Scope> {
    let mut chain = vec![Scope::new("outermost")];
    for above in 0..depth {
        chain.push(Scope::new_in(&chain[above], "below"));
    }
    chain
}

fn looks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checkpoint");
    for elsewhere in [false, true] {
        // Another node is cancelled, so the process-wide count of requests does not answer for all.
        let other = Scope::new("other");
        if elsewhere {
            other.cancel();
        }
        let name = if elsewhere { "while another place is asked" } else { "nobody is asked" };
        for depth in DEPTHS {
            let chain = chain(depth);
            let _here = chain[depth].enter();
            group.bench_function(BenchmarkId::new(name, depth), |bencher| {
                bencher.iter(|| black_box(heirloom::checkpoint()));
            });
            chain.into_iter().for_each(Scope::finish);
        }
        other.finish();
    }
    group.finish();

    let scope = Scope::new("scope");
    let pool = scope.create("pool");
    pool.start(PoolConfig::leased(1)).expect("it starts");
    let mut group = criterion.benchmark_group("checkpoint in a task");
    group.bench_function("nobody is asked", |bencher| {
        bencher.iter_custom(|rounds| {
            let looks = move || {
                let begin = Instant::now();
                for _ in 0..rounds {
                    let _ = black_box(heirloom::checkpoint());
                }
                begin.elapsed()
            };
            pool.submit(looks).expect("accepted").join().expect("runs")
        });
    });
    group.finish();
}

/// From the request until the sleeper runs again.
fn wakes(criterion: &mut Criterion) {
    let scope = Scope::new("scope");
    let pool = scope.create("pool");
    pool.start(PoolConfig::leased(4)).expect("it starts");
    let mut group = criterion.benchmark_group("wake a sleeper");
    group.sample_size(20);
    for (name, idle) in [("at once", Duration::ZERO), ("after 1 ms", Duration::from_millis(1))] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let mut sum = Duration::ZERO;
                for _ in 0..rounds {
                    let (says, said) = mpsc::channel();
                    let sleeper = pool.submit(move || {
                        says.send(()).expect("the bench listens");
                        let _ = heirloom::sleep(Duration::from_secs(3600));
                        Instant::now()
                    });
                    let sleeper = sleeper.expect("accepted");
                    said.recv().expect("it runs");
                    std::thread::sleep(idle);
                    let begin = Instant::now();
                    sleeper.cancel();
                    sum += sleeper.join().expect("runs") - begin;
                }
                sum
            });
        });
    }
    group.finish();
}

/// A request submits one task behind a busy one, and is given up.
fn gives_up(criterion: &mut Criterion) {
    const QUEUED: usize = 5_000;
    let scope = Scope::new("scope");
    let started = |name: &'static str, config| {
        let pool = scope.create(name);
        pool.start(config).expect("it starts");
        pool
    };
    let (open, gate) = mpsc::channel::<()>();
    let shared = started("shared", PoolConfig::leased(1));
    drop(shared.submit(move || gate.recv()).expect("accepted"));
    let mut group = criterion.benchmark_group("give a request up");
    let mut full = Vec::new();
    for queues in [0, 300] {
        while full.len() < queues {
            // Its local pool does not run, so the queue stays full.
            let ui = scope.create("full");
            let pinned = ui.start_local(PoolConfig::local().queue_limit(QUEUED)).expect("it starts");
            (0..QUEUED).for_each(|_| drop(ui.submit(|| ()).expect("room")));
            full.push(pinned);
        }
        group.bench_function(BenchmarkId::new("beside full queues", queues), |bencher| {
            bencher.iter(|| {
                let request = Scope::new("request");
                let task = request.run(|| shared.submit(|| ())).expect("accepted");
                drop(request);
                assert!(task.is_finished());
            });
        });
    }
    group.finish();
    drop(open);
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    looks(&mut criterion);
    wakes(&mut criterion);
    gives_up(&mut criterion);
    criterion.final_summary();
}
