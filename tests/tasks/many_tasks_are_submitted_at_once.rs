//! `submit_many` accepts all of its tasks or none; each is then a task as any other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

use heirloom::{
    ErrorKind, LocalPool, PoolConfig, PoolManager, Scope, SubmitErrorKind, TaskHandle, TaskKind, TaskSet, TaskStatus,
    TaskType,
};

use crate::common::bounded;
use crate::common::pools::{Busy, started};

/// More than one push queues.
const MANY: usize = 100;

fn joined<T>(handles: Vec<TaskHandle<T>>) -> Vec<T> {
    handles.into_iter().map(|handle| handle.join().expect("runs")).collect()
}

/// Closures that count how many of them exist.
fn counted(tasks: usize) -> (Arc<()>, impl Iterator<Item = impl FnOnce() + Send + 'static>) {
    let alive = Arc::new(());
    let each = Arc::clone(&alive);
    (alive, (0..tasks).map(move |_| Arc::clone(&each)).map(|held| move || drop(held)))
}

#[test]
fn each_runs_once_and_the_handles_keep_the_order() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(3));
        let ran = Arc::new(AtomicUsize::new(0));
        let task = |n| {
            let ran = Arc::clone(&ran);
            move || {
                ran.fetch_add(1, Ordering::Relaxed);
                n
            }
        };
        assert_eq!(joined(pool.submit_many((0..MANY).map(task)).expect("accepted")), (0..MANY).collect::<Vec<_>>());
        assert_eq!(ran.load(Ordering::Relaxed), MANY);
        pool.wait_idle().expect("not from an own task");
        assert_eq!(pool.stats().completed, MANY as u64);
    });
}

#[test]
fn they_start_in_order_behind_the_tasks_before_them() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let order = Arc::new(Mutex::new(Vec::new()));
        let task = |n: usize| {
            let order = Arc::clone(&order);
            move || order.lock().expect("no panic").push(n)
        };
        let before = pool.submit(task(0)).expect("accepted");
        let many = pool.submit_many((1..=MANY).map(task)).expect("accepted");
        let after = pool.submit(task(MANY + 1)).expect("accepted");
        busy.end();
        joined(many);
        joined(vec![before, after]);
        assert_eq!(*order.lock().expect("no panic"), (0..=MANY + 1).collect::<Vec<_>>());
    });
}

#[test]
fn as_many_run_at_once_as_there_are_permits() {
    bounded(|| {
        let scope = Scope::new("test");
        for config in [PoolConfig::leased(6), PoolConfig::dedicated(6)] {
            let pool = started(&scope, "work", config);
            let all = Arc::new(Barrier::new(6));
            let task = |_| {
                let all = Arc::clone(&all);
                move || {
                    all.wait();
                }
            };
            joined(pool.submit_many((0..6).map(task)).expect("accepted"));
            assert!(pool.stop().expect("not from an own task").is_complete());
        }
    });
}

#[test]
fn without_tasks_nothing_happens() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let none: [fn(); 0] = [];
        assert!(pool.submit_many(none).expect("nothing to refuse").is_empty());
        pool.close();
        assert!(pool.submit_many(none).expect("nothing to refuse").is_empty());
        let never = scope.create("never");
        assert!(never.submit_many(none).is_err_and(|error| error.kind() == ErrorKind::NotStarted));
    });
}

#[test]
fn a_queue_without_capacity_for_all_takes_none_and_gives_all_closures_back() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1).queue_limit(4));
        let busy = Busy::on(&pool);
        let queued = pool.submit_many([|| 1, || 2]).expect("there is capacity");
        let (alive, tasks) = counted(3);
        let refused = pool.try_submit_many(tasks).expect_err("two are free");
        assert!(refused.is_temporary());
        assert!(matches!(
            refused.reason().as_submit().map(|it| it.kind()),
            Some(SubmitErrorKind::QueueFull { limit: 4, tenant: None })
        ));
        let stats = pool.stats();
        assert_eq!((stats.queued, stats.running, stats.refused), (2, 1, 3));
        let mut back = refused.into_task();
        assert_eq!((back.len(), Arc::strong_count(&alive)), (3, 4), "each closure is whole");
        back.truncate(2);
        let rest = pool.try_submit_many(back).expect("two are free");
        assert!(pool.submit(|| ()).is_err_and(|error| error.kind() == ErrorKind::QueueFull));
        busy.end();
        assert_eq!(joined(queued), [1, 2]);
        joined(rest);
        // The capacity is whole again.
        let busy = Busy::on(&pool);
        let all = pool.submit_many([|| (); 4]).expect("four are free");
        busy.end();
        joined(all);
    });
}

