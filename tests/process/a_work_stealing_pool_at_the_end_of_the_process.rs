//! Work-stealing pools where the process ends, forks, or gets no more threads: as other pools.
//!
//! Each check is a child process that plays a part.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, SubmitError, SubmitErrorKind};
use rayon::prelude::*;

use crate::check::Check;

fn started(config: PoolConfig) -> PoolManager {
    let pool = heirloom::create("math");
    pool.start(config).expect("starts");
    pool
}

/// Says so when it ends, after a while.
fn slow() {
    std::thread::sleep(Duration::from_millis(100));
    rayon::join(|| println!("done"), || println!("done"));
}

/// From now on there is no room for the stack of another thread.
#[cfg(target_os = "linux")]
fn refuse_threads() {
    let status = std::fs::read_to_string("/proc/self/statm").expect("this process has a status");
    let pages: u64 = status.split(' ').next().and_then(|n| n.parse().ok()).expect("its size comes first");
    // SAFETY: asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives for the calls; only this process's own limit changes.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &mut limit), 0);
        limit.rlim_cur = pages * page + (1 << 20);
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &limit), 0);
    }
}

pub(crate) static CHECKS: &[Check] = &[
    Check {
        name: "a_joining_one_finishes_at_exit",
        play: || {
            let pool = started(PoolConfig::work_stealing(2));
            for _ in 0..3 {
                drop(pool.submit(slow));
            }
            std::process::exit(3);
        },
        expect: |seen| {
            seen.code(3).says("done", 6);
        },
    },
    Check {
        name: "a_daemon_is_abandoned",
        play: || {
            let pool = started(PoolConfig::work_stealing(1).daemon());
            let (starts, started) = mpsc::channel();
            drop(pool.submit(move || {
                let _ = starts.send(());
                std::thread::park();
                slow();
            }));
            started.recv().expect("runs");
            std::process::exit(4);
        },
        expect: |seen| {
            seen.code(4).says("done", 0);
        },
    },
    Check {
        name: "an_exit_within_any_piece_keeps_its_code",
        play: || {
            let pool = started(PoolConfig::work_stealing(3));
            let _ = pool.install(|| {
                rayon::broadcast(|here| {
                    if here.index() == 2 {
                        std::process::exit(5);
                    }
                    std::thread::park();
                });
            });
        },
        expect: |seen| {
            seen.code(5);
        },
    },
    Check {
        name: "an_idle_one_holds_nothing_up",
        play: || {
            let pool = started(PoolConfig::work_stealing(3));
            pool.install(slow).expect("runs");
            std::process::exit(6);
        },
        expect: |seen| {
            seen.code(6).says("done", 2);
        },
    },
    Check {
        name: "a_forks_child_leaves_it_alone",
        play: || {
            let pool = started(PoolConfig::work_stealing(2));
            let task = pool.submit(slow).expect("accepted");
            // SAFETY: the child only uses what is shown to work there, and leaves through `exit`.
            match unsafe { libc::fork() } {
                0 => {
                    // SAFETY: arms a timer of this process.
                    unsafe { libc::alarm(8) };
                    let refused = pool.install(|| ()).is_err();
                    pool.cancel();
                    drop(pool.stop());
                    drop(pool);
                    // SAFETY: no other thread exists here that could be running exit handlers.
                    unsafe { libc::exit(i32::from(!refused)) }
                }
                pid => {
                    let mut status = 0;
                    // SAFETY: the pid is a child of ours, and `status` outlives the call.
                    unsafe { libc::waitpid(pid, &raw mut status, 0) };
                    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status}");
                }
            }
            task.join().expect("the parent is not affected");
            assert!(pool.stop().expect("not from within").is_complete());
        },
        expect: |seen| {
            seen.code(0).says("done", 2);
        },
    },
    #[cfg(target_os = "linux")]
    Check {
        name: "without_any_thread_it_refuses",
        play: || {
            let pool = started(PoolConfig::work_stealing(3));
            refuse_threads();
            for _ in 0..100 {
                let refused = pool.install(|| ()).expect_err("there is no room for a stack");
                assert!(
                    matches!(refused.as_submit().map(SubmitError::kind), Some(SubmitErrorKind::ThreadSpawn { .. })),
                    "{refused}"
                );
            }
            assert_eq!((pool.stats().running, pool.stats().queued), (0, 0));
            assert!(pool.stop().expect("not from within").is_complete());
        },
        expect: |seen| {
            seen.code(0);
        },
    },
    #[cfg(target_os = "linux")]
    Check {
        name: "with_a_thread_it_goes_on_with_that_one",
        play: || {
            let pool = started(PoolConfig::work_stealing(1));
            pool.install(|| ()).expect("runs");
            let _ = pool.stop().expect("not from within");
            while heirloom::threads::stats().idle != 1 {
                std::thread::yield_now();
            }
            refuse_threads();
            pool.start(PoolConfig::work_stealing(3)).expect("starts");
            for _ in 0..20 {
                let sum: u64 = pool.install(|| (0..1000u64).into_par_iter().sum()).expect("one is there");
                assert_eq!(sum, 499_500);
                // It counts on no other.
                assert_eq!(pool.install(|| rayon::broadcast(|_| ()).len()).expect("runs"), 1);
            }
            assert_eq!(heirloom::threads::stats().live, 1);
            assert!(pool.stop().expect("not from within").is_complete());
        },
        expect: |seen| {
            seen.code(0);
        },
    },
];
