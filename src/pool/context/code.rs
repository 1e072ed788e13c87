//! [`Code`]: the identity of the running code, to compare.

use std::cell::Cell;

use crate::lineage::flow::Flow;
use crate::pool::context::thread::{with_innermost, with_number};
use crate::sync::os::{AtomicU64, Ordering};

/// The code and the thread of one moment.
#[derive(Clone, Copy)]
pub(crate) struct Running {
    pub(crate) code: Code,
    /// The thread's number, which is never reused.
    pub(crate) thread: u64,
}

/// The code that runs on a thread, to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// The innermost frame's number; outside of any frame the thread's. Never reused.
    number: u64,
    /// The flow, of those that take turns within the frame.
    flow: Flow,
}

/// Returns the code that runs on the calling thread, with the thread's number.
pub(crate) fn running() -> Running {
    let thread = with_number(numbered);
    let number = with_innermost(|frame| frame.map_or(thread, |frame| numbered(&frame.code)));
    Running { code: Code { number, flow: Flow::now() }, thread }
}

/// Returns the number in the cell, which gets the next number if it has none.
fn numbered(number: &Cell<u64>) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    if number.get() == 0 {
        number.set(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    number.get()
}
