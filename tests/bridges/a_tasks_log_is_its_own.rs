//! With the feature `task-log`: each task's lines are kept by its id, and no other line among them.
//!
//! A line belongs to the innermost running task, or else to the nearest task at or above the current node.

#[cfg(feature = "rayon")]
use std::sync::Arc;
use std::sync::OnceLock;
#[cfg(feature = "rayon")]
use std::sync::atomic::{AtomicBool, Ordering};

use heirloom::task_log::{LogLine, TaskLog};
use heirloom::{FutureExt, PoolConfig, Scope, TaskId, thread};
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt;

use crate::common::pools::{block_on, started};
use crate::common::{self, alone};

/// Subscribed to the whole process; each test looks at its own tasks.
fn logs() -> &'static (TaskLog, TaskLog) {
    static LOGS: OnceLock<(TaskLog, TaskLog)> = OnceLock::new();
    LOGS.get_or_init(|| {
        let (own, with_ancestors) = (TaskLog::new(), TaskLog::new().with_ancestors(true));
        let subscriber = tracing_subscriber::registry().with(own.clone()).with(with_ancestors.clone());
        tracing::subscriber::set_global_default(subscriber).expect("the process has none");
        (own, with_ancestors)
    })
}

fn said(task: TaskId) -> Vec<String> {
    logs().0.lines(task).into_iter().map(|line| line.message).collect()
}

fn said_with_what_is_below(task: TaskId) -> Vec<String> {
    logs().1.lines(task).into_iter().map(|line| line.message).collect()
}

#[test]
fn each_line_is_kept_for_the_task_that_said_it() {
    alone(|| {
        logs();
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(3));
        let say = |number: u32| {
            move || {
                for line in 0..3 {
                    tracing::info!("{number}: {line}");
                }
            }
        };
        let tasks: Vec<_> = (0..20).map(|number| pool.submit(say(number)).expect("accepted")).collect();
        for (number, task) in tasks.into_iter().enumerate() {
            let id = task.id();
            task.join().expect("runs");
            assert_eq!(said(id), [0, 1, 2].map(|line| format!("{number}: {line}")));
        }
    });
}

#[test]
fn a_task_run_in_place_says_its_own() {
    alone(|| {
        logs();
        let scope = Scope::new("test");
        let one = started(&scope, "one", PoolConfig::leased(1));
        let pool = one.clone();
        let outer = one.submit(move || {
            tracing::info!("before");
            let inner = pool.submit(|| tracing::info!("inside")).expect("accepted");
            let id = inner.id();
            inner.join().expect("runs");
            tracing::info!("after");
            id
        });
        let outer = outer.expect("accepted");
        let id = outer.id();
        let inner = outer.join().expect("runs");
        assert_eq!(said(id), ["before", "after"]);
        assert_eq!(said(inner), ["inside"]);
    });
}

#[test]
fn what_a_tasks_child_threads_and_futures_say_is_the_tasks() {
    alone(|| {
        logs();
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let task = pool.submit(|| {
            let grandchild =
                || thread::spawn(|| tracing::info!("grandchild")).expect("a thread starts").join().expect("ends");
            thread::spawn(grandchild).expect("a thread starts").join().expect("ends");
            thread::scope(|s| s.spawn(|| tracing::info!("borrowing")).expect("a thread starts").join().expect("ends"));
            let future = async { tracing::info!("future") }.in_lineage(&heirloom::current());
            std::thread::spawn(|| block_on(future)).join().expect("ends");
            std::thread::spawn(|| tracing::info!("a stranger")).join().expect("ends");
        });
        let task = task.expect("accepted");
        let id = task.id();
        task.join().expect("runs");
        assert_eq!(said(id), ["grandchild", "borrowing", "future"]);
    });
}

#[test]
fn a_task_stays_itself_wherever_it_stands() {
    alone(|| {
        logs();
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let task = pool.submit(|| {
            heirloom::Lineage::process().run(|| tracing::info!("at the process"));
            Scope::run("elsewhere", |_| tracing::info!("in a scope"));
        });
        let task = task.expect("accepted");
        let id = task.id();
        task.join().expect("runs");
        assert_eq!(said(id), ["at the process", "in a scope"]);
    });
}

