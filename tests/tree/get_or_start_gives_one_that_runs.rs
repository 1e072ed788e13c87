//! `get_or_start`: the nearest manager that runs, as it is; else one that is started for the whole family, once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use heirloom::{Lineage, PoolConfig, PoolManager, Registry, Scope, StartErrorKind};

use crate::common::pools::block_on;
use crate::common::{bounded, eventually};

type Never = std::convert::Infallible;

fn two() -> PoolConfig {
    PoolConfig::leased(2)
}

fn never() -> PoolConfig {
    panic!("one runs")
}

/// Runs `f` in a family of its own.
fn in_a_family(f: impl FnOnce(&Lineage) + Send + 'static) {
    bounded(move || {
        let family = Registry::new();
        let root = family.root();
        root.run(|| f(&root));
    });
}

#[test]
fn one_that_runs_is_taken_whatever_its_settings() {
    in_a_family(|root| {
        let own = root.create("thumbs");
        own.start(PoolConfig::leased(7).task_type("thumb")).expect("starts");
        let request = Scope::new("request");
        let found = request.run(|| heirloom::get_or_start("thumbs", never)).expect("it runs");
        assert!(found.is_same(&own));
        let nearer = request.create("thumbs");
        nearer.start(two()).expect("starts");
        assert!(request.run(|| heirloom::get_or_start("thumbs", never)).expect("it runs").is_same(&nearer));
    });
}

#[test]
fn otherwise_all_threads_and_tasks_share_one_at_the_root() {
    in_a_family(|root| {
        let asked = Arc::new(AtomicUsize::new(0));
        let ask = {
            let asked = Arc::clone(&asked);
            move || {
                let made = heirloom::get_or_start("cache", || {
                    asked.fetch_add(1, SeqCst);
                    two()
                });
                made.expect("starts").owner().expect("alive").id()
            }
        };
        let threads = [(); 4].map(|()| std::thread::spawn(heirloom::wrap(ask.clone())));
        let mut owners: HashSet<_> = threads.map(|thread| thread.join().expect("no panic")).into();
        let work = root.create("work");
        work.start(PoolConfig::leased(4)).expect("starts");
        let ask_again = ask.clone();
        owners.extend(work.map(0..4, move |_| ask_again()).expect("accepted").map(|owner| owner.expect("runs")));
        owners.insert(Scope::new("request").run(&ask));
        assert_eq!(owners, HashSet::from([root.id()]));
        assert_eq!(asked.load(SeqCst), 1);
    });
}

#[test]
fn code_that_shares_its_thread_gets_the_process_s() {
    bounded(|| {
        heirloom::thread::mark_shared();
        let made = heirloom::get_or_start("shared by all", two).expect("starts");
        assert_eq!(made.owner(), Some(Lineage::process()));
        assert!(made.stop().expect("stops").is_complete());
    });
}

#[test]
fn among_concurrent_callers_one_starts_and_all_get_that_one() {
    in_a_family(|root| {
        for round in 0..30_u64 {
            let (asked, together) = (AtomicUsize::new(0), Barrier::new(8));
            let get = || {
                together.wait();
                root.get_or_start(round, || {
                    asked.fetch_add(1, SeqCst);
                    std::thread::yield_now();
                    two()
                })
            };
            let all: Vec<PoolManager> = std::thread::scope(|s| {
                let threads: Vec<_> = (0..8).map(|_| s.spawn(get)).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic").expect("starts")).collect()
            });
            assert!(all.iter().all(|one| one.is_same(&all[0]) && one.is_running()));
            assert_eq!(asked.load(SeqCst), 1);
        }
    });
}

