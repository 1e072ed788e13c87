//! A task that ends the process: the exit code is kept, whoever waits for the task goes on, other joining tasks finish,
//! and nothing is waited for that can never end.
//!
//! Each check is a child process that plays a part.

use std::process::exit;
use std::sync::mpsc;
use std::time::Duration;

use heirloom::{Gate, Heirloom, InitError, PoolConfig, PoolManager, Scope, TaskHandle, TaskSet};

use crate::check::Check;
use crate::common;

/// A pool whose tasks are never run by those who join them.
fn joining(namespace: &'static str, n: usize) -> PoolManager {
    let pool = heirloom::create(namespace);
    pool.start(PoolConfig::leased(n).workers_only()).expect("starts");
    pool
}

fn tell(outcome: Result<(), heirloom::Error>) {
    println!(
        "{}",
        if outcome.is_err_and(|error| error.kind() == heirloom::ErrorKind::ProcessExiting) {
            "told"
        } else {
            "not told"
        }
    );
}

/// A joining task in a pool of its own, which waits for the exiting one; the exit waits for it, so it is heard.
fn waits_elsewhere(for_it: TaskHandle<()>) {
    let (listens, listening) = mpsc::channel();
    drop(joining("waiter", 1).submit(move || {
        let _ = listens.send(());
        tell(for_it.join());
    }));
    listening.recv().expect("runs");
}

/// The main thread's part is over; the process ends without it.
fn sleep_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

