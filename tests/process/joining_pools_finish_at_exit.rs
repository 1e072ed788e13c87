//! At process exit joining pools finish what they accepted, daemon pools are abandoned; with a guard in `main` and
//! without, however the process ends, within the deadline, and the exit code is kept.
//!
//! Each check is a child process that plays a part.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use heirloom::{ExitPolicy, PoolConfig, PoolManager, Scope, TaskHandle};

use crate::check::{Check, Seen};

const TASKS: usize = 12;

fn joining(namespace: &'static str, n: usize) -> PoolManager {
    let pool = heirloom::create(namespace);
    pool.start(PoolConfig::leased(n)).expect("starts");
    pool
}

/// Tasks that have not all started when this returns, and take long enough that an exit that does not wait shows.
fn submit_some(pool: &PoolManager) {
    for _ in 0..TASKS {
        drop(pool.submit(|| {
            std::thread::sleep(Duration::from_millis(20));
            println!("task");
        }));
    }
}

/// A task that runs and never ends.
fn submit_endless(pool: &PoolManager) {
    drop(endless(pool));
}

fn endless(pool: &PoolManager) -> TaskHandle<()> {
    let (started, running) = mpsc::channel();
    let endless = move || {
        let _ = started.send(());
        loop {
            std::thread::park();
        }
    };
    let task = pool.submit_as("endless", endless).expect("accepted");
    running.recv().expect("runs");
    task
}

fn joining_at(at: &Scope, namespace: &'static str, n: usize) -> PoolManager {
    at.run(|| joining(namespace, n))
}

trait Left {
    /// The exit waited so long, and for no deadline, and then left the pool's tasks, which it said once.
    fn is_left(&self, pool: &str, after: Duration) -> &Self;
}

impl Left for Seen {
    fn is_left(&self, pool: &str, after: Duration) -> &Self {
        let says = format!("does not wait any longer for the cancelled tasks of \"{pool}\"");
        assert_eq!(self.stderr.matches(&says).count(), 1, "{}", self.stderr);
        self.not_before(after)
    }
}

/// A stream without an end, of which the calling thread has read one item. Its task prints why its send failed.
fn endless_stream(pool: &PoolManager) -> heirloom::TaskStream<u32, heirloom::Error> {
    let mut rows = pool.stream(|out| {
        let failed = (0..).try_for_each(|row| out.send(row)).expect_err("the numbers have no end");
        println!("{:?}", failed.as_cancelled().map(|cause| cause.reason()));
        assert!(out.is_closed() && out.send(0).is_err());
        Err(failed)
    });
    assert!(rows.as_mut().expect("accepted").next().is_some());
    rows.expect("accepted")
}

