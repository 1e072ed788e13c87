//! `map` yields the results in the order of their inputs, whichever task is faster; it goes through endless iterators
//! and bounded queues; a panic is that one item's, and after a refusal it ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

use heirloom::{PoolConfig, PoolManager, Scope, SubmitError, SubmitErrorKind};

use crate::common::bounded;

fn pool(scope: &Scope, config: PoolConfig) -> PoolManager {
    let pool = scope.create("work");
    pool.start(config).expect("starts");
    pool
}

#[test]
fn results_keep_the_order_however_tasks_overtake_each_other() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(2));
        let (second_ran, wait_for_second) = mpsc::channel();
        let (second_ran, wait_for_second) = (Mutex::new(second_ran), Mutex::new(wait_for_second));
        let work = move |n: u32| {
            match n {
                0 => wait_for_second.lock().expect("one user").recv().expect("the second runs first"),
                1 => second_ran.lock().expect("one user").send(()).expect("the first waits"),
                _ => {}
            }
            n
        };
        let results: Vec<u32> = pool.map(0..50, work).expect("accepted").map(|r| r.expect("ends")).collect();
        assert_eq!(results, (0..50).collect::<Vec<_>>());
    });
}

#[test]
fn an_empty_iterator_yields_nothing() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        assert_eq!(pool.map(Vec::<u32>::new(), |n| n).expect("accepted").count(), 0);
    });
}

#[test]
fn an_endless_iterator_is_drawn_from_as_results_are_taken() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(3));
        let drawn = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&drawn);
        let endless = (0_u64..).inspect(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let mut results = pool.map(endless, |n| n * 2).expect("accepted");
        for n in 0..1000 {
            assert_eq!(results.next().expect("endless").expect("ends"), n * 2);
        }
        assert!(drawn.load(Ordering::Relaxed) <= 1000 + 64 * 3, "drew {}", drawn.load(Ordering::Relaxed));
    });
}

#[test]
fn items_that_take_long_are_drawn_a_few_for_each_permit_ahead() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let drawn = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&drawn);
        let endless = (0_u64..).inspect(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        // Longer than the items of a window take together.
        let work = |n| {
            std::thread::sleep(Duration::from_millis(11));
            n
        };
        let mut results = pool.map(endless, work).expect("accepted");
        for n in 0..12 {
            assert_eq!(results.next().expect("endless").expect("ends"), n);
            assert!(drawn.load(Ordering::Relaxed) as u64 <= n + 1 + 4, "drew {}", drawn.load(Ordering::Relaxed));
        }
    });
}

#[test]
fn an_item_may_wait_for_a_later_one_of_its_window() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(3));
        // Each three items meet, wherever the consumer stands in its window.
        let meet = Arc::new(Barrier::new(3));
        let results = pool.map(0..300, move |_| meet.wait().is_leader()).expect("accepted");
        assert_eq!(results.filter(|result| matches!(result, Ok(true))).count(), 100);
    });
}

#[test]
fn an_item_is_submitted_before_the_next_is_drawn() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(2));
        // The iterator yields items that the tasks of earlier items send, as a crawler does.
        let (finds, found) = mpsc::channel();
        finds.send(0_u32).expect("the iterator listens");
        let work = move |page| {
            if page < 500 {
                finds.send(page + 1).expect("the iterator listens");
            }
            page
        };
        let pages = pool.map(found.into_iter().take(501), work).expect("accepted");
        assert_eq!(pages.map(|page| page.expect("ends")).collect::<Vec<_>>(), (0..=500).collect::<Vec<_>>());
    });
}

#[test]
fn tasks_start_before_the_first_result_is_asked_for() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(2));
        let both = Arc::new(Barrier::new(3));
        let meet = Arc::clone(&both);
        let results = pool.map(0..2, move |_| meet.wait().is_leader()).expect("accepted");
        both.wait();
        assert_eq!(results.count(), 2);
    });
}

