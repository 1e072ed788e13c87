//! Looks at pools all of whose places are kept by waits, and lets the next task of one that stays so through.
//!
//! One thread does it for the process, while there is such a pool; an idle process has none. See [`crate::pool::core::held_permits`].

use std::time::Duration;

use crate::pool::blocking::let_through::{held_up, let_one_through};
use crate::pool::core::held_permits::HeldPermits;
use crate::pool::core::pool::Pool;
use crate::sync::os::{Arc, Mutex, Weak, thread};

/// Between two looks.
const TICK: Duration = Duration::from_millis(5);

/// After each so many places that were let, the next one takes a look more: a pool that is held up by something slow
/// does not get a thread for each task that is queued.
const SLOWER: usize = 64;

/// A pool that keeps places.
struct Watched {
    pool: Weak<Pool>,
    /// What the last look found, if it was held up, and for how many looks that has been so.
    mark: Option<(u64, u64)>,
    looks: usize,
}

struct Watch {
    pools: Vec<Watched>,
    /// The thread runs.
    runs: bool,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch { pools: Vec::new(), runs: false });

/// A wait of the pool's keeps its place, the first one.
pub(crate) fn watch(pool: &Arc<Pool>) {
    let mut watch = WATCH.lock();
    let this = Arc::downgrade(pool);
    if !watch.pools.iter().any(|watched| watched.pool.ptr_eq(&this)) {
        watch.pools.push(Watched { pool: this, mark: None, looks: 0 });
    }
    if watch.runs {
        return;
    }
    watch.runs = thread::Builder::new().name("heirloom-bound".into()).spawn(run).is_ok();
    let refused = !watch.runs;
    drop(watch);
    if refused {
        // Nobody would come back to it.
        let_one_through(pool);
    }
}

fn run() {
    loop {
        thread::sleep(TICK);
        let Some(overdue) = look() else { return };
        for pool in overdue {
            let_one_through(&pool);
        }
    }
}

/// The pools that are to let a place now. `None` when no pool keeps any: then nobody looks any more.
fn look() -> Option<Vec<Arc<Pool>>> {
    let mut overdue = Vec::new();
    let mut ended = Vec::new();
    let mut watch = WATCH.lock();
    watch.pools.retain_mut(|watched| {
        // Whoever keeps a place after this look puts the pool on the list again.
        let Some(pool) = watched.pool.upgrade() else { return false };
        let word = pool.held_permits.load();
        let keeps = HeldPermits::kept(word) > 0;
        let mark = held_up(&pool);
        watched.looks = if mark.is_some() && mark == watched.mark { watched.looks + 1 } else { 0 };
        watched.mark = mark;
        if watched.looks > HeldPermits::are_let(word) / SLOWER {
            watched.looks = 0;
            overdue.push(pool);
        } else {
            ended.push(pool);
        }
        keeps
    });
    let goes_on = !watch.pools.is_empty();
    watch.runs = goes_on;
    drop(watch);
    // Perhaps the last references, whose drop is not for under the lock.
    drop(ended);
    goes_on.then_some(overdue)
}
