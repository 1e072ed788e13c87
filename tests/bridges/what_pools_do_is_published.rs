//! With the feature `metrics`: gauges are sums over live pools, counters over live and ended pools, by name and task type.
//!
//! No counter goes down, however pools come and go, and the number of series is bounded.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use heirloom::metrics::Publisher;
use heirloom::{PoolConfig, Registry, Scope};
use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use crate::common::{alone, bounded, eventually};

/// One test's recorder, and its page.
struct Seen {
    recorder: PrometheusRecorder,
    publisher: Publisher,
}

impl Seen {
    fn of(family: &Registry) -> Self {
        Self { recorder: PrometheusBuilder::new().build_recorder(), publisher: Publisher::new(family) }
    }

    fn publish(&self) -> String {
        metrics::with_local_recorder(&self.recorder, || self.publisher.publish());
        self.recorder.handle().render()
    }

    /// Returns a series' current value.
    fn value(&self, name: &str, namespace: &str, task_type: &str) -> Option<f64> {
        let series = format!("heirloom_{name}{{namespace=\"{namespace}\",task_type=\"{task_type}\"}} ");
        self.publish().lines().find_map(|line| line.strip_prefix(&series)?.parse().ok())
    }
}

#[test]
fn gauges_are_sums_over_the_pools_that_live() {
    bounded(|| {
        let family = Registry::new();
        let seen = Seen::of(&family);
        let requests: Vec<Scope> = (0..3).map(|i| Scope::new_in(&family.root(), format!("request {i}"))).collect();
        let (begun, started) = mpsc::channel();
        let mut held = Vec::new();
        for request in &requests {
            let render = request.create("render");
            render.start(PoolConfig::leased(2).task_type("component")).expect("starts");
            for waits in [true, false] {
                let (go, wait) = mpsc::channel::<()>();
                let begun = begun.clone();
                let task = render.submit_as("component", move || {
                    let stay = || {
                        let _ = begun.send(());
                        wait.recv().is_ok()
                    };
                    if waits { heirloom::blocking(stay) } else { stay() }
                });
                held.push((go, task.expect("open")));
                started.recv().expect("it runs");
            }
            // One permit is free, because one task is blocked; then one is queued.
            let (go, wait) = mpsc::channel::<()>();
            let begun = begun.clone();
            let task = render.submit_as("component", move || (begun.send(()).is_ok(), wait.recv().is_ok()).1);
            held.push((go, task.expect("open")));
            started.recv().expect("it runs");
            let (go, _) = mpsc::channel::<()>();
            held.push((go, render.submit_as("component", || true).expect("open")));
            assert!(render.submit(|| ()).is_err(), "of no type");
        }
        family.root().create("render").start(PoolConfig::leased(7)).expect("starts");
        let of = |name| seen.value(name, "render", "component");
        assert_eq!((of("pools"), of("limit")), (Some(3.0), Some(6.0)));
        assert_eq!((of("tasks_running"), of("tasks_waiting"), of("tasks_queued")), (Some(6.0), Some(3.0), Some(3.0)));
        assert_eq!(of("tasks_refused_total"), Some(3.0));
        assert_eq!(seen.value("limit", "render", ""), Some(7.0), "another task type is another series");

        for (go, task) in held {
            drop(go);
            assert!(task.join().is_ok());
        }
        drop(requests);
        eventually("the pools are gone", || of("pools") == Some(0.0) && of("tasks_running") == Some(0.0));
        assert_eq!((of("tasks_waiting"), of("tasks_queued"), of("limit")), (Some(0.0), Some(0.0), Some(0.0)));
        assert_eq!(of("tasks_completed_total"), Some(12.0), "what they did still counts");
    });
}

