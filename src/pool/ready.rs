//! [`ReadyList`]: which of many futures are to be looked at, in the order in which they were woken.

use std::collections::VecDeque;
use std::task::{Wake, Waker};

use crate::sync::os::{Arc, AtomicBool, Mutex, Ordering};

/// The list of one set.
pub(crate) struct ReadyList(Mutex<Ready>);

#[derive(Default)]
struct Ready {
    /// Keys of members to look at, oldest first.
    keys: VecDeque<usize>,
    waker: Option<Waker>,
}

impl ReadyList {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::default()))
    }

    /// A member of this key. It is on the list from the start, so that the first look polls it and registers its waker.
    pub(crate) fn add(self: &Arc<Self>, key: usize) -> Arc<Member> {
        let member = Arc::new(Member { key, listed: AtomicBool::new(true), list: Arc::clone(self) });
        self.0.lock().keys.push_back(key);
        member
    }

    /// The next key on the list; without one the waker is woken when there is.
    pub(crate) fn next(&self, waker: &Waker) -> Option<usize> {
        let mut ready = self.0.lock();
        if let Some(key) = ready.keys.pop_front() {
            return Some(key);
        }
        if ready.waker.as_ref().is_some_and(|before| before.will_wake(waker)) {
            return None;
        }
        drop(ready);
        // A waker's clone and drop are user code, so neither is under the lock; a key may have come meanwhile.
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

/// The waker of one member: it puts its key on the list, once between two looks.
pub(crate) struct Member {
    key: usize,
    listed: AtomicBool,
    list: Arc<ReadyList>,
}

impl Member {
    /// Takes it off the list, before it is looked at: an end during the look lists it again. The waker is for the look.
    pub(crate) fn look(self: &Arc<Self>) -> Waker {
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
