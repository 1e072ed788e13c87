//! [`spawn`] and [`spawn_blocking`]: tokio's, at the caller's node.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use ::tokio::runtime::Handle;
use tracing::instrument::Instrumented;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, Span};

use crate::cancel::OnCancel;
use crate::lineage::current;
use crate::lineage::handle::Lineage;
use crate::lineage::watch::Watch;
use crate::lineage::work::Work;
use crate::pool::context::interrupted::note_if_cancelled;
use crate::pool::handle::cancel_on_drop::{Cancel, CancelOnDrop};
use crate::pool::report::CancelOutcome;
use crate::sync::os::Arc;
use crate::sync::unwind::{swallow, swallow_drop};

use super::outcome::{Ended, Outcome};
use crate::error::{Error, JoinError, SpawnError};

/// Spawns a future at the caller's node, on the runtime that the caller runs in.
///
/// `tokio::spawn` loses the node. The future stands at the caller's node on each of its polls and in its drop, and in the
/// caller's `tracing` span: it finds the caller's pools and values. It belongs to the scopes at or above that node as a
/// task does: [`pending`](crate::Scope::pending) counts it, `stop` and `stop_async` wait for it, and
/// [`cancel`](crate::Scope::cancel) has it dropped at its next `.await`. `shutdown` waits for it too, and reports it.
///
/// In code without a node of its own (see [`current`](crate::current())) the future has none either, and belongs to no
/// scope. Outside of any scope it is not counted.
///
/// Costs one allocation more than `tokio::spawn`, and below a scope a short lock for each scope at each poll.
///
/// ```
/// use heirloom::{FutureExt, Heirloom, Scope};
///
/// static USER: Heirloom<&str> = Heirloom::new("user");
///
/// async fn handler() -> Result<bool, heirloom::Error> {
///     USER.bind("ann")?;
///     let sends = heirloom::spawn(async { USER.with(|user| *user == "ann") })?;
///     Ok(sends.await??)
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
/// assert!(runtime.block_on(handler().in_scope(Scope::new("request 7")))?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`NotRunning`](SpawnError::NotRunning) outside of a runtime, [`ScopeEnded`](SpawnError::ScopeEnded) below a scope
/// that is closed.
pub fn spawn<F>(future: F) -> Result<SpawnHandle<F::Output>, Error>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let runtime = running()?;
    Ok(launch(&runtime, counted()?, future))
}

/// Spawns a closure that may block, at the caller's node, on a thread of the runtime that the caller runs in.
///
/// `tokio::task::spawn_blocking` loses the node. The job stands and counts as a [spawned future](spawn()) does. A job that
/// has not begun when it is cancelled, by its handle or with its node, never begins: its closure is dropped and its handle
/// is ready at once, however busy the runtime's threads are. A running job sees the cancel at its next
/// [`checkpoint`](crate::checkpoint) or [`sleep`](crate::sleep).
///
/// ```
/// use heirloom::{FutureExt, Scope};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// let request = Scope::new("request 7");
/// let at = request.lineage().clone();
/// let name = runtime.block_on(async {
///     let job = heirloom::spawn_blocking(|| heirloom::current().name().map(String::from))?;
///     Ok::<_, heirloom::Error>(job.await?)
/// }.in_lineage(&at))?;
/// assert_eq!(name.as_deref(), Some("request 7"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`spawn`](spawn()).
pub fn spawn_blocking<F, T>(f: F) -> Result<SpawnHandle<T>, Error>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let runtime = running()?;
    let work = counted()?;
    let span = span();
    let outcome = Outcome::new(work, Some(Box::new(move || span.in_scope(f))));
    // Weak: the cancel hook must not keep the job alive.
    let weak = Arc::downgrade(&outcome);
    let place = outcome.work.node_ref();
    let end = move || {
        if let Some(outcome) = weak.upgrade() {
            outcome.end_queued(|| cancelled(&outcome.work));
        }
    };
    let ends = place.node().parent().is_some().then(|| Lineage(place.clone()).on_cancel(end));
    let job = Job { outcome: Arc::clone(&outcome), ends };
    drop(runtime.spawn_blocking(move || job.run()));
    Ok(SpawnHandle { outcome })
}

fn running() -> Result<Handle, SpawnError> {
    Handle::try_current().map_err(|_| SpawnError::NotRunning)
}

fn counted() -> Result<Arc<Work>, SpawnError> {
    Work::counted().map_err(|_| {
        note_if_cancelled();
        let at = Lineage(current::nearest());
        SpawnError::ScopeEnded { place: at.to_string(), cause: at.0.node().end_cause() }
    })
}

fn cancelled(work: &Work) -> JoinError {
    JoinError::of_cancelled(work.nearest_cause())
}

fn span() -> Span {
    // A subscriber's panic is not the caller's.
    let span = (LevelFilter::current() != LevelFilter::OFF).then(|| swallow(Span::current)).flatten();
    span.unwrap_or_else(Span::none)
}

/// Gives a future to the runtime. A runtime that has been shut down drops it, and the handle returns that.
pub(super) fn launch<F>(runtime: &Handle, work: Arc<Work>, future: F) -> SpawnHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let outcome = Outcome::new(work, None);
    // The root is never cancelled.
    let place = outcome.work.node_ref();
    let watch = place.node().parent().is_some().then(|| Watch::new(place));
    let spawned =
        Spawned { future: Some(future.instrument(span())), watch, outcome: Arc::clone(&outcome), over: false };
    let task = runtime.spawn(spawned);
    let _ = outcome.abort.set(task.abort_handle());
    SpawnHandle { outcome }
}

