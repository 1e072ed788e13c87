//! Tasks that wait for tasks that wait for tasks end at any depth, in a pool of one of any kind, and on one thread:
//! what runs inside something else finds stack, or ends with an error.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle, TaskSet};

use crate::common::bounded;
use crate::common::pools::{Busy, started, this_thread};

/// Far deeper than any thread's own stack holds.
const DEEP: u32 = 10_000;

fn by_join(pool: &PoolManager, left: u32) -> u32 {
    if left == 0 {
        return 0;
    }
    let inner = pool.clone();
    1 + pool.submit(move || by_join(&inner, left - 1)).expect("accepted").join().expect("runs")
}

fn by_set(pool: &PoolManager, left: u32) -> u32 {
    if left == 0 {
        return 0;
    }
    let inner = pool.clone();
    let mut set: TaskSet<u32> =
        [pool.submit(move || by_set(&inner, left - 1)).expect("accepted")].into_iter().collect();
    1 + set.join_next().expect("one task is in it").1.expect("runs")
}

fn by_poll(pool: &PoolManager, left: u32) -> u32 {
    if left == 0 {
        return 0;
    }
    let inner = pool.clone();
    let mut task = pin!(pool.submit(move || by_poll(&inner, left - 1)).expect("accepted"));
    match task.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(below) => 1 + below.expect("runs"),
        Poll::Pending => panic!("it runs in place"),
    }
}

fn by_scope(pool: &PoolManager, left: u32) -> u32 {
    if left == 0 {
        return 0;
    }
    let mut below = 0;
    pool.scope(|s| drop(s.submit(|| below = by_scope(pool, left - 1)).expect("accepted")));
    1 + below
}

fn by_scope_itself(pool: &PoolManager, left: u32) -> u32 {
    if left == 0 { 0 } else { 1 + pool.scope(|_| by_scope_itself(pool, left - 1)) }
}

fn by_run(pool: &PoolManager, left: u32) -> u32 {
    if left == 0 { 0 } else { 1 + pool.run(|| by_run(pool, left - 1)).expect("runs") }
}

type Way = (&'static str, fn(&PoolManager, u32) -> u32);

const WAYS: [Way; 6] = [
    ("join", by_join),
    ("set", by_set),
    ("poll", by_poll),
    ("scope", by_scope),
    ("scope itself", by_scope_itself),
    ("run", by_run),
];

fn kinds() -> Vec<PoolConfig> {
    vec![
        PoolConfig::leased(1),
        PoolConfig::leased(1).holds_permit(),
        PoolConfig::leased(1).max_blocked(0),
        PoolConfig::dedicated(1),
        PoolConfig::dedicated(1).stack_size(64 << 10),
        PoolConfig::dedicated(1).holds_permit(),
        #[cfg(feature = "rayon")]
        PoolConfig::work_stealing(1),
    ]
}

#[test]
fn in_a_pool_of_one_of_any_kind_by_any_way() {
    bounded(|| {
        for config in kinds() {
            let scope = Scope::new("test");
            let pool = started(&scope, "one", config);
            for (name, way) in WAYS {
                let inner = pool.clone();
                let task = pool.submit(move || way(&inner, DEEP)).expect("accepted");
                assert_eq!(task.join().expect("runs"), DEEP, "{name} in {pool:?}");
            }
            assert!(pool.stop().expect("from outside").is_complete());
        }
    });
}

#[test]
fn on_the_thread_of_a_local_pool() {
    bounded(|| {
        for (name, way) in WAYS {
            let scope = Scope::new("test");
            let ui = scope.create("ui");
            let local = ui.start_local(PoolConfig::local()).expect("starts");
            let inner = ui.clone();
            let task = ui.submit(move || way(&inner, DEEP)).expect("accepted");
            assert_eq!(local.run_until(task).expect("runs"), DEEP, "{name}");
        }
    });
}

#[test]
fn runs_that_take_a_place_each_on_one_thread() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "wide", PoolConfig::leased(2 * DEEP as usize));
        assert_eq!(by_run(&pool, DEEP), DEEP);
        assert_eq!(pool.stats().completed, u64::from(DEEP));
    });
}

#[cfg(feature = "rayon")]
#[test]
fn an_install_within_an_install() {
    fn by_install(pool: &PoolManager, left: u32) -> u32 {
        if left == 0 { 0 } else { 1 + pool.install(|| by_install(pool, left - 1)).expect("runs") }
    }
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "math", PoolConfig::work_stealing(1));
        assert_eq!(by_install(&pool, DEEP), DEEP);
    });
}

#[test]
fn each_in_a_scope_of_its_own() {
    fn by_scopes(pool: &PoolManager, left: u32) -> u32 {
        if left == 0 {
            return 0;
        }
        let inner = pool.clone();
        // The scope's end looks whether it would wait for a task that it is part of.
        1 + Scope::run("level", |_| {
            pool.submit(move || by_scopes(&inner, left - 1)).expect("accepted").join().expect("runs")
        })
    }
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let inner = pool.clone();
        let task = pool.submit(move || by_scopes(&inner, 3_000)).expect("accepted");
        assert_eq!(task.join().expect("runs"), 3_000);
    });
}