#[test]
fn one_that_does_not_run_is_passed_over() {
    in_a_family(|root| {
        let outer = root.create("render");
        outer.start(two()).expect("starts");
        let request = Scope::new("request");
        let forgotten = request.create("render");
        assert!(request.run(|| heirloom::get_or_start("render", never)).expect("runs").is_same(&outer));
        forgotten.start(two()).expect("starts");
        assert!(request.run(|| heirloom::get_or_start("render", never)).expect("runs").is_same(&forgotten));
        assert!(forgotten.stop().expect("stops").is_complete());
        assert!(request.run(|| heirloom::get_or_start("render", never)).expect("runs").is_same(&outer));
    });
}

#[test]
fn the_roots_own_is_started_when_it_does_not_run() {
    in_a_family(|root| {
        let created = root.create("io");
        assert!(heirloom::get_or_start("io", two).expect("starts").is_same(&created));
        assert!(created.stop().expect("stops").is_complete());
        assert!(heirloom::get_or_start("io", || PoolConfig::leased(3)).expect("starts again").is_same(&created));
        assert_eq!(created.stats().limit, 3);

        let (go, gate) = mpsc::channel::<()>();
        let busy = created.submit(move || gate.recv()).expect("accepted");
        created.close();
        let refused = heirloom::get_or_start("io", two);
        assert!(
            matches!(refused, Err(ref error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::StillStopping { remaining: 1, .. })))
        );
        go.send(()).expect("it listens");
        busy.join().expect("runs").expect("told");
    });
}

#[test]
fn a_start_that_failed_leaves_nothing_behind() {
    in_a_family(|root| {
        let refused = heirloom::get_or_start("io", || PoolConfig::leased(0));
        assert!(
            matches!(refused, Err(ref error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::Invalid { setting: "n", .. })))
        );
        let refused = heirloom::get_or_start("io", PoolConfig::local);
        assert!(
            matches!(refused, Err(ref error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::Invalid { setting: "kind", .. })))
        );
        let fails = || PoolConfig::dedicated(1).warm(1).on_worker_start(|_| Err::<(), _>("no licence"));
        assert!(
            matches!(heirloom::get_or_start("io", fails), Err(error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::WorkerInit { .. })))
        );
        assert!(
            matches!(block_on(heirloom::get_or_start_async("io", fails)), Err(error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::WorkerInit { .. })))
        );
        assert!(root.managers().is_empty());
        assert!(heirloom::get_or_start("io", two).is_ok(), "the next call tries again");
    });
}

#[test]
fn all_who_wait_for_a_warm_start_hear_that_it_failed() {
    in_a_family(|root| {
        let ran = Arc::new(AtomicUsize::new(0));
        let (begins, has_begun) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gate = std::sync::Mutex::new(gate);
        let counts = Arc::clone(&ran);
        let config = PoolConfig::dedicated(1).warm(1).on_worker_start(move |_| {
            counts.fetch_add(1, SeqCst);
            begins.send(()).expect("the test listens");
            let _ = gate.lock().expect("whole").recv();
            Err::<(), _>("no licence")
        });
        let others = Scope::new("others");
        let work = others.create("work");
        work.start(PoolConfig::leased(1)).expect("starts");
        std::thread::scope(|s| {
            let first = s.spawn(|| root.get_or_start("io", || config).map(drop));
            has_begun.recv().expect("it begins");
            assert!(root.get("io").expect("found while it warms").is_running());
            let others = [(); 3].map(|()| {
                let at = root.clone();
                work.submit(move || at.get_or_start("io", never).map(drop)).expect("accepted")
            });
            eventually("they wait", || work.stats().waiting == 3);
            go.send(()).expect("it waits");
            let others = others.map(|task| task.join().expect("runs"));
            for outcome in others.into_iter().chain([first.join().expect("no panic")]) {
                assert!(
                    matches!(outcome, Err(ref error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::WorkerInit { .. }))),
                    "{outcome:?}"
                );
            }
        });
        assert_eq!(ran.load(SeqCst), 1);
        assert!(root.managers().is_empty());
    });
}

