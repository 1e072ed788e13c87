//! `worker_state`: each thread of a dedicated pool has a value, made and dropped on it, which one task at a time is lent.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::ThreadId;
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope, StartErrorKind, StatefulManager, SubmitErrorKind, TaskHandle, TaskSet};

use crate::common::pools::{block_on, started, this_thread};
use crate::common::{bounded, eventually};

type Never = std::convert::Infallible;

/// What became of the connections of a pool.
#[derive(Default)]
struct Log {
    opened: AtomicUsize,
    alive: AtomicUsize,
    most_alive: AtomicUsize,
    /// Where each was dropped, and where it was opened.
    dropped: Mutex<Vec<(ThreadId, ThreadId)>>,
}

impl Log {
    fn opened(&self) -> usize {
        self.opened.load(SeqCst)
    }

    fn alive(&self) -> usize {
        self.alive.load(SeqCst)
    }

    fn most_alive(&self) -> usize {
        self.most_alive.load(SeqCst)
    }

    fn dropped(&self) -> usize {
        self.dropped.lock().expect("whole").len()
    }

    fn all_dropped_where_they_were_opened(&self) -> bool {
        self.dropped.lock().expect("whole").iter().all(|(dropped, opened)| dropped == opened)
    }
}

/// Stays on its thread.
struct Connection {
    log: Arc<Log>,
    number: usize,
    thread: ThreadId,
    queries: Rc<()>,
}

impl Connection {
    fn open(log: &Arc<Log>) -> Self {
        let number = log.opened.fetch_add(1, SeqCst);
        let alive = log.alive.fetch_add(1, SeqCst) + 1;
        log.most_alive.fetch_max(alive, SeqCst);
        Self { log: Arc::clone(log), number, thread: this_thread(), queries: Rc::new(()) }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.log.dropped.lock().expect("whole").push((this_thread(), self.thread));
        self.log.alive.fetch_sub(1, SeqCst);
    }
}

/// A pool of connections.
fn with_connections(config: PoolConfig) -> (PoolConfig, Arc<Log>) {
    let log = Arc::new(Log::default());
    let opens = Arc::clone(&log);
    (config.worker_state(move || Ok::<_, Never>(Connection::open(&opens))), log)
}

fn number(pool: &PoolManager) -> usize {
    pool.submit_with_state(|connection: &mut Connection| connection.number).expect("accepted").join().expect("runs")
}

/// A task of the pool that keeps its state until it is told to end.
struct Holds {
    task: TaskHandle<usize>,
    go: mpsc::Sender<()>,
}

impl Holds {
    fn on(pool: &PoolManager) -> Self {
        let (go, gate) = mpsc::channel::<()>();
        let (here, started) = mpsc::channel();
        let task = pool.submit_with_state(move |connection: &mut Connection| {
            here.send(()).expect("the test listens");
            let _ = gate.recv();
            connection.number
        });
        started.recv().expect("it starts");
        Self { task: task.expect("accepted"), go }
    }

    fn end(self) -> usize {
        self.go.send(()).expect("it listens");
        self.task.join().expect("runs")
    }
}

#[test]
fn it_is_made_and_dropped_on_its_thread() {
    bounded(|| {
        let scope = Scope::new("test");
        let (config, log) = with_connections(PoolConfig::dedicated(2));
        let pool = started(&scope, "db", config);
        assert_eq!(log.opened(), 0, "threads come with tasks");
        let (one, two) = (Holds::on(&pool), Holds::on(&pool));
        let mut numbers = [one.end(), two.end()];
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1]);
        let thread = pool.submit_with_state(|connection: &mut Connection| (connection.thread, this_thread()));
        let (made, runs) = thread.expect("accepted").join().expect("runs");
        assert_eq!(made, runs);
        assert!(pool.stop().expect("stops").is_complete());
        assert_eq!((log.alive(), log.dropped()), (0, 2), "`stop` returns when they are dropped");
        assert!(log.all_dropped_where_they_were_opened());
    });
}

