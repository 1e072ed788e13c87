//! Two workers serve requests side by side. Each request owns a manager named `"db"`; all of them submit to pools that
//! they share. A task on a shared pool finds the `"db"` of the request it belongs to: of 100 000 look-ups none is
//! wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use heirloom::{PoolConfig, PoolManager, Scope, thread};

use crate::common;

const WORKERS: usize = 2;
const REQUESTS: usize = 100;
const TASKS: usize = 100;
/// Look-ups for each task: its own, in a task it submits, after a nested join, on a thread, and by `with`.
const LOOK_UPS: usize = 5;

/// What a request's `"db"` is recognised by: the limit of its pool.
fn db_here() -> usize {
    heirloom::get("db").map_or(0, |db| db.stats().limit)
}

/// Counts the look-ups of one task, and the wrong ones.
fn task(mine: usize, right: &AtomicUsize, wrong: &Arc<AtomicUsize>) {
    let mut seen = vec![db_here()];
    let shared = heirloom::get("shared").expect("the shared pool is found from everywhere");
    let inner = shared.submit(db_here).expect("open");
    seen.push(inner.join().expect("ends"));
    seen.push(db_here());
    let own = heirloom::get("db").expect("found");
    // The request's own pool, from a task of the shared one; its tasks belong to the request too.
    seen.push(own.run(db_here).expect("ends"));
    seen.push(heirloom::with("db", |db| db.stats().limit).unwrap_or(0));
    assert_eq!(seen.len(), LOOK_UPS);
    right.fetch_add(seen.iter().filter(|seen| **seen == mine).count(), Ordering::Relaxed);
    wrong.fetch_add(seen.iter().filter(|seen| **seen != mine).count(), Ordering::Relaxed);
}

fn serve(shared: PoolConfig) -> (usize, usize) {
    let app = Scope::new("app");
    let pool = app.create("shared");
    pool.start(shared).expect("starts");
    let (right, wrong) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let met = Arc::new(Barrier::new(WORKERS));
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (right, wrong, met) = (Arc::clone(&right), Arc::clone(&wrong), Arc::clone(&met));
            let work = move || {
                for request in 0..REQUESTS {
                    // Both workers are inside a request at the same time, always.
                    met.wait();
                    let mine = 1 + worker + WORKERS * request;
                    Scope::run("request", |scope| {
                        let db: PoolManager = scope.create("db");
                        db.start(PoolConfig::leased(mine)).expect("starts");
                        let shared = heirloom::get("shared").expect("found above");
                        let tasks: Vec<_> = (0..TASKS)
                            .map(|_| {
                                let (right, wrong) = (Arc::clone(&right), Arc::clone(&wrong));
                                shared.submit(move || task(mine, &right, &wrong)).expect("open")
                            })
                            .collect();
                        // Tasks that submit others are waited for while the request is still open.
                        for task in tasks {
                            task.join().expect("ends");
                        }
                    });
                }
            };
            app.run(|| thread::Builder::new().name(format!("worker-{worker}")).spawn(work)).expect("starts")
        })
        .collect();
    for worker in workers {
        worker.join().expect("ends");
    }
    (right.load(Ordering::Relaxed), wrong.load(Ordering::Relaxed))
}

#[test]
fn none_of_100_000_look_ups_is_wrong_on_borrowed_threads() {
    common::bounded(|| assert_eq!(serve(PoolConfig::leased(4)), (WORKERS * REQUESTS * TASKS * LOOK_UPS, 0)));
}

#[test]
fn none_of_100_000_look_ups_is_wrong_on_dedicated_threads() {
    common::bounded(|| assert_eq!(serve(PoolConfig::dedicated(4)), (WORKERS * REQUESTS * TASKS * LOOK_UPS, 0)));
}

#[test]
fn none_of_100_000_look_ups_is_wrong_on_a_strictly_serial_thread() {
    common::bounded(|| {
        assert_eq!(serve(PoolConfig::dedicated(1).holds_permit()), (WORKERS * REQUESTS * TASKS * LOOK_UPS, 0));
    });
}

#[test]
fn a_worker_finds_neither_requests_db() {
    common::bounded(|| {
        let app = Scope::new("app");
        let requests = [Scope::new_in(&app, "a"), Scope::new_in(&app, "b")];
        for request in &requests {
            let _ = request.create("db");
        }
        let found =
            app.run(|| thread::spawn(|| heirloom::get("db").is_ok()).expect("a thread starts")).join().expect("ends");
        assert!(!found);
    });
}
