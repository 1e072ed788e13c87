//! A `Drop` that runs while its thread unwinds may use every verb of the crate: nothing aborts, and each works as ever.
//!
//! An abort ends the whole test program, so it shows as a failure too.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use heirloom::{
    Gate, Heirloom, HeirloomMap, Lineage, PoolConfig, PoolManager, Registry, Scope, TaskKind, TaskSet, TaskType,
};

use crate::common::bounded;

/// Runs its closure when it is dropped, and says whether that came to its end.
struct Cleanup<F: FnOnce()>(Option<F>, mpsc::Sender<bool>);

impl<F: FnOnce()> Drop for Cleanup<F> {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "the drop is a part of the unwinding");
        if let Some(clean_up) = self.0.take() {
            // Caught, so that a check that fails is seen as such; the thread goes on unwinding meanwhile.
            let cleaned = catch_unwind(AssertUnwindSafe(clean_up)).is_ok();
            self.1.send(cleaned).expect("somebody looks");
        }
    }
}

/// Panics, and cleans up while that unwinds.
fn panic_and_clean_up<T>(says: mpsc::Sender<bool>, clean_up: impl FnOnce()) -> T {
    let _cleanup = Cleanup(Some(clean_up), says);
    resume_unwind(Box::new("one request's panic"))
}

/// The same for a caller that goes on. True when the cleanup came to its end.
fn cleans_up(clean_up: impl FnOnce()) -> bool {
    let (says, said) = mpsc::channel();
    let panics = catch_unwind(AssertUnwindSafe(|| panic_and_clean_up::<()>(says, clean_up)));
    panics.is_err() && said.recv() == Ok(true)
}

/// What a verb works on: nobody else's pools.
struct World {
    scope: Scope,
    leased: PoolManager,
    dedicated: PoolManager,
    #[cfg(feature = "rayon")]
    stealing: PoolManager,
}

impl World {
    fn new() -> Self {
        let scope = Scope::new_in(&Lineage::process(), "world");
        let start = |name: &'static str, config| {
            let pool = scope.create(name);
            pool.start(config).expect("starts");
            pool
        };
        let leased = start("leased", PoolConfig::leased(1).queue_limit(8));
        let dedicated = start("dedicated", PoolConfig::dedicated(1).task_type(TaskType::of::<Kind>()));
        Self {
            #[cfg(feature = "rayon")]
            stealing: start("stealing", PoolConfig::work_stealing(2)),
            scope,
            leased,
            dedicated,
        }
    }
}

struct Kind;
impl TaskKind for Kind {}

static VALUE: Heirloom<u64> = Heirloom::new("value");
static MAP: HeirloomMap<u64, u64> = HeirloomMap::new("map");

const LONG: Duration = Duration::from_secs(30);

