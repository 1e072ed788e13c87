//! [`Queue`]: first in, first out, through the tasks' own links, so that a push allocates nothing.
//!
//! The queue has two parts. Submitters push onto an *inbox*, a stack that a single compare-exchange extends. Workers pop from
//! a *list* under a mutex; with an empty list they take the whole inbox at once and reverse it. So a submitter and
//! a worker meet on one cache line once a batch, not once a task.
//!
//! # Order
//! A push that happens before another is popped before it: the inbox is a stack, it is taken whole, and it is
//! reversed; a batch is used up before the next is taken.
//!
//! # The race to fear
//! A worker finds the queue empty and leaves during a push. The callers exclude this: a submitter pushes, *then* looks
//! at the permits; a leaving worker releases its permit, *then* looks at the queue ([`crate::pool::core::permits`]). `push`
//! and `is_empty` are sequentially consistent, so one of the two sees the other.

use std::iter;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

use crate::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::task::cell::{Header, TaskRef};

/// The queue of one start of a pool, with data under the same lock (`X`).
#[repr(C)]
pub(crate) struct Queue<M: 'static, X> {
    inbox: AtomicPtr<Header<M>>,
    /// Keeps submitters' inbox and workers' list on different cache lines, so that neither side slows the other. An
    /// alignment instead would make the allocator slow for a pool per request.
    _apart: [u64; 7],
    list: Mutex<List<M, X>>,
    /// 1 while a task is in the list, else 0. Changed under the list's lock, and read without it.
    rest: AtomicUsize,
}

struct List<M: 'static, X> {
    tasks: Chain<M>,
    extra: X,
}

/// Tasks, each linked to the next. The owner of the chain owns the references and the links.
struct Chain<M: 'static>(*mut Header<M>);

impl<M: 'static> Chain<M> {
    const EMPTY: Self = Self(ptr::null_mut());

    fn is_empty(&self) -> bool {
        self.0.is_null()
    }

    #[inline]
    fn take_first(&mut self) -> Option<TaskRef<M>> {
        // SAFETY: the chain owns the reference, which leaves it here, and the link.
        unsafe {
            let first = TaskRef::from_raw(NonNull::new(self.0)?);
            self.0 = first.next().get();
            Some(first)
        }
    }

    #[inline]
    fn put_first(&mut self, task: TaskRef<M>) {
        // SAFETY: the reference is about to be in this chain, so its link is ours.
        let next = unsafe { task.next() };
        // The common batch is one task, whose link is right already: no write, so its cache line stays with a joiner that
        // polls it.
        if next.get() != self.0 {
            next.set(self.0);
        }
        self.0 = ManuallyDrop::new(task).as_raw();
    }
}

// SAFETY: the links belong to the holder of the list's lock, or to the pusher until its compare-exchange has succeeded;
// the tasks themselves are `Send` when `M` is.
unsafe impl<M: Send + 'static, X: Send> Send for Queue<M, X> {}
// SAFETY: as above.
unsafe impl<M: Send + 'static, X: Send> Sync for Queue<M, X> {}

/// The result of a pop.
pub(crate) struct Popped<M: 'static> {
    pub(crate) task: Option<TaskRef<M>>,
    /// Another task is queued behind it.
    pub(crate) more: bool,
}

impl<M: 'static, X> Queue<M, X> {
    pub(crate) fn new(extra: X) -> Self {
        Self {
            inbox: AtomicPtr::new(ptr::null_mut()),
            _apart: [0; 7],
            list: Mutex::new(List { tasks: Chain::EMPTY, extra }),
            rest: AtomicUsize::new(0),
        }
    }

    #[inline]
    pub(crate) fn push(&self, task: TaskRef<M>) {
        let task = ManuallyDrop::new(task);
        let mut head = self.inbox.load(Ordering::Relaxed);
        loop {
            // SAFETY: the task is in no list before the exchange succeeds, so its link is ours.
            unsafe { task.next() }.set(head);
            // SeqCst: comes before the caller's look at the permits. Its Release half publishes the link and the task, and
            // pairs with the swap in `refill`.
            match self.inbox.compare_exchange_weak(head, task.as_raw(), Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return,
                Err(seen) => head = seen,
            }
        }
    }

    /// Takes the oldest task. `under_lock` notes it before the lock is released.
    #[inline]
    pub(crate) fn pop(&self, under_lock: impl FnOnce(&mut X, Option<&TaskRef<M>>)) -> Popped<M> {
        let mut list = self.list.lock();
        self.refill(&mut list);
        let task = list.tasks.take_first();
        self.note_rest(&list);
        under_lock(&mut list.extra, task.as_ref());
        let more = !list.tasks.is_empty() || !self.inbox.load(Ordering::SeqCst).is_null();
        Popped { task, more }
    }

    /// Moves the inbox behind an empty list, oldest first.
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
    }

    /// Returns whether nothing was pushed since the last refill of the list. A hint, without the lock.
    #[inline]
    pub(crate) fn inbox_is_empty(&self) -> bool {
        self.inbox.load(Ordering::SeqCst).is_null()
    }

    /// Returns whether nothing is queued, from both parts at one time.
    pub(crate) fn is_empty(&self) -> bool {
        let list = self.list.lock();
        list.tasks.is_empty() && self.inbox_is_empty()
    }

    /// The number of queued entries. Walks over all of them.
    pub(crate) fn length(&self) -> usize {
        let list = self.list.lock();
        // Acquire: sees the pushers' links. The inbox grows at its head only, and is taken only under the lock.
        let parts = [list.tasks.0, self.inbox.load(Ordering::Acquire)];
        let next = |raw: &NonNull<Header<M>>| {
            // SAFETY: the list's links are ours under its lock; a link of the inbox does not change after its push. The
            // reference stays with its part of the queue.
            unsafe { NonNull::new(ManuallyDrop::new(TaskRef::from_raw(*raw)).next().get()) }
        };
        parts.into_iter().map(|first| iter::successors(NonNull::new(first), next).count()).sum()
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
        loop {
            self.refill(&mut list);
            let Some(task) = list.tasks.take_first() else { break };
            if unwanted(&task) { taken.push(task) } else { kept.push(task) }
        }
        for task in kept.into_iter().rev() {
            list.tasks.put_first(task);
        }
        self.note_rest(&list);
        taken
    }

    /// Notes whether the list has tasks. Runs under the lock, and so before the caller's look at the permits.
    fn note_rest(&self, list: &List<M, X>) {
        let rest = usize::from(!list.tasks.is_empty());
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

impl<M: 'static, X> Drop for Queue<M, X> {
    fn drop(&mut self) {
        // The engine ends with an empty queue. Entries that a model or a fault leaves behind are dropped, not leaked.
        drop(self.take_if(&mut |_| true));
    }
}
