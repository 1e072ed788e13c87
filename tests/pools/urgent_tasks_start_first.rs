//! A pool with priorities starts urgent tasks first, and starves none.

use std::sync::{Arc, Mutex};

use heirloom::{PoolConfig, PoolManager, Scope, StartErrorKind, TaskHandle};

use crate::common::bounded;
use crate::common::pools::{Busy, started};

/// The names of tasks, in the order of their starts.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn note(&self, name: &'static str) -> impl FnOnce() + Send + 'static {
        let log = self.0.clone();
        move || log.lock().expect("no task panics").push(name)
    }

    fn names(&self) -> Vec<&'static str> {
        self.0.lock().expect("no task panics").clone()
    }
}

fn submit_in(scope: &Scope, pool: &PoolManager, f: impl FnOnce() + Send + 'static) -> TaskHandle<()> {
    scope.run(|| pool.submit(f)).expect("accepted")
}

fn scope_of(parent: &Scope, level: u8) -> Scope {
    let scope = Scope::new_in(parent, "of a level");
    scope.priority(level);
    scope
}

#[test]
fn an_urgent_task_starts_before_tasks_queued_earlier() {
    bounded(|| {
        for config in [PoolConfig::leased(1), PoolConfig::dedicated(1)] {
            let (app, log) = (Scope::new("test"), Log::default());
            let pool = started(&app, "one", config.priorities(3));
            let [urgent, normal, batch] = [0, 1, 2].map(|level| scope_of(&app, level));
            let busy = Busy::on(&pool);
            for (scope, name) in [(&batch, "c1"), (&normal, "b1"), (&batch, "c2"), (&urgent, "a1"), (&urgent, "a2")] {
                drop(submit_in(scope, &pool, log.note(name)));
            }
            busy.end();
            pool.wait_idle().expect("from outside");
            assert_eq!(log.names(), ["a1", "a2", "b1", "c1", "c2"]);
        }
    });
}

#[test]
fn an_urgent_task_passes_a_batch_that_a_worker_has_taken_over() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).priorities(2));
        let batch = scope_of(&app, 1);
        let busy = Busy::on(&pool);
        // The first of them submits, when the others have left the submitters' side of the queue.
        let (inner, first) = (pool.clone(), log.clone());
        let urgent = move || drop(inner.submit_at(0, first.note("urgent")).expect("accepted"));
        drop(submit_in(&batch, &pool, urgent));
        drop(submit_in(&batch, &pool, log.note("queued")));
        busy.end();
        pool.wait_idle().expect("from outside");
        assert_eq!(log.names(), ["urgent", "queued"]);
    });
}

#[test]
fn a_priority_is_that_of_the_nearest_scope_that_has_one() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).priorities(2));
        let batch = scope_of(&app, 1);
        let inner = Scope::new_in(&batch, "inherits");
        let urgent = scope_of(&batch, 0);
        let busy = Busy::on(&pool);
        drop(submit_in(&inner, &pool, log.note("inherits")));
        drop(submit_in(&urgent, &pool, log.note("has its own")));
        drop(submit_in(&app, &pool, log.note("has none")));
        busy.end();
        pool.wait_idle().expect("from outside");
        assert_eq!(log.names(), ["has its own", "has none", "inherits"]);
    });
}

#[test]
fn a_submit_may_name_a_priority_of_its_own() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).priorities(2));
        let batch = scope_of(&app, 1);
        let busy = Busy::on(&pool);
        drop(pool.submit_at(1, log.note("late")).expect("accepted"));
        drop(batch.run(|| pool.submit_at(0, log.note("soon"))).expect("accepted"));
        busy.end();
        pool.wait_idle().expect("from outside");
        assert_eq!(log.names(), ["soon", "late"]);
        let plain = started(&app, "plain", PoolConfig::leased(1));
        assert_eq!(plain.submit_at(7, || 7).expect("accepted").join().expect("runs"), 7);
    });
}

#[test]
fn a_priority_past_the_last_level_is_the_last_level() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).priorities(2));
        let busy = Busy::on(&pool);
        for (level, name) in [(u8::MAX, "first"), (1, "second"), (0, "urgent")] {
            drop(submit_in(&scope_of(&app, level), &pool, log.note(name)));
            drop(pool.submit_at(level, log.note(name)).expect("accepted"));
        }
        busy.end();
        pool.wait_idle().expect("from outside");
        // The scopes were dropped, so of each pair only the second task runs.
        assert_eq!(log.names(), ["urgent", "first", "second"]);
    });
}

#[test]
fn a_changed_priority_moves_no_queued_task() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).priorities(2));
        let scope = scope_of(&app, 1);
        let busy = Busy::on(&pool);
        drop(submit_in(&scope, &pool, log.note("before")));
        scope.priority(0);
        drop(submit_in(&scope, &pool, log.note("after")));
        busy.end();
        pool.wait_idle().expect("from outside");
        assert_eq!(log.names(), ["after", "before"]);
    });
}

