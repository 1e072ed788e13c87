//! A subscription tells every value of a key once: those bound before, in their order, and those bound from then on;
//! none is lost or doubled at the seam. It ends after the seal.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use heirloom::{Binding, Heirloom, HeirloomMap, Lineage, PoolConfig, Scope, Subscription};

use crate::common::{bounded, eventually};

fn values(subscription: &mut Subscription<u32>) -> Vec<u32> {
    std::iter::from_fn(|| subscription.try_next()).map(|bound| **bound.value()).collect()
}

#[test]
fn what_is_bound_is_replayed_in_order_and_then_it_goes_on_live() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let scopes: Vec<Scope> = (0..6).map(|_| Scope::new("owner")).collect();
        for (scope, value) in scopes.iter().zip(0_u32..) {
            KEY.at(scope).bind(value).expect("binds");
        }
        // Replaced, taken out, and ended: none of these is bound any more.
        KEY.at(&scopes[0]).bind(10_u32).expect("binds");
        KEY.at(&scopes[1]).unbind();
        let mut scopes = scopes;
        drop(scopes.remove(2));
        let mut subscription = KEY.subscribe();
        assert_eq!(values(&mut subscription), [3, 4, 5, 10]);
        KEY.at(&scopes[0]).bind(11_u32).expect("binds");
        KEY.at(&scopes[1]).bind(12_u32).expect("binds");
        KEY.at(&scopes[1]).unbind();
        assert_eq!(values(&mut subscription), [11, 12], "also what is gone again");
        assert_eq!(values(&mut KEY.subscribe()), [3, 4, 5, 11]);
    });
}

#[test]
fn it_says_where_and_under_which_key() {
    bounded(|| {
        static MAP: HeirloomMap<String, u32> = HeirloomMap::new("map");
        let scope = Scope::new("owner");
        let mut subscription = MAP.subscribe();
        scope.run(|| MAP.bind(String::from("a"), 1_u32)).expect("binds");
        MAP.get_or_init(&String::from("b"), || 2).expect("made");
        MAP.publish(String::from("c"), 3_u32).expect("published");
        MAP.seal();
        let seen: Vec<Binding<u32, String>> = subscription.by_ref().collect();
        let of = |bound: &Binding<u32, String>| (bound.key().clone(), **bound.value(), bound.at_id());
        let process = Lineage::process().id();
        assert_eq!(
            seen.iter().map(of).collect::<Vec<_>>(),
            [("a".into(), 1, scope.id()), ("b".into(), 2, process), ("c".into(), 3, process)]
        );
        assert_eq!(seen[0].at().as_ref(), Some(scope.lineage()));
        drop(scope);
        assert_eq!(seen[0].at(), None, "being told of it keeps no place");
    });
}

#[test]
fn nothing_is_lost_or_doubled_at_the_seam() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        /// Those who bind run no further ahead of those who subscribe.
        static MAY: AtomicUsize = AtomicUsize::new(0);
        let over = Arc::new(AtomicBool::new(false));
        let binders: Vec<_> = (0..2_u32)
            .map(|i| {
                let over = Arc::clone(&over);
                std::thread::spawn(move || {
                    let bind = |n| {
                        while COUNT.load(Ordering::SeqCst) > MAY.load(Ordering::SeqCst) && !over.load(Ordering::SeqCst)
                        {
                            std::thread::yield_now();
                        }
                        let scope = Scope::new("owner");
                        KEY.at(&scope).bind(n * 2 + i).expect("binds");
                        COUNT.fetch_add(1, Ordering::SeqCst);
                        scope
                    };
                    (0_u32..).take_while(|_| !over.load(Ordering::SeqCst)).map(bind).collect::<Vec<Scope>>()
                })
            })
            .collect();
        // Each begins at another moment, while others bind.
        let subscribe = |_| {
            let before = MAY.fetch_add(10, Ordering::SeqCst);
            while COUNT.load(Ordering::SeqCst) < before {
                std::thread::yield_now();
            }
            KEY.subscribe()
        };
        let subscriptions: Vec<_> = (0..100).map(subscribe).collect();
        over.store(true, Ordering::SeqCst);
        let scopes: Vec<_> = binders.into_iter().map(|binder| binder.join().expect("ends")).collect();
        let all: usize = scopes.iter().map(Vec::len).sum();
        KEY.seal();
        for subscription in subscriptions {
            let seen: Vec<u32> = subscription.map(|bound| **bound.value()).collect();
            assert_eq!(seen.len(), all);
            assert_eq!(seen.iter().collect::<HashSet<_>>().len(), all, "each once");
            for i in 0..2 {
                assert!(seen.iter().filter(|value| **value % 2 == i).is_sorted(), "in the order of binding");
            }
        }
    });
}

