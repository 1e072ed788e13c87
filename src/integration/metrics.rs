//! Gauges, counters and histograms of every pool, for the [`metrics`](::metrics) facade (feature `metrics`).
//!
//! ```
//! use heirloom::metrics::Publisher;
//! use heirloom::{PoolConfig, Registry, Scope};
//! use metrics_exporter_prometheus::PrometheusBuilder;
//!
//! let exporter = PrometheusBuilder::new().build_recorder();
//! let page = exporter.handle();
//! metrics::set_global_recorder(exporter)?;
//!
//! Scope::run("request 7", |request| {
//!     request.create("render").start(PoolConfig::leased(4).task_type("component"))?;
//!     request.get("render")?.submit_as("component", || "<p>hello</p>")?.join()?;
//!     Ok::<(), heirloom::Error>(())
//! })?; // the pool has ended, and its tasks still count
//!
//! let publisher = Publisher::new(Registry::global());
//! publisher.publish(); // for instance whenever the page is asked for
//! let line = r#"heirloom_tasks_completed_total{namespace="render",task_type="component"} 1"#;
//! assert!(page.render().contains(line));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | name | kind | is |
//! |---|---|---|
//! | `heirloom_pools` | gauge | open pools |
//! | `heirloom_limit` | gauge | the limits of the open pools, added up |
//! | `heirloom_tasks_running` | gauge | tasks started, not ended and not blocked in heirloom |
//! | `heirloom_tasks_waiting` | gauge | tasks blocked in heirloom, their permits released |
//! | `heirloom_tasks_queued` | gauge | tasks accepted and not started |
//! | `heirloom_tasks_completed_total` | counter | tasks that returned a value without having been interrupted |
//! | `heirloom_tasks_interrupted_total` | counter | tasks that returned after they had [seen a cancel](crate::PoolStats::interrupted) |
//! | `heirloom_tasks_panicked_total` | counter | tasks that panicked |
//! | `heirloom_tasks_cancelled_total` | counter | tasks that were cancelled before they started |
//! | `heirloom_tasks_refused_total` | counter | submits that were refused |
//! | `heirloom_queue_wait_seconds_bucket` | counter | waits in the queue that were at most `le` seconds long |
//! | `heirloom_queue_wait_seconds_count` | counter | the waits of all measured tasks |
//! | `heirloom_run_time_seconds_bucket` | counter | run times that were at most `le` seconds long |
//! | `heirloom_run_time_seconds_count` | counter | the run times of all measured tasks |
//!
//! Each has two labels: `namespace`, and `task_type`, which is empty for a pool that is not typed. Each is the first 100
//! characters of the name. A pool's own labels ([`PoolConfig::label`](crate::PoolConfig::label)) follow. Pools of the same
//! name, task type and labels are one series, however many requests have their own: its gauges are sums over the live
//! pools, the others over live and ended pools. So the counters never go down, whichever publisher of the family publishes
//! them. A series stays when its pools have ended, at its last counts.
//!
//! The number of series is bounded. The first 500 combinations of name, task type and labels have series of their own; all
//! others share the series whose `namespace` is `(other)`. So names that users choose (one for each request) use up the
//! 500: give such pools the same name, in scopes of their own. A label tells 100 values apart, and counts further ones as
//! `(other)`.
//!
//! Five gauges without labels count the threads of the process-wide cache, see [`threads::stats`](fn@crate::threads::stats):
//! `heirloom_threads_limit`, `heirloom_threads_live`, `heirloom_threads_idle`, `heirloom_threads_waiting`,
//! `heirloom_threads_wanted`.
//!
//! # Histograms
//!
//! The **queue wait** of a task lasts from its acceptance until a thread takes the task to run it. Its **run time** is
//! that of its code, with the waits in it and that for its pool's gate, until the code has returned or panicked. So a
//! joiner that runs a task in place ends its wait, and the joiner's own run time includes that of the task.
//! [`run`](crate::PoolManager::run) waits a few hundred nanoseconds. A task that no thread took (cancelled, evicted,
//! refused) has neither time. A task that did not start after all, because its pool's gate stayed closed or its worker
//! has no state, has a wait and no run time. A submitter's wait for capacity comes before the acceptance. The run of a
//! work-stealing pool's task is that of the task, not of its pieces.
//!
//! The buckets are those of a Prometheus histogram: `_bucket` is cumulative, has the label `le`, and bounds that double from
//! 16 µs to 4.5 minutes. There is no `_sum`. They are published as counters because the facade's own histogram passes on
//! single values, of which exporters make quantiles that cannot be added up over instances. Counters arrive as they are, in
//! Prometheus' text format and by OpenTelemetry's exporters (which may append `_total` to the name), so the quantile over all
//! instances is
//!
//! ```text
//! histogram_quantile(0.99, sum by (namespace, le) (rate(heirloom_queue_wait_seconds_bucket[5m])))
//! ```
//!
//! Tasks are measured from the family's first publisher or inspector on, so make it before the pools. The file
//! `examples/grafana.json` is a dashboard of these metrics, and [`guide::seeing`](crate::guide::seeing) has rules for alerts.
//!
//! # Cost
//!
//! Without a publisher of the family a task costs one look at a flag more. With one, each task reads the clock three
//! times and makes two atomic increments: 80 ns more in a flood of tasks that do nothing, measured on a virtual
//! machine. A task is eight bytes larger with this feature. A pool takes one short lock more at its start, one for its
//! first measured task and two at its end, and about 56 bytes. Each combination has a kilobyte for its histograms.
//!
//! Publishing costs about a quarter of a microsecond for each live pool, and 64 records for each combination of name,
//! task type and labels, also without a recorder. Measured with 10 000 managers whose pools run, and without
//! histograms: 2.5 ms under one name, 5 ms under as many names as there can be. Prometheus' exporter then took 10 ms to
//! make 250 kB of text of those.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use ::metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::error::{Error, SpawnError};
use crate::lineage::handle::Lineage;
use crate::registry::registry::Registry;
use crate::sync::os::thread;
use crate::sync::unwind::swallow;
use crate::threads;
use crate::totals::buckets::{Buckets, cumulative};
use crate::totals::sums::Labels;

