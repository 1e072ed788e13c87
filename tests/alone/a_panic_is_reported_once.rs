//! A task's panic is reported through `tracing` once, at ERROR, with namespace, task type and task id, inside the span
//! of its submitter; not at all with `log_panics(false)`. A subscriber that panics harms no worker.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic::panic_any;
use std::sync::Mutex;

use heirloom::{PoolConfig, PoolManager, Scope, TaskSet};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::common::{BOUND, alone};

/// One report: its fields as text.
#[derive(Clone, Debug)]
struct Report {
    level: Level,
    span: Option<&'static str>,
    fields: BTreeMap<String, String>,
}

static REPORTS: Mutex<Vec<Report>> = Mutex::new(Vec::new());

/// Keeps every event of heirloom's.
struct Keeps;

impl Visit for Report {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name().into(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Keeps {
    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        if event.metadata().target() != "heirloom" {
            return;
        }
        let span = cx.lookup_current().map(|span| span.name());
        let mut report = Report { level: *event.metadata().level(), span, fields: BTreeMap::new() };
        event.record(&mut report);
        let panics = report.fields.get("message").is_some_and(|message| message.contains("panic in the subscriber"));
        REPORTS.lock().expect("nobody panics with it").push(report);
        assert!(!panics, "the subscriber");
    }
}

/// With a subscriber of the whole process.
fn reporting(namespace: &'static str, test: fn(&PoolManager), config: PoolConfig) {
    alone(move || {
        let subscriber = tracing_subscriber::registry().with(Keeps);
        tracing::subscriber::set_global_default(subscriber).expect("the process has none");
        let scope = Scope::new("test");
        let pool = scope.create(namespace);
        pool.start(config).expect("starts");
        test(&pool);
    });
}

fn reports(pool: &PoolManager) -> Vec<Report> {
    let all = REPORTS.lock().expect("nobody panics with it");
    all.iter().filter(|report| report.fields.get("namespace") == Some(&pool.namespace().to_string())).cloned().collect()
}

#[test]
fn a_report_has_namespace_type_and_id() {
    let test = |pool: &PoolManager| {
        let task = pool.submit_as("render", || -> u8 { panic!("some reason") }).expect("accepted");
        let id = task.id().as_u64();
        assert!(task.join().expect_err("panics").is_panic());
        let reports = reports(pool);
        assert_eq!(reports.len(), 1, "{reports:?}");
        let Report { level, fields, .. } = &reports[0];
        assert_eq!(*level, Level::ERROR);
        assert_eq!(fields.get("task_type").map(String::as_str), Some("render"));
        assert_eq!(fields.get("task_id"), Some(&id.to_string()));
        assert!(fields["message"].contains("some reason"), "{fields:?}");
    };
    reporting("named", test, PoolConfig::leased(1).task_type("render"));
}

#[test]
fn a_report_of_an_untyped_task_has_no_type() {
    let test = |pool: &PoolManager| {
        assert!(pool.submit(|| -> u8 { panic_any(7) }).expect("accepted").join().is_err());
        let reports = reports(pool);
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(!reports[0].fields.contains_key("task_type"), "{reports:?}");
    };
    reporting("untyped", test, PoolConfig::dedicated(1));
}

#[test]
fn each_panic_is_reported_once_however_its_task_is_run_and_waited_for() {
    let test = |pool: &PoolManager| {
        let this = pool.clone();
        let inlined = pool.submit(move || this.submit(|| -> u8 { panic!("a") }).expect("accepted").join().is_err());
        assert!(inlined.expect("accepted").join().expect("ends"));
        assert!(pool.run(|| -> u8 { panic!("b") }).is_err());
        drop(pool.submit(|| -> u8 { panic!("c") }));
        let mut set: TaskSet<u8> = pool.submit(|| -> u8 { panic!("d") }).into_iter().collect();
        assert!(set.join_next().is_some_and(|(_, outcome)| outcome.is_err()));
        assert_eq!(pool.map(0..1, |_| -> u8 { panic!("e") }).expect("accepted").filter(Result::is_err).count(), 1);
        pool.scope(|s| drop(s.submit(|| -> u8 { panic!("f") })));
        pool.wait_idle().expect("not from an own task");
        let mut said: Vec<_> = reports(pool).iter().map(|report| report.fields["message"].clone()).collect();
        said.sort();
        assert_eq!(said.len(), 6, "{said:?}");
        assert_eq!(pool.stats().panicked, 6);
    };
    reporting("each", test, PoolConfig::leased(1));
}

#[test]
fn a_report_stands_in_the_submitters_span() {
    let test = |pool: &PoolManager| {
        let span = tracing::info_span!("request");
        let task = span.in_scope(|| pool.submit(|| -> u8 { panic!("no") }));
        assert!(task.expect("accepted").join().is_err());
        assert_eq!(reports(pool)[0].span, Some("request"));
    };
    reporting("spanned", test, PoolConfig::leased(1));
}

#[test]
fn a_pool_with_log_panics_false_reports_none() {
    let test = |pool: &PoolManager| {
        assert!(pool.submit(|| -> u8 { panic!("quiet") }).expect("accepted").join().expect_err("panics").is_panic());
        assert!(reports(pool).is_empty());
        assert_eq!(pool.stats().panicked, 1, "counted all the same");
    };
    reporting("quiet", test, PoolConfig::leased(1).log_panics(false));
}

#[test]
fn a_cancelled_task_is_not_reported() {
    let test = |pool: &PoolManager| {
        pool.cancel();
        pool.close();
        assert!(pool.submit(|| ()).is_err());
        assert!(reports(pool).is_empty());
    };
    reporting("cancelled", test, PoolConfig::leased(1));
}

#[test]
fn a_subscriber_that_panics_harms_no_worker() {
    let test = |pool: &PoolManager| {
        let task = pool.submit(|| -> u8 { panic!("panic in the subscriber") }).expect("accepted");
        let error = task.join_timeout(BOUND / 2).expect("it ends").expect_err("panics");
        assert_eq!(error.panic_message(), Some("panic in the subscriber"));
        let after = pool.submit(|| 7).expect("accepted").join_timeout(BOUND / 2);
        assert_eq!(after.expect("the worker lives on").expect("ends"), 7);
    };
    reporting("fragile", test, PoolConfig::leased(1));
}
