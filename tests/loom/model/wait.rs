//! Waiting, without the graph, and with a park that loom can follow.

#[path = "../../../src/wait/spin.rs"]
pub(crate) mod spin;
#[path = "../../../src/wait/tracker.rs"]
pub(crate) mod tracker;
#[path = "../../../src/wait/waker_set.rs"]
pub(crate) mod waker_set;

/// No model but that of the graph looks for circles.
pub(crate) mod graph {
    use std::marker::PhantomData;
    use std::task::Waker;
    use std::thread::ThreadId;

    use crate::names::id::TaskId;
    use crate::names::namespace::Namespace;
    use crate::sync::os::Arc;

    use crate::error::Circle;

    #[derive(Clone)]
    pub(crate) enum Target {
        Task(Task),
        FirstOf(Arc<Vec<Target>>),
        TaskTracker(usize),
        TrackerIn { tracker: usize, pool: usize },
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

/// Each wait has a record of its own.
pub(crate) mod here {
    use crate::sync::os::Arc;
    use crate::wait::graph::Record;

    pub(crate) fn me() -> Arc<Record> {
        Arc::new(Record)
    }
}

/// Sleeps on a loom thread. Never spins, and knows no time: a wait with a deadline times out at its first look.
pub(crate) mod park {
    use std::task::{Wake, Waker};
    use std::time::{Duration, Instant};

    use crate::sync::os::{Arc, thread};

    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    pub(crate) fn waker() -> Waker {
        Waker::from(Arc::new(Unpark(thread::current())))
    }

    pub(crate) fn spin_until(mut done: impl FnMut() -> bool) -> bool {
        done()
    }

    pub(crate) fn block_until(deadline: Option<Instant>, mut ready: impl FnMut(&Waker) -> bool) -> bool {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        while !ready(&waker) {
            if deadline.is_some() {
                return false;
            }
            thread::park();
        }
        true
    }

    pub(crate) fn after(d: Duration) -> Option<Instant> {
        Instant::now().checked_add(d)
    }
}
