//! Stack for tasks that run inside one another on one thread, however deep.
//!
//! A task runs inside another one where a wait runs it in place (a join, a poll, a borrowing scope's end, a set), where
//! [`PoolManager::run`](crate::PoolManager::run) uses its caller's thread, where a local pool's thread runs what is
//! queued while it waits, and where rayon runs a piece on top of one that waits. All of them come by here before they
//! run it: whoever adds another way to run a task on a thread that is not empty does so too.
//!
//! # What is promised
//! A task that runs inside another one finds at least half of the stack that a thread of its pool has
//! ([`PoolConfig::stack_needed`](crate::pool::config::PoolConfig)). Where the thread's stack has less left, it gets
//! more ([`crate::threads::stack`]); where it can get no more, the task does not start, and ends as too deep
//! ([`TaskError::is_too_deep`](crate::TaskError::is_too_deep)). So the depth of such tasks never overflows a stack.
//! What a task's own code uses beyond that half is its own affair, as on any thread.

use crate::error::stack::NoRoom;
use crate::pool::context::thread::{is_stealing, with_innermost};
use crate::pool::core::pool::Pool;
use crate::threads::stack;

/// Where stacks do not grow: how many tasks run inside one another before a wait rather gives its places away.
const SHALLOW: u32 = 32;

/// What code finds that is no task.
const LITTLE: usize = 64 << 10;

/// How many tasks are on the calling thread's stack.
fn depth() -> u32 {
    with_innermost(|frame| frame.map_or(0, |frame| frame.depth.saturating_add(1)))
}

/// Whether a task of the pool may run on the present stack. It may on an empty one, whatever that is like.
#[inline]
pub(crate) fn has_room(pool: &Pool) -> bool {
    let depth = depth();
    // The stack is empty, unless a rayon pool has begun it.
    (depth == 0 && !is_stealing()) || stack::has(pool.config.stack_needed(), depth)
}

/// Runs `f` with what it needs, on more stack than the present one has left. The error gives that back.
#[cold]
pub(crate) fn on_more_stack<T>(pool: &Pool, given: T, f: impl FnOnce(T)) -> Result<(), (T, NoRoom)> {
    grow(pool.config.stack_needed(), given, f)
}

/// Runs a task's closure, or what it leaves behind, to its end: that has to be, so where there is no more stack it is
/// done with what is left.
pub(crate) fn with_room<R>(pool: &Pool, f: impl FnOnce() -> R) -> R {
    if has_room(pool) { f() } else { run_anyway(pool.config.stack_needed(), f) }
}

/// Runs code that its caller waits for, with enough stack for the engine and some for the code; the same way.
pub(crate) fn with_stack<R>(f: impl FnOnce() -> R) -> R {
    if stack::has(LITTLE, depth()) { f() } else { run_anyway(LITTLE, f) }
}

#[cold]
fn run_anyway<R>(needed: usize, f: impl FnOnce() -> R) -> R {
    let mut out = None;
    match (grow(needed, f, |f| out = Some(f())), out) {
        (Err((f, _)), _) => f(),
        (Ok(()), Some(out)) => out,
        (Ok(()), None) => unreachable!("it ran"),
    }
}

/// Runs `f` with what it needs, on more stack.
fn grow<T>(needed: usize, given: T, f: impl FnOnce(T)) -> Result<(), (T, NoRoom)> {
    let mut code = Some((given, f));
    let grown = stack::grow(needed, &mut || {
        if let Some((given, f)) = code.take() {
            f(given);
        }
    });
    match (grown, code) {
        (Err(no_room), Some((given, _))) => Err((given, no_room)),
        _ => Ok(()),
    }
}

/// A wait is to give its places away rather than run a task in place: the stack does not grow, and is deep.
pub(crate) fn is_deep() -> bool {
    depth() > SHALLOW && !stack::grows()
}
