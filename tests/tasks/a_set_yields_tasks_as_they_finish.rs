//! `TaskSet` yields results as the tasks finish; waiting for the next may be bounded, blocking or async, and a wait
//! given up midway loses nothing.

use std::collections::HashSet;
use std::future::Future;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle, TaskSet};

use crate::common::{BOUND, bounded};

fn pool(scope: &Scope, n: usize) -> PoolManager {
    let pool = scope.create("work");
    pool.start(PoolConfig::leased(n).log_panics(false)).expect("starts");
    pool
}

/// Ends when told to, with its number.
fn gated(pool: &PoolManager, n: u32) -> (TaskHandle<u32>, mpsc::Sender<()>) {
    let (go, gate) = mpsc::channel::<()>();
    let task = pool.submit(move || {
        let _ = gate.recv();
        n
    });
    (task.expect("accepted"), go)
}

#[test]
fn tasks_are_yielded_in_the_order_they_finish() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, 4);
        let (tasks, gates): (Vec<_>, Vec<_>) = (0..4).map(|n| gated(&pool, n)).unzip();
        let mut set: TaskSet<u32> = tasks.into_iter().collect();
        let mut gates: Vec<_> = gates.into_iter().map(Some).collect();
        for next in [2, 0, 3, 1] {
            drop(gates[next as usize].take());
            assert_eq!(set.join_next().expect("not empty").1.expect("ends"), next);
        }
        assert!(set.join_next().is_none() && set.is_empty());
    });
}

#[test]
fn each_task_is_yielded_once_with_its_id() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, 3);
        let mut set = TaskSet::new();
        let mut ids = HashSet::new();
        for n in 0..500 {
            let task = pool.submit(move || n).expect("accepted");
            ids.insert(task.id());
            set.push(task);
        }
        let mut values = HashSet::new();
        while let Some((id, value)) = set.join_next() {
            assert!(ids.remove(&id), "yielded twice, or never submitted");
            assert!(values.insert(value.expect("ends")));
        }
        assert!(ids.is_empty());
        assert_eq!(values.len(), 500);
    });
}

#[test]
fn panics_and_cancellations_are_yielded_too() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, 1);
        let (first, go) = gated(&pool, 0);
        let mut set: TaskSet<u32> = TaskSet::new();
        set.push(first);
        set.push(pool.submit(|| panic!("no")).expect("accepted"));
        let queued = pool.submit(|| 2).expect("accepted");
        queued.cancel();
        set.push(queued);
        drop(go);
        let (mut values, mut panics, mut cancels) = (0, 0, 0);
        while let Some((_, outcome)) = set.join_next() {
            match outcome {
                Ok(_) => values += 1,
                Err(error) if error.is_panic() => panics += 1,
                Err(error) => cancels += u32::from(error.is_cancelled()),
            }
        }
        assert_eq!((values, panics, cancels), (1, 1, 1));
    });
}

#[test]
fn a_bounded_wait_ends_in_time_and_changes_nothing() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, 1);
        let (task, go) = gated(&pool, 7);
        let mut set: TaskSet<u32> = [task].into_iter().collect();
        let begun = Instant::now();
        assert!(matches!(set.join_next_timeout(Duration::from_millis(50)), Err(ref it) if it.as_timed_out().is_some()));
        assert!(begun.elapsed() >= Duration::from_millis(50));
        assert!(matches!(set.join_next_timeout(Duration::ZERO), Err(ref it) if it.as_timed_out().is_some()));
        assert_eq!(set.len(), 1);
        drop(go);
        let next = set.join_next_timeout(BOUND).expect("in time").expect("not empty");
        assert_eq!(next.1.expect("ends"), 7);
        assert!(matches!(set.join_next_timeout(Duration::ZERO), Ok(None)), "an empty set is known at once");
    });
}

