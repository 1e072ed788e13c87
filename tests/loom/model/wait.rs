//! Waiting, without the search for circles.

#[path = "../../../src/wait/here.rs"]
pub(crate) mod here;
#[path = "../../../src/wait/park.rs"]
pub(crate) mod park;
#[path = "../../../src/wait/spin.rs"]
pub(crate) mod spin;
#[path = "../../../src/wait/tracker.rs"]
pub(crate) mod tracker;
#[path = "../../../src/wait/waker_set.rs"]
pub(crate) mod waker_set;

/// No model but that of the graph looks for circles: the locks of the records would be most of each model.
pub(crate) mod graph {
    use std::marker::PhantomData;
    use std::thread::{Thread, ThreadId};

    pub(crate) use crate::graph::{
        Begin, ClosesCircle, Ends, IsQueued, Label, Obligation, Permit, Record, Several, Stack, Target, Task, Worker,
    };
    use crate::sync::os::Arc;

    pub(crate) struct Edge;
    pub(crate) struct Graph;
    pub(crate) struct Waiting<'a>(PhantomData<&'a Graph>);

    pub(crate) fn graph() -> &'static Graph {
        &Graph
    }

    impl Graph {
        pub(crate) fn record(&self, thread: &Thread) -> Arc<Record> {
            Record::new(thread)
        }

        pub(crate) fn known(&self, _: ThreadId) -> Option<Arc<Record>> {
            None
        }

        pub(crate) fn begin(&self, _: Arc<Record>, _: Begin) -> Result<Waiting<'_>, ClosesCircle> {
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
        pub(crate) fn turn(&self, _: Target) {}
    }
}