/// Publishes repeatedly while `makers` make and drop pools.
fn publish_while(family: &Registry, told: &Arc<Told>, makers: Vec<Box<dyn FnOnce() + Send + '_>>) {
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let makers: Vec<_> = makers.into_iter().map(|maker| threads.spawn(maker)).collect();
        let watcher = threads.spawn(|| {
            let (publisher, recorder) = (Publisher::new(family), Strict(Arc::clone(told)));
            let mut looks = 0;
            while !over.load(Ordering::Relaxed) {
                metrics::with_local_recorder(&recorder, || publisher.publish());
                looks += 1;
            }
            looks
        });
        let ended: Vec<bool> = makers.into_iter().map(|maker| maker.join().is_ok()).collect();
        over.store(true, Ordering::Relaxed);
        assert!(watcher.join().is_ok_and(|looks| looks > 0));
        assert!(ended.into_iter().all(|ok| ok));
    });
}

#[test]
fn counters_never_go_down_however_pools_come_and_go() {
    bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let told = Arc::new(Told::default());
        // Many more pools than publishes: some end in the middle of a publish.
        let make = || {
            for _ in 0..10_000 {
                let scope = Scope::new_in(&root, "request");
                let work = scope.create("work");
                work.start(PoolConfig::leased(1)).expect("starts");
                assert!(work.run(|| told.begun.fetch_add(1, Ordering::SeqCst)).is_ok());
            }
        };
        publish_while(&family, &told, (0..3).map(|_| Box::new(make) as _).collect());
        assert_eq!(Seen::of(&family).value("tasks_completed_total", "work", ""), Some(30_000.0));
    });
}

#[test]
fn publishers_of_one_family_tell_of_the_same_counters() {
    bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let told = Arc::new(Told::default());
        let over = AtomicBool::new(false);
        // Live pools prolong the sums, and so the ends of other pools.
        let idle: Vec<_> = (0..20_u64).map(|name| root.create(name)).collect();
        assert!(idle.iter().all(|pool| pool.start(PoolConfig::leased(1)).is_ok()));
        std::thread::scope(|threads| {
            // Reads the totals meanwhile, without a recorder.
            threads.spawn(|| {
                let publisher = Publisher::new(&family);
                while !over.load(Ordering::Relaxed) {
                    publisher.publish();
                }
            });
            let watcher = threads.spawn(|| {
                let recorder = Strict(Arc::clone(&told));
                while !over.load(Ordering::Relaxed) {
                    metrics::with_local_recorder(&recorder, || Publisher::new(&family).publish());
                }
            });
            for _ in 0..600 {
                let scopes: Vec<Scope> = (0..40).map(|_| Scope::new_in(&root, "request")).collect();
                for scope in &scopes {
                    let work = scope.create("work");
                    work.start(PoolConfig::leased(1)).expect("starts");
                    assert!(work.run(|| told.begun.fetch_add(1, Ordering::SeqCst)).is_ok());
                }
                eventually("all are told of, or it panicked", || {
                    told.completed.load(Ordering::SeqCst) == told.begun.load(Ordering::SeqCst) || watcher.is_finished()
                });
                // They end while the sums are made, and meet at the rows of ended pools.
                let mut scopes = scopes.into_iter();
                for _ in 0..8 {
                    let some: Vec<Scope> = scopes.by_ref().take(5).collect();
                    threads.spawn(move || drop(some));
                }
            }
            over.store(true, Ordering::Relaxed);
            assert!(watcher.join().is_ok());
        });
        drop(idle);
    });
}

#[test]
fn no_task_is_counted_twice_when_its_pool_goes() {
    bounded(|| {
        let family = Registry::new();
        let root = family.root();
        let told = Arc::new(Told::default());
        let make = || {
            for i in 0..150 {
                let scope = Scope::new_in(&root, "request");
                let work = scope.create("work");
                work.start(PoolConfig::leased(2)).expect("starts");
                // So many that tasks which begin meanwhile cannot make up for them.
                let task = |_| {
                    told.begun.fetch_add(1, Ordering::SeqCst);
                    work.submit(|| ()).expect("open")
                };
                let tasks: Vec<_> = (0..500).map(task).collect();
                if i % 3 == 0 {
                    // The manager is dropped first; its accepted tasks go on without it.
                    scope.close();
                    drop(work);
                    assert!(tasks.into_iter().all(|task| task.join().is_ok()));
                } else {
                    assert!(tasks.into_iter().all(|task| task.join().is_ok()));
                    // A second start by the same manager.
                    assert!(work.stop().is_ok_and(|report| report.is_complete()));
                    work.start(PoolConfig::leased(1)).expect("starts");
                }
            }
        };
        publish_while(&family, &told, vec![Box::new(make)]);
        let seen = Seen::of(&family);
        eventually("each is counted", || seen.value("tasks_completed_total", "work", "") == Some(75_000.0));
        assert_eq!(seen.value("tasks_panicked_total", "work", ""), Some(0.0));
    });
}

