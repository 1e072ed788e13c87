//! [`ExitGuard`]: drains the joining pools at the end of `main`.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::exit::drain::{drain, drain_async};

/// Drains the joining pools when dropped; made by [`exit_guard`].
#[must_use = "dropping it drains the joining pools at once; keep it until the end of `main`"]
#[derive(Debug)]
pub struct ExitGuard {
    _private: (),
}

/// Returns a guard for the top of `main`, whose drop drains the joining pools.
///
/// When the guard is dropped, at the end of `main` or while it unwinds, joining pools refuse new tasks and finish their
/// accepted ones. The drop blocks for that time, within [`exit_timeout`](crate::exit_timeout). A cancelled task is
/// waited for during [`exit_grace`](crate::exit_grace) only.
///
/// ```
/// // fn main() {
/// let _exit = heirloom::exit_guard();
/// // … everything else
/// // }
/// ```
///
/// # In an async `main`
/// The drop of a guard at the end of an async `main` blocks that thread. On a `current_thread` runtime it is the only
/// one, and no future goes on there: a task that waits for one behind a `Portal` is refused
/// ([`ErrorKind::WouldDeadlock`](crate::ErrorKind::WouldDeadlock)), and ends with that error. So an async `main` ends with
/// [`drain_async`](ExitGuard::drain_async), or is run by [`run_main_async`]; then such tasks complete.
///
/// Without the guard, and for `std::process::exit`, a hook does the same on Unix as well as it can. A task on the
/// exiting thread's own stack ends with an error for its waiters, joining pools are drained, and every 5 s a line on
/// stderr names the awaited pools.
///
/// # Limits of the hook
/// A task that itself calls `exit` while the hook waits. C libraries torn down before the hook runs. On Windows the
/// system ends all other threads before any hook, so only the guard helps there. `abort`, a fatal signal and a panic
/// under `panic = "abort"` run no hook, and drop no guard, anywhere.
pub fn exit_guard() -> ExitGuard {
    ExitGuard { _private: () }
}

/// Runs a program's `main`, then drains as [`exit_guard`] does. Returns the value of `main`.
///
/// ```
/// use heirloom::PoolConfig;
///
/// let mail = heirloom::create("mail");
/// mail.start(PoolConfig::leased(1))?;
/// let done = heirloom::run_main(|| mail.submit(|| "sent"))?; // no code joins it
/// assert!(done.is_finished()); // drained before `run_main` returned
/// # Ok::<(), heirloom::Error>(())
/// ```
pub fn run_main<T>(f: impl FnOnce() -> T) -> T {
    let _exit = exit_guard();
    f()
}

/// Awaits a program's async `main`, then drains as [`ExitGuard::drain_async`] does.
///
/// Returns the value of `main`. A panic of `main` goes on after the drain. Dropping this future before it is ready
/// drops `main`'s future, and drains as the drop of an [`ExitGuard`] does, which blocks.
///
/// ```
/// use heirloom::PoolConfig;
///
/// // #[tokio::main]
/// async fn main_async() -> Result<(), heirloom::Error> {
///     let done = heirloom::run_main_async(async {
///         let mail = heirloom::create("mail");
///         mail.start(PoolConfig::leased(1))?;
///         mail.submit(|| "sent") // no code awaits it
///     });
///     assert!(done.await?.is_finished());
///     Ok(())
/// }
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(main_async())?;
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub async fn run_main_async<F: Future>(main: F) -> F::Output {
    let exit = exit_guard();
    let out = async {
        let mut main = pin!(main);
        poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| main.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Ok),
            Err(payload) => Poll::Ready(Err(payload)),
        })
        .await
    };
    let out = out.await;
    exit.drain_async().await;
    out.unwrap_or_else(|payload| resume_unwind(payload))
}

impl ExitGuard {
    /// Drains without blocking, at the end of an async `main`.
    ///
    /// The runtime goes on meanwhile, and runs the futures that the pools' tasks wait for there. The limits are those
    /// of dropping the guard. If this future is dropped early, it drains as the guard's drop does, which blocks.
    ///
    /// ```
    /// // #[tokio::main]
    /// // async fn main() {
    /// # async fn main_async() {
    /// let exit = heirloom::exit_guard();
    /// // … everything else
    /// exit.drain_async().await;
    /// # }
    /// # futures::executor::block_on(main_async());
    /// // }
    /// ```
    pub async fn drain_async(self) {
        drain_async().await;
        std::mem::forget(self);
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        drain();
    }
}
