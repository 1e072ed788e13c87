//! [`Queue`]: first in, first out, through the tasks' own links, so that a push allocates nothing.
//!
//! The queue has two parts. Submitters push onto an *inbox*, a stack that a single compare-exchange extends, by one task or
//! by a chain of them. Workers pop from
//! a *list* under a mutex; with an empty list they take the whole inbox at once and reverse it. So a submitter and
//! a worker meet on one cache line once a batch, not once a task.
//!
//! # Order
//! A push that happens before another is popped before it, and the tasks of one chain follow each other: the inbox is a stack, it is taken whole, and it is
//! reversed; a batch is used up before the next is taken.
//!
//! A pool with priorities or fair turns has an [`Ordered`] behind the list. Each pop takes the whole inbox and sorts it in, so
//! that an urgent task passes those which came before it. The submitters' side is the same.
//!
//! # The race to fear
//! A worker finds the queue empty and leaves during a push. The callers exclude this: a submitter pushes, *then* looks
//! at the permits; a leaving worker releases its permit, *then* looks at the queue ([`crate::pool::core::permits`]). `push`
//! and `is_empty` are sequentially consistent, so one of the two sees the other.

use std::mem::ManuallyDrop;
#[cfg(not(loom))]
use std::mem::offset_of;
use std::ptr;

use crate::pool::core::chain::{Batch, Chain};
use crate::pool::core::ordered::Ordered;
use crate::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::task::cell::{Header, TaskRef};

/// The queue of one start of a pool, with data under the same lock (`X`), and data that seldom changes (`C`).
#[repr(C)]
pub(crate) struct Queue<M: 'static, X, C = ()> {
    inbox: AtomicPtr<Header<M>>,
    /// Keeps submitters' inbox and workers' list on different cache lines, so that neither side slows the other. An
    /// alignment instead would make the allocator slow for a pool per request.
    pub(crate) between: C,
    list: Mutex<List<M, X>>,
    /// 1 while a task is in the list, else 0. Changed under the list's lock, and read without it.
    rest: AtomicUsize,
}

struct List<M: 'static, X> {
    tasks: Chain<M>,
    /// The queued tasks of a pool that has an order of its own; the list is empty then whenever the lock is free.
    ordered: Option<Box<Ordered<M>>>,
    extra: X,
}

// SAFETY: the links belong to the holder of the list's lock, or to the pusher until its compare-exchange has succeeded;
// the tasks themselves are `Send` when `M` is.
unsafe impl<M: Send + 'static, X: Send, C: Send> Send for Queue<M, X, C> {}
// SAFETY: as above.
unsafe impl<M: Send + 'static, X: Send, C: Sync> Sync for Queue<M, X, C> {}

/// The result of a pop.
pub(crate) struct Popped<M: 'static> {
    pub(crate) task: Option<TaskRef<M>>,
    /// Another task is queued behind it.
    pub(crate) more: bool,
}

impl<M: 'static, X> List<M, X> {
    #[inline]
    fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.ordered.as_ref().is_none_or(|ordered| ordered.is_empty())
    }

    /// Returns whether the task is to start next.
    fn begins_with(&mut self, task: &TaskRef<M>) -> bool {
        match &mut self.ordered {
            Some(ordered) => ordered.begins_with(task),
            None => self.tasks.begins_with(task),
        }
    }

    /// Takes the task that is to start next.
    #[inline]
    fn take_next(&mut self) -> Option<TaskRef<M>> {
        match &mut self.ordered {
            Some(ordered) => ordered.pop(),
            None => self.tasks.take_first(),
        }
    }
}

