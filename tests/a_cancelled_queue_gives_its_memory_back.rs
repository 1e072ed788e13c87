//! Cancelling what is queued behind a long task drops the closures at once and gives the memory back, while the long
//! task still runs.
//!
//! One test alone in its file: it measures the whole process's memory.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, mpsc};

use common::bounded;
use heirloom::{PoolConfig, PoolManager, Scope};

struct Measuring;

static BYTES: AtomicIsize = AtomicIsize::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Measuring {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size().cast_signed(), Ordering::SeqCst);
        // SAFETY: passed on from the caller.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size().cast_signed(), Ordering::SeqCst);
        // SAFETY: passed on from the caller.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Measuring = Measuring;

const TASKS: isize = 20_000;

fn held(pool: &PoolManager, cancel: impl Fn(&PoolManager, Vec<heirloom::TaskHandle<u64>>)) -> isize {
    let (go, gate) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel();
    let long = pool.submit(move || {
        let _ = started.send(());
        let _ = gate.recv();
    });
    running.recv().expect("runs");
    let witness = Arc::new(());
    let before = BYTES.load(Ordering::SeqCst);
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (big, seen) = ([1_u64; 32], Arc::clone(&witness));
            pool.submit(move || big.iter().sum::<u64>() + Arc::strong_count(&seen) as u64).expect("accepted")
        })
        .collect();
    assert!(BYTES.load(Ordering::SeqCst) - before > TASKS * 256);
    cancel(pool, tasks);
    assert_eq!(Arc::strong_count(&witness), 1, "every closure is dropped");
    let held = BYTES.load(Ordering::SeqCst) - before;
    drop(go);
    long.expect("accepted").join().expect("it was left alone");
    pool.wait_idle().expect("not from an own task");
    held
}

#[test]
fn while_a_long_task_runs() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let one_by_one = held(&pool, |_, tasks| {
            for task in tasks {
                task.cancel();
            }
        });
        let from_behind = held(&pool, |_, tasks| {
            for task in tasks.into_iter().rev() {
                task.cancel();
            }
        });
        let ending = scope.create("ending");
        ending.start(PoolConfig::leased(1)).expect("starts");
        let all = held(&ending, |pool, tasks| {
            pool.cancel();
            drop(tasks);
        });
        // Submitted and cancelled one at a time, for ever: the shells do not pile up.
        let for_ever = {
            let (go, gate) = mpsc::channel::<()>();
            let (started, running) = mpsc::channel();
            let pool = scope.create("another");
            pool.start(PoolConfig::leased(1)).expect("starts");
            let long = pool.submit(move || {
                let _ = started.send(());
                let _ = gate.recv();
            });
            running.recv().expect("runs");
            let before = BYTES.load(Ordering::SeqCst);
            for _ in 0..TASKS {
                pool.submit(|| ()).expect("accepted").cancel();
            }
            let held = BYTES.load(Ordering::SeqCst) - before;
            drop(go);
            long.expect("accepted").join().expect("ends");
            held
        };
        for held in [one_by_one, from_behind, all, for_ever] {
            assert!(held < 256 * 1024, "still held: {one_by_one}, {from_behind}, {all}, {for_ever} bytes");
        }
    });
}
