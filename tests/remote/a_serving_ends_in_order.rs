//! The verbs that end a serving, and the settings that it refuses.

use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, ThreadId};
use std::time::Duration;

use heirloom::remote::{self, Job, Loopback, Serving, ServingState};
use heirloom::{Drain, ErrorKind, PoolConfig, Registry, Scope, TaskType};
use serde::{Deserialize, Serialize};
use tracing::span::Id;
use tracing::subscriber::with_default;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::a_worker_keeps_its_protocol::{confirm, grant, worker};
use crate::common::{BOUND, bounded, eventually};
use crate::puppet::{Ask, Outcome};
use crate::world::{Double, Held, Key, Repeatable, World};

#[test]
fn stop_waits_for_the_jobs_that_are_here() {
    bounded(|| {
        let world = World::new();
        let (pool, key, worker) = (world.pool(2), Key::new(), world.worker(2));
        let tasks: Vec<_> = (0..2).map(|_| pool.send(key.job()).expect("accepted")).collect();
        key.has_begun(2);
        let stopper = std::thread::spawn(move || worker.serving.stop());
        std::thread::sleep(Duration::from_millis(20));
        assert!(!stopper.is_finished());
        key.open();
        let report = stopper.join().expect("no panic").expect("stops");
        assert!(report.is_complete(), "{report}");
        assert_eq!((report.stats.done, report.stats.running), (2, 0));
        // Each origin knows by then.
        assert!(tasks.into_iter().all(|task| task.is_finished() && task.join().expect("ran")));
    });
}

#[test]
fn the_async_stop_waits_too() {
    bounded(|| {
        let world = World::new();
        let (pool, worker) = (world.pool(2), world.worker(2));
        assert_eq!(pool.send(Double(4)).expect("accepted").join().expect("runs"), 8);
        let report = futures::executor::block_on(worker.serving.stop_async()).expect("stops");
        assert_eq!((report.stats.done, report.is_complete()), (1, true));
    });
}

#[test]
fn a_late_stop_names_and_gives_up_what_still_runs() {
    bounded(|| {
        let world = World::new();
        let (pool, key, worker) = (world.pool(1), Key::new(), world.worker(1));
        let request = Scope::new_in(&world.scope, "request 7");
        let task = request.run(|| pool.send(Stubborn { key: key.stays() })).expect("accepted");
        key.has_begun(1);
        let report = worker.serving.stop_timeout(Duration::from_millis(20)).expect("stops");
        assert!(!report.is_complete());
        assert_eq!((report.still_running.len(), report.stats.lost), (1, 1), "{report}");
        let left = &report.still_running[0];
        assert_eq!((left.job.as_str(), left.repeatable), ("stubborn", false));
        assert!(left.scope.starts_with("request 7 @ "), "{report}");
        assert_eq!(task.join().expect_err("given up").kind(), ErrorKind::WorkerLost);
        key.open();
    });
}

#[test]
fn a_late_stop_lets_a_repeatable_job_begin_elsewhere() {
    bounded(|| {
        let world = World::new();
        let (pool, key, first) = (world.pool(1), Key::new(), world.worker(1));
        let task = pool.send(key.repeatable()).expect("accepted");
        key.has_begun(1);
        let report = first.serving.stop_timeout(Duration::ZERO).expect("stops");
        assert_eq!((report.stats.given_back, report.stats.lost), (1, 0), "{report}");
        key.was_cancelled();
        let _second = world.worker(1);
        key.has_begun(2);
        key.open();
        assert!(task.join().expect("runs at the second worker"));
        // Each message and each lost attempt has a number of its own.
        assert!(key.attempts().is_sorted_by(|one, next| one < next), "{:?}", key.attempts());
    });
}

#[test]
fn what_waits_in_the_workers_pool_goes_elsewhere_at_no_cost() {
    bounded(|| {
        let world = World::new();
        let (pool, key, worker) = (world.pool(4), Key::new(), world.worker(1));
        let (hold, held) = mpsc::channel::<()>();
        let other = worker.here.submit(move || held.recv()).expect("accepted");
        // It is granted, and in line behind the worker's own task.
        let task = pool.send(key.job()).expect("accepted");
        eventually("the job is here", || worker.here.stats().queued == 1);
        let report = worker.serving.stop_timeout(Duration::ZERO).expect("stops");
        assert!(report.still_running.is_empty(), "{report}");
        let _second = world.worker(1);
        key.open();
        assert!(task.join().expect("runs at the second worker"));
        assert_eq!((key.begins(), key.attempts()), (1, vec![1]));
        drop(hold);
        let _ = other.join();
    });
}