#[test]
fn a_hundred_thousand_on_one_thread() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let before = heirloom::threads::stats().peak;
        let inner = pool.clone();
        let task = pool.submit(move || (by_join(&inner, 100_000), heirloom::threads::stats().peak - before));
        assert!(matches!(task.expect("accepted").join(), Ok((100_000, _))));
        let stats = pool.stats();
        assert_eq!((stats.completed, stats.waiting), (100_001, 0));
    });
}

#[test]
fn each_on_the_thread_of_the_one_that_waits_for_it() {
    fn threads(pool: &PoolManager, left: u32) -> u32 {
        if left == 0 {
            return 0;
        }
        let (inner, here) = (pool.clone(), this_thread());
        let task = pool.submit(move || (this_thread(), threads(&inner, left - 1))).expect("accepted");
        let (there, below) = task.join().expect("runs");
        below + u32::from(there == here)
    }
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let inner = pool.clone();
        assert_eq!(pool.submit(move || threads(&inner, 300)).expect("accepted").join().expect("runs"), 300);
    });
}

/// A task that uses so many bytes of stack, about.
#[inline(never)]
fn uses<const BYTES: usize>() -> u8 {
    let bytes = [1_u8; BYTES];
    black_box(&bytes)[BYTES / 2]
}

#[test]
fn half_of_a_threads_stack_is_there_at_every_depth() {
    fn at_each<const BYTES: usize>(pool: &PoolManager, left: u32) -> u32 {
        if left == 0 {
            return 0;
        }
        let inner = pool.clone();
        let task = pool.submit(move || (uses::<BYTES>(), at_each::<BYTES>(&inner, left - 1))).expect("accepted");
        let (used, below) = task.join().expect("runs");
        u32::from(used) + below
    }
    bounded(|| {
        let scope = Scope::new("test");
        let usual = started(&scope, "usual", PoolConfig::leased(1));
        let large = started(&scope, "large", PoolConfig::dedicated(1).stack_size(16 << 20));
        // Less than half, by what the engine and the test use themselves.
        let inner = usual.clone();
        let task = usual.submit(move || at_each::<{ 900 << 10 }>(&inner, 2_000)).expect("accepted");
        assert_eq!(task.join().expect("runs"), 2_000);
        let inner = large.clone();
        let task = large.submit(move || at_each::<{ 7 << 20 }>(&inner, 2_000)).expect("accepted");
        assert_eq!(task.join().expect("runs"), 2_000);
    });
}

#[test]
fn a_panic_at_the_bottom_reaches_each_that_waits() {
    fn panics(pool: &PoolManager, left: u32) -> u32 {
        assert!(left > 0, "the bottom");
        let inner = pool.clone();
        let error = match pool.submit(move || panics(&inner, left - 1)).expect("accepted").join() {
            Ok(seen) => return seen + 1,
            Err(error) => error,
        };
        assert_eq!(error.panic_message(), Some("the bottom"));
        // Half of them pass it on.
        if left.is_multiple_of(2) { 1 } else { std::panic::resume_unwind(error.into_panic().expect("it is one")) }
    }
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1).log_panics(false));
        let inner = pool.clone();
        let seen = pool.submit(move || panics(&inner, DEEP)).expect("accepted").join().expect("runs");
        assert_eq!(seen, DEEP - 1);
    });
}

#[test]
fn tasks_queued_before_that_wait_for_the_one_before() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1).max_blocked(0));
        let (give, given) = std::sync::mpsc::channel::<TaskHandle<u32>>();
        let total = pool.submit(move || given.recv().expect("it is given").join().expect("runs")).expect("accepted");
        let mut last = pool.submit(|| 0).expect("accepted");
        for _ in 0..DEEP {
            let before = last;
            last = pool.submit(move || before.join().expect("runs") + 1).expect("accepted");
        }
        give.send(last).expect("it waits");
        assert_eq!(total.join().expect("runs"), DEEP);
    });
}

#[test]
fn a_cancel_that_drops_a_closure_that_cancels_the_next() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "one", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let mut last = pool.submit(|| ()).expect("accepted").cancel_on_drop();
        for _ in 0..100_000 {
            let before = last;
            last = pool.submit(move || drop(before)).expect("accepted").cancel_on_drop();
        }
        drop(last);
        busy.end();
        pool.wait_idle().expect("from outside");
        assert_eq!((pool.stats().cancelled, pool.stats().completed), (100_001, 1));
    });
}

#[test]
fn what_the_thread_of_a_local_pool_runs_while_it_waits() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, work) = (scope.create("ui"), started(&scope, "work", PoolConfig::leased(1)));
        let local = ui.start_local(PoolConfig::local()).expect("starts");
        let busy = Busy::on(&work);
        let tasks = 3_000;
        for _ in 0..tasks {
            let work = work.clone();
            // Its wait runs the next one.
            drop(ui.submit(move || work.wait_idle().expect("from outside")).expect("accepted"));
        }
        let last = ui.submit(move || busy.end()).expect("accepted");
        local.run_until(last).expect("runs");
        ui.wait_idle().expect("from outside");
        assert_eq!(ui.stats().completed, tasks + 1);
    });
}