pub(crate) static CHECKS: &[Check] = &[
    Check {
        name: "who_waits_for_a_gate_that_the_exit_holds_is_told",
        play: || {
            static GATE: Gate = Gate::new("gate");
            let _in = GATE.enter().expect("free");
            let work = joining("work", 1);
            let waits = work.submit(|| {
                let busy = GATE.enter_timeout(Duration::MAX).map(drop);
                println!(
                    "{}",
                    if busy.is_err_and(|busy| busy.kind() == heirloom::ErrorKind::WouldDeadlock) {
                        "told"
                    } else {
                        "not told"
                    }
                );
            });
            drop(waits.expect("accepted"));
            common::eventually("it waits", || work.stats().waiting == 1);
            exit(3)
        },
        expect: |seen| {
            seen.code(3).says("told", 1);
        },
    },
    Check {
        name: "a_waiter_goes_on",
        play: || {
            let (go, gate) = mpsc::channel::<()>();
            let exits = joining("exits", 1).submit(move || {
                let _ = gate.recv();
                exit(7)
            });
            waits_elsewhere(exits.expect("accepted"));
            go.send(()).expect("the task listens");
            sleep_for_ever();
        },
        expect: |seen| {
            seen.code(7).says("told", 1);
        },
    },
    Check {
        name: "a_waiter_of_a_dedicated_pools_task_goes_on",
        play: || {
            let (go, gate) = mpsc::channel::<()>();
            let pool = heirloom::create("exits");
            pool.start(PoolConfig::dedicated(1)).expect("starts");
            let exits = pool.submit(move || {
                let _ = gate.recv();
                exit(7)
            });
            waits_elsewhere(exits.expect("accepted"));
            go.send(()).expect("the task listens");
            sleep_for_ever();
        },
        expect: |seen| {
            seen.code(7).says("told", 1);
        },
    },
    Check {
        name: "the_main_thread_that_joins_it_goes_on_and_its_return_changes_no_code",
        play: || {
            let _exit = heirloom::exit_guard();
            tell(joining("exits", 1).submit(|| exit(7)).expect("accepted").join());
        },
        expect: |seen| {
            seen.code(7);
            assert_eq!(seen.lines("not told"), 0, "{}", seen.stdout);
        },
    },
    Check {
        name: "a_set_that_waits_for_it_goes_on",
        play: || {
            let (go, gate) = mpsc::channel::<()>();
            let exits = joining("exits", 1).submit(move || {
                let _ = gate.recv();
                exit(7)
            });
            let mut set: TaskSet<()> = exits.into_iter().collect();
            drop(joining("waiter", 1).submit(move || {
                go.send(()).expect("the task listens");
                if let Some((_, outcome)) = set.join_next() {
                    tell(outcome);
                }
            }));
            sleep_for_ever();
        },
        expect: |seen| {
            seen.code(7).says("told", 1);
        },
    },
    Check {
        name: "a_future_that_waits_for_it_goes_on",
        play: || {
            let (go, gate) = mpsc::channel::<()>();
            let exits = joining("exits", 1).submit(move || {
                let _ = gate.recv();
                exit(7)
            });
            drop(joining("waiter", 1).submit(move || {
                go.send(()).expect("the task listens");
                tell(futures::executor::block_on(exits.expect("accepted")));
            }));
            sleep_for_ever();
        },
        expect: |seen| {
            seen.code(7).says("told", 1);
        },
    },
    Check {
        name: "from_within_an_inlined_join_every_frame_ends",
        play: || {
            let (go, gate) = mpsc::channel::<()>();
            let pool = joining("one", 1);
            let this = pool.clone();
            let outer = pool.submit(move || {
                let _ = gate.recv();
                let inner = this.submit(|| exit(7)).expect("accepted");
                // The only place is ours, so the inner task runs here.
                let _: Result<(), _> = inner.join();
                println!("back");
            });
            waits_elsewhere(outer.expect("accepted"));
            go.send(()).expect("the task listens");
            sleep_for_ever();
        },
        expect: |seen| {
            seen.code(7).says("told", 1).says("back", 0);
        },
    },
    Check {
        name: "from_a_run_in_place_on_the_main_thread",
        play: || {
            let _: Result<(), _> = joining("work", 1).run(|| exit(7));
        },
        expect: |seen| {
            seen.code(7);
            assert!(!seen.stderr.contains("heirloom"), "{}", seen.stderr);
        },
    },
    Check {
        name: "from_a_run_in_place_within_a_run_in_place",
        play: || {
            let (outer, inner) = (joining("outer", 1), joining("inner", 1));
            let _: Result<(), _> = outer.run(|| {
                let _: Result<(), _> = inner.run(|| exit(7));
            });
        },
        expect: |seen| {
            seen.code(7);
        },
    },
    Check {
        name: "from_a_borrowing_task_its_scope_goes_on",
        play: || {
            let (go, gate) = mpsc::channel::<()>();
            let exits = joining("exits", 1);
            drop(joining("waiter", 1).submit(move || {
                exits.scope(|s| {
                    drop(s.submit(move || {
                        let _ = gate.recv();
                        exit(7)
                    }));
                    go.send(()).expect("the task listens");
                });
                println!("the scope returned");
            }));
            sleep_for_ever();
        },
        expect: |seen| {
            seen.code(7).says("the scope returned", 1);
        },
    },
    Check {
        name: "from_below_a_scope_its_stop_goes_on",
        play: || {
            let (go, gate) = mpsc::channel::<()>();
            let exits = joining("exits", 1);
            drop(joining("waiter", 1).submit(move || {
                let scope = Scope::new("request");
                let task = scope.run(|| {
                    exits.submit(move || {
                        let _ = gate.recv();
                        exit(7)
                    })
                });
                drop(task);
                go.send(()).expect("the task listens");
                println!("{}", scope.stop().is_ok_and(|report| report.is_complete()));
            }));
            sleep_for_ever();
        },
        expect: |seen| {
            seen.code(7).says("true", 1);
        },
    },
    Check {
        name: "what_is_queued_behind_it_still_runs",
        play: || {
            let pool = joining("one", 1);
            let (go, gate) = mpsc::channel::<()>();
            drop(pool.submit(move || {
                let _ = gate.recv();
                exit(7)
            }));
            for _ in 0..5 {
                drop(pool.submit(|| println!("queued")));
            }
            go.send(()).expect("the task listens");
            sleep_for_ever();
        },
        expect: |seen| {
            seen.code(7).says("queued", 5);
        },
    },
    Check {
        name: "from_a_daemon_task_joining_pools_finish",
        play: || {
            let daemon = heirloom::create("background");
            daemon.start(PoolConfig::leased(1).daemon()).expect("starts");
            let pool = joining("work", 1);
            for _ in 0..5 {
                drop(pool.submit(|| {
                    std::thread::sleep(Duration::from_millis(10));
                    println!("task");
                }));
            }
            drop(daemon.submit(|| exit(7)));
            sleep_for_ever();
        },
        expect: |seen| {
            seen.code(7).says("task", 5);
        },
    },
    Check {
        name: "from_within_blocking",
        play: || {
            let pool = joining("one", 1);
            let (go, gate) = mpsc::channel::<()>();
            let exits = pool.submit(move || {
                heirloom::blocking(|| {
                    let _ = gate.recv();
                    exit(7)
                })
            });
            waits_elsewhere(exits.expect("accepted"));
            go.send(()).expect("the task listens");
            sleep_for_ever();
        },
        expect: |seen| {
            seen.code(7).says("told", 1);
        },
    },
    Check {
        name: "from_the_drop_of_an_unclaimed_result",
        play: || {
            struct Exits;
            impl Drop for Exits {
                fn drop(&mut self) {
                    exit(7);
                }
            }
            let (go, gate) = mpsc::channel::<()>();
            drop(joining("exits", 1).submit(move || {
                let _ = gate.recv();
                Exits
            }));
            go.send(()).expect("the task listens");
            sleep_for_ever();
        },
        expect: |seen| {
            seen.code(7);
            assert!(!seen.stderr.contains("heirloom"), "{}", seen.stderr);
        },
    },
    Check {
        name: "what_it_says_it_waits_for_is_not_the_task_that_exits",
        play: || {
            heirloom::exit_timeout(Some(Duration::from_secs(1)));
            let pool = joining("two", 2);
            let (go, gate) = mpsc::channel::<()>();
            let (started, running) = mpsc::channel();
            let first = started.clone();
            drop(pool.submit_as("exits", move || {
                let _ = first.send(());
                let _ = gate.recv();
                exit(7)
            }));
            running.recv().expect("runs");
            drop(pool.submit_as("endless", move || {
                let _ = started.send(());
                sleep_for_ever();
            }));
            running.recv().expect("runs");
            go.send(()).expect("the task listens");
            sleep_for_ever();
        },
        expect: |seen| {
            seen.code(7);
            assert!(seen.stderr.contains("(endless)"), "{}", seen.stderr);
            assert!(!seen.stderr.contains("(exits)"), "{}", seen.stderr);
        },
    },
    Check {
        name: "an_initialiser_that_exits_strands_nobody_who_waits_for_its_value",
        play: || {
            static VALUE: Heirloom<u32> = Heirloom::new("value");
            let (began, begins) = mpsc::channel();
            let (go, gate) = mpsc::channel::<()>();
            // Outside of any task.
            drop(std::thread::spawn(move || {
                VALUE.get_or_init(|| {
                    let _ = began.send(());
                    let _ = gate.recv();
                    exit(7)
                })
            }));
            begins.recv().expect("runs");
            let pool = joining("waits", 1);
            drop(pool.submit(|| {
                let told = VALUE.get_or_init(|| unreachable!("another runs it"));
                println!(
                    "{}",
                    if matches!(told, Err(ref it) if matches!(it.as_init(), Some(InitError::Panicked { .. }))) {
                        "told"
                    } else {
                        "not told"
                    }
                );
            }));
            common::eventually("it waits", || pool.stats().waiting == 1);
            go.send(()).expect("the initialiser listens");
            sleep_for_ever();
        },
        expect: |seen| {
            seen.code(7).says("told", 1);
        },
    },
];
