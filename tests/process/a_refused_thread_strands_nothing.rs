//! The system refuses a thread: a pool that has none refuses the task and gives the closure back, or ends what it had
//! accepted meanwhile; a pool that has a thread goes on with it. Nothing is stranded.
//!
//! Each check is a child process: some leave their system without memory for another stack.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use heirloom::{PoolConfig, PoolManager, Scope, SubmitErrorKind, TaskHandle};

use crate::check::Check;
use crate::common::eventually;

/// More than any address space has room for, and a size every system can express.
const ABSURD_STACK: usize = 1 << 46;
/// A stack much larger than what is left after [`refuse_large_stacks`].
const LARGE_STACK: usize = 256 << 20;

/// The last six take their system's memory for another stack away.
pub(crate) static CHECKS: &[Check] = &[
    Check::passes("the_closure_comes_back_and_the_error_says_why", the_closure_comes_back),
    Check::passes("each_way_to_submit_is_refused", each_way_is_refused),
    Check::passes("a_refused_pool_stays_usable_and_stops", stays_usable),
    Check::passes("a_refusal_gives_room_in_the_queue_back", gives_room_back),
    Check::passes("many_closures_come_back_together", many_come_back),
    Check::passes("many_submitters_at_once_are_all_answered", many_submitters),
    Check::passes("a_refused_task_leaves_its_scope", leaves_its_scope),
    #[cfg(target_os = "linux")]
    Check::passes("a_dedicated_pool_that_has_a_thread_accepts_and_goes_on_with_it", goes_on_dedicated),
    #[cfg(target_os = "linux")]
    Check::passes("a_leased_pool_that_has_a_thread_accepts_and_goes_on_with_it", goes_on_leased),
    #[cfg(target_os = "linux")]
    Check::passes("a_leased_pool_without_a_thread_refuses_and_works_again_later", refuses_leased),
    #[cfg(target_os = "linux")]
    Check::passes("a_wait_that_gets_no_thread_for_the_next_task_keeps_its_place", wait_keeps_place),
    #[cfg(target_os = "linux")]
    Check::passes("other_pools_refusals_do_not_end_the_tasks_of_a_pool_at_work", refusals_stay_apart),
    #[cfg(target_os = "linux")]
    Check::passes("an_idle_thread_serves_when_no_new_one_can_be_had", idle_thread_serves),
];

/// From now on this process gets no more address space than a little.
#[cfg(target_os = "linux")]
fn refuse_large_stacks(left: u64) -> libc::rlimit {
    let status = std::fs::read_to_string("/proc/self/statm").expect("this process has a status");
    let pages: u64 = status.split(' ').next().and_then(|n| n.parse().ok()).expect("its size comes first");
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
    // SAFETY: both structures live for the calls; only the soft limit changes, so it can be raised again.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &mut before), 0);
        let after = libc::rlimit { rlim_cur: pages * page + left, rlim_max: before.rlim_max };
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &after), 0);
    }
    before
}

#[cfg(target_os = "linux")]
fn allow_again(before: libc::rlimit) {
    // SAFETY: the structure lives for the call.
    unsafe { assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &before), 0) };
}

#[cfg(not(target_os = "linux"))]
fn refuse_large_stacks(_left: u64) {
    unreachable!("these checks run on Linux only");
}

#[cfg(not(target_os = "linux"))]
fn allow_again(_before: ()) {}

/// Less than the stack of a thread that nobody set a size for, and enough for a few small allocations.
const LITTLE: u64 = 1 << 20;

fn absurd(scope: &Scope) -> PoolManager {
    let pool = scope.create("absurd");
    pool.start(PoolConfig::dedicated(2).stack_size(ABSURD_STACK)).expect("a start makes no thread");
    pool
}

/// A task that has started, and ends when told.
fn busy(pool: &PoolManager) -> (TaskHandle<()>, mpsc::Sender<()>) {
    let (go, gate) = mpsc::channel::<()>();
    let (here, started) = mpsc::channel();
    let task = pool
        .submit(move || {
            here.send(()).expect("the test listens");
            let _ = gate.recv();
        })
        .expect("this thread can be had");
    started.recv().expect("it starts");
    (task, go)
}

fn the_closure_comes_back() {
    let scope = Scope::new("test");
    let pool = absurd(&scope);
    let precious = Arc::new(7);
    let inside = precious.clone();
    let refused = pool.try_submit(move || *inside).expect_err("no system gives such a stack");
    assert!(
        matches!(refused.reason().as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ThreadSpawn { .. })),
        "{refused}"
    );
    assert!(refused.is_temporary());
    assert!(refused.to_string().contains("absurd"), "{refused}");
    assert_eq!(Arc::strong_count(&precious), 2, "the closure is whole");
    assert_eq!(refused.into_task()(), 7);
    assert_eq!(Arc::strong_count(&precious), 1);
    let stats = pool.stats();
    assert_eq!((stats.running, stats.queued, stats.refused, stats.completed, stats.cancelled), (0, 0, 1, 0, 0));
}

