//! [`StateCount`]: how many states the threads of a pool have.
//!
//! A state is counted before it is made and until it is dropped, and no more than the pool's limit are counted. A
//! thread that ends leaves its cache before its state is dropped, so its successor may wait for that drop.

use crate::pool::blocking::release::block_on_wakers;
use crate::sync::os::{Arc, Mutex};
use crate::wait::waker_set::WakerSet;

/// The states of one start of a pool.
pub(super) struct StateCount {
    limit: usize,
    count: Mutex<Count>,
    /// Notified when the count has changed.
    changed: WakerSet,
}

#[derive(Default)]
struct Count {
    /// The states that are made, or being made, and not dropped.
    alive: usize,
    /// The pool has ended: no further state is made.
    closed: bool,
}

/// One unit of the count.
pub(super) struct Counted(Arc<StateCount>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.count.lock().alive -= 1;
        self.0.changed.wake_all();
    }
}

impl StateCount {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, count: Mutex::new(Count::default()), changed: WakerSet::new() })
    }

    /// Counts one more, as soon as fewer than the limit are alive. `None` when the pool has ended.
    pub(super) fn one_more(self: &Arc<Self>) -> Option<Counted> {
        let mut counted = None;
        block_on_wakers(&self.changed, None, || {
            let mut count = self.count.lock();
            if count.alive < self.limit && !count.closed {
                count.alive += 1;
                counted = Some(Counted(Arc::clone(self)));
            }
            counted.is_some() || count.closed
        });
        counted
    }

    /// Ends the waits of threads that are about to make a state, when the pool has ended. They make none.
    pub(super) fn close(&self) {
        self.count.lock().closed = true;
        self.changed.wake_all();
    }
}
