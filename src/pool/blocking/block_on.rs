//! [`block_on`]: a future as one of heirloom's waits.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::error::Error;
use crate::lineage::current;
use crate::pool::blocking::cancel_listener::CancelListener;
use crate::pool::blocking::polled;
use crate::pool::blocking::release::PermitsReleased;
use crate::pool::blocking::woken::Woken;
use crate::pool::context::interrupted;
use crate::runtime;
use crate::wait::graph::{Ends, Label, Target};
use crate::wait::park;

/// Runs a future on this thread until it is ready or the caller is cancelled.
///
/// For async calls of code that blocks, such as a pool's task that sends into an async channel. It waits as heirloom's
/// other waits do: the thread parks while the future is pending, the running task releases its permit meanwhile, and a
/// cancel interrupts the wait, as it interrupts [`sleep`](crate::sleep). A cancel never interrupts
/// [`blocking`](crate::blocking).
///
/// The future is polled here, at the caller's node, so it needs to be neither `Send` nor `'static`, and it may block or
/// wait itself. It is dropped here too, before this returns. Its panic unwinds into the caller.
///
/// No runtime is needed, and none is made: a future that needs one (tokio's timers and sockets) goes to
/// `Portal::block_on`. On a runtime's thread this blocks the thread, like every wait that has no `.await`: there,
/// `.await` the future. This wait is never refused as a part of a [circle](crate::Circle). Where the future waits for
/// tasks alone, the circle's other waits are refused.
///
/// ```
/// use futures::{SinkExt, StreamExt, channel::mpsc};
/// use heirloom::{PoolConfig, Scope};
///
/// let scope = Scope::new("doc");
/// let work = scope.create("work");
/// work.start(PoolConfig::leased(1))?;
/// let (mut parcels, mut taken) = mpsc::channel(0);
/// let sends = work.submit(move || -> Result<_, heirloom::Error> {
///     for n in 1.. {
///         heirloom::block_on(parcels.send(n))?.expect("it is taken"); // waits while the channel is full
///     }
///     Ok(())
/// })?;
/// assert_eq!(heirloom::block_on(taken.next())?, Some(1));
/// assert_eq!(work.run(|| "another task")?, "another task"); // the only permit is released
/// sends.cancel();
/// assert!(sends.join()?.is_err());
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// # Errors
/// [`Cancelled`](crate::Cancelled), at once or when the cancel comes. A caller that was cancelled before gets it without a
/// poll. A future that a poll finds ready is returned, also when the caller is cancelled meanwhile.
///
/// # Cost
/// One allocation. With the first pending poll the running task becomes a node of the tree, in one or two microseconds.
/// Each further pending poll costs one park and one unpark of a thread.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, Error> {
    if interrupted::cancel_requested() {
        return Err(interrupted::cancelled().into());
    }
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
        // The running task is a node by now, so its node receives every cancel of the task. A thread that stands at no
        // node cannot be cancelled, and gets no listener.
        let cancel_listener: &mut Option<CancelListener> =
            cancel_listener.get_or_insert_with(|| current::stands().then(CancelListener::new));
        let mut cancel_requested = |thread: &Waker| {
            cancel_listener.as_mut().is_some_and(|it| it.poll(thread, CancelListener::cancel_requested))
        };
        // Also where the future wakes itself again and again.
        if cancel_requested(&park::waker()) {
            return Err(interrupted::cancelled().into());
        }
        if woken.is_set() {
            continue;
        }
        let _released = release(polled::first_of(woken.only(&left_with)));
        park::block_until(None, |thread| woken.is_set() || cancel_requested(thread));
    }
}

/// Releases the permits while the thread sleeps. They are held while the future is polled.
fn release(on: Option<Target>) -> PermitsReleased {
    // A wait that no error can end is never refused.
    let known = on.and_then(|on| PermitsReleased::begin_for(on, Label::Task, Ends::Never).ok());
    known.unwrap_or_else(PermitsReleased::begin)
}
