//! [`Members`]: many futures, each polled after its wake, in the order of the wakes.

use std::collections::VecDeque;
use std::task::{Context, Poll, Wake, Waker};

use slab::Slab;

use crate::sync::os::{Arc, AtomicBool, Mutex, Ordering};

/// The members of a set, by keys.
pub(crate) struct Members<H> {
    all: Slab<(H, Arc<Member>)>,
    ready: Arc<ReadyList>,
}

impl<H> Members<H> {
    pub(crate) fn new() -> Self {
        Self { all: Slab::new(), ready: ReadyList::new() }
    }

    /// Adds a member, and returns its key. The next poll polls it.
    pub(crate) fn insert(&mut self, handle: H) -> usize {
        let entry = self.all.vacant_entry();
        let key = entry.key();
        let member = self.ready.add(key);
        entry.insert((handle, member));
        key
    }

    pub(crate) fn remove(&mut self, key: usize) -> Option<H> {
        self.all.try_remove(key).map(|(handle, _)| handle)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &H)> {
        self.all.iter().map(|(key, (handle, _))| (key, handle))
    }

    /// Wakes every member, so that the next poll polls them all.
    pub(crate) fn wake_all(&self) {
        self.all.iter().for_each(|(_, (_, member))| member.wake_by_ref());
    }

    /// Polls the woken members until one is ready, and takes that one out. `None` when there is no member.
    pub(crate) fn poll_next<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut H, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<Option<(usize, H, R)>> {
        loop {
            if self.all.is_empty() {
                return Poll::Ready(None);
            }
            let Some(key) = self.ready.next(cx.waker()) else { return Poll::Pending };
            let Some((handle, member)) = self.all.get_mut(key) else { continue };
            let waker = member.look();
            if let Poll::Ready(output) = poll(handle, &mut Context::from_waker(&waker)) {
                let (handle, _) = self.all.remove(key);
                return Poll::Ready(Some((key, handle, output)));
            }
        }
    }
}

/// The keys of the woken members of one set.
struct ReadyList(Mutex<Ready>);

#[derive(Default)]
struct Ready {
    /// Keys of the members to poll, oldest first.
    keys: VecDeque<usize>,
    waker: Option<Waker>,
}

impl ReadyList {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::default()))
    }

    /// Makes a member of this key. It is on the list from the start, so that the first poll registers its waker.
    fn add(self: &Arc<Self>, key: usize) -> Arc<Member> {
        let member = Arc::new(Member { key, listed: AtomicBool::new(true), list: Arc::clone(self) });
        self.0.lock().keys.push_back(key);
        member
    }

    /// Returns the next key on the list. Without one it registers the waker for the next key.
    fn next(&self, waker: &Waker) -> Option<usize> {
        let mut ready = self.0.lock();
        if let Some(key) = ready.keys.pop_front() {
            return Some(key);
        }
        if ready.waker.as_ref().is_some_and(|before| before.will_wake(waker)) {
            return None;
        }
        drop(ready);
        // A waker's clone and drop are user code, so neither runs under the lock. A key may have come meanwhile.
        let mut left = Some(waker.clone());
        let mut ready = self.0.lock();
        let key = ready.keys.pop_front();
        if key.is_none() {
            left = std::mem::replace(&mut ready.waker, left);
        }
        drop(ready);
        drop(left);
        key
    }
}

/// The waker of one member: it puts its key on the list, once between two polls.
struct Member {
    key: usize,
    listed: AtomicBool,
    list: Arc<ReadyList>,
}

impl Member {
    /// Takes the member off the list before its poll: a wake during the poll lists it again. Returns the poll's waker.
    fn look(self: &Arc<Self>) -> Waker {
        self.listed.store(false, Ordering::Release);
        Waker::from(Arc::clone(self))
    }
}

impl Wake for Member {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.listed.swap(true, Ordering::AcqRel) {
            return;
        }
        let waker = {
            let mut ready = self.list.0.lock();
            ready.keys.push_back(self.key);
            ready.waker.take()
        };
        // Outside the lock: a waker is user code.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
