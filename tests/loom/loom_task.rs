//! A task's cell: one claimer, one result, one end of its memory, and every waiter is woken.

use std::ptr::NonNull;
use std::task::{Wake, Waker};

use loom::cell::UnsafeCell;

use crate::error::{CancelReason, Cancelled};
use crate::lineage::node::NodeRef;
use crate::model::{model, no_pool};
use crate::names::id::{NodeId, TaskId};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::os::{Arc, thread};
use crate::task::body::Body;
use crate::task::cell::TaskRef;
use crate::task::claimed::Claimed;
use crate::task::state::CancelRequest;
use crate::wait::park;

/// Memory that is written at its creation and at its end. loom fails when one of the two, or a read, is not ordered
/// with the others.
struct Tracked {
    cell: UnsafeCell<u32>,
    ends: Arc<std::sync::atomic::AtomicUsize>,
}

// SAFETY: loom checks that a writer is alone, which is the purpose of the models.
unsafe impl Sync for Tracked {}

impl Tracked {
    fn new(ends: &Ends) -> Self {
        let new = Self { cell: UnsafeCell::new(0), ends: Arc::clone(&ends.0) };
        // SAFETY: no other thread has it.
        new.cell.with_mut(|cell| unsafe { *cell = 7 });
        new
    }

    fn look(&self) -> u32 {
        // SAFETY: loom checks that no thread writes meanwhile.
        self.cell.with(|cell| unsafe { *cell })
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // SAFETY: loom checks that no other thread reads.
        self.cell.with_mut(|cell| unsafe { *cell = 0 });
        self.ends.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

/// The number of tracked values that have ended.
#[derive(Clone, Default)]
struct Ends(Arc<std::sync::atomic::AtomicUsize>);

impl Ends {
    fn count(&self) -> usize {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

type Task = TaskRef<Tracked>;

/// A task whose memo, closure and result are all tracked: three ends.
fn task(ends: &Ends) -> (Task, Task) {
    let (meta, captured, ends) = (Tracked::new(ends), Tracked::new(ends), ends.clone());
    let run = move || {
        assert_eq!(captured.look(), 7);
        Tracked::new(&ends)
    };
    let (queued, handle) = TaskRef::new(TaskId::next(), NodeId::next(), meta, Body::new(run));
    (queued, handle.into_task())
}

fn work(claimed: Claimed<Tracked>) {
    drop(claimed.take_meta());
    assert!(claimed.run().is_ok());
    claimed.finish(&no_pool());
}

/// As a handle does it.
fn join(handle: Task) -> u32 {
    if !handle.state().is_done() {
        park::block_until(None, |waker| !handle.register(waker, true));
    }
    // SAFETY: the task's result is that of `task`, and this is its handle.
    let output = unsafe { handle.take::<Tracked>() };
    let Some(Ok(result)) = output else { panic!("the result is not there") };
    handle.abandon();
    result.look()
}

#[test]
fn a_joiner_is_woken_and_gets_the_result() {
    model(3, || {
        let ends = Ends::default();
        let (queued, handle) = task(&ends);
        let worker = thread::spawn(move || work(queued.claim().ok().unwrap()));
        assert_eq!(join(handle), 7);
        worker.join().unwrap();
        assert_eq!(ends.count(), 3);
    });
}

#[test]
fn the_result_of_a_dropped_handle_is_dropped_once() {
    model(3, || {
        let ends = Ends::default();
        let (queued, handle) = task(&ends);
        let worker = thread::spawn(move || work(queued.claim().ok().unwrap()));
        handle.abandon();
        drop(handle);
        worker.join().unwrap();
        assert_eq!(ends.count(), 3);
    });
}

/// A waker that reads memory of its own when it is woken.
struct WakerSet {
    rings: Arc<AtomicUsize>,
    tracked: Tracked,
}

impl Wake for WakerSet {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        assert_eq!(self.tracked.look(), 7);
        self.rings.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_waker_registered_last_is_woken_and_ends_with_the_cell() {
    model(3, || {
        let ends = Ends::default();
        let (queued, handle) = task(&ends);
        let rings: Vec<_> = (0..2).map(|_| Arc::new(AtomicUsize::new(0))).collect();
        let worker = thread::spawn(move || work(queued.claim().ok().unwrap()));
        let mut registered = Vec::new();
        for rings in &rings {
            let bell = Waker::from(Arc::new(WakerSet { rings: Arc::clone(rings), tracked: Tracked::new(&ends) }));
            registered.push(handle.register(&bell, false));
            assert!(registered.ends_with(&[true]) || handle.state().is_done());
        }
        // The handle is dropped, with the result or before it.
        handle.abandon();
        drop(handle);
        worker.join().unwrap();
        let rung: Vec<_> = rings.iter().map(|rings| rings.load(Ordering::Relaxed)).collect();
        match registered[..] {
            [_, true] => assert_eq!(rung, [0, 1]),
            // The second look found it done; the first may have been woken.
            [true, false] => assert_eq!(rung[1], 0),
            _ => assert_eq!(rung, [0, 0]),
        }
        // Both wakers, the memo, the closure and the result.
        assert_eq!(ends.count(), 5);
    });
}

#[test]
fn of_a_worker_a_joiner_and_a_canceller_exactly_one_claims() {
    model(3, || {
        let ends = Ends::default();
        let (queued, handle) = task(&ends);
        let here = handle.another();
        let worker = thread::spawn(move || match queued.claim() {
            Ok(claimed) => {
                work(claimed);
                1
            }
            // The tombstone is dropped.
            Err(_shell) => 0,
        });
        let joiner = thread::spawn(move || match here.claim() {
            Ok(claimed) => {
                work(claimed);
                1
            }
            Err(_) => 0,
        });
        let (outcome, claimed) = handle.cancel(CancelReason::Request);
        assert_eq!(outcome == CancelRequest::Claimed, claimed.is_some());
        let here = match claimed {
            Some(claimed) => {
                drop(claimed.take_meta());
                claimed.fail(crate::error::TaskError::cancelled(
                    handle.id(),
                    &crate::names::namespace::Namespace::DEFAULT,
                    Cancelled::new(CancelReason::Request, "the task"),
                ));
                claimed.finish(&no_pool());
                1
            }
            None => 0,
        };
        handle.abandon();
        drop(handle);
        assert_eq!(worker.join().unwrap() + joiner.join().unwrap() + here, 1);
        // Memo and closure; and the result, if the body ran.
        assert_eq!(ends.count(), if here == 1 { 2 } else { 3 });
    });
}

#[test]
fn two_cancels_do_not_both_claim() {
    model(3, || {
        let ends = Ends::default();
        let (queued, handle) = task(&ends);
        let end = |task: &Task| {
            let (outcome, claimed) = task.cancel(CancelReason::Request);
            if let Some(claimed) = claimed {
                drop(claimed.take_meta());
                claimed.fail(crate::error::TaskError::cancelled(
                    task.id(),
                    &crate::names::namespace::Namespace::DEFAULT,
                    Cancelled::new(CancelReason::Request, "the task"),
                ));
                claimed.finish(&no_pool());
            }
            usize::from(outcome == CancelRequest::Claimed)
        };
        let other = thread::spawn(move || end(&queued));
        let here = end(&handle);
        handle.abandon();
        drop(handle);
        assert_eq!(here + other.join().unwrap(), 1);
        assert_eq!(ends.count(), 2);
    });
}

#[test]
fn a_cancel_reaches_the_node_however_it_races_with_its_making() {
    model(3, || {
        let (queued, handle) = TaskRef::new(TaskId::next(), NodeId::next(), (), Body::new(|| 7));
        let Ok(claimed) = queued.claim() else { panic!("nobody else claims") };
        let node = NodeRef::scope();
        let cancels = {
            let other = handle.another();
            thread::spawn(move || {
                assert_eq!(other.cancel(CancelReason::Request).0, CancelRequest::Requested);
            })
        };
        claimed.task().materialized(&node);
        cancels.join().unwrap();
        assert!(node.node().is_cancelled(), "the task was asked, and its node does not know");
        assert!(claimed.task().state().acknowledge().is_none(), "declined at the node, it would come back");
        assert!(claimed.run().is_ok());
        claimed.finish(&no_pool());
        drop(handle);
    });
}

/// A pool that keeps itself while it counts its one task. Its ends are counted where loom does not look: an `Arc` orders them.
struct SmallPool(Ends);

impl Drop for SmallPool {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn a_look_at_the_pool_of_a_queued_task_finds_it_alive() {
    model(4, || {
        let (ends, pool_ends) = (Ends::default(), Ends::default());
        let (queued, handle) = task(&ends);
        let pool = Arc::new(SmallPool(pool_ends.clone()));
        let address = NonNull::from(&*pool);
        // Keeps the memory, so that a look which comes too late is seen.
        let memory = Arc::downgrade(&pool);
        let worker = thread::spawn(move || {
            let claimed = queued.claim().ok().unwrap();
            drop(claimed.take_meta());
            assert!(claimed.run().is_ok());
            claimed.finish(&pool);
            // Counts the task out, which was the last that kept the pool.
            drop(pool);
        });
        // The steps of `TaskRef::look`, with a switch of threads between them.
        if handle.state().begin_look() {
            thread::yield_now();
            assert_eq!(pool_ends.count(), 0, "the pool ended during the look");
            // SAFETY: the pool lives, as was just asserted; a reference that was handed over is given back once.
            let kept = unsafe {
                Arc::increment_strong_count(address.as_ptr());
                Arc::from_raw(address.as_ptr())
            };
            if handle.state().end_look() {
                // SAFETY: as above.
                unsafe { Arc::decrement_strong_count(address.as_ptr()) };
            }
            thread::yield_now();
            assert_eq!(pool_ends.count(), 0, "the reference does not keep the pool");
            drop(kept);
        }
        assert_eq!(join(handle), 7);
        worker.join().unwrap();
        assert_eq!((ends.count(), pool_ends.count(), memory.strong_count()), (3, 1, 0));
    });
}