type Verb = (&'static str, fn(&World));

/// Each verb once. What it gives is checked, so a refusal shows.
const VERBS: &[Verb] = &[
    ("scope", |w| {
        let out = AtomicU64::new(0);
        w.leased.scope(|s| s.submit(|| out.store(1, Ordering::SeqCst)).map(drop)).expect("accepted");
        assert_eq!(out.into_inner(), 1);
    }),
    ("scope whose task panics", |w| {
        let joined = w.leased.scope(|s| s.submit(|| resume_unwind(Box::new(()))).expect("accepted").join());
        assert!(joined.is_err_and(|error: heirloom::Error| error.is_panic()));
    }),
    ("scope that catches", |w| {
        let panics = catch_unwind(AssertUnwindSafe(|| w.leased.scope(|_| resume_unwind(Box::new(())))));
        assert!(panics.is_err());
    }),
    ("run here", |w| assert_eq!(w.leased.run(|| 5).expect("ends"), 5)),
    ("run on a worker", |w| assert_eq!(w.dedicated.of_type(TaskType::of::<Kind>()).run(|| 5).expect("ends"), 5)),
    ("run that is refused", |w| assert!(w.dedicated.run(|| 5).is_err_and(|error| error.as_submit().is_some()))),
    ("run that panics", |w| {
        let ran = w.dedicated.of_type(TaskType::of::<Kind>()).run(|| resume_unwind(Box::new(())));
        assert!(ran.is_err_and(|error: heirloom::Error| error.is_panic()));
    }),
    #[cfg(feature = "rayon")]
    ("install", |w| assert_eq!(w.stealing.install(|| rayon::join(|| 2, || 3)).expect("ends"), (2, 3))),
    ("submit and join", |w| assert_eq!(w.leased.submit(|| 5).expect("accepted").join().expect("ends"), 5)),
    ("join within a time", |w| {
        let joined = w.leased.submit(|| 5).expect("accepted").join_timeout(LONG);
        assert_eq!(joined.expect("in time").expect("ends"), 5);
    }),
    ("join that passes requests on", |w| {
        let joined = w.leased.submit(|| 5).expect("accepted").join_cancelling();
        assert_eq!(joined.expect("ends"), 5);
    }),
    ("await", |w| {
        let task = w.leased.submit(|| 5).expect("accepted");
        assert_eq!(futures::executor::block_on(task).expect("ends"), 5);
    }),
    ("submit waiting", |w| {
        assert_eq!(w.leased.submit_timeout(|| 5, LONG).expect("accepted").join().expect("ends"), 5);
    }),
    ("map", |w| assert_eq!(w.leased.map(0..3, |n| n).expect("accepted").map_while(Result::ok).sum::<i32>(), 3)),
    ("set", |w| {
        let mut set = TaskSet::new();
        set.push(w.leased.submit(|| 5).expect("accepted"));
        assert!(set.join_next().is_some_and(|(_, out)| out.is_ok()));
    }),
    ("typed", |w| {
        let typed = w.dedicated.typed::<Kind>().expect("its type");
        assert_eq!(typed.submit(Kind::task(|| 5)).expect("accepted").join().expect("ends"), 5);
    }),
    ("cancel", |w| {
        let task = w.leased.submit(|| heirloom::sleep(LONG)).expect("accepted");
        w.leased.cancel();
        assert!(task.join().is_ok_and(|slept| slept.is_err()) || w.leased.submit(|| ()).is_err());
    }),
    ("wait until idle", |w| w.dedicated.wait_idle().expect("none of its tasks")),
    ("stop and start", |w| {
        assert!(w.dedicated.stop().expect("none of its tasks").is_complete());
        w.dedicated.start(PoolConfig::dedicated(1).warm(1)).expect("starts again");
        w.dedicated.ensure_started(PoolConfig::dedicated(1).warm(1)).expect("runs so");
    }),
    ("local", |w| {
        let local = w.scope.create("local").start_local(PoolConfig::local()).expect("starts");
        let task = w.scope.get("local").expect("here").submit(|| 5).expect("accepted");
        assert_eq!(local.run_until(task).expect("ends"), 5);
    }),
    ("find and make", |w| {
        let _at = w.scope.enter();
        assert!(heirloom::get("leased").is_ok() && heirloom::get("no such name").is_err());
        assert!(heirloom::get_or_create("leased").is_same(&w.leased));
        assert!(!heirloom::create("leased").is_same(&w.leased));
    }),
    ("a scope that runs", |w| {
        let task = w.scope.run(|| Scope::run("inner", |_| w.leased.submit(|| 5))).expect("accepted");
        assert!(task.is_finished());
    }),
    ("a scope that is stopped", |w| {
        assert!(w.scope.stop_timeout(LONG).expect("none of its tasks").is_complete());
    }),
    ("a scope that is dropped", |w| drop(w.scope.run(|| Scope::new("inner")))),
    ("threads", |_| {
        assert_eq!(heirloom::thread::spawn(|| 5).expect("a thread starts").join().expect("ends"), 5);
        assert_eq!(heirloom::thread::scope(|s| s.spawn(|| 5).expect("a thread starts").join()).expect("ends"), 5);
    }),
    ("blocking", |_| assert_eq!(heirloom::blocking(|| 5), 5)),
    ("looking", |_| {
        let _ = (heirloom::checkpoint(), heirloom::sleep(Duration::from_millis(1)), heirloom::current());
    }),
    ("values", |w| {
        let before = VALUE.at(&w.scope).bind(5).expect("open");
        assert!(before.is_none() && w.scope.run(|| VALUE.get()).is_ok_and(|value| *value == 5));
    }),
    ("an initialiser", |w| {
        let made = w.scope.run(|| MAP.at(w.scope.lineage()).get_or_init(&1, || 5));
        assert_eq!(*made.expect("made"), 5);
    }),
    ("an initialiser that panics", |w| {
        let makes = || w.scope.run(|| MAP.at(w.scope.lineage()).get_or_init(&1, || resume_unwind(Box::new(()))));
        assert!(catch_unwind(AssertUnwindSafe(makes)).is_err());
        assert_eq!(*w.scope.run(|| MAP.at(w.scope.lineage()).get_or_init(&1, || 5)).expect("made"), 5);
    }),
    ("a gate", |_| {
        let gate = Gate::new("stage");
        drop(gate.enter().expect("free"));
        assert!(!gate.is_held());
    }),
    #[cfg(feature = "tokio")]
    ("a portal", |_| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("starts");
        let portal = heirloom::Portal::new(runtime.handle());
        assert_eq!(portal.spawn(async { 5 }).join().expect("ends"), 5);
        assert_eq!(portal.block_on(async { 5 }).expect("ends"), 5);
    }),
    ("a family", |_| {
        let family = Registry::new();
        family.root().create("io").start(PoolConfig::leased(1)).expect("starts");
        assert!(family.tree().to_string().contains("io"));
        assert!(family.shutdown_timeout(LONG).is_complete());
    }),
];

