//! With the feature `metrics`: how long tasks waited and ran, in histograms by name, task type and label.
//!
//! A pool's end loses no time, the number of series is bounded, and no task is measured before a reader asks.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::sleep;
use std::time::Duration;

use heirloom::metrics::Publisher;
use heirloom::{Gate, GateMode, Heirloom, PoolConfig, PoolManager, Registry, Scope};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use crate::common::{bounded, eventually};

const LONG: Duration = Duration::from_millis(50);
/// A published bound that is below [`LONG`], and one that no test reaches.
const BELOW: &str = "0.032768";
const ABOVE: &str = "268.435456";

/// One test's family, recorder and page.
struct Seen {
    family: Registry,
    recorder: PrometheusRecorder,
    publisher: Publisher,
}

impl Seen {
    fn new() -> Self {
        let family = Registry::new();
        let publisher = Publisher::new(&family);
        Self { family, recorder: PrometheusBuilder::new().build_recorder(), publisher }
    }

    fn pool(&self, name: &'static str, config: PoolConfig) -> PoolManager {
        let pool = self.family.root().create(name);
        pool.start(config).expect("starts");
        pool
    }

    fn page(&self) -> String {
        metrics::with_local_recorder(&self.recorder, || self.publisher.publish());
        self.recorder.handle().render()
    }

    /// Returns the value of the series with all these labels.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        let page = self.page();
        let prefix = format!("heirloom_{name}{{");
        let mut series = page.lines().filter_map(|line| line.strip_prefix(&prefix)?.rsplit_once("} "));
        let has = |all: &str, (key, value): &(&str, &str)| all.contains(&format!("{key}=\"{value}\""));
        series.find_map(|(all, value)| labels.iter().all(|label| has(all, label)).then(|| value.parse().ok())?)
    }

    /// Returns the numbers of waits and runs of a name.
    fn counts(&self, name: &str) -> (Option<u64>, Option<u64>) {
        let of = |histogram| self.value(histogram, &[("namespace", name)]);
        (of("queue_wait_seconds_count"), of("run_time_seconds_count"))
    }

    /// Returns the number of times up to a bound.
    fn up_to(&self, histogram: &str, name: &str, bound: &str) -> Option<u64> {
        self.value(&format!("{histogram}_bucket"), &[("namespace", name), ("le", bound)])
    }
}

#[test]
fn a_slow_tasks_run_time_lands_in_its_bucket() {
    bounded(|| {
        let seen = Seen::new();
        let work = seen.pool("work", PoolConfig::leased(1));
        work.submit(|| sleep(LONG)).expect("open").join().expect("ends");
        let up_to = |bound| seen.up_to("run_time_seconds", "work", bound);
        assert_eq!([BELOW, ABOVE, "+Inf"].map(up_to), [Some(0), Some(1), Some(1)]);
        assert_eq!(seen.counts("work"), (Some(1), Some(1)));
    });
}

#[test]
fn a_queued_tasks_wait_lands_in_its_bucket() {
    bounded(|| {
        let seen = Seen::new();
        let work = seen.pool("work", PoolConfig::leased(1));
        let (begun, started) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let first = work.submit(move || (begun.send(()).is_ok(), wait.recv().is_ok())).expect("open");
        started.recv().expect("it runs");
        assert_eq!(seen.counts("work"), (Some(1), Some(0)), "a wait counts from the start, a run from the end");
        let queued = work.submit(|| ()).expect("open");
        sleep(LONG);
        drop(go);
        assert!(first.join().is_ok() && queued.join().is_ok());
        let up_to = |bound| seen.up_to("queue_wait_seconds", "work", bound);
        assert_eq!((up_to(ABOVE), up_to("+Inf")), (Some(2), Some(2)));
        assert!(up_to(BELOW) <= Some(1), "the second waited longer");
    });
}

#[test]
fn labels_make_rows_of_their_own() {
    bounded(|| {
        let seen = Seen::new();
        let requests: Vec<Scope> = (0..3).map(|_| Scope::new_in(&seen.family.root(), "request")).collect();
        for (request, tenant) in requests.iter().zip(["acme", "globex", "acme"]) {
            let render = request.create("render");
            // The order of the calls makes no difference.
            let config = PoolConfig::leased(1).task_type("component");
            let config = match tenant {
                "acme" => config.label("tenant", tenant).label("tier", "gold"),
                _ => config.label("tier", "gold").label("tenant", tenant),
            };
            render.start(config).expect("starts");
            render.submit_as("component", || ()).expect("open").join().expect("ends");
        }
        let of = |name, tenant| seen.value(name, &[("tenant", tenant), ("tier", "gold"), ("task_type", "component")]);
        for (tenant, tasks) in [("acme", 2), ("globex", 1)] {
            for name in ["tasks_completed_total", "queue_wait_seconds_count", "run_time_seconds_count"] {
                eventually("all are counted", || of(name, tenant) == Some(tasks));
            }
            assert_eq!(of("limit", tenant), Some(tasks), "the limits of its pools");
        }
    });
}

