//! A local pool's tasks run on the thread that has the `LocalPool`, inside its `run_*` methods and nowhere else; anyone
//! submits, and dropping it resolves every handle.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use heirloom::{LocalPool, PoolConfig, PoolKind, PoolManager, Scope, StartErrorKind, SubmitErrorKind, TaskSet};

use crate::common::pools::{started, this_thread};
use crate::common::{BOUND, bounded};

fn local(scope: &Scope, config: PoolConfig) -> (PoolManager, LocalPool) {
    let manager = scope.create("ui");
    let local = manager.start_local(config).expect("starts");
    (manager, local)
}

fn on_another_thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    std::thread::spawn(f)
}

#[test]
fn tasks_of_any_thread_run_here_in_order() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, local) = local(&scope, PoolConfig::local());
        let here = this_thread();
        let (tell, told) = std::sync::mpsc::channel();
        let other = {
            let ui = ui.clone();
            on_another_thread(move || {
                let tasks: Vec<_> =
                    (0..100).map(|n| ui.submit(move || (n, this_thread())).expect("accepted")).collect();
                tell.send(()).expect("the test listens");
                tasks.into_iter().map(|task| task.join().expect("runs")).collect::<Vec<_>>()
            })
        };
        told.recv().expect("all are queued");
        assert_eq!(local.run_pending(), 100);
        assert_eq!(other.join().expect("no panic"), (0..100).map(|n| (n, here)).collect::<Vec<_>>());
        let stats = ui.stats();
        assert_eq!((stats.kind, stats.limit, stats.completed), (PoolKind::Local, 1, 100));
    });
}

#[test]
fn run_pending_runs_what_was_queued_and_not_what_that_submits() {
    bounded(|| {
        fn again(ui: PoolManager, ran: Arc<AtomicUsize>) {
            ran.fetch_add(1, Ordering::SeqCst);
            let (next, counts) = (ui.clone(), ran);
            drop(ui.submit(move || again(next, counts)).expect("accepted"));
        }
        let scope = Scope::new("test");
        let (ui, local) = local(&scope, PoolConfig::local());
        let ran = Arc::new(AtomicUsize::new(0));
        let (next, counts) = (ui.clone(), Arc::clone(&ran));
        drop(ui.submit(move || again(next, counts)).expect("accepted"));
        for round in 1..=3 {
            assert_eq!(local.run_pending(), 1);
            assert_eq!(ran.load(Ordering::SeqCst), round);
        }
        ui.cancel();
        assert_eq!(local.run_pending(), 0);
    });
}

#[test]
fn run_until_serves_what_the_awaited_task_needs() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, local) = local(&scope, PoolConfig::local());
        let work = started(&scope, "work", PoolConfig::leased(2));
        let here = this_thread();
        for _ in 0..500 {
            let ui = ui.clone();
            let asks = work.submit(move || ui.submit(this_thread).expect("accepted").join()).expect("accepted");
            assert_eq!(local.run_until(asks).expect("runs").expect("runs"), here);
        }
    });
}

#[test]
fn run_until_runs_earlier_tasks_first_and_leaves_later_ones() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, local) = local(&scope, PoolConfig::local());
        let first = ui.submit(|| 1).expect("accepted");
        let second = ui.submit(|| 2).expect("accepted");
        let third = ui.submit(|| 3).expect("accepted");
        assert_eq!(local.run_until(second).expect("runs"), 2);
        assert!(first.is_finished() && !third.is_finished());
        assert_eq!(local.run_pending(), 1);
    });
}

#[test]
fn run_until_sleeps_and_is_woken_by_tasks_and_by_its_future() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, local) = local(&scope, PoolConfig::local());
        let (send, receive) = futures::channel::oneshot::channel();
        let other = on_another_thread(move || {
            for n in 0..50 {
                // Each of these finds the thread asleep, or about to be.
                assert_eq!(ui.submit(move || n).expect("accepted").join().expect("runs"), n);
            }
            send.send("done").expect("awaited");
        });
        assert_eq!(local.run_until(receive), Ok("done"));
        other.join().expect("no panic");
    });
}

#[test]
fn run_until_stopped_ends_with_the_pool_and_reports() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, local) = local(&scope, PoolConfig::local().queue_limit(100_000));
        let other = on_another_thread(move || {
            let submitters: Vec<_> = (0..3)
                .map(|_| {
                    let ui = ui.clone();
                    std::thread::spawn(move || (0..500).for_each(|_| drop(ui.submit(|| ()).expect("accepted"))))
                })
                .collect();
            submitters.into_iter().for_each(|submitter| submitter.join().expect("no panic"));
            ui.stop().expect("from outside")
        });
        let report = local.run_until_stopped();
        assert_eq!((report.completed, report.remaining), (1_500, 0));
        assert_eq!(other.join().expect("no panic").completed, 1_500);
        assert_eq!(local.run_until_stopped().completed, 1_500, "and again");
    });
}

#[test]
fn run_within_ends_in_time_or_with_the_pool() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, local) = local(&scope, PoolConfig::local());
        let task = ui.submit(|| 7).expect("accepted");
        assert!(!local.run_timeout(Duration::from_millis(5)));
        assert!(task.is_finished());
        ui.close();
        assert!(local.run_timeout(BOUND));
    });
}

#[test]
fn a_panic_is_the_tasks_own() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, local) = local(&scope, PoolConfig::local());
        let bad = ui.submit(|| panic!("no window")).expect("accepted");
        let good = ui.submit(|| 7).expect("accepted");
        assert_eq!(local.run_pending(), 2);
        assert_eq!(bad.join().expect_err("it panics").panic_message(), Some("no window"));
        assert_eq!(good.join().expect("runs"), 7);
    });
}

