//! A joiner runs a leased pool's next task on its own thread. In these processes no worker ever comes, because the
//! one thread that the cache may have is busy: a join that lends no thread would wait for ever.

use std::cell::RefCell;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use heirloom::{ErrorKind, Heirloom, InitError, PoolConfig, PoolManager, Scope, TaskHandle, threads};

use crate::common::alone;
use crate::common::pools::{Busy, started, this_thread};

/// Runs the test with the cache's one thread busy, until the test ends it.
fn without_workers(test: impl FnOnce(&Scope, Busy) + Send + 'static) {
    alone(|| {
        threads::set_limit(1);
        let scope = Scope::new("test");
        let busy = Busy::on(&started(&scope, "busy", PoolConfig::leased(1)));
        test(&scope, busy);
    });
}

fn pool(scope: &Scope) -> PoolManager {
    started(scope, "pool", PoolConfig::leased(1))
}

#[test]
fn the_next_task_runs_on_its_joiners_thread() {
    without_workers(|scope, busy| {
        let pool = pool(scope);
        for _ in 0..100 {
            assert_eq!(pool.submit(this_thread).expect("accepted").join().expect("runs"), this_thread());
        }
        assert_eq!((pool.stats().completed, pool.stats().running, pool.stats().queued), (100, 0, 0));
        busy.end();
        assert!(pool.stop().expect("stops").is_complete());
    });
}

#[test]
fn a_task_behind_another_one_is_left_to_a_worker() {
    without_workers(|scope, busy| {
        let pool = pool(scope);
        let order = Arc::new(AtomicU32::new(0));
        let [first, second] = [(), ()].map(|()| {
            let order = Arc::clone(&order);
            pool.submit(move || (order.fetch_add(1, Ordering::SeqCst), this_thread())).expect("accepted")
        });
        let worker = busy.thread;
        let joiner = std::thread::spawn(move || second.join().expect("runs"));
        busy.end();
        assert_eq!(joiner.join().expect("joins"), (1, worker));
        assert_eq!(first.join().expect("ran"), (0, worker));
    });
}

#[test]
fn a_burst_that_is_joined_in_order_runs_in_order_on_its_joiners_thread() {
    without_workers(|scope, busy| {
        let pool = pool(scope);
        let order = Arc::new(AtomicU32::new(0));
        let tasks = (0..100).map(|i| {
            let order = Arc::clone(&order);
            pool.submit(move || order.fetch_add(1, Ordering::SeqCst) == i).expect("accepted")
        });
        let tasks: Vec<_> = tasks.collect();
        assert!(tasks.into_iter().all(|task| task.join().expect("runs")));
        busy.end();
    });
}

#[test]
fn the_consumer_of_a_map_runs_its_items() {
    without_workers(|scope, busy| {
        let pool = started(scope, "pool", PoolConfig::leased(2).priorities(2));
        let here = this_thread();
        let ran: Vec<_> = pool.map(0..1_000, move |n| (n, this_thread() == here)).expect("open").collect();
        assert!(ran.into_iter().zip(0..).all(|(ran, n)| ran.expect("runs") == (n, true)));
        busy.end();
    });
}

#[test]
fn a_call_on_its_callers_thread_hears_the_callers_cancel() {
    alone(|| {
        threads::set_limit(1);
        let scope = Scope::new("test");
        let (outer, inner) = (pool(&scope), started(&scope, "inner", PoolConfig::leased(1)));
        let (starts, has_started) = mpsc::channel();
        let sleep = move || {
            starts.send(this_thread()).expect("the test listens");
            heirloom::sleep(Duration::MAX)
        };
        let caller = outer.submit(move || (this_thread(), inner.call(sleep).join())).expect("accepted");
        let sleeper = has_started.recv().expect("it starts");
        caller.cancel();
        let (thread, ended) = caller.join().expect("the caller itself ends");
        assert!(ended.expect_err("its call was cancelled").is_cancelled());
        assert_eq!(sleeper, thread);
    });
}

