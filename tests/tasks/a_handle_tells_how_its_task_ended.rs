//! A `TaskHandle` waits for its task, with a bound or without, as a future on any runtime, and tells where the task is
//! in its life and how it ended. Cancelling says what it found. Dropping the handle detaches the task.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use heirloom::{CancelOutcome, PoolConfig, PoolManager, Scope, TaskHandle, TaskStatus};

use crate::common::{BOUND, bounded};

fn pool(scope: &Scope, config: PoolConfig) -> PoolManager {
    let pool = scope.create("work");
    pool.start(config.log_panics(false)).expect("starts");
    pool
}

/// A task that has started, and ends with 7 when the sender is dropped.
fn running(pool: &PoolManager) -> (TaskHandle<i32>, mpsc::Sender<()>) {
    let (go, gate) = mpsc::channel::<()>();
    let (started, runs) = mpsc::channel();
    let task = pool.submit(move || {
        let _ = started.send(());
        let _ = gate.recv();
        7
    });
    runs.recv().expect("runs");
    (task.expect("accepted"), go)
}

#[test]
fn join_returns_the_value() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        assert_eq!(pool.submit(|| String::from("value")).expect("accepted").join().expect("ends"), "value");
        let later = pool.submit(|| 3_i64.pow(8)).expect("accepted");
        pool.wait_idle().expect("not from an own task");
        assert_eq!(later.join().expect("ended long ago"), 6561);
    });
}

#[test]
fn values_that_look_like_nothing_are_values() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        assert_eq!(pool.submit(|| None::<u8>).expect("accepted").join().expect("ends"), None);
        assert_eq!(pool.submit(|| Err::<u8, _>("no")).expect("accepted").join().expect("ends"), Err("no"));
        pool.submit(|| ()).expect("accepted").join().expect("ends");
        assert_eq!(pool.submit(|| [0_u8; 4096]).expect("accepted").join().expect("ends").len(), 4096);
    });
}

#[test]
fn a_value_with_a_large_alignment_stays_whole() {
    #[repr(align(128))]
    struct Aligned([u64; 3]);
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let held = Aligned([1, 2, 3]);
        let back = pool.submit(move || Aligned(held.0.map(|n| n * 2))).expect("accepted").join().expect("ends");
        assert_eq!(back.0, [2, 4, 6]);
        assert_eq!((&raw const back).addr() % 128, 0);
    });
}

#[test]
fn status_follows_the_tasks_life() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (first, go) = running(&pool);
        let second = pool.submit(|| ()).expect("accepted");
        assert_eq!((first.status(), first.is_finished()), (TaskStatus::Running, false));
        assert_eq!((second.status(), second.is_finished()), (TaskStatus::Queued, false));
        drop(go);
        pool.wait_idle().expect("not from an own task");
        assert_eq!((first.status(), first.is_finished()), (TaskStatus::Finished, true));
        assert_eq!((second.status(), second.is_finished()), (TaskStatus::Finished, true));
    });
}

#[test]
fn ids_are_never_reused() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(2));
        let mut seen = HashSet::new();
        for _ in 0..2000 {
            let task = pool.submit(|| ()).expect("accepted");
            assert!(seen.insert(task.id()));
            task.join().expect("ends");
        }
    });
}

#[test]
fn a_bounded_join_gives_the_handle_back() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (task, go) = running(&pool);
        let id = task.id();
        let begun = Instant::now();
        let task = task.join_timeout(Duration::from_millis(40)).expect_err("not yet");
        assert!(begun.elapsed() >= Duration::from_millis(40));
        let task = task.join_timeout(Duration::ZERO).expect_err("not yet, and at once");
        assert_eq!(task.id(), id);
        drop(go);
        assert_eq!(task.join_timeout(BOUND).expect("in time").expect("ends"), 7);
    });
}

#[test]
fn a_bounded_join_without_a_practical_bound_waits() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (task, go) = running(&pool);
        let opener = std::thread::spawn(move || drop(go));
        assert_eq!(task.join_timeout(Duration::MAX).expect("in time").expect("ends"), 7);
        opener.join().expect("opens");
    });
}

#[test]
fn a_finished_task_is_joined_within_no_time() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let task = pool.submit(|| 7).expect("accepted");
        pool.wait_idle().expect("not from an own task");
        assert_eq!(task.join_timeout(Duration::ZERO).expect("it is there").expect("ends"), 7);
    });
}

#[test]
fn a_queued_task_that_is_cancelled_never_runs() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (first, go) = running(&pool);
        let (held, dropped) = mpsc::channel::<()>();
        let queued = pool.submit(move || held.send(())).expect("accepted");
        assert_eq!(queued.cancel(), CancelOutcome::Requested);
        assert_eq!(dropped.try_recv(), Err(mpsc::TryRecvError::Disconnected), "its closure is dropped at once");
        assert_eq!(queued.status(), TaskStatus::Finished);
        assert_eq!(queued.cancel(), CancelOutcome::AlreadyFinished);
        let error = queued.join().expect_err("never ran");
        assert!(error.is_cancelled() && !error.is_panic(), "{error}");
        assert!(error.into_panic().is_err_and(|error| error.is_cancelled()));
        drop(go);
        assert_eq!(first.join().expect("ends"), 7);
        assert_eq!(pool.stats().cancelled, 1);
    });
}

#[test]
fn a_running_task_that_is_asked_goes_on_until_it_looks() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (task, go) = running(&pool);
        assert_eq!(task.cancel(), CancelOutcome::Requested);
        assert_eq!(task.cancel(), CancelOutcome::AlreadyRequested);
        assert_eq!(task.status(), TaskStatus::Running);
        drop(go);
        pool.wait_idle().expect("not from an own task");
        assert_eq!(task.cancel(), CancelOutcome::AlreadyFinished);
        assert_eq!(task.join().expect("it did not look"), 7);
    });
}