fn each_way_is_refused() {
    let scope = Scope::new("test");
    let pool = absurd(&scope);
    let is_spawn = |error: &heirloom::Error| {
        matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ThreadSpawn { .. }))
    };
    assert!(pool.submit(|| ()).is_err_and(|error| is_spawn(&error)));
    assert!(pool.submit_as("any", || ()).is_err_and(|error| is_spawn(&error)));
    assert!(pool.run(|| ()).is_err_and(|error| is_spawn(&error)));
    let day = std::time::Duration::from_secs(86_400);
    assert!(pool.submit_timeout(|| (), day).is_err_and(|error| is_spawn(&error)));
    let asked = futures::executor::block_on(pool.submit_async(|| ()));
    assert!(asked.is_err_and(|error| is_spawn(&error)));
    let mut local = 0;
    pool.scope(|s| assert!(s.submit(|| local += 1).is_err_and(|error| is_spawn(&error))));
    assert_eq!(local, 0);
}

fn stays_usable() {
    let scope = Scope::new("test");
    let pool = absurd(&scope);
    for _ in 0..1_000 {
        assert!(pool.submit(|| ()).is_err());
    }
    pool.wait_idle().expect("from outside");
    assert!(pool.stop().expect("from outside").is_complete());
    pool.start(PoolConfig::dedicated(2)).expect("it has ended");
    assert_eq!(pool.submit(|| 7).expect("an ordinary stack").join().expect("runs"), 7);
}

fn gives_room_back() {
    let scope = Scope::new("test");
    let pool = scope.create("absurd");
    pool.start(PoolConfig::dedicated(1).stack_size(ABSURD_STACK).queue_limit(1)).expect("starts");
    for _ in 0..10 {
        assert!(
            matches!(pool.submit(|| ()), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ThreadSpawn { .. }))),
            "never QueueFull"
        );
    }
}

fn many_come_back() {
    const MANY: usize = 100;
    let scope = Scope::new("test");
    let pool = scope.create("absurd");
    pool.start(PoolConfig::dedicated(2).stack_size(ABSURD_STACK).queue_limit(MANY)).expect("starts");
    let request = Scope::new("request");
    for _ in 0..3 {
        let refused = request.run(|| pool.try_submit_many((0..MANY).map(|n| move || n))).expect_err("no such stack");
        assert!(
            matches!(refused.reason().as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ThreadSpawn { .. })),
            "never QueueFull: {refused}"
        );
        let back: Vec<usize> = refused.into_task().into_iter().map(|task| task()).collect();
        assert_eq!(back, (0..MANY).collect::<Vec<_>>(), "all, in their order");
    }
    let stats = pool.stats();
    assert_eq!((stats.running, stats.queued, stats.refused, stats.cancelled), (0, 0, 3 * MANY as u64, 0));
    request.finish();
    assert!(pool.stop().expect("from outside").is_complete());
}

