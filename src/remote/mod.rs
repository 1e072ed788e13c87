//! Pools whose tasks run in other processes, with the feature `remote`.

pub(crate) mod job;
pub(crate) mod loopback;
pub(crate) mod origin;
mod send;
mod ticker;
mod told;
pub(crate) mod values;

pub use crate::remote::job::Job;
pub use crate::remote::loopback::{Loopback, LoopbackBuilder, loopback};
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
