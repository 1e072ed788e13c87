//! [`StreamSender`]: the task's end of a stream.

use std::fmt;

use crate::error::{CancelReason, Cancelled, Error};
use crate::lineage::current;
use crate::lineage::node::NodeRef;
use crate::pool::blocking::cancel_listener::CancelListener;
use crate::pool::blocking::release::PermitsReleased;
use crate::pool::context::interrupted;
use crate::pool::handle::stream::at_exit;
use crate::pool::handle::stream::channel::{Channel, Unsent};
use crate::sync::os::Arc;
use crate::wait::park;

/// Sends a task's items to the reader of its [`TaskStream`](crate::TaskStream).
///
/// The task's closure gets it by reference, so the stream ends with the closure. Tasks of a borrowing scope may share it.
pub struct StreamSender<T>(Arc<Channel<T>>);

impl<T> StreamSender<T> {
    pub(super) fn new(channel: &Arc<Channel<T>>) -> Self {
        Self(Arc::clone(channel))
    }

    /// Sends an item. Blocks while the buffer is full.
    ///
    /// The wait is one of heirloom's: the running task releases its permit meanwhile, and a cancel interrupts it. Each send
    /// is a [`checkpoint`](crate::checkpoint) too, so a task that sends needs no other.
    ///
    /// # Errors
    /// A [cancel](Error::is_cancelled), when the task was cancelled, its reader was dropped, or the thread of its reader ends the
    /// process and no other task is left. The item is dropped. A task
    /// that returns `Ok` all the same has not sent everything, and its reader gets an error at the end.
    ///
    /// # Cost
    /// Two short locks, and where the buffer is full one park of the thread.
    pub fn send(&self, item: T) -> Result<(), Error> {
        let sent = if interrupted::cancel_requested() { None } else { self.send_unless_cancelled(item) };
        sent.ok_or_else(|| {
            let why = match self.0.reader_exits() {
                true => Cancelled::new(CancelReason::Shutdown, NodeRef::PROCESS.node()),
                false => interrupted::cancelled(),
            };
            self.0.cut_short(&why);
            why.into()
        })
    }

    /// Returns whether the reader was dropped, so that no item would be read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.0.has_reader()
    }

    fn send_unless_cancelled(&self, item: T) -> Option<()> {
        match self.0.try_send(item) {
            Ok(()) => Some(()),
            Err(Unsent::ReaderDropped) => None,
            Err(Unsent::Full(item)) => self.send_waiting(item),
        }
    }

    #[cold]
    fn send_waiting(&self, item: T) -> Option<()> {
        // The running task is a node from here on, so its node receives every cancel of the task. A thread that stands at
        // no node cannot be cancelled, and gets no listener.
        let mut cancel_listener = current::stands().then(CancelListener::new);
        let registered = self.0.register_sender();
        let _released = PermitsReleased::begin();
        let _counted = at_exit::Waits::begin();
        let (mut unsent, mut sent) = (Some(item), None);
        park::block_until(None, |waker| {
            // Registered first, and then a look: see `Channel`.
            registered.set(waker);
            let listener = cancel_listener.as_mut();
            let cancelled = listener.is_some_and(|it| it.poll(waker, CancelListener::cancel_requested));
            if cancelled || self.0.reader_exits() {
                return true;
            }
            let Some(item) = unsent.take() else { return true };
            match self.0.try_send(item) {
                Ok(()) => {
                    sent = Some(());
                    true
                }
                Err(Unsent::ReaderDropped) => true,
                Err(Unsent::Full(item)) => {
                    unsent = Some(item);
                    false
                }
            }
        });
        sent
    }
}

impl<T> fmt::Debug for StreamSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSender").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}