#[test]
fn every_end_has_its_counter() {
    bounded(|| {
        let family = Registry::new();
        let seen = Seen::of(&family);
        let work = family.root().create("work");
        work.start(PoolConfig::leased(1).log_panics(false).queue_limit(2)).expect("starts");
        let (asks, is_asked) = mpsc::channel::<()>();
        let stopped = work.submit(move || (is_asked.recv().is_ok(), heirloom::checkpoint())).expect("open");
        eventually("it runs", || stopped.status() == heirloom::TaskStatus::Running);
        stopped.cancel();
        asks.send(()).expect("it waits");
        assert!(stopped.join().is_ok_and(|(_, looked)| looked.is_err()));
        let (begun, started) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let first = work.submit(move || (begun.send(()).is_ok(), wait.recv().is_ok()));
        let first = first.expect("open");
        started.recv().expect("it runs");
        let bad = work.submit(|| panic!("as wanted")).expect("open");
        let dropped = work.submit(|| ()).expect("open");
        assert!(work.submit(|| ()).is_err(), "the queue is full");
        dropped.cancel();
        drop(go);
        assert!(first.join().is_ok() && bad.join().is_err_and(|error| error.is_panic()) && dropped.join().is_err());
        let of = |end: &str| seen.value(&format!("tasks_{end}_total"), "work", "");
        assert_eq!(["completed", "interrupted", "panicked", "cancelled", "refused"].map(of), [Some(1.0); 5]);
    });
}

#[test]
fn the_number_of_series_is_bounded_and_nothing_is_lost_in_it() {
    bounded(|| {
        let family = Registry::new();
        let seen = Seen::of(&family);
        let mut kept = Vec::new();
        for tenant in 0..2_000_u64 {
            let pool = family.root().create(tenant);
            pool.start(PoolConfig::leased(1)).expect("starts");
            assert!(pool.submit(|| ()).expect("open").join().is_ok());
            // Half of the pools have ended before the first publish.
            if tenant % 2 == 0 { kept.push(pool) } else { assert!(family.root().remove(tenant).is_some()) }
        }
        let done = |page: &str| -> Vec<(bool, f64)> {
            let lines = page.lines().filter(|line| line.starts_with("heirloom_tasks_completed_total{"));
            lines.map(|line| (line.contains("(other)"), line.rsplit(' ').next().unwrap().parse().unwrap())).collect()
        };
        eventually("all are counted", || done(&seen.publish()).iter().map(|(_, n)| n).sum::<f64>() == 2_000.0);
        let series = done(&seen.publish());
        assert_eq!(series.len(), 501);
        assert_eq!(series.iter().find(|(other, _)| *other).map(|(_, n)| *n), Some(1_500.0));
        drop(kept);
    });
}