#[test]
fn a_panic_of_the_settings_gives_another_caller_its_turn() {
    in_a_family(|root| {
        let (begins, has_begun) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let at = root.clone();
        let panics = std::thread::spawn(move || {
            at.get_or_start("io", || {
                begins.send(()).expect("the test listens");
                let _ = gate.recv();
                std::panic::resume_unwind(Box::new("no settings"))
            })
        });
        has_begun.recv().expect("it begins");
        let at = root.clone();
        let waits = std::thread::spawn(move || at.get_or_start("io", two));
        let at = root.clone();
        let waits_async = std::thread::spawn(move || block_on(at.get_or_start_async("io", two)));
        go.send(()).expect("it listens");
        assert!(panics.join().is_err());
        let [one, two] = [waits, waits_async].map(|thread| thread.join().expect("no panic").expect("starts"));
        assert!(one.is_same(&two));
    });
}

#[test]
fn settings_that_wait_for_the_manager_itself_are_an_error() {
    in_a_family(|root| {
        let mut inner = None;
        let made = heirloom::get_or_start("io", || {
            inner = Some(heirloom::get_or_start("io", never).map(drop));
            two()
        });
        assert!(made.expect("starts").is_running());
        assert!(
            matches!(inner, Some(Err(ref error)) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::Reentrant)))
        );

        let at = root.clone();
        let mut inner = None;
        let made = heirloom::get_or_start("db", || {
            let asks =
                heirloom::thread::spawn(move || at.get_or_start("db", never).map(drop)).expect("a thread starts");
            inner = Some(asks.join().expect("no panic"));
            two()
        });
        assert!(made.expect("starts").is_running());
        let error = inner.expect("asked").expect_err("it would wait for itself");
        assert!(matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::WouldDeadlock { .. })), "{error}");
        assert!(error.to_string().contains("the settings that \"db\" is to start with"), "{error}");
    });
}

#[test]
fn a_workers_initialiser_finds_its_own_pool() {
    in_a_family(|root| {
        let at = root.clone();
        let config = PoolConfig::dedicated(1).warm(1).on_worker_start(move |_| at.get_or_start("io", never).map(drop));
        assert!(heirloom::get_or_start("io", || config).is_ok());
    });
}

#[test]
fn on_a_lineage_it_is_made_there() {
    in_a_family(|_| {
        let tenant = Scope::new("tenant");
        let request = Scope::new_in(&tenant, "request");
        let made = tenant.get_or_start("cache", two).expect("starts");
        assert_eq!(made.owner().as_ref(), Some(tenant.lineage()));
        assert!(request.get_or_start("cache", never).expect("runs").is_same(&made));
        assert!(block_on(request.get_or_start_async("cache", never)).expect("runs").is_same(&made));
        tenant.cancel();
        assert!(
            matches!(tenant.get_or_start("cache", two), Err(error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::ScopeEnded { .. })))
        );
    });
}

#[test]
fn a_refusal_names_what_differs_and_what_helps() {
    in_a_family(|root| {
        let prepared = PoolConfig::dedicated(2).stack_size(1 << 20).on_worker_start(|_| Ok::<_, Never>(()));
        let pool = root.create("thumbs");
        pool.start(prepared.clone()).expect("starts");
        let other = prepared.stack_size(2 << 20).queue_limit(5).keep_alive(Duration::from_secs(1));
        let error = pool.ensure_started(other.clone()).expect_err("it runs with others");
        assert!(
            matches!(
                error.as_start().map(|it| it.kind()),
                Some(StartErrorKind::ConfigMismatch { setting: "queue_limit", .. })
            ),
            "{error}"
        );
        let text = error.to_string();
        assert!(text.contains("`queue_limit`, `stack_size`, `keep_alive`;"), "{text}");
        assert!(text.contains("`get_or_start`"), "{text}");
        let text = pool.start(other.clone()).expect_err("it runs").to_string();
        assert!(text.contains("`get_or_start`") && !text.contains("ensure_started"), "{text}");
        // And what both recommend works.
        assert!(heirloom::get_or_start("thumbs", || other).expect("as it is").is_same(&pool));
    });
}