fn each_verb(mut in_context: impl FnMut(&'static str, fn(&World))) {
    for (name, verb) in VERBS {
        in_context(name, *verb);
    }
}

#[test]
fn each_verb_works_on_a_plain_thread() {
    bounded(|| {
        each_verb(|name, verb| {
            let world = World::new();
            assert!(cleans_up(|| verb(&world)), "{name}");
        });
    });
}

#[test]
fn each_verb_works_in_a_task() {
    bounded(|| {
        let configs = [PoolConfig::leased(1), PoolConfig::dedicated(1), PoolConfig::leased(1).holds_permit()];
        for config in configs {
            let outer = heirloom::create("outer");
            outer.start(config.log_panics(false)).expect("starts");
            each_verb(|name, verb| {
                let (says, said) = mpsc::channel();
                let task = outer.submit(move || {
                    let world = World::new();
                    panic_and_clean_up::<()>(says, || verb(&world))
                });
                assert!(task.expect("accepted").join().is_err_and(|error| error.is_panic()), "{name}");
                assert_eq!(said.recv(), Ok(true), "{name}");
            });
            assert_eq!(outer.submit(|| 5).expect("accepted").join().expect("the worker lives"), 5);
        }
    });
}

#[cfg(feature = "rayon")]
#[test]
fn each_verb_works_in_a_task_of_a_work_stealing_pool() {
    bounded(|| {
        let outer = heirloom::create("outer");
        outer.start(PoolConfig::work_stealing(2).log_panics(false)).expect("starts");
        each_verb(|name, verb| {
            let ran = outer.install(|| {
                let world = World::new();
                cleans_up(|| verb(&world))
            });
            assert!(ran.expect("ends"), "{name}");
        });
    });
}

#[test]
fn each_verb_works_in_a_futures_poll() {
    bounded(|| {
        each_verb(|name, verb| {
            // A portal refuses to block a thread that runs a future.
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
            let polled = std::future::poll_fn(|_| {
                let world = World::new();
                let cleaned = if name == "a portal" { true } else { cleans_up(|| verb(&world)) };
                std::task::Poll::Ready(cleaned)
            });
            assert!(runtime.block_on(heirloom::FutureExt::in_scope(polled, Scope::new("request"))), "{name}");
        });
    });
}

#[test]
fn each_verb_works_in_a_values_initialiser() {
    static MADE: HeirloomMap<&'static str, ()> = HeirloomMap::new("made");
    bounded(|| {
        let owner = Scope::new("owner");
        let _at = owner.enter();
        each_verb(|name, verb| {
            let (says, said) = mpsc::channel();
            let make = || {
                let world = World::new();
                panic_and_clean_up(says, || verb(&world))
            };
            let panics = catch_unwind(AssertUnwindSafe(|| MADE.at(&owner).get_or_init(&name, make)));
            assert!(panics.is_err(), "{name}");
            assert_eq!(said.recv(), Ok(true), "{name}");
            assert!(MADE.at(&owner).get_or_init(&name, || ()).is_ok(), "nothing is left behind: {name}");
        });
    });
}

#[test]
fn each_verb_works_in_a_workers_initialiser() {
    bounded(|| {
        each_verb(|name, verb| {
            let (says, said) = mpsc::channel();
            let says = std::sync::Mutex::new(says);
            let pool = heirloom::create("warm");
            let hook = move |_: &heirloom::WorkerCtx| -> Result<(), heirloom::Error> {
                let world = World::new();
                let says = says.lock().expect("whole").clone();
                panic_and_clean_up(says, || verb(&world))
            };
            assert!(pool.start(PoolConfig::dedicated(1).warm(1).on_worker_start(hook)).is_err(), "{name}");
            assert_eq!(said.try_recv(), Ok(true), "{name}");
        });
    });
}

#[test]
fn a_task_cleans_up_in_its_own_pool() {
    bounded(|| {
        let configs = [
            PoolConfig::leased(1),
            PoolConfig::dedicated(1),
            #[cfg(feature = "rayon")]
            PoolConfig::work_stealing(1),
        ];
        for config in configs {
            let pool = heirloom::create("own");
            pool.start(config.log_panics(false)).expect("starts");
            let own = pool.clone();
            let (says, said) = mpsc::channel();
            let task = pool.submit(move || {
                panic_and_clean_up::<()>(says, || {
                    own.scope(|s| s.submit(|| ()).map(drop)).expect("accepted");
                    assert_eq!(own.run(|| 5).expect("ends"), 5);
                    assert_eq!(own.submit(|| 5).expect("accepted").join().expect("ends"), 5);
                    assert!(own.stop().is_err() && own.wait_idle().is_err());
                })
            });
            assert!(task.expect("accepted").join().is_err_and(|error| error.is_panic()));
            assert_eq!(said.recv(), Ok(true));
        }
    });
}

#[test]
fn a_local_thread_cleans_up_in_its_own_pool() {
    bounded(|| {
        let pool = heirloom::create("local");
        let local = pool.start_local(PoolConfig::local()).expect("starts");
        let cleaned = cleans_up(|| {
            pool.scope(|s| s.submit(|| ()).map(drop)).expect("accepted");
            assert_eq!(pool.run(|| 5).expect("ends"), 5);
            let task = pool.submit(|| 5).expect("accepted");
            assert_eq!(local.run_until(task).expect("ends"), 5);
            pool.close();
            assert_eq!(local.run_until_stopped().completed, 3);
        });
        assert!(cleaned);
    });
}

#[test]
fn a_refused_closures_panic_in_its_drop_is_the_callers() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            resume_unwind(Box::new("bomb"));
        }
    }
    bounded(|| {
        let pool = heirloom::create("closed");
        pool.start(PoolConfig::dedicated(1)).expect("starts");
        pool.close();
        let bomb = Bomb;
        let ran = catch_unwind(AssertUnwindSafe(|| {
            pool.run(move || {
                let _kept = &bomb;
            })
        }));
        assert_eq!(ran.expect_err("the drop panics").downcast_ref(), Some(&"bomb"));
    });
}
