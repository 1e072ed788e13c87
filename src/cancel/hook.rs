//! [`Hook`]: code that runs once, when a request to stop is heard.
//!
//! # The life of a hook
//! ```text
//!   ARMED --a request is heard--> RUNS --> OVER (final)
//!      \---------disarm---------------------^
//! ```
//! One lock decides between the two ways out of ARMED, so the code runs once or never. The lock is held while the hook
//! listens and looks, and never while the code runs or is dropped.
//!
//! # The races to fear
//! * A request comes between the look and the wait. The hook leaves its waker first and looks then; the canceller notes
//!   its request first and wakes then: one of the two sees the other.
//! * The code runs when its guard is gone, and interrupts what the same resource does for the next task. `disarm` waits
//!   for code that runs on another thread, so after it the code has returned or never runs.

use std::mem;
use std::task::{Wake, Waker};

use crate::pool::context::thread;
use crate::sync::os::{Arc, Mutex};
use crate::sync::unwind::swallow;
use crate::wait::waker_set::WakerSet;

/// Where a hook hears of requests.
pub(crate) trait CancelSource: Send + 'static {
    /// Whether a request was made; otherwise the waker is woken when one may have been. Runs no user code.
    fn poll_cancel(&mut self, waker: &Waker) -> bool;
}

pub(crate) struct Hook<E> {
    stage: Mutex<Stage<E>>,
    over: WakerSet,
}

enum Stage<E> {
    Armed(Armed<E>),
    /// On the thread of this number.
    Runs(u64),
    Over,
}

struct Armed<E> {
    source: E,
    code: Box<dyn FnOnce() + Send>,
}

impl<E: CancelSource> Hook<E> {
    /// Runs the code when a request is heard; here and now if there is one already.
    pub(crate) fn arm(source: E, code: impl FnOnce() + Send + 'static) -> Arc<Self> {
        let armed = Armed { source, code: Box::new(code) };
        let hook = Arc::new(Self { stage: Mutex::new(Stage::Armed(armed)), over: WakerSet::new() });
        hook.look();
        hook
    }

    fn look(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let Armed { source, code } = {
            let mut stage = self.stage.lock();
            let Stage::Armed(armed) = &mut *stage else { return };
            if !armed.source.poll_cancel(&waker) {
                return;
            }
            match mem::replace(&mut *stage, Stage::Runs(thread::running().thread)) {
                Stage::Armed(armed) => armed,
                Stage::Runs(_) | Stage::Over => unreachable!("the lock is held since it was seen armed"),
            }
        };
        // The ear keeps a place, whose end runs user code too.
        swallow(|| drop(source));
        swallow(code);
        *self.stage.lock() = Stage::Over;
        self.over.wake_all();
    }

    /// The code does not begin any more. What is to be dropped comes back, for outside of the lock; `Err` when the code
    /// runs on another thread, whose end the caller waits for.
    fn leave(&self) -> Result<Option<Armed<E>>, ()> {
        let mut stage = self.stage.lock();
        match &*stage {
            Stage::Armed(_) => match mem::replace(&mut *stage, Stage::Over) {
                Stage::Armed(armed) => Ok(Some(armed)),
                Stage::Runs(_) | Stage::Over => Ok(None),
            },
            // Within the code itself: it cannot wait for its own end.
            Stage::Runs(thread) if *thread == thread::running().thread => Ok(None),
            Stage::Runs(_) => Err(()),
            Stage::Over => Ok(None),
        }
    }

    /// When it returns the code has returned or never runs, or the caller is that code. `wait` blocks until its second
    /// argument is true, which is looked at whenever the bell rings. Called once; true when the code has begun.
    pub(crate) fn disarm(&self, wait: impl FnOnce(&WakerSet, &dyn Fn() -> bool)) -> bool {
        match self.leave() {
            Ok(Some(armed)) => {
                drop(armed);
                false
            }
            Ok(None) => true,
            Err(()) => {
                wait(&self.over, &|| matches!(*self.stage.lock(), Stage::Over));
                true
            }
        }
    }
}

impl<E: CancelSource> Wake for Hook<E> {
    fn wake(self: Arc<Self>) {
        self.look();
    }
}
