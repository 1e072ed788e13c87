//! [`Hook`]: code that runs once, at the first cancel that its source reports.
//!
//! # The life of a hook
//! ```text
//!   ARMED --the source is cancelled--> RUNS --> OVER (final)
//!      \-------------disarm----------------------^
//! ```
//! One lock decides between the two ways out of ARMED, so the code runs once or never. The lock is held while the hook
//! registers and polls, and never while the code runs or is dropped.
//!
//! # The races to fear
//! * A cancel comes between the hook's registration and its check. The hook registers its waker first and checks then;
//!   the canceller notes its request first and wakes then. One of the two sees the other.
//! * The code runs after its guard is dropped, and interrupts the next task's use of the same resource. `disarm` waits
//!   for code that runs on another thread, so after it the code has returned or never runs.

use std::mem;
use std::task::{Wake, Waker};

use crate::pool::context::code;
use crate::sync::os::{Arc, Mutex};
use crate::sync::unwind::swallow;
use crate::wait::waker_set::WakerSet;

/// The source of a hook's cancels.
pub(crate) trait CancelSource: Send + 'static {
    /// Returns whether a cancel came; otherwise the waker is woken when one may have come. Runs no user code.
    fn poll_cancel(&mut self, waker: &Waker) -> bool;
}

pub(crate) struct Hook<E> {
    stage: Mutex<Stage<E>>,
    over: WakerSet,
}

enum Stage<E> {
    Armed(Armed<E>),
    /// The code runs on the thread of this number.
    Runs(u64),
    Over,
}

struct Armed<E> {
    source: E,
    code: Box<dyn FnOnce() + Send>,
}

impl<E: CancelSource> Hook<E> {
    /// Makes a hook, and runs the code at once if the source is cancelled already.
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
            match mem::replace(&mut *stage, Stage::Runs(code::running().thread)) {
                Stage::Armed(armed) => armed,
                Stage::Runs(_) | Stage::Over => unreachable!("the lock is held since it was seen armed"),
            }
        };
        // The source keeps a node, whose end runs user code too.
        swallow(|| drop(source));
        swallow(code);
        *self.stage.lock() = Stage::Over;
        self.over.wake_all();
    }

    /// Keeps the code from beginning. Returns the source and the code, for a drop outside the lock. `Err`: the code
    /// runs on another thread, and the caller waits for its end.
    fn leave(&self) -> Result<Option<Armed<E>>, ()> {
        let mut stage = self.stage.lock();
        match &*stage {
            Stage::Armed(_) => match mem::replace(&mut *stage, Stage::Over) {
                Stage::Armed(armed) => Ok(Some(armed)),
                Stage::Runs(_) | Stage::Over => Ok(None),
            },
            // The caller is the code itself, which cannot wait for its own end.
            Stage::Runs(thread) if *thread == code::running().thread => Ok(None),
            Stage::Runs(_) => Err(()),
            Stage::Over => Ok(None),
        }
    }

    /// Ends the hook: the code has returned then or never runs, or the caller is that code. Returns whether it has
    /// begun.
    ///
    /// Called once. `wait` blocks until its second argument is true, which it checks whenever the waker set wakes it.
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
