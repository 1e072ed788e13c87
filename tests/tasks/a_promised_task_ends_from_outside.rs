//! A promised task is one of its pool: counted, refused and shown as any other. Code outside of the pool ends it, once.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use heirloom::{ErrorKind, PoolConfig, PoolKind, PoolManager, Promise, Scope, TaskStatus};

use crate::common::{bounded, eventually};

fn pool(scope: &Scope, config: PoolConfig) -> PoolManager {
    let pool = scope.create("work");
    pool.start(config.log_panics(false)).expect("starts");
    pool
}

fn one(scope: &Scope) -> PoolManager {
    pool(scope, PoolConfig::leased(1))
}

#[test]
fn the_handle_gets_the_value_that_another_thread_completes_it_with() {
    bounded(|| {
        let scope = Scope::new("test");
        let (promise, task) = one(&scope).promise::<String>().expect("accepted");
        assert_eq!(promise.id(), task.id());
        let holder = thread::spawn(move || promise.complete(String::from("value")));
        assert_eq!(task.join().expect("completed"), "value");
        holder.join().expect("ends");
    });
}

#[test]
fn every_kind_of_pool_takes_it() {
    bounded(|| {
        let configs = [
            PoolConfig::leased(1),
            PoolConfig::dedicated(1),
            #[cfg(feature = "rayon")]
            PoolConfig::work_stealing(2),
            PoolConfig::leased(1).daemon(),
            PoolConfig::leased(1).detached(),
            PoolConfig::leased(1).priorities(3),
            PoolConfig::leased(1).fair().queue_limit(2).queue_limit_each(1),
        ];
        for config in configs {
            let scope = Scope::new("test");
            let pool = pool(&scope, config);
            let tenant = Scope::new_in(&scope, "tenant");
            for begins in [false, true] {
                let (promise, task) = tenant.run(|| pool.promise()).expect("accepted");
                assert!(!begins || promise.begin());
                promise.complete(7);
                assert_eq!(task.join().expect("completed"), 7);
            }
            assert_eq!(pool.stop().expect("stops").completed, 2);
        }
    });
}

#[test]
fn a_local_pool_takes_it_and_its_thread_joins_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let manager = scope.create("local");
        let local = manager.start_local(PoolConfig::local()).expect("starts");
        let (promise, task) = manager.promise().expect("accepted");
        assert_eq!(manager.stats().kind, PoolKind::Local);
        let holder = thread::spawn(move || promise.complete(7));
        assert_eq!(task.join().expect("completed"), 7);
        holder.join().expect("ends");
        drop(local);
    });
}

#[test]
fn the_thread_of_a_local_pool_cancels_it_when_it_leaves() {
    bounded(|| {
        let scope = Scope::new("test");
        let manager = scope.create("local");
        let local = manager.start_local(PoolConfig::local()).expect("starts");
        let (promise, task) = manager.promise::<()>().expect("accepted");
        drop(local);
        assert!(task.join().expect_err("the thread has left").is_cancelled());
        assert!(!promise.begin());
    });
}

#[test]
fn it_is_queued_until_it_begins_and_runs_then() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = one(&scope);
        let typed = pool.of_type("shader");
        let (promise, task) = typed.promise::<()>().expect("accepted");
        assert_eq!((task.status(), pool.stats().queued, pool.stats().running), (TaskStatus::Queued, 1, 0));
        assert!(promise.begin());
        assert!(!promise.begin(), "it has begun");
        assert_eq!((task.status(), pool.stats().queued, pool.stats().running), (TaskStatus::Running, 0, 1));
        let report = pool.stop_timeout(Duration::ZERO).expect("is no own task");
        let running = &report.still_running[0];
        assert_eq!((running.id, report.remaining), (task.id(), 1));
        assert_eq!(running.task_type.as_ref().map(ToString::to_string).as_deref(), Some("shader"));
        promise.complete(());
        assert_eq!((task.status(), pool.stats().running, pool.stats().completed), (TaskStatus::Finished, 0, 1));
        task.join().expect("completed");
    });
}

#[test]
fn it_takes_no_permit() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = one(&scope);
        let promises: Vec<_> = (0..100).map(|_| pool.promise::<()>().expect("accepted")).collect();
        assert!(promises.iter().all(|(promise, _)| promise.begin()));
        assert_eq!(pool.submit(|| 7).expect("accepted").join().expect("has the permit"), 7);
        promises.into_iter().for_each(|(promise, task)| {
            promise.complete(());
            task.join().expect("completed");
        });
    });
}