#[test]
fn a_lent_task_stands_where_it_was_submitted() {
    static NAME: Heirloom<&str> = Heirloom::new("name");
    without_workers(|scope, _busy| {
        let pool = pool(scope);
        let [here, there] = ["here", "there"].map(|name| {
            let scope = scope.run(|| Scope::new(name));
            NAME.at(&scope).bind(name).expect("open");
            scope
        });
        let task = there.run(|| pool.submit(|| *NAME.get().expect("bound"))).expect("accepted");
        let (ran, after) = here.run(|| (task.join().expect("runs"), *NAME.get().expect("bound")));
        assert_eq!((ran, after), ("there", "here"));
    });
}

#[test]
fn a_panic_of_a_lent_task_is_its_joiners_error_and_costs_no_permit() {
    without_workers(|scope, _busy| {
        let pool = pool(scope);
        let fails = pool.submit(|| -> u32 { panic!("lent") }).expect("accepted");
        assert!(fails.join().expect_err("panicked").is_panic());
        assert_eq!(pool.submit(|| 1).expect("accepted").join().expect("runs"), 1);
    });
}

#[test]
fn the_joining_tasks_own_permit_is_released_meanwhile() {
    without_workers(|scope, busy| {
        let (outer, inner) = (pool(scope), started(scope, "inner", PoolConfig::leased(1)));
        let (tells, told) = mpsc::channel();
        let (starts, started) = mpsc::channel();
        let lends = {
            let outer = outer.clone();
            move || {
                // Waits for another task of the joiner's pool, whose only permit the joiner had.
                let waits = inner.submit(move || {
                    starts.send(()).expect("heard");
                    told.recv().expect("told")
                });
                let waits = waits.expect("accepted");
                let beside = outer.submit(move || tells.send(this_thread()).expect("heard")).expect("accepted");
                let ran = waits.join().expect("runs");
                beside.join().expect("ran");
                ran != this_thread()
            }
        };
        let task = outer.submit(lends).expect("accepted");
        // The thread that comes for the released permit, once the inner task runs on this one.
        let ends = std::thread::spawn(move || {
            started.recv().expect("starts");
            busy.end();
        });
        assert!(task.join().expect("runs"));
        ends.join().expect("ends");
    });
}

#[test]
fn tasks_lent_inside_one_another_find_their_stack() {
    fn down(pools: &[PoolManager; 2], depth: usize) -> usize {
        if depth == 0 {
            return 0;
        }
        let (next, both) = (pools[depth % 2].clone(), pools.clone());
        next.submit(move || down(&both, depth - 1) + 1).expect("accepted").join().expect("runs")
    }
    without_workers(|scope, busy| {
        let pools = ["even", "odd"].map(|name| started(scope, name, PoolConfig::leased(1)));
        assert_eq!(down(&pools, 2_000), 2_000);
        busy.end();
    });
}

#[test]
fn no_thread_is_lent_by_a_wait_with_a_limit_or_a_poll() {
    without_workers(|scope, busy| {
        let pool = pool(scope);
        let task = pool.submit(this_thread).expect("accepted");
        let mut task = task.join_timeout(Duration::from_millis(1)).expect_err("no worker comes");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(std::pin::Pin::new(&mut task).poll(&mut cx), Poll::Pending));
        assert_eq!(task.join().expect("runs"), this_thread());
        busy.end();
    });
}

#[test]
fn a_pool_with_workers_only_gets_no_thread_of_its_callers() {
    without_workers(|scope, busy| {
        let pool = started(scope, "clean", PoolConfig::leased(1).workers_only());
        let worker = busy.thread;
        let task = pool.submit(this_thread).expect("accepted");
        let task = task.join_timeout(Duration::from_millis(1)).expect_err("no worker comes");
        let joiner = std::thread::spawn(move || task.join().expect("runs"));
        let run = {
            let pool = pool.clone();
            std::thread::spawn(move || pool.run(this_thread).expect("runs"))
        };
        busy.end();
        assert_eq!(joiner.join().expect("joins"), worker);
        assert_eq!(run.join().expect("runs"), worker);
    });
}

#[test]
fn the_threads_of_dedicated_and_local_pools_are_not_lent() {
    without_workers(|scope, busy| {
        let (pool, own) = (pool(scope), started(scope, "own", PoolConfig::dedicated(1)));
        let task = pool.submit(this_thread).expect("accepted");
        let joined = own.submit(move || (task.join().expect("runs"), this_thread())).expect("accepted");
        let local = {
            let (pool, local) = (pool.clone(), scope.create("local"));
            std::thread::spawn(move || {
                let _running = local.start_local(PoolConfig::local()).expect("starts");
                let task = pool.submit(this_thread).expect("accepted");
                (task.join().expect("runs"), this_thread())
            })
        };
        let worker = busy.thread;
        busy.end();
        assert_eq!(joined.join().expect("runs").0, worker);
        let (ran, thread) = local.join().expect("joins");
        assert_ne!(ran, thread);
    });
}

