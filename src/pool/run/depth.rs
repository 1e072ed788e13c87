//! Stack for tasks that run inside one another on one thread, at any depth.
//!
//! A task runs inside another one in four cases: a wait runs it in place (a join, a poll, a borrowing scope's end, a
//! set), [`PoolManager::run`](crate::PoolManager::run) uses its caller's thread, a local pool's thread runs queued
//! tasks while it waits, or rayon runs a piece on top of a piece that waits. Each of them asks this module before it
//! runs the task, and so must every new way to run a task on a stack that is not empty.
//!
//! # Guarantee
//! A task that runs inside another one finds at least half of the stack that a thread of its pool has
//! ([`PoolConfig::stack_needed`](crate::pool::config::PoolConfig)). Where the thread's stack has less left, it grows
//! ([`crate::threads::stack`]). Where it cannot grow, the task does not start, and finishes as too deep
//! ([`ErrorKind::TooDeep`](crate::ErrorKind::TooDeep)). So the depth of such tasks never overflows a stack. A
//! task's own code may overflow that half, as on any thread.

use crate::error::stack::NoRoom;
use crate::pool::context::thread::{is_stealing, with_innermost};
use crate::pool::core::pool::Pool;
use crate::threads::stack;

/// Where stacks do not grow: the number of nested tasks above which a wait releases its permits instead of running a
/// task in place.
const SHALLOW: u32 = 32;

/// Stack for code that is not a task.
const LITTLE: usize = 64 << 10;

/// The number of tasks on the calling thread's stack.
fn depth() -> u32 {
    with_innermost(|frame| frame.map_or(0, |frame| frame.depth.saturating_add(1)))
}

/// Returns whether a task of the pool may run on the present stack. It always may on an empty one.
#[inline]
pub(crate) fn has_room(pool: &Pool) -> bool {
    let depth = depth();
    // The stack is empty, unless a rayon pool has begun it.
    (depth == 0 && !is_stealing()) || stack::has(pool.config.stack_needed(), depth)
}

/// Runs `f` with `given` on a grown stack. The error returns `given`.
#[cold]
pub(crate) fn on_more_stack<T>(pool: &Pool, given: T, f: impl FnOnce(T)) -> Result<(), (T, NoRoom)> {
    grow(pool.config.stack_needed(), given, f)
}

/// Runs a task's closure, or the drops that follow it, to its end. Where the stack cannot grow, the code runs on the
/// rest of the present one, because it cannot be skipped.
pub(crate) fn with_room<R>(pool: &Pool, f: impl FnOnce() -> R) -> R {
    if has_room(pool) { f() } else { run_anyway(pool.config.stack_needed(), f) }
}

/// Runs code that its caller waits for, with enough stack for the engine and some for the code. Where the stack cannot
/// grow, the code runs on the rest of the present one.
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

/// Runs `f` with `given` on a grown stack.
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

/// Returns whether a wait has to release its permits rather than run a task in place: the stack does not grow, and is
/// deep.
pub(crate) fn is_deep() -> bool {
    depth() > SHALLOW && !stack::grows()
}
