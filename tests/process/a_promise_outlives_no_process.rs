//! The end of the process waits for the promised tasks of joining pools, and for those of no others. A fork's child leaves them to
//! its parent.
//!
//! Each check is a child process that plays a part.

use std::time::Duration;

use heirloom::{PoolConfig, PoolManager};

use crate::check::Check;

fn pool(config: PoolConfig) -> PoolManager {
    let pool = heirloom::create("work");
    pool.start(config).expect("starts");
    pool
}

pub(crate) static CHECKS: &[Check] = &[
    Check {
        name: "the_exit_waits_for_its_holder",
        play: || {
            let work = pool(PoolConfig::leased(1));
            for begins in [false, true] {
                let (promise, task) = work.promise().expect("accepted");
                drop(task);
                drop(std::thread::spawn(move || {
                    assert!(!begins || promise.begin());
                    std::thread::sleep(Duration::from_millis(50));
                    println!("completes");
                    promise.complete(());
                }));
            }
        },
        expect: |seen| {
            seen.code(0).says("completes", 2);
        },
    },
    Check {
        name: "the_exit_waits_for_no_daemons",
        play: || {
            let work = pool(PoolConfig::leased(1).daemon());
            let begun = work.promise::<()>().expect("accepted");
            assert!(begun.0.begin());
            std::mem::forget((begun, work.promise::<()>().expect("accepted")));
        },
        expect: |seen| {
            seen.code(0);
        },
    },
    Check {
        name: "the_exit_gives_up_at_its_time_limit",
        play: || {
            heirloom::exit_timeout(Some(Duration::from_millis(100)));
            std::mem::forget(pool(PoolConfig::leased(1)).promise::<()>().expect("accepted"));
        },
        expect: |seen| {
            seen.code(0);
            assert!(seen.stderr.contains("gives up on \"work\""), "{}", seen.stderr);
        },
    },
    Check {
        name: "a_cancelled_one_has_its_grace_and_no_more",
        play: || {
            heirloom::exit_grace(Duration::from_millis(50));
            let (promise, task) = pool(PoolConfig::leased(1)).promise::<()>().expect("accepted");
            assert!(promise.begin());
            task.cancel();
            std::mem::forget((promise, task));
        },
        expect: |seen| {
            seen.code(0);
            assert!(seen.stderr.contains("does not wait any longer for the cancelled tasks"), "{}", seen.stderr);
        },
    },
    #[cfg(unix)]
    Check {
        name: "a_forks_child_leaves_it_to_the_parent",
        play: || {
            let work = pool(PoolConfig::leased(1));
            let scope = heirloom::Scope::new("request");
            let three = [false, true, false].map(|begins| {
                let (promise, task) = scope.run(|| work.promise()).expect("accepted");
                assert!(!begins || promise.begin());
                (std::cell::Cell::new(Some(promise)), task)
            });
            let child = crate::forks::forked(|| {
                let [queued, begun, dropped] = &three;
                let begins = queued.0.take().is_some_and(|promise| {
                    let begins = promise.begin();
                    promise.complete(1);
                    begins
                });
                begun.0.take().into_iter().for_each(|promise| promise.complete(1));
                drop(dropped.0.take());
                let refused = work.promise::<u8>().is_err_and(|error| error.kind() == heirloom::ErrorKind::Forked);
                if !begins && refused && three.iter().all(|(_, task)| !task.is_finished()) { 7 } else { 1 }
            });
            println!("{child:?}");
            for (promise, task) in three {
                promise.take().expect("the child has a copy").complete(2);
                println!("value {}", task.join().expect("completed"));
            }
        },
        expect: |seen| {
            seen.code(0).says("Some(7)", 1).says("value 2", 3);
        },
    },
];
