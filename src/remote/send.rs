//! Sending a job to a pool of any kind.

use std::time::SystemTime;

use crate::error::{Error, SubmitError, SubmitErrorKind};
use crate::lineage::handle::current;
use crate::names::task_type::TaskType;
use crate::pool::config::remote::Remote;
use crate::pool::core::pool::Pool;
use crate::pool::handle::promise::Promise;
use crate::pool::handle::task::TaskHandle;
use crate::registry::manager::PoolManager;
use crate::remote::job::{self, Job};
use crate::remote::origin::kept::{Encoded, Promised};
use crate::remote::origin::{self, Sent};
use crate::remote::told;
use crate::remote::trace::TraceContext;
use crate::remote::values;
use crate::remote::worker::origin::Origin;
use crate::sync::os::Arc;
use crate::wire::address::JobId;
use crate::wire::engine::Answer;
use crate::wire::envelope::{self, Envelope};
use crate::wire::path::{MOST_SCOPES, Path, PathScope};

impl TaskType {
    /// Returns the type of a [job](Job): its name.
    #[must_use]
    pub fn job<J: Job>() -> Self {
        Self::from(J::NAME)
    }
}

impl PoolManager {
    /// Sends a job to the pool. Never blocks.
    ///
    /// Returns the handle to its task. A pool of this process runs the job on its own threads, as a task of the type
    /// [`TaskType::job`]. A [remote](crate::PoolConfig::remote) pool encodes the job here and gives it to its engine; see
    /// [`remote`](crate::remote) for the fate of the job from then on.
    ///
    /// Costs as much as [`submit`](Self::submit), for a remote pool a few microseconds and the encoding.
    ///
    /// # Errors
    /// As [`submit`](Self::submit); [`NotSendable`](SubmitErrorKind::NotSendable) when a remote pool's job cannot be encoded,
    /// or is too large. A refusal by the engine is the handle's error.
    pub fn send<J: Job>(&self, job: J) -> Result<TaskHandle<J::Output>, Error> {
        match remote_of(self.pool().as_ref()) {
            Some(remote) => send(self, remote, &job, None),
            None => self.submit_as(TaskType::job::<J>(), move || job.run()),
        }
    }

    /// As [`send`](Self::send), and waits until the engine of a remote pool has the job. In a pool of this process it waits for
    /// capacity, as [`submit_async`](Self::submit_async).
    ///
    /// While there is no connection the future is pending. Dropping it leaves the job sent, without its handle.
    ///
    /// # Errors
    /// As [`send`](Self::send). The engine's refusal is [`EngineRefused`](SubmitErrorKind::EngineRefused).
    pub async fn send_async<J: Job>(&self, job: J) -> Result<TaskHandle<J::Output>, Error> {
        // The wait holds neither the pool nor the job.
        let sent = match remote_of(self.pool().as_ref()) {
            Some(remote) => {
                let (answer, told) = told::channel();
                Some((send(self, remote, &job, Some(answer))?, told))
            }
            None => None,
        };
        let Some((handle, told)) = sent else {
            return self.of_type(TaskType::job::<J>()).submit_async(move || job.run()).await;
        };
        drop(job);
        match told.await {
            Ok(()) => Ok(handle),
            Err(fault) => Err(fault.refusal(self.namespace()).into()),
        }
    }
}

/// Returns the settings of a remote pool.
fn remote_of(pool: Option<&Arc<Pool>>) -> Option<&Remote> {
    pool?.config.rare().remote.as_deref()
}

fn send<J: Job>(
    manager: &PoolManager,
    remote: &Remote,
    job: &J,
    told: Option<Answer<()>>,
) -> Result<TaskHandle<J::Output>, Error> {
    let link = &remote.queue.link;
    let not_sendable =
        |why| Error::from(SubmitError::new(manager.namespace(), SubmitErrorKind::NotSendable { job: J::NAME, why }));
    let bytes = job::encode(job).map_err(|why| not_sendable(format!("{why}; correct its `Serialize`")))?;
    let values = values::collect(&current()).map_err(not_sendable)?;
    let body = envelope::join_body(&values, &bytes);
    // The headers are small beside this.
    let most = link.engine.most_bytes().saturating_sub(8 << 10);
    if body.len() > most {
        let why = format!(
            "its {} bytes are more than the {most} that fit into a message; send the name of the data",
            body.len()
        );
        return Err(not_sendable(why));
    }
    let origin = origin::of(link).map_err(|source| SubmitError::no_thread(manager.namespace(), source))?;
    let (promise, handle): (Promise<Encoded<J>>, _) = manager.of_type(TaskType::job::<J>()).promise_storing()?;
    let at = promise.lineage();
    let (mut path, mut scopes) = Origin::path_at(&at);
    scopes.truncate(MOST_SCOPES.saturating_sub(path.len()));
    path.extend(scopes.iter().map(|scope| PathScope {
        process: link.me.clone(),
        id: scope.id().as_u64(),
        name: scope.name().unwrap_or_default().into(),
    }));
    let envelope = Envelope {
        id: JobId { origin: link.me.clone(), number: promise.id().as_u64() },
        job: J::NAME.into(),
        path: Path { scopes: path, sender: link.me.clone() },
        deadline: at.remaining().and_then(|left| SystemTime::now().checked_add(left)),
        attempt: 1,
        sent: 0,
        repeatable: J::REPEATABLE,
        sealed: remote.sealed,
        trace: TraceContext::inject(),
        body,
    };
    let sent = Sent {
        envelope,
        queue: Arc::clone(&remote.queue.name),
        scopes: scopes.iter().map(|scope| (scope.id().as_u64(), scope.0.downgrade())).collect(),
        attempts: remote.attempts,
    };
    origin.send(sent, Arc::new(Promised::<J>::new(promise)), told);
    Ok(handle)
}
