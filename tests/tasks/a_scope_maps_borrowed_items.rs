//! The maps of a borrowing scope run tasks over borrowed items, and the scope waits for them, dropped or not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use heirloom::{Error, PoolConfig, Scope, TaskKind, TaskType};

use crate::common::bounded;
use crate::common::pools::started;

#[test]
fn items_and_closure_may_borrow() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let (words, suffix) = (vec![String::from("walk"), String::from("up")], String::from("!"));
        let longer = |word: &String| word.len() + suffix.len();
        let (ordered, mut unordered, tried) = pool.scope(|s| {
            let ordered: Result<Vec<_>, _> = s.map(&words, longer).expect("accepted").collect();
            let unordered: Result<Vec<_>, _> = s.map_unordered(&words, longer).expect("accepted").collect();
            let tried: Result<Vec<_>, Error> = s.try_map(&words, |word| Ok(longer(word))).collect();
            (ordered.expect("all end"), unordered.expect("all end"), tried.expect("all end"))
        });
        unordered.sort_unstable();
        assert_eq!((ordered, unordered, tried), (vec![5, 3], vec![3, 5], vec![5, 3]));
    });
}

#[test]
fn results_may_borrow_the_items() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let words = vec![String::from("walk up"), String::from("the tree")];
        let first: Vec<&str> = pool.scope(|s| {
            s.map(&words, |word| word.split(' ').next().unwrap_or(""))
                .expect("accepted")
                .map(|r| r.expect("ends"))
                .collect()
        });
        assert_eq!(first, ["walk", "the"]);
    });
}

#[test]
fn a_dropped_map_is_cancelled_and_its_running_tasks_are_waited_for() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let (inside, items) = (AtomicUsize::new(0), vec![0; 1000]);
        pool.scope(|s| {
            let work = |_: &i32| {
                inside.fetch_add(1, Ordering::SeqCst);
                let _ = heirloom::sleep(Duration::MAX);
                std::thread::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
            };
            drop(s.map(&items, work).expect("accepted"));
        });
        assert_eq!(inside.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_forgotten_map_is_waited_for_too() {
    bounded(|| {
        let scope = Scope::new("test");
        for config in [PoolConfig::leased(2), PoolConfig::leased(1).holds_permit()] {
            let pool = started(&scope, "work", config);
            let own = pool.clone();
            let ran = pool.submit(move || {
                let ran = AtomicUsize::new(0);
                let items = [(); 3];
                own.scope(|s| {
                    std::mem::forget(s.map(&items, |_: &()| ran.fetch_add(1, Ordering::SeqCst)).expect("accepted"));
                });
                ran.load(Ordering::SeqCst)
            });
            assert_eq!(ran.expect("accepted").join().expect("ends"), 3);
            pool.wait_idle().expect("not from an own task");
        }
    });
}

#[test]
fn a_panic_of_the_callers_code_leaves_no_task_behind() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2));
        let (inside, items) = (AtomicUsize::new(0), vec![0; 100]);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.scope(|s| {
                let work = |_: &i32| {
                    inside.fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                };
                for (at, _) in s.map(&items, work).expect("accepted").enumerate() {
                    assert!(at < 3, "the caller's");
                }
            });
        }));
        assert!(caught.is_err());
        assert_eq!(inside.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_map_in_a_task_of_the_same_pool_of_one_ends() {
    bounded(|| {
        let scope = Scope::new("test");
        for config in
            [PoolConfig::leased(1).queue_limit(1), PoolConfig::dedicated(1), PoolConfig::leased(1).holds_permit()]
        {
            let pool = started(&scope, "work", config);
            let own = pool.clone();
            let sum = move || {
                let items: Vec<u32> = (0..100).collect();
                own.scope(|s| s.map(&items, |n| *n).expect("accepted").map(|r| r.expect("ends")).sum::<u32>())
            };
            assert_eq!(pool.submit(sum).expect("accepted").join().expect("ends"), 4950);
            pool.wait_idle().expect("not from an own task");
        }
    });
}

#[test]
fn a_full_queue_is_waited_for() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2).queue_limit(1));
        let items: Vec<u32> = (0..500).collect();
        let sum: u32 = pool.scope(|s| s.map(&items, |n| *n).expect("accepted").map(|r| r.expect("ends")).sum());
        assert_eq!(sum, 500 * 499 / 2);
        assert_eq!(pool.stats().refused, 0);
    });
}

#[test]
fn a_typed_scope_maps_its_kind() {
    struct Lengths;
    impl TaskKind for Lengths {}

    bounded(|| {
        let scope = Scope::new("test");
        let pool = started(&scope, "work", PoolConfig::leased(2).task_type(TaskType::of::<Lengths>()));
        let words = vec![String::from("walk"), String::from("up")];
        let typed = pool.typed::<Lengths>().expect("of this type");
        let lengths: Result<Vec<usize>, _> =
            typed.scope(|s| s.map(&words, Lengths::task(|word: &String| word.len())).expect("accepted").collect());
        assert_eq!(lengths.expect("all end"), [4, 2]);
    });
}
