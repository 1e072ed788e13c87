//! `max_blocked(n)` bounds how many tasks of a pool may have given their places away at once; at the bound a wait keeps
//! its place, and the pool says so once at WARN.
//!
//! The subscriber belongs to the process, and counts by namespace.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError, mpsc};

use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle};
use tracing::field::{Field, Visit};
use tracing::span;

use crate::common::pools::{Busy, started, this_thread};
use crate::common::{BOUND, alone, eventually};

static WARNINGS: Mutex<Option<HashMap<String, usize>>> = Mutex::new(None);

struct Ear;

#[derive(Default)]
struct Namespace(Option<String>);

impl Visit for Namespace {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "namespace" {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

impl tracing::Subscriber for Ear {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut namespace = Namespace::default();
        event.record(&mut namespace);
        let mut warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
        *warnings.get_or_insert_default().entry(namespace.0.unwrap_or_default()).or_default() += 1;
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn listen() {
    tracing::subscriber::set_global_default(Ear).expect("the process has none");
}

fn warnings(namespace: &str) -> usize {
    let warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
    warnings.as_ref().and_then(|warnings| warnings.get(namespace)).copied().unwrap_or(0)
}

/// A task in a wait, until told.
struct Waiter {
    task: TaskHandle<()>,
    go: mpsc::Sender<()>,
}

impl Waiter {
    fn on(pool: &PoolManager) -> Self {
        let (go, gate) = mpsc::channel::<()>();
        let (here, waits) = mpsc::channel();
        let task = pool
            .submit(move || {
                heirloom::blocking(|| {
                    here.send(()).expect("the test listens");
                    let _ = gate.recv();
                });
            })
            .expect("accepted");
        waits.recv().expect("it waits");
        Self { task, go }
    }

    fn end(self) {
        self.go.send(()).expect("the task listens");
        self.task.join().expect("runs");
    }
}

/// A task in a wait that ends by itself, some time, until it is ended.
struct Sleeper(TaskHandle<()>);

impl Sleeper {
    fn on(pool: &PoolManager) -> Self {
        let (here, sleeps) = mpsc::channel();
        let sleeper = pool.submit(move || {
            here.send(()).expect("the test listens");
            heirloom::sleep(BOUND).expect_err("it is ended before");
        });
        sleeps.recv().expect("it is about to");
        Self(sleeper.expect("accepted"))
    }

