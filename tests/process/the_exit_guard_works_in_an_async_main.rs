//! With the feature `tokio`: at the end of an async `main` what joining pools accepted completes, also what needs the
//! runtime, on either kind; a guard that blocks the only thread has those who need it told at once.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{Lineage, PoolConfig, Portal, PortalError};
use tokio::runtime::{Builder, Runtime};

use crate::check::Check;

fn runtime(threads: usize) -> Runtime {
    let mut builder = if threads == 0 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.worker_threads(threads.max(1)).enable_all().build().expect("a runtime starts")
}

/// A task that nobody awaits, and that needs the runtime after `main` has ended.
fn audit() {
    let portal = Portal::current().expect("in a runtime");
    portal.bind_at(&Lineage::process()).expect("the process lives");
    let audit = heirloom::create("audit");
    audit.start(PoolConfig::leased(1)).expect("starts");
    let (starts, started) = mpsc::channel();
    let sends = move || {
        starts.send(()).expect("main listens");
        std::thread::sleep(Duration::from_millis(50));
        let sleep = async { tokio::time::sleep(Duration::from_millis(1)).await };
        match heirloom::portal().and_then(|portal| portal.block_on(sleep)) {
            Ok(()) => println!("sent"),
            Err(error) => match (error.as_portal(), error.circle()) {
                (Some(PortalError::WouldDeadlock { .. }), Some(circle)) => {
                    println!("told, {} waits", circle.links().len())
                }
                _ => println!("{error}"),
            },
        }
    };
    drop(audit.submit(sends).expect("accepted"));
    started.recv().expect("it runs");
}

fn drained_by_await(threads: usize) {
    runtime(threads).block_on(async {
        let exit = heirloom::exit_guard();
        audit();
        exit.drain_async().await;
        println!("after");
    });
}

pub(crate) static CHECKS: &[Check] = &[
    Check {
        name: "a_guard_that_is_awaited_lets_a_current_thread_runtime_go_on",
        play: || drained_by_await(0),
        expect: |seen| {
            seen.code(0).says("sent", 1);
            assert_eq!(seen.stdout.lines().last(), Some("after"), "{}", seen.stdout);
        },
    },
    Check {
        name: "a_guard_that_is_awaited_lets_a_multi_thread_runtime_go_on",
        play: || drained_by_await(2),
        expect: |seen| {
            seen.code(0).says("sent", 1);
        },
    },
    Check {
        name: "a_guard_that_is_dropped_in_a_multi_thread_runtime_blocks_no_worker",
        play: || {
            runtime(1).block_on(async {
                let _exit = heirloom::exit_guard();
                audit();
            });
        },
        expect: |seen| {
            seen.code(0).says("sent", 1);
        },
    },
    Check {
        name: "a_guard_that_blocks_the_only_thread_has_those_told_who_need_it",
        play: || {
            runtime(0).block_on(async {
                let _exit = heirloom::exit_guard();
                audit();
            });
        },
        expect: |seen| {
            seen.code(0).says("told, 2 waits", 1);
        },
    },
    Check {
        name: "run_main_async_drains_and_hands_the_value_on",
        play: || {
            let value = runtime(0).block_on(heirloom::run_main_async(async {
                audit();
                7
            }));
            println!("value {value}");
        },
        expect: |seen| {
            seen.code(0).says("sent", 1).says("value 7", 1);
        },
    },
    Check {
        name: "run_main_async_drains_when_main_panics",
        play: || {
            runtime(0).block_on(heirloom::run_main_async(async {
                audit();
                panic!("main panics");
            }))
        },
        expect: |seen| {
            seen.code(101).says("sent", 1);
        },
    },
    Check {
        name: "a_drain_that_is_awaited_keeps_the_deadline",
        play: || {
            heirloom::exit_timeout(Some(Duration::from_secs(1)));
            runtime(0).block_on(async {
                let exit = heirloom::exit_guard();
                let stuck = heirloom::create("stuck");
                stuck.start(PoolConfig::leased(1)).expect("starts");
                let endless = || loop {
                    std::thread::park();
                };
                drop(stuck.submit(endless).expect("accepted"));
                exit.drain_async().await;
            });
        },
        expect: |seen| {
            seen.code(0);
            assert!(seen.took >= Duration::from_secs(1), "{:?}", seen.took);
            assert_eq!(seen.stderr.matches("gives up on \"stuck\"").count(), 1, "{}", seen.stderr);
        },
    },
];
