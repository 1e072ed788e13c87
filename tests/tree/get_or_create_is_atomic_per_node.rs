//! Among any number of concurrent `get_or_create` at one node, one creates and all get that one.

use std::sync::{Arc, Barrier};

use heirloom::{PoolConfig, PoolManager, Registry, Scope};

use crate::common;

const ASKERS: usize = 16;
const ROUNDS: usize = 100;

/// Has many threads ask at once, and checks that there is one answer.
fn one_answer(ask: impl Fn(u64) -> PoolManager + Send + Sync + 'static) {
    let ask = Arc::new(ask);
    let met = Arc::new(Barrier::new(ASKERS));
    let askers: Vec<_> = (0..ASKERS)
        .map(|_| {
            let (ask, met) = (Arc::clone(&ask), Arc::clone(&met));
            std::thread::spawn(move || {
                (0..ROUNDS as u64)
                    .map(|round| {
                        met.wait();
                        ask(round)
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let answers: Vec<Vec<PoolManager>> = askers.into_iter().map(|asker| asker.join().expect("ends")).collect();
    for round in 0..ROUNDS {
        assert!(answers.iter().all(|answer| answer[round].is_same(&answers[0][round])), "round {round}");
    }
}

#[test]
fn callers_of_one_lineage_get_one_manager() {
    common::bounded(|| {
        let family = Registry::new();
        let at = family.root();
        one_answer(move |round| at.get_or_create(round));
        assert_eq!(family.managers().len(), ROUNDS);
    });
}

#[test]
fn callers_at_one_place_get_one_manager() {
    common::bounded(|| {
        let scope = Scope::new("owner");
        let at = scope.lineage().clone();
        one_answer(move |round| at.run(|| heirloom::get_or_create(round)));
        assert_eq!(scope.managers().len(), ROUNDS);
    });
}

#[test]
fn tasks_below_one_that_exists_get_it() {
    common::bounded(|| {
        let scope = Scope::new("owner");
        let pool = scope.create("work");
        pool.start(PoolConfig::leased(4)).expect("starts");
        for round in 0..ROUNDS as u64 {
            let made = scope.create(round);
            let tasks: Vec<_> = (0..8)
                .map(|_| scope.run(|| pool.submit(move || heirloom::get_or_create(round))).expect("open"))
                .collect();
            for task in tasks {
                assert!(task.join().expect("ends").is_same(&made));
            }
        }
    });
}

#[test]
fn callers_that_start_it_too_get_one_that_runs() {
    common::bounded(|| {
        let scope = Scope::new("owner");
        let at = scope.lineage().clone();
        one_answer(move |round| {
            let manager = at.get_or_create(round);
            manager.ensure_started(PoolConfig::leased(1)).expect("started by one, accepted by all");
            assert_eq!(manager.submit(move || round).expect("open").join().expect("ends"), round);
            manager
        });
    });
}

#[test]
fn callers_during_removals_never_get_two_at_once() {
    common::bounded(|| {
        let family = Registry::new();
        let at = family.root();
        let met = Arc::new(Barrier::new(4));
        let threads: Vec<_> = (0..4)
            .map(|i| {
                let (at, met) = (at.clone(), Arc::clone(&met));
                std::thread::spawn(move || {
                    met.wait();
                    for _ in 0..5_000 {
                        if i == 0 {
                            drop(at.remove("name"));
                        } else {
                            let manager = at.get_or_create("name");
                            assert_eq!(*manager.namespace(), "name".into());
                            assert!(at.managers().len() <= 1);
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("ends");
        }
        drop(at.remove("name"));
        assert!(family.managers().is_empty(), "what was unlinked and is held by nobody is gone");
    });
}
