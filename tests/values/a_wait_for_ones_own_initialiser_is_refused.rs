//! A wait for a value that would never end is told so at once: `Reentrant` from inside its own initialiser, and
//! `WouldDeadlock`, with the circle of waits, through two keys on two threads or a child that the initialiser joins. A join
//! in such a circle goes on.

use std::sync::{Arc, Barrier, mpsc};

use heirloom::{Heirloom, HeirloomMap, InitError, PoolConfig, Scope, TaskSet, thread};

use crate::common::{self, bounded, eventually};

fn is_reentrant<T>(made: &Result<Arc<T>, heirloom::Error>) -> bool {
    matches!(made, Err(it) if matches!(it.as_init(), Some(InitError::Reentrant { .. })))
}

fn would_deadlock<T>(made: &Result<Arc<T>, heirloom::Error>) -> bool {
    matches!(made, Err(it) if matches!(it.as_init(), Some(InitError::WouldDeadlock { circle, .. }) if !circle.links().is_empty()))
}

fn never() -> u32 {
    unreachable!("another runs it")
}

#[test]
fn an_initialiser_that_asks_for_its_own_key_is_refused() {
    bounded(|| {
        static KEY: Heirloom<bool> = Heirloom::new("key");
        let made = KEY.get_or_init(|| {
            let inner = KEY.get_or_init(|| unreachable!("it is under way"));
            assert!(matches!(inner, Err(ref it) if matches!(it.as_init(), Some(InitError::Reentrant { key: "key" }))));
            let timed = KEY.within(common::BOUND).get_or_init(|| unreachable!("it is under way"));
            assert!(is_reentrant(&timed), "told at once, not at the deadline");
            KEY.get().is_err()
        });
        assert!(*made.expect("it could do without"));
    });
}

#[test]
fn an_initialiser_may_ask_for_other_keys_and_other_owners() {
    bounded(|| {
        static OUTER: Heirloom<u32> = Heirloom::new("outer");
        static INNER: Heirloom<u32> = Heirloom::new("inner");
        static MAP: HeirloomMap<u32, u32> = HeirloomMap::new("fib");
        let made = OUTER.get_or_init(|| 1 + *INNER.get_or_init(|| 2).expect("another key"));
        assert_eq!(*made.expect("made"), 3);
        fn fib(n: u32) -> u32 {
            *MAP.get_or_init(&n, || if n < 2 { n } else { fib(n - 1) + fib(n - 2) }).expect("another key each")
        }
        assert_eq!(fib(20), 6765);
        assert_eq!(MAP.keys().len(), 21);
    });
}

#[test]
fn a_task_that_the_initialisers_join_runs_in_place_is_refused() {
    bounded(|| {
        static KEY: Heirloom<bool> = Heirloom::new("key");
        let scope = Scope::new("owner");
        let pool = scope.create("one");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let inner = pool.clone();
        let task = pool.submit(move || {
            KEY.get_or_init(|| {
                let child = inner.submit(|| is_reentrant(&KEY.get_or_init(|| unreachable!("under way"))));
                child.expect("open").join().expect("ends")
            })
        });
        assert!(*task.expect("open").join().expect("ends").expect("made"));
    });
}

/// The child asks first, and the initialiser joins it then.
#[test]
fn a_task_that_asks_before_the_initialiser_joins_it_is_refused() {
    bounded(|| {
        static KEY: Heirloom<bool> = Heirloom::new("key");
        let scope = Scope::new("owner");
        let pool = scope.create("pool");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let made = KEY.get_or_init(|| {
            let child = pool.submit(|| would_deadlock(&KEY.get_or_init(|| unreachable!("under way")))).expect("open");
            eventually("the child waits", || pool.stats().waiting == 1);
            child.join().expect("the join goes on")
        });
        assert!(*made.expect("made"));
    });
}

/// The initialiser joins the child, and the child asks then.
#[test]
fn a_task_that_asks_after_the_initialiser_joins_it_is_refused() {
    bounded(|| {
        static KEY: Heirloom<bool> = Heirloom::new("key");
        let scope = Scope::new("owner");
        let (outer, inner) = (scope.create("outer"), scope.create("inner"));
        outer.start(PoolConfig::leased(1)).expect("starts");
        inner.start(PoolConfig::leased(1)).expect("starts");
        let look = outer.clone();
        let leads = outer.submit(move || {
            KEY.get_or_init(|| {
                let child = inner.submit(move || {
                    eventually("the initialiser joins", || look.stats().waiting == 1);
                    would_deadlock(&KEY.get_or_init(|| unreachable!("under way")))
                });
                child.expect("open").join().expect("the join goes on")
            })
        });
        assert!(*leads.expect("open").join().expect("ends").expect("made"));
    });
}