/// The text that a subscriber wrote.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_values_of_a_label_are_bounded_and_the_rest_is_counted_as_other_and_logged_once() {
    bounded(|| {
        let seen = Seen::new();
        let log = Log::default();
        let sink = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || sink.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            for tenant in 0..250 {
                let scope = Scope::new_in(&seen.family.root(), "request");
                let render = scope.create("render");
                let config = PoolConfig::leased(1).label("tenant", format!("tenant {tenant}")).label("tier", "gold");
                render.start(config).expect("starts");
                assert!(render.run(|| ()).is_ok());
            }
            let counted = || -> Vec<(String, u64)> {
                let page = seen.page();
                let lines = page.lines().filter_map(|line| line.strip_prefix("heirloom_tasks_completed_total{"));
                lines
                    .filter_map(|line| line.rsplit_once("} "))
                    .map(|(all, n)| (all.to_owned(), n.parse().unwrap()))
                    .collect()
            };
            eventually("all are counted", || counted().iter().map(|(_, n)| n).sum::<u64>() == 250);
            let counted = counted();
            assert_eq!(counted.len(), 101);
            let other = counted.iter().find(|(all, _)| all.contains("tenant=\"(other)\""));
            assert!(other.is_some_and(|(all, n)| *n == 150 && all.contains("tier=\"gold\"")), "{other:?}");
            let tenant = "tenant 0";
            assert_eq!(seen.value("run_time_seconds_count", &[("tenant", tenant)]), Some(1));
            assert_eq!(seen.value("run_time_seconds_count", &[("tenant", "(other)")]), Some(150));
        });
        let log = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
        assert_eq!(log.matches("label `tenant`").count(), 1, "{log}");
        assert!(log.contains("WARN") && !log.contains("label `tier`"), "{log}");
    });
}

#[test]
fn the_end_of_a_pool_loses_no_time() {
    bounded(|| {
        let seen = Seen::new();
        for _ in 0..3 {
            let scope = Scope::new_in(&seen.family.root(), "request");
            let render = scope.create("render");
            render.start(PoolConfig::dedicated(1)).expect("starts");
            render.submit(|| ()).expect("open").join().expect("ends");
            assert!(render.stop().is_ok_and(|report| report.is_complete()));
        }
        eventually("the pools are gone", || seen.value("pools", &[("namespace", "render")]) == Some(0));
        assert_eq!(seen.counts("render"), (Some(3), Some(3)));
    });
}

#[test]
fn a_task_that_no_thread_took_has_no_time_and_one_that_panicked_has_both() {
    bounded(|| {
        let seen = Seen::new();
        let work = seen.pool("work", PoolConfig::leased(1).log_panics(false));
        let (begun, started) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let bad = work.submit(move || -> () {
            let _ = (begun.send(()), wait.recv());
            panic!("as wanted")
        });
        let bad = bad.expect("open");
        started.recv().expect("it runs");
        let dropped = work.submit(|| ()).expect("open");
        dropped.cancel();
        drop(go);
        assert!(bad.join().is_err_and(|error| error.is_panic()) && dropped.join().is_err());
        assert_eq!(seen.counts("work"), (Some(1), Some(1)));
    });
}

#[test]
fn a_task_that_runs_in_place_has_both_times() {
    bounded(|| {
        let seen = Seen::new();
        let work = seen.pool("work", PoolConfig::leased(1).holds_permit());
        let own = work.clone();
        let outer = work.submit(move || own.submit(|| sleep(LONG)).expect("open").join());
        assert!(outer.expect("open").join().is_ok_and(|inner| inner.is_ok()));
        assert_eq!(seen.counts("work"), (Some(2), Some(2)));
        assert_eq!(
            seen.up_to("run_time_seconds", "work", BELOW),
            Some(0),
            "the joiner's time includes that of the task"
        );
        assert!(work.run(|| ()).is_ok());
        assert_eq!(seen.counts("work"), (Some(3), Some(3)), "so has one on its caller's thread");
    });
}

#[test]
fn a_task_that_its_gate_keeps_out_has_a_wait_and_no_run_time() {
    static KEY: Heirloom<Gate> = Heirloom::new("stage");
    bounded(|| {
        let seen = Seen::new();
        let work = seen.pool("work", PoolConfig::leased(1).gate(&KEY, GateMode::Require));
        assert!(work.submit(|| ()).expect("open").join().is_err(), "no gate is bound");
        assert_eq!(seen.counts("work"), (Some(1), Some(0)));
    });
}

#[test]
fn no_task_is_measured_before_a_reader_asks() {
    bounded(|| {
        let family = Registry::new();
        let work = family.root().create("work");
        work.start(PoolConfig::leased(1)).expect("starts");
        work.submit(|| ()).expect("open").join().expect("ends");
        let times = || {
            let snapshot = family.snapshot();
            let manager = snapshot.nodes[0].managers[0].clone();
            (manager.queue_wait, manager.run_time)
        };
        assert_eq!(times(), (None, None));
        let publisher = Publisher::new(&family);
        let seen = Seen { family: family.clone(), recorder: PrometheusBuilder::new().build_recorder(), publisher };
        assert_eq!(seen.counts("work"), (None, None));
        work.submit(|| sleep(LONG)).expect("open").join().expect("ends");
        assert_eq!(seen.counts("work"), (Some(1), Some(1)));
        let (wait, run) = times();
        assert!(wait.is_some() && run.is_some_and(|run| run.p50 >= LONG && run.p99 == run.p50), "{run:?}");
    });
}

#[test]
fn the_threads_of_the_cache_are_published() {
    bounded(|| {
        let seen = Seen::new();
        let work = seen.pool("work", PoolConfig::leased(1));
        let (begun, started) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let task = work.submit(move || (begun.send(()).is_ok(), wait.recv().is_ok())).expect("open");
        started.recv().expect("it runs");
        let page = seen.page();
        let value = |name: &str| -> usize {
            let line = page.lines().find_map(|line| line.strip_prefix(&format!("heirloom_threads_{name} ")));
            line.expect("it is published").parse().expect("a number")
        };
        assert!(value("live") > value("idle") && value("limit") == heirloom::threads::limit());
        let _ = (value("waiting"), value("wanted"));
        drop(go);
        assert!(task.join().is_ok());
    });
}