impl<M: 'static, X, C> Queue<M, X, C> {
    /// Offsets in memory, of words that submitters and workers change.
    #[cfg(not(loom))]
    pub(super) const INBOX: usize = offset_of!(Self, inbox);
    #[cfg(not(loom))]
    pub(super) const LIST: usize = offset_of!(Self, list);

    pub(crate) fn new(extra: X, between: C) -> Self {
        Self::build(None, extra, between)
    }

    /// A queue whose tasks start in the order of their ranks.
    pub(crate) fn ordered(levels: u8, extra: X, between: C) -> Self {
        Self::build(Some(Box::new(Ordered::new(levels))), extra, between)
    }

    fn build(ordered: Option<Box<Ordered<M>>>, extra: X, between: C) -> Self {
        Self {
            inbox: AtomicPtr::new(ptr::null_mut()),
            between,
            list: Mutex::new(List { tasks: Chain::EMPTY, ordered, extra }),
            rest: AtomicUsize::new(0),
        }
    }

    #[inline]
    pub(crate) fn push(&self, task: TaskRef<M>) {
        let task = ManuallyDrop::new(task);
        self.put(task.as_raw(), &task);
    }

    /// Pushes tasks as one: no other task comes between them, and each of them is seen when one of them is.
    pub(crate) fn push_all(&self, batch: Batch<M>) {
        let Some((newest, oldest)) = batch.into_ends() else { return };
        self.put(newest, &oldest);
    }

    /// Puts linked tasks into the inbox, from the newest to the oldest.
    #[inline]
    fn put(&self, newest: *mut Header<M>, oldest: &TaskRef<M>) {
        let mut head = self.inbox.load(Ordering::Relaxed);
        loop {
            // SAFETY: the task is in no list before the exchange succeeds, so its link is ours.
            unsafe { oldest.next() }.set(head);
            // SeqCst: comes before the caller's look at the permits. Its Release half publishes the links and the tasks, and
            // pairs with the swap in `refill`.
            match self.inbox.compare_exchange_weak(head, newest, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return,
                Err(seen) => head = seen,
            }
        }
    }

    /// Takes the oldest task, or the one that is first by its rank. `under_lock` notes it before the lock is released.
    #[inline]
    pub(crate) fn pop(&self, under_lock: impl FnOnce(&mut X, Option<&TaskRef<M>>)) -> Popped<M> {
        let mut list = self.list.lock();
        self.refill(&mut list);
        let task = list.take_next();
        self.note_rest(&list);
        under_lock(&mut list.extra, task.as_ref());
        let more = !list.is_empty() || !self.inbox.load(Ordering::SeqCst).is_null();
        Popped { task, more }
    }

    /// Returns whether the task is the only one queued. A hint, without the lock.
    #[inline]
    pub(crate) fn seems_only(&self, task: &TaskRef<M>) -> bool {
        self.inbox.load(Ordering::Relaxed) == task.as_raw() && self.rest.load(Ordering::Relaxed) == 0
    }

    /// Takes this very task, if it is the next to start: so its start overtakes no other. No tombstone stays.
    pub(crate) fn pop_first(&self, task: &TaskRef<M>, under_lock: impl FnOnce(&mut X, &TaskRef<M>)) -> Popped<M> {
        let mut list = self.list.lock();
        self.refill(&mut list);
        let first = if list.begins_with(task) { list.take_next() } else { None };
        self.note_rest(&list);
        if let Some(first) = &first {
            under_lock(&mut list.extra, first);
        }
        let more = !list.is_empty() || !self.inbox_is_empty();
        Popped { task: first, more }
    }

    /// Moves the inbox behind an empty list, oldest first, and from there into the order, if there is one.
    fn refill(&self, list: &mut MutexGuard<'_, List<M, X>>) {
        // No look at the inbox while the list lasts: the look would take the cache line away from the submitters.
        if !list.tasks.is_empty() || self.inbox.load(Ordering::SeqCst).is_null() {
            return;
        }
        // SeqCst, whose Acquire half sees the pushers' writes: pairs with the exchange in `push`.
        let mut newest = Chain(self.inbox.swap(ptr::null_mut(), Ordering::SeqCst));
        while let Some(task) = newest.take_first() {
            list.tasks.put_first(task);
        }
        let List { tasks, ordered: Some(ordered), .. } = &mut **list else { return };
        while let Some(oldest) = tasks.take_first() {
            ordered.push(oldest);
        }
    }

    /// Returns whether nothing was pushed since the last refill of the list. A hint, without the lock.
    #[inline]
    pub(crate) fn inbox_is_empty(&self) -> bool {
        self.inbox.load(Ordering::SeqCst).is_null()
    }

    /// Returns whether nothing is queued, from both parts at one time.
    pub(crate) fn is_empty(&self) -> bool {
        let list = self.list.lock();
        list.is_empty() && self.inbox_is_empty()
    }

    /// The number of queued entries. Walks over all of them.
    pub(crate) fn length(&self) -> usize {
        let list = self.list.lock();
        // Acquire: sees the pushers' links. The inbox grows at its head only, and is taken only under the lock; a link in it
        // does not change after its push.
        let inbox = Chain(self.inbox.load(Ordering::Acquire));
        let ordered = list.ordered.as_ref().map_or(0, |ordered| ordered.length());
        list.tasks.length() + ordered + inbox.length()
    }

    /// Calls `queued` with the level, the tenant and the number of queued tasks, in a queue that has an order, and then `extra` with
    /// the data, under one lock. A cancelled task counts until a worker or a sweep has passed it. Of the newest tasks, which no
    /// worker has sorted in yet, it looks at `most`.
    pub(crate) fn by_rank(&self, most: usize, queued: &mut dyn FnMut(usize, usize, usize), extra: &mut dyn FnMut(&X)) {
        let list = self.list.lock();
        list.ordered
            .iter()
            .flat_map(|ordered| ordered.by_rank())
            .for_each(|(level, tenant, tasks)| queued(level, tenant, tasks));
        // Acquire: as in `length`. The tasks stay in the inbox, so that a searching worker finds them there.
        let inbox = Chain(self.inbox.load(Ordering::Acquire));
        for task in inbox.iter().take(most).filter(|task| task.state().is_queued()) {
            if let Some(rank) = task.rank() {
                queued(rank.level(), rank.tenant(), 1);
            }
        }
        extra(&list.extra);
    }

    /// Passes on the data under the queue's lock.
    pub(crate) fn with_extra<R>(&self, f: impl FnOnce(&mut X) -> R) -> R {
        f(&mut self.list.lock().extra)
    }

    /// Takes the entries for which `unwanted` returns true, and keeps the order of the rest. Costs a walk under the lock.
    pub(crate) fn take_if(&self, unwanted: &mut dyn FnMut(&TaskRef<M>) -> bool) -> Vec<TaskRef<M>> {
        let mut list = self.list.lock();
        let mut taken = Vec::new();
        let mut kept = Vec::new();
        // The caller may be no worker, and then requests no thread for tasks that it moves. A worker that stops searching
        // meanwhile sees them by this note. SeqCst: pairs with `looks_empty`.
        self.rest.store(1, Ordering::SeqCst);
        loop {
            self.refill(&mut list);
            let Some(task) = list.tasks.take_first() else { break };
            if unwanted(&task) { taken.push(task) } else { kept.push(task) }
        }
        for task in kept.into_iter().rev() {
            list.tasks.put_first(task);
        }
        if let Some(ordered) = &mut list.ordered {
            ordered.take_if(unwanted, &mut taken);
        }
        self.note_rest(&list);
        taken
    }

    /// Notes whether the list has tasks. Runs under the lock, and so before the caller's look at the permits.
    fn note_rest(&self, list: &List<M, X>) {
        let rest = usize::from(!list.is_empty());
        // Relaxed: only the holder of the lock writes it.
        if self.rest.load(Ordering::Relaxed) != rest {
            // SeqCst: pairs with `looks_empty`.
            self.rest.store(rest, Ordering::SeqCst);
        }
    }

    /// Returns whether nothing is queued, without the lock.
    ///
    /// For a thread that stops searching. A worker that moved tasks into the list, and requested no thread because the caller
    /// was searching, had stored `rest` before.
    #[inline]
    pub(crate) fn looks_empty(&self) -> bool {
        self.inbox_is_empty() && self.rest.load(Ordering::SeqCst) == 0
    }
}

impl<M: 'static, X, C> Drop for Queue<M, X, C> {
    fn drop(&mut self) {
        // The engine ends with an empty queue. Entries that a model or a fault leaves behind are dropped, not leaked.
        drop(self.take_if(&mut |_| true));
    }
}
