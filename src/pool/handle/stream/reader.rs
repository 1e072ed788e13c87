//! [`TaskStream`]: the reader's end of a stream.

use std::fmt;
use std::future::poll_fn;
use std::iter::FusedIterator;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::error::{Error, TimedOut};
use crate::pool::blocking::cancel_forwarder::CancelForwarder;
use crate::pool::blocking::local;
use crate::pool::blocking::release::{OfTracker, PermitsReleased};
use crate::pool::context::thread;
use crate::pool::handle::cancel_on_drop::CancelOnDrop;
use crate::pool::handle::stream::channel::Channel;
use crate::pool::handle::stream::sender::StreamSender;
use crate::pool::handle::task::TaskHandle;
use crate::sync::fork;
use crate::sync::os::Arc;
use crate::wait::graph::{ClosesCircle, Ends, Label, Target};
use crate::wait::park;

/// The items that a task sends, in order; made by [`PoolManager::stream`](crate::PoolManager::stream).
///
/// It is an iterator that blocks, has [`next_async`](Self::next_async), and with the feature `stream` is a
/// `futures::Stream`. The task runs as far ahead of its reader as the buffer has capacity.
///
/// After the items of a task that returns `Ok` the stream ends. In every other case (the task's own error, a panic, a
/// cancel, a send that failed) the last item is the error. So a stream that ends without an error is whole.
///
/// Its drop cancels the task, whose next send fails, and does not wait for it.
#[must_use = "dropping the stream cancels its task"]
pub struct TaskStream<T, E> {
    channel: Arc<Channel<T>>,
    /// `None` once the task has ended and its error was yielded.
    task: Option<CancelOnDrop<TaskHandle<Result<(), E>>>>,
}

/// An item, the error at the end, or the end.
type Next<T, E> = Option<Result<T, E>>;

/// A stream whose task is not submitted yet.
pub(crate) struct Unstarted<T>(Arc<Channel<T>>);

/// Makes the two ends.
pub(crate) fn new<T>(capacity: usize) -> (Unstarted<T>, StreamSender<T>) {
    let channel = Arc::new(Channel::new(capacity));
    let sender = StreamSender::new(&channel);
    (Unstarted(channel), sender)
}

impl<T> Unstarted<T> {
    pub(crate) fn of<E>(self, task: TaskHandle<Result<(), E>>) -> TaskStream<T, E> {
        TaskStream { channel: self.0, task: Some(task.cancel_on_drop()) }
    }
}

impl<T, E: From<Error>> TaskStream<T, E> {
    /// Returns the next item, waiting at most `d`; `Ok(None)` at the end.
    ///
    /// # Errors
    /// [`TimedOut`] when there is none by then; the stream is unchanged, and the next call waits on.
    pub fn next_timeout(&mut self, d: Duration) -> Result<Option<Result<T, E>>, Error> {
        self.next_by(park::after(d)).map_err(Error::from)
    }

