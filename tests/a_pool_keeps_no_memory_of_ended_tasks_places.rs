//! A pool whose tasks became nodes of the tree holds no memory for them once they have ended and nobody holds their
//! places.
//!
//! One test alone in its file: it measures the whole process's memory.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use common::{bounded, eventually};
use heirloom::{Lineage, PoolConfig, PoolManager, Scope};

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

const TASKS: usize = 4_000;

/// Runs tasks that become nodes, and holds their places until all have ended. What was held then comes back.
fn run(pool: &PoolManager) -> isize {
    let tasks: Vec<_> = (0..TASKS).map(|_| pool.submit(heirloom::current).expect("accepted")).collect();
    let places: Vec<Lineage> = tasks.into_iter().map(|task| task.join().expect("runs")).collect();
    let held = BYTES.load(Ordering::SeqCst);
    drop(places);
    held
}

fn started(scope: &Scope) -> PoolManager {
    let pool = scope.create("work");
    pool.start(PoolConfig::leased(1)).expect("starts");
    pool
}

#[test]
fn also_when_all_their_places_were_held_at_once() {
    bounded(|| {
        let scope = Scope::new("test");
        // The indices of the tree grow to what they need, once.
        let other = started(&scope);
        run(&other);
        let _ = other.stop().expect("not from an own task");
        drop(other);

        let pool = started(&scope);
        let before = BYTES.load(Ordering::SeqCst);
        let node = (run(&pool) - before) / TASKS.cast_signed();
        assert!(node > 64, "a place is worth measuring: {node}");
        eventually("the memory is given back", || BYTES.load(Ordering::SeqCst) - before < 64 * node);
        drop(pool);
    });
}
