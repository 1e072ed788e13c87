//! Pools whose tasks run in other processes, with the feature `remote`.
//!
//! The guide's chapter [When you outgrow the machine](crate::guide::machines) shows the use. This page has the promises.
//!
//! # Who does what
//! The *origin* is a process that [sends](crate::PoolManager::send) [jobs](Job) to a [remote pool](crate::PoolConfig::remote). A *worker*
//! is a process that [serves](serve) the pool's [`Queue`]. An *engine* carries jobs and messages between them: the one of
//! `heirloom-nats`, or [`loopback`] within one process.
//!
//! # The promises
//! 1. An accepted job ends once, as its handle says. The origin keeps it until then, and publishes it again when the engine has
//!    lost it. A job that the engine still has keeps its turn in the queue.
//! 2. A job that is not [repeatable](Job::REPEATABLE) begins at most once. A worker asks the origin, which grants one begin.
//! 3. A cancelled job that is not repeatable never begins after the cancel. A running job sees the cancel as each task does. A
//!    repeatable job that a worker has been given already sees the cancel at its first [`checkpoint`](crate::checkpoint()).
//! 4. A job whose worker died in it ends within two [leases](engine::Engine::lease) and a third, as
//!    [`WorkerLost`](crate::ErrorKind::WorkerLost); a repeatable one begins again.
//! 5. At most `n` jobs of a queue run at once, over all workers. A job does not count while its worker is silent for more than a
//!    lease, or after the engine has lost its memory.
//!
//! # What an end does on each side
//! | | origin | worker |
//! |---|---|---|
//! | `stop` | waits for the results | stops taking jobs, waits for its own |
//! | `cancel` | withdraws what has not begun, cancels the rest | jobs that have not begun go to another worker; the others are cancelled, and repeatable ones begin again elsewhere |
//! | death | its jobs are cancelled, unless the pool [outlives](crate::PoolConfig::outlives_origin) it | its jobs are lost, or begin again |

mod answer;
mod call;
pub(crate) mod clock;
pub(crate) mod job;
pub(crate) mod loopback;
pub(crate) mod origin;
mod queue;
mod send;
mod trace;
pub(crate) mod values;
pub(crate) mod worker;

pub use crate::remote::call::call_job;
pub use crate::remote::job::Job;
pub use crate::remote::loopback::{Loopback, LoopbackBuilder, loopback};
pub use crate::remote::trace::{Propagator, TraceContext, set_propagator};
pub use crate::remote::worker::origin::Origin;
pub use crate::remote::worker::readiness::ServingState;
pub use crate::remote::worker::report::{RunningJob, ServingReport, ServingStats};
pub use crate::remote::worker::serve::{Serve, Serving, serve};
pub use crate::wire::address::{JobId, ProcessId};
pub use crate::wire::link::Queue;

/// The interface that an engine implements. It changes with this crate's minor versions.
pub mod engine {
    pub use bytes::Bytes;

    pub use crate::wire::engine::{
        Answer, Delivery, DeliveryId, Depth, Engine, Inbox, QueueLimits, Receipt, Settlement,
    };
    pub use crate::wire::envelope::Envelope;
    pub use crate::wire::fault::Fault;

    /// Returns whether the calling thread runs a future of a tokio runtime, and so must not block.
    ///
    /// An engine asks before a call of its own blocks. A thread of `spawn_blocking` or `block_in_place` runs no future. Where
    /// tokio's budget is lifted, as in `tokio::task::unconstrained`, only a panic of tokio's tells; the panic hook reports it.
    /// Costs about 1 µs on a runtime's thread, and a few nanoseconds on any other.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn runs_a_future() -> bool {
        crate::runtime::runs_a_future()
    }

    /// Opens an engine, and returns the handle from which its queues come.
    #[must_use]
    pub fn open(engine: Box<dyn Engine>) -> Connection {
        Connection(crate::wire::link::Link::open(engine))
    }

    /// An open engine.
    #[derive(Clone)]
    pub struct Connection(pub(crate) crate::sync::os::Arc<crate::wire::link::Link>);

    impl Connection {
        /// Returns the queue of that name.
        #[must_use]
        pub fn queue(&self, name: &str) -> super::Queue {
            super::Queue { link: self.0.clone(), name: name.into() }
        }

        /// Returns this process's name in the engine.
        #[must_use]
        pub fn process(&self) -> &super::ProcessId {
            &self.0.me
        }

        /// Returns the engine.
        #[must_use]
        pub fn engine(&self) -> &dyn Engine {
            &*self.0.engine
        }
    }
}
