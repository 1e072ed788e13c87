//! `bind_unique` refuses a second value of one place; `seal` refuses any further one, anywhere. What is bound stays.

use std::sync::{Arc, Barrier, mpsc};

use heirloom::{BindError, Heirloom, HeirloomMap, InitError, Scope};

use crate::common::bounded;

#[test]
fn a_second_unique_one_is_refused_until_the_first_is_taken_out() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("handler");
        let scope = Scope::new("router");
        KEY.at(&scope).bind_unique(1_u32).expect("the first");
        let refused = KEY.at(&scope).bind_unique(2_u32).unwrap_err();
        assert!(matches!(refused.as_bind(), Some(BindError::AlreadyBound { key: "handler", .. })));
        assert!(refused.to_string().contains("router"), "{refused}");
        assert_eq!(*KEY.at(&scope).get().expect("bound"), 1);
        let below = Scope::new_in(&scope, "below");
        KEY.at(&below).bind_unique(3_u32).expect("another place");
        KEY.at(&scope).unbind();
        KEY.at(&scope).bind_unique(4_u32).expect("registered anew");
        assert_eq!(KEY.at(&scope).bind(5_u32).expect("replaces"), Some(Arc::new(4)));
        scope.close();
        let ended = KEY.at(&scope).bind_unique(6_u32).unwrap_err();
        assert!(matches!(ended.as_bind(), Some(BindError::OwnerGone { key: "handler", .. })), "{ended}");
    });
}

#[test]
fn one_of_many_unique_bindings_at_once_is_the_first() {
    bounded(|| {
        static KEY: Heirloom<usize> = Heirloom::new("key");
        for _ in 0..200 {
            let scope = Arc::new(Scope::new("owner"));
            let met = Arc::new(Barrier::new(4));
            let threads: Vec<_> = (0..4_usize)
                .map(|i| {
                    let (scope, met) = (Arc::clone(&scope), Arc::clone(&met));
                    std::thread::spawn(move || {
                        met.wait();
                        KEY.at(&scope).bind_unique(i).is_ok().then_some(i)
                    })
                })
                .collect();
            let first: Vec<usize> = threads.into_iter().filter_map(|thread| thread.join().expect("ends")).collect();
            assert_eq!(first, [*KEY.at(&scope).get().expect("bound")]);
        }
    });
}

#[test]
fn a_sealed_key_keeps_its_bindings_and_takes_no_more() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("runners");
        let (one, other) = (Scope::new("one"), Scope::new("other"));
        KEY.at(&one).bind(1_u32).expect("binds");
        KEY.seal();
        KEY.seal();
        for refused in [
            KEY.at(&one).bind(2_u32).map(drop),
            KEY.at(&other).bind(2_u32).map(drop),
            KEY.at(&one).bind_unique(2_u32),
            KEY.bind(2_u32).map(drop),
            KEY.run_with(2_u32, || unreachable!("it did not run")),
        ] {
            assert!(
                matches!(refused, Err(ref it) if matches!(it.as_bind(), Some(BindError::Sealed { key: "runners" }))),
                "{refused:?}"
            );
        }
        assert_eq!(*one.run(|| KEY.get_or_init(|| 2)).expect("there is one"), 1);
        let refused = other.run(|| KEY.get_or_init(|| unreachable!("it would bind")));
        assert!(matches!(refused, Err(ref it) if matches!(it.as_init(), Some(InitError::Sealed { key: "runners" }))));
        assert_eq!(KEY.at(&one).unbind(), Some(Arc::new(1)));
    });
}

#[test]
fn an_initialiser_under_way_comes_too_late() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key");
        let (go, gate) = mpsc::channel::<()>();
        let (began, begins) = mpsc::channel();
        let leader = std::thread::spawn(move || {
            KEY.get_or_init(|| {
                began.send(()).expect("somebody waits for it");
                gate.recv().expect("opened");
                1
            })
        });
        begins.recv().expect("it runs");
        KEY.seal();
        go.send(()).expect("it waits");
        assert!(
            matches!(leader.join().expect("ends"), Err(ref it) if matches!(it.as_init(), Some(InitError::Sealed { .. })))
        );
        assert!(KEY.get().is_err());
    });
}

#[test]
fn a_sealed_map_binds_nothing_more() {
    bounded(|| {
        static MAP: HeirloomMap<&str, u32> = HeirloomMap::new("map");
        MAP.publish("a", 1_u32).expect("binds");
        MAP.seal();
        assert!(matches!(MAP.bind("b", 1_u32), Err(ref it) if matches!(it.as_bind(), Some(BindError::Sealed { .. }))));
        assert!(
            matches!(MAP.preload([("a", 2_u32), ("b", 2)]), Err(ref it) if matches!(it.as_bind(), Some(BindError::Sealed { .. })))
        );
        assert!(
            matches!(MAP.get_or_init(&"b", || 2), Err(ref it) if matches!(it.as_init(), Some(InitError::Sealed { .. })))
        );
        assert_eq!(*MAP.get(&"a").expect("bound"), 1);
    });
}

#[test]
fn a_fresh_one_is_made_after_the_seal_too() {
    bounded(|| {
        static KEY: Heirloom<u32> = Heirloom::new("key").fresh(|above| above + 1);
        let scope = Scope::new("owner");
        KEY.at(&scope).bind(1_u32).expect("binds");
        KEY.seal();
        assert_eq!(*KEY.at(&Scope::new_in(&scope, "below")).get().expect("made"), 2);
    });
}
