//! The engine's own source files, compiled against loom.
//!
//! A model checks the code itself, not a copy: waits, tasks, the engine in `pool` and the cache in `threads` are included
//! from `src/`. Their lowest neighbours are replaced by small ones that loom can follow: [`sync`] names loom's primitives,
//! a node of [`lineage`] has no slots and no listeners, no wait but those of one model looks for circles, and the process
//! never exits.
//!
//! The program says `use model::*;` at its root, so that the files find one another as `crate::wait::tracker` and so on.
#![allow(dead_code, unreachable_pub, unused_imports, unused_macros, reason = "the models use a part of it")]

use std::any::Any;

use crate::pool::core::pool::Pool;
use crate::sync::atomic::{Fenced, set_fenced};
use crate::sync::os::Arc;

/// The meaning of `thread_local!` in the included files.
macro_rules! thread_local {
    ($($(#[$doc:meta])* $vis:vis static $name:ident: $t:ty = const { $init:expr };)*) => {
        $($(#[$doc])* $vis static $name: $crate::model::local::Local<$t> = $crate::model::local::Local::new(|| $init);)*
    };
}

pub(crate) mod local;

#[path = "../../../src/error/mod.rs"]
pub(crate) mod error;
pub(crate) mod lineage;
#[path = "../../../src/names/mod.rs"]
pub(crate) mod names;
pub(crate) mod pool;
pub(crate) mod rayon;
#[path = "../../../src/subscriber.rs"]
pub(crate) mod subscriber;
pub(crate) mod sync;
#[path = "../../../src/task/mod.rs"]
pub(crate) mod task;

pub(crate) mod threads;
pub(crate) mod totals;

/// No thread of a model is a runtime's.
pub(crate) mod runtime {
    pub(crate) fn worker() -> Option<crate::wait::graph::Worker> {
        None
    }

    pub(crate) fn is_in_context() -> bool {
        false
    }
}

/// The pool of a task that has none.
pub(crate) fn no_pool() -> Arc<()> {
    Arc::new(())
}

/// Blocks until `ready`, whose changes the tracker notifies.
pub(crate) fn block(tracker: &wait::tracker::TaskTracker, ready: impl Fn() -> bool) {
    let what = || {
        pool::blocking::release::OfTracker::of(tracker, wait::graph::Label::Pool(names::namespace::Namespace::DEFAULT))
    };
    assert!(pool::blocking::wait_for::block_on_tracker(tracker, None, what, ready).unwrap());
}

/// Runs a model without spinning, with at most this many preemptions, unless `LOOM_MAX_PREEMPTIONS` says otherwise.
pub(crate) fn model(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    model_on(1, preemptions, f);
}

/// Sets the number of CPUs: with several a thread spins.
pub(crate) fn model_on(cpus: usize, preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound.get_or_insert(preemptions);
    model.max_branches = model.max_branches.max(20_000);
    let f = Arc::new(move || {
        local::forget_all();
        f();
        local::end();
        sync::thread::join_detached();
    });
    sync::SEVERAL_CPUS.set(cpus > 1);
    for fenced in [Fenced::Writes, Fenced::Reads] {
        set_fenced(fenced);
        let f = Arc::clone(&f);
        model.check(move || f());
    }
}

loom::lazy_static! {
    /// Values that end after all threads: loom does not see how an `Arc` orders its end.
    static ref KEPT: std::sync::Mutex<Vec<Kept>> = std::sync::Mutex::default();
}

struct Kept(Option<Arc<dyn Any + Send + Sync>>);

impl Drop for Kept {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The model failed; its values can end no more.
            std::mem::forget(self.0.take());
        }
    }
}

/// Keeps it until the threads are gone.
pub(crate) fn keep<T: Any + Send + Sync>(kept: &Arc<T>) {
    KEPT.lock().unwrap().push(Kept(Some(Arc::clone(kept) as _)));
}

/// A pool that ends after its threads.
pub(crate) fn start(config: pool::config::PoolConfig) -> Arc<Pool> {
    start_at(&lineage::node::NodeRef::PROCESS, config)
}

/// The same, owned by a node.
pub(crate) fn start_at(owner: &lineage::node::NodeRef, config: pool::config::PoolConfig) -> Arc<Pool> {
    let pool = pool::kinds::start(names::namespace::Namespace::DEFAULT, owner.downgrade(), config.log_panics(false));
    keep(&pool);
    pool
}

pub(crate) mod wait;
