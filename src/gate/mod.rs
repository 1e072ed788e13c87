//! [`Gate`]: a re-entrant lock with an upper bound on the wait.

mod enter;
pub(crate) mod guard;
// The models compile the gate without the values that it may be bound as.
#[cfg(not(loom))]
mod key;
mod line;
mod who;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use crate::error::busy::Holder;
use crate::gate::line::Line;
use crate::sync::Mutex;
use crate::sync::os::OnceLock;
use crate::wait::waker_set::WakerSet;

/// The wait of [`Gate::enter`]: long enough for a quick reading to end, and short enough that a caller is refused
/// instead of being queued behind a long one.
const DEFAULT_WAIT: Duration = Duration::from_millis(50);

/// A re-entrant lock with an upper bound on the wait: for an instrument, a stage, a licence.
///
/// A caller that finds it held waits a short time and is *refused* then, instead of queueing work up behind the holder.
///
/// The holder is the code of one **task**, or of a **thread** outside of any task. Code that the holder calls may enter
/// again. Code that it starts may not: no thread, and no task, even one that a join runs in place on the same thread.
/// Other callers wait at most 50 ms with [`enter`](Gate::enter), or as long as they say with
/// [`enter_timeout`](Gate::enter_timeout), and then get [`Busy`](crate::Busy), which names the holder. A task that
/// waits releases its permit.
///
/// If the holder cannot leave before the caller is done, [`Busy`](crate::Busy) comes at once and says so
/// ([`would_deadlock`](crate::Busy::would_deadlock)). A wait also ends when the waiter is cancelled
/// ([`cancelled`](crate::Busy::cancelled)).
///
/// Waiters enter in the order of asking. To enter a free gate costs less than 0.1 µs.
///
/// ```
/// use heirloom::{Gate, PoolConfig, Scope};
///
/// static STAGE: Gate = Gate::new("stage");
///
/// fn move_by(steps: i32) -> Result<i32, heirloom::Error> {
///     let _in = STAGE.enter()?;
///     Ok(steps)
/// }
///
/// fn home() -> Result<i32, heirloom::Error> {
///     let _in = STAGE.enter()?;
///     move_by(-10) // this same code is the holder already
/// }
///
/// assert_eq!(home()?, -10);
///
/// let scope = Scope::new("doc");
/// let pool = scope.create("work");
/// pool.start(PoolConfig::leased(2))?;
/// let held = STAGE.enter()?;
/// let busy = pool.submit(|| move_by(1))?.join()?.unwrap_err(); // another task
/// assert_eq!(busy.as_busy().unwrap().holder.thread, std::thread::current().id());
/// drop(held);
/// assert_eq!(pool.submit(|| move_by(1))?.join()??, 1);
/// # Ok::<(), heirloom::Error>(())
/// ```
pub struct Gate {
    name: &'static str,
    default_wait: Duration,
    line: Mutex<Line>,
    /// The futures that wait, woken when the gate is free; made for the first of them.
    free: OnceLock<WakerSet>,
}

impl Gate {
    /// Makes a free gate. The name is for messages.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, default_wait: DEFAULT_WAIT, line: Mutex::new(Line::new()), free: OnceLock::new() }
    }

    /// Makes a free gate. loom's mutexes are made at run time.
    #[cfg(loom)]
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, default_wait: DEFAULT_WAIT, line: Mutex::new(Line::new()), free: OnceLock::new() }
    }

    /// Sets the upper bound of the wait in [`enter`](Self::enter): 50 ms by default; `Duration::MAX` has no bound.
    ///
    /// ```
    /// use std::time::Duration;
    /// static CAMERA: heirloom::Gate = heirloom::Gate::new("camera").default_wait(Duration::from_secs(1));
    /// ```
    #[must_use]
    pub const fn default_wait(mut self, wait: Duration) -> Self {
        self.default_wait = wait;
        self
    }

    /// Returns the gate's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns whether the gate has a holder, at this moment.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.line.lock().is_held()
    }

    /// Returns the holder, at this moment.
    ///
    /// ```
    /// let gate = heirloom::Gate::new("stage");
    /// assert!(gate.holder().is_none());
    /// let held = gate.enter()?;
    /// let holder = gate.holder().unwrap();
    /// assert_eq!((holder.task, holder.thread), (None, std::thread::current().id()));
    /// drop(held);
    /// assert!(!gate.is_held());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        self.line.lock().holder()
    }

    /// Drops one guard. With the last one the gate goes to the first waiter, or is free.
    fn leave(&self) {
        let next = self.line.lock().leave();
        match next {
            // The waker is that of a blocked thread of this crate, so it runs no user code.
            Some(next) => next.wake(),
            None => {
                if let Some(free) = self.free.get() {
                    free.wake_all();
                }
            }
        }
    }
}

// No user code runs while the line changes, so an unwinding thread leaves it whole.
impl UnwindSafe for Gate {}
impl RefUnwindSafe for Gate {}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("name", &self.name).field("holder", &self.holder()).finish_non_exhaustive()
    }
}
