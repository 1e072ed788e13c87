//! Finds pools whose permits are all kept by waits, and lets a permit to their next task.
//!
//! One thread looks at all pools of the process, while there is a pool that keeps permits; an idle process has none.
//! See [`crate::pool::core::held_permits`].

use std::time::Duration;

use crate::pool::blocking::let_through::{held_up, let_one_through};
use crate::pool::core::held_permits::HeldPermits;
use crate::pool::core::pool::Pool;
use crate::sync::ThreadBody;
use crate::sync::os::{Arc, Mutex, Weak, thread};

/// The time between two looks.
const TICK: Duration = Duration::from_millis(5);

/// After each so many permits that were let, the next one takes one look more. So a pool that is held up by a slow
/// operation does not get a thread for each queued task.
const SLOWER: usize = 64;

/// A pool that keeps permits.
struct Watched {
    pool: Weak<Pool>,
    /// The mark of the last look, if the pool was held up, and the number of looks since the mark changed.
    mark: Option<(u64, u64)>,
    looks: usize,
}

struct Watch {
    pools: Vec<Watched>,
    /// Whether the thread runs.
    runs: bool,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch { pools: Vec::new(), runs: false });

/// Adds the pool to the watch. Called by the pool's first wait that keeps its permit.
pub(crate) fn watch(pool: &Arc<Pool>) {
    let mut watch = WATCH.lock();
    let this = Arc::downgrade(pool);
    if !watch.pools.iter().any(|watched| watched.pool.ptr_eq(&this)) {
        watch.pools.push(Watched { pool: this, mark: None, looks: 0 });
    }
    if watch.runs {
        return;
    }
    let body: ThreadBody = Box::new(run);
    watch.runs = thread::Builder::new().name("heirloom-bound".into()).spawn(body).is_ok();
    let refused = !watch.runs;
    drop(watch);
    if refused {
        // No thread would look at the pool again.
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

/// Returns the pools that let a permit now, or `None` when no pool keeps any: the thread ends then.
fn look() -> Option<Vec<Arc<Pool>>> {
    let mut overdue = Vec::new();
    let mut ended = Vec::new();
    let mut watch = WATCH.lock();
    watch.pools.retain_mut(|watched| {
        // A wait that keeps a permit after this look adds the pool again.
        let Some(pool) = watched.pool.upgrade() else { return false };
        let word = pool.held_permits().load();
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
    // These may be the last references, whose drop does not belong under the lock.
    drop(ended);
    goes_on.then_some(overdue)
}