#[test]
fn a_family_publishes_its_own_and_labels_that_print_alike_are_one_series() {
    bounded(|| {
        let (one, other) = (Registry::new(), Registry::new());
        let seen = Seen::of(&one);
        other.root().create("elsewhere").start(PoolConfig::leased(1)).expect("starts");
        one.root().create(7).start(PoolConfig::leased(1)).expect("starts");
        one.root().create("#7").start(PoolConfig::leased(2)).expect("starts");
        assert_eq!(seen.value("limit", "#7", ""), Some(3.0));
        assert_eq!(seen.value("limit", "elsewhere", ""), None);
        let scope = Scope::new_in(&one.root(), "with \"quotes\"\n");
        scope.create("a \"b\"\n{c}").start(PoolConfig::leased(1)).expect("starts");
        assert!(seen.publish().contains(r#"namespace="a \"b\"\n{c}""#));
    });
}

#[test]
fn a_long_name_is_published_cut() {
    bounded(|| {
        let family = Registry::new();
        let seen = Seen::of(&family);
        let name = |end: &str| format!("{}{end}", "é".repeat(1_000));
        for end in ["1", "2"] {
            let config = PoolConfig::leased(1).task_type(name(end));
            family.root().create(name(end)).start(config).expect("starts");
        }
        let cut = format!("{}…", "é".repeat(100));
        assert_eq!(seen.value("limit", &cut, &cut), Some(2.0), "one series");
    });
}

/// A recorder's counter of completed tasks: never less than before, and never more than began.
#[derive(Default)]
struct Told {
    begun: AtomicU64,
    completed: AtomicU64,
}

struct Strict(Arc<Told>);

impl CounterFn for Told {
    fn increment(&self, _: u64) {}
    fn absolute(&self, now: u64) {
        let begun = self.begun.load(Ordering::SeqCst);
        assert!(now <= begun, "{now} completed of {begun}");
        let last = self.completed.swap(now, Ordering::SeqCst);
        assert!(now >= last, "{now} after {last}");
    }
}

impl Recorder for Strict {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let of_work = key.labels().any(|label| label.value() == "work");
        if of_work && key.name().contains("completed") {
            Counter::from_arc(Arc::clone(&self.0))
        } else {
            Counter::noop()
        }
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// Panics at first, then counts its registrations.
struct Moody;

static GAUGES: AtomicUsize = AtomicUsize::new(0);

impl Recorder for Moody {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        assert!(GAUGES.fetch_add(1, Ordering::SeqCst) > 2, "not in the mood");
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// Uses heirloom in its registrations, and panics on demand.
struct Busy {
    family: Registry,
    inside: AtomicBool,
    panics: AtomicBool,
}

impl Recorder for Busy {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        assert!(!self.panics.load(Ordering::SeqCst), "as wanted");
        Counter::noop()
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        if !self.inside.swap(true, Ordering::SeqCst) {
            let scope = Scope::new_in(&self.family.root(), key.name().to_owned());
            let pool = scope.create("told");
            assert!(pool.start(PoolConfig::leased(1)).is_ok() && pool.run(|| ()).is_ok());
            drop((scope, pool));
            metrics::with_local_recorder(self, || Publisher::new(&self.family).publish());
            let _ = self.family.snapshot();
            self.inside.store(false, Ordering::SeqCst);
        }
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn a_recorder_may_use_heirloom_and_may_panic() {
    bounded(|| {
        let family = Registry::new();
        family.root().create("work").start(PoolConfig::leased(1)).expect("starts");
        let (inside, panics) = (AtomicBool::new(false), AtomicBool::new(false));
        let recorder = Busy { family, inside, panics };
        let publisher = Publisher::new(&recorder.family);
        let publish = || metrics::with_local_recorder(&recorder, || publisher.publish());
        publish();
        recorder.panics.store(true, Ordering::SeqCst);
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(publish));
        assert!(told.is_err(), "its panic is the caller's");
        recorder.panics.store(false, Ordering::SeqCst);
        recorder.inside.store(false, Ordering::SeqCst);
        publish();
        // Five gauges of two names, or more, each with a task.
        let done = Seen::of(&recorder.family).value("tasks_completed_total", "told", "");
        assert!(done.is_some_and(|done| done > 10.0), "{done:?}");
    });
}

#[test]
fn an_interval_publishes_until_its_guard_is_dropped_whatever_the_recorder_does() {
    alone(|| {
        let family = Registry::new();
        family.root().create("work").start(PoolConfig::leased(1)).expect("starts");
        assert!(metrics::set_global_recorder(Moody).is_ok());
        let publishing = Publisher::new(&family).every(Duration::from_millis(5)).expect("a thread starts");
        eventually("it goes on after panics", || GAUGES.load(Ordering::SeqCst) > 50);
        drop(publishing);
        eventually("it ends", || {
            let before = GAUGES.load(Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(100));
            GAUGES.load(Ordering::SeqCst) == before
        });
    });
}
