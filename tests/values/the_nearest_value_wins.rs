//! A value is found from the place where it was bound and from everywhere below, the nearest first; a sibling never
//! sees it. It follows the submitter into a task, the parent into a thread, and a future on every poll.

use std::sync::Arc;
use std::sync::mpsc;

use heirloom::{FutureExt, Heirloom, Lineage, PoolConfig, Registry, Scope, thread};

use crate::common::{bounded, not_bound};

#[test]
fn unbound_is_an_error_that_says_where_it_was_asked() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("the key");
        let scope = Scope::new("request 7");
        let error = scope.run(|| KEY.get()).unwrap_err();
        assert_eq!((not_bound(&error).key(), not_bound(&error).place_id()), ("the key", scope.id()));
        assert!(error.to_string().contains("the key") && error.to_string().contains("request 7"), "{error}");
        KEY.at(&Scope::new("elsewhere")).bind(1_u32).expect("binds");
        assert!(KEY.get().is_err() && KEY.with(|_| ()).is_err() && KEY.at(&scope).get().is_err());
    });
}

#[test]
fn the_nearest_wins_and_comes_back_when_it_is_unbound() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let outer = Scope::new("outer");
        let inner = Scope::new_in(&outer, "inner");
        let innermost = Scope::new_in(&inner, "innermost");
        let seen = || [&outer, &inner, &innermost].map(|scope| KEY.at(scope).get().ok().map(|value| *value));
        assert_eq!(KEY.at(&outer).bind(1_u32).expect("binds"), None);
        assert_eq!(seen(), [Some(1); 3]);
        assert_eq!(KEY.at(&inner).bind(2_u32).expect("binds"), None);
        assert_eq!(seen(), [Some(1), Some(2), Some(2)]);
        assert_eq!(KEY.at(&inner).bind(3_u32).expect("binds"), Some(Arc::new(2)));
        assert_eq!(seen(), [Some(1), Some(3), Some(3)]);
        assert_eq!(KEY.at(&innermost).unbind(), None, "it has none of its own");
        assert_eq!(KEY.at(&inner).unbind(), Some(Arc::new(3)));
        assert_eq!(seen(), [Some(1); 3]);
        assert_eq!(KEY.at(&outer).unbind(), Some(Arc::new(1)));
        assert_eq!(seen(), [None; 3]);
    });
}

#[test]
fn a_sibling_never_sees_it() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let (left, right) = (Scope::new("left"), Scope::new("right"));
        left.run(|| KEY.bind(1_u32)).expect("binds");
        assert!(left.run(|| KEY.with(|value| *value)).is_ok_and(|value| value == 1));
        assert!(right.run(|| KEY.get()).is_err());
    });
}

#[test]
fn two_keys_of_one_name_are_two() {
    bounded(|| {
        static A: Heirloom<u32> = Heirloom::new("same");
        static B: Heirloom<u32> = Heirloom::new("same");
        let scope = Scope::new("owner");
        A.at(&scope).bind(1_u32).expect("binds");
        assert!(B.at(&scope).get().is_err());
        B.at(&scope).bind(2_u32).expect("binds");
        assert_eq!((*A.at(&scope).get().expect("bound"), *B.at(&scope).get().expect("bound")), (1, 2));
    });
}

#[test]
fn a_task_sees_its_submitters_on_whatever_thread() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let service = Scope::new("service");
        let shared = service.create("shared");
        shared.start(PoolConfig::leased(1)).expect("starts");
        let requests = [1_u32, 2, 3].map(|number| {
            let request = Scope::new_in(&service, "request");
            KEY.at(&request).bind(number).expect("binds");
            request
        });
        let tasks: Vec<_> = requests
            .iter()
            .map(|request| {
                let inner = shared.clone();
                let nested = move || {
                    let deeper = inner.submit(|| KEY.get().map(|value| *value)).expect("open");
                    (KEY.get().map(|value| *value), deeper.join().expect("ends"))
                };
                request.run(|| shared.submit(nested)).expect("open")
            })
            .collect();
        for (task, number) in tasks.into_iter().zip([1, 2, 3]) {
            let (own, deeper) = task.join().expect("ends");
            assert_eq!((own.expect("bound"), deeper.expect("bound")), (number, number));
        }
    });
}