#[test]
fn it_stays_what_the_tasks_before_have_made_of_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool =
            started(&scope, "words", PoolConfig::dedicated(1).worker_state(|| Ok::<_, Never>(Vec::<u32>::new())));
        for word in 0..10_u32 {
            let push = move |words: &mut Vec<u32>| words.push(word);
            pool.submit_with_state(push).expect("accepted").join().expect("runs");
        }
        let all = pool.submit_with_state(|words: &mut Vec<u32>| std::mem::replace(words, vec![7]));
        assert_eq!(all.expect("accepted").join().expect("runs"), (0..10).collect::<Vec<_>>());
        let replaced = pool.submit_with_state(|words: &mut Vec<u32>| words.clone());
        assert_eq!(replaced.expect("accepted").join().expect("runs"), [7]);
    });
}

#[test]
fn a_start_waits_for_the_warm_ones_and_fails_with_them() {
    bounded(|| {
        let scope = Scope::new("test");
        let (config, log) = with_connections(PoolConfig::dedicated(3).warm(2));
        let pool = started(&scope, "db", config);
        assert_eq!(log.alive(), 2);
        drop(pool);

        let fails = PoolConfig::dedicated(2).warm(1).worker_state(|| Err::<Connection, _>("no such host"));
        match scope.create("fails").start(fails).as_ref().map_err(|it| it.as_start().expect("it did not start").kind())
        {
            Err(StartErrorKind::WorkerInit { error, .. }) => assert_eq!(error.to_string(), "no such host"),
            other => panic!("{other:?}"),
        }
        let panics =
            PoolConfig::dedicated(2).warm(1).worker_state(|| -> Result<Connection, Never> { panic!("no disk") });
        match scope
            .create("panics")
            .start(panics)
            .as_ref()
            .map_err(|it| it.as_start().expect("it did not start").kind())
        {
            Err(StartErrorKind::WorkerInit { error, .. }) => assert_eq!(error.to_string(), "it panicked: no disk"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn it_comes_after_the_initialiser_and_stands_with_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let initialised = |worker: &heirloom::WorkerCtx| {
            worker.lineage().create("helper").start(PoolConfig::leased(1)).expect("starts");
            Ok::<_, Never>(())
        };
        let state = || heirloom::get("helper").map(|helper| (helper, heirloom::worker().expect("a worker").index()));
        for config in [
            PoolConfig::dedicated(1).on_worker_start(initialised).worker_state(state),
            PoolConfig::dedicated(1).worker_state(state).on_worker_start(initialised),
        ] {
            let pool = started(&scope, "work", config);
            let running =
                pool.submit_with_state(|(helper, index): &mut (PoolManager, usize)| (helper.is_running(), *index));
            assert_eq!(running.expect("accepted").join().expect("runs"), (true, 0));
        }
    });
}

#[test]
fn waits_inside_make_no_more_of_them() {
    bounded(|| {
        let scope = Scope::new("test");
        let prepared = Arc::new(AtomicUsize::new(0));
        let prepares = {
            let prepared = Arc::clone(&prepared);
            move |_: &heirloom::WorkerCtx| {
                prepared.fetch_add(1, SeqCst);
                Ok::<_, Never>(())
            }
        };
        // Also where it is only prepared, and no state is lent.
        let pool = started(&scope, "prepared", PoolConfig::dedicated(2).on_worker_start(prepares));
        let sleeps = || heirloom::sleep(Duration::from_millis(5));
        let tasks: Vec<_> = (0..16).map(|_| pool.submit(sleeps).expect("accepted")).collect();
        assert!(tasks.into_iter().all(|task| task.join().expect("runs").is_ok()));
        assert_eq!(prepared.load(SeqCst), 2);

        let (config, log) = with_connections(PoolConfig::dedicated(2));
        let pool = started(&scope, "db", config);
        let sleeps = |_: &mut Connection| heirloom::sleep(Duration::from_millis(5));
        let tasks: Vec<_> = (0..16).map(|_| pool.submit_with_state(sleeps).expect("accepted")).collect();
        assert!(tasks.into_iter().all(|task| task.join().expect("runs").is_ok()));
        assert_eq!((log.opened(), log.most_alive()), (2, 2));
    });
}

#[test]
fn a_prepared_pool_gives_places_away_where_it_is_told_to() {
    bounded(|| {
        let scope = Scope::new("test");
        let prepared = |_: &heirloom::WorkerCtx| Ok::<_, Never>(());
        for config in [
            PoolConfig::dedicated(1).on_worker_start(prepared).releases_permit(),
            PoolConfig::dedicated(1).releases_permit().on_worker_start(prepared),
        ] {
            let pool = started(&scope, "work", config);
            let (tx, rx) = mpsc::channel();
            let waits = pool.submit(move || heirloom::blocking(|| rx.recv())).expect("accepted");
            let sends = pool.submit(move || tx.send(7)).expect("accepted");
            sends.join().expect("runs").expect("sent");
            assert_eq!(waits.join().expect("runs"), Ok(7));
        }
        // A state for each thread, and more threads than states: not both.
        let both = PoolConfig::dedicated(1).worker_state(|| Ok::<_, Never>(())).releases_permit();
        match scope.create("both").start(both).as_ref().map_err(|it| it.as_start().expect("it did not start").kind()) {
            Err(StartErrorKind::Invalid { setting, .. }) => assert_eq!(*setting, "releases_permit"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn only_a_pool_with_threads_of_its_own_has_states() {
    bounded(|| {
        let scope = Scope::new("test");
        match scope
            .create("work")
            .start(PoolConfig::leased(1).worker_state(|| Ok::<_, Never>(())))
            .as_ref()
            .map_err(|it| it.as_start().expect("it did not start").kind())
        {
            Err(StartErrorKind::Invalid { setting, .. }) => assert_eq!(*setting, "worker_state"),
            other => panic!("{other:?}"),
        }
        match scope
            .create("ui")
            .start_local(PoolConfig::local().worker_state(|| Ok::<_, Never>(())))
            .map(drop)
            .as_ref()
            .map_err(|it| it.as_start().expect("it did not start").kind())
        {
            Err(StartErrorKind::Invalid { setting, .. }) => assert_eq!(*setting, "worker_state"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn another_type_is_refused_and_both_are_named() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "words", PoolConfig::dedicated(1).worker_state(|| Ok::<_, Never>(String::new())));
        let refused = pool.submit_with_state(|_: &mut u32| ()).map(drop).expect_err("it is a text");
        assert!(
            matches!(
                refused.as_submit().map(|it| it.kind()),
                Some(SubmitErrorKind::WrongWorkerState { wanted: "u32", .. })
            ),
            "{refused:?}"
        );
        let text = refused.to_string();
        assert!(text.contains("`u32`") && text.contains("String") && text.contains("\"words\""), "{text}");
        assert!(pool.with_state::<u32>().is_err());
        assert_eq!(pool.stats().refused, 2);

        let without = started(&scope, "without", PoolConfig::dedicated(1));
        let refused = without.submit_with_state(|_: &mut u32| ()).map(drop).expect_err("it has none");
        assert!(refused.to_string().contains("`PoolConfig::dedicated(n).worker_state(…)`"), "{refused}");
        let never = scope.create("never").submit_with_state(|_: &mut u32| ()).map(drop);
        assert!(
            matches!(never, Err(ref error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::NotStarted { .. })))
        );
    });
}

#[test]
fn a_panic_costs_the_state_and_the_next_task_has_another() {
    bounded(|| {
        let scope = Scope::new("test");
        let (config, log) = with_connections(PoolConfig::dedicated(1));
        let pool = started(&scope, "db", config);
        assert_eq!(number(&pool), 0);
        let panics = pool.submit_with_state(|_: &mut Connection| panic!("half changed")).expect("accepted");
        assert_eq!(panics.join().map(|()| 0).expect_err("it panics").panic_message(), Some("half changed"));
        assert_eq!((log.alive(), log.dropped()), (0, 1), "dropped when the join returns");
        assert!(log.all_dropped_where_they_were_opened());
        let thread = pool.submit(this_thread).expect("accepted").join().expect("runs");
        assert_eq!(log.opened(), 1, "not before a task asks for one");
        assert_eq!(number(&pool), 1);
        assert_eq!(pool.submit(this_thread).expect("accepted").join().expect("runs"), thread, "the worker lives on");
        let caught = pool.submit_with_state(|connection: &mut Connection| {
            let half = std::panic::AssertUnwindSafe(|| std::panic::panic_any(Rc::strong_count(&connection.queries)));
            std::panic::catch_unwind(half).is_err()
        });
        assert!(caught.expect("accepted").join().expect("it caught it"));
        assert_eq!(number(&pool), 1, "a panic that was caught costs nothing");
    });
}

#[test]
fn a_panic_costs_no_other_workers_state() {
    bounded(|| {
        let scope = Scope::new("test");
        let (config, log) = with_connections(PoolConfig::dedicated(2));
        let pool = started(&scope, "db", config);
        let other = Holds::on(&pool);
        assert!(
            pool.submit_with_state(|_: &mut Connection| panic!("no")).expect("accepted").join().map(|()| 0).is_err()
        );
        let kept = other.end();
        assert_eq!((kept, log.alive()), (0, 1));
    });
}

#[test]
fn what_cannot_be_made_anew_ends_its_task_and_its_worker() {
    bounded(|| {
        let scope = Scope::new("test");
        let fails = Arc::new(AtomicBool::new(false));
        let (opened, makes) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&fails));
        let config = PoolConfig::dedicated(2).worker_state(move || match makes.load(SeqCst) {
            true => Err("no such host"),
            false => Ok(opened.fetch_add(1, SeqCst)),
        });
        let pool = started(&scope, "db", config);
        let thread = pool.submit(this_thread).expect("accepted").join().expect("runs");
        let lose =
            || pool.submit_with_state(|_: &mut usize| panic!("no")).expect("accepted").join().map(|()| 0).unwrap_err();
        assert!(lose().is_panic());
        fails.store(true, SeqCst);
        let next =
            pool.submit_with_state(|number: &mut usize| *number).expect("accepted").join().expect_err("no state");
        assert!(next.kind() == heirloom::ErrorKind::WorkerInit && next.to_string().contains("no such host"), "{next}");
        // For a pause nothing is tried.
        fails.store(false, SeqCst);
        let again = || match pool.submit_with_state(|number: &mut usize| *number) {
            Ok(task) => {
                task.join().map_err(|error| assert!(error.kind() == heirloom::ErrorKind::WorkerInit, "{error}"))
            }
            Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::WorkerInit { .. })) => {
                Err(())
            }
            Err(refused) => panic!("{refused}"),
        };
        eventually("another worker comes", || again() == Ok(1));
        let other = pool.submit(this_thread).expect("accepted").join().expect("runs");
        assert_ne!(other, thread, "the worker that had none has ended");
    });
}

#[test]
fn a_worker_without_a_state_leaves_the_queue_to_the_others() {
    bounded(|| {
        let scope = Scope::new("test");
        let fails = Arc::new(AtomicBool::new(false));
        let makes = Arc::clone(&fails);
        let config =
            PoolConfig::dedicated(2).warm(2).worker_state(move || if makes.load(SeqCst) { Err("no") } else { Ok(()) });
        let pool = started(&scope, "db", config);
        // One of the two loses its state, while the other is busy.
        let (go, gate) = mpsc::channel::<()>();
        let (starts, has_started) = mpsc::channel();
        let busy = pool.submit_with_state(move |(): &mut ()| {
            starts.send(()).expect("the test listens");
            gate.recv()
        });
        has_started.recv().expect("it starts");
        let loses = pool.submit_with_state(|(): &mut ()| panic!("no")).expect("accepted");
        assert!(loses.join().map(|()| 0).is_err());
        fails.store(true, SeqCst);
        let queued: Vec<_> = (0..100).map(|_| pool.submit_with_state(|(): &mut ()| 7).expect("accepted")).collect();
        eventually("it has failed", || queued[0].is_finished());
        go.send(()).expect("it listens");

        let ran: Vec<_> = queued.into_iter().map(TaskHandle::join).collect();
        assert!(ran[0].as_ref().is_err_and(|error| error.kind() == heirloom::ErrorKind::WorkerInit));
        assert_eq!(ran[1..].iter().filter(|ran| matches!(ran, Ok(7))).count(), 99);
        busy.expect("accepted").join().expect("runs").expect("told");
    });
}

#[test]
fn a_thread_that_was_idle_for_long_drops_its_state() {
    bounded(|| {
        let scope = Scope::new("test");
        let (config, log) = with_connections(PoolConfig::dedicated(2).keep_alive(Duration::from_millis(1)));
        let pool = started(&scope, "db", config);
        for round in 0..20 {
            assert_eq!(number(&pool), round);
            eventually("it is dropped", || log.alive() == 0);
        }
        assert!(log.all_dropped_where_they_were_opened());
    });
}

#[test]
fn no_more_than_n_are_alive_whatever_becomes_of_them() {
    bounded(|| {
        let scope = Scope::new("test");
        let log = Arc::new(Log::default());
        let opens = Arc::clone(&log);
        struct Slow(#[allow(dead_code, reason = "held")] Connection);
        impl Drop for Slow {
            fn drop(&mut self) {
                std::thread::sleep(Duration::from_micros(300));
            }
        }
        let config = PoolConfig::dedicated(3).keep_alive(Duration::from_micros(50));
        let pool = started(&scope, "db", config.worker_state(move || Ok::<_, Never>(Slow(Connection::open(&opens)))));
        let mut tasks = TaskSet::new();
        for n in 0..600_u64 {
            let uses = move |_: &mut Slow| {
                if n % 7 == 0 {
                    std::panic::resume_unwind(Box::new("no"));
                }
            };
            tasks.push(pool.submit_with_state(uses).expect("accepted"));
            if n % 10 == 0 {
                std::thread::sleep(Duration::from_micros(n % 5 * 100));
            }
        }
        while tasks.join_next().is_some() {}
        assert!(pool.stop().expect("stops").is_complete());
        assert!(log.most_alive() <= 3, "{}", log.most_alive());
        assert_eq!(log.alive(), 0);
        assert!(log.all_dropped_where_they_were_opened());
    });
}

#[test]
fn none_is_made_before_the_one_it_replaces_is_dropped() {
    bounded(|| {
        struct Closing(mpsc::Sender<()>, Arc<Mutex<mpsc::Receiver<()>>>);
        impl Drop for Closing {
            fn drop(&mut self) {
                self.0.send(()).expect("the test listens");
                let _ = self.1.lock().expect("whole").recv();
            }
        }
        let scope = Scope::new("test");
        let (drops, is_dropping) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let (opens, is_opened) = mpsc::channel();
        let config = PoolConfig::dedicated(1).keep_alive(Duration::from_millis(1)).worker_state(move || {
            opens.send(()).expect("the test listens");
            Ok::<_, Never>(Closing(drops.clone(), Arc::clone(&gate)))
        });
        let pool = started(&scope, "db", config);
        pool.submit_with_state(|_: &mut Closing| ()).expect("accepted").join().expect("runs");
        is_opened.recv().expect("made for the first task");
        is_dropping.recv().expect("its thread was idle for long");
        let next = pool.submit_with_state(|_: &mut Closing| ()).expect("accepted");
        // Time for one that does not wait.
        assert!(is_opened.recv_timeout(Duration::from_millis(30)).is_err());
        go.send(()).expect("it waits");
        is_opened.recv().expect("now there is room");
        next.join().expect("runs");
        drop(go);
    });
}

#[test]
fn a_task_run_in_place_within_a_plain_one_has_the_workers_state() {
    bounded(|| {
        let scope = Scope::new("test");
        let (config, log) = with_connections(PoolConfig::dedicated(1));
        let pool = started(&scope, "db", config);
        let inner = pool.clone();
        let plain = pool.submit(move || (number(&inner), number(&inner)));
        assert_eq!(plain.expect("accepted").join().expect("runs"), (0, 0));
        // Also when it loses the state, and the next within the same one needs another.
        let inner = pool.clone();
        let plain = pool.submit(move || {
            let loses = inner.submit_with_state(|_: &mut Connection| panic!("no")).expect("accepted");
            assert!(loses.join().map(|()| 0).is_err());
            number(&inner)
        });
        assert_eq!(plain.expect("accepted").join().expect("runs"), 1);
        assert_eq!(log.most_alive(), 1);
    });
}

#[test]
fn within_a_task_that_has_it_plain_tasks_run_in_place() {
    bounded(|| {
        let scope = Scope::new("test");
        let (config, _) = with_connections(PoolConfig::dedicated(1));
        let pool = started(&scope, "db", config);
        let inner = pool.clone();
        let outer = pool.submit_with_state(move |connection: &mut Connection| {
            let joined = inner.submit(|| 1).expect("accepted").join().expect("runs");
            let borrowed = inner.scope(|s| s.submit(|| joined + 1).map(drop).is_ok());
            (connection.number, joined, borrowed)
        });
        assert_eq!(outer.expect("accepted").join().expect("runs"), (0, 1, true));
    });
}

/// What a task that has the state gets for joining another that needs one.
fn joins(pool: &PoolManager, join: fn(TaskHandle<usize>) -> Result<usize, heirloom::Error>) {
    let inner = pool.clone();
    let (tells, told) = mpsc::channel();
    let outer = pool.submit_with_state(move |connection: &mut Connection| {
        let task = inner.submit_with_state(move |connection: &mut Connection| {
            tells.send(connection.number).expect("the test listens");
            connection.number
        });
        let refused = join(task.expect("accepted")).expect_err("it would hold up what it waits for");
        assert!(refused.kind() == heirloom::ErrorKind::StateInUse, "{refused}");
        assert!(!refused.to_string().contains("another of"), "a pool may have one worker: {refused}");
        connection.number
    });
    let outer = outer.expect("accepted").join().expect("runs");
    // The other goes on without its handle, when this one has ended.
    assert_eq!(told.recv(), Ok(outer));
}

#[test]
fn a_task_that_has_it_does_not_wait_for_one_that_needs_it() {
    bounded(|| {
        let scope = Scope::new("test");
        let (config, log) = with_connections(PoolConfig::dedicated(1));
        let pool = started(&scope, "db", config);
        joins(&pool, TaskHandle::join);
        joins(&pool, TaskHandle::join_cancelling);
        joins(&pool, block_on);
        joins(&pool, |task| TaskSet::from_iter([task]).join_next().expect("one").1);
        assert_eq!(log.opened(), 1);
    });
}

#[test]
fn two_tasks_that_have_theirs_do_not_wait_for_each_others_queue() {
    bounded(|| {
        let scope = Scope::new("test");
        let (config, _) = with_connections(PoolConfig::dedicated(2));
        let pool = started(&scope, "db", config);
        let together = Arc::new(std::sync::Barrier::new(2));
        let outer: Vec<_> = (0..2)
            .map(|_| {
                let (inner, together) = (pool.clone(), Arc::clone(&together));
                let meets = move |_: &mut Connection| {
                    together.wait();
                    let task = inner.submit_with_state(|connection: &mut Connection| connection.number);
                    let refused = task.expect("accepted").join().expect_err("no worker is left");
                    // The first worker that is free would run the other's task before it is joined.
                    together.wait();
                    refused.kind() == heirloom::ErrorKind::StateInUse
                };
                pool.submit_with_state(meets).expect("accepted")
            })
            .collect();
        assert!(outer.into_iter().all(|task| task.join().expect("runs")));
    });
}

#[test]
fn making_one_may_use_other_pools_and_not_its_own() {
    bounded(|| {
        let scope = Scope::new("test");
        let other = started(&scope, "other", PoolConfig::leased(1));
        let pool = scope.create("db");
        let (said, heard) = mpsc::channel();
        let makes = move || {
            let own = heirloom::get("db").expect("it stands below the owner");
            let asks = own.submit_with_state(|_: &mut usize| ());
            said.send(asks.map(TaskHandle::join)).expect("the test listens");
            other.submit(|| 7_usize).expect("accepted").join()
        };
        pool.start(PoolConfig::dedicated(1).worker_state(makes)).expect("starts");
        assert_eq!(pool.submit_with_state(|n: &mut usize| *n).expect("accepted").join().expect("runs"), 7);
        assert!(
            matches!(heard.recv(), Ok(Err(error)) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::FromInitialiser)))
        );
        // Made anew within a task: what it submits there it does not wait for.
        assert!(pool.submit_with_state(|_: &mut usize| panic!("no")).expect("accepted").join().map(|()| 0).is_err());
        assert_eq!(pool.submit_with_state(|n: &mut usize| *n).expect("accepted").join().expect("runs"), 7);
        assert!(matches!(heard.recv(), Ok(Ok(Err(refused))) if refused.kind() == heirloom::ErrorKind::StateInUse));
    });
}

#[test]
fn a_drop_that_panics_costs_nothing() {
    bounded(|| {
        struct Bad;
        impl Drop for Bad {
            fn drop(&mut self) {
                std::panic::resume_unwind(Box::new("in a drop"));
            }
        }
        let scope = Scope::new("test");
        let pool = started(&scope, "bad", PoolConfig::dedicated(1).worker_state(|| Ok::<_, Never>(Bad)));
        let panics = pool.submit_with_state(|_: &mut Bad| panic!("no")).expect("accepted");
        assert!(panics.join().map(|()| 0).expect_err("it panics").is_panic());
        assert_eq!(pool.submit_with_state(|_: &mut Bad| 7).expect("accepted").join().expect("runs"), 7);
        assert!(pool.stop().expect("stops").is_complete());
    });
}

#[test]
fn a_view_is_bound_to_one_start() {
    bounded(|| {
        let scope = Scope::new("test");
        let (config, _) = with_connections(PoolConfig::dedicated(1));
        let pool = started(&scope, "db", config.clone().queue_limit(1));
        let view: StatefulManager<Connection> = pool.with_state().expect("it has");
        assert!(view.manager().is_same(&pool) && view.namespace() == pool.namespace());
        let held = Holds::on(&pool);
        let queued = pool
            .of_type("any")
            .with_state()
            .expect("it has")
            .submit(|connection: &mut Connection| connection.number)
            .expect("accepted");
        let full = view.submit_timeout(|connection| connection.number, Duration::from_millis(1)).map(drop);
        assert!(
            matches!(full, Err(ref error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::QueueFull { .. })))
        );
        assert_eq!(held.end(), 0);
        assert_eq!(queued.join().expect("runs"), 0);
        let waits = block_on(view.submit_async(|connection| connection.number)).expect("accepted");
        assert_eq!(waits.join().expect("runs"), 0);
        assert!(pool.stop().expect("stops").is_complete());
        pool.start(config).expect("starts again");
        assert!(
            matches!(view.submit(|connection| connection.number).map(drop), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Closed { .. })))
        );
        assert_eq!(number(&pool), 1);
    });
}

