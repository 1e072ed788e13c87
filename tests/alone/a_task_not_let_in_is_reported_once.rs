//! A task that its pool's gate did not let in is reported through `tracing` once, at WARN, with whoever is in; it is no
//! panic.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Mutex;

use heirloom::{Gate, GateMode, Heirloom, PoolConfig, PoolManager, Scope};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::common::pools::started;
use crate::common::{self, alone};

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
        let fragile = report.fields.get("namespace").is_some_and(|namespace| namespace == "fragile");
        REPORTS.lock().expect("nobody panics with it").push(report);
        assert!(!fragile, "the subscriber");
    }
}

/// From now on the whole process's subscriber keeps what it hears.
fn reporting() {
    let subscriber = tracing_subscriber::registry().with(Keeps);
    tracing::subscriber::set_global_default(subscriber).expect("the process has none");
}

fn reports(pool: &PoolManager) -> Vec<Report> {
    let all = REPORTS.lock().expect("nobody panics with it");
    all.iter().filter(|report| report.fields.get("namespace") == Some(&pool.namespace().to_string())).cloned().collect()
}

#[test]
fn a_task_at_a_busy_gate_is_reported_with_its_id_and_the_holder() {
    static KEY: Heirloom<Gate> = Heirloom::new("stage");
    alone(|| {
        reporting();
        let scope = Scope::new("test");
        KEY.at(&scope).bind(Gate::new("stage").default_wait(std::time::Duration::ZERO)).expect("open");
        // On the holder's own thread, its joiner, the task would be refused at once as a part of a circle.
        let pool = started(&scope, "busy", PoolConfig::leased(1).gate(&KEY, GateMode::Require).workers_only());
        let _in = scope.run(|| KEY.enter(GateMode::Require)).expect("free");
        let span = tracing::info_span!("request");
        let task = span.in_scope(|| scope.run(|| pool.submit(|| ()))).expect("accepted");
        let id = task.id().as_u64();
        assert!(task.join().is_err_and(|error| error.kind() == heirloom::ErrorKind::Busy));
        let reports = reports(&pool);
        let [Report { level, span, fields }] = &reports[..] else { panic!("{reports:?}") };
        assert_eq!((*level, *span), (Level::WARN, Some("request")));
        assert_eq!(fields.get("task_id"), Some(&id.to_string()));
        assert!(fields["holder"].starts_with("a thread without a name"), "{fields:?}");
        assert!(fields["message"].contains("did not start: gate \"stage\" is held by"), "{fields:?}");
    });
}

#[test]
fn a_task_whose_gate_is_missing_is_reported_without_a_holder() {
    static KEY: Heirloom<Gate> = Heirloom::new("stage");
    alone(|| {
        reporting();
        let scope = Scope::new("test");
        let pool = started(&scope, "missing", PoolConfig::leased(1).gate(&KEY, GateMode::Require));
        assert!(
            pool.submit(|| ())
                .expect("accepted")
                .join()
                .is_err_and(|error| error.kind() == heirloom::ErrorKind::NotBound)
        );
        let reports = reports(&pool);
        assert_eq!((reports.len(), reports[0].level), (1, Level::WARN), "{reports:?}");
        assert!(!reports[0].fields.contains_key("holder"), "{reports:?}");
    });
}

#[test]
fn a_task_that_was_let_in_or_cancelled_is_not_reported() {
    static KEY: Heirloom<Gate> = Heirloom::new("stage");
    alone(|| {
        reporting();
        let scope = Scope::new("test");
        KEY.at(&scope).bind(Gate::new("stage").default_wait(common::BOUND)).expect("open");
        let pool = started(&scope, "quiet", PoolConfig::leased(1).gate(&KEY, GateMode::Require));
        scope.run(|| pool.submit(|| ())).expect("accepted").join().expect("runs");
        let inside = scope.run(|| KEY.enter(GateMode::Require)).expect("free");
        let task = scope.run(|| pool.submit(|| ())).expect("accepted");
        common::eventually("it is at the gate", || pool.stats().running == 1);
        let _ = task.cancel();
        drop(inside);
        assert!(task.join().is_err_and(|error| error.is_cancelled()));
        assert!(reports(&pool).is_empty());
    });
}

#[test]
fn a_subscriber_that_panics_harms_no_worker() {
    static KEY: Heirloom<Gate> = Heirloom::new("stage");
    alone(|| {
        reporting();
        let scope = Scope::new("test");
        let pool = started(&scope, "fragile", PoolConfig::leased(1).gate(&KEY, GateMode::Require));
        for _ in 0..3 {
            assert!(
                pool.submit(|| ())
                    .expect("accepted")
                    .join()
                    .is_err_and(|error| error.kind() == heirloom::ErrorKind::NotBound)
            );
        }
        assert_eq!(reports(&pool).len(), 3);
    });
}
