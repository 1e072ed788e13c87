//! [`block_on`]: a future as one of heirloom's waits.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::error::Cancelled;
use crate::lineage::current;
use crate::pool::blocking::cancel_listener::CancelListener;
use crate::pool::blocking::polled;
use crate::pool::blocking::release::PermitsReleased;
use crate::pool::blocking::woken::Woken;
use crate::pool::context::interrupted;
use crate::runtime;
use crate::wait::graph::{Ends, Label, Target};
use crate::wait::park;

/// Runs a future on this thread until it is ready, or until a cancel comes.
///
/// For async calls of code that blocks, such as a pool's task that sends into an async channel. It waits as heirloom's other
/// waits do: the thread parks while the future is pending, the running task releases its permit meanwhile, and a cancel
/// interrupts the wait, as it interrupts [`sleep`](crate::sleep). [`blocking`](crate::blocking) is interrupted by nothing.
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
/// assert_eq!(work.run(|| "another task")?, "another task"); // the only permit is released
/// sends.cancel();
/// assert!(sends.join()?.is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Cancelled`], at once or when the cancel comes. One that was cancelled before polls nothing. A future that is ready when it
/// is polled is returned all the same.
///
/// # Cost
/// One allocation. With the first poll that is pending the running task becomes a node of the tree, in one or two
/// microseconds; each further one costs what it costs to park a thread and to unpark it.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, Cancelled> {
    if interrupted::cancel_requested() {
        return Err(interrupted::cancelled());
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