pub(crate) static CHECKS: &[Check] = &[
    Check {
        name: "an_exit_by_the_reader_of_a_stream_ends_the_stream",
        play: || {
            let _unread = endless_stream(&joining("work", 1));
            std::process::exit(3);
        },
        expect: |seen| {
            seen.code(3).says("Some(Shutdown)", 1);
        },
    },
    Check {
        name: "a_guard_that_its_reader_drops_ends_the_stream",
        play: || {
            let pool = joining("work", 1);
            let mut unread = endless_stream(&pool);
            let queued = pool.submit(|| println!("task")).expect("accepted");
            drop(heirloom::exit_guard());
            assert!(queued.is_finished());
            // What was sent is there still, and the error after it.
            assert!(unread.by_ref().filter(Result::is_ok).count() > 0);
            println!("end");
        },
        expect: |seen| {
            seen.code(0).says("Some(Shutdown)", 1).says("task", 1).says("end", 1);
        },
    },
    Check {
        name: "a_stream_with_another_reader_goes_on_to_its_end",
        play: || {
            let stream = joining("work", 1).stream(|out| {
                (0..60).try_for_each(|row| out.send(row))?;
                println!("sent");
                Ok::<_, heirloom::Error>(())
            });
            let (reads, has_read) = mpsc::channel();
            drop(std::thread::spawn(move || {
                for row in stream.expect("accepted") {
                    let _ = reads.send(row.is_ok());
                    std::thread::sleep(Duration::from_millis(5));
                }
            }));
            has_read.recv().expect("it reads");
        },
        expect: |seen| {
            seen.code(0).says("sent", 1);
        },
    },
    Check {
        name: "a_task_that_is_yet_to_read_keeps_its_stream",
        play: || {
            let writes = joining("writes", 1);
            let stream = writes.stream(|out| {
                (0..60).try_for_each(|row| out.send(row))?;
                println!("sent");
                Ok::<_, heirloom::Error>(())
            });
            let stream = stream.expect("accepted");
            drop(joining("reads", 1).submit(move || {
                std::thread::sleep(Duration::from_millis(300));
                assert_eq!(stream.filter(Result::is_ok).count(), 60);
                println!("read");
            }));
        },
        expect: |seen| {
            seen.code(0).says("sent", 1).says("read", 1);
        },
    },
    Check {
        name: "the_guard_drains_when_main_returns",
        play: || {
            let _exit = heirloom::exit_guard();
            submit_some(&joining("work", 2));
        },
        expect: |seen| {
            seen.code(0).says("task", TASKS);
        },
    },
    Check {
        name: "the_guard_drains_where_it_is_dropped",
        play: || {
            let exit = heirloom::exit_guard();
            submit_some(&joining("work", 2));
            drop(exit);
            println!("after");
        },
        expect: |seen| {
            seen.code(0).says("task", TASKS);
            assert_eq!(seen.stdout.lines().last(), Some("after"), "{}", seen.stdout);
        },
    },
    Check {
        name: "without_a_guard_the_hook_drains_when_main_returns",
        play: || submit_some(&joining("work", 2)),
        expect: |seen| {
            seen.code(0).says("task", TASKS);
        },
    },
    Check {
        name: "dedicated_pools_finish_too",
        play: || {
            let pool = heirloom::create("own");
            pool.start(PoolConfig::dedicated(2)).expect("starts");
            submit_some(&pool);
        },
        expect: |seen| {
            seen.code(0).says("task", TASKS);
        },
    },
    Check {
        name: "process_exit_in_main_keeps_its_code",
        play: || {
            submit_some(&joining("work", 2));
            std::process::exit(3);
        },
        expect: |seen| {
            seen.code(3).says("task", TASKS);
        },
    },
    Check {
        name: "process_exit_on_another_thread_keeps_its_code",
        play: || {
            submit_some(&joining("work", 2));
            let _ = std::thread::spawn(|| std::process::exit(4)).join();
        },
        expect: |seen| {
            seen.code(4).says("task", TASKS);
        },
    },
    Check {
        name: "a_panic_in_main_keeps_its_code",
        play: || {
            submit_some(&joining("work", 2));
            panic!("main panics");
        },
        expect: |seen| {
            seen.code(101).says("task", TASKS);
            assert!(seen.stderr.contains("main panics"), "{}", seen.stderr);
        },
    },
    Check {
        name: "a_guard_dropped_while_unwinding_drains",
        play: || {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _exit = heirloom::exit_guard();
                submit_some(&joining("work", 2));
                panic!("main panics");
            }));
            println!("after");
            resume_unwind(panicked.expect_err("panics"));
        },
        expect: |seen| {
            seen.code(101).says("task", TASKS);
            assert_eq!(seen.stdout.lines().last(), Some("after"), "{}", seen.stdout);
        },
    },
    Check {
        name: "run_main_drains_and_hands_the_value_on",
        play: || {
            let value = heirloom::run_main(|| {
                submit_some(&joining("work", 2));
                7
            });
            println!("value {value}");
        },
        expect: |seen| {
            seen.code(0).says("task", TASKS);
            assert_eq!(seen.stdout.lines().last(), Some("value 7"), "{}", seen.stdout);
        },
    },
    Check {
        name: "run_main_drains_when_main_panics",
        play: || {
            heirloom::run_main(|| {
                submit_some(&joining("work", 2));
                panic!("main panics");
            })
        },
        expect: |seen| {
            seen.code(101).says("task", TASKS);
        },
    },
    #[cfg(unix)]
    Check {
        name: "an_immediate_exit_runs_no_hook",
        play: || {
            let pool = joining("work", 1);
            submit_endless(&pool);
            drop(pool.submit(|| println!("task")));
            // SAFETY: ends the process; nothing is used after it.
            unsafe { libc::_exit(5) }
        },
        expect: |seen| {
            seen.code(5).says("task", 0);
        },
    },
    Check {
        name: "a_task_that_panics_in_the_drain_holds_up_nothing",
        play: || {
            let pool = joining("work", 1);
            drop(pool.submit(|| std::thread::sleep(Duration::from_millis(50))));
            drop(pool.submit(|| panic!("in the drain")));
            drop(pool.submit(|| println!("task")));
        },
        expect: |seen| {
            seen.code(0).says("task", 1);
        },
    },
    Check {
        name: "a_task_that_never_ends_is_waited_for_until_the_deadline",
        play: || {
            heirloom::exit_timeout(Some(Duration::from_secs(1)));
            submit_endless(&joining("stuck", 1));
        },
        expect: |seen| {
            seen.code(0).not_before(Duration::from_secs(1));
            assert!(seen.stderr.contains("\"stuck\"") && seen.stderr.contains("endless"), "{}", seen.stderr);
        },
    },
    Check {
        name: "the_guard_too_waits_until_the_deadline_and_then_nobody_waits_again",
        play: || {
            heirloom::exit_timeout(Some(Duration::from_secs(2)));
            let exit = heirloom::exit_guard();
            submit_endless(&joining("stuck", 1));
            drop(exit);
            // A second wait has no end.
            heirloom::exit_timeout(None);
        },
        expect: |seen| {
            seen.code(0).not_before(Duration::from_secs(2));
            assert_eq!(seen.stderr.matches("gives up").count(), 1, "{}", seen.stderr);
        },
    },
    Check {
        name: "every_five_seconds_it_says_what_it_waits_for",
        play: || {
            heirloom::exit_timeout(Some(Duration::from_secs(7)));
            submit_endless(&joining("stuck", 1));
        },
        expect: |seen| {
            seen.code(0);
            let waits: Vec<_> = seen.stderr.lines().filter(|line| line.contains("waits for")).collect();
            assert_eq!(waits.len(), 1, "{}", seen.stderr);
            assert!(waits[0].contains("\"stuck\""), "{}", seen.stderr);
        },
    },
    Check {
        name: "the_deadline_holds_also_when_a_task_sits_on_stderr",
        play: || {
            heirloom::exit_timeout(Some(Duration::from_secs(1)));
            let (started, running) = mpsc::channel();
            drop(joining("stuck", 1).submit(move || {
                let _mine = std::io::stderr().lock();
                let _ = started.send(());
                loop {
                    std::thread::park();
                }
            }));
            running.recv().expect("runs");
        },
        expect: |seen| {
            seen.code(0);
        },
    },
    Check {
        name: "what_a_scope_asked_to_stop_is_waited_for_during_a_grace",
        play: || {
            let run = Scope::new("run");
            submit_endless(&joining_at(&run, "hash", 4));
            run.cancel();
            std::process::exit(130);
        },
        expect: |seen| {
            seen.code(130).is_left("hash", Duration::from_secs(1));
        },
    },
    Check {
        name: "what_a_scope_asked_of_anothers_pool_is_waited_for_during_a_grace",
        play: || {
            let (run, shared) = (Scope::new("run"), joining("shared", 1));
            run.run(|| submit_endless(&shared));
            drop(run);
        },
        expect: |seen| {
            seen.code(0).is_left("shared", Duration::from_secs(1));
        },
    },
    Check {
        name: "what_a_pool_asked_to_stop_is_waited_for_during_a_grace",
        play: || {
            let pool = joining("hash", 2);
            submit_endless(&pool);
            pool.cancel();
        },
        expect: |seen| {
            seen.code(0).is_left("hash", Duration::from_secs(1));
        },
    },
    Check {
        name: "what_a_handle_asked_to_stop_is_waited_for_during_a_grace",
        play: || {
            let pool = joining("hash", 1);
            for _ in 0..10 {
                // Ended, and not yet counted out, when the last one runs.
                drop(pool.submit(|| ()));
            }
            endless(&pool).cancel();
        },
        expect: |seen| {
            seen.code(0).is_left("hash", Duration::from_secs(1));
        },
    },
    Check {
        name: "what_a_thread_was_asked_to_stop_is_waited_for_during_a_grace",
        play: || {
            let pool = joining("hash", 1);
            let (stands, place) = mpsc::channel();
            drop(
                heirloom::thread::spawn(move || {
                    let here = heirloom::current();
                    submit_endless(&pool);
                    let _ = stands.send(here);
                    std::thread::park(); // it lives when it is asked
                })
                .expect("a thread starts"),
            );
            place.recv().expect("stands").cancel();
        },
        expect: |seen| {
            seen.code(0).is_left("hash", Duration::from_secs(1));
        },
    },
    Check {
        name: "the_grace_is_a_setting",
        play: || {
            // Longer than the default.
            heirloom::exit_grace(Duration::from_secs(3));
            let pool = joining("hash", 2);
            submit_endless(&pool);
            pool.cancel();
        },
        expect: |seen| {
            seen.code(0).is_left("hash", Duration::from_secs(3));
        },
    },
    Check {
        name: "what_ends_within_its_grace_completes",
        play: || {
            let (run, pool) = (Scope::new("run"), joining("work", 1));
            let (started, running) = mpsc::channel();
            drop(run.run(|| {
                pool.submit(move || {
                    let _ = started.send(());
                    while heirloom::checkpoint().is_ok() {}
                    std::thread::sleep(Duration::from_millis(200));
                    println!("task");
                })
            }));
            running.recv().expect("runs");
            run.cancel();
        },
        expect: |seen| {
            seen.code(0).says("task", 1);
            assert!(!seen.stderr.contains("heirloom"), "{}", seen.stderr);
        },
    },
    Check {
        name: "what_was_not_asked_to_stop_is_waited_for_beside_what_was",
        play: || {
            heirloom::exit_grace(Duration::from_millis(50));
            let (run, pool) = (Scope::new("run"), joining("work", 2));
            run.run(|| submit_endless(&pool));
            drop(pool.submit(|| {
                std::thread::sleep(Duration::from_secs(1));
                println!("task");
            }));
            drop(pool.submit(|| println!("task"))); // queued behind it
            run.cancel();
        },
        expect: |seen| {
            seen.code(0).says("task", 2).is_left("work", Duration::from_secs(1));
        },
    },
    Check {
        name: "a_task_that_declined_is_waited_for",
        play: || {
            heirloom::exit_grace(Duration::ZERO);
            let pool = joining("work", 1);
            let (declines, declined) = mpsc::channel();
            let (started, running) = mpsc::channel();
            let task = pool.submit(move || {
                let _ = started.send(());
                while heirloom::checkpoint().is_ok() {}
                heirloom::acknowledge_cancel();
                let _ = declines.send(());
                std::thread::sleep(Duration::from_millis(500));
                println!("task");
            });
            running.recv().expect("runs");
            task.expect("accepted").cancel();
            declined.recv().expect("declines");
        },
        expect: |seen| {
            seen.code(0).says("task", 1);
        },
    },
    Check {
        name: "a_request_that_comes_during_the_exit_gives_a_grace_of_its_own",
        play: || {
            let pool = joining("hash", 1);
            submit_endless(&pool);
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(1500));
                pool.cancel();
            });
        },
        expect: |seen| {
            seen.code(0).is_left("hash", Duration::from_millis(2500));
        },
    },
    Check {
        name: "the_guard_leaves_what_was_asked_to_stop_and_the_hook_says_nothing_more",
        play: || {
            let _exit = heirloom::exit_guard();
            let pool = joining("hash", 1);
            submit_endless(&pool);
            pool.cancel();
        },
        expect: |seen| {
            seen.code(0).is_left("hash", Duration::from_secs(1));
        },
    },
    Check {
        name: "abandoned_by_policy_nothing_is_waited_for",
        play: || {
            heirloom::on_exit(ExitPolicy::Abandon);
            submit_endless(&joining("stuck", 1));
        },
        expect: |seen| {
            seen.code(0);
            assert!(!seen.stderr.contains("heirloom"), "{}", seen.stderr);
        },
    },
    Check {
        name: "abandoned_by_policy_the_guard_does_not_wait_either",
        play: || {
            let _exit = heirloom::exit_guard();
            heirloom::on_exit(ExitPolicy::Abandon);
            submit_endless(&joining("stuck", 1));
        },
        expect: |seen| {
            seen.code(0);
        },
    },
    Check {
        name: "daemon_pools_are_abandoned_at_once",
        play: || {
            let _exit = heirloom::exit_guard();
            let pool = heirloom::create("background");
            pool.start(PoolConfig::leased(1).daemon()).expect("starts");
            submit_endless(&pool);
            drop(pool.submit(|| println!("task")));
        },
        expect: |seen| {
            seen.code(0).says("task", 0);
            assert!(!seen.stderr.contains("heirloom"), "{}", seen.stderr);
        },
    },
    Check {
        name: "a_daemon_pool_does_not_keep_a_joining_one_from_finishing",
        play: || {
            let daemon = heirloom::create("background");
            daemon.start(PoolConfig::leased(1).daemon()).expect("starts");
            submit_endless(&daemon);
            submit_some(&joining("work", 1));
        },
        expect: |seen| {
            seen.code(0).says("task", TASKS);
        },
    },
    Check {
        name: "a_joining_task_may_wait_for_a_daemon_one_in_the_drain",
        play: || {
            let daemon = heirloom::create("background");
            daemon.start(PoolConfig::leased(1).daemon()).expect("starts");
            drop(joining("work", 1).submit(move || {
                std::thread::sleep(Duration::from_millis(100));
                let value = daemon.submit(|| 7).expect("daemon pools stay open").join().expect("ends");
                println!("value {value}");
            }));
        },
        expect: |seen| {
            seen.code(0).says("value 7", 1);
        },
    },
    Check {
        name: "a_pool_whose_manager_is_gone_finishes",
        play: || {
            let thread = std::thread::spawn(|| {
                let pool = joining("short-lived", 1);
                submit_some(&pool);
                let removed = heirloom::current().remove("short-lived");
                assert!(removed.is_some_and(|removed| removed.is_same(&pool)));
            });
            thread.join().expect("ends");
            assert!(heirloom::get("short-lived").is_err());
        },
        expect: |seen| {
            seen.code(0).says("task", TASKS);
        },
    },
    Check {
        name: "what_a_task_submits_in_the_drain_is_refused_or_completes",
        play: || {
            let pool = joining("work", 2);
            drop(pool.clone().submit(move || {
                let mut accepted = 0;
                while pool.submit(|| println!("nested")).is_ok() {
                    accepted += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
                println!("accepted {accepted}");
            }));
            std::thread::sleep(Duration::from_millis(50));
        },
        expect: |seen| {
            seen.code(0);
            let accepted = seen.stdout.lines().find_map(|line| line.strip_prefix("accepted "));
            assert_eq!(accepted, Some(&*seen.lines("nested").to_string()), "{}", seen.stdout);
        },
    },
    Check {
        name: "a_pool_that_a_task_starts_in_the_drain_finishes",
        play: || {
            let pool = joining("work", 1);
            drop(pool.clone().submit(move || {
                while pool.is_running() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                submit_some(&joining("late", 1));
            }));
        },
        expect: |seen| {
            seen.code(0).says("task", TASKS);
        },
    },
    Check {
        name: "a_pool_that_a_tasks_last_step_starts_between_two_looks_finishes",
        play: || {
            // The hook closes the pools one after the other: the first one's task ends before the last one is closed.
            let pool = joining("work", 1);
            let task = pool.clone();
            drop(pool.submit(move || {
                while task.is_running() {
                    std::hint::spin_loop();
                }
                submit_some(&joining("late", 1));
            }));
            for _ in 0..10_000 {
                let idle = heirloom::create("idle");
                idle.start(PoolConfig::leased(1)).expect("starts");
                std::mem::forget(idle);
            }
        },
        expect: |seen| {
            seen.code(0).says("task", TASKS);
        },
    },
    Check {
        name: "pools_that_wait_for_one_another_finish",
        play: || {
            let (a, b) = (joining("a", 1), joining("b", 1));
            let (submits, submitted) = mpsc::channel();
            drop(a.submit(move || {
                let slow = b.submit(|| std::thread::sleep(Duration::from_millis(100))).expect("accepted");
                let _ = submits.send(());
                println!("{}", slow.join().is_ok());
            }));
            submitted.recv().expect("runs");
        },
        expect: |seen| {
            seen.code(0).says("true", 1);
        },
    },
    Check {
        name: "idle_pools_are_not_waited_for",
        play: || {
            let (leased, own) = (joining("leased", 4), heirloom::create("own"));
            own.start(PoolConfig::dedicated(4)).expect("starts");
            for pool in [&leased, &own] {
                pool.submit(|| ()).expect("accepted").join().expect("ends");
            }
        },
        expect: |seen| {
            seen.code(0);
            assert!(!seen.stderr.contains("heirloom"), "{}", seen.stderr);
        },
    },
    #[cfg(target_os = "linux")]
    Check {
        name: "a_stop_in_an_exit_handler_does_not_wait_for_its_own_thread",
        play: || {
            static OWN: OnceLock<PoolManager> = OnceLock::new();
            extern "C" fn stops() {
                let report = OWN.get().map(PoolManager::stop);
                println!("{}", report.is_some_and(|report| report.is_ok_and(|report| report.is_complete())));
            }
            unsafe extern "C" {
                fn atexit(handler: extern "C" fn()) -> i32;
            }
            // Before the first pool is started, so it runs after the engine's own handler, when the thread's locals are gone.
            // SAFETY: the handler lives as long as the program, and does not unwind.
            unsafe { atexit(stops) };
            let pool = heirloom::create("own");
            pool.start(PoolConfig::dedicated(1)).expect("starts");
            let pool = OWN.get_or_init(|| pool);
            let _ = pool.submit(|| std::process::exit(5)).expect("accepted").join();
            loop {
                std::thread::park();
            }
        },
        expect: |seen| {
            seen.code(5).says("true", 1);
        },
    },
    #[cfg(target_os = "linux")]
    Check {
        name: "what_the_main_threads_locals_submit_at_their_end_completes",
        play: || {
            struct Submits(PoolManager);
            impl Drop for Submits {
                fn drop(&mut self) {
                    match self.0.submit(|| println!("task")) {
                        Ok(task) => drop(task),
                        Err(refused) => println!("refused: {refused}"),
                    }
                }
            }
            thread_local!(static LAST: std::cell::RefCell<Option<Submits>> = const { std::cell::RefCell::new(None) });
            let pool = joining("work", 1);
            LAST.with(|last| *last.borrow_mut() = Some(Submits(pool)));
        },
        expect: |seen| {
            seen.code(0).says("task", 1);
        },
    },
];
