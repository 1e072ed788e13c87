//! [`Channel`]: the bounded buffer between a task and the reader of its items.
//!
//! # The race to fear
//! A sender finds the buffer full and parks just after the reader took an item; or the reader finds it empty and parks just
//! after a send. Neither can happen: each side registers its waker first, then looks; the other changes the buffer first, then
//! wakes. The task's end is the other wake of the reader: a reader that finds the task done looks at the buffer once more,
//! since all sends of the task come before its end.

use std::collections::VecDeque;
use std::task::Waker;

use crate::error::Cancelled;
use crate::lineage::current;
use crate::pool::context::thread;
use crate::pool::handle::stream::at_exit;
use crate::sync::fork;
use crate::sync::os::Mutex;
use crate::wait::waker_set::{RegisteredWaker, WakerSet};

pub(super) struct Channel<T> {
    state: Mutex<State<T>>,
    /// The most items to hold.
    capacity: usize,
    senders: WakerSet,
    reader: WakerSet,
    /// The reader's place in its set.
    reader_at: usize,
    /// The process that made it; a fork has no reader.
    generation: u64,
}

struct State<T> {
    items: VecDeque<T>,
    reader_dropped: bool,
    /// The error of a send that failed, so the items are not all.
    cut_short: Option<Cancelled>,
    /// The number of the thread that made the stream, or that looked for an item last.
    read_by: usize,
}

/// An item that was not sent.
pub(super) enum Unsent<T> {
    /// The buffer has no capacity.
    Full(T),
    /// No code reads any more.
    ReaderDropped,
}

impl<T> Channel<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let reader = WakerSet::new();
        let reader_at = reader.insert();
        let read_by = current::thread_number();
        let state = State { items: VecDeque::new(), reader_dropped: false, cut_short: None, read_by };
        let (state, senders, generation) = (Mutex::new(state), WakerSet::new(), fork::generation());
        Self { state, capacity: capacity.max(1), senders, reader, reader_at, generation }
    }

    pub(super) fn try_send(&self, item: T) -> Result<(), Unsent<T>> {
        let mut state = self.state.lock();
        if state.reader_dropped || self.generation != fork::generation() {
            drop(state);
            return Err(Unsent::ReaderDropped);
        }
        if state.items.len() >= self.capacity && !self.is_above_the_reader(&state) {
            return Err(Unsent::Full(item));
        }
        state.items.push_back(item);
        drop(state);
        self.reader.wake_all();
        Ok(())
    }

    /// Whether the calling task runs on the reader's thread, on top of the reader's code, as a local pool's tasks and pieces
    /// of a work-stealing pool may. A wait for the reader would never end there, so the buffer grows.
    fn is_above_the_reader(&self, state: &State<T>) -> bool {
        (thread::is_any_local() || thread::is_stealing()) && state.read_by == current::thread_number()
    }

    /// Registers a sender that waits for capacity.
    pub(super) fn register_sender(&self) -> RegisteredWaker<'_> {
        self.senders.register()
    }

    /// Notes that an item was not sent.
    pub(super) fn cut_short(&self, why: &Cancelled) {
        let before = self.state.lock().cut_short.replace(why.clone());
        drop(before);
    }

    pub(super) fn was_cut_short(&self) -> Option<Cancelled> {
        self.state.lock().cut_short.take()
    }

    pub(super) fn has_reader(&self) -> bool {
        let state = self.state.lock();
        !state.reader_dropped && !at_exit::is_ending(state.read_by)
    }

    /// Whether the thread that reads the items ends the process.
    pub(super) fn reader_exits(&self) -> bool {
        at_exit::is_ending(self.state.lock().read_by)
    }

    /// Takes the first item, for the reader.
    pub(super) fn pop(&self) -> Option<T> {
        let mut state = self.state.lock();
        state.read_by = current::thread_number();
        let item = state.items.pop_front()?;
        drop(state);
        self.senders.wake_all();
        Some(item)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().items.is_empty()
    }

    /// Registers the reader, before it looks.
    pub(super) fn register_reader(&self, waker: &Waker) {
        self.reader.set(self.reader_at, waker);
        self.state.lock().read_by = current::thread_number();
    }

    /// No item is read any more. Ends the waits of senders, and returns the unread items.
    #[must_use = "the drops of items are user code, and come last"]
    pub(super) fn drop_reader(&self) -> VecDeque<T> {
        let mut state = self.state.lock();
        state.reader_dropped = true;
        let items = std::mem::take(&mut state.items);
        drop(state);
        self.senders.wake_all();
        items
    }
}
