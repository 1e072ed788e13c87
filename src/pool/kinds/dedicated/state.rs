//! [`States`]: a value of a user's type for each thread of a dedicated pool, lent to one task at a time.
//!
//! # The life of a thread's state
//! ```text
//!   EMPTY --make--> READY --lend--> LENT --return--> READY
//!     ^               |               \--a panic--> LOST --drop--> EMPTY
//!     \--- make fails: FAILED         \
//!                     \--the thread ends: dropped on it
//! ```
//! The state is moved out of the thread's slot while a task uses it, so no second `&mut` to it exists: a task that runs
//! in place within that one finds LENT. The engine does not begin such a task.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::task::payload_text;
use crate::error::worker_init::{Said, SharedInitError, StateFailed};
use crate::pool::config::worker_ctx::{Failure, Hook};
use crate::pool::config::worker_state::{Maker, StateType};
use crate::pool::kinds::dedicated::count::StateCount;
use crate::pool::kinds::dedicated::here::{Slot, State, as_worker, change};
use crate::sync::os::Arc;
use crate::sync::unwind::swallow_drop;

/// The states of one start of a pool.
pub(crate) struct States {
    maker: Maker,
    count: Arc<StateCount>,
}

impl States {
    pub(crate) fn new(maker: Maker, limit: usize) -> Arc<Self> {
        Arc::new(Self { maker, count: StateCount::new(limit) })
    }

    /// The type of each state.
    pub(crate) fn state_type(&self) -> StateType {
        self.maker.makes()
    }

    /// Returns the hook that a thread runs before its first task: the initialiser, if there is one, then the state's
    /// maker.
    pub(crate) fn after(self: &Arc<Self>, hook: Option<Hook>) -> Hook {
        let states = Arc::clone(self);
        Hook::new(move |worker| -> Result<(), Failure> {
            if let Some(hook) = &hook {
                hook.run(worker)?;
            }
            states.fill()
        })
    }

    /// Ends the waits of threads that are about to make a state, when the pool has ended. They make none.
    pub(crate) fn close(&self) {
        self.count.close();
    }

    /// Makes the calling thread's state. Each error is a [`StateFailed`].
    fn fill(self: &Arc<Self>) -> Result<(), Failure> {
        self.make().map_err(|error| Box::new(StateFailed(error)) as Failure)
    }

    fn make(self: &Arc<Self>) -> Result<(), Failure> {
        let Some(counted) = self.count.one_more() else { return Err(Box::new(Said("its pool has ended".into()))) };
        let _ = change(|slot| *slot = Slot::Making);
        let made = catch_unwind(AssertUnwindSafe(|| self.maker.run()));
        let (slot, made) = match made {
            Ok(Ok(value)) => (Slot::Ready(State { value, _counted: counted }), Ok(())),
            Ok(Err(error)) => (Slot::Failed, Err(error)),
            Err(payload) => {
                let text = payload_text(payload.as_ref()).unwrap_or("(a payload that is no text)").to_string();
                swallow_drop(payload);
                (Slot::Failed, Err(Box::new(Said(format!("it panicked: {text}"))) as Failure))
            }
        };
        let _ = change(|old| *old = slot);
        made
    }

    /// Prepares the state for a task: makes one where a panic has cost the thread its own.
    ///
    /// # Errors
    /// The error of the maker, after which the thread has to end; or that a task on this stack uses the state.
    pub(crate) fn ready(self: &Arc<Self>) -> Result<(), Unstated> {
        let empty = change(|slot| match slot {
            Slot::Ready(_) => Ok(false),
            Slot::Empty | Slot::Failed => Ok(true),
            // A task that uses it runs further up the stack.
            Slot::Lent | Slot::Making | Slot::Lost(_) => Err(Unstated::InUse),
        });
        match empty {
            Some(Ok(false)) => Ok(()),
            Some(Ok(true)) => {
                let mut made = Ok(());
                as_worker(|| made = self.fill());
                made.map_err(|error| Unstated::Failed(SharedInitError::from(error)))
            }
            Some(Err(in_use)) => Err(in_use),
            None => Err(Unstated::InUse),
        }
    }
}

/// The reason why a task did not get the state.
pub(crate) enum Unstated {
    /// Another task on this stack uses it.
    InUse,
    /// The maker failed.
    Failed(SharedInitError),
}

/// The state, out of its slot. A panic that drops this loses the state.
struct Lent(Option<State>);

impl Lent {
    fn take() -> Self {
        let taken = change(|slot| match mem::replace(slot, Slot::Lent) {
            Slot::Ready(state) => Some(state),
            other => {
                *slot = other;
                None
            }
        });
        Self(taken.flatten())
    }

    fn put_back(mut self) {
        if let Some(state) = self.0.take() {
            let _ = change(|slot| *slot = Slot::Ready(state));
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // No user code may run while the thread unwinds. The lost state is dropped after the panic is caught.
        if let Some(state) = self.0.take() {
            let _ = change(|slot| *slot = Slot::Lost(state));
        }
    }
}

/// Runs a task's body with the calling thread's state.
pub(crate) fn with<S: 'static, T>(f: impl FnOnce(&mut S) -> T) -> T {
    let mut lent = Lent::take();
    let Some(state) = lent.0.as_mut().and_then(|state| state.value.downcast_mut::<S>()) else {
        unreachable!("the pool has states of this type, and this thread's is there: looked at before the task runs")
    };
    let out = f(state);
    lent.put_back();
    out
}

/// Drops the state of a task that panicked, on the calling thread and as a worker.
pub(crate) fn drop_lost() {
    let lost = change(|slot| match mem::replace(slot, Slot::Empty) {
        Slot::Lost(state) => Some(state),
        other => {
            *slot = other;
            None
        }
    });
    if let Some(state) = lost.flatten() {
        as_worker(|| swallow_drop(state));
    }
}

/// Returns whether the calling thread's state could not be made, so that the thread is of no more use.
pub(crate) fn has_failed() -> bool {
    change(|slot| matches!(slot, Slot::Failed)).unwrap_or(false)
}

/// Drops the calling thread's state, at the thread's end. User code.
pub(crate) fn end() {
    if let Some(Slot::Ready(state) | Slot::Lost(state)) = change(|slot| mem::replace(slot, Slot::Empty)) {
        as_worker(|| swallow_drop(state));
    }
}

/// Returns whether a task further out on this stack uses the calling thread's state, or makes it.
pub(super) fn is_lent() -> bool {
    change(|slot| matches!(slot, Slot::Lent | Slot::Making)).unwrap_or(false)
}