#[test]
fn a_thread_that_the_initialiser_joins_is_refused_in_both_orders() {
    bounded(|| {
        static KEY: Heirloom<bool> = Heirloom::new("key");
        for round in 0..200 {
            let (asks, asked) = mpsc::channel();
            let made = KEY.get_or_init(|| {
                let child = thread::spawn(move || {
                    let _ = asks.send(());
                    would_deadlock(&KEY.get_or_init(|| unreachable!("under way")))
                })
                .expect("a thread starts");
                if round % 2 == 0 {
                    asked.recv().expect("it runs");
                }
                child.join().expect("the join goes on")
            });
            assert!(*made.expect("made"));
            drop(KEY.at(&heirloom::Lineage::process()).unbind());
        }
    });
}

#[test]
fn a_grandchild_in_a_scope_that_the_initialiser_stops_is_refused() {
    bounded(|| {
        static KEY: Heirloom<bool> = Heirloom::new("key");
        let service = Scope::new("service");
        let pool = service.create("pool");
        pool.start(PoolConfig::leased(2)).expect("starts");
        let made = KEY.get_or_init(|| {
            let (told, tell) = mpsc::channel();
            Scope::run("request", |_| {
                let inner = pool.clone();
                let (asks, asked) = mpsc::channel();
                let child = move || {
                    let ask = || would_deadlock(&KEY.get_or_init(|| unreachable!("under way")));
                    let grandchild = inner.submit(ask).expect("the scope is open");
                    let _ = asks.send(());
                    let _ = told.send(grandchild.join().expect("the join goes on"));
                };
                drop(pool.submit(child).expect("open"));
                asked.recv().expect("it runs");
            });
            tell.recv().expect("told before the scope had ended")
        });
        assert!(*made.expect("made"));
    });
}

#[test]
fn one_of_two_keys_that_initialise_each_other_is_refused() {
    bounded(|| {
        static A: Heirloom<u32> = Heirloom::new("a");
        static B: Heirloom<u32> = Heirloom::new("b");
        for _ in 0..100 {
            let met = Arc::new(Barrier::new(2));
            let other = Arc::clone(&met);
            let ask = |own: &'static Heirloom<u32>, others: &'static Heirloom<u32>, met: Arc<Barrier>| {
                let make = || {
                    met.wait();
                    match others.get_or_init(never) {
                        Ok(value) => *value + 1,
                        Err(error) => {
                            assert!(matches!(error.as_init(), Some(InitError::WouldDeadlock { .. })), "{error:?}");
                            1
                        }
                    }
                };
                *own.get_or_init(make).expect("made")
            };
            let thread = std::thread::spawn(move || ask(&A, &B, other));
            let mine = ask(&B, &A, met);
            let mut both = [mine, thread.join().expect("ends")];
            both.sort_unstable();
            // Whoever closed the cycle was refused, so the other one got its value. Never both.
            assert_eq!(both, [1, 2]);
            drop((A.at(&heirloom::Lineage::process()).unbind(), B.at(&heirloom::Lineage::process()).unbind()));
        }
    });
}

#[test]
fn one_of_three_keys_in_a_ring_is_refused() {
    bounded(|| {
        static KEYS: [Heirloom<u32>; 3] = [const { Heirloom::new("ring") }; 3];
        let met = Arc::new(Barrier::new(3));
        let threads: Vec<_> = (0..3)
            .map(|i| {
                let met = Arc::clone(&met);
                std::thread::spawn(move || {
                    let make = || {
                        met.wait();
                        KEYS[(i + 1) % 3].get_or_init(never).map_or(1, |value| *value + 1)
                    };
                    *KEYS[i].get_or_init(make).expect("made")
                })
            })
            .collect();
        let mut all: Vec<u32> = threads.into_iter().map(|thread| thread.join().expect("ends")).collect();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    });
}

#[test]
fn an_asker_that_is_no_part_of_a_cycle_waits_on() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let scope = Scope::new("owner");
        let pool = scope.create("pool");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let bystander = KEY.get_or_init(|| {
            // Nobody joins this one inside the initialiser.
            let bystander = pool.submit(|| KEY.get_or_init(never)).expect("open");
            eventually("it waits", || pool.stats().waiting == 1);
            let child = thread::spawn(|| would_deadlock(&KEY.get_or_init(never))).expect("a thread starts");
            assert!(child.join().expect("the join goes on"));
            assert_eq!(pool.stats().waiting, 1, "it waits on");
            std::thread::spawn(move || assert_eq!(*bystander.join().expect("ends").expect("made"), 7));
            7
        });
        assert_eq!(*bystander.expect("made"), 7);
        eventually("it got it", || pool.stats().waiting == 0);
    });
}