#[test]
fn a_blocking_next_gives_its_place_away_and_a_bounded_one_comes_back() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let scope = Scope::new("owner");
        let pool = scope.create("one");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let mut subscription = KEY.subscribe();
        assert!(subscription.try_next().is_none());
        assert!(subscription.next_timeout(Duration::from_millis(2)).is_none());
        let waits = pool.submit(move || subscription.next().map(|bound| **bound.value())).expect("open");
        eventually("it waits", || pool.stats().waiting == 1);
        pool.submit(|| drop(KEY.bind(7_u32))).expect("open").join().expect("ran in the only place");
        assert_eq!(waits.join().expect("ends"), Some(7));
    });
}

#[test]
fn it_can_be_awaited_on_any_runtime() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let scope = Scope::new("owner");
        let mut subscription = KEY.subscribe();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("builds");
        let reads = runtime.spawn(async move {
            let first = subscription.next_async().await.map(|bound| **bound.value());
            (first, subscription.next_async().await.is_none())
        });
        KEY.at(&scope).bind(7_u32).expect("binds");
        KEY.seal();
        assert_eq!(runtime.block_on(reads).expect("ends"), (Some(7), true));
    });
}

#[test]
fn a_waker_may_bind_and_unsubscribe() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        struct Binds(Scope, AtomicUsize);
        impl Wake for Binds {
            fn wake(self: Arc<Self>) {
                if self.1.fetch_add(1, Ordering::SeqCst) == 0 {
                    KEY.at(&self.0).bind(2_u32).expect("no lock is held");
                    drop(KEY.subscribe());
                }
            }
        }
        let waker = Arc::new(Binds(Scope::new("waker"), AtomicUsize::new(0)));
        let mut subscription = KEY.subscribe();
        let polled = subscription.poll_next(&mut Context::from_waker(&Waker::from(Arc::clone(&waker))));
        assert!(matches!(polled, Poll::Pending));
        let scope = Scope::new("owner");
        KEY.at(&scope).bind(1_u32).expect("binds");
        assert_eq!(values(&mut subscription), [1, 2]);
    });
}

#[test]
fn dropping_it_unsubscribes_and_lets_go_of_what_it_had_not_told() {
    bounded(|| {
        let key: Heirloom<u32> = Heirloom::new("key");
        let value = Arc::new(1_u32);
        let scope = Scope::new("owner");
        let subscription = key.subscribe();
        key.at(&scope).bind(Arc::clone(&value)).expect("binds");
        key.at(&scope).unbind();
        assert_eq!(Arc::strong_count(&value), 2, "it is still to be told");
        drop(subscription);
        assert_eq!(Arc::strong_count(&value), 1);
        key.at(&scope).bind(Arc::clone(&value)).expect("binds");
        assert_eq!(Arc::strong_count(&value), 2);
    });
}

#[test]
fn it_ends_with_its_key() {
    bounded(|| {
        let key: Heirloom<u32> = Heirloom::new("key");
        key.bind(1_u32).expect("binds");
        let subscription = key.subscribe();
        let ended = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ended);
        let reader = std::thread::spawn(move || {
            let seen: Vec<u32> = subscription.map(|bound| **bound.value()).collect();
            told.store(true, Ordering::SeqCst);
            seen
        });
        assert!(!ended.load(Ordering::SeqCst));
        drop(key);
        assert_eq!(reader.join().expect("ends"), [1]);
    });
}

#[test]
fn what_is_derived_is_not_told() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key").fresh(|above| above + 1);
        let scope = Scope::new("owner");
        KEY.at(&scope).bind(1_u32).expect("binds");
        let mut subscription = KEY.subscribe();
        assert_eq!(*KEY.at(&Scope::new_in(&scope, "below")).get().expect("made"), 2);
        assert_eq!(values(&mut subscription), [1]);
    });
}
