//! The body of a task that forked returns in the parent only: in the child the process ends there, and nothing that was
//! queued runs a second time. A borrowing scope, whose caller relies on its tasks, is aborted in the child.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use heirloom::{PoolConfig, PoolManager, Scope, TaskHandle};

use crate::check::Check;
use crate::forks::{Child, Ended, fork};

/// Says in which process something happened.
fn say(what: &str, parent: u32) {
    println!("{what} in the {}", if std::process::id() == parent { "parent" } else { "child" });
}

/// A task that forks and returns in both processes; three that are queued behind it.
fn forks_with_a_queue(config: PoolConfig) -> Ended {
    let (pool, parent) = (heirloom::create("work"), std::process::id());
    pool.start(config).expect("starts");
    let (go, gate) = mpsc::channel::<()>();
    let forks = pool.submit(move || {
        gate.recv().expect("the queue is full");
        let child = fork();
        say("returns", parent);
        child
    });
    let queued: Vec<TaskHandle<()>> =
        (0..3).map(|_| pool.submit(move || say("queued", parent))).map(Result::unwrap).collect();
    go.send(()).expect("it waits");
    let child = forks.expect("accepted").join().expect("ends").expect("the parent");
    queued.into_iter().for_each(|task| task.join().expect("runs"));
    child.ends()
}

/// The child came back from nothing that the main thread does after the fork.
fn ends_at_its_return(forks: impl FnOnce(&PoolManager, Box<dyn FnOnce() -> Option<Child> + Send>) -> Option<Child>) {
    let (pool, parent) = (heirloom::create("work"), std::process::id());
    pool.start(PoolConfig::leased(1)).expect("starts");
    let child = forks(&pool, Box::new(fork));
    say("after", parent);
    println!("{:?}", child.expect("the parent").ends());
}

