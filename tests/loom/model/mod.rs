//! The engine's own source files, compiled against loom.
//!
//! What a model checks is the code itself, not a copy: `tracker`, `task`, the engine in `pool` and the cache in `threads`
//! are included from `src/`. In the place of their lowest neighbours stand small ones that loom can follow: [`sync`]
//! names loom's primitives, [`lineage`] knows one scope, `pool::park` sleeps on a loom thread, nothing is listed in an
//! index, and the process never exits.
//!
//! The program says `use model::*;` at its root, so that the files find one another as `crate::tracker` and so on.
#![allow(dead_code, unreachable_pub, unused_imports, unused_macros, reason = "the models use a part of it")]

use std::any::Any;

use crate::pool::inner::Pool;
use crate::sync::atomic::{Fenced, set_fenced};
use crate::sync::os::Arc;
use crate::sync::thread::set_cpus;

/// In the included files this is what `thread_local!` means.
macro_rules! thread_local {
    ($($(#[$doc:meta])* $vis:vis static $name:ident: $t:ty = const { $init:expr };)*) => {
        $($(#[$doc])* $vis static $name: $crate::model::local::Local<$t> = $crate::model::local::Local::new(|| $init);)*
    };
}

pub(crate) mod local;

#[path = "../../../src/busy.rs"]
pub(crate) mod busy;
#[path = "../../../src/clock.rs"]
pub(crate) mod clock;
#[path = "../../../src/error.rs"]
pub(crate) mod error;
#[path = "../../../src/waker_set.rs"]
pub(crate) mod waker_set;
/// The process never forks.
pub(crate) mod fork {
    pub(crate) fn arm() {}

    pub(crate) fn generation() -> u64 {
        0
    }

    pub(crate) fn is_fork() -> bool {
        false
    }

    pub(crate) fn end_of(_what: &dyn Fn() -> String, _panicked: bool) {}

    pub(crate) fn abort_wait(_what: &str) -> ! {
        unreachable!("the process never forks")
    }
}

#[path = "../../../src/id.rs"]
pub(crate) mod id;
#[path = "../../../src/label.rs"]
pub(crate) mod label;
pub(crate) mod lineage;
#[path = "../../../src/namespace.rs"]
pub(crate) mod namespace;
#[path = "../../../src/subscriber.rs"]
pub(crate) mod subscriber;
pub(crate) mod sync;
#[path = "../../../src/task/mod.rs"]
pub(crate) mod task;
#[path = "../../../src/task_type.rs"]
pub(crate) mod task_type;
#[path = "../../../src/tracker.rs"]
pub(crate) mod tracker;
#[path = "../../../src/unwind.rs"]
pub(crate) mod unwind;

/// Nothing is listed.
pub(crate) mod weak_list {
    use std::marker::PhantomData;

    use crate::sync::os::{Arc, Weak};

    pub(crate) struct WeakList<T>(PhantomData<fn() -> T>);
    pub(crate) struct Registration<T>(PhantomData<fn() -> T>);

    impl<T> WeakList<T> {
        pub(crate) fn new() -> Self {
            Self(PhantomData)
        }

        pub(crate) fn insert(&self, _entry: Weak<T>) -> Registration<T> {
            Registration(PhantomData)
        }

        pub(crate) fn live(&self) -> Vec<Arc<T>> {
            Vec::new()
        }
    }
}

pub(crate) mod pool;
pub(crate) mod rayon;

pub(crate) mod threads;

#[path = "../../../src/waits/circle.rs"]
pub(crate) mod circle;

/// Nobody looks for circles: the graph has a model of its own.
pub(crate) mod waits {
    use std::marker::PhantomData;
    use std::task::Waker;
    use std::thread::ThreadId;

    use crate::id::TaskId;
    use crate::namespace::Namespace;
    use crate::sync::os::Arc;

    pub(crate) use crate::model::circle::{Circle, Link, WouldDeadlock};

    #[derive(Clone)]
    pub(crate) enum Target {
        Task(Task),
        FirstOf(Arc<Vec<Target>>),
        TaskTracker(usize),
        TallyIn { tracker: usize, pool: usize },
        Permit(usize),
        Obligation(Arc<Obligation>),
    }

    #[derive(Clone)]
    pub(crate) struct Task {
        pub(crate) id: TaskId,
        pub(crate) pool: usize,
        pub(crate) queued: Option<Arc<dyn IsQueued>>,
    }

    pub(crate) trait IsQueued: Send + Sync {
        fn is_queued(&self) -> bool;
    }

    #[derive(Clone)]
    pub(crate) enum Label {
        Task,
        Pool(Namespace),
        Borrowing(Namespace),
        Gate(&'static str),
        Capacity(Namespace),
    }

    #[derive(Clone, Copy)]
    pub(crate) enum Ends {
        Asks,
        WhenTold,
        Never,
    }

    #[derive(Debug)]
    pub(crate) struct ClosesCircle {
        pub(crate) circle: Circle,
        pub(crate) task: Option<(TaskId, Namespace)>,
    }

    #[derive(Default)]
    pub(crate) struct Stack {
        pub(crate) tasks: Vec<(TaskId, Namespace)>,
        pub(crate) trackers: Vec<usize>,
        pub(crate) permits: Vec<Permit>,
        pub(crate) worker: Option<Worker>,
    }

    pub(crate) struct Permit {
        pub(crate) pool: usize,
        pub(crate) name: Namespace,
        pub(crate) of: usize,
    }

    pub(crate) struct Worker;

    pub(crate) struct Begin {
        pub(crate) on: Target,
        pub(crate) label: Label,
        pub(crate) stack: Stack,
        pub(crate) ends: Ends,
        pub(crate) waker: fn() -> Waker,
    }

    pub(crate) struct Record;
    pub(crate) struct Obligation;
    pub(crate) struct Edge;
    pub(crate) struct Graph;
    pub(crate) struct Waiting<'a>(PhantomData<&'a Graph>);

    pub(crate) fn graph() -> &'static Graph {
        &Graph
    }

    pub(crate) fn me() -> Arc<Record> {
        Arc::new(Record)
    }

    impl Graph {
        pub(crate) fn begin(&self, _me: Arc<Record>, _wait: Begin) -> Result<Waiting<'_>, ClosesCircle> {
            Ok(Waiting(PhantomData))
        }
    }

    impl Waiting<'_> {
        pub(crate) fn is_refused(&self) -> bool {
            false
        }

        pub(crate) fn refusal(&self) -> Option<ClosesCircle> {
            None
        }

        pub(crate) fn edge(&self) -> Edge {
            Edge
        }
    }

    impl Edge {
        pub(crate) fn turn(&self, _on: Target) {}
    }

    impl Obligation {
        pub(crate) fn new(_by: Arc<Record>) -> Arc<Self> {
            Arc::new(Self)
        }

        pub(crate) fn fulfil(&self) {}
    }
}

/// No thread of a model is a runtime's.
pub(crate) mod runtime {
    pub(crate) fn worker() -> Option<crate::waits::Worker> {
        None
    }
}

/// Blocks until `ready`, which the tracker tells of.
pub(crate) fn block(tracker: &tracker::TaskTracker, ready: impl Fn() -> bool) {
    let what = || pool::end::OfTracker::of(tracker, waits::Label::Pool(namespace::Namespace::DEFAULT));
    assert!(pool::end::block_on_tracker(tracker, None, what, ready).unwrap());
}

/// Runs a model without spinning, with at most this many preemptions, unless `LOOM_MAX_PREEMPTIONS` says otherwise.
pub(crate) fn model(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    model_on(1, preemptions, f);
}

/// As where there are so many CPUs: with several a thread spins.
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
    set_cpus(cpus);
    for fenced in [Fenced::Writes, Fenced::Reads] {
        set_fenced(fenced);
        let f = Arc::clone(&f);
        model.check(move || f());
    }
}

loom::lazy_static! {
    /// What ends after all threads: loom does not see how an `Arc` orders its end.
    static ref KEPT: std::sync::Mutex<Vec<Kept>> = std::sync::Mutex::default();
}

struct Kept(Option<Arc<dyn Any + Send + Sync>>);

impl Drop for Kept {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The model failed; what it made can end no more.
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

/// The same, which a place owns.
pub(crate) fn start_at(owner: &lineage::node::NodeRef, config: pool::config::PoolConfig) -> Arc<Pool> {
    let pool = Pool::new(namespace::Namespace::DEFAULT, owner.downgrade(), config.log_panics(false));
    keep(&pool);
    pool
}
