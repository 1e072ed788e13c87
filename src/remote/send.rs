//! Sending a job to a pool of any kind.

use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::error::{Error, Refused, SubmitError, SubmitErrorKind};
use crate::lineage::handle::current;
use crate::names::task_type::TaskType;
use crate::pool::config::remote::Remote;
use crate::pool::core::pool::Pool;
use crate::pool::handle::promise::Promise;
use crate::pool::handle::submit;
use crate::pool::handle::task::TaskHandle;
use crate::registry::manager::PoolManager;
use crate::remote::answer;
use crate::remote::job::{self, Job};
use crate::remote::origin::kept::{Encoded, Promised};
use crate::remote::origin::{self, Origin, Sent};
use crate::remote::trace::TraceContext;
use crate::remote::values;
use crate::remote::worker::origin::Origin as JobOrigin;
use crate::sync::os::Arc;
use crate::wait::park;
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
        match remote_of(self.pool()) {
            Some(pool) => {
                let sends = Sends::new(self, &pool, &job)?;
                Ok(sends.send(sends.promise()?, None))
            }
            None => self.submit_as(TaskType::job::<J>(), move || job.run()),
        }
    }

    /// As [`send`](Self::send), waiting at most `d` for capacity in a bounded queue.
    ///
    /// Blocks as [`submit_timeout`](Self::submit_timeout) does. The engine's word is not waited for.
    ///
    /// # Errors
    /// [`QueueFull`](SubmitErrorKind::QueueFull) when the pool's queue had no capacity in time; otherwise as [`send`](Self::send).
    pub fn send_timeout<J: Job>(&self, job: J, d: Duration) -> Result<TaskHandle<J::Output>, Error> {
        let Some(pool) = remote_of(self.pool()) else {
            return self.of_type(TaskType::job::<J>()).submit_timeout(move || job.run(), d);
        };
        let sends = Sends::new(self, &pool, &job)?;
        let promised = submit::submit_waiting_by(&pool, (), park::after(d), |()| sends.try_promise());
        Ok(sends.send(promised.map_err(|refused| sends.explained(refused))?, None))
    }

    /// As [`send`](Self::send), waiting for capacity, and then until the engine has the job.
    ///
    /// Blocks no thread. A pool of another kind than remote has no engine to wait for.
    ///
    /// While there is no connection the future is pending. Dropping it before it is ready sends nothing: a job that waits for the
    /// engine's word is cancelled. (A repeatable job that a worker has begun meanwhile sees the cancel.) Once it is ready the
    /// handle decides, as each handle does.
    ///
    /// # Errors
    /// As [`send`](Self::send). The engine's refusal is [`EngineRefused`](SubmitErrorKind::EngineRefused), also where the queue
    /// is full of other processes' jobs.
    pub async fn send_async<J: Job>(&self, job: J) -> Result<TaskHandle<J::Output>, Error> {
        // The wait for the engine keeps neither the pool nor the job.
        let (handle, answered) = {
            let Some(pool) = remote_of(self.pool()) else {
                return self.of_type(TaskType::job::<J>()).submit_async(move || job.run()).await;
            };
            let sends = Sends::new(self, &pool, &job)?;
            drop(job);
            let promised = submit::submit_async_by(&pool, (), |()| sends.try_promise()).await;
            let (answer, answered) = answer::channel();
            let handle = sends.send(promised.map_err(|refused| sends.explained(refused))?, Some(answer));
            (handle.cancel_on_drop(), answered)
        };
        match answered.await {
            Ok(()) => Ok(handle.into_inner()),
            Err(fault) => Err(fault.refusal(self.namespace()).into()),
        }
    }
}

/// Returns the pool, if it is a remote one.
fn remote_of(pool: Option<Arc<Pool>>) -> Option<Arc<Pool>> {
    pool.filter(|pool| pool.config.rare().remote.is_some())
}

/// A job on its way into a remote pool: all that can be refused before the task is accepted.
struct Sends<'a, J: Job> {
    manager: &'a PoolManager,
    pool: &'a Arc<Pool>,
    remote: &'a Remote,
    origin: Arc<Origin>,
    body: Bytes,
    job: PhantomData<fn() -> J>,
}

type Accepted<J> = (Promise<Encoded<J>>, TaskHandle<<J as Job>::Output>);

impl<'a, J: Job> Sends<'a, J> {
    fn new(manager: &'a PoolManager, pool: &'a Arc<Pool>, job: &J) -> Result<Self, Error> {
        let refused = |kind| Error::from(SubmitError::new(manager.namespace(), kind));
        let not_sendable = |why| refused(SubmitErrorKind::NotSendable { job: J::NAME, why });
        let Some(remote) = pool.config.rare().remote.as_deref() else { return Err(refused(SubmitErrorKind::NeedsJob)) };
        let link = &remote.queue.link;
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
        Ok(Self { manager, pool, remote, origin, body, job: PhantomData })
    }

    fn promise(&self) -> Result<Accepted<J>, Error> {
        self.try_promise().map_err(|refused| self.explained(refused))
    }

    fn try_promise(&self) -> Result<Accepted<J>, Refused<()>> {
        Promise::submit(self.pool, Some(TaskType::job::<J>())).map_err(|reason| Refused { task: (), reason })
    }

    fn explained(&self, refused: Refused<()>) -> Error {
        self.manager.explain(refused.reason)
    }

    /// Gives an accepted job to the engine. Returns the handle to its task.
    fn send(&self, (promise, handle): Accepted<J>, word: Option<Answer<()>>) -> TaskHandle<J::Output> {
        let Remote { queue, attempts, outlives_origin, .. } = self.remote;
        let me = &queue.link.me;
        let at = promise.lineage();
        let (mut path, mut scopes) = JobOrigin::path_at(&at);
        scopes.truncate(MOST_SCOPES.saturating_sub(path.len()));
        path.extend(scopes.iter().map(|scope| PathScope {
            process: me.clone(),
            id: scope.id().as_u64(),
            name: scope.name().unwrap_or_default().into(),
        }));
        let envelope = Envelope {
            id: JobId { origin: me.clone(), number: promise.id().as_u64() },
            job: J::NAME.into(),
            path: Path { scopes: path, sender: me.clone() },
            deadline: at.remaining().and_then(|left| SystemTime::now().checked_add(left)),
            attempt: 1,
            sent: 0,
            repeatable: J::REPEATABLE,
            outlives_origin: *outlives_origin,
            trace: TraceContext::inject(),
            body: self.body.clone(),
        };
        let sent = Sent {
            envelope,
            queue: Arc::clone(&queue.name),
            scopes: scopes.iter().map(|scope| (scope.id().as_u64(), scope.0.downgrade())).collect(),
            attempts: *attempts,
        };
        self.origin.send(sent, Arc::new(Promised::<J>::new(promise)), word);
        handle
    }
}
