//! `block_on` polls a future on the caller's thread, and waits for it as heirloom's other waits do: it holds up no pool, ends
//! when its caller is asked to stop, and is seen by the search for circles.

use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread::{self, ThreadId};
use std::time::Duration;

use futures::FutureExt as _;
use futures::channel::oneshot;
use heirloom::{PoolConfig, Scope, TaskHandle, block_on};

use crate::common::bounded;
use crate::common::pools::started;

/// Tells when it is dropped, and where.
struct AtDrop(mpsc::Sender<ThreadId>);

impl Drop for AtDrop {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().id());
    }
}

#[test]
fn a_future_may_borrow_and_stay_on_its_thread() {
    bounded(|| {
        let text = String::from("borrowed");
        let here = Rc::new(Cell::new(0));
        let length = block_on(async {
            here.set(ready(text.len()).await);
            Rc::clone(&here)
        });
        assert_eq!(length.unwrap().get(), 8);
    });
}

#[test]
fn a_future_is_polled_again_when_it_was_woken_from_any_thread() {
    bounded(|| {
        for at_once in [false, true] {
            let (answers, answer) = oneshot::channel();
            let other = thread::spawn(move || {
                if !at_once {
                    thread::sleep(Duration::from_millis(20));
                }
                answers.send(7)
            });
            assert_eq!(block_on(answer).unwrap(), Ok(7));
            other.join().unwrap().unwrap();
        }
    });
}

#[test]
fn a_future_stands_where_its_caller_stands() {
    bounded(|| {
        let request = Scope::new("request");
        let seen = request.run(|| block_on(async { heirloom::current() }));
        assert_eq!(seen.as_ref().unwrap(), request.lineage());
    });
}

#[test]
fn in_a_pool_of_one_other_tasks_go_on_meanwhile_and_not_while_it_is_polled() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let (answers, answer) = oneshot::channel();
        let (says, said) = mpsc::channel();
        let polls = says.clone();
        let waits = pool.submit(move || {
            let mut answer = answer;
            block_on(poll_fn(move |cx| {
                let polled = Pin::new(&mut answer).poll_unpin(cx);
                thread::sleep(Duration::from_millis(5));
                polls.send("polled").unwrap();
                polled
            }))
        });
        let next = pool.submit(move || {
            says.send("next").unwrap();
            answers.send(7)
        });
        assert_eq!(waits.unwrap().join().unwrap().unwrap(), Ok(7));
        next.unwrap().join().unwrap().unwrap();
        assert_eq!(said.iter().collect::<Vec<_>>(), ["polled", "next", "polled"]);
    });
}

#[test]
fn a_request_to_stop_ends_the_wait_and_drops_the_future_before_it_returns() {
    bounded(|| {
        let owner = Scope::new("owner");
        let pool = started(&owner, "pool", PoolConfig::leased(2));
        let (begins, begun) = mpsc::channel();
        let task = |scope: &Scope| -> TaskHandle<_> {
            let begins = begins.clone();
            let task = scope.run(|| {
                pool.submit(move || {
                    let (drops, dropped) = mpsc::channel();
                    let future = async move {
                        let _at_drop = AtDrop(drops);
                        begins.send(()).unwrap();
                        pending::<()>().await;
                    };
                    let ended = block_on(future);
                    (ended.is_err(), dropped.try_recv() == Ok(thread::current().id()))
                })
            });
            let task = task.unwrap();
            begun.recv().unwrap();
            task
        };
        let request = Scope::new_in(&owner, "request");
        let (by_handle, by_scope) = (task(&owner), task(&request));
        by_handle.cancel();
        assert_eq!(by_handle.join().unwrap(), (true, true));
        request.cancel();
        assert_eq!(by_scope.join().unwrap(), (true, true));
    });
}

#[test]
fn a_future_of_one_that_was_asked_to_stop_before_is_not_polled() {
    bounded(|| {
        let request = Scope::new("request");
        request.cancel();
        let polled = request.run(|| block_on(async { unreachable!("it is not polled") as u8 }));
        assert!(polled.is_err());
    });
}

#[test]
fn a_future_that_wakes_itself_again_and_again_is_cancelled_all_the_same() {
    bounded(|| {
        let request = Scope::new("request");
        let polls = Cell::new(0_u32);
        let ended = request.run(|| {
            block_on(poll_fn(|cx| {
                polls.set(polls.get() + 1);
                if polls.get() == 1000 {
                    request.cancel();
                }
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            }))
        });
        assert_eq!((ended.is_err(), polls.get()), (true, 1000));
    });
}