#[test]
fn a_task_of_the_same_pool_that_joins_it_releases_its_permit() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = one(&scope);
        let (promise, task) = pool.promise().expect("accepted");
        let (starts, started) = mpsc::channel();
        let joiner = pool.submit(move || {
            starts.send(()).expect("awaited");
            task.join()
        });
        started.recv().expect("starts");
        // It runs while the joiner waits for it, with the only permit.
        let other = pool.submit(move || promise.complete(7)).expect("accepted");
        other.join().expect("the joiner has released the permit");
        let joined = joiner.expect("accepted").join().expect("ends");
        assert_eq!(joined.expect("is no circle"), 7);
    });
}

#[test]
fn a_task_that_holds_its_permit_may_join_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1).holds_permit());
        let (promise, task) = pool.promise().expect("accepted");
        let (starts, started) = mpsc::channel();
        let joiner = pool.submit(move || {
            starts.send(()).expect("awaited");
            task.join()
        });
        started.recv().expect("starts");
        promise.complete(7);
        assert_eq!(joiner.expect("accepted").join().expect("ends").expect("is no circle"), 7);
    });
}

#[test]
fn it_takes_capacity_until_it_begins() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1).queue_limit(1));
        let (first, task) = pool.promise::<()>().expect("accepted");
        let full = pool.promise::<()>().expect_err("the queue is full");
        assert_eq!(full.kind(), ErrorKind::QueueFull);
        assert_eq!(pool.stats().refused, 1);
        let waits = thread::spawn({
            let pool = pool.clone();
            move || pool.submit_timeout(|| 7, Duration::from_secs(30)).expect("has capacity").join()
        });
        assert!(first.begin());
        assert_eq!(waits.join().expect("ends").expect("runs"), 7);
        let (second, cancelled) = pool.promise::<()>().expect("accepted");
        cancelled.cancel();
        let (third, _third) = pool.promise::<()>().expect("a cancel frees capacity");
        drop((first, second, third, task));
    });
}

#[test]
fn it_is_refused_as_any_other_task() {
    bounded(|| {
        let scope = Scope::new("test");
        let never = scope.create("never");
        assert_eq!(never.promise::<()>().expect_err("not started").kind(), ErrorKind::NotStarted);
        let typed = pool(&scope, PoolConfig::leased(1).task_type("page"));
        assert_eq!(typed.promise::<()>().expect_err("has no type").kind(), ErrorKind::WrongType);
        let (promise, task) = typed.of_type("page").promise().expect("has the type");
        promise.complete(7);
        assert_eq!(task.join().expect("completed"), 7);
        let ended = Scope::new("ended");
        let at = ended.lineage().clone();
        ended.finish();
        let refused = at.run(|| typed.of_type("page").promise::<()>());
        assert_eq!(refused.expect_err("the scope has ended").kind(), ErrorKind::ScopeEnded);
        typed.close();
        assert_eq!(typed.of_type("page").promise::<()>().expect_err("closed").kind(), ErrorKind::Closed);
    });
}

#[test]
fn a_dropped_promise_tells_its_handle() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = one(&scope);
        for begins in [false, true] {
            let (promise, task) = pool.promise::<()>().expect("accepted");
            assert!(!begins || promise.begin());
            drop(promise);
            let error = task.join().expect_err("was abandoned");
            assert_eq!(error.kind(), ErrorKind::Abandoned);
            let when = if begins { "after it had begun" } else { "before it had begun" };
            assert!(error.to_string().contains(when), "{error}");
        }
        let stats = pool.stats();
        assert_eq!((stats.cancelled, stats.panicked, stats.running, stats.queued), (1, 1, 0, 0));
    });
}

#[test]
fn a_panic_that_another_thread_caught_reaches_the_handle() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = one(&scope);
        let (promise, task) = pool.promise::<()>().expect("accepted");
        promise.panic(Box::new(41_u8));
        let payload = task.join().expect_err("panicked").into_panic().expect("has the payload");
        assert_eq!(payload.downcast_ref::<u8>(), Some(&41));
        assert_eq!((pool.stats().panicked, pool.stats().running), (1, 0));
    });
}

#[test]
fn it_may_end_with_the_error_of_another_task() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = one(&scope);
        let fails = pool.submit(|| -> u8 { panic!("no") }).expect("accepted");
        let other = fails.id();
        let (promise, task) = pool.promise::<u8>().expect("accepted");
        let heirloom::Error::Task(error) = fails.join().expect_err("panics") else { panic!("a task's error") };
        promise.complete_with(Err(error));
        let error = task.join().expect_err("stands for the other");
        assert_eq!((error.panic_message(), error.task_id()), (Some("no"), Some(other)));
    });
}