#[test]
fn a_cancel_while_a_joiner_waits_ends_the_wait() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (_first, go) = running(&pool);
        let queued = Arc::new(pool.submit(|| 1).expect("accepted"));
        let canceller = Arc::clone(&queued);
        let cancelling = std::thread::spawn(move || canceller.cancel());
        assert_eq!(cancelling.join().expect("cancels"), CancelOutcome::Requested);
        let queued = Arc::into_inner(queued).expect("the only one");
        assert!(queued.join().expect_err("never ran").is_cancelled());
        drop(go);
    });
}

#[test]
fn dropping_it_detaches_the_task() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (said, heard) = mpsc::channel();
        let result = Arc::new(());
        let returned = Arc::clone(&result);
        drop(pool.submit(move || {
            said.send(7).expect("somebody listens");
            returned
        }));
        assert_eq!(heard.recv(), Ok(7));
        pool.wait_idle().expect("not from an own task");
        assert_eq!(Arc::strong_count(&result), 1, "its result is dropped by then");
    });
}

#[test]
fn dropping_it_after_the_end_drops_the_result() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let result = Arc::new(());
        let returned = Arc::clone(&result);
        let task = pool.submit(move || returned).expect("accepted");
        pool.wait_idle().expect("not from an own task");
        assert_eq!(Arc::strong_count(&result), 2);
        drop(task);
        assert_eq!(Arc::strong_count(&result), 1);
    });
}

#[test]
fn a_task_that_joins_itself_is_told() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (give, get) = mpsc::channel::<TaskHandle<bool>>();
        let (said, heard) = mpsc::channel();
        let task = pool.submit(move || {
            let itself = get.recv().expect("its handle comes");
            let told = itself.join().is_err_and(|error| error.kind() == heirloom::ErrorKind::FromOwnTask);
            said.send(told).expect("somebody listens");
            told
        });
        give.send(task.expect("accepted")).expect("it listens");
        assert_eq!(heard.recv(), Ok(true));
    });
}

#[test]
fn a_task_that_joins_an_outer_frame_of_its_thread_is_told() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (give, get) = mpsc::channel::<TaskHandle<()>>();
        let (said, heard) = mpsc::channel();
        let this = pool.clone();
        let outer = pool.submit(move || {
            let outer = get.recv().expect("its handle comes");
            // The only place is ours, so this runs in place, within us.
            let inner =
                this.submit(move || outer.join().is_err_and(|error| error.kind() == heirloom::ErrorKind::FromOwnTask));
            said.send(inner.expect("accepted").join().expect("ends")).expect("somebody listens");
        });
        give.send(outer.expect("accepted")).expect("it listens");
        assert_eq!(heard.recv(), Ok(true));
    });
}

#[test]
fn it_is_a_future_on_a_small_executor() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (task, go) = running(&pool);
        let opener = std::thread::spawn(move || drop(go));
        assert_eq!(futures::executor::block_on(task).expect("ends"), 7);
        opener.join().expect("opens");
        let cancelled = pool.submit(|| panic!("no")).expect("accepted");
        let outcome: Result<(), _> = futures::executor::block_on(cancelled);
        assert!(outcome.expect_err("panics").is_panic());
    });
}

#[test]
fn it_is_a_future_on_tokio() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(2));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let sum = runtime.expect("a runtime").block_on(async {
            let tasks: Vec<_> = (0..200).map(|n| tokio::spawn(pool.submit(move || n).expect("accepted"))).collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.expect("not cancelled").expect("ends");
            }
            sum
        });
        assert_eq!(sum, 19_900);
    });
}

#[test]
fn a_timeout_of_the_runtime_leaves_the_task_running() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (mut task, go) = running(&pool);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let timed_out = runtime.block_on(async { tokio::time::timeout(Duration::from_millis(20), &mut task).await });
        assert!(timed_out.is_err());
        drop(go);
        assert_eq!(runtime.block_on(task).expect("ends"), 7);
    });
}

#[test]
fn only_the_latest_waker_is_woken_and_each_end_once() {
    struct Counts(AtomicUsize);
    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (mut task, go) = running(&pool);
        let wakers: Vec<_> = (0..5).map(|_| Arc::new(Counts(AtomicUsize::new(0)))).collect();
        for counts in &wakers {
            let waker = Waker::from(Arc::clone(counts));
            assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        drop(go);
        pool.wait_idle().expect("not from an own task");
        let woken: Vec<_> = wakers.iter().map(|counts| counts.0.load(Ordering::SeqCst)).collect();
        assert_eq!(woken, [0, 0, 0, 0, 1]);
        let ready = Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(ready, Poll::Ready(Ok(7))));
    });
}

#[test]
fn many_rounds_of_changing_wakers_lose_no_wake_up() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(2));
        for n in 0..3000 {
            let mut task = pool.submit(move || n).expect("accepted");
            // A waker that means nothing is there when the task ends, or is being replaced just then.
            if let Poll::Ready(done) = Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop())) {
                assert_eq!(done.expect("ends"), n);
                continue;
            }
            assert_eq!(futures::executor::block_on(task).expect("ends"), n);
        }
    });
}

#[test]
fn its_debug_form_names_id_and_status() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let task = pool.submit(|| ()).expect("accepted");
        pool.wait_idle().expect("not from an own task");
        let text = format!("{task:?}");
        assert!(text.contains("Finished") && text.contains(&format!("{:?}", task.id())), "{text}");
    });
}
