//! A value lives until it is unbound or replaced, or its place ends. A scope that has ended drops its values even if a
//! handle to it is held, so that a value that holds its own scope keeps nothing alive; what ended takes no more.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::{Duration, Instant};

use heirloom::{BindError, Heirloom, HeirloomMap, Lineage, PoolConfig, PoolManager, Registry, Scope, thread};

use crate::common::{bounded, eventually};

#[test]
fn a_scope_that_ended_has_dropped_it() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        static MAP: HeirloomMap<u32, u32> = HeirloomMap::new("map");
        let ends: [fn(Scope); 4] = [
            drop,
            |scope| scope.close(),
            |scope| scope.cancel(),
            |scope| drop(scope.stop().expect("not from its own task")),
        ];
        for end in ends {
            let (value, other) = (Arc::new(1_u32), Arc::new(2_u32));
            let scope = Scope::new("owner");
            let handle = scope.lineage().clone();
            KEY.at(&handle).bind(Arc::clone(&value)).expect("binds");
            MAP.at(&handle).bind(1, Arc::clone(&other)).expect("binds");
            end(scope);
            assert_eq!((Arc::strong_count(&value), Arc::strong_count(&other)), (1, 1));
            assert!(KEY.at(&handle).get().is_err() && MAP.at(&handle).get(&1).is_err());
            assert!(
                matches!(KEY.at(&handle).bind(3_u32), Err(ref it) if matches!(it.as_bind(), Some(BindError::OwnerGone { .. })))
            );
            assert!(
                matches!(MAP.at(&handle).bind(1, 3_u32), Err(ref it) if matches!(it.as_bind(), Some(BindError::OwnerGone { .. })))
            );
        }
    });
}

#[test]
fn what_was_asked_for_below_still_finds_it() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let service = Scope::new("service");
        let pool = service.create("pool");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let scope = Scope::new_in(&service, "request");
        let handle = scope.lineage().clone();
        let value = Arc::new(7_u32);
        KEY.at(&scope).bind(Arc::clone(&value)).expect("binds");
        let (go, gate) = mpsc::channel::<()>();
        let task = scope.run(|| {
            pool.submit(move || {
                let _ = gate.recv();
                *KEY.get().expect("the scope was told to end and has not ended")
            })
        });
        scope.finish();
        assert_eq!(*KEY.at(&handle).get().expect("a task below is left"), 7);
        go.send(()).expect("it waits");
        assert_eq!(task.expect("open").join().expect("ends"), 7);
        eventually("the scope has ended", || KEY.at(&handle).get().is_err());
        // The worker that ended it takes the value out first, and lets go of it then.
        eventually("and has let go of its value", || Arc::strong_count(&value) == 1);
    });
}

#[test]
fn one_that_holds_its_own_scope_keeps_nothing() {
    bounded(|| {
        static KEY: Heirloom<Lineage> = Heirloom::new("key");
        let family = Registry::new();
        let scope = Scope::new_in(&family.root(), "owner");
        KEY.at(&scope).bind(scope.lineage().clone()).expect("binds");
        drop(scope);
        assert_eq!(family.snapshot().nodes.len(), 1, "only the root is left");
    });
}

#[test]
fn a_thread_that_ended_answers_its_children_and_takes_no_more() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let value = Arc::new(7_u32);
        let (go, gate) = mpsc::channel::<()>();
        let bound = Arc::clone(&value);
        let parent = thread::spawn(move || {
            KEY.bind(bound).expect("binds");
            let child = thread::spawn(move || {
                let _ = gate.recv();
                KEY.get().map(|value| *value)
            })
            .expect("a thread starts");
            (heirloom::current(), child)
        })
        .expect("a thread starts");
        let (place, child) = parent.join().expect("ends");
        assert!(
            matches!(KEY.at(&place).bind(8_u32), Err(ref it) if matches!(it.as_bind(), Some(BindError::OwnerGone { .. })))
        );
        go.send(()).expect("it waits");
        assert_eq!(child.join().expect("ends").expect("its parent answers"), 7);
        drop(place);
        eventually("nobody holds it", || Arc::strong_count(&value) == 1);
    });
}

#[test]
fn a_task_that_ended_has_dropped_its_own() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let scope = Scope::new("owner");
        let pool = scope.create("pool");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let value = Arc::new(7_u32);
        let bound = Arc::clone(&value);
        pool.submit(move || drop(KEY.bind(bound))).expect("open").join().expect("ends");
        eventually("nobody holds it", || Arc::strong_count(&value) == 1);
    });
}