    /// Returns the next item without blocking the runtime; `None` at the end. The future may be dropped at any time without
    /// losing an item.
    ///
    /// ```
    /// # use heirloom::{PoolConfig, Scope};
    /// # let scope = Scope::new("doc");
    /// # let pool = scope.create("work");
    /// # pool.start(PoolConfig::leased(1))?;
    /// let mut countdown = pool.stream(|out| (1..=3).rev().try_for_each(|n| out.send(n)))?;
    /// let sum = futures::executor::block_on(async { // on any runtime
    ///     let mut sum = 0;
    ///     while let Some(n) = countdown.next_async().await {
    ///         sum += n?;
    ///     }
    ///     Ok::<_, heirloom::Error>(sum)
    /// })?;
    /// assert_eq!(sum, 6);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub async fn next_async(&mut self) -> Option<Result<T, E>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Polls for the next item, as a stream is polled. `None` at the end.
    ///
    /// The poll never runs the task in place. Inside a task of the same pool, a foreign executor's `block_on` around it
    /// keeps the permit that the stream's task may need; [`heirloom::block_on`](crate::block_on()) releases it.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, E>>> {
        if self.is_the_parents() {
            return Poll::Ready(self.end_in_fork());
        }
        if !self.is_ready()
            && let Some(error) = self.task.as_ref().and_then(|task| task.awaited.needs_a_state_held_here())
        {
            return Poll::Ready(self.end_with(error.into()));
        }
        self.look(cx.waker(), false)
    }

    /// Takes the next item, or the end. Otherwise the waker is woken when there may be one. `ours` says that it is the waker
    /// of a blocked thread of this crate.
    fn look(&mut self, waker: &Waker, ours: bool) -> Poll<Next<T, E>> {
        let Some(task) = &self.task else { return Poll::Ready(None) };
        if let Some(item) = self.channel.pop() {
            return Poll::Ready(Some(Ok(item)));
        }
        self.channel.register_reader(waker);
        let goes_on = task.awaited.task.register(waker, ours);
        // Registered first, and then a look: see `Channel`.
        match self.channel.pop() {
            Some(item) => Poll::Ready(Some(Ok(item))),
            None if goes_on => Poll::Pending,
            None => Poll::Ready(self.end()),
        }
    }

    /// Whether a look would find an item or the end.
    fn is_ready(&self) -> bool {
        self.task.as_ref().is_none_or(|task| task.is_finished()) || !self.channel.is_empty()
    }

    /// Waits for the next item; the error is the deadline's.
    fn next_by(&mut self, deadline: Option<Instant>) -> Result<Next<T, E>, TimedOut> {
        if self.is_the_parents() {
            return Ok(self.end_in_fork());
        }
        if !self.is_ready() {
            if let Some(error) = self.task.as_ref().and_then(|task| task.awaited.never_ends()) {
                return Ok(self.end_with(error.into()));
            }
            park::spin_until(|| self.is_ready());
        }
        if self.is_ready()
            && let Poll::Ready(next) = self.look(&park::waker(), true)
        {
            return Ok(next);
        }
        match self.block(deadline) {
            Ok(next) => next.ok_or(TimedOut),
            Err(why) => {
                let error = self.task.as_ref().map(|task| task.awaited.would_deadlock(why));
                Ok(error.and_then(|error| self.end_with(error.into())))
            }
        }
    }

    /// Blocks for the next item. `Ok(None)` at the deadline. The error is the circle that the wait would close.
    #[inline(never)]
    fn block(&mut self, deadline: Option<Instant>) -> Result<Option<Next<T, E>>, ClosesCircle> {
        let Some(target) = self.task.as_ref().map(|task| task.awaited.target()) else { return Ok(Some(None)) };
        let (on, label, ends) = (Target::Task(target), Label::Task, Ends::WhenTold);
        if thread::is_any_local() {
            // The task may need this very thread.
            let next = poll_fn(|cx| self.look(cx.waker(), false));
            return local::run_meanwhile(OfTracker { on, label, ends }, deadline, next);
        }
        let mut released = PermitsReleased::begin_until(deadline);
        if deadline.is_none() {
            released.waits_for(on, label, ends)?;
        }
        let (mut next, mut forwarder) = (None, None);
        park::block_until(deadline, |waker| {
            if let Some(task) = &self.task {
                forwarder.get_or_insert_with(CancelForwarder::new).poll(waker, || {
                    task.cancel();
                });
            }
            if let Poll::Ready(ready) = self.look(waker, true) {
                next = Some(ready);
            }
            next.is_some() || released.is_refused()
        });
        match released.refusal() {
            Some(why) if next.is_none() => Err(why),
            _ => Ok(next),
        }
    }

    /// Ends the stream of a task that has ended.
    fn end(&mut self) -> Next<T, E> {
        let ended = self.task.take()?.into_inner().join();
        match ended {
            Ok(Ok(())) => self.channel.was_cut_short().map(|why| Err(Error::from(why).into())),
            Ok(Err(error)) => Some(Err(error)),
            Err(error) => Some(Err(error.into())),
        }
    }

    /// Ends the stream in a fork's child, and leaves the task and the channel alone.
    fn end_in_fork(&mut self) -> Next<T, E> {
        let error = self.task.take()?.awaited.is_the_parents()?;
        Some(Err(Error::from(error).into()))
    }

    /// Ends the stream of a task that cannot be waited for, and cancels the task.
    fn end_with(&mut self, error: Error) -> Next<T, E> {
        let items = self.channel.drop_reader();
        self.task = None;
        drop(items);
        Some(Err(error.into()))
    }
}

impl<T, E: From<Error>> Iterator for TaskStream<T, E> {
    type Item = Result<T, E>;

    /// Waits for the next item. The running task releases its permit meanwhile, and a cancel of the caller is passed on to
    /// the stream's task.
    fn next(&mut self) -> Option<Result<T, E>> {
        self.next_by(None).unwrap_or(None)
    }
}

impl<T, E: From<Error>> FusedIterator for TaskStream<T, E> {}

impl<T, E> TaskStream<T, E> {
    /// Whether this is a fork's child, where the task does not end, and may hold a lock of the channel.
    fn is_the_parents(&self) -> bool {
        fork::is_fork() && self.task.as_ref().is_some_and(|task| !task.is_finished())
    }
}

// No field is pinned.
impl<T, E> Unpin for TaskStream<T, E> {}

impl<T, E> Drop for TaskStream<T, E> {
    fn drop(&mut self) {
        if fork::is_fork() {
            return;
        }
        // Before the cancel, so that a task that sees the cancel sees a closed stream, too.
        let items = self.channel.drop_reader();
        if let Some(task) = &self.task {
            task.cancel();
        }
        drop(items);
    }
}

impl<T, E> fmt::Debug for TaskStream<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskStream").field("ended", &self.task.is_none()).finish_non_exhaustive()
    }
}