#[test]
fn what_a_task_binds_is_its_own() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let scope = Scope::new("owner");
        let pool = scope.create("pool");
        pool.start(PoolConfig::leased(1)).expect("starts");
        KEY.at(&scope).bind(1_u32).expect("binds");
        let below = pool.clone();
        let task = scope.run(|| {
            pool.submit(move || {
                KEY.bind(2_u32).expect("binds");
                let child = below.submit(|| *KEY.get().expect("bound")).expect("open");
                (*KEY.get().expect("bound"), child.join().expect("ends"))
            })
        });
        assert_eq!(task.expect("open").join().expect("ends"), (2, 2));
        let next = scope.run(|| pool.submit(|| *KEY.get().expect("bound"))).expect("open");
        assert_eq!(next.join().expect("ends"), 1, "the thread that ran it kept nothing");
    });
}

#[test]
fn a_thread_of_ours_is_below_and_a_foreign_one_is_not() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let scope = Scope::new("owner");
        KEY.at(&scope).bind(1_u32).expect("binds");
        scope.run(|| {
            let own = thread::spawn(|| {
                KEY.bind(2_u32).expect("binds");
                *KEY.get().expect("bound")
            })
            .expect("a thread starts");
            assert_eq!(own.join().expect("ends"), 2);
            assert_eq!(*KEY.get().expect("bound"), 1, "the parent's is unchanged");
            assert!(std::thread::spawn(|| KEY.get().is_err()).join().expect("ends"));
        });
    });
}

#[test]
fn run_with_is_left_also_by_a_panic_and_what_it_started_keeps_it() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let scope = Scope::new("owner");
        let pool = scope.create("pool");
        pool.start(PoolConfig::leased(2)).expect("starts");
        let _at = scope.enter();
        KEY.bind(1_u32).expect("binds");
        let (go, gate) = mpsc::channel::<()>();
        let late = KEY
            .run_with(2_u32, || {
                let again = pool.clone();
                pool.submit(move || {
                    let _ = gate.recv();
                    // Not refused, although it was left: nobody ended anything.
                    let more = again.submit(|| *KEY.get().expect("bound")).expect("open");
                    (*KEY.get().expect("bound"), more.join().expect("ends"))
                })
            })
            .expect("binds");
        assert_eq!(*KEY.get().expect("bound"), 1);
        go.send(()).expect("waits");
        assert_eq!(late.expect("open").join().expect("ends"), (2, 2));
        let panics = || drop(KEY.run_with(3_u32, || std::panic::resume_unwind(Box::new(()))));
        assert!(std::panic::catch_unwind(panics).is_err());
        assert_eq!(*KEY.get().expect("bound"), 1);
        assert_eq!(heirloom::current(), *scope);
    });
}

#[test]
fn a_future_sees_it_on_every_poll() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let at = Scope::new("request");
        KEY.at(&at).bind(1_u32).expect("binds");
        let read = || async {
            let first = KEY.get().map(|value| *value);
            tokio::task::yield_now().await;
            (first, KEY.get().map(|value| *value))
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("builds");
        let (first, second) = runtime.block_on(runtime.spawn(read().in_lineage(&at))).expect("ends");
        assert_eq!((first.expect("bound"), second.expect("bound")), (1, 1));
        let (first, second) = runtime.block_on(runtime.spawn(read().in_scope(at))).expect("ends");
        assert_eq!((first.expect("bound"), second.expect("bound")), (1, 1));
        assert!(runtime.block_on(runtime.spawn(async { KEY.get().is_err() })).expect("ends"));
    });
}

#[test]
fn a_look_up_from_any_depth_finds_it() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        static OTHER: Heirloom<u32> = Heirloom::new("other");
        let family = Registry::new();
        let mut scopes = vec![Scope::new_in(&family.root(), "owner")];
        KEY.at(&scopes[0]).bind(7_u32).expect("binds");
        for depth in 0..2_000 {
            let below = Scope::new_in(&scopes[depth], "below");
            OTHER.at(&below).bind(1_u32).expect("binds");
            scopes.push(below);
        }
        let deepest: &Lineage = &scopes[2_000];
        assert_eq!(*KEY.at(deepest).get().expect("bound"), 7);
        assert_eq!(deepest.run(|| KEY.with(|value| *value)).expect("bound"), 7);
        while scopes.pop().is_some() {}
    });
}

