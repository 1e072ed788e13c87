//! [`grow`]: stack for code that runs inside other code of the same thread, however deep.
//!
//! A task that runs inside another one takes the same thread's stack, and an overflow of it ends the process. So before
//! such a task runs, its caller says how much stack the task needs. Where less is left the task runs on a new *segment*
//! of stack, which is freed when the task returns. [`limit`] bounds the segments of one thread. Beyond the limit, and
//! where the system has no memory for a segment, the caller gets [`NoRoom`] and the task ends with an error.
//!
//! # Cost
//! A look at how much is left reads a thread-local and compares. A segment costs a few system calls, and its pages take
//! memory once they are used. Each segment is at least twice as large as the task needs, and a quarter of all before
//! it, so a deep stack has few of them: the system bounds the number of mappings of a process too.
//!
//! # Where stacks do not grow
//! Without the feature `stacker`, and on targets that `segment` does not know, how much is left is not known. Each
//! level then counts as [`LEVEL`] of the stack that a task needs.

use crate::error::stack::NoRoom;
use crate::sync::os::{AtomicUsize, Ordering};
use crate::threads::segment;

/// The limit of one thread's segments at first. It is address space: memory is taken as it is used.
const DEFAULT_LIMIT: usize = if usize::BITS < 64 { 256 << 20 } else { 8 << 30 };

/// One level's share of the stack that a task needs, where nothing is known.
const LEVEL: usize = 4 << 10;

static LIMIT: AtomicUsize = AtomicUsize::new(DEFAULT_LIMIT);

pub(crate) fn limit() -> usize {
    LIMIT.load(Ordering::Relaxed)
}

pub(crate) fn set_limit(bytes: usize) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// Whether so many bytes of the present stack are left, for code at this depth.
#[inline]
pub(crate) fn has(needed: usize, depth: u32) -> bool {
    match segment::left() {
        Some(left) => left >= needed,
        None => (depth as usize).saturating_mul(LEVEL) < needed,
    }
}

/// Whether stacks grow here at all.
#[inline]
pub(crate) fn grows() -> bool {
    segment::left().is_some()
}

/// Runs `f` once, on a new segment with at least so many bytes. It has not run on an error.
#[cold]
pub(crate) fn grow(needed: usize, f: &mut dyn FnMut()) -> Result<(), NoRoom> {
    segment::grow(needed, limit(), f)
}