#[test]
fn one_that_is_still_being_made_is_not_waited_for() {
    bounded(|| {
        let scope = Scope::new("test");
        let (begins, has_begun) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let (drops, is_dropped) = mpsc::channel();
        struct Tells(mpsc::Sender<ThreadId>);
        impl Drop for Tells {
            fn drop(&mut self) {
                let _ = self.0.send(this_thread());
            }
        }
        let config = PoolConfig::dedicated(1).worker_state(move || {
            begins.send(this_thread()).expect("the test listens");
            let _ = gate.lock().expect("whole").recv();
            Ok::<_, Never>(Tells(drops.clone()))
        });
        let pool = started(&scope, "db", config);
        let task = pool.submit_with_state(|_: &mut Tells| ()).expect("accepted");
        let thread = has_begun.recv().expect("it begins");
        pool.cancel();
        assert!(task.join().is_err_and(|error| error.is_cancelled()));
        assert_eq!(pool.stop().expect("stops").abandoned, 1);
        go.send(()).expect("it waits");
        assert_eq!(is_dropped.recv(), Ok(thread), "what it made is dropped there");
    });
}

#[test]
fn an_error_names_the_setting_whose_code_failed() {
    bounded(|| {
        let scope = Scope::new("test");
        let start = |config: PoolConfig| scope.create("db").start(config.warm(1)).expect_err("it fails").to_string();
        let hook = PoolConfig::dedicated(1).on_worker_start(|_| Err::<(), _>("no licence"));
        let text = start(hook.clone());
        assert!(text.contains("(`on_worker_start`) failed: no licence"), "{text}");
        let text = start(hook.worker_state(|| Ok::<u32, Never>(7)));
        assert!(text.contains("(`on_worker_start`) failed: no licence"), "{text}");
        let state = || PoolConfig::dedicated(1).worker_state(|| Err::<u32, _>("no route"));
        let text = start(state());
        assert!(text.contains("(`worker_state`) failed: no route"), "{text}");
        let text = start(state().on_worker_start(|_| Ok::<_, Never>(())));
        assert!(text.contains("(`worker_state`) failed: no route"), "{text}");

        // For a pause each submission is told why there is no worker.
        let pool = started(&scope, "cold", state());
        let first = pool.submit(|| ()).expect("no thread has failed yet").join().expect_err("no state");
        assert!(first.kind() == heirloom::ErrorKind::WorkerInit && first.is_temporary(), "{first}");
        let text = pool.submit(|| ()).map(drop).expect_err("a moment ago").to_string();
        assert!(text.contains("(`worker_state`) failed: no route"), "{text}");
    });
}