#[test]
fn lending_nests_and_outlives_an_unbind() {
    bounded(|| {
        static KEYS: [Heirloom<u32>; 12] = [const { Heirloom::new("key") }; 12];
        fn nest(depth: usize) -> u32 {
            let Some(key) = KEYS.get(depth) else { return 0 };
            key.with(|lent| {
                let inner = nest(depth + 1);
                assert!(key.unbind().is_some());
                *lent + inner
            })
            .expect("bound")
        }
        let scope = Scope::new("owner");
        let _at = scope.enter();
        for (key, value) in KEYS.iter().zip(1_u32..) {
            key.bind(value).expect("binds");
        }
        assert_eq!(nest(0), 78);
        assert!(KEYS.iter().all(|key| key.get().is_err()));
    });
}

#[test]
fn a_key_that_is_dropped_leaves_nothing_behind() {
    bounded(|| {
        let value = Arc::new(7_u32);
        let scope = Scope::new("owner");
        let key: Heirloom<u32> = Heirloom::new("local");
        key.at(&scope).bind(Arc::clone(&value)).expect("binds");
        key.bind(Arc::clone(&value)).expect("binds");
        assert_eq!(Arc::strong_count(&value), 3);
        drop(key);
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn the_place_of_the_nearest_is_found_from_below_it() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let outer = Scope::new("outer");
        let inner = Scope::new_in(&outer, "inner");
        let innermost = Scope::new_in(&inner, "innermost");
        let places = || [&outer, &inner, &innermost].map(|scope| KEY.at(scope).place().ok());
        let (at_outer, at_inner) = (Some(outer.lineage().clone()), Some(inner.lineage().clone()));
        assert_eq!(places(), [None, None, None]);
        KEY.at(&outer).bind(1_u32).expect("binds");
        assert_eq!(places(), [at_outer.clone(), at_outer.clone(), at_outer.clone()]);
        KEY.at(&inner).bind(1_u32).expect("binds");
        KEY.at(&inner).bind(2_u32).expect("binds in its place");
        assert_eq!(places(), [at_outer.clone(), at_inner.clone(), at_inner.clone()]);
        assert_eq!(KEY.at(&innermost).place().ok(), at_inner);

        // Where the code stands: in a scope, in its tasks, in its futures, and in a scope that has ended.
        let pool = outer.create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let task = innermost.run(|| {
            pool.submit(|| (KEY.place().ok(), thread::spawn(|| KEY.place().ok()).expect("a thread starts").join().ok()))
        });
        assert_eq!(task.expect("accepted").join().expect("runs"), (at_inner.clone(), Some(at_inner.clone())));
        let future = async { KEY.place().ok() }.in_lineage(&innermost);
        assert_eq!(futures::executor::block_on(future), at_inner);
        innermost.close();
        assert_eq!(innermost.run(|| KEY.place()).ok(), at_inner);

        KEY.at(&inner).unbind();
        assert_eq!(places(), [at_outer.clone(), at_outer.clone(), at_outer]);
        let error = KEY.place().expect_err("out here it is not bound");
        assert_eq!((not_bound(&error).key(), not_bound(&error).place_id()), ("key", heirloom::current().id()));
    });
}

#[test]
fn the_place_of_a_key_that_is_not_inherited_follows_its_policy() {
    bounded(|| {
        static OWN: Heirloom<u32> = Heirloom::new("own").isolated();
        static COUNT: Heirloom<u32> = Heirloom::new("count").fresh(|above| above + 1);
        let outer = Scope::new("outer");
        let inner = Scope::new_in(&outer, "inner");
        OWN.at(&outer).bind(1_u32).expect("binds");
        assert_eq!(outer.run(|| OWN.place()).ok().as_ref(), Some(outer.lineage()));
        let error = inner.run(|| OWN.place()).expect_err("it is not inherited");
        assert!(not_bound(&error).place_id() == inner.id() && error.to_string().contains("not inherited"), "{error}");

        COUNT.at(&outer).bind(0_u32).expect("binds");
        assert_eq!(inner.run(|| COUNT.place()).ok().as_ref(), Some(outer.lineage()), "none is made");
        assert_eq!(inner.run(|| COUNT.get()).map(|value| *value).ok(), Some(1));
        assert_eq!(inner.run(|| COUNT.place()).ok().as_ref(), Some(inner.lineage()));
    });
}
