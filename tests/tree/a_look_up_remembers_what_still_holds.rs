//! A thread remembers what its look-ups found. A remembered answer never differs from the walk's, and keeps nothing alive.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use heirloom::{Heirloom, Lineage, Namespace, PoolManager, Registry, Scope};

use crate::common;

/// A family's root, and a chain of scopes below it.
fn chain(depth: usize) -> (Registry, Vec<Scope>) {
    let family = Registry::new();
    let mut chain = vec![Scope::new_in(&family.root(), "top")];
    for above in 0..depth {
        chain.push(Scope::new_in(&chain[above], "below"));
    }
    (family, chain)
}

/// Looks up twice, so that the second answer is a remembered one.
fn twice(name: impl Into<Namespace>) -> Option<PoolManager> {
    let name = name.into();
    let first = heirloom::get(&name).ok();
    let second = heirloom::get(&name).ok();
    assert_eq!(first.as_ref().map(PoolManager::owner), second.as_ref().map(PoolManager::owner));
    second
}

/// Asks at a node, on a thread of its own that lives as long as this.
struct Asker {
    ask: mpsc::Sender<()>,
    told: mpsc::Receiver<Option<PoolManager>>,
}

impl Asker {
    fn at(node: &Lineage) -> Self {
        let ((ask, asked), (tell, told)) = (mpsc::channel(), mpsc::channel());
        let node = node.clone();
        std::thread::spawn(move || {
            let _here = node.enter();
            drop(node);
            asked.iter().for_each(|()| tell.send(heirloom::get("io").ok()).expect("it is read"));
        });
        Self { ask, told }
    }

    fn ask(&self) -> Option<PoolManager> {
        self.ask.send(()).expect("it lives");
        self.told.recv_timeout(common::BOUND).expect("it answers")
    }
}

#[test]
fn a_replaced_manager_is_found_no_more() {
    common::bounded(|| {
        let (_family, chain) = chain(3);
        let asker = Asker::at(&chain[3]);
        for _ in 0..100 {
            let made = chain[0].create("io");
            assert!(asker.ask().is_some_and(|found| found.is_same(&made)));
            assert!(asker.ask().is_some_and(|found| found.is_same(&made)));
        }
    });
}

#[test]
fn after_a_removal_the_one_above_is_found() {
    common::bounded(|| {
        let (family, chain) = chain(3);
        let outer = family.root().create("io");
        let asker = Asker::at(&chain[3]);
        for node in chain.iter().cycle().take(100) {
            let inner = node.create("io");
            assert!(asker.ask().is_some_and(|found| found.is_same(&inner)));
            drop(node.remove("io"));
            assert!(asker.ask().is_some_and(|found| found.is_same(&outer)));
            assert!(asker.ask().is_some_and(|found| found.is_same(&outer)));
        }
        drop(family.root().remove("io"));
        assert!(asker.ask().is_none());
    });
}

#[test]
fn a_nearer_one_that_is_added_later_is_found() {
    common::bounded(|| {
        let (family, chain) = chain(8);
        let asker = Asker::at(&chain[8]);
        let mut nearest = family.root().create("io");
        for node in &chain {
            assert!(asker.ask().is_some_and(|found| found.is_same(&nearest)));
            nearest = node.get_or_create("io");
            assert!(!nearest.owner().is_some_and(|owner| owner == **node), "one above has it");
            nearest = node.create("io");
        }
        assert!(asker.ask().is_some_and(|found| found.is_same(&nearest)));
    });
}

#[test]
fn an_idle_thread_that_remembers_a_manager_keeps_it_not() {
    common::bounded(|| {
        let (family, chain) = chain(2);
        drop(chain[0].create("io"));
        let asker = Asker::at(&chain[2]);
        assert!(asker.ask().is_some() && asker.ask().is_some());
        drop(chain[0].remove("io"));
        assert!(family.managers().is_empty());
        assert!(asker.ask().is_none());
    });
}

#[test]
fn a_sibling_gets_its_own() {
    common::bounded(|| {
        let family = Registry::new();
        let scopes: Vec<Scope> = (0..40).map(|_| Scope::new_in(&family.root(), "sibling")).collect();
        let made: Vec<PoolManager> = scopes.iter().map(|scope| scope.create("io")).collect();
        for _ in 0..3 {
            for (scope, made) in scopes.iter().zip(&made) {
                assert!(scope.run(|| twice("io")).is_some_and(|found| found.is_same(made)));
                assert!(scope.get("io").is_ok_and(|found| found.is_same(made)));
            }
        }
        assert!(family.root().run(|| twice("io")).is_none());
    });
}

#[test]
fn a_scope_at_the_address_of_an_ended_one_gets_its_own() {
    common::bounded(|| {
        let family = Registry::new();
        let outer = family.root().create("io");
        for round in 0..1_000 {
            let scope = Scope::new_in(&family.root(), "request");
            let _here = scope.enter();
            let own = (round % 2 == 0).then(|| scope.create("io"));
            let found = twice("io").expect("the root has one");
            assert!(found.is_same(own.as_ref().unwrap_or(&outer)));
        }
    });
}

