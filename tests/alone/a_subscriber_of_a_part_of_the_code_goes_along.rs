//! A `tracing` subscriber that is the default of a part of one thread's code is the default of the tasks and the threads
//! that this code starts, and of no other.

use std::io::Write;
use std::sync::{Arc, Mutex, mpsc};

use heirloom::{Lineage, PoolConfig, PoolManager, Scope, thread};
use tracing::subscriber::with_default;
use tracing_subscriber::fmt::MakeWriter;

use crate::common::alone;
use crate::common::pools::{block_on, started};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        tracing_subscriber::fmt().with_writer(self.clone()).with_ansi(false).finish()
    }

    fn says(&self, what: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().expect("whole")).matches(what).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("whole").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

fn pools(scope: &Scope) -> [PoolManager; 2] {
    [started(scope, "leased", PoolConfig::leased(1)), started(scope, "dedicated", PoolConfig::dedicated(1))]
}

fn span() -> Option<&'static str> {
    tracing::Span::current().metadata().map(|span| span.name())
}

#[test]
fn a_task_is_under_the_submitters() {
    alone(|| {
        let (log, scope) = (Log::default(), Scope::new("test"));
        for pool in pools(&scope) {
            with_default(log.subscriber(), || {
                let _in = tracing::info_span!("request", id = 7).entered();
                let says = || {
                    tracing::info!("works");
                    span()
                };
                assert_eq!(pool.submit(says).expect("accepted").join().expect("runs"), Some("request"));
                assert!(pool.submit(|| panic!("no such page")).expect("accepted").join().map(|()| 0).is_err());
            });
            // The next task of the same thread is under none.
            let after = pool.submit(|| {
                tracing::info!("not heard");
                span()
            });
            assert_eq!(after.expect("accepted").join().expect("runs"), None);
        }
        assert_eq!((log.says("works"), log.says("request{id=7}: "), log.says("not heard")), (2, 4, 0));
        assert_eq!(log.says("a task panicked: no such page"), 2);
    });
}

#[test]
fn it_goes_on_from_task_to_task_and_to_threads() {
    alone(|| {
        let (log, scope) = (Log::default(), Scope::new("test"));
        let [pool, other] = pools(&scope);
        with_default(log.subscriber(), || {
            let nested = pool.submit(move || {
                let inner = other.submit(|| tracing::info!("in another pool")).expect("accepted");
                thread::spawn(|| tracing::info!("on a thread")).expect("a thread starts").join().expect("no panic");
                inner.join()
            });
            nested.expect("accepted").join().expect("runs").expect("runs");
            thread::scope(|s| drop(s.spawn(|| tracing::info!("on a scoped thread"))));
        });
        assert_eq!((log.says("in another pool"), log.says("on a thread"), log.says("on a scoped thread")), (1, 1, 1));
    });
}

#[test]
fn those_of_two_threads_do_not_mix() {
    alone(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let logs = [Log::default(), Log::default()];
        std::thread::scope(|s| {
            for (n, log) in logs.iter().enumerate() {
                let pool = &pool;
                s.spawn(move || {
                    with_default(log.subscriber(), || {
                        for _ in 0..50 {
                            pool.submit(move || tracing::info!("from {n}")).expect("accepted").join().expect("runs");
                        }
                    });
                });
            }
        });
        assert_eq!(logs.each_ref().map(|log| (log.says("from 0"), log.says("from 1"))), [(50, 0), (0, 50)]);
    });
}

#[test]
fn beside_the_processs_own_it_is_the_nearer_one() {
    alone(|| {
        let (all, part) = (Log::default(), Log::default());
        tracing::subscriber::set_global_default(all.subscriber()).expect("the process has none");
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let says = |what: &'static str| pool.submit(move || tracing::info!("{what}")).expect("accepted").join();
        with_default(part.subscriber(), || says("in the part")).expect("runs");
        says("outside").expect("runs");
        assert_eq!((all.says("in the part"), part.says("in the part")), (0, 1));
        assert_eq!((all.says("outside"), part.says("outside")), (1, 0));
    });
}

#[test]
fn a_map_is_under_that_of_its_beginning() {
    alone(|| {
        let (log, scope) = (Log::default(), Scope::new("test"));
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let mut map = with_default(log.subscriber(), || {
            let _in = tracing::info_span!("begins").entered();
            pool.map(0..20, |n| {
                tracing::info!("item");
                (n, span())
            })
        })
        .expect("accepted");
        assert!(map.by_ref().take(10).all(|item| item.expect("runs").1 == Some("begins")));
        let last = block_on(map.next_async()).expect("ten are left").expect("runs");
        assert_eq!((last, map.count(), log.says("item")), ((10, Some("begins")), 9, 20));
    });
}

#[test]
fn a_task_that_is_never_run_keeps_no_subscriber() {
    alone(|| {
        let (log, scope) = (Log::default(), Scope::new("test"));
        let pool = started(&scope, "work", PoolConfig::leased(1));
        let (go, gate) = mpsc::channel::<()>();
        let (starts, has_started) = mpsc::channel();
        let busy = pool.submit(move || {
            starts.send(()).expect("the test listens");
            gate.recv()
        });
        has_started.recv().expect("it starts");
        let queued = with_default(log.subscriber(), || pool.submit(|| tracing::info!("never"))).expect("accepted");
        assert!(Arc::strong_count(&log.0) > 1, "the queued task has it");
        queued.cancel();
        assert!(queued.join().is_err());
        go.send(()).expect("it listens");
        busy.expect("accepted").join().expect("runs").expect("told");
        assert!(pool.stop().expect("stops").is_complete());
        assert_eq!((Arc::strong_count(&log.0), log.says("never")), (1, 0));
    });
}

#[test]
fn what_brings_a_place_alone_brings_no_subscriber() {
    alone(|| {
        let log = Log::default();
        let wrapped = with_default(log.subscriber(), || heirloom::wrap(|| tracing::info!("wrapped")));
        wrapped();
        with_default(log.subscriber(), Lineage::process).run(|| tracing::info!("run at a place"));
        assert_eq!((log.says("wrapped"), log.says("run at a place")), (0, 0));
    });
}