/// The gauges, in the order of the totals'.
const GAUGES: [(&str, &str); 5] = [
    ("heirloom_pools", "Open pools."),
    ("heirloom_limit", "The limits of the open pools, added up."),
    ("heirloom_tasks_running", "Tasks started, not ended and not blocked in heirloom."),
    ("heirloom_tasks_waiting", "Tasks blocked in heirloom, their permits released."),
    ("heirloom_tasks_queued", "Tasks accepted and not started."),
];

/// The counters, in the order of the totals'.
const COUNTERS: [(&str, &str); 5] = [
    ("heirloom_tasks_completed_total", "Tasks that returned a value without having been interrupted."),
    ("heirloom_tasks_interrupted_total", "Tasks that returned after they had seen a cancel."),
    ("heirloom_tasks_panicked_total", "Tasks that panicked."),
    ("heirloom_tasks_cancelled_total", "Tasks that were cancelled before they started."),
    ("heirloom_tasks_refused_total", "Submits that were refused."),
];

/// The buckets and the counts of the histograms, in the order of the totals'.
const HISTOGRAMS: [[(&str, &str); 2]; 2] = [
    [
        (
            "heirloom_queue_wait_seconds_bucket",
            "Waits from a task's acceptance to its start, at most `le` seconds long.",
        ),
        ("heirloom_queue_wait_seconds_count", "Waits from a task's acceptance to its start."),
    ],
    [
        ("heirloom_run_time_seconds_bucket", "Run times of tasks, at most `le` seconds long."),
        ("heirloom_run_time_seconds_count", "Run times of tasks."),
    ],
];

/// The gauges of the cache's threads.
const THREADS: [(&str, &str); 5] = [
    ("heirloom_threads_limit", "The most threads of the cache that work at once."),
    ("heirloom_threads_live", "Threads of the cache."),
    ("heirloom_threads_idle", "Threads of the cache with nothing to do."),
    ("heirloom_threads_waiting", "Threads of the cache inside one of heirloom's waits."),
    ("heirloom_threads_wanted", "Permits of pools that wait for a thread of the cache."),
];