    fn end(self) {
        self.0.cancel();
        self.0.join().expect("runs");
    }
}

#[test]
fn a_wait_at_the_bound_keeps_its_place_and_says_so_once() {
    alone(|| {
        listen();
        let scope = Scope::new("test");
        let pool = started(&scope, "at the bound", PoolConfig::leased(1).max_blocked(2));
        let free = [Waiter::on(&pool), Waiter::on(&pool)];
        assert_eq!(pool.stats().waiting, 2);
        assert_eq!(warnings("at the bound"), 0, "the bound is not passed yet");
        let keeps = Sleeper::on(&pool);
        eventually("it waits", || warnings("at the bound") == 1);
        let stats = pool.stats();
        assert_eq!((stats.waiting, stats.running), (2, 1), "it counts as running");
        let next = pool.submit(|| ()).expect("accepted");
        assert_eq!(pool.stats().queued, 1, "nobody starts it");
        keeps.end();
        next.join().expect("runs now that the place is free");
        for _ in 0..5 {
            Waiter::on(&pool).end();
        }
        assert_eq!(warnings("at the bound"), 1, "once is enough");
        for waiter in free {
            waiter.end();
        }
    });
}

#[test]
fn a_wait_that_ends_lets_another_give_its_place_away() {
    alone(|| {
        listen();
        let scope = Scope::new("test");
        let pool = started(&scope, "one by one", PoolConfig::leased(1).max_blocked(1));
        for _ in 0..50 {
            let waiter = Waiter::on(&pool);
            assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs meanwhile"), 7);
            waiter.end();
        }
        assert_eq!(warnings("one by one"), 0);
    });
}

#[test]
fn every_wait_keeps_its_place_where_no_extra_thread_is_allowed() {
    alone(|| {
        listen();
        let scope = Scope::new("test");
        let pool = started(&scope, "none", PoolConfig::leased(2).max_blocked(0));
        let waiters = [Sleeper::on(&pool), Sleeper::on(&pool)];
        let next = pool.submit(|| ()).expect("accepted");
        let stats = pool.stats();
        assert_eq!((stats.running, stats.waiting, stats.queued), (2, 0, 1));
        for waiter in waiters {
            waiter.end();
        }
        next.join().expect("runs");
        assert_eq!(warnings("none"), 1);
    });
}

#[test]
fn a_join_of_an_unstarted_task_of_the_own_pool_runs_in_place_at_the_bound_too() {
    alone(|| {
        listen();
        let scope = Scope::new("test");
        let pool = started(&scope, "in place", PoolConfig::leased(1).max_blocked(0));
        let inner = pool.clone();
        let (joiner, ran) = pool
            .submit(move || (this_thread(), inner.submit(this_thread).expect("accepted").join().expect("runs")))
            .expect("accepted")
            .join()
            .expect("runs");
        assert_eq!(joiner, ran);
        assert_eq!(warnings("in place"), 0, "it is no wait");
    });
}

#[test]
fn a_pool_that_keeps_its_places_does_not_warn() {
    alone(|| {
        listen();
        let scope = Scope::new("test");
        let pool = started(&scope, "keeps", PoolConfig::leased(1).holds_permit().max_blocked(0));
        Waiter::on(&pool).end();
        assert_eq!(warnings("keeps"), 0);
    });
}

#[test]
fn the_bound_is_256_unless_told_otherwise() {
    alone(|| {
        listen();
        let scope = Scope::new("test");
        let pool = started(&scope, "default", PoolConfig::leased(1));
        let waiters: Vec<_> = (0..256).map(|_| Waiter::on(&pool)).collect();
        assert_eq!((pool.stats().waiting, warnings("default")), (256, 0));
        let keeps = Waiter::on(&pool);
        assert_eq!((pool.stats().waiting, warnings("default")), (256, 1));
        keeps.end();
        for waiter in waiters {
            waiter.end();
        }
    });
}

#[test]
fn each_start_says_it_anew() {
    alone(|| {
        listen();
        let scope = Scope::new("test");
        for round in 1..=3 {
            let pool = scope.get_or_create("anew");
            pool.start(PoolConfig::leased(1).max_blocked(0)).expect("starts");
            Waiter::on(&pool).end();
            assert_eq!(warnings("anew"), round);
            assert!(pool.stop().expect("from outside").is_complete());
        }
    });
}

#[test]
fn a_pool_whose_places_are_all_kept_lets_the_next_task_start_after_a_while() {
    alone(|| {
        let scope = Scope::new("test");
        for n in [1, 3] {
            let pool = started(&scope, "kept", PoolConfig::leased(n).max_blocked(0));
            let waiters: Vec<_> = (0..n).map(|_| Waiter::on(&pool)).collect();
            for _ in 0..3 {
                assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("runs"), 7);
            }
            let stats = pool.stats();
            assert_eq!((stats.waiting, stats.running), (1, n - 1), "one place was enough for all of them");
            for waiter in waiters {
                waiter.end();
            }
            pool.wait_idle().expect("from outside");
            assert_eq!((pool.stats().waiting, pool.stats().running), (0, 0));
            let task = pool.submit(|| 7).expect("accepted");
            assert_eq!(task.join().expect("runs"), 7, "it has its places back");
        }
    });
}

#[test]
fn a_place_that_a_task_uses_is_not_let_to_another() {
    alone(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "used", PoolConfig::leased(2).max_blocked(0));
        let (waits, works) = (Waiter::on(&pool), Busy::on(&pool));
        let next = pool.submit(|| ()).expect("accepted");
        // Far longer than it takes where every place is kept.
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(!next.is_finished());
        works.end();
        next.join().expect("runs");
        waits.end();
    });
}

#[test]
fn a_pool_that_keeps_its_places_lets_none() {
    alone(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "serial", PoolConfig::leased(1).holds_permit());
        let waits = Waiter::on(&pool);
        let next = pool.submit(|| ()).expect("accepted");
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(!next.is_finished());
        waits.end();
        next.join().expect("runs");
    });
}

#[test]
fn a_bound_that_is_reached_holds_nobody_up_for_ever() {
    alone(|| {
        listen();
        let scope = Scope::new("test");
        let (pool, other) = (
            started(&scope, "reached", PoolConfig::leased(2).max_blocked(1)),
            started(&scope, "other", PoolConfig::leased(1)),
        );
        let busy = Busy::on(&other);
        let waits: Vec<_> = (0..20)
            .map(|_| {
                let other = other.clone();
                let waits = move || other.submit(|| 1).expect("accepted").join_timeout(BOUND);
                pool.submit(move || waits().expect("in time").expect("runs")).expect("accepted")
            })
            .collect();
        eventually("the places are full of waits", || pool.stats().running == 2 && pool.stats().waiting == 1);
        assert_eq!(pool.stats().queued, 17);
        busy.end();
        assert_eq!(waits.into_iter().map(|task| task.join().expect("runs")).sum::<i32>(), 20);
    });
}
