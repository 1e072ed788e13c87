//! Every task that one call cancels has its outcome before anything of theirs is dropped or woken: a closure whose drop
//! joins another of them, and a waker that waits for one, go on at once, though no worker is free.

use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle, TaskSet};

use crate::common::pools::{Busy, started};
use crate::common::{BOUND, bounded, eventually};

const TASKS: usize = 3;

/// Where a task's handle is put once it is there.
type Slot = Arc<Mutex<Option<TaskHandle<()>>>>;
type Joined = Result<(), heirloom::Error>;

/// Joins another task when it is dropped or woken, and says what came of it.
struct Joins {
    other: Slot,
    how: How,
    says: Sender<Joined>,
}

#[derive(Clone, Copy)]
enum How {
    Here,
    /// On a thread which this one waits for.
    Elsewhere,
}

impl Joins {
    fn join(&self) {
        let Some(other) = self.other.lock().unwrap().take() else { return };
        let joined = match self.how {
            How::Here => other.join(),
            How::Elsewhere => std::thread::spawn(|| other.join()).join().expect("a join does not panic"),
        };
        let _ = self.says.send(joined);
    }
}

impl Drop for Joins {
    fn drop(&mut self) {
        self.join();
    }
}

impl Wake for Joins {
    fn wake(self: Arc<Self>) {
        self.join();
    }
}

fn slots() -> [Slot; TASKS] {
    Default::default()
}

/// Queues tasks each of which holds what joins the next one, and the last one the first.
fn queue_circle(pool: &PoolManager, how: How) -> Receiver<Joined> {
    let ((says, joined), slots) = (channel(), slots());
    for (at, own) in slots.iter().enumerate() {
        let joins = Joins { other: Arc::clone(&slots[(at + 1) % TASKS]), how, says: says.clone() };
        let handle = pool.submit(move || drop(joins)).expect("accepted");
        *own.lock().unwrap() = Some(handle);
    }
    joined
}

fn assert_all_cancelled(joined: &Receiver<Joined>) {
    let joined: Vec<_> = joined.iter().collect();
    assert_eq!(joined.len(), TASKS);
    for joined in joined {
        assert!(joined.expect_err("it never ran").is_cancelled());
    }
}

/// Queues with the last argument, and cancels all of that.
type Way = fn(&Scope, &PoolManager, &dyn Fn() -> Receiver<Joined>) -> Receiver<Joined>;

const JOINING: [Way; 5] = [
    |_, pool, queue| {
        let joined = queue();
        pool.cancel();
        joined
    },
    |_, _, queue| {
        let request = Scope::new("cancelled");
        let joined = request.run(queue);
        request.cancel();
        joined
    },
    |_, _, queue| {
        let request = Scope::new("dropped");
        let joined = request.run(queue);
        drop(request);
        joined
    },
    |_, _, queue| {
        let (above, tasks) = (Scope::new("above"), Scope::new("tasks"));
        drop(tasks);
        let below = [(); 2].map(|()| Scope::new_in(&above, "below"));
        let joined = below[1].run(queue);
        above.cancel();
        joined
    },
    |owner, _, queue| {
        let joined = queue();
        owner.cancel();
        joined
    },
];

const DAEMON: [Way; 3] = [
    |_, pool, queue| {
        let joined = queue();
        pool.close();
        joined
    },
    |_, pool, queue| {
        let joined = queue();
        let _ = pool.stop().expect("from outside");
        joined
    },
    |_, _, queue| {
        let request = Scope::new("closed");
        let joined = request.run(queue);
        request.close();
        joined
    },
];

fn kinds() -> Vec<PoolConfig> {
    vec![
        PoolConfig::leased(1),
        PoolConfig::leased(1).holds_permit(),
        PoolConfig::dedicated(1),
        #[cfg(feature = "rayon")]
        PoolConfig::work_stealing(1),
    ]
}

fn in_each_way(how: How) {
    let daemons = kinds().into_iter().map(PoolConfig::daemon);
    for (joins, kind) in kinds().into_iter().map(|kind| (true, kind)).chain(daemons.map(|kind| (false, kind))) {
        let ways = JOINING.iter().chain(if joins { &[] } else { &DAEMON[..] });
        for way in ways {
            let owner = Scope::new("owner");
            let pool = started(&owner, "shared", kind.clone());
            let busy = Busy::on(&pool);
            let joined = way(&owner, &pool, &|| queue_circle(&pool, how));
            assert_all_cancelled(&joined);
            busy.end();
        }
    }
}

#[test]
fn in_the_drop_of_a_closure() {
    bounded(|| in_each_way(How::Here));
}

#[test]
fn on_a_thread_that_the_drop_of_a_closure_waits_for() {
    bounded(|| in_each_way(How::Elsewhere));
}

#[test]
fn in_a_local_pool() {
    bounded(|| {
        for how in [How::Here, How::Elsewhere] {
            let owner = Scope::new("owner");
            let ui = owner.create("ui");
            let local = ui.start_local(PoolConfig::local()).expect("starts");
            let request = Scope::new("request");
            let joined = request.run(|| queue_circle(&ui, how));
            drop(request);
            assert_all_cancelled(&joined);
            let joined = queue_circle(&ui, how);
            drop(local);
            assert_all_cancelled(&joined);
        }
    });
}