#[test]
fn a_bounded_queue_is_not_overrun() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(2).queue_limit(1));
        let results: Result<Vec<u32>, _> = pool.map(0..500, |n| n).expect("accepted").collect();
        assert_eq!(results.expect("none is refused"), (0..500).collect::<Vec<_>>());
        assert_eq!(pool.stats().refused, 0, "no submission of the user's was refused");
    });
}

#[test]
fn a_queue_that_others_fill_is_waited_for() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1).queue_limit(1));
        let (go, gate) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel();
        let first = pool.submit(move || {
            let _ = started.send(());
            let _ = gate.recv();
        });
        running.recv().expect("runs");
        let queued = pool.submit(|| ()).expect("there is room");
        let results = pool.map(0..5, |n| n).expect("not refused for want of room");
        drop(go);
        let results: Result<Vec<i32>, _> = results.collect();
        assert_eq!(results.expect("none is refused"), [0, 1, 2, 3, 4]);
        drop((first, queued));
    });
}

#[test]
fn a_map_in_a_task_of_the_same_pool_of_one_ends() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1).queue_limit(1));
        let this = pool.clone();
        let sum = pool.submit(move || this.map(0..20, |n| n).expect("accepted").map(|r| r.expect("ends")).sum::<i32>());
        assert_eq!(sum.expect("accepted").join().expect("ends"), 190);
    });
}

#[test]
fn a_panic_is_its_items_and_the_others_go_on() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(2).log_panics(false));
        let work = |n: i32| if n == 3 { panic!("not {n}") } else { 10 / (n - 3) };
        let results: Vec<_> = pool.map(0..6, work).expect("accepted").collect();
        for (n, result) in results.into_iter().enumerate() {
            match result {
                Ok(value) => assert_eq!(value, 10 / (n as i32 - 3)),
                Err(error) => {
                    assert_eq!(n, 3);
                    assert_eq!(error.panic_message(), Some("not 3"));
                }
            }
        }
    });
}

#[test]
fn a_panic_of_the_iterator_is_the_callers() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let inputs = (0..100).map(|n| if n == 50 { panic!("the iterator") } else { n });
        let mut results = pool.map(inputs, |n| n).expect("accepted");
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| results.by_ref().count()));
        assert_eq!(caught.expect_err("it panics here").downcast_ref(), Some(&"the iterator"));
        drop(results);
        pool.wait_idle().expect("not from an own task");
    });
}

#[test]
fn a_pool_that_does_not_run_refuses_the_first() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = scope.create("work");
        assert!(
            matches!(pool.map(0..3, |n| n), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::NotStarted { .. })))
        );
        pool.start(PoolConfig::leased(1).task_type("t")).expect("starts");
        assert!(
            matches!(pool.map(0..3, |n| n), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::UnknownTaskType { .. })))
        );
        assert_eq!(pool.of_type("t").map(0..3, |n| n).expect("its type").count(), 3);
        pool.close();
        assert!(
            matches!(pool.of_type("t").map(0..3, |n| n), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Closed { .. })))
        );
    });
}

#[test]
fn a_later_refusal_is_the_last_answer() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let mut results = pool.map(0..20, |n| n).expect("accepted");
        assert_eq!(results.next().expect("the first").expect("ends"), 0);
        pool.close();
        let rest: Vec<_> = results.collect();
        let (refused, accepted) = rest.split_last().expect("the refusal");
        assert!(accepted.len() < 19 && accepted.iter().all(|result| result.is_ok()));
        let error = refused.as_ref().expect_err("it is refused");
        assert!(matches!(error.as_submit().map(SubmitError::kind), Some(SubmitErrorKind::Closed { .. })), "{error}");
    });
}