#[test]
fn more_than_the_queue_ever_holds_is_refused_for_good() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1).queue_limit(4));
        let (alive, tasks) = counted(5);
        let refused = pool.try_submit_many(tasks).expect_err("the queue has four");
        assert!(!refused.is_temporary());
        assert_eq!(refused.reason().kind(), ErrorKind::TooMany);
        assert!(matches!(
            refused.reason().as_submit().map(|it| it.kind()),
            Some(SubmitErrorKind::TooMany { tasks: 5, limit: 4 })
        ));
        assert_eq!(Arc::strong_count(&alive), 6);
        drop(refused);
        pool.wait_idle().expect("not from an own task");
    });
}

#[test]
fn a_panic_of_the_iterator_submits_nothing() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let tasks = (0..9).map(|n| if n == 5 { panic!("the iterator") } else { || () });
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.submit_many(tasks)));
        assert_eq!(caught.expect_err("it panics here").downcast_ref(), Some(&"the iterator"));
        let stats = pool.stats();
        assert_eq!((stats.completed, stats.queued, stats.running, stats.refused), (0, 0, 0, 0));
        assert!(pool.stop().expect("not from an own task").is_complete());
    });
}

#[test]
fn a_panic_of_a_task_is_its_own() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2).log_panics(false));
        let tasks = (0..9).map(|n| move || if n == 5 { panic!("not {n}") } else { n });
        for (n, handle) in pool.submit_many(tasks).expect("accepted").into_iter().enumerate() {
            match handle.join() {
                Ok(value) => assert_eq!(value, n),
                Err(error) => assert_eq!((n, error.panic_message()), (5, Some("not 5"))),
            }
        }
    });
}

#[test]
fn a_refusal_for_any_reason_leaves_no_count_behind() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1));
        let ended = Scope::new("request");
        ended.cancel();
        let (alive, tasks) = counted(MANY);
        let refused = ended.run(|| pool.try_submit_many(tasks)).expect_err("the scope has ended");
        assert_eq!(refused.reason().kind(), ErrorKind::ScopeEnded);
        assert_eq!(Arc::strong_count(&alive), MANY + 1);
        ended.finish();
        pool.wait_idle().expect("not from an own task");

        let typed = started(&owner, "typed", PoolConfig::leased(1).task_type("row"));
        assert!(typed.submit_many([|| ()]).is_err_and(|error| error.kind() == ErrorKind::WrongType));
        assert_eq!(joined(typed.of_type("row").submit_many([|| 1, || 2]).expect("its type")), [1, 2]);

        pool.close();
        assert!(pool.submit_many([|| ()]).is_err_and(|error| error.kind() == ErrorKind::Closed));
        assert!(pool.stop().expect("not from an own task").is_complete());
    });
}

struct Row;
impl TaskKind for Row {}

#[test]
fn a_typed_manager_takes_many_of_its_kind() {
    bounded(|| {
        let scope = Scope::new("test");
        let rows = started(&scope, "rows", PoolConfig::leased(2).task_type(TaskType::of::<Row>()));
        let rows = rows.typed::<Row>().expect("its type");
        let handles = rows.submit_many((0..5).map(|n| Row::task(move || n))).expect("accepted");
        assert_eq!(joined(handles), [0, 1, 2, 3, 4]);
        let refused = {
            rows.manager().close();
            rows.try_submit_many([Row::task(|| 7)]).expect_err("it is closed")
        };
        assert_eq!(refused.into_task().pop().expect("it comes back")(), 7);
    });
}

#[test]
fn a_set_yields_them_as_they_finish() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let set: TaskSet<usize> =
            pool.submit_many((0..MANY).map(|n| move || n)).expect("accepted").into_iter().collect();
        let mut set = set;
        let mut all: Vec<usize> = std::iter::from_fn(|| set.join_next()).map(|(_, n)| n.expect("runs")).collect();
        all.sort_unstable();
        assert_eq!(all, (0..MANY).collect::<Vec<_>>());
    });
}

#[test]
fn a_cancelled_scope_ends_all_that_are_queued() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let request = Scope::new("request");
        let (alive, tasks) = counted(MANY);
        let handles = request.run(|| pool.submit_many(tasks)).expect("accepted");
        assert!(handles.iter().all(|handle| handle.status() == TaskStatus::Queued));
        request.cancel();
        assert_eq!(Arc::strong_count(&alive), 1, "their closures are dropped");
        request.finish();
        for handle in handles {
            assert!(handle.join().expect_err("it never starts").is_cancelled());
        }
        busy.end();
    });
}

#[test]
fn one_of_them_is_cancelled_alone() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let busy = Busy::on(&pool);
        let handles = pool.submit_many((0..3).map(|n| move || n)).expect("accepted");
        handles[1].cancel();
        busy.end();
        let results: Vec<_> = handles.into_iter().map(|handle| handle.join().ok()).collect();
        assert_eq!(results, [Some(0), None, Some(2)]);
    });
}