#[test]
fn dropping_it_resolves_every_handle_and_refuses_what_comes() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, local) = local(&scope, PoolConfig::local());
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let task = ui.submit(|| ()).expect("accepted");
                on_another_thread(move || task.join().is_err_and(|error| error.is_cancelled()))
            })
            .collect();
        drop(local);
        assert!(waiters.into_iter().all(|waiter| waiter.join().expect("no panic")));
        assert!(
            matches!(ui.submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Closed { .. })))
        );
        assert!(ui.stop().expect("from outside").is_complete());
        let again = ui.start_local(PoolConfig::local()).expect("a fresh start");
        let task = ui.submit(|| 7).expect("accepted");
        assert_eq!(again.run_until(task).expect("runs"), 7);
    });
}

#[test]
fn submits_that_race_with_its_drop_are_refused_or_resolved() {
    bounded(|| {
        for _ in 0..200 {
            let scope = Scope::new("test");
            let (ui, local) = local(&scope, PoolConfig::local());
            let submitter = on_another_thread(move || {
                let handles: Vec<_> = (0..20).map_while(|_| ui.submit(|| ()).ok()).collect();
                handles.into_iter().for_each(|handle| drop(handle.join()));
            });
            let _ = local.run_pending();
            drop(local);
            submitter.join().expect("every handle resolves");
        }
    });
}

#[test]
fn several_on_one_thread_are_apart() {
    bounded(|| {
        let scope = Scope::new("test");
        let managers = ["a", "b", "c"].map(|name| scope.create(name));
        let [a, b, c] = managers.each_ref().map(|m| m.start_local(PoolConfig::local()).expect("starts"));
        let tasks = managers.each_ref().map(|m| m.submit(|| ()).expect("accepted"));
        assert_eq!(b.run_pending(), 1);
        assert_eq!(tasks.each_ref().map(heirloom::TaskHandle::is_finished), [false, true, false]);
        drop(b);
        let [first, _, third] = tasks;
        drop(a);
        assert!(first.join().is_err());
        third.join().expect("runs in place");
        drop(c);
    });
}

#[test]
fn what_is_pending_is_told_once_until_it_is_looked_at() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, local) = local(&scope, PoolConfig::local());
        let (post, events) = mpsc::channel();
        drop(ui.submit(|| ()).expect("accepted"));
        local.on_pending(move || post.send(()).expect("listens"));
        assert_eq!(events.try_iter().count(), 1, "something is queued already");
        for _ in 0..10 {
            drop(ui.submit(|| ()).expect("accepted"));
        }
        assert_eq!(events.try_iter().count(), 0);
        assert_eq!(local.run_pending(), 11);
        drop(ui.submit(|| ()).expect("accepted"));
        assert_eq!(events.try_iter().count(), 1);
        local.on_pending(|| panic!("swallowed"));
        assert_eq!(local.run_pending(), 1);
        ui.submit(|| ()).expect("a bad callback is no refusal").join().expect("runs");
    });
}

#[test]
fn all_verbs_work_on_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let (ui, local) = local(&scope, PoolConfig::local().task_type("draw"));
        assert!(
            matches!(ui.submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::UnknownTaskType { .. })))
        );
        let text = String::from("borrowed");
        assert_eq!(ui.of_type("draw").run(|| text.len()).expect("runs"), 8);
        let squares: Vec<u64> =
            ui.of_type("draw").map(1..=20, |n: u64| n * n).expect("accepted").map(|n| n.expect("runs")).collect();
        assert_eq!(squares.len(), 20);
        let sum = ui.of_type("draw").scope(|s| {
            let text = &text;
            let parts = [0, 4].map(|at| s.submit(move || text[0..4 + at].len() - 4).expect("accepted"));
            parts.into_iter().map(|part| part.join().expect("runs")).sum::<usize>()
        });
        assert_eq!(sum, 4);
        let mut set: TaskSet<_> = (0..5).map(|n| ui.submit_as("draw", move || n).expect("accepted")).collect();
        let mut seen = 0;
        while let Some((_, n)) = set.join_next() {
            seen += n.expect("runs");
        }
        assert_eq!(seen, 10);
        assert_eq!(local.run_pending(), 0);
        assert!(scope.lineage().managers()[0].stats().to_string().starts_with("local joining"));
    });
}

#[test]
fn settings_that_make_no_sense_are_named() {
    bounded(|| {
        let scope = Scope::new("test");
        let ui = scope.create("ui");
        let impossible = [
            ("holds_permit", PoolConfig::local().holds_permit()),
            ("max_blocked", PoolConfig::local().max_blocked(1)),
            ("thread_name_prefix", PoolConfig::local().thread_name_prefix("ui")),
            ("stack_size", PoolConfig::local().stack_size(1 << 20)),
            ("warm", PoolConfig::local().warm(1)),
            ("kind", PoolConfig::leased(1)),
            ("kind", PoolConfig::dedicated(1)),
        ];
        for (named, config) in impossible {
            match ui.start_local(config).as_ref().map_err(|it| it.as_start().expect("it did not start").kind()) {
                Err(StartErrorKind::Invalid { setting, .. }) => assert_eq!(*setting, named),
                other => panic!("an impossible {named}: {other:?}"),
            }
        }
        let error = ui.start(PoolConfig::local()).expect_err("nobody would run it");
        assert!(error.to_string().contains("start_local"), "{error}");
        assert!(!ui.is_running());
    });
}
