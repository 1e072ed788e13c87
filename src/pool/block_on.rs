//! [`block_on`]: a future as one of heirloom's waits.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::cancel::checkpoint;
use crate::error::Cancelled;
use crate::lineage::current;
use crate::pool::cancel_listener::CancelListener;
use crate::pool::interrupted;
use crate::pool::park;
use crate::pool::polled;
use crate::pool::wait::PermitsReleased;
use crate::pool::woken::Woken;
use crate::runtime;
use crate::waits::{Ends, Label, Target};

/// Runs a future on this thread until it is ready, or until the running task or thread is asked to stop.
///
/// For async calls of code that blocks, such as a pool's task that sends into an async channel. It waits as heirloom's other
/// waits do: the thread sleeps while there is nothing to poll, a task gives its place to the next one of its pool
/// meanwhile, and a request to stop ends the wait, as it ends [`sleep`](crate::sleep). Code in [`blocking`](crate::blocking)
/// hears of no request.
///
/// The future is polled here, where the code stands, so it needs to be neither `Send` nor `'static`, and it may block or
/// wait itself. It is dropped here too, before this returns. A panic in it goes on to the caller.
///
/// No runtime is needed, and none is made: a future that needs one (tokio's timers and sockets) goes to
/// `Portal::block_on`. On a runtime's thread this blocks the thread, like every wait that has no `.await`: there, `.await`
/// the future. A wait that could never end is no error of this one. Where the future waits for tasks alone, the other waits
/// of its [circle](crate::Circle) are told.
///
/// ```
/// use futures::{SinkExt, StreamExt, channel::mpsc};
/// use heirloom::{PoolConfig, Scope};
///
/// let scope = Scope::new("doc");
/// let work = scope.create("work");
/// work.start(PoolConfig::leased(1))?;
/// let (mut parcels, mut taken) = mpsc::channel(0);
/// let sends = work.submit(move || -> Result<_, heirloom::Cancelled> {
///     for n in 1.. {
///         heirloom::block_on(parcels.send(n))?.expect("it is taken"); // waits while the channel is full
///     }
///     Ok(())
/// })?;
/// assert_eq!(heirloom::block_on(taken.next())?, Some(1));
/// assert_eq!(work.run(|| "another task")?, "another task"); // the only place is given released
/// sends.cancel();
/// assert!(sends.join()?.is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Cancelled`], at once or when the request comes; a future that is ready then is not asked any more, and one that was not
/// polled never is.
///
/// # Cost
/// A poll costs about 0.1 µs more than the future's own. One that is pending has the running task become a node of the
/// tree, once, and each sleep costs what a thread's sleep and wake do.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, Cancelled> {
    checkpoint()?;
    let mut future = pin!(future);
    let woken = Woken::new(park::waker());
    let waker = Waker::from(woken.clone());
    let mut cancel_listener = None;
    let mut left_with = Vec::new();
    loop {
        if woken.take() {
            let poll = || runtime::poll(future.as_mut(), &mut Context::from_waker(&waker));
            let (polled, left) = polled::polling(&waker, poll);
            if let Poll::Ready(out) = polled {
                return Ok(out);
            }
            left_with = left;
        }
        // The node hears of whatever is asked of the task, since it is one now. Where nobody can be asked, nobody is heard.
        let cancel_listener: &mut Option<CancelListener> =
            cancel_listener.get_or_insert_with(|| current::stands().then(CancelListener::new));
        let mut cancel_requested = |thread: &Waker| {
            cancel_listener.as_mut().is_some_and(|it| it.poll(thread, CancelListener::cancel_requested))
        };
        // Also where it wakes itself again and again.
        if cancel_requested(&park::waker()) {
            return Err(interrupted::cancelled());
        }
        if woken.is_set() {
            continue;
        }
        let _away = give_away(polled::first_of(woken.only(&left_with)));
        park::block_until(None, |thread| woken.is_set() || cancel_requested(thread));
    }
}

/// The permits are given away while the thread sleeps, and not while the future is polled.
fn give_away(on: Option<Target>) -> PermitsReleased {
    // A caller that can be told nothing is refused nothing.
    let known = on.and_then(|on| PermitsReleased::begin_for(on, Label::Task, Ends::Never).ok());
    known.unwrap_or_else(PermitsReleased::begin)
}