#[test]
fn dropping_it_cancels_what_is_under_way() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (ends, ended) = mpsc::channel();
        let (starts, has_started) = mpsc::channel();
        let work = move |n: u32| {
            starts.send(n).expect("the test listens");
            while !heirloom::is_cancelled() {
                std::thread::yield_now(); // unlike a wait it keeps the only permit
            }
            ends.send(()).expect("the test listens");
        };
        let results = pool.map(0..4, work).expect("accepted");
        assert_eq!(has_started.recv(), Ok(0));
        drop(results);
        ended.recv().expect("the running task was cancelled");
        pool.wait_idle().expect("not from an own task");
        assert!(has_started.try_recv().is_err(), "no queued task has started");
    });
}

#[test]
fn taking_its_rest_leaves_what_is_under_way_to_end() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let ran = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ran);
        let map = pool.map(0..9, move |_| count.fetch_add(1, Ordering::Relaxed)).expect("accepted");
        assert_eq!(map.into_rest().collect::<Vec<_>>(), [4, 5, 6, 7, 8]);
        pool.wait_idle().expect("not from an own task");
        assert_eq!(ran.load(Ordering::Relaxed), 4);
    });
}

#[test]
fn a_result_that_was_taken_is_kept_by_nobody() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        for result in pool.map(0..5, Arc::new).expect("accepted") {
            assert_eq!(Arc::strong_count(&result.expect("ends")), 1);
        }
    });
}

#[test]
fn an_iterator_that_ended_is_not_asked_again() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let mut left = 3;
        let mut ended = false;
        let inputs = std::iter::from_fn(move || {
            assert!(!ended, "asked after its end");
            ended = left == 0;
            (!ended).then(|| {
                left -= 1;
                left
            })
        });
        let results: Vec<_> = pool.map(inputs, |n| n).expect("accepted").map(|r| r.expect("ends")).collect();
        assert_eq!(results, [2, 1, 0]);
    });
}

#[test]
fn a_slow_consumer_keeps_no_more_than_the_window_under_way() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let mut results = pool.map(0.., |n: u32| n).expect("accepted");
        pool.wait_idle().expect("not from an own task");
        let before = pool.stats().completed;
        assert!(before <= 4, "{before}");
        assert!(results.next().is_some());
        assert!(pool.wait_idle_timeout(Duration::from_secs(30)).expect("not from an own task"));
        assert!(pool.stats().completed <= before + 1);
    });
}

#[test]
fn after_its_pool_or_its_request_ended_there_is_one_error_and_the_rest_comes_back() {
    bounded(|| {
        let ends: [fn(&PoolManager, Scope); 4] = [
            |pool, request| {
                pool.close();
                drop(request);
            },
            |pool, request| {
                pool.cancel();
                drop(request);
            },
            |_, request| drop(request),
            |_, request| request.finish(),
        ];
        for end in ends {
            let owner = Scope::new("owner");
            let pool = owner.create("work");
            pool.start(PoolConfig::leased(2)).expect("starts");
            let request = Scope::new("request");
            let mut map = request.run(|| pool.map(0_u64.., |n| n)).expect("accepted");
            assert_eq!(map.next().expect("endless").expect("runs"), 0);
            end(&pool, request);
            // What was under way, and then the refusal.
            let results: Vec<_> = map.by_ref().collect();
            assert!(results.last().is_some_and(|last| last.is_err()), "the last one says why");
            assert!(map.next().is_none() && map.next().is_none());
            assert_eq!(map.into_rest().next(), Some(results.len() as u64), "no input is lost");
        }
    });
}

#[test]
fn a_map_where_a_scope_was_cancelled_names_the_scope_as_a_submit_does() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = pool(&owner, PoolConfig::leased(1));
        let request = Scope::new("request");
        let mut map = request.run(|| pool.map(0_u64.., |n| n)).expect("accepted");
        request.cancel();
        let refused = map.by_ref().last().expect("the refusal").expect_err("the request has ended");
        let late = request.run(|| pool.map(0..3, |n| n)).map(drop).expect_err("the request has ended");
        let submitted = request.run(|| pool.submit(|| ())).map(drop).expect_err("the request has ended");
        for reason in [&refused, &late, &submitted] {
            assert!(
                matches!(reason.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::ScopeEnded { .. })),
                "{reason}"
            );
            assert!(reason.to_string().contains(&request.to_string()), "{reason}");
        }
        assert!(refused.is_cancelled());
    });
}