/// Publishes one family's gauges and counters; see the [module](self). A clone publishes the same.
///
/// It keeps the family's root alive, and nothing else of the family. Dropping it does nothing. Families have no label of
/// their own, so each needs its own recorder.
#[derive(Clone, Debug)]
pub struct Publisher {
    root: Lineage,
}

impl Publisher {
    /// Returns a publisher of a family. The tasks that the family's pools accept from now on are measured.
    #[must_use]
    pub fn new(family: &Registry) -> Self {
        let root = family.root();
        root.0.node().family().index().totals.want_times();
        Self { root }
    }

    /// Publishes the current values to the current recorder, if there is one.
    ///
    /// Calls at the same time may reach the recorder in any order. No lock of heirloom is held meanwhile: the recorder may
    /// use heirloom, and its panic reaches the caller.
    pub fn publish(&self) {
        let series = self.root.0.node().family().index().totals.read();
        // Recorders are user code: no lock is held here.
        for (name, help) in GAUGES.into_iter().chain(THREADS) {
            describe_gauge!(name, help);
        }
        for (name, help) in COUNTERS.into_iter().chain(HISTOGRAMS.into_iter().flatten()) {
            describe_counter!(name, help);
        }
        for (labels, sums) in series {
            for ((name, _), now) in GAUGES.into_iter().zip(sums.gauges) {
                gauge!(name, &labels).set(now as f64);
            }
            for ((name, _), now) in COUNTERS.into_iter().zip(sums.counters) {
                counter!(name, &labels).absolute(now);
            }
            for (names, counts) in HISTOGRAMS.into_iter().zip(sums.times.into_iter().flat_map(|times| *times)) {
                publish_histogram(names, &labels, &counts);
            }
        }
        let stats = threads::stats();
        let now = [threads::limit(), stats.live, stats.idle, stats.waiting, stats.wanted];
        for ((name, _), now) in THREADS.into_iter().zip(now) {
            gauge!(name).set(now as f64);
        }
    }

    /// Publishes to the global recorder, at once and then at each interval (at least 1 ms).
    ///
    /// A daemon thread of its own publishes until the returned [`Publishing`] is dropped. A recorder's panic ends nothing.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heirloom::Registry;
    /// use heirloom::metrics::Publisher;
    ///
    /// let publishing = Publisher::new(Registry::global()).every(Duration::from_secs(5))?;
    /// // … as long as the program runs
    /// drop(publishing);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`SpawnError::Thread`]: the system refuses the thread.
    pub fn every(&self, interval: Duration) -> Result<Publishing, Error> {
        let (stop, stopped) = mpsc::channel::<()>();
        let publisher = self.clone();
        let interval = interval.max(Duration::from_millis(1));
        let thread = thread::Builder::new().name("heirloom-metrics".to_owned());
        let publishes = thread.spawn(move || {
            loop {
                swallow(|| publisher.publish());
                if stopped.recv_timeout(interval) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        publishes.map_err(SpawnError::from)?;
        Ok(Publishing { _stop: stop })
    }
}

fn publish_histogram([(bucket, _), (count, _)]: [(&'static str, &'static str); 2], labels: &Labels, counts: &Buckets) {
    let (bounds, all) = cumulative(counts);
    let bounds = bounds.into_iter().map(|(bound, below)| (bound.as_secs_f64().to_string(), below));
    for (bound, below) in bounds.chain([("+Inf".to_owned(), all)]) {
        let mut labels = labels.clone();
        labels.push(("le", bound));
        counter!(bucket, &labels).absolute(below);
    }
    counter!(count, labels).absolute(all);
}

/// Publishes at an interval; made by [`Publisher::every`]. Dropping it ends that, without waiting for a publish that is
/// under way.
#[derive(Debug)]
#[must_use = "publishing ends as soon as this is dropped"]
pub struct Publishing {
    _stop: mpsc::Sender<()>,
}
