//! Threads of a pool's own.

/// Threads without nodes: what initialises them is told nothing.
pub(crate) mod init {
    use std::error::Error;
    use std::fmt;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::lineage::node::{NodeRef, WeakNodeRef};
    use crate::pool::context::frame;
    use crate::pool::core::pool::Pool;
    use crate::pool::kinds::dedicated::warm::WorkerPurpose;
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

#[path = "../../../../../src/pool/kinds/dedicated/state.rs"]
pub(crate) mod state;
#[path = "../../../../../src/pool/kinds/dedicated/warm.rs"]
pub(crate) mod warm;
