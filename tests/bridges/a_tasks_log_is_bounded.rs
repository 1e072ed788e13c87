//! With the feature `task-log`: the log keeps each task's last lines, and the tasks that were written to last.
//!
//! A task with a record stays until the record is dropped. No value in a line can harm the task that logs it.

use std::fmt;

use heirloom::task_log::TaskLog;
use heirloom::{PoolConfig, PoolManager, Scope, TaskId};
use tracing_subscriber::layer::SubscriberExt;

use crate::common::bounded;
use crate::common::pools::{self, started};

/// A log of the tasks of one test alone.
struct Bench {
    log: TaskLog,
    pool: PoolManager,
    _scope: Scope,
}

impl Bench {
    fn new(log: TaskLog) -> Self {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        Self { log, pool, _scope: scope }
    }

    /// Runs a task that logs a line.
    fn says(&self, f: impl FnOnce() + Send + 'static) -> TaskId {
        let subscriber = tracing_subscriber::registry().with(self.log.clone());
        let task = self.pool.submit(|| tracing::subscriber::with_default(subscriber, f)).expect("accepted");
        let id = task.id();
        task.join().expect("runs");
        id
    }

    fn lines(&self, task: TaskId) -> Vec<String> {
        self.log.lines(task).into_iter().map(|line| line.message).collect()
    }
}

#[test]
fn the_last_lines_of_a_task_are_kept() {
    bounded(|| {
        let bench = Bench::new(TaskLog::new().lines_per_task(3));
        let task = bench.says(|| (0..10).for_each(|number| tracing::info!("{number}")));
        assert_eq!(bench.lines(task), ["7", "8", "9"]);
    });
}

#[test]
fn a_thousand_lines_are_kept_by_default() {
    bounded(|| {
        let bench = Bench::new(TaskLog::new());
        let task = bench.says(|| (0..1010).for_each(|number| tracing::info!("{number}")));
        let lines = bench.lines(task);
        assert_eq!((lines.len(), lines[0].as_str()), (1000, "10"));
    });
}

#[test]
fn the_task_written_to_least_recently_goes_first() {
    bounded(|| {
        let bench = Bench::new(TaskLog::new().max_tasks(2));
        let first = bench.says(|| tracing::info!("first"));
        let log = bench.log.clone();
        let second = bench.says(move || {
            tracing::info!("second");
            assert_eq!(log.lines(first).len(), 1);
        });
        let third = bench.says(|| tracing::info!("third"));
        assert!(bench.lines(first).is_empty());
        assert_eq!((bench.lines(second), bench.lines(third)), (vec!["second".into()], vec!["third".into()]));
    });
}

#[test]
fn a_record_keeps_its_task_and_its_end_forgets_it() {
    bounded(|| {
        let bench = Bench::new(TaskLog::new().max_tasks(1));
        let held = bench.says(|| tracing::info!("held"));
        let record = bench.log.record(held);
        let other = record.clone();
        assert_eq!(record.id(), held);
        for _ in 0..5 {
            bench.says(|| tracing::info!("another"));
        }
        assert_eq!(record.lines().len(), 1);
        drop(record);
        assert_eq!(other.lines().len(), 1, "another record of it is held");
        drop(other);
        assert!(bench.lines(held).is_empty());
    });
}

#[test]
fn a_record_may_come_before_the_first_line() {
    bounded(|| {
        let bench = Bench::new(TaskLog::new().max_tasks(0));
        let subscriber = tracing_subscriber::registry().with(bench.log.clone());
        let gate = pools::Busy::on(&bench.pool);
        let say = || tracing::subscriber::with_default(subscriber, || tracing::info!("said"));
        let task = bench.pool.submit(say).expect("accepted");
        let record = bench.log.record(task.id());
        gate.end();
        task.join().expect("runs");
        assert_eq!(record.lines().len(), 1);
        let without = bench.says(|| tracing::info!("unkept"));
        assert!(bench.lines(without).is_empty());
    });
}

#[test]
fn what_is_removed_is_gone_and_what_follows_is_kept() {
    bounded(|| {
        let bench = Bench::new(TaskLog::new());
        let log = bench.log.clone();
        let task = bench.says(move || {
            let here = heirloom::task_id().expect("a task");
            tracing::info!("before");
            log.remove(here);
            assert!(log.lines(here).is_empty());
            tracing::info!("after");
        });
        assert_eq!(bench.lines(task), ["after"]);
        let record = bench.log.record(task);
        bench.log.remove(task);
        assert!(record.lines().is_empty());
    });
}

/// A value that logs a line while it is formatted, or panics.
struct Talks {
    panics: bool,
}

impl fmt::Debug for Talks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        assert!(!self.panics, "in Debug");
        tracing::info!("within");
        f.write_str("talks")
    }
}

#[test]
fn a_value_that_panics_when_it_is_formatted_is_left_out() {
    bounded(|| {
        let bench = Bench::new(TaskLog::new());
        let task = bench.says(|| tracing::info!(value = ?Talks { panics: true }, other = 7, "said"));
        let line = &bench.log.lines(task)[0];
        assert_eq!(line.message, "said");
        let fields: Vec<_> = line.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(fields, [("value", "(it panicked when it was formatted)"), ("other", "7")]);
    });
}

#[test]
fn a_value_that_says_something_or_looks_while_it_is_formatted_waits_for_nobody() {
    struct Looks(TaskLog);
    impl fmt::Display for Looks {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let id = heirloom::task_id().expect("a task");
            let record = self.0.record(id);
            write!(f, "{} before", record.lines().len())
        }
    }
    bounded(|| {
        let bench = Bench::new(TaskLog::new());
        let log = bench.log.clone();
        let task = bench.says(move || {
            let here = heirloom::task_id().expect("a task");
            let _held = log.record(here);
            tracing::info!(value = ?Talks { panics: false }, "said");
            tracing::info!(value = %Looks(log.clone()), "looked");
            let last = log.lines(here).pop().expect("said");
            assert_eq!((last.message.as_str(), last.fields[0].1.ends_with("before")), ("looked", true));
        });
        assert!(bench.lines(task).is_empty(), "the record that the task held is gone");
    });
}

#[test]
fn many_threads_may_write_and_look() {
    bounded(|| {
        let log = TaskLog::new().max_tasks(4).lines_per_task(5);
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(4));
        let write = {
            let log = log.clone();
            move |_: u32| {
                let here = heirloom::task_id().expect("a task");
                let record = here.as_u64().is_multiple_of(2).then(|| log.record(here));
                let subscriber = tracing_subscriber::registry().with(log.clone());
                tracing::subscriber::with_default(subscriber, || (0..9).for_each(|n| tracing::info!("{n}")));
                record.is_none_or(|record| record.lines().len() == 5)
            }
        };
        assert!(pool.map(0..300, write).expect("accepted").all(|kept| kept.expect("runs")));
    });
}
