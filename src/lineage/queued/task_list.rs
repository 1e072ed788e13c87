//! [`TaskList`]: a list of queued tasks, linked through the tasks themselves.

use std::hint;
use std::ptr::{self, NonNull};
use std::time::Duration;

use crate::sync::Cell;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::os::thread;

/// A task's links in the list of its node, guarded by that list's lock.
pub(crate) struct TaskLink {
    /// [`unlisted`] while the link is in no list; null at the first one.
    prev: Cell<*mut TaskLink>,
    /// Null at the last one.
    next: Cell<*mut TaskLink>,
}

/// Claims a listed task and keeps its memory until the task is ended. Runs no user code.
///
/// Returns false when the task has started or finished.
///
/// # Safety
/// The link is that of a listed task, and the caller holds the list's lock.
pub(crate) type ClaimTask = unsafe fn(NonNull<TaskLink>) -> bool;

/// Tasks, the oldest first. The lock is one bit of `last`: a lock and its unlock are one exchange and one store.
///
/// A mutex would need two exchanges, at each submit and at each end of a task. An exchange costs 8 ns, as much as the
/// rest of this file together. Each critical section is a few loads and stores, so a thread that finds the lock taken
/// spins, and yields if the holder was preempted.
pub(crate) struct TaskList {
    last: AtomicPtr<TaskLink>,
    first: Cell<*mut TaskLink>,
}

// SAFETY: `first` and the links of listed tasks are read and written under the lock alone. A listed task is alive: it
// leaves the list before it is freed. Any thread may claim one, by the contract of `ClaimTask`.
unsafe impl Send for TaskList {}
// SAFETY: the lock gives shared users exclusive access by turns; otherwise the same proof as for `Send`.
unsafe impl Sync for TaskList {}

/// So many tasks are claimed under one lock. Other threads get the lock in between.
const BATCH: usize = 16;

/// Set in `last` while the list is locked. A link's address is even.
const LOCKED: usize = 1;

fn is_locked(last: *mut TaskLink) -> bool {
    last.addr() & LOCKED != 0
}

impl TaskList {
    pub(super) fn new() -> Self {
        Self { last: AtomicPtr::new(ptr::null_mut()), first: Cell::new(ptr::null_mut()) }
    }

    /// Lists tasks, unless `unwanted` says that they must not start. Returns whether they are listed: all, or none.
    ///
    /// The node of the list is registered, or a cancel of an ancestor misses the tasks.
    ///
    /// # Safety
    /// The links come once each, the newest first. They are in no list, their tasks were seen by no other thread, and stay where
    /// they are until an [`unlist`](Self::unlist) of each has returned.
    #[inline]
    pub(crate) unsafe fn list(
        &self,
        links: impl Iterator<Item = NonNull<TaskLink>>,
        unwanted: impl FnOnce() -> bool,
    ) -> bool {
        let (mut first, mut last) = (ptr::null_mut::<TaskLink>(), ptr::null_mut());
        // SAFETY: the links are the caller's until the unlock. The list's last one is listed, so its task is alive. What it
        // points to is read and changed while the lock is held.
        unsafe {
            for link in links {
                link.as_ref().next.set(first);
                match first.as_ref() {
                    Some(newer) => newer.prev.set(link.as_ptr()),
                    None => last = link.as_ptr(),
                }
                first = link.as_ptr();
            }
            let Some(oldest) = first.as_ref() else { return true };
            let mut locked = self.lock();
            if unwanted() {
                drop(locked);
                while let Some(link) = first.as_ref() {
                    link.prev.set(unlisted());
                    first = link.next.get();
                }
                return false;
            }
            oldest.prev.set(locked.last);
            locked.last.as_ref().map_or(&self.first, |last| &last.next).set(first);
            locked.last = last;
        }
        true
    }

    /// Takes a task off the list, unless a canceller has done so. A claimer calls it before the task is finished.
    ///
    /// # Safety
    /// The link's task is alive, and was put on this list, or on none.
    #[inline]
    pub(crate) unsafe fn unlist(&self, link: NonNull<TaskLink>) {
        let mut locked = self.lock();
        // SAFETY: the task is alive and in no other list, by the caller's promise.
        unsafe { locked.remove(link) };
    }

    /// Takes off and claims all tasks, the oldest first, while `unwanted` holds.
    pub(super) fn claim_all(&self, claim: ClaimTask, unwanted: impl Fn() -> bool, into: &mut Vec<NonNull<TaskLink>>) {
        loop {
            let mut locked = self.lock();
            if !unwanted() {
                return;
            }
            for _ in 0..BATCH {
                let Some(first) = NonNull::new(self.first.get()) else { return };
                // SAFETY: the task is listed here, so it is alive. The lock is held, and the task's own `unlist` waits for
                // it before the task is freed.
                let claimed = unsafe {
                    locked.remove(first);
                    claim(first)
                };
                if claimed {
                    into.push(first);
                }
            }
        }
    }

    #[inline]
    fn lock(&self) -> Locked<'_> {
        self.try_lock().unwrap_or_else(|| self.lock_slow())
    }

    #[inline]
    fn try_lock(&self) -> Option<Locked<'_>> {
        let last = self.last.load(Ordering::Relaxed);
        if is_locked(last) {
            return None;
        }
        let locked = last.map_addr(|addr| addr | LOCKED);
        // Acquire: sees the last holder's changes; pairs with the Release in the unlock.
        let taken = self.last.compare_exchange_weak(last, locked, Ordering::Acquire, Ordering::Relaxed);
        taken.ok().map(|last| Locked { list: self, last })
    }

    #[cold]
    fn lock_slow(&self) -> Locked<'_> {
        let mut turn = 0;
        loop {
            if let Some(locked) = self.try_lock() {
                return locked;
            }
            back_off(turn);
            turn += 1;
        }
    }
}

/// Waits a moment for the holder of a lock: spins at first, then yields, then sleeps, for a holder of a lower priority.
fn back_off(turn: u32) {
    match turn {
        _ if cfg!(loom) => thread::yield_now(),
        0..6 => (0..1_u32 << turn).for_each(|_| hint::spin_loop()),
        6..64 => thread::yield_now(),
        _ => std::thread::sleep(Duration::from_micros(50)),
    }
}

/// A list while it is locked.
struct Locked<'a> {
    list: &'a TaskList,
    last: *mut TaskLink,
}

impl Locked<'_> {
    /// # Safety
    /// The link's task is alive, and in no other list.
    #[inline]
    unsafe fn remove(&mut self, link: NonNull<TaskLink>) {
        // SAFETY: the link is alive; if it is listed, so are its neighbours. The lock is held.
        unsafe {
            let (prev, next) = (link.as_ref().prev.replace(unlisted()), link.as_ref().next.get());
            if prev == unlisted() {
                return;
            }
            prev.as_ref().map_or(&self.list.first, |prev| &prev.next).set(next);
            match next.as_ref() {
                Some(next) => next.prev.set(prev),
                None => self.last = prev,
            }
        }
    }
}

impl Drop for Locked<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `try_lock`. Nothing is touched after it: the next holder may end the task
        // that keeps the node.
        self.list.last.store(self.last, Ordering::Release);
    }
}

/// The `prev` of a link that is in no list. Never read through.
fn unlisted() -> *mut TaskLink {
    ptr::dangling_mut()
}

impl TaskLink {
    pub(crate) fn new() -> Self {
        Self { prev: Cell::new(unlisted()), next: Cell::new(ptr::null_mut()) }
    }
}
