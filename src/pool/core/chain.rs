//! [`Chain`], [`Batch`] and [`Fifo`]: tasks linked through themselves, so that no list of them allocates.

use std::iter;
use std::mem::{self, ManuallyDrop};
use std::ptr::{self, NonNull};

use crate::lineage::queued::TaskLink;
use crate::task::cell::{Header, TaskRef};

/// Tasks, each linked to the next. The owner of the chain owns the references and the links.
pub(super) struct Chain<M: 'static>(pub(super) *mut Header<M>);

impl<M: 'static> Chain<M> {
    pub(super) const EMPTY: Self = Self(ptr::null_mut());

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_null()
    }

    #[inline]
    pub(super) fn take_first(&mut self) -> Option<TaskRef<M>> {
        // SAFETY: the chain owns the reference, which leaves it here, and the link.
        unsafe {
            let first = TaskRef::from_raw(NonNull::new(self.0)?);
            self.0 = first.next().get();
            Some(first)
        }
    }

    #[inline]
    pub(super) fn put_first(&mut self, task: TaskRef<M>) {
        // SAFETY: the reference is about to be in this chain, so its link is ours.
        let next = unsafe { task.next() };
        // The common batch is one task, whose link is right already: no write, so its cache line stays with a joiner that
        // polls it.
        if next.get() != self.0 {
            next.set(self.0);
        }
        self.0 = ManuallyDrop::new(task).as_raw();
    }

    /// The tasks, whose references stay in the chain.
    pub(super) fn iter(&self) -> impl Iterator<Item = ManuallyDrop<TaskRef<M>>> {
        let mut at = self.0;
        iter::from_fn(move || {
            let raw = NonNull::new(at)?;
            // SAFETY: the links are ours, and the reference stays in the chain.
            unsafe {
                let task = ManuallyDrop::new(TaskRef::from_raw(raw));
                at = task.next().get();
                Some(task)
            }
        })
    }

    pub(super) fn begins_with(&self, task: &TaskRef<M>) -> bool {
        self.0 == task.as_raw()
    }

    /// The number of tasks. Walks over all of them.
    pub(super) fn length(&self) -> usize {
        self.iter().count()
    }
}

/// Tasks of one submitter, which a queue takes in one step. Its drop drops them.
pub(crate) struct Batch<M: 'static> {
    /// The newest first, as in the queue's inbox.
    tasks: Chain<M>,
    /// The last one in the chain, by a reference of its own.
    oldest: Option<TaskRef<M>>,
}

impl<M: 'static> Batch<M> {
    pub(crate) fn new() -> Self {
        Self { tasks: Chain::EMPTY, oldest: None }
    }

    /// Adds a task behind all others.
    #[inline]
    pub(crate) fn push(&mut self, task: TaskRef<M>) {
        if self.oldest.is_none() {
            self.oldest = Some(task.another());
        }
        self.tasks.put_first(task);
    }

    /// The links of the tasks, the newest first.
    pub(crate) fn links(&self) -> impl Iterator<Item = NonNull<TaskLink>> {
        self.tasks.iter().map(|task| task.link())
    }

    /// Empties the batch. Returns the newest and the oldest task; `None` for an empty batch. The caller owns the chain's references
    /// from now on, and the links from the one to the other.
    pub(super) fn into_ends(mut self) -> Option<(*mut Header<M>, TaskRef<M>)> {
        let newest = mem::replace(&mut self.tasks, Chain::EMPTY).0;
        self.oldest.take().map(|oldest| (newest, oldest))
    }
}

impl<M: 'static> Drop for Batch<M> {
    fn drop(&mut self) {
        while self.tasks.take_first().is_some() {}
    }
}

/// Tasks, the oldest first: two chains, of which the second is in reverse order, and becomes the first when that is empty.
pub(super) struct Fifo<M: 'static> {
    oldest: Chain<M>,
    newest: Chain<M>,
}

impl<M: 'static> Fifo<M> {
    pub(super) fn new() -> Self {
        Self { oldest: Chain::EMPTY, newest: Chain::EMPTY }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.oldest.is_empty() && self.newest.is_empty()
    }

    pub(super) fn push(&mut self, task: TaskRef<M>) {
        self.newest.put_first(task);
    }

    pub(super) fn pop(&mut self) -> Option<TaskRef<M>> {
        self.turn_over();
        self.oldest.take_first()
    }

    pub(super) fn begins_with(&mut self, task: &TaskRef<M>) -> bool {
        self.turn_over();
        self.oldest.begins_with(task)
    }

    /// Makes the oldest task the first of its chain.
    fn turn_over(&mut self) {
        if self.oldest.is_empty() {
            while let Some(task) = self.newest.take_first() {
                self.oldest.put_first(task);
            }
        }
    }

    /// Takes the tasks for which `unwanted` returns true, and keeps the order of the rest.
    pub(super) fn take_if(&mut self, unwanted: &mut dyn FnMut(&TaskRef<M>) -> bool, taken: &mut Vec<TaskRef<M>>) {
        let mut kept = Self::new();
        while let Some(task) = self.pop() {
            if unwanted(&task) { taken.push(task) } else { kept.push(task) }
        }
        *self = kept;
    }
}