pin_project_lite::pin_project! {
    /// A future as the runtime has it.
    struct Spawned<F: Future> {
        // `None` once it has been dropped in place.
        #[pin]
        future: Option<Instrumented<F>>,
        watch: Option<Watch>,
        outcome: Arc<Outcome<F::Output>>,
        over: bool,
    }

    impl<F: Future> PinnedDrop for Spawned<F> {
        fn drop(this: Pin<&mut Self>) {
            if this.over {
                return;
            }
            // The handle aborted the future, or the runtime has ended.
            let work = &this.outcome.work;
            let why = if work.is_cancelled() { cancelled(work) } else { JoinError::dropped() };
            this.end(Err(why));
        }
    }
}

impl<F: Future> Spawned<F> {
    /// Drops the future at its node, and stores the result.
    fn end(self: Pin<&mut Self>, ended: Result<F::Output, JoinError>) {
        let mut this = self.project();
        *this.over = true;
        let work = Arc::clone(&this.outcome.work);
        swallow(|| work.run(|| this.future.set(None)));
        *this.watch = None;
        this.outcome.end(ended);
    }
}

impl<F: Future> Future for Spawned<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.as_mut().project();
        if *this.over {
            return Poll::Ready(());
        }
        let work = &this.outcome.work;
        let is_cancelled = this.watch.as_mut().is_some_and(|watch| watch.poll(cx.waker(), |node| node.is_cancelled()));
        if is_cancelled || work.cancel_requested() {
            let why = cancelled(work);
            self.end(Err(why));
            return Poll::Ready(());
        }
        let polled = match this.future.as_pin_mut() {
            Some(future) => catch_unwind(AssertUnwindSafe(|| work.run(|| future.poll(cx)))),
            None => return Poll::Ready(()),
        };
        let ended = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(out)) => Ok(out),
            Err(payload) => Err(JoinError::panic(None, payload)),
        };
        self.end(ended);
        Poll::Ready(())
    }
}

/// A blocking job as the runtime has it.
struct Job<T> {
    outcome: Arc<Outcome<T>>,
    /// Ends the job while it is queued.
    ends: Option<OnCancel>,
}

impl<T> Job<T> {
    fn run(mut self) {
        let Some(f) = self.outcome.take_queued() else { return };
        drop(self.ends.take());
        let work = &self.outcome.work;
        if work.is_cancelled() {
            work.run(|| swallow_drop(f));
            self.outcome.end(Err(cancelled(work)));
            return;
        }
        let ran = catch_unwind(AssertUnwindSafe(|| work.run(f)));
        self.outcome.end(ran.map_err(|payload| JoinError::panic(None, payload)));
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        // The runtime was shut down before the job began.
        self.outcome.end_queued(JoinError::dropped);
    }
}

/// The handle of a spawned future or job. Dropping it detaches the work.
///
/// [`spawn`](spawn()) and [`spawn_blocking`](spawn_blocking()) return it. Detached work runs until it ends, its node is
/// cancelled or its runtime is shut down. With [`cancel_on_drop`](Self::cancel_on_drop) the drop cancels it instead. The
/// handle is a [`Future`] of the work's output, on any runtime.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let never = heirloom::spawn(std::future::pending::<()>())?;
/// never.cancel();
/// assert!(never.await.is_err_and(|error| error.is_cancelled()));
///
/// let fails = heirloom::spawn(async { panic!("no such user") })?;
/// let error = fails.await.map(|(): ()| ()).unwrap_err();
/// assert_eq!(error.panic_message(), Some("no such user"));
/// # Ok::<(), heirloom::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping the handle detaches the work; its result and its panic are lost"]
pub struct SpawnHandle<T> {
    outcome: Arc<Outcome<T>>,
}

impl<T> SpawnHandle<T> {
    /// Returns whether the work has ended, so that awaiting the handle returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.outcome.is_ended()
    }

    /// Cancels the work. Does not block.
    ///
    /// A future is dropped by its runtime, at its next `.await` at the latest. A job that has not begun ends now, and its
    /// closure is dropped on this thread. A running job sees the cancel at its next [`checkpoint`](crate::checkpoint).
    pub fn cancel(&self) -> CancelOutcome {
        if self.is_finished() {
            return CancelOutcome::AlreadyFinished;
        }
        let first = self.outcome.work.request_cancel();
        self.outcome.end_queued(|| cancelled(&self.outcome.work));
        if let Some(task) = self.outcome.abort.get() {
            task.abort();
        }
        CancelOutcome::of(first)
    }

    /// As [`cancel`](Self::cancel), by tokio's name.
    pub fn abort(&self) {
        self.cancel();
    }

    /// Cancels the work when the handle is dropped, instead of detaching it. See [`CancelOnDrop`].
    ///
    /// For `timeout(limit, handle)` and `select!`, which drop the handles that they give up.
    pub fn cancel_on_drop(self) -> CancelOnDrop<Self> {
        CancelOnDrop::new(self)
    }
}

impl<T> Cancel for SpawnHandle<T> {
    fn request_cancel(&self) {
        self.cancel();
    }
}

impl<T> SpawnHandle<T> {
    pub(super) fn poll_end(&self, waker: &Waker) -> Poll<Ended<T>> {
        let polled = self.outcome.poll(waker);
        if matches!(&polled, Poll::Ready(Err(error)) if error.kind().is_cancelled()) {
            note_if_cancelled();
        }
        polled
    }
}

impl<T> Future for SpawnHandle<T> {
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_end(cx.waker()).map_err(Error::from)
    }
}

impl<T> Drop for SpawnHandle<T> {
    fn drop(&mut self) {
        self.outcome.forget();
    }
}

impl<T> fmt::Debug for SpawnHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnHandle").field("is_finished", &self.is_finished()).finish_non_exhaustive()
    }
}
