//! [`Roster`]: the threads of one cache that exist, until the system has ended them.

use crate::sync::os::thread::JoinHandle;
use crate::sync::os::{Arc, AtomicUsize, Mutex, Ordering};
use crate::threads::job::ThreadInfo;
use crate::wait::waker_set::WakerSet;

pub(super) struct Roster {
    /// The numbers in use.
    numbers: Mutex<slab::Slab<()>>,
    /// Threads that exist and were not abandoned.
    alive: AtomicUsize,
    gone: WakerSet,
    /// The handles of a private cache's threads.
    handles: Mutex<Vec<(Arc<ThreadInfo>, JoinHandle<()>)>>,
}

impl Roster {
    pub(super) fn new() -> Self {
        Self {
            numbers: Mutex::new(slab::Slab::new()),
            alive: AtomicUsize::new(0),
            gone: WakerSet::new(),
            handles: Mutex::new(Vec::new()),
        }
    }

    /// Counts a thread that is about to be made.
    pub(super) fn enter(&self) -> Arc<ThreadInfo> {
        self.alive.fetch_add(1, Ordering::SeqCst);
        Arc::new(ThreadInfo::new(self.numbers.lock().insert(())))
    }

    /// The thread's number may be given to another one.
    pub(super) fn free_number(&self, info: &ThreadInfo) {
        self.numbers.lock().remove(info.number());
    }

    /// Counts a thread out, once: at its end, or when it is abandoned.
    pub(super) fn leave(&self, info: &ThreadInfo) {
        if info.counted.swap(false, Ordering::SeqCst) && self.alive.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.gone.wake_all();
        }
    }

    /// Keeps the handle for [`join_gone`](Self::join_gone).
    pub(super) fn keep(&self, info: Arc<ThreadInfo>, handle: JoinHandle<()>) {
        let mut handles = self.handles.lock();
        handles.retain(|(_, handle)| !handle.is_finished());
        handles.push((info, handle));
    }

    /// Counts a thread out that is in code which may never return. The thread ends when that code does.
    pub(super) fn abandon(&self, info: &ThreadInfo) {
        // Before the count falls, so that a caller which sees that all are gone does not join it.
        info.abandoned.store(true, Ordering::SeqCst);
        self.leave(info);
    }

    /// No counted thread exists: their thread-locals are destroyed.
    pub(super) fn is_gone(&self) -> bool {
        self.alive.load(Ordering::SeqCst) == 0
    }

    /// Notified when the last thread is gone.
    pub(super) fn gone(&self) -> &WakerSet {
        &self.gone
    }

    /// After [`is_gone`](Self::is_gone): blocks while the system ends the threads, which runs no user code. Concurrent
    /// callers all block.
    pub(super) fn join_gone(&self) {
        for (info, handle) in self.handles.lock().drain(..) {
            if !info.abandoned.load(Ordering::SeqCst) {
                // A cache's thread catches every panic of a task, so the result says nothing.
                let _ = handle.join();
            }
        }
    }
}