/// Waits when it is dropped for a thread whose own task is cancelled with it.
#[test]
fn on_a_thread_that_lends_to_another_of_them() {
    struct WaitsFor(Receiver<()>);
    impl Drop for WaitsFor {
        fn drop(&mut self) {
            let _ = self.0.recv();
        }
    }
    type Lends = fn(&PoolManager, &Arc<()>);
    let runs: Lends = |pool, lent| {
        assert!(pool.run(|| drop(Arc::clone(lent))).expect_err("it never ran").is_cancelled());
    };
    let scope: Lends = |pool, lent| pool.scope(|s| drop(s.submit(|| drop(Arc::clone(lent))).expect("accepted")));
    bounded(move || {
        for lends in [runs, scope] {
            let owner = Scope::new("owner");
            let pool = started(&owner, "shared", PoolConfig::leased(1));
            let busy = Busy::on(&pool);
            let (returns, returned) = channel();
            let waits = WaitsFor(returned);
            drop(pool.submit(move || drop(waits)).expect("accepted"));
            let to = pool.clone();
            let lender = std::thread::spawn(move || {
                let lent = Arc::new(());
                lends(&to, &lent);
                // Nothing of the closure is left.
                assert_eq!(Arc::strong_count(&lent), 1);
                drop(returns);
            });
            eventually("both are queued", || pool.stats().queued == 2);
            pool.cancel();
            lender.join().expect("it goes on");
            busy.end();
        }
    });
}

#[test]
fn in_several_pools_of_one_scope() {
    bounded(|| {
        for how in [How::Here, How::Elsewhere] {
            let owner = Scope::new("owner");
            let pools = ["one", "two", "three"].map(|name| started(&owner, name, PoolConfig::leased(1)));
            let busy = pools.each_ref().map(Busy::on);
            let ((says, joined), slots) = (channel(), slots());
            for (at, pool) in pools.iter().enumerate() {
                let joins = Joins { other: Arc::clone(&slots[(at + 1) % TASKS]), how, says: says.clone() };
                *slots[at].lock().unwrap() = Some(pool.submit(move || drop(joins)).expect("accepted"));
            }
            drop(says);
            owner.cancel();
            assert_all_cancelled(&joined);
            busy.into_iter().for_each(Busy::end);
        }
    });
}

#[test]
fn a_set_asks_all_its_tasks_before_it_drops_anything() {
    struct WaitsUntilIdle(PoolManager);
    impl Drop for WaitsUntilIdle {
        fn drop(&mut self) {
            self.0.wait_idle().expect("another pool's task");
        }
    }
    bounded(|| {
        let owner = Scope::new("owner");
        let [one, two] = ["one", "two"].map(|name| started(&owner, name, PoolConfig::leased(1)));
        let busy = Busy::on(&one);
        let (here, runs) = channel();
        let mut set = TaskSet::new();
        let waits = WaitsUntilIdle(two.clone());
        set.push(one.submit(move || drop(waits)).expect("accepted"));
        let sleeps = two.submit(move || {
            here.send(()).expect("the test listens");
            let _ = heirloom::sleep(BOUND);
        });
        set.push(sleeps.expect("accepted"));
        set.push(two.submit(|| ()).expect("accepted"));
        runs.recv().expect("it starts");
        set.cancel_all();
        busy.end();
    });
}

/// What is counted until its closure is dropped, by the very thread that waits for the count.
#[test]
fn a_drop_that_waits_for_a_count_drops_what_is_counted() {
    struct Waits<F: FnMut()>(F);
    impl<F: FnMut()> Drop for Waits<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "shared", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let request = Scope::new("request");
        let [first, second] = ["first", "second"].map(|name| Arc::new(Scope::new_in(&request, name)));
        let (says, said) = channel();
        for (at, other) in [(&first, &second), (&second, &first)] {
            let (other, says) = (Arc::clone(other), says.clone());
            let waits = Waits(move || {
                // Refused in the second one, which the first one's wait drops.
                let _ = says.send(other.stop().is_ok());
            });
            at.run(|| drop(pool.submit(move || drop(waits)).expect("accepted")));
        }
        drop(says);
        request.cancel();
        let mut waited: Vec<_> = said.iter().collect();
        waited.sort_unstable();
        assert_eq!(waited, [false, true]);
        busy.end();
    });
}

#[test]
fn in_the_waker_of_a_cancelled_handle() {
    bounded(|| {
        for how in [How::Here, How::Elsewhere] {
            for cancels_pool in [true, false] {
                let owner = Scope::new("owner");
                let pool = started(&owner, "shared", PoolConfig::leased(1));
                let busy = Busy::on(&pool);
                let request = Scope::new("request");
                let (says, joined) = channel();
                let mut tasks: Vec<_> = request.run(|| (0..3).map(|_| pool.submit(|| ()).expect("accepted")).collect());
                let other = Slot::new(Mutex::new(tasks.pop()));
                let waker = Waker::from(Arc::new(Joins { other, how, says }));
                for task in &mut tasks {
                    assert!(Pin::new(task).poll(&mut Context::from_waker(&waker)).is_pending());
                }
                if cancels_pool {
                    pool.cancel()
                } else {
                    request.cancel()
                }
                assert!(joined.recv().expect("it says").expect_err("it never ran").is_cancelled());
                busy.end();
            }
        }
    });
}