fn many_submitters() {
    const EACH: usize = 500;
    let scope = Scope::new("test");
    let pool = absurd(&scope);
    let (refused, ended, dropped) = (AtomicUsize::new(0), AtomicUsize::new(0), Arc::new(()));
    let together = Barrier::new(4);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                together.wait();
                for _ in 0..EACH {
                    let inside = dropped.clone();
                    match pool.submit(move || drop(inside)) {
                        Err(error) => {
                            assert!(
                                matches!(
                                    error.as_submit().map(|it| it.kind()),
                                    Some(SubmitErrorKind::ThreadSpawn { .. })
                                ),
                                "{error}"
                            );
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(handle) => {
                            let error = handle.join().expect_err("there is no thread to run it");
                            assert!(error.kind() == heirloom::ErrorKind::NoThread, "{error}");
                            ended.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    assert_eq!(refused.into_inner() + ended.into_inner(), 4 * EACH);
    pool.wait_idle().expect("from outside");
    assert_eq!(Arc::strong_count(&dropped), 1, "every closure is gone");
    assert!(pool.stop().expect("from outside").is_complete());
}

fn leaves_its_scope() {
    let outer = Scope::new("outer");
    let pool = absurd(&outer);
    let request = Scope::new("request");
    request.run(|| assert!(pool.submit(|| ()).is_err()));
    assert_eq!(request.pending(), 0);
    assert!(request.stop().expect("from outside").is_complete());
}

fn goes_on_dedicated() {
    let scope = Scope::new("test");
    let pool = scope.create("two");
    pool.start(PoolConfig::dedicated(2).stack_size(LARGE_STACK)).expect("starts");
    goes_on_with_its_thread(&pool, LARGE_STACK as u64 / 2);
}

fn goes_on_leased() {
    let scope = Scope::new("test");
    let pool = scope.create("two");
    pool.start(PoolConfig::leased(2)).expect("starts");
    goes_on_with_its_thread(&pool, LITTLE);
}

fn goes_on_with_its_thread(pool: &PoolManager, left: u64) {
    let (first, go) = busy(pool);
    let before = refuse_large_stacks(left);
    let handles: Vec<_> = (0..10).map(|i| pool.submit(move || i).expect("the pool has a thread")).collect();
    go.send(()).expect("the task listens");
    first.join().expect("runs");
    for (i, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.join().expect("the one thread runs it"), i);
    }
    allow_again(before);
    assert!(pool.stop().expect("from outside").is_complete());
}

fn refuses_leased() {
    let scope = Scope::new("test");
    let pool = scope.create("none");
    pool.start(PoolConfig::leased(2)).expect("starts");
    let before = refuse_large_stacks(LITTLE);
    let refused = pool.try_submit(|| 7).expect_err("there is no room for a stack");
    assert!(
        matches!(refused.reason().as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ThreadSpawn { .. })),
        "{refused}"
    );
    assert_eq!(pool.run(|| 8).expect("the caller's thread needs no new one"), 8);
    allow_again(before);
    assert_eq!(pool.try_submit(refused.into_task()).expect("now there is").join().expect("runs"), 7);
    assert!(pool.stop().expect("from outside").is_complete());
}

fn wait_keeps_place() {
    let scope = Scope::new("test");
    let pool = scope.create("one");
    pool.start(PoolConfig::leased(1)).expect("starts");
    let (go, gate) = mpsc::channel::<()>();
    let (here, started) = mpsc::channel();
    let waits = pool
        .submit(move || {
            here.send(()).expect("the test listens");
            let _ = gate.recv();
            heirloom::blocking(|| here.send(()).expect("the test listens"));
            let _ = gate.recv();
        })
        .expect("this thread can be had");
    started.recv().expect("it starts");
    let next: Vec<_> = (0..3).map(|i| pool.submit(move || i).expect("queued behind it")).collect();
    let before = refuse_large_stacks(LITTLE);
    go.send(()).expect("the task listens");
    started.recv().expect("the wait begins, and ends, without a thread for the next task");
    assert!(next.iter().all(|task| !task.is_finished()), "they wait for the one thread");
    go.send(()).expect("the task listens");
    waits.join().expect("runs");
    for (i, task) in next.into_iter().enumerate() {
        assert_eq!(task.join().expect("the one thread runs it"), i);
    }
    allow_again(before);
}

fn refusals_stay_apart() {
    let scope = Scope::new("test");
    let (works, refused) = (scope.create("works"), scope.create("refused"));
    works.start(PoolConfig::leased(1)).expect("starts");
    refused.start(PoolConfig::leased(1)).expect("starts");
    let (first, go) = busy(&works);
    let tasks: Vec<_> = (0..50_000).map(|_| works.submit(|| ()).expect("the pool has a thread")).collect();
    let before = refuse_large_stacks(LITTLE);
    go.send(()).expect("the task listens");
    // The pool at work hands its thread on from time to time when others are in line; it must not be told that the
    // thread it has was refused.
    let mut answers = 0;
    while !tasks.last().is_none_or(TaskHandle::is_finished) {
        match refused.submit(|| ()) {
            Err(error) => assert!(
                matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ThreadSpawn { .. })),
                "{error}"
            ),
            // Accepted while a thread was on its way, or the one there is came by.
            Ok(handle) => drop(handle.join()),
        }
        answers += 1;
    }
    assert!(answers > 0);
    first.join().expect("runs");
    let lost = tasks.into_iter().map(TaskHandle::join).filter(Result::is_err).count();
    assert_eq!(lost, 0, "tasks of a pool that has a thread were ended for want of one");
    allow_again(before);
}

fn idle_thread_serves() {
    let scope = Scope::new("test");
    let (one, other) = (scope.create("one"), scope.create("other"));
    one.start(PoolConfig::leased(1)).expect("starts");
    other.start(PoolConfig::leased(1)).expect("starts");
    one.submit(|| ()).expect("this thread can be had").join().expect("runs");
    eventually("its thread is idle", || heirloom::threads::stats().idle == 1);
    let before = refuse_large_stacks(LITTLE);
    for i in 0..1_000 {
        assert_eq!(other.submit(move || i).expect("an idle thread is there").join().expect("runs"), i);
    }
    allow_again(before);
}