#[test]
fn the_report_of_its_panic_is_its_last_line() {
    alone(|| {
        logs();
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let task = pool.submit(|| panic!("no such address")).expect("accepted");
        let id = task.id();
        assert!(task.join().is_err());
        let lines = logs().0.lines(id);
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((line.level, line.target), (Level::ERROR, "heirloom"));
        assert!(line.message.contains("no such address"), "{line}");
    });
}

#[test]
fn tasks_above_have_it_too_when_that_is_wanted() {
    alone(|| {
        logs();
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let submit = pool.clone();
        let outer = pool.submit(move || {
            tracing::info!("outer");
            // It is a node from here on, so its tasks stand below it.
            let _here = heirloom::current();
            let inner = submit.submit(|| {
                let _here = heirloom::current();
                tracing::info!("inner");
                thread::spawn(|| tracing::info!("child")).expect("a thread starts").join().expect("ends");
            });
            let inner = inner.expect("accepted");
            let id = inner.id();
            inner.join().expect("runs");
            id
        });
        let outer = outer.expect("accepted");
        let id = outer.id();
        let inner = outer.join().expect("runs");
        assert_eq!(said(id), ["outer"]);
        assert_eq!(said_with_what_is_below(id), ["outer", "inner", "child"]);
        assert_eq!(said_with_what_is_below(inner), ["inner", "child"]);
    });
}

#[test]
fn a_line_has_its_level_its_target_and_its_fields() {
    alone(|| {
        logs();
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let task = pool.submit(|| tracing::warn!(target: "stage", axis = "x", steps = -7, at = ?(1, 2), "moved"));
        let task = task.expect("accepted");
        let id = task.id();
        let before = std::time::SystemTime::now();
        task.join().expect("runs");
        let lines = logs().0.lines(id);
        let [line @ LogLine { at, level, target, message, fields, .. }] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((*level, *target, message.as_str()), (Level::WARN, "stage", "moved"));
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(fields, [("axis", "x"), ("steps", "-7"), ("at", "(1, 2)")]);
        assert!(at.duration_since(before).unwrap_or_default() < common::BOUND);
        assert_eq!(line.to_string(), "WARN stage: moved axis=x steps=-7 at=(1, 2)");
    });
}

#[test]
fn outside_of_any_task_nothing_is_kept() {
    alone(|| {
        logs();
        let scope = Scope::new("test");
        scope.run(|| tracing::info!("nobody's"));
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let task = pool.submit(|| ()).expect("accepted");
        let id = task.id();
        task.join().expect("runs");
        assert!(said(id).is_empty());
    });
}

/// Polls a condition until it is true, doing `meanwhile`.
#[cfg(feature = "rayon")]
fn until(flag: &AtomicBool, mut meanwhile: impl FnMut()) {
    while !flag.load(Ordering::SeqCst) {
        meanwhile();
    }
}

#[cfg(feature = "rayon")]
#[test]
fn what_a_stolen_piece_says_is_not_kept_for_whoever_asked_for_what_it_runs_on_top_of() {
    #[derive(Default)]
    struct Moments {
        one_runs: AtomicBool,
        two_runs: AtomicBool,
        said: AtomicBool,
    }
    alone(|| {
        logs();
        let scope = Scope::new("test");
        let requests = started(&scope, "requests", PoolConfig::leased(1));
        let math = started(&scope, "math", PoolConfig::work_stealing(2));
        let moments = Arc::new(Moments::default());
        let (one, at) = (math.clone(), Arc::clone(&moments));
        let request = requests.submit(move || {
            let _here = heirloom::current();
            one.install(|| {
                at.one_runs.store(true, Ordering::SeqCst);
                until(&at.two_runs, std::thread::yield_now);
                // As any wait in rayon: the thread runs other work meanwhile, on top of this task.
                until(&at.said, || _ = rayon::yield_now());
            })
        });
        let request = request.expect("accepted");
        until(&moments.one_runs, std::thread::yield_now);
        let two = || {
            moments.two_runs.store(true, Ordering::SeqCst);
            until(&moments.said, std::thread::yield_now);
        };
        let stolen = || {
            tracing::info!("another's");
            moments.said.store(true, Ordering::SeqCst);
        };
        math.install(|| rayon::join(two, stolen)).expect("runs");
        let id = request.id();
        request.join().expect("runs").expect("runs");
        assert!(said(id).is_empty(), "{:?}", said(id));
        assert!(said_with_what_is_below(id).is_empty());
    });
}
