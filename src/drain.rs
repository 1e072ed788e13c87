//! [`Drain`]: the end of a server or a program in one call, within one deadline.

mod stopping;
mod watchdog;

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

pub use self::stopping::Stopping;

use crate::error::CancelReason;
use crate::exit::settings::{ExitPolicy, on_exit};
use crate::lineage::handle::{Lineage, current};
use crate::registry::registry::Registry;
use crate::registry::shutdown::ShutdownReport;
use crate::sync::unwind::swallow;
use crate::timer::within::within;
use crate::wait::park;

/// Ends a server in order: a signal, a grace for open requests, a cancel, a report; all within one deadline.
///
/// 1. At the signal the server stops accepting. Open requests go on, and may still submit.
/// 2. After the [`grace`](Self::grace), half of the time by default, every scope of the family is cancelled: queued tasks
///    end at once, and running code sees the request at its next [`checkpoint`](crate::checkpoint). Its
///    [reason](crate::Cancelled::reason) is [`Shutdown`](CancelReason::Shutdown).
/// 3. All pools are closed, and the joining ones are awaited until the deadline. So are the servings of the feature `remote`:
///    they take no job any more, and tell the ends of their jobs. At the deadline they give up the jobs that are left: repeatable
///    ones, and those that have not begun, go to another worker, and the handles of the others learn at once that they are lost.
/// 4. The report names each task that remains. The exit of the process abandons these tasks, and with
///    [`kill`](Self::kill) the process ends also where `main` hangs.
///
/// Each step ends as soon as nothing is left to wait for, so an idle server ends at the signal. The family is that of the
/// node at which the `Drain` is made; [`cancel`](Self::cancel) chooses what the second step cancels.
///
/// Keep the scopes of a server (one for each tenant, say) in `main`, until after the drain. axum drops the router, with
/// its state and its layers, when `serve` ends; a dropped scope cancels its tasks, and then the report names none of them.
///
/// ```
/// use std::time::Duration;
/// use axum::{Router, routing::get};
/// use heirloom::Drain;
///
/// # #[tokio::main(flavor = "current_thread")]
/// async fn main() -> std::io::Result<()> {
///     let app = Router::new().route("/", get(async || "hello"));
///     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
///     let signal = async { /* or `heirloom::terminated()` */ };
///     let drained = Drain::within(Duration::from_secs(10))
///         .serve(signal, |stopping| axum::serve(listener, app).with_graceful_shutdown(stopping))
///         .await;
///     println!("{drained}");
///     assert!(drained.is_complete());
///     drained.server.unwrap_or(Ok(())) // the server's own result
/// }
/// ```
///
/// # Without a server
/// [`end`](Self::end) and [`end_async`](Self::end_async) do the steps from the second on, for a program that has seen its
/// own signal.
#[derive(Debug)]
#[must_use = "a drain does nothing until `serve`, `end` or `end_async` is called"]
pub struct Drain {
    time: Duration,
    grace: Option<Duration>,
    registry: Registry,
    /// What is cancelled. Empty: every scope of the family.
    cancels: Vec<Lineage>,
    kill: Option<i32>,
}

/// How a [`Drain`] went.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "the report says whether anything still runs"]
pub struct Drained<T> {
    /// The server's output. `None` when the server had not ended at the deadline: it was dropped then.
    pub server: Option<T>,
    /// Whether open work was cancelled, because it had not ended within the grace.
    pub cancelled: bool,
    /// How each pool ended, and which tasks remain.
    pub pools: ShutdownReport,
    /// The time from the signal, or from the server's own end, to the report.
    pub took: Duration,
}

impl Drain {
    /// Returns a drain that takes at most `time` from the signal to the report.
    pub fn within(time: Duration) -> Self {
        let registry = Registry::of(&current());
        Self { time, grace: None, registry, cancels: Vec::new(), kill: None }
    }

    /// Sets how long open requests and accepted tasks may go on after the signal, before they are cancelled.
    ///
    /// Half of the whole time by default. A grace of the whole time or more cancels nothing.
    pub fn grace(mut self, time: Duration) -> Self {
        self.grace = Some(time);
        self
    }

    /// Cancels this node after the grace, and what is below it, instead of every scope. May be called for several nodes.
    ///
    /// For a program with scopes whose work must go on to the deadline.
    pub fn cancel(mut self, at: &Lineage) -> Self {
        self.cancels.push(at.clone());
        self
    }

    /// Ends the process with this exit code one second after the deadline, if it has not ended by then.
    ///
    /// For a `main` that hangs after the report: tokio's runtime waits in its drop for the closures of `spawn_blocking`,
    /// and a destructor may wait for a task that no cancel reaches. A line on stderr says so. On Unix no handler of the exit
    /// runs then, and no buffer is flushed. One thread waits for that moment from the signal on.
    pub fn kill(mut self, exit_code: i32) -> Self {
        self.kill = Some(exit_code);
        self
    }