#[test]
fn a_wait_that_is_dropped_midway_loses_nothing() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, 2);
        let (tasks, gates): (Vec<_>, Vec<_>) = (0..2).map(|n| gated(&pool, n)).unzip();
        let mut set: TaskSet<u32> = tasks.into_iter().collect();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..10 {
            let mut next = Box::pin(set.join_next_async());
            assert!(next.as_mut().poll(&mut cx).is_pending());
        }
        drop(gates);
        // Both end while nobody waits, their wake-ups having gone to futures that are gone.
        pool.wait_idle().expect("not from an own task");
        let mut seen = HashSet::new();
        while let Some((_, value)) = futures::executor::block_on(set.join_next_async()) {
            seen.insert(value.expect("ends"));
        }
        assert_eq!(seen, HashSet::from([0, 1]));
    });
}

#[test]
fn the_latest_waker_is_the_one_woken() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, 1);
        let (task, go) = gated(&pool, 7);
        let mut set: TaskSet<u32> = [task].into_iter().collect();
        // Looked at with a waker that does nothing, then waited for by another.
        assert!(set.poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
        let opener = std::thread::spawn(move || drop(go));
        assert_eq!(futures::executor::block_on(set.join_next_async()).expect("not empty").1.expect("ends"), 7);
        opener.join().expect("opens");
    });
}

#[test]
fn handles_may_be_added_between_waits() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, 2);
        let mut set: TaskSet<u32> = TaskSet::new();
        let mut yielded = 0;
        for n in 0..100 {
            set.push(pool.submit(move || n).expect("accepted"));
            set.push(pool.submit(move || n).expect("accepted"));
            if set.join_next().is_some() {
                yielded += 1;
            }
            if let Poll::Ready(Some(_)) = set.poll_next(&mut Context::from_waker(Waker::noop())) {
                yielded += 1;
            }
        }
        while set.join_next().is_some() {
            yielded += 1;
        }
        assert_eq!(yielded, 200);
    });
}

#[test]
fn a_wait_on_a_worker_of_the_own_pool_of_one_does_not_hang() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, 1);
        let this = pool.clone();
        let outer = pool.submit(move || {
            let mut set: TaskSet<u32> = (0..10).map(|n| this.submit(move || n).expect("accepted")).collect();
            let mut sum = 0;
            while let Some((_, n)) = set.join_next() {
                sum += n.expect("ends");
            }
            let mut set: TaskSet<u32> = (0..10).map(|n| this.submit(move || n).expect("accepted")).collect();
            while let Some((_, n)) = set.join_next_timeout(BOUND).expect("in time") {
                sum += n.expect("ends");
            }
            sum
        });
        assert_eq!(outer.expect("accepted").join().expect("ends"), 90);
    });
}

#[test]
fn cancelling_all_ends_what_has_not_started() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, 1);
        let (first, go) = gated(&pool, 0);
        let mut set: TaskSet<u32> = (0..20).map(|n| pool.submit(move || n).expect("accepted")).collect();
        set.cancel_all();
        let mut cancelled = 0;
        while let Some((_, outcome)) = set.join_next() {
            cancelled += u32::from(outcome.expect_err("never started").is_cancelled());
        }
        assert_eq!(cancelled, 20);
        drop(go);
        first.join().expect("was not in the set");
    });
}

#[test]
fn dropping_it_detaches_its_tasks() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, 1);
        let (tell, told) = mpsc::channel();
        let set: TaskSet<()> = (0..5)
            .map(|n| {
                let tell = tell.clone();
                pool.submit(move || tell.send(n).expect("somebody listens")).expect("accepted")
            })
            .collect();
        drop((set, tell));
        assert_eq!(told.iter().count(), 5);
    });
}

#[test]
fn a_hundred_rounds_of_many_threads_lose_no_wake_up() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, 2);
        let rounds: Vec<_> = (0..4)
            .map(|_| {
                let pool = pool.clone();
                std::thread::spawn(move || {
                    for round in 0..100 {
                        let mut set: TaskSet<u32> =
                            (0..20).map(|n| pool.submit(move || n).expect("accepted")).collect();
                        let mut sum = 0;
                        loop {
                            let next = match round % 2 {
                                0 => set.join_next(),
                                _ => futures::executor::block_on(set.join_next_async()),
                            };
                            let Some((_, n)) = next else { break };
                            sum += n.expect("ends");
                        }
                        assert_eq!(sum, 190);
                    }
                })
            })
            .collect();
        for round in rounds {
            round.join().expect("loses nothing");
        }
    });
}