/// The error of a wait in a task that its joiner runs, which is a task of "joins" on the cache's only thread. The wait gets the
/// joiner's handle and pool.
fn error_in_a_lent_task(
    waits: impl FnOnce(TaskHandle<()>, &PoolManager) -> Result<(), heirloom::Error> + Send + 'static,
) -> heirloom::Error {
    threads::set_limit(1);
    let scope = Scope::new("test");
    let (joins, lent) =
        (started(&scope, "joins", PoolConfig::leased(1)), started(&scope, "lent", PoolConfig::leased(1)));
    let (gives, given) = mpsc::channel();
    let (tells, told) = mpsc::channel();
    let pool = joins.clone();
    let first = joins.submit(move || {
        let joiner: TaskHandle<()> = given.recv().expect("given");
        let here = this_thread();
        let second = lent.submit(move || {
            assert_eq!(this_thread(), here);
            tells.send(waits(joiner, &pool).expect_err("it would never end")).expect("heard");
        });
        second.expect("accepted").join().expect("the join goes on");
    });
    gives.send(first.expect("accepted")).expect("it listens");
    told.recv().expect("told")
}

#[test]
fn a_lent_task_that_joins_its_joiner_is_told_of_the_circle() {
    alone(|| {
        let error = error_in_a_lent_task(|joiner, _| joiner.join());
        assert_eq!(error.kind(), ErrorKind::WouldDeadlock);
        assert!(error.circle().is_some());
    });
}

#[test]
fn a_lent_task_that_waits_for_its_joiners_pool_is_told_of_the_circle() {
    alone(|| {
        let error = error_in_a_lent_task(|_, pool| pool.wait_idle().map(drop));
        assert_eq!(error.kind(), ErrorKind::WouldDeadlock);
        assert!(error.circle().is_some());
    });
}

#[test]
fn a_lent_task_that_asks_for_the_value_that_its_joiner_makes_is_told_of_the_circle() {
    static KEY: Heirloom<u32> = Heirloom::new("key");
    without_workers(|scope, busy| {
        let lent = pool(scope);
        let made = KEY.get_or_init(|| {
            let asks = lent.submit(|| KEY.get_or_init(|| unreachable!("under way")).expect_err("told"));
            let error = asks.expect("accepted").join().expect("runs");
            assert!(matches!(error.as_init(), Some(InitError::WouldDeadlock { .. })), "{error}");
            7
        });
        assert_eq!(*made.expect("made"), 7);
        busy.end();
    });
}

#[test]
fn a_limit_of_one_holds_beside_joiners_that_lend_their_threads() {
    without_workers(|scope, busy| {
        let pool = pool(scope);
        let inside = Arc::new(AtomicU32::new(0));
        let joiners: Vec<_> = (0..4)
            .map(|_| {
                let (pool, inside) = (pool.clone(), Arc::clone(&inside));
                std::thread::spawn(move || {
                    for _ in 0..200 {
                        let inside = Arc::clone(&inside);
                        let alone = pool.submit(move || {
                            let before = inside.fetch_add(1, Ordering::SeqCst);
                            std::thread::yield_now();
                            inside.fetch_sub(1, Ordering::SeqCst);
                            before == 0
                        });
                        assert!(alone.expect("accepted").join().expect("runs"));
                    }
                })
            })
            .collect();
        busy.end();
        joiners.into_iter().for_each(|joiner| joiner.join().expect("ends"));
    });
}

#[test]
fn a_lent_task_sees_the_thread_locals_of_its_joiner() {
    thread_local! {
        static BORROWED: RefCell<u32> = const { RefCell::new(7) };
    }
    without_workers(|scope, _busy| {
        let task = pool(scope).submit(|| BORROWED.with_borrow_mut(|n| *n += 1)).expect("accepted");
        task.join().expect("runs");
        assert_eq!(BORROWED.take(), 8);
    });
}