#[test]
fn a_map_of_a_task_that_was_asked_to_stop_says_so_and_speaks_of_no_queue() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1));
        let (asked, goes_on) = mpsc::channel::<()>();
        let own = pool.clone();
        let task = pool.submit(move || {
            let _ = heirloom::current(); // a node, which the request is made to
            let _ = goes_on.recv();
            own.map(0..3, |n| n).map(drop).expect_err("it was asked to stop")
        });
        let task = task.expect("accepted");
        while task.status() == heirloom::TaskStatus::Queued {
            std::thread::yield_now();
        }
        task.cancel();
        drop(asked);
        let reason = task.join().expect("it returns");
        assert!(matches!(reason.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Cancelled { .. })), "{reason}");
        assert!(reason.to_string().contains("was cancelled") && !reason.to_string().contains("room"), "{reason}");
    });
}

#[test]
fn a_wait_with_a_limit_comes_back_and_loses_nothing() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(2).queue_limit(2));
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let work = move |n: u32| {
            if n == 2 {
                let _ = gate.lock().expect("one user").recv();
            }
            n
        };
        let mut results = pool.map(0..5, work).expect("accepted");
        let d = Duration::from_millis(20);
        let mut next = || results.next_timeout(d);
        let until_it_is_there = |next: &mut dyn FnMut() -> _| loop {
            if let Ok(next) = next() {
                break next;
            }
        };
        for n in 0..2 {
            let result: Option<Result<u32, heirloom::Error>> = until_it_is_there(&mut next);
            assert_eq!(result.expect("there are more").expect("ends"), n);
        }
        for _ in 0..3 {
            assert!(next().is_err_and(|error| error.as_timed_out().is_some()), "the third waits");
        }
        assert!(results.next_timeout(Duration::ZERO).is_err_and(|error| error.as_timed_out().is_some()));
        drop(go);
        let rest: Result<Vec<_>, _> =
            std::iter::from_fn(|| results.next_timeout(Duration::MAX).expect("without a limit")).collect();
        assert_eq!(rest.expect("none is refused"), [2, 3, 4]);
        assert!(matches!(results.next_timeout(Duration::ZERO), Ok(None)));
        assert_eq!(pool.stats().refused, 0);
    });
}

#[test]
fn a_wait_with_a_limit_for_room_in_a_queue_comes_back_too() {
    bounded(|| {
        let scope = Scope::new("test");
        let pool = pool(&scope, PoolConfig::leased(1).queue_limit(1));
        let blocker = crate::common::pools::Busy::on(&pool);
        let queued = pool.submit(|| ()).expect("there is room");
        let mut results = pool.map(0..2, |n| n).expect("not refused for want of room");
        for _ in 0..2 {
            let late = results.next_timeout(Duration::from_millis(5));
            assert!(late.is_err_and(|error| error.as_timed_out().is_some()));
        }
        assert_eq!(pool.stats().refused, 0, "no submission of the user's was refused");
        blocker.end();
        queued.join().expect("runs");
        let rest: Result<Vec<_>, _> = results.collect();
        assert_eq!(rest.expect("none is refused"), [0, 1]);

        // What ends the map is told at once.
        let mut results = pool.map(0.., |n: u32| n).expect("accepted");
        pool.close();
        let last = std::iter::from_fn(|| results.next_timeout(Duration::MAX).expect("no limit")).last();
        let error = last.expect("the refusal").expect_err("it is closed");
        assert!(matches!(error.as_submit().map(SubmitError::kind), Some(SubmitErrorKind::Closed { .. })), "{error}");
    });
}
