//! The verbs of a [`Queue`] that look at it from a process.

use crate::error::Error;
use crate::names::namespace::Namespace;
use crate::remote::answer;
use crate::remote::origin::Origin;
use crate::wire::address::ProcessId;
use crate::wire::engine::Depth;
use crate::wire::link::{self, Queue};

impl Queue {
    /// Returns this process's name in the queue's engine.
    #[must_use]
    pub fn process(&self) -> &ProcessId {
        &self.link.me
    }

    /// Counts the queue's jobs over all processes: those that wait, those that run, and the open requests of workers.
    ///
    /// A queue with waiting jobs and without open requests has no worker, or only busy ones. Costs one request to the engine.
    ///
    /// # Errors
    /// [`EngineFailed`](crate::ErrorKind::EngineFailed) without a connection, [`NotAllowed`](crate::ErrorKind::NotAllowed)
    /// without the right.
    pub async fn depth(&self) -> Result<Depth, Error> {
        let (answer, depth) = answer::channel();
        self.link.engine.depth(&self.name, answer);
        let queue = || Namespace::from(self.name.to_string());
        depth.await.map_err(|fault| fault.refusal(&queue()).into())
    }

    /// Returns the number of results that this process dropped, for jobs of any queue of its connection that had ended already.
    ///
    /// A worker that was only paused finished beside its successor, or a job was lost or cancelled here before its result came. A
    /// result that is told twice, since an answer was lost, counts too.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        link::known::<Origin>(&self.link.origin).map_or(0, |origin| origin.duplicates())
    }
}
