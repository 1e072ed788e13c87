//! In a fork's child no wait is for a thread of the parent's: each verb that would wait answers at once. What the child
//! makes itself works there, unless the parent had started a pool.

use std::sync::mpsc;
use std::time::Duration;

use heirloom::{Gate, Heirloom, PoolConfig, PoolManager, Scope, StartErrorKind, SubmitErrorKind, TaskSet, thread};

use crate::check::Check;
use crate::forks::forked;

/// Longer than a child may take.
const LONG: Duration = Duration::from_secs(3600);

/// A pool whose only place and whose only room are taken until the sender is dropped; the running task.
fn busy(config: PoolConfig) -> (PoolManager, heirloom::TaskHandle<()>, mpsc::Sender<()>) {
    let pool = heirloom::create("work");
    pool.start(config.queue_limit(1)).expect("starts");
    let (go, gate) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel();
    let task = pool.submit(move || {
        let _ = started.send(());
        let _ = gate.recv();
    });
    running.recv().expect("runs");
    drop(pool.submit(|| ()).expect("accepted"));
    (pool, task.expect("accepted"), go)
}

/// The child finds all of it true.
fn the_child_sees(checks: impl FnOnce() -> Vec<(&'static str, bool)>) {
    let child = forked(|| {
        let untrue: Vec<&str> = checks().into_iter().filter(|(_, is)| !is).map(|(what, _)| what).collect();
        eprintln!("untrue in the child: {untrue:?}");
        i32::from(!untrue.is_empty())
    });
    assert_eq!(child, Some(0), "none is untrue, and none hangs");
}

fn is_forked<T>(joined: Result<T, heirloom::Error>) -> bool {
    joined.is_err_and(|error| error.kind() == heirloom::ErrorKind::Forked && error.to_string().contains("fork"))
}

pub(crate) static CHECKS: &[Check] = &[
    Check::passes("joins", || {
        let (_pool, task, go) = busy(PoolConfig::leased(1));
        let mut task = Some(task);
        the_child_sees(|| {
            let within = task.take().map(|task| task.join_timeout(LONG));
            vec![("join_timeout", within.is_some_and(|joined| joined.is_ok_and(is_forked)))]
        });
        drop(go);
        task.expect("kept by the parent").join().expect("ends");
    }),
    Check::passes("sets", || {
        let (_pool, task, go) = busy(PoolConfig::leased(1));
        let mut set = TaskSet::new();
        set.push(task);
        the_child_sees(|| {
            let within = set.join_next_timeout(LONG).is_ok_and(|next| next.is_some_and(|(_, ended)| is_forked(ended)));
            vec![("join_next_timeout", within), ("join_next", set.join_next().is_none())]
        });
        drop(go);
        assert!(set.join_next().is_some_and(|(_, ended)| ended.is_ok()));
    }),
    Check::passes("streams", || {
        let pool = heirloom::create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let (go, gate) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel();
        let items = pool.stream(move |out| {
            let _ = started.send(());
            let _ = gate.recv();
            out.send(1)
        });
        let mut items = items.expect("accepted");
        running.recv().expect("runs");
        the_child_sees(|| {
            let within = items.next_timeout(LONG).is_ok_and(|next| next.is_some_and(is_forked));
            vec![("next_timeout", within), ("next", items.next().is_none())]
        });
        drop(go);
        assert!(items.next().is_some_and(|item| item.is_ok_and(|item| item == 1)));
    }),
    Check::passes("drops", || {
        let (go, gate) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel();
        let pool = heirloom::create("work");
        pool.start(PoolConfig::leased(1)).expect("starts");
        let task = pool.submit(move || {
            let _ = started.send(());
            let _ = gate.recv();
        });
        running.recv().expect("runs");
        // Each task owns a clone, which an end of the task drops.
        let owned = std::sync::Arc::new(());
        let inputs = || [std::sync::Arc::clone(&owned), std::sync::Arc::clone(&owned)];
        let mut map = Some(pool.map(inputs(), drop).expect("accepted"));
        let mut unordered = Some(pool.map_unordered(inputs(), drop).expect("accepted"));
        let mut trying = Some(pool.try_map(inputs(), |input| {
            drop(input);
            Ok::<_, heirloom::Error>(())
        }));
        let [input, other] = inputs();
        let mut stream = Some(
            pool.stream(move |out| {
                drop(input);
                out.send(())
            })
            .expect("accepted"),
        );
        let mut cancelled = Some(pool.submit(move || drop(other)).expect("accepted").cancel_on_drop());
        let all = std::sync::Arc::strong_count(&owned);
        the_child_sees(|| {
            let kept = || std::sync::Arc::strong_count(&owned) == all;
            drop(map.take());
            let map = kept();
            drop(unordered.take());
            let unordered = kept();
            drop(trying.take());
            let trying = kept();
            drop(stream.take());
            let stream = kept();
            drop(cancelled.take());
            vec![
                ("map", map),
                ("map_unordered", unordered),
                ("try_map", trying),
                ("stream", stream),
                ("cancel_on_drop", kept()),
            ]
        });
        drop(go);
        task.expect("accepted").join().expect("ends");
        assert_eq!(map.expect("the parent's").filter(|result| result.is_ok()).count(), 2);
        assert_eq!(stream.expect("the parent's").filter(|item| item.is_ok()).count(), 1);
    }),
    Check::passes("submits", || {
        let (pool, _task, go) = busy(PoolConfig::leased(1));
        the_child_sees(|| {
            let refused = |error: &heirloom::Error| {
                matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Forked))
            };
            let within = pool.submit_timeout(|| (), LONG).is_err_and(|error| refused(&error));
            let asynchronous = futures::executor::block_on(pool.submit_async(|| ()));
            let again = pool.ensure_started(PoolConfig::leased(1).queue_limit(1));
            vec![
                ("submit_timeout", within),
                ("submit_async", asynchronous.is_err_and(|error| refused(&error))),
                ("map", pool.map(0..9, |n| n).is_err_and(|error| refused(&error))),
                ("scope", pool.scope(|s| s.submit(|| ()).is_err_and(|error| refused(&error)))),
                (
                    "ensure_started",
                    matches!(again, Err(ref error) if matches!(error.as_start().map(|it| it.kind()), Some(StartErrorKind::Forked))),
                ),
            ]
        });
        drop(go);
    }),
    Check::passes("submits beside starts", || {
        let scope = Scope::new("request");
        // Many, since a read holds up only those removals whose addresses look like its own.
        let others: Vec<_> = (0..64_u64).map(|n| scope.create(n)).collect();
        others.iter().for_each(|other| other.start(PoolConfig::leased(1)).expect("starts"));
        let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let restarts = || {
            let over = std::sync::Arc::clone(&over);
            std::thread::spawn(move || {
                let scope = Scope::new("restarts");
                let pool = scope.create("work");
                while !over.load(std::sync::atomic::Ordering::SeqCst) {
                    pool.start(PoolConfig::leased(1)).expect("starts");
                    assert!(pool.stop().expect("from outside").is_complete());
                }
            })
        };
        let threads: Vec<_> = (0..3).map(|_| restarts()).collect();
        let looks = |others: &[PoolManager]| {
            let running = others.iter().all(PoolManager::is_running);
            let refused = others.iter().all(|other| other.try_submit(|| ()).is_err());
            vec![("is_running", running), ("try_submit", refused)]
        };
        assert!(others.iter().all(PoolManager::is_running));
        // A thread may hold a lock of the managers' at the moment of a fork.
        for _ in 0..20 {
            the_child_sees(|| looks(&others));
            let others = others.clone();
            let fresh = std::thread::spawn(move || the_child_sees(|| looks(&others)));
            fresh.join().expect("the child of a thread that has used no manager before");
        }
        over.store(true, std::sync::atomic::Ordering::SeqCst);
        threads.into_iter().for_each(|thread| thread.join().expect("ends"));
    }),
    Check::passes("ends", || {
        // Idle threads of its own: the pool is over in the child as soon as it is closed, and they never go.
        let idle = heirloom::create("idle");
        idle.start(PoolConfig::dedicated(1).warm(1)).expect("starts");
        let (pool, _task, go) = busy(PoolConfig::dedicated(1));
        let request = Scope::new("request");
        let own = request.create("own");
        own.start(PoolConfig::dedicated(1).warm(1)).expect("starts");
        the_child_sees(|| {
            let all = futures::executor::block_on(async {
                (idle.stop_async().await.is_ok(), pool.stop_async().await.is_ok(), request.stop_async().await.is_ok())
            });
            vec![
                ("stop", idle.stop().is_ok() && pool.stop().is_ok() && request.stop().is_ok()),
                ("stop_async", all == (true, true, true)),
                ("wait_idle", pool.wait_idle().is_ok() && idle.wait_idle().is_ok()),
                ("wait_idle_timeout", pool.wait_idle_timeout(LONG).is_ok_and(|idle| !idle)),
                ("shutdown", !heirloom::shutdown_timeout(LONG).is_complete()),
            ]
        });
        drop(go);
        assert!(pool.stop().expect("none of its tasks").is_complete());
    }),
    Check::passes("gates", || {
        let gate = std::sync::Arc::new(Gate::new("stage"));
        let (own, held) = (std::sync::Arc::new(Gate::new("own")), std::sync::Arc::clone(&gate));
        let (go, wait) = mpsc::channel::<()>();
        let (says, is_in) = mpsc::channel();
        let holder = thread::spawn(move || {
            let _in = held.enter().expect("free");
            says.send(()).expect("somebody listens");
            let _ = wait.recv();
        })
        .expect("a thread starts");
        is_in.recv().expect("it is in");
        let mine = own.enter().expect("free");
        let mut mine = Some(mine);
        the_child_sees(|| {
            let busy = gate.enter_timeout(Duration::MAX).map(drop);
            let again = own.enter().is_ok();
            drop(mine.take());
            vec![
                (
                    "another's",
                    busy.is_err_and(|busy| {
                        busy.kind() == heirloom::ErrorKind::Forked && busy.to_string().contains("a fork")
                    }),
                ),
                ("one's own, again", again),
                ("one's own, let go", own.try_enter().is_ok()),
                ("a new one", Gate::new("new").enter().is_ok()),
            ]
        });
        drop((go, mine));
        holder.join().expect("ends");
        assert!(gate.enter_timeout(LONG).is_ok());
    }),
    Check::passes("a_gate_whose_waiters_are_in_the_parent_is_free_when_the_child_lets_go", || {
        let gate = std::sync::Arc::new(Gate::new("stage"));
        let mine = gate.enter().expect("free");
        let others = std::sync::Arc::clone(&gate);
        let waiter = thread::spawn(move || others.enter_timeout(LONG).map(drop)).expect("a thread starts");
        // It stands in line once it is inside of the wait, which its pool-less thread has no sign of but time.
        std::thread::sleep(Duration::from_millis(300));
        let mut mine = Some(mine);
        the_child_sees(|| {
            drop(mine.take());
            vec![("free", gate.try_enter().is_ok())]
        });
        drop(mine);
        assert!(waiter.join().expect("ends").is_ok());
    }),
    Check::passes("initialisers", || {
        static VALUE: Heirloom<u32> = Heirloom::new("value");
        let (go, wait) = mpsc::channel::<()>();
        let (says, begun) = mpsc::channel();
        let leads = std::thread::spawn(move || {
            VALUE.get_or_init(|| {
                says.send(()).expect("somebody listens");
                let _ = wait.recv();
                1
            })
        });
        begun.recv().expect("it begins");
        the_child_sees(|| vec![("made here", VALUE.get_or_init(|| 2).is_ok_and(|value| *value == 2))]);
        drop(go);
        assert_eq!(*leads.join().expect("ends").expect("made"), 1);
        assert_eq!(*VALUE.get_or_init(|| 3).expect("made"), 1);
    }),
    Check::passes("an_initialiser_that_forks_goes_on_in_both", || {
        static VALUE: Heirloom<u32> = Heirloom::new("value");
        let parent = std::process::id();
        let made = VALUE.get_or_init(|| {
            match forked(|| {
                let inner = VALUE.get_or_init(|| 9);
                i32::from(inner.is_err()) + 2
            }) {
                Some(3) => 1,
                other => panic!("{other:?} of {parent}"),
            }
        });
        assert_eq!(*made.expect("made"), 1);
    }),
    Check::passes("threads", || {
        let (go, wait) = mpsc::channel::<()>();
        let (mut runs, mut over) = (
            Some(thread::spawn(move || wait.recv().is_err()).expect("a thread starts")),
            Some(thread::spawn(|| true).expect("a thread starts")),
        );
        while !over.as_ref().is_some_and(thread::JoinHandle::is_finished) {
            std::thread::yield_now();
        }
        the_child_sees(|| {
            let joined = [&mut runs, &mut over].map(|handle| handle.take().map(thread::JoinHandle::join));
            let [one, other] = joined.map(|joined| joined.is_some_and(is_forked));
            let new = thread::spawn(|| 6).expect("a thread starts").join();
            vec![
                ("one that runs", one),
                ("one that has ended", other),
                ("one of the child's", new.is_ok_and(|six| six == 6)),
            ]
        });
        let mut cancelling = Some(thread::spawn(|| heirloom::sleep(LONG)).expect("a thread starts"));
        the_child_sees(|| {
            let joined = cancelling.take().map(thread::JoinHandle::join_cancelling);
            vec![("join_cancelling", joined.is_some_and(is_forked))]
        });
        drop(go);
        assert!(runs.expect("the parent's").join().expect("ends"));
        let sleeps = cancelling.expect("the parent's");
        sleeps.cancel();
        assert!(sleeps.join().expect("ends").is_err());
    }),
    #[cfg(feature = "tokio")]
    Check::passes("portals", || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("starts");
        let portal = heirloom::Portal::new(runtime.handle());
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let mut under_way = Some(portal.spawn(async { wait.await.is_err() }));
        the_child_sees(|| {
            let not_running =
                |error: heirloom::Error| matches!(error.as_portal(), Some(heirloom::PortalError::NotRunning { .. }));
            vec![
                ("under way", under_way.take().is_some_and(|handle| handle.join().is_err_and(not_running))),
                ("new", portal.block_on(async {}).is_err_and(not_running)),
            ]
        });
        drop(go);
        assert!(under_way.expect("the parent's").join().expect("ends"));
        std::mem::forget(runtime);
    }),
    Check::passes("a_local_pools_tasks_run_in_the_parent_only", || {
        let ui = heirloom::create("ui");
        let local = ui.start_local(PoolConfig::local()).expect("starts");
        let (says, said) = mpsc::channel();
        let task = ui.submit(move || says.send(std::process::id())).expect("accepted");
        the_child_sees(|| {
            vec![
                ("run_pending", local.run_pending() == 0),
                ("run_timeout", !local.run_timeout(Duration::from_millis(10))),
                ("nothing ran", said.try_recv().is_err()),
            ]
        });
        local.run_until(task).expect("ends").expect("it listens");
        assert_eq!(said.recv(), Ok(std::process::id()));
    }),
    Check::passes("a_wait_in_a_forked_task_starts_no_thread_for_those_in_line", || {
        heirloom::threads::set_limit(1);
        let (pool, next) = (heirloom::create("work"), heirloom::create("next"));
        pool.start(PoolConfig::leased(1)).expect("starts");
        next.start(PoolConfig::leased(1)).expect("starts");
        let (go, gate) = mpsc::channel::<()>();
        let forks = pool.submit(move || {
            gate.recv().expect("another pool is in line");
            forked(|| {
                let _ = heirloom::sleep(Duration::from_millis(300));
                heirloom::blocking(|| std::thread::sleep(Duration::from_millis(100)));
                0
            })
        });
        let parent = std::process::id();
        let queued = next.submit(move || assert_eq!(std::process::id(), parent, "it runs in the parent only"));
        go.send(()).expect("it waits");
        assert_eq!(forks.expect("accepted").join().expect("ends"), Some(0));
        queued.expect("accepted").join().expect("runs");
    }),
    Check::passes("values_gates_and_threads_before_the_fork_leave_pools_to_the_child", || {
        static VALUE: Heirloom<u32> = Heirloom::new("value");
        VALUE.at(&heirloom::Lineage::process()).bind(7).expect("open");
        let gate = Gate::new("stage");
        drop(gate.enter().expect("free"));
        assert_eq!(thread::spawn(|| 5).expect("a thread starts").join().expect("ends"), 5);
        the_child_sees(|| {
            let pool = heirloom::create("work");
            pool.start(PoolConfig::leased(1)).expect("starts");
            let ran = pool.submit(|| VALUE.with(|value| *value)).expect("accepted").join();
            let made = pool.run(|| thread::spawn(|| 6).expect("a thread starts").join().is_ok_and(|six| six == 6));
            vec![
                ("a task", ran.is_ok_and(|value| value.is_ok_and(|value| value == 7))),
                ("run", made.is_ok_and(|is| is)),
            ]
        });
    }),
];