#[test]
fn its_scope_and_its_pool_wait_for_it() {
    bounded(|| {
        let outer = Scope::new("outer");
        let pool = one(&outer);
        let request = Scope::new_in(&outer, "request");
        let (promise, task) = request.run(|| pool.promise::<()>()).expect("accepted");
        drop(task);
        assert_eq!((request.pending(), outer.pending()), (1, 1));
        let (ends, ended) = mpsc::channel();
        let waiter = thread::spawn(move || {
            let _ = request.stop().expect("is no own task");
            ends.send("the scope").expect("awaited");
            let _ = pool.stop().expect("is no own task");
        });
        assert!(ended.recv_timeout(Duration::from_millis(20)).is_err(), "the task has not ended");
        promise.complete(());
        assert_eq!(ended.recv(), Ok("the scope"));
        waiter.join().expect("ends");
    });
}

#[test]
fn a_handle_that_was_dropped_lets_the_value_go_in_its_place() {
    struct Tells(mpsc::Sender<heirloom::Lineage>);
    impl Drop for Tells {
        fn drop(&mut self) {
            let _ = self.0.send(heirloom::current());
        }
    }
    bounded(|| {
        let scope = Scope::new("test");
        let pool = one(&scope);
        let (promise, task) = scope.run(|| pool.promise()).expect("accepted");
        drop(task);
        let (tells, told) = mpsc::channel();
        thread::spawn(move || promise.complete(Tells(tells))).join().expect("ends");
        assert_eq!(told.recv().as_ref(), Ok(scope.lineage()));
    });
}

#[test]
fn completions_may_nest_ten_thousand_deep() {
    /// Its drop completes the next promise with the rest.
    struct Chain(Vec<Promise<Chain>>);
    impl Drop for Chain {
        fn drop(&mut self) {
            if let Some(next) = self.0.pop() {
                next.complete(Chain(std::mem::take(&mut self.0)));
            }
        }
    }
    bounded(|| {
        let scope = Scope::new("test");
        let pool = one(&scope);
        let promise = |_| pool.promise().map(|(promise, task)| (promise, drop(task)).0).expect("accepted");
        drop(Chain((0..10_000).map(promise).collect()));
        assert_eq!(pool.stats().completed, 10_000);
    });
}

#[test]
fn code_at_its_node_finds_what_the_submitter_finds() {
    bounded(|| {
        let scope = Scope::new("request 7");
        let pool = one(&scope);
        let (promise, task) = scope.run(|| pool.promise::<()>()).expect("accepted");
        let at = promise.lineage();
        assert_eq!((at.parent().as_ref(), at.task_id()), (Some(scope.lineage()), Some(task.id())));
        let found = thread::spawn(move || at.run(|| heirloom::get("work").is_ok())).join();
        assert!(found.expect("ends"));
        promise.complete(());
        task.join().expect("completed");
    });
}

#[test]
fn it_completes_inside_a_future_and_wakes_one() {
    bounded(|| {
        let scope = Scope::new("test");
        let (promise, task) = one(&scope).promise().expect("accepted");
        let (sends, sent) = futures::channel::oneshot::channel::<u32>();
        let completes = async move { promise.complete(sent.await.expect("sent") * 2) };
        let both = async { futures::join!(task, completes, async { sends.send(21).expect("received") }).0 };
        assert_eq!(futures::executor::block_on(both).expect("completed"), 42);
    });
}

#[test]
fn a_set_cancels_it_and_yields_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = one(&scope);
        let mut set = heirloom::TaskSet::new();
        let (promise, task) = pool.promise::<u8>().expect("accepted");
        let (kept, other) = pool.promise::<u8>().expect("accepted");
        set.push(task);
        promise.complete(7);
        assert_eq!(set.join_next().expect("has one").1.expect("completed"), 7);
        set.push(other);
        set.cancel_all();
        assert!(set.join_next().expect("has one").1.expect_err("was cancelled").is_cancelled());
        assert!(kept.is_ended());
    });
}

#[test]
fn an_ended_pool_keeps_no_promised_task() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = one(&scope);
        let (promise, task) = pool.promise::<()>().expect("accepted");
        let (begun, running) = pool.promise::<()>().expect("accepted");
        assert!(begun.begin());
        drop((task, running));
        drop((promise, begun));
        let report = pool.stop().expect("stops");
        assert!(report.is_complete());
        eventually("no permit is taken", || pool.stats().running == 0 && pool.stats().queued == 0);
        pool.start(PoolConfig::leased(1)).expect("has ended, so it starts again");
    });
}