#[test]
fn a_name_is_the_same_however_it_is_stored() {
    common::bounded(|| {
        let (_family, chain) = chain(1);
        let _here = chain[1].enter();
        let stored: [&dyn Fn() -> Namespace; 3] =
            [&|| "io".into(), &|| String::from("io").into(), &|| Namespace::from(&*String::from("io").leak())];
        for make in stored {
            for name in stored {
                let made = chain[0].create(make());
                for look in stored {
                    assert!(twice(look()).is_some_and(|found| found.is_same(&made)));
                }
                drop(chain[0].remove(name()));
                for look in stored {
                    assert!(twice(look()).is_none());
                }
            }
        }
    });
}

#[test]
fn a_number_and_a_type_and_a_text_are_not_mixed_up() {
    struct Io;
    common::bounded(|| {
        let (_family, chain) = chain(1);
        let _here = chain[1].enter();
        let names: Vec<Namespace> =
            (0..200_u64).map(Namespace::from).chain([Namespace::of::<Io>(), "io".into()]).collect();
        let made: Vec<PoolManager> = names.iter().map(|name| chain[0].create(name)).collect();
        for _ in 0..3 {
            for (name, made) in names.iter().zip(&made) {
                assert!(twice(name).is_some_and(|found| found.is_same(made)));
            }
        }
    });
}

#[test]
fn a_manager_and_a_value_of_the_same_number_are_not_mixed_up() {
    common::bounded(|| {
        static VALUES: [Heirloom<u64>; 3] = [Heirloom::new("a"), Heirloom::new("b"), Heirloom::new("c")];
        let (_family, chain) = chain(1);
        let _here = chain[1].enter();
        // A key is known to the tree by a number, which begins at 1.
        for number in 0..100_u64 {
            let _ = chain[0].create(number);
        }
        for (value, key) in (7_u64..).zip(&VALUES) {
            key.at(&chain[0]).bind(value).expect("it binds");
        }
        for _ in 0..3 {
            for number in 0..100_u64 {
                assert!(heirloom::with(number, |found| *found.namespace() == number.into()).expect("found"));
            }
            for (value, key) in (7_u64..).zip(&VALUES) {
                assert_eq!(key.with(|found| *found).expect("bound"), value);
            }
        }
    });
}

#[test]
fn a_look_up_inside_of_another_one_may_change_everything() {
    common::bounded(|| {
        let (family, chain) = chain(2);
        let _here = chain[2].enter();
        for round in 0..100 {
            let outer = chain[0].create("io");
            let nested = heirloom::with("io", |lent| {
                assert!(lent.is_same(&outer));
                drop(chain[0].remove("io"));
                assert!(twice("io").is_none());
                let inner = chain[1].create("io");
                let other = Scope::new_in(&family.root(), "elsewhere");
                assert!(other.run(|| twice("io")).is_none());
                // The memo has other answers by now; that of the outer look-up is still lent.
                for name in 0..64_u64 {
                    let _ = chain[0].create(name);
                    assert!(twice(name).is_some());
                }
                assert!(lent.is_same(&outer));
                twice("io").is_some_and(|found| found.is_same(&inner))
            });
            assert!(nested.expect("found"), "round {round}");
            drop(chain[1].remove("io"));
        }
    });
}

#[test]
fn a_value_is_never_older_than_what_the_reader_knows_of() {
    static VERSION: Heirloom<u64> = Heirloom::new("version");
    const ROUNDS: u64 = 20_000;
    common::bounded(|| {
        let (_family, chain) = chain(4);
        VERSION.at(&chain[0]).bind(0_u64).expect("it binds");
        let (known, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (known, over, at) = (Arc::clone(&known), Arc::clone(&over), chain[4].lineage().clone());
                std::thread::spawn(move || {
                    let _here = at.enter();
                    let mut looks = 0_u64;
                    while !over.load(Ordering::Relaxed) {
                        let least = known.load(Ordering::Acquire);
                        let found = VERSION.with(|version| *version).expect("bound");
                        assert!(found >= least, "{found} after {least}");
                        looks += 1;
                    }
                    looks
                })
            })
            .collect();
        for version in 1..=ROUNDS {
            // Replaced at the top, or bound nearer and unbound again.
            let at = &chain[if version % 3 == 0 { 2 } else { 0 }];
            VERSION.at(at).bind(version).expect("it binds");
            known.store(version, Ordering::Release);
            if version % 3 == 0 {
                VERSION.at(&chain[0]).bind(version).expect("it binds");
                VERSION.at(&chain[2]).unbind();
            }
        }
        over.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().expect("each answer was new enough") > 0);
        }
    });
}