#[test]
fn a_job_that_is_given_up_at_its_begin_does_not_run() {
    bounded(|| {
        let (puppet, _apart, serving) = worker(1);
        let key = Key::new();
        puppet.deliver(1, 11, &key.job());
        let ((entered, enters), (open, held)) = (mpsc::channel(), mpsc::channel());
        let doors = Doors { test: thread::current().id(), entered: Mutex::new(entered), held: Mutex::new(held) };
        let (_, answer) = puppet.next();
        with_default(tracing_subscriber::registry().with(doors), || {
            tracing::info_span!("submitter").in_scope(|| grant(answer));
        });
        enters.recv().expect("a thread of the pool has the task, and enters its span");
        let report = serving.stop_timeout(Duration::ZERO).expect("stops");
        assert!(report.still_running.is_empty(), "{report}");
        drop(open);
        let (ended, answer) = puppet.next();
        assert_eq!(ended, Ask::Ended { job: 7, attempt: 1, outcome: Outcome::NotRun });
        confirm(answer);
        assert_eq!(key.begins(), 0);
    });
}

/// Holds each thread but the test's where it enters a span, until the test drops its sender.
struct Doors {
    test: ThreadId,
    entered: Mutex<Sender<()>>,
    held: Mutex<Receiver<()>>,
}

impl<S: tracing::Subscriber> Layer<S> for Doors {
    fn on_enter(&self, _span: &Id, _context: Context<'_, S>) {
        if thread::current().id() != self.test {
            let _ = self.entered.lock().expect("no panic under it").send(());
            let _ = self.held.lock().expect("no panic under it").recv();
        }
    }
}

#[test]
fn cancel_reaches_the_jobs_and_gives_repeatable_ones_back() {
    bounded(|| {
        let world = World::new();
        let (pool, once, again, first) = (world.pool(2), Key::new(), Key::new(), world.worker(2));
        let single = pool.send(once.job()).expect("accepted");
        let repeats = pool.send(again.repeatable()).expect("accepted");
        once.has_begun(1);
        again.has_begun(1);
        first.serving.cancel();
        assert!(!single.join().expect("its own result counts"));
        let _second = world.worker(1);
        again.has_begun(2);
        again.open();
        assert!(repeats.join().expect("runs at the second worker"));
    });
}

#[test]
fn a_dropped_serving_closes_and_its_jobs_end() {
    bounded(|| {
        let world = World::new();
        let (pool, key, worker) = (world.pool(1), Key::new(), world.worker(1));
        let task = key.begun(&pool);
        // It waits for no job: this one ends later.
        drop(worker.serving);
        let next = pool.send(Double(1)).expect("accepted");
        key.open();
        assert!(task.join().expect("ends"));
        assert_eq!(next.status(), heirloom::TaskStatus::Queued);
        let _second = world.worker(1);
        assert_eq!(next.join().expect("runs"), 2);
    });
}

#[test]
fn a_drain_ends_a_serving_as_a_pool() {
    bounded(|| {
        let family = Registry::new();
        let at = family.root();
        let worker_scope = Scope::new_in(&at, "worker");
        let world = World::new();
        let (pool, key) = (world.pool(1), Key::new());
        let here = worker_scope.create("here");
        here.start(PoolConfig::leased(1)).expect("starts");
        let end = world.origin.another();
        let _serving = remote::serve(end.queue("work"), &here).job::<Held>().job::<Double>().start().expect("starts");
        let task = key.begun(&pool);
        let next = pool.send(Double(2)).expect("accepted");
        let draining = std::thread::spawn(move || at.run(|| Drain::within(BOUND).grace(BOUND).end()));
        eventually("its pool is closed", || !here.is_running());
        key.open();
        let drained = draining.join().expect("no panic");
        assert!(drained.is_complete(), "{drained}");
        assert!(task.is_finished(), "the drain waits until the origin knows");
        assert!(task.join().expect("ran"));
        let _second = world.worker(1);
        assert_eq!(next.join().expect("goes elsewhere"), 4);
    });
}

/// A worker in a family of its own, as a process has one, on a new engine whose lease is longer than any test.
fn worker_process() -> (Registry, Scope, Loopback, Serving) {
    let origin = Loopback::builder().lease(Duration::from_secs(600)).open();
    let family = Registry::new();
    let scope = Scope::new_in(&family.root(), "worker");
    let here = scope.create("here");
    here.start(PoolConfig::leased(2)).expect("starts");
    let serve = remote::serve(origin.another().queue("work"), &here).job::<Held>().job::<Repeatable>();
    let serving = serve.job::<Stubborn>().job::<Double>().start().expect("starts");
    (family, scope, origin, serving)
}

#[test]
fn a_drain_closes_a_serving_at_once() {
    bounded(|| {
        let (family, _scope, _origin, serving) = worker_process();
        assert!(family.root().run(|| Drain::within(Duration::from_secs(20)).end()).is_complete());
        // No job has come since.
        assert_eq!(serving.state(), ServingState::Stopped);
    });
}

