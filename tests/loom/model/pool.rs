//! The engine, without its process exit, and with a wait that loom can follow.

#[path = "../../../src/pool/admission.rs"]
pub(crate) mod admission;
#[path = "../../../src/pool/capacity.rs"]
pub(crate) mod capacity;
#[path = "../../../src/pool/config.rs"]
pub(crate) mod config;
#[path = "../../../src/pool/depth.rs"]
pub(crate) mod depth;
#[path = "../../../src/pool/end.rs"]
pub(crate) mod end;
#[path = "../../../src/pool/evict.rs"]
pub(crate) mod evict;
#[path = "../../../src/pool/frame.rs"]
pub(crate) mod frame;
#[path = "../../../src/pool/handle.rs"]
pub(crate) mod handle;
#[path = "../../../src/pool/held_permits.rs"]
pub(crate) mod held_permits;
#[path = "../../../src/pool/inner.rs"]
pub(crate) mod inner;
#[path = "../../../src/pool/kind.rs"]
pub(crate) mod kind;
#[path = "../../../src/pool/local_pool.rs"]
pub(crate) mod local_pool;
#[path = "../../../src/pool/measure.rs"]
mod measure;
#[path = "../../../src/pool/notifier.rs"]
pub(crate) mod notifier;
#[path = "../../../src/pool/permits.rs"]
pub(crate) mod permits;
#[path = "../../../src/pool/queue.rs"]
pub(crate) mod queue;
#[path = "../../../src/pool/queue_stats.rs"]
pub(crate) mod queue_stats;
#[path = "../../../src/pool/scope.rs"]
pub(crate) mod scope;
#[path = "../../../src/pool/stats.rs"]
pub(crate) mod stats;
#[cfg(feature = "rayon")]
pub(crate) use crate::model::rayon;
#[cfg_attr(feature = "rayon", path = "../../../src/pool/stealing.rs")]
#[cfg_attr(not(feature = "rayon"), path = "../../../src/pool/stealing/absent.rs")]
pub(crate) mod stealing;
#[path = "../../../src/pool/wait.rs"]
pub(crate) mod wait;
#[path = "../../../src/pool/warm.rs"]
pub(crate) mod warm;
#[path = "../../../src/pool/woken.rs"]
pub(crate) mod woken;
#[path = "../../../src/pool/worker.rs"]
pub(crate) mod worker;
#[path = "../../../src/pool/worker_state.rs"]
pub(crate) mod worker_state;

/// Whoever looks at a pool that keeps places lets one at any time, once.
pub(crate) mod overdue {
    use crate::pool::inner::Pool;
    use crate::sync::os::{Arc, thread};

    pub(crate) fn watch(pool: &Arc<Pool>) {
        let pool = Arc::clone(pool);
        let looks = thread::Builder::new().name("bound".into()).spawn(move || pool.let_one_through());
        assert!(looks.is_ok(), "no model refuses it");
    }
}

/// Threads without nodes: what initialises them is told nothing.
pub(crate) mod ctx {
    use std::error::Error;
    use std::fmt;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::lineage::node::{NodeRef, WeakNodeRef};
    use crate::pool::frame;
    use crate::pool::inner::Pool;
    use crate::pool::warm::WorkerPurpose;
    use crate::sync::os::Arc;
    use crate::threads::cache::ThreadInfo;

    type Failure = Box<dyn Error + Send + Sync>;
    type Initialiser = dyn Fn(&WorkerCtx) -> Result<(), Failure> + Send + Sync;

    pub(crate) struct WorkerCtx(());

    #[derive(Clone)]
    pub(crate) struct Hook(Arc<Initialiser>);

    impl Hook {
        pub(crate) fn new<E: Into<Failure>>(f: impl Fn(&WorkerCtx) -> Result<(), E> + Send + Sync + 'static) -> Self {
            Self(Arc::new(move |ctx| f(ctx).map_err(Into::into)))
        }

        pub(crate) fn run(&self, ctx: &WorkerCtx) -> Result<(), Failure> {
            (self.0)(ctx)
        }
    }

    impl PartialEq for Hook {
        fn eq(&self, _: &Self) -> bool {
            true
        }
    }

    impl Eq for Hook {}

    impl fmt::Debug for Hook {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Hook")
        }
    }

    pub(crate) fn scope_of(_owner: &WeakNodeRef) -> WeakNodeRef {
        NodeRef::PROCESS.downgrade()
    }

    pub(crate) fn attach(_pool: &Pool, _below: &WeakNodeRef, _member: &ThreadInfo) {}

    pub(crate) fn as_worker(f: impl FnOnce()) {
        f();
    }

    pub(crate) fn detach() {}

    pub(crate) fn initialise(
        pool: &Arc<Pool>,
        hook: &Hook,
        info: &Arc<ThreadInfo>,
        purpose: WorkerPurpose,
    ) -> Result<(), Failure> {
        frame::while_initialising(pool, info, purpose, || catch_unwind(AssertUnwindSafe(|| (hook.0)(&WorkerCtx(())))))
            .unwrap_or_else(|_| Err("it panicked".into()))
    }
}

/// As `exit`: nobody asks what runs.
pub(crate) mod cancelled_tasks {
    use crate::pool::worker::Task;

    pub(crate) fn note(_task: Task) {}
}

/// As `cancel_listener`: no task is told.
pub(crate) mod interrupted {
    use crate::error::Cancelled;
    use crate::pool::frame::Frame;

    pub(crate) fn note_if_cancelled() {}

    pub(crate) fn cancelled() -> Cancelled {
        Cancelled::new()
    }

    impl Frame {
        pub(crate) fn was_interrupted(&self) -> bool {
            false
        }
    }
}

/// The process never exits.
pub(crate) mod exit {
    pub(crate) fn arm() {}
}

/// No future of a model is asked what it waits for.
pub(crate) mod polled {
    use std::task::Waker;

    use crate::wait::graph::Target;

    pub(crate) fn polling<R>(_waker: &Waker, poll: impl FnOnce() -> R) -> (R, Vec<Target>) {
        (poll(), Vec::new())
    }

    pub(crate) fn left_with(_waker: &Waker, _on: impl FnOnce() -> Target) {}

    pub(crate) fn first_of(_all: Vec<Target>) -> Option<Target> {
        None
    }
}

/// Nobody asks the models' threads to stop while they wait.
pub(crate) mod cancel_listener {
    use std::task::Waker;

    pub(crate) struct CancelListener(());

    impl CancelListener {
        pub(crate) fn new() -> Self {
            Self(())
        }

        pub(crate) fn poll(&mut self, _waker: &Waker, done: impl Fn(&Self) -> bool) -> bool {
            done(self)
        }

        pub(crate) fn cancel_requested(&self) -> bool {
            false
        }
    }
}

/// As `cancel_listener`.
pub(crate) mod cancel_forwarder {
    use std::task::Waker;

    pub(crate) struct CancelForwarder(());

    impl CancelForwarder {
        pub(crate) fn new() -> Self {
            Self(())
        }

        pub(crate) fn poll(&mut self, _waker: &Waker, _pass: impl FnMut()) {}

        pub(crate) fn passed(&self) -> bool {
            false
        }
    }
}