#[test]
fn a_request_that_is_declined_ends_one_wait_only() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let (begins, begun) = mpsc::channel();
        let (answers, answer) = oneshot::channel();
        let task = pool.submit(move || {
            begins.send(()).unwrap();
            let first = block_on(pending::<()>());
            assert!(heirloom::acknowledge_cancel());
            begins.send(()).unwrap();
            (first.is_err(), block_on(answer))
        });
        let task = task.unwrap();
        begun.recv().unwrap();
        task.cancel();
        begun.recv().unwrap();
        answers.send(7).unwrap();
        let (first, second) = task.join().unwrap();
        assert_eq!((first, second.unwrap()), (true, Ok(7)));
    });
}

#[test]
fn a_panic_of_the_future_is_its_callers_and_the_pool_goes_on() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1).log_panics(false));
        let (answers, answer) = oneshot::channel::<()>();
        let fails = pool.submit(move || {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let _ = block_on(async {
                    let _ = answer.await;
                    resume_unwind(Box::new("it was told to"))
                });
            }));
            assert!(caught.is_err());
            let _ = block_on(async { resume_unwind(Box::new("it was told to")) });
        });
        pool.submit(move || answers.send(())).unwrap().join().unwrap().unwrap();
        assert!(fails.unwrap().join().is_err_and(|error| error.is_panic()));
        assert_eq!(pool.submit(|| block_on(ready(7))).unwrap().join().unwrap().unwrap(), 7);
    });
}

#[test]
fn a_wait_within_a_poll_takes_no_wake_from_the_future_around_it() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(1));
        let task = pool.submit(|| {
            let ((outer, mut around), (inner, within)) = (oneshot::channel(), oneshot::channel());
            let other = thread::spawn(move || {
                outer.send("outer").unwrap();
                thread::sleep(Duration::from_millis(20)); // the wait within is woken for nothing, and sleeps again
                inner.send("inner").unwrap();
            });
            let mut within = Some(within);
            let out = block_on(poll_fn(|cx| match within.take() {
                Some(within) => {
                    let waits = around.poll_unpin(cx).map(drop);
                    assert_eq!(block_on(within).unwrap(), Ok("inner"));
                    // What was ready before is lost here, as a future that is cancelled loses it.
                    if waits.is_ready() { Poll::Ready(Ok("outer")) } else { Poll::Pending }
                }
                None => around.poll_unpin(cx),
            }));
            other.join().unwrap();
            out
        });
        assert_eq!(task.unwrap().join().unwrap().unwrap(), Ok("outer"));
    });
}

#[test]
fn a_circle_through_it_is_told_to_the_wait_that_can_fail() {
    bounded(|| {
        let scope = Scope::new("scope");
        let pool = started(&scope, "pool", PoolConfig::leased(2));
        let (gives_b, b) = mpsc::channel::<TaskHandle<Result<(), heirloom::Error>>>();
        let a = pool.submit(move || {
            block_on(b.recv().unwrap())
                .map(|joined| joined.map(|b| b.is_err_and(|e| e.kind() == heirloom::ErrorKind::WouldDeadlock)))
        });
        let (gives_a, a_to_join) = mpsc::channel::<TaskHandle<_>>();
        let (says, said) = mpsc::channel();
        let b = pool.submit(move || {
            let joined = a_to_join.recv().unwrap().join();
            joined.map(|out: Result<Result<bool, heirloom::Error>, _>| says.send(out).unwrap())
        });
        gives_b.send(b.unwrap()).unwrap();
        gives_a.send(a.unwrap()).unwrap();
        // Its task ended with the error, and said nothing; so `a` goes on.
        assert!(said.recv().is_err());
        pool.wait_idle().unwrap();
        assert_eq!(pool.stats().completed, 2);
    });
}

#[test]
fn a_wake_that_comes_when_all_is_over_does_nothing() {
    bounded(|| {
        let mut kept = None;
        let out = block_on(poll_fn(|cx| {
            kept = Some(cx.waker().clone());
            Poll::Ready(7)
        }));
        assert_eq!(out.unwrap(), 7);
        let waker = kept.unwrap();
        thread::spawn(move || waker.wake()).join().unwrap();
        assert_eq!(block_on(ready(8)).unwrap(), 8);
    });
}