pub(crate) static CHECKS: &[Check] = &[
    Check {
        name: "on_a_borrowed_thread",
        play: || println!("{:?}", forks_with_a_queue(PoolConfig::leased(1))),
        expect: |seen| {
            seen.code(0).says("Code(0)", 1).says("returns in the child", 1).says("returns in the parent", 1);
            seen.says("queued in the parent", 3).says("queued in the child", 0);
            assert!(seen.stderr.contains("returned in a fork of its process"), "{}", seen.stderr);
        },
    },
    Check {
        name: "on_a_pools_own_thread",
        play: || println!("{:?}", forks_with_a_queue(PoolConfig::dedicated(1).holds_permit())),
        expect: |seen| {
            seen.code(0).says("Code(0)", 1).says("queued in the parent", 3).says("queued in the child", 0);
        },
    },
    #[cfg(feature = "rayon")]
    Check {
        name: "on_a_work_stealing_pools_thread",
        play: || println!("{:?}", forks_with_a_queue(PoolConfig::work_stealing(1))),
        expect: |seen| {
            seen.code(0).says("Code(0)", 1).says("queued in the parent", 3).says("queued in the child", 0);
        },
    },
    #[cfg(feature = "rayon")]
    Check {
        name: "a_piece_that_forks_leaves_by_exec_or_exit",
        play: || {
            let pool = heirloom::create("work");
            pool.start(PoolConfig::work_stealing(2)).expect("starts");
            let here = std::thread::current().id();
            let child = pool.install(|| {
                // One of the two is stolen: both wait for each other.
                let both = std::sync::Barrier::new(2);
                let begun = std::thread::current().id();
                let piece = || {
                    both.wait();
                    (std::thread::current().id() != begun).then(|| {
                        let child = fork();
                        if child.is_none() {
                            // SAFETY: ends the process at once; nothing of it is used after.
                            unsafe { libc::_exit(3) }
                        }
                        child
                    })
                };
                let (one, two) = rayon::join(piece, piece);
                one.or(two)
            });
            let child = child.expect("ends").expect("one is stolen").expect("the parent");
            println!("{:?} {}", child.ends(), here == std::thread::current().id());
        },
        expect: |seen| {
            seen.code(0).says("Code(3) true", 1);
        },
    },
    Check {
        name: "under_a_gate",
        play: || {
            use heirloom::{Gate, GateMode, Heirloom, Lineage};
            static GATE: Heirloom<Gate> = Heirloom::new("gate");
            GATE.at(&Lineage::process()).bind(Gate::new("gate")).expect("open");
            println!("{:?}", forks_with_a_queue(PoolConfig::leased(1).gate(&GATE, GateMode::Require)));
        },
        expect: |seen| {
            seen.code(0).says("Code(0)", 1).says("queued in the parent", 3).says("queued in the child", 0);
        },
    },
    Check {
        name: "a_panic_in_the_child_is_its_code",
        play: || {
            let pool = heirloom::create("work");
            pool.start(PoolConfig::leased(1)).expect("starts");
            let forks = pool.submit(|| fork().unwrap_or_else(|| panic!("in the child")));
            println!("{:?}", forks.expect("accepted").join().expect("ends").ends());
            println!("{}", pool.stop().expect("none of its tasks"));
        },
        expect: |seen| {
            seen.code(0).says("Code(101)", 1);
            seen.says("1 completed, 0 interrupted, 0 panicked, 0 cancelled, 0 remaining", 1);
        },
    },
    Check {
        name: "where_run_runs_it_on_its_callers_thread",
        play: || ends_at_its_return(|pool, fork| pool.run(fork).expect("ends")),
        expect: |seen| {
            seen.code(0).says("Code(0)", 1).says("after in the parent", 1).says("after in the child", 0);
        },
    },
    Check {
        name: "where_a_join_runs_it_in_place",
        play: || {
            ends_at_its_return(|pool, fork| {
                let (own, parent) = (pool.clone(), std::process::id());
                let joins = pool.submit(move || {
                    let child = own.submit(fork).expect("accepted").join().expect("ends");
                    say("joined", parent);
                    child
                });
                joins.expect("accepted").join().expect("ends")
            });
        },
        expect: |seen| {
            seen.code(0).says("Code(0)", 1).says("joined in the parent", 1).says("joined in the child", 0);
        },
    },
    Check {
        name: "where_a_local_thread_runs_it",
        play: || {
            ends_at_its_return(|_, fork| {
                let ui = heirloom::create("ui");
                let (local, parent) = (ui.start_local(PoolConfig::local()).expect("starts"), std::process::id());
                let forks = ui.submit(fork).expect("accepted");
                let next = ui.submit(move || say("next", parent)).expect("accepted");
                let child = local.run_until(forks).expect("ends");
                local.run_until(next).expect("ends");
                child
            });
        },
        expect: |seen| {
            seen.code(0).says("Code(0)", 1).says("next in the parent", 1).says("next in the child", 0);
        },
    },
    Check {
        name: "an_initialiser_of_a_worker_does_not_return_either",
        play: || {
            let (tells, told) = mpsc::channel();
            let tells = std::sync::Mutex::new(tells);
            let pool = heirloom::create("work");
            let hook = move |_: &heirloom::WorkerCtx| {
                if let Some(child) = fork() {
                    let _ = tells.lock().expect("whole").send(child);
                }
                Ok::<(), heirloom::StartError>(())
            };
            pool.start(PoolConfig::dedicated(1).warm(1).on_worker_start(hook)).expect("starts");
            println!("{:?}", told.recv().expect("it forks").ends());
            println!("{}", pool.submit(|| "works").expect("accepted").join().expect("runs"));
        },
        expect: |seen| {
            seen.code(0).says("Code(0)", 1).says("works", 1);
        },
    },
    Check {
        name: "a_borrowing_scope_is_aborted_in_the_child",
        play: || {
            let (pool, parent) = (heirloom::create("work"), std::process::id());
            pool.start(PoolConfig::leased(1)).expect("starts");
            let (go, gate) = mpsc::channel::<()>();
            let (out, mut child) = (AtomicU64::new(0), None);
            pool.scope(|s| {
                let out = &out;
                let task = s.submit(move || {
                    let _ = gate.recv();
                    out.store(7, Ordering::SeqCst);
                });
                drop(task.expect("accepted"));
                child = fork();
                drop(go);
            });
            say("after", parent);
            println!("{} {:?}", out.into_inner(), child.expect("the parent").ends());
        },
        expect: |seen| {
            assert_eq!(libc::SIGABRT, 6);
            seen.code(0).says("7 Signal(6)", 1).says("after in the parent", 1).says("after in the child", 0);
            assert!(seen.stderr.contains("a borrowing scope of \"work\""), "{}", seen.stderr);
        },
    },
    Check {
        name: "a_borrowing_scope_in_a_task_is_aborted_in_the_child",
        play: || {
            let pool = heirloom::create("work");
            pool.start(PoolConfig::leased(1)).expect("starts");
            let own = pool.clone();
            let forks = pool.submit(move || {
                let mut child = None;
                own.scope(|s| {
                    drop(s.submit(|| ()).expect("accepted"));
                    child = fork();
                });
                child
            });
            println!("{:?}", forks.expect("accepted").join().expect("ends").expect("the parent").ends());
        },
        expect: |seen| {
            seen.code(0).says("Signal(6)", 1);
        },
    },
    Check {
        name: "a_borrowing_scope_whose_tasks_have_ended_returns_in_the_child",
        play: || {
            let (pool, parent) = (heirloom::create("work"), std::process::id());
            pool.start(PoolConfig::leased(1)).expect("starts");
            let child = pool.scope(|s| {
                s.submit(|| ()).expect("accepted").join().expect("ends");
                // Its end is counted a moment after its result is seen.
                pool.wait_idle().expect("none of its tasks");
                fork()
            });
            say("after", parent);
            match child {
                Some(child) => println!("{:?}", child.ends()),
                None => std::process::exit(3),
            }
        },
        expect: |seen| {
            seen.code(0).says("Code(3)", 1).says("after in the parent", 1).says("after in the child", 1);
        },
    },
    Check {
        name: "a_thread_of_ours_that_returns_ends_the_child_as_any_last_thread",
        play: || {
            let pool = heirloom::create("work");
            pool.start(PoolConfig::leased(1)).expect("starts");
            let scope = Scope::new("request");
            let child = scope.run(|| heirloom::thread::spawn(fork).expect("a thread starts")).join().expect("ends");
            println!("{:?}", child.expect("the parent").ends());
        },
        expect: |seen| {
            seen.code(0).says("Code(0)", 1);
        },
    },
];
