//! What runs inside something else on one thread finds stack or ends with an error that says what to do; the process
//! goes on, with its exit code.
//!
//! Each check is a child process: the limit is the process's.
use heirloom::{PoolConfig, PoolManager, threads};

use crate::check::Check;
use crate::common::eventually;

fn started(config: PoolConfig) -> PoolManager {
    let pool = heirloom::create("work");
    pool.start(config).expect("starts");
    pool
}

/// So many tasks inside one another; or the error of the first that did not start, passed up by all the others.
fn nested(pool: &PoolManager, levels: u32) -> Result<u32, heirloom::Error> {
    if levels == 0 {
        return Ok(0);
    }
    let inner = pool.clone();
    Ok(1 + pool.submit(move || nested(&inner, levels - 1)).expect("accepted").join()??)
}

/// On a worker.
fn deep(pool: &PoolManager, levels: u32) -> Result<u32, heirloom::Error> {
    let inner = pool.clone();
    pool.submit(move || nested(&inner, levels)).expect("accepted").join().expect("runs")
}

const ENDLESS: u32 = u32::MAX;

fn kinds() -> Vec<PoolConfig> {
    vec![
        PoolConfig::leased(1).holds_permit(),
        PoolConfig::dedicated(1).stack_size(128 << 10).max_blocked(0),
        #[cfg(feature = "rayon")]
        PoolConfig::work_stealing(1),
    ]
}

pub(crate) const CHECKS: &[Check] = &[
    Check {
        name: "a task beyond the limit ends as too deep, and the pool goes on",
        play: || {
            threads::set_stack_limit(8 << 20);
            for config in kinds() {
                let pool = started(config);
                let error = deep(&pool, ENDLESS).expect_err("there is no end");
                assert!(
                    error.kind() == heirloom::ErrorKind::TooDeep && !error.is_panic() && !error.is_cancelled(),
                    "{error}"
                );
                println!("{error}");
                assert_eq!(deep(&pool, 10).expect("not deep"), 10);
                assert_eq!(pool.stats().cancelled, 1, "it ended before it started");
                pool.wait_idle().expect("from outside");
                // A thread may just be taking what has ended off the queue.
                eventually("nothing is left", || (pool.stats().running, pool.stats().queued) == (0, 0));
                assert!(pool.stop().expect("from outside").is_complete());
            }
            println!("goes on");
        },
        expect: |seen| {
            seen.code(0).says("goes on", 1);
            if cfg!(feature = "stacker") {
                assert_eq!(
                    seen.stdout.matches("8388608 bytes; raise `threads::set_stack_limit`").count(),
                    kinds().len()
                );
            } else {
                assert_eq!(seen.stdout.matches("feature `stacker`").count(), kinds().len());
            }
        },
    },
    Check {
        name: "a limit of nothing leaves each thread its own stack",
        play: || {
            threads::set_stack_limit(0);
            assert_eq!(threads::stack_limit(), 0);
            for config in kinds() {
                let pool = started(config);
                assert!(deep(&pool, ENDLESS).expect_err("there is no end").kind() == heirloom::ErrorKind::TooDeep);
                assert!(pool.stop().expect("from outside").is_complete());
            }
            println!("goes on");
        },
        expect: |seen| {
            seen.code(0).says("goes on", 1);
        },
    },
    #[cfg(feature = "stacker")]
    Check {
        name: "a system that has no memory is an error, and says nothing more",
        play: || {
            #[cfg(target_os = "linux")]
            {
                let pool = started(PoolConfig::leased(1));
                assert_eq!(deep(&pool, 10).expect("not deep"), 10);
                let pages = std::fs::read_to_string("/proc/self/statm").expect("it is there");
                let pages: u64 = pages.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
                let bytes = pages * 4096 + (32 << 20);
                let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
                // SAFETY: the pointer is to a limit.
                assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
                let error = deep(&pool, ENDLESS).expect_err("there is no end");
                assert!(error.kind() == heirloom::ErrorKind::TooDeep, "{error}");
                assert_eq!(deep(&pool, 10).expect("not deep"), 10);
            }
            println!("goes on");
        },
        expect: |seen| {
            seen.code(0).says("goes on", 1);
            assert_eq!(seen.stderr, "");
        },
    },
    Check {
        name: "an exit deep inside keeps its code",
        play: || {
            let pool = started(PoolConfig::leased(1));
            let depth = if cfg!(feature = "stacker") { 20_000 } else { 100 };
            fn exits(pool: &PoolManager, left: u32) {
                if left == 0 {
                    std::process::exit(7);
                }
                let inner = pool.clone();
                let _ = pool.submit(move || exits(&inner, left - 1)).expect("accepted").join();
            }
            let inner = pool.clone();
            let outermost = pool.submit(move || exits(&inner, depth)).expect("accepted");
            assert!(outermost.join().is_err_and(|error| error.kind() == heirloom::ErrorKind::ProcessExiting));
            // The exit waits for nothing more, and ends this thread.
            std::thread::park();
        },
        expect: |seen| {
            seen.code(7);
        },
    },
    Check {
        name: "a borrowing scope ends when one of its tasks is too deep",
        play: || {
            threads::set_stack_limit(8 << 20);
            fn scopes(pool: &PoolManager, left: u32) -> Option<u32> {
                let mut below = Some(0);
                if left > 0 {
                    below = None;
                    pool.scope(|s| drop(s.submit(|| below = scopes(pool, left - 1)).expect("accepted")));
                }
                below.map(|below| below + 1)
            }
            let pool = started(PoolConfig::leased(1));
            let inner = pool.clone();
            assert_eq!(pool.submit(move || scopes(&inner, ENDLESS)).expect("accepted").join().expect("runs"), None);
            println!("goes on");
        },
        expect: |seen| {
            seen.code(0).says("goes on", 1);
        },
    },
    #[cfg(feature = "stacker")]
    Check {
        name: "a small thread lends itself to run",
        play: || {
            let pool = started(PoolConfig::leased(2));
            let small = std::thread::Builder::new().stack_size(64 << 10).spawn(move || {
                let scope = heirloom::Scope::new("small");
                scope.run(|| pool.run(|| nested(&pool, 100))).expect("runs").expect("ends")
            });
            assert_eq!(small.expect("starts").join().expect("ends"), 100);
            println!("goes on");
        },
        expect: |seen| {
            seen.code(0).says("goes on", 1);
        },
    },
];