    /// Runs a server until the signal, and ends it.
    ///
    /// `server` gets the future that becomes ready when the server is to stop accepting, and returns the server's future:
    /// `axum::serve(…).with_graceful_shutdown(stopping)`, or tonic's `serve_with_shutdown(address, stopping)`. The
    /// server runs inside of this future, on any runtime. A server that ends by itself ends the drain's first step too.
    ///
    /// The cancel drops the closures of queued tasks on the thread that polls this future. Dropping this future drops the
    /// server, and ends nothing else.
    pub async fn serve<S: IntoFuture>(
        self,
        signal: impl Future<Output = ()>,
        server: impl FnOnce(Stopping) -> S,
    ) -> Drained<S::Output> {
        let stop = stopping::Stop::new();
        let mut future = Box::pin(server(stop.stopping()).into_future());
        let mut signal = pin!(signal);
        let ended = poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(out) => Poll::Ready(Some(out)),
            Poll::Pending => signal.as_mut().poll(cx).map(|()| None),
        });
        let by_itself = ended.await;
        let run = self.begin();
        stop.stop();
        let mut cancelled = false;
        let server = match by_itself {
            Some(out) => Some(out),
            None => match within(run.grace, &mut future).await {
                Some(out) => Some(out),
                // The grace was the whole time, or the executor polls late.
                None if run.is_past_deadline() => None,
                None => {
                    cancelled = run.cancel_rest();
                    within(run.deadline, &mut future).await
                }
            },
        };
        drop(future);
        let (pools, cancelled) = run.end_async(cancelled).await;
        Drained { server, cancelled, pools, took: run.began.elapsed() }
    }

    /// Closes all pools, and waits for the accepted tasks; cancels what is left after the grace, and reports.
    ///
    /// For a program without a server that has seen its signal. Blocks the calling thread until nothing is left to wait
    /// for, or until the deadline. A pool of which the caller is a task is not waited for.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heirloom::{Drain, PoolConfig, Registry};
    ///
    /// let family = Registry::new(); // a program has one family, the process
    /// let _at = family.root().enter();
    /// let mail = heirloom::create("mail");
    /// mail.start(PoolConfig::leased(2))?;
    /// drop(mail.submit(|| "sent")?);
    /// let drained = Drain::within(Duration::from_secs(10)).end();
    /// assert!(drained.is_complete(), "{drained}");
    /// assert_eq!(drained.pools.pools[0].report.completed, 1);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn end(self) -> Drained<()> {
        let run = self.begin();
        let mut pools = run.registry().shutdown_timeout(left(run.grace));
        let mut cancelled = false;
        if !pools.is_complete() && !run.is_past_deadline() {
            cancelled = run.cancel_rest();
            pools = run.registry().shutdown_timeout(left(run.deadline));
        }
        run.finish(&pools);
        Drained { server: Some(()), cancelled, pools, took: run.began.elapsed() }
    }

    /// As [`end`](Self::end), without blocking the runtime.
    ///
    /// Dropping the future stops only the wait: the pools stay closed.
    pub async fn end_async(self) -> Drained<()> {
        let run = self.begin();
        let (pools, cancelled) = run.end_async(false).await;
        Drained { server: Some(()), cancelled, pools, took: run.began.elapsed() }
    }

    fn begin(self) -> Run {
        let began = Instant::now();
        let deadline = park::after(self.time);
        let grace = park::after(self.grace.unwrap_or(self.time / 2).min(self.time));
        if let Some(code) = self.kill {
            watchdog::arm(self.time, code);
        }
        Run { drain: self, began, grace, deadline }
    }
}

/// A drain that has begun, with its moments. `None`: too far away to be a moment.
struct Run {
    drain: Drain,
    began: Instant,
    grace: Option<Instant>,
    deadline: Option<Instant>,
}

impl Run {
    fn registry(&self) -> &Registry {
        &self.drain.registry
    }

    fn is_past_deadline(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    async fn end_async(&self, mut cancelled: bool) -> (ShutdownReport, bool) {
        let first = if cancelled { self.deadline } else { self.grace };
        let mut pools = self.registry().shutdown_timeout_async(left(first)).await;
        if !cancelled && !pools.is_complete() && !self.is_past_deadline() {
            cancelled = self.cancel_rest();
            pools = self.registry().shutdown_timeout_async(left(self.deadline)).await;
        }
        self.finish(&pools);
        (pools, cancelled)
    }

    /// Cancels the chosen nodes, or every scope of the family. Returns true.
    fn cancel_rest(&self) -> bool {
        // A subscriber is user code.
        swallow(|| tracing::warn!(target: "heirloom", "a drain cancels the work that has not ended within its grace"));
        // A job that comes later would be cancelled here, instead of run by another worker.
        self.registry().close_intakes();
        match self.drain.cancels.as_slice() {
            [] => self.registry().cancel_scopes(),
            chosen => {
                for at in chosen {
                    at.cancel_for(CancelReason::Shutdown);
                }
            }
        }
        true
    }

    /// The deadline has passed, or no task is left: the exit waits for nothing more.
    fn finish(&self, pools: &ShutdownReport) {
        if !pools.is_complete() {
            self.registry().give_up_intakes();
        }
        if self.registry().root() == Lineage::process() {
            on_exit(ExitPolicy::Abandon);
        }
    }
}

fn left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
}

impl<T> Drained<T> {
    /// Returns whether the server has ended, and every task of a joining pool and all spawned work.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.server.is_some() && self.pools.is_complete()
    }
}

impl<T> fmt::Display for Drained<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = if self.server.is_some() { "" } else { ", the server had not ended" };
        let cancelled = if self.cancelled { ", open work was cancelled" } else { "" };
        write!(f, "ended after {:.1?}{server}{cancelled}: {}", self.took, self.pools)
    }
}
