//! [`worker`]: the context and the state that a dedicated pool keeps for each of its threads.

use std::any::Any;
use std::cell::RefCell;

use crate::pool::config::worker_ctx::WorkerCtx;
use crate::pool::context::thread::shield;
use crate::pool::kinds::dedicated::count::Counted;

/// One thread's part in its pool.
struct Worker {
    ctx: RefCell<Option<WorkerCtx>>,
    state: RefCell<Slot>,
}

/// The calling thread's state, step by step.
pub(super) enum Slot {
    Empty,
    /// The state is being made, further up the stack.
    Making,
    Ready(State),
    /// A task further up the stack uses the state.
    Lent,
    /// A task that used the state panicked.
    Lost(State),
    /// The state could not be made: the thread has to end.
    Failed,
}

/// The fields are dropped in this order: a state counts until its drop has returned.
pub(super) struct State {
    pub(super) value: Box<dyn Any>,
    pub(super) _counted: Counted,
}

thread_local! {
    static WORKER: Worker = const { Worker { ctx: RefCell::new(None), state: RefCell::new(Slot::Empty) } };
}

/// Returns the dedicated pool's thread that the calling task or initialiser runs on.
///
/// `None` on every other thread, also on a borrowed one: it may work for another pool the next moment, so a pool can keep
/// nothing on it.
///
/// ```
/// use heirloom::{PoolConfig, Scope};
///
/// let scope = Scope::new("doc");
/// let render = scope.create("render");
/// // A helper pool for each thread, found by the tasks that run on it.
/// let config = PoolConfig::dedicated(2).on_worker_start(|worker| {
///     worker.lineage().create("decode").start(PoolConfig::leased(1))
/// });
/// render.start(config)?;
/// let at = render.submit(|| {
///     let worker = heirloom::worker().expect("a dedicated pool's thread");
///     worker.lineage().get("decode").map(|pool| (worker.index(), pool.is_running()))
/// })?;
/// assert_eq!(at.join()??, (0, true));
/// assert!(heirloom::worker().is_none()); // not here
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use]
pub fn worker() -> Option<WorkerCtx> {
    WORKER.try_with(|worker| worker.ctx.borrow().clone()).ok().flatten()
}

/// Replaces the calling thread's context. Returns the one before.
pub(super) fn replace(ctx: Option<WorkerCtx>) -> Option<WorkerCtx> {
    WORKER.try_with(|worker| worker.ctx.replace(ctx)).ok().flatten()
}

/// Changes the slot of the calling thread's state. `None` while the thread's locals are being destroyed.
pub(super) fn change<R>(f: impl FnOnce(&mut Slot) -> R) -> Option<R> {
    WORKER.try_with(|worker| f(&mut worker.state.borrow_mut())).ok()
}

/// Runs `f` at the thread's node, shielded from the running task's cancellation: a worker's duty to its pool.
pub(super) fn as_worker(f: impl FnOnce()) {
    let _shield = shield();
    let _at = worker().map(|ctx| ctx.enter());
    f();
}