#[test]
fn a_drains_cancel_gives_repeatable_jobs_to_another_worker() {
    bounded(|| {
        let (family, _scope, origin, serving) = worker_process();
        let at_origin = Scope::new("origin");
        let (pool, key) = (at_origin.create("remote"), Key::new());
        pool.start(PoolConfig::remote(1, origin.queue("work"))).expect("starts");
        let task = pool.send(key.repeatable()).expect("accepted");
        key.has_begun(1);
        let drained = family.root().run(|| Drain::within(Duration::from_secs(20)).grace(Duration::ZERO).end());
        assert!(drained.is_complete(), "{drained}");
        assert_eq!((serving.stats().given_back, serving.stats().done), (1, 0), "{:?}", serving.stats());
        let here = at_origin.create("here");
        here.start(PoolConfig::leased(1)).expect("starts");
        let _second = remote::serve(origin.another().queue("work"), &here).job::<Repeatable>().start().expect("starts");
        key.has_begun(2);
        key.open();
        assert!(task.join().expect("runs at the second worker"));
    });
}

#[test]
fn a_drains_deadline_gives_up_the_jobs_that_are_left_and_tells() {
    bounded(|| {
        let (family, _scope, origin, serving) = worker_process();
        let at_origin = Scope::new("origin");
        let (pool, key) = (at_origin.create("remote"), Key::new());
        pool.start(PoolConfig::remote(1, origin.queue("work"))).expect("starts");
        let task = pool.send(Stubborn { key: key.stays() }).expect("accepted");
        key.has_begun(1);
        let drain = || Drain::within(Duration::from_millis(60)).grace(Duration::from_millis(20));
        let drained = family.root().run(|| futures::executor::block_on(drain().end_async()));
        assert!(!drained.is_complete());
        // The lease would tell it in minutes.
        assert_eq!(task.join().expect_err("given up").kind(), ErrorKind::WorkerLost);
        assert_eq!(serving.stats().lost, 1);
        key.open();
    });
}

#[test]
fn a_stop_from_one_of_its_own_jobs_is_refused() {
    static SERVING: std::sync::OnceLock<remote::Serving> = std::sync::OnceLock::new();
    #[derive(Serialize, Deserialize)]
    struct Stops;
    impl Job for Stops {
        const NAME: &'static str = "stops";
        type Output = String;

        fn run(self) -> String {
            let refused = SERVING.wait().stop().expect_err("it would wait for itself");
            assert_eq!(refused.kind(), ErrorKind::FromOwnTask);
            refused.to_string()
        }
    }

    bounded(|| {
        let world = World::new();
        let pool = world.pool(1);
        let here = world.scope.create("here");
        here.start(PoolConfig::leased(1)).expect("starts");
        let queue = world.origin.another().queue("work");
        assert!(SERVING.set(remote::serve(queue, &here).job::<Stops>().start().expect("starts")).is_ok());
        let text = pool.send(Stops).expect("accepted").join().expect("runs");
        assert!(text.contains("serve"), "{text}");
        assert!(!SERVING.wait().is_closed());
        SERVING.wait().close();
    });
}

#[test]
fn an_impossible_serving_is_refused_with_the_remedy() {
    let world = World::new();
    let queue = || world.origin.queue("work");
    let here = world.scope.create("here");
    let kind = |refused: Result<remote::Serving, heirloom::Error>| refused.expect_err("impossible").kind();
    assert_eq!(kind(remote::serve(queue(), &here).job::<Double>().start()), ErrorKind::NotStarted);
    here.start(PoolConfig::leased(1).task_type(TaskType::job::<Double>())).expect("starts");
    assert_eq!(kind(remote::serve(queue(), &here).start()), ErrorKind::Invalid);
    assert_eq!(kind(remote::serve(queue(), &here).job::<Double>().job::<Double>().start()), ErrorKind::Invalid);
    assert_eq!(kind(remote::serve(queue(), &here).job::<Held>().start()), ErrorKind::WrongType);
    assert_eq!(kind(remote::serve(queue(), &world.pool(1)).job::<Double>().start()), ErrorKind::Invalid);
    let first = remote::serve(queue(), &here).job::<Double>().start().expect("starts");
    let second = remote::serve(queue(), &here).job::<Double>().start().expect_err("one of a queue");
    assert!(second.to_string().contains("already"), "{second}");
    assert!(first.stop().expect("stops").is_complete());
    // The name is free again.
    drop(remote::serve(queue(), &here).job::<Double>().start().expect("starts"));
}

/// A job that sees no cancel.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stubborn {
    pub(crate) key: u64,
}

impl Job for Stubborn {
    const NAME: &'static str = "stubborn";
    type Output = ();

    fn run(self) {
        crate::world::stay(self.key);
    }
}