#[test]
fn where_the_submitter_is_cancelled_each_ends_at_once() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let (go, gate) = mpsc::channel::<()>();
        let own = pool.clone();
        let submitter = pool.submit(move || {
            let _node = heirloom::current(); // the request is made to this node
            let _ = gate.recv();
            let (alive, tasks) = counted(MANY);
            let handles = own.submit_many(tasks).expect("accepted, and cancelled");
            assert_eq!(Arc::strong_count(&alive), 1);
            handles.into_iter().all(|handle| handle.join().is_err_and(|error| error.is_cancelled()))
        });
        let submitter = submitter.expect("accepted");
        while submitter.status() == TaskStatus::Queued {
            thread::yield_now();
        }
        submitter.cancel();
        drop(go);
        assert!(submitter.join().expect("returns"));
        assert!(pool.stop().expect("not from an own task").is_complete());
    });
}

#[test]
fn they_have_the_rank_of_their_submitters_place() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "work", PoolConfig::leased(1).fair().queue_limit_each(MANY));
        let busy = Busy::on(&pool);
        let order = Arc::new(Mutex::new(Vec::new()));
        let task = |tenant: &'static str| {
            let order = Arc::clone(&order);
            move || order.lock().expect("no panic").push(tenant)
        };
        let (one, two) = (Scope::new("one"), Scope::new("two"));
        let first = one.run(|| pool.submit_many((0..MANY).map(|_| task("one")))).expect("accepted");
        let second = two.run(|| pool.submit_many([task("two"), task("two")])).expect("accepted");
        let full = one.run(|| pool.submit_many([task("one")])).expect_err("this tenant is at its limit");
        assert!(matches!(
            full.as_submit().map(|it| it.kind()),
            Some(SubmitErrorKind::QueueFull { limit: MANY, tenant: Some(_) })
        ));
        busy.end();
        joined(first);
        joined(second);
        assert_eq!(order.lock().expect("no panic")[..5], ["one", "two", "one", "two", "one"]);
        assert_eq!(joined(one.run(|| pool.submit_many((0..MANY).map(|n| move || n))).expect("accepted")).len(), MANY);
    });
}

#[test]
fn they_may_borrow_in_a_scope_which_waits_for_all() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let mut rows: Vec<Vec<usize>> = (0..MANY).map(|n| vec![n + 1, n]).collect();
        pool.scope(|s| s.submit_many(rows.iter_mut().map(|row| || row.sort_unstable())).map(drop)).expect("accepted");
        assert!(rows.iter().all(|row| row.is_sorted()));
        // Within a task of the same pool of one, too.
        let single = started(&scope, "single", PoolConfig::leased(1));
        let own = single.clone();
        let task = single.submit(move || {
            let numbers: Vec<usize> = (0..MANY).collect();
            own.scope(|s| {
                let handles = s.submit_many(numbers.iter().map(|n| move || *n)).expect("accepted");
                handles.into_iter().map(|handle| handle.join().expect("runs")).sum::<usize>()
            })
        });
        assert_eq!(task.expect("accepted").join().expect("runs"), MANY * (MANY - 1) / 2);
        single.close();
        let refused = single.scope(|s| s.submit_many([|| ()]).map(drop)).expect_err("it is closed");
        assert_eq!(refused.kind(), ErrorKind::Closed);
    });
}

#[test]
fn a_local_pools_thread_runs_all() {
    bounded(|| {
        let scope = Scope::new("test");
        let manager = scope.create("ui");
        let ui: LocalPool = manager.start_local(PoolConfig::local()).expect("starts");
        let here = thread::current().id();
        let submitted = thread::scope(|threads| {
            let submitter = threads.spawn(|| manager.submit_many([|| thread::current().id(); 3]).expect("accepted"));
            submitter.join().expect("no panic")
        });
        ui.run_pending();
        assert_eq!(joined(submitted), [here; 3]);
    });
}

#[test]
fn beside_a_close_or_a_cancel_all_are_refused_or_each_has_an_end() {
    bounded(|| {
        let ends: [fn(&PoolManager); 3] = [PoolManager::close, PoolManager::cancel, |pool| drop(pool.stop())];
        for (round, end) in ends.iter().cycle().take(150).enumerate() {
            let scope = Scope::new("test");
            let config = if round % 2 == 0 { PoolConfig::leased(2) } else { PoolConfig::leased(2).daemon() };
            let pool = started(&scope, "work", config);
            let begin = Barrier::new(2);
            thread::scope(|threads| {
                threads.spawn(|| {
                    begin.wait();
                    end(&pool);
                });
                begin.wait();
                match pool.try_submit_many((0..MANY).map(|n| move || n)) {
                    Ok(handles) => {
                        assert_eq!(handles.len(), MANY);
                        handles.into_iter().for_each(|handle| drop(handle.join()));
                    }
                    Err(refused) => assert_eq!(refused.into_task().len(), MANY),
                }
            });
            assert_eq!(pool.stop().expect("not from an own task").remaining, 0);
        }
    });
}