/// A wait for whichever is first never ends if none of them does.
#[test]
fn each_task_of_a_set_that_the_initialiser_waits_for_is_refused() {
    bounded(|| {
        static KEY: Heirloom<usize> = Heirloom::new("key");
        let scope = Scope::new("owner");
        let pool = scope.create("pool");
        pool.start(PoolConfig::leased(4)).expect("starts");
        let asks = || would_deadlock(&KEY.get_or_init(|| unreachable!("it is under way")));
        for several in [1, 2, 4] {
            let made = KEY.get_or_init(|| {
                let mut set = TaskSet::new();
                set.extend((0..several).map(|_| pool.submit(asks).expect("accepted")));
                std::iter::from_fn(|| set.join_next()).filter(|(_, told)| *told.as_ref().expect("runs")).count()
            });
            assert_eq!(*made.expect("made"), several, "each is told so");
            KEY.at(&heirloom::Lineage::process()).unbind();
        }
    });
}

/// As long as one of them may end, none is told that it waits for ever.
#[test]
fn a_set_of_which_one_task_may_end_is_waited_for() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let scope = Scope::new("owner");
        let pool = scope.create("pool");
        pool.start(PoolConfig::leased(2)).expect("starts");
        let (go, gate) = mpsc::channel::<()>();
        let mut asks = None;
        let made = KEY.get_or_init(|| {
            let mut set = TaskSet::new();
            let ends = pool.submit(move || gate.recv().map_or(0, |()| 7)).expect("accepted");
            set.push(ends);
            let asking = pool.submit(|| *KEY.get_or_init(never).expect("no cycle")).expect("accepted");
            let id = asking.id();
            set.push(asking);
            eventually("it waits", || pool.stats().waiting == 1);
            let opens = std::thread::spawn(move || go.send(()));
            let (first, out) = set.join_next().expect("there are two");
            opens.join().expect("no panic").expect("the task listens");
            assert_ne!(first, id);
            asks = Some(set);
            out.expect("runs")
        });
        assert_eq!(*made.expect("made"), 7);
        let (_, out) = asks.expect("it ran").join_next().expect("one is left");
        assert_eq!(out.expect("runs"), 7);
    });
}

/// On a thread with a local pool a wait for many runs that pool's tasks, and sleeps when there are none.
#[test]
fn a_task_that_the_initialiser_waits_for_on_a_local_thread_is_refused() {
    bounded(|| {
        static KEY: Heirloom<bool> = Heirloom::new("key");
        let scope = Scope::new("owner");
        let _local = scope.create("ui").start_local(PoolConfig::local()).expect("starts");
        let pool = scope.create("pool");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let made = KEY.get_or_init(|| {
            let child = pool.submit(|| would_deadlock(&KEY.get_or_init(|| unreachable!("it is under way"))));
            pool.wait_idle().expect("from outside");
            child.expect("accepted").join().expect("has run")
        });
        assert!(*made.expect("made"), "told so, so the wait ends");
    });
}

/// Whose initialiser has ended may ask for what its waiters owe, before they have woken.
#[test]
fn an_asker_whose_flight_has_landed_is_waited_for_no_more() {
    bounded(|| {
        static A: Heirloom<u32> = Heirloom::new("a");
        static B: Heirloom<u32> = Heirloom::new("b");
        let scope = Scope::new("owner");
        let pool = scope.create("pool");
        pool.start(PoolConfig::leased(1)).expect("starts");
        for _ in 0..500 {
            let (began, begins) = mpsc::channel();
            let (go, gate) = mpsc::channel::<()>();
            let made = A.get_or_init(|| {
                let other = pool.submit(move || {
                    let make = || {
                        began.send(()).expect("somebody waits for it");
                        gate.recv().expect("opened");
                        *A.get_or_init(never).expect("no cycle yet, nor later") + 1
                    };
                    *B.get_or_init(make).expect("made")
                });
                begins.recv().expect("it leads");
                go.send(()).expect("it waits");
                eventually("it waits for this one", || pool.stats().waiting == 1);
                std::thread::spawn(move || other.expect("open").join().expect("ends"));
                1
            });
            assert_eq!(*made.expect("made"), 1);
            assert_eq!(*B.get_or_init(never).expect("no cycle: that one has got its value"), 2);
            drop((A.at(&heirloom::Lineage::process()).unbind(), B.at(&heirloom::Lineage::process()).unbind()));
        }
    });
}