#[test]
fn binding_races_the_scopes_end_and_nothing_stays_behind() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        static MAP: HeirloomMap<u32, u32> = HeirloomMap::new("map");
        let met = Arc::new(Barrier::new(2));
        let (send, scopes) = mpsc::channel::<Scope>();
        let theirs = Arc::clone(&met);
        let ender = std::thread::spawn(move || {
            for scope in scopes {
                theirs.wait();
                drop(scope);
                theirs.wait();
            }
        });
        for _ in 0..3_000 {
            let scope = Scope::new("owner");
            let handle = scope.lineage().clone();
            let values = [Arc::new(1_u32), Arc::new(2_u32)];
            send.send(scope).expect("it runs");
            met.wait();
            for _ in 0..3 {
                let _ = KEY.at(&handle).bind(Arc::clone(&values[0]));
                let _ = MAP.at(&handle).bind(1, Arc::clone(&values[1]));
            }
            met.wait();
            assert!(KEY.at(&handle).get().is_err() && MAP.at(&handle).get(&1).is_err());
            assert_eq!(values.map(|value| Arc::strong_count(&value)), [1, 1]);
        }
        drop(send);
        ender.join().expect("ends");
    });
}

#[test]
fn whoever_finds_the_scope_while_it_ends_does_not_keep_it() {
    static KEY: Heirloom<Arc<u32>> = Heirloom::new("found");
    const ROUNDS: usize = 10_000;
    const LONG_ENOUGH: Duration = Duration::from_secs(3);
    bounded(|| {
        // Both spin, since the moment is some ten nanoseconds wide.
        let round = Arc::new(AtomicUsize::new(0));
        let (gives, given) = mpsc::channel::<PoolManager>();
        let (finds, found) = mpsc::channel();
        let begun = Arc::clone(&round);
        let finder = std::thread::spawn(move || {
            for (at, manager) in given.iter().enumerate() {
                begun.store(2 * at + 1, Ordering::SeqCst);
                while begun.load(Ordering::SeqCst) == 2 * at + 1 {
                    std::hint::spin_loop();
                }
                (0..at % 400).for_each(|_| std::hint::spin_loop());
                finds.send(manager.owner()).expect("the test listens");
            }
        });
        let (value, begun) = (Arc::new(7_u32), Instant::now());
        for at in (0..ROUNDS).take_while(|_| begun.elapsed() < LONG_ENOUGH) {
            let scope = Scope::new("request");
            KEY.at(&scope).bind(Arc::clone(&value)).expect("binds");
            gives.send(scope.create("pool")).expect("the finder listens");
            while round.load(Ordering::SeqCst) != 2 * at + 1 {
                std::thread::yield_now();
            }
            round.store(2 * at + 2, Ordering::SeqCst);
            scope.finish();
            let found = found.recv().expect("the finder answers");
            assert_eq!(Arc::strong_count(&value), 1, "round {at}, found: {}", found.is_some());
        }
        drop(gives);
        finder.join().expect("ends");
    });
}

#[test]
fn a_value_whose_drop_panics_breaks_nothing() {
    bounded(|| {
        static DROPS: AtomicU32 = AtomicU32::new(0);
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                DROPS.fetch_add(1, Ordering::SeqCst);
                std::panic::resume_unwind(Box::new("a bomb"));
            }
        }
        static KEYS: [Heirloom<Bomb>; 3] = [const { Heirloom::new("key") }; 3];
        let scope = Scope::new("owner");
        for key in &KEYS {
            key.at(&scope).bind(Bomb).expect("binds");
        }
        drop(scope);
        assert_eq!(DROPS.load(Ordering::SeqCst), 3);
        let value = Arc::new(7_u32);
        let key: Heirloom<u32> = Heirloom::new("other");
        let scope = Scope::new("another");
        key.at(&scope).bind(Arc::clone(&value)).expect("binds");
        drop(scope);
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn a_replaced_value_is_dropped_beside_look_ups() {
    bounded(|| {
        static KEY: Heirloom<Arc<()>> = Heirloom::new("key");
        let scope = Scope::new("owner");
        let (value, over) = (Arc::new(()), AtomicBool::new(false));
        std::thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    scope.run(|| {
                        while !over.load(Ordering::SeqCst) {
                            let _ = KEY.with(|_| ());
                        }
                    });
                });
            }
            for _ in 0..20_000 {
                KEY.at(&scope).bind(Arc::clone(&value)).expect("binds");
                // Until the last look-up that reads the replaced value has ended; no other removal helps.
                while Arc::strong_count(&value) > 2 {
                    std::thread::yield_now();
                }
            }
            over.store(true, Ordering::SeqCst);
        });
        assert_eq!(Arc::strong_count(&value), 2);
    });
}
