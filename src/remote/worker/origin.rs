//! [`Origin`]: where the running job was sent from.

use std::fmt;

use crate::lineage::handle::Lineage;
use crate::lineage::node::NodeKind;
use crate::sync::os::Arc;
use crate::value::heirloom::Heirloom;
use crate::wire::address::{JobId, ProcessId};
use crate::wire::path::{Path, PathScope};

/// Bound at each remote scope, and again at the task of each job.
static ORIGIN: Heirloom<Origin> = Heirloom::new("heirloom.origin");

/// Where a job was sent from: the process, and the scopes there.
///
/// The code of a job gets it by [`current()`](crate::current())[`.origin()`](Lineage::origin), on each thread and in each task below the
/// job. It is data, and gives no access to the origin. A clone costs one atomic increment.
///
/// ```
/// use heirloom::remote::{self, Job};
/// use heirloom::{PoolConfig, Scope};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Where;
///
/// impl Job for Where {
///     const NAME: &'static str = "where";
///     type Output = Vec<String>;
///
///     fn run(self) -> Vec<String> {
///         let origin = heirloom::current().origin().expect("a job has one");
///         assert_eq!(origin.attempt(), 1);
///         origin.path().map(String::from).collect()
///     }
/// }
///
/// let engine = remote::loopback();
/// let here = heirloom::create("where-here");
/// here.start(PoolConfig::leased(1))?;
/// let serving = remote::serve(engine.another().queue("where"), &here).job::<Where>().start()?;
///
/// heirloom::create("where").start(PoolConfig::remote(1, engine.queue("where")))?; // once, for all requests
/// let request = Scope::new("request 7");
/// let path = request.run(|| heirloom::get("where")?.send(Where))?.join()?;
/// assert_eq!(path, ["request 7"]);
/// # serving.stop()?;
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone)]
pub struct Origin(Arc<Data>);

struct Data {
    process: ProcessId,
    path: Path,
    /// `None` at a remote scope.
    job: Option<JobId>,
    attempt: u32,
}

impl Origin {
    pub(super) fn of_job(job: JobId, path: Path, attempt: u32) -> Self {
        Self(Arc::new(Data { process: job.origin.clone(), path, job: Some(job), attempt }))
    }

    pub(super) fn of_scope(process: ProcessId, path: Path) -> Self {
        Self(Arc::new(Data { process, path, job: None, attempt: 0 }))
    }

    pub(super) fn bind_at(self, node: &Lineage) {
        // Refused where the node has ended, and no code looks there any more.
        let _ = ORIGIN.at(node).bind(self);
    }

    /// Returns the name of the host that the job was sent from.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.process.host()
    }

    /// Returns the process that sent the job.
    #[must_use]
    pub fn process(&self) -> &ProcessId {
        &self.0.process
    }

    /// Returns the names of the scopes that the submitter stood in, from the outermost on.
    ///
    /// For a job that a job sent they begin with those of the first submitter.
    pub fn path(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.path.scopes.iter().map(|scope| scope.name.as_str())
    }

    /// Returns the number of this begin of the job, from 1 on; 0 at a remote scope, outside of a job.
    ///
    /// Above 1 for a [repeatable](crate::remote::Job::REPEATABLE) job that was sent again, since its worker died or the engine may
    /// have lost it. Numbers may be left out, and two begins have two numbers. So it is a fencing number: a store that refuses a
    /// lower number than it has seen drops the writes of an earlier worker that was only paused.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// Returns the job's id, which is unique over all processes. `None` at a remote scope, outside of a job.
    #[must_use]
    pub fn job(&self) -> Option<&JobId> {
        self.0.job.as_ref()
    }

    /// Returns the scopes that a job sent from the node takes along: those of other processes, then those of this process below
    /// them.
    ///
    /// A scope that stands here for one of another process is the other one.
    pub(crate) fn path_at(at: &Lineage) -> (Vec<PathScope>, Vec<Lineage>) {
        let stands_for = ORIGIN.at(at);
        let bound = stands_for.place().ok().map(|place| place.id());
        let theirs =
            bound.and_then(|_| stands_for.with(|origin| origin.0.path.scopes.clone()).ok()).unwrap_or_default();
        let here = at.ancestors().take_while(|node| Some(node.id()) != bound);
        let mut ours: Vec<Lineage> = here.filter(|node| node.kind() == NodeKind::Scope).collect();
        ours.reverse();
        (theirs, ours)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("process", &self.0.process)
            .field("path", &self.path().collect::<Vec<_>>())
            .field("job", &self.0.job)
            .field("attempt", &self.0.attempt)
            .finish()
    }
}

impl Lineage {
    /// Returns where the job at or above this node was sent from. `None` for code that no other process asked for.
    ///
    /// Costs a look-up of a value. See [`Origin`].
    #[cfg_attr(docsrs, doc(cfg(feature = "remote")))]
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        ORIGIN.at(self).with(Origin::clone).ok()
    }
}
