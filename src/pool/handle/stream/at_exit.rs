//! The end of a sender's wait when the thread that reads the stream ends the process.
//!
//! That thread reads no more: it waits for the sender's task, and the sender waits for it. The exit ends such waits once no
//! other task of a joining pool is left that could still become the reader.
//!
//! # The race to fear
//! A sender begins its wait just after the exit has ended the waits, and is never woken. Impossible: a sender looks at
//! [`ENDING`] before it parks and at each wake, and the exit repeats its notifies until the task has ended.

use crate::lineage::current;
use crate::pool::cancelled_tasks::leak_last;
use crate::pool::context::thread::with_own;
use crate::pool::core::pool::Pool;
use crate::pool::core::task_nodes;
use crate::sync::os::{Arc, AtomicUsize, Ordering};

/// The senders that wait, in tasks that the exit waits for.
static WAITING: AtomicUsize = AtomicUsize::new(0);
/// The number of the thread that ends the process, once the senders that it reads from are to end; else 0.
static ENDING: AtomicUsize = AtomicUsize::new(0);

/// A counted wait of a sender.
pub(super) struct Waits(bool);

impl Waits {
    pub(super) fn begin() -> Self {
        let joins = with_own(|frame| frame.is_some_and(|frame| frame.pool().joins()));
        WAITING.fetch_add(usize::from(joins), Ordering::SeqCst);
        Self(joins)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        WAITING.fetch_sub(usize::from(self.0), Ordering::SeqCst);
    }
}

/// Returns whether the thread ends the process, and reads no more.
pub(super) fn is_ending(reader: usize) -> bool {
    ENDING.load(Ordering::SeqCst) == reader
}

/// Ends the waits of senders for the calling thread, if all of the `unended` tasks that the exit waits for are waiting senders.
pub(crate) fn end_waits_for_this_thread(unended: usize, pools: &[Arc<Pool>]) {
    if unended == 0 || WAITING.load(Ordering::SeqCst) < unended {
        return;
    }
    ENDING.store(current::thread_number(), Ordering::SeqCst);
    for pool in pools {
        for node in task_nodes::running_nodes(pool) {
            node.node().notify();
            leak_last(node);
        }
        pool.tracker.notify();
    }
}

/// The exit's wait is over: the thread may go on, and read.
pub(crate) fn goes_on() {
    ENDING.store(0, Ordering::SeqCst);
}