#[test]
fn each_of_eight_levels_starts_at_least_one_of_twenty_two_tasks() {
    const LEVELS: u8 = 8;
    const EACH: usize = 400;
    bounded(|| {
        let app = Scope::new("test");
        let pool = started(&app, "one", PoolConfig::leased(1).priorities(LEVELS));
        let order = Arc::new(Mutex::new(Vec::new()));
        let busy = Busy::on(&pool);
        for level in 0..LEVELS {
            for _ in 0..EACH {
                let order = order.clone();
                drop(
                    pool.submit_at(level, move || order.lock().expect("no task panics").push(level)).expect("accepted"),
                );
            }
        }
        busy.end();
        pool.wait_idle().expect("from outside");
        let order = order.lock().expect("no task panics");
        assert_eq!(order.len(), EACH * usize::from(LEVELS));
        for level in 0..LEVELS {
            let mut gap = 0;
            let own = order.iter().filter(|at| **at == level).count();
            assert_eq!(own, EACH);
            let last = order.iter().rposition(|at| *at == level).expect("it ran");
            for at in &order[..=last] {
                gap = if *at == level { 0 } else { gap + 1 };
                assert!(gap < 14 + usize::from(LEVELS), "level {level} was passed over {gap} times");
            }
        }
        // The most urgent level has more than all others together.
        assert!(order[..EACH].iter().filter(|at| **at == 0).count() > EACH / 2);
    });
}

#[test]
fn the_lower_of_two_levels_starts_one_of_sixteen_tasks() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).priorities(2));
        let busy = Busy::on(&pool);
        (0..100).for_each(|_| drop(pool.submit_at(1, log.note("low")).expect("accepted")));
        (0..1_500).for_each(|_| drop(pool.submit_at(0, log.note("high")).expect("accepted")));
        busy.end();
        pool.wait_idle().expect("from outside");
        let lows: Vec<_> =
            log.names().chunks(16).map(|starts| starts.iter().filter(|name| **name == "low").count()).collect();
        assert_eq!(lows, vec![1; 100]);
    });
}

#[test]
fn a_level_that_was_empty_has_saved_up_nothing() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).priorities(2));
        for _ in 0..100 {
            pool.submit(|| ()).expect("accepted").join().expect("runs");
        }
        let busy = Busy::on(&pool);
        drop(pool.submit_at(1, log.note("batch")).expect("accepted"));
        for _ in 0..10 {
            drop(pool.submit(log.note("urgent")).expect("accepted"));
        }
        busy.end();
        pool.wait_idle().expect("from outside");
        assert_eq!(log.names().iter().position(|name| *name == "batch"), Some(10));
    });
}

#[test]
fn a_task_that_joins_a_less_urgent_one_runs_it_in_place() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "one", PoolConfig::leased(1).priorities(2));
        let (inner, notes) = (pool.clone(), log.clone());
        let joiner = pool.submit_at(0, move || {
            let low = inner.submit_at(1, notes.note("joined")).expect("accepted");
            drop(inner.submit_at(0, notes.note("urgent")).expect("accepted"));
            low.join().expect("runs");
        });
        joiner.expect("accepted").join().expect("runs");
        pool.wait_idle().expect("from outside");
        assert_eq!(log.names(), ["joined", "urgent"]);
    });
}

#[test]
fn a_local_pool_has_priorities_too() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = app.create("local");
        let local = pool.start_local(PoolConfig::local().priorities(2)).expect("starts");
        for (level, name) in [(1, "batch"), (0, "urgent")] {
            drop(pool.submit_at(level, log.note(name)).expect("accepted"));
        }
        local.run_pending();
        assert_eq!(log.names(), ["urgent", "batch"]);
    });
}

#[cfg(feature = "rayon")]
#[test]
fn a_work_stealing_pool_starts_submitted_tasks_by_priority() {
    bounded(|| {
        let (app, log) = (Scope::new("test"), Log::default());
        let pool = started(&app, "rayon", PoolConfig::work_stealing(1).priorities(2));
        let busy = Busy::on(&pool);
        for (level, name) in [(1, "batch"), (0, "urgent")] {
            drop(pool.submit_at(level, log.note(name)).expect("accepted"));
        }
        busy.end();
        pool.wait_idle().expect("from outside");
        assert_eq!(log.names(), ["urgent", "batch"]);
    });
}

#[test]
fn a_running_task_of_a_pool_with_priorities_may_become_a_node() {
    bounded(|| {
        let app = Scope::new("test");
        let pool = started(&app, "one", PoolConfig::leased(1).priorities(2));
        let (here, stands) = std::sync::mpsc::channel();
        let task = pool.submit_at(1, move || {
            here.send(heirloom::current().id()).expect("the test listens");
            while !heirloom::is_cancelled() {
                std::thread::yield_now();
            }
        });
        let task = task.expect("accepted");
        stands.recv().expect("it runs");
        task.cancel();
        let _ = task.join();
        assert!(pool.stop().expect("from outside").is_complete());
    });
}

#[test]
fn another_number_of_levels_is_another_setting() {
    bounded(|| {
        let app = Scope::new("test");
        let pool = started(&app, "one", PoolConfig::leased(1).priorities(2));
        pool.ensure_started(PoolConfig::leased(1).priorities(2)).expect("the same");
        let error = pool.ensure_started(PoolConfig::leased(1).priorities(3)).expect_err("another");
        assert!(
            matches!(
                error.as_start().map(|it| it.kind()),
                Some(StartErrorKind::ConfigMismatch { setting: "priorities", .. })
            ),
            "{error}"
        );
        pool.ensure_started(PoolConfig::leased(1).priorities(2).fair()).expect_err("another");
        let plain = started(&app, "plain", PoolConfig::leased(1));
        plain.ensure_started(PoolConfig::leased(1).priorities(1)).expect("one level is no order");
    });
}
