//! The end of a connection, and processes that are forked.

use std::panic::resume_unwind;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use heirloom::remote::engine::{Answer, Fault};

use crate::common::LONG;
use crate::common::end::{CALM, End, limits};
use crate::common::server::Server;

#[test]
fn a_dropped_engine_sends_all_that_was_sent_before_and_gives_each_answer() {
    let Some(server) = Server::plain() else { return };
    let (end, other) = (End::open(&server.url()), End::open(&server.url()));
    end.declare("q", limits(4, None)).unwrap();
    other.declare("q", None).unwrap();
    let (sender, receiver) = mpsc::channel();
    for _ in 0..100 {
        let sender = sender.clone();
        end.engine.publish("q", &end.job("job"), Answer::new(move |outcome| drop(sender.send(outcome))));
    }
    drop(sender);
    drop(end);
    let outcomes: Vec<_> = std::iter::from_fn(|| receiver.recv_timeout(LONG).ok()).collect();
    assert_eq!(outcomes.len(), 100);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Fault::Away))), "{outcomes:?}");
    other.wait_depth("q", |depth| depth.queued == 100);
}

#[test]
fn a_dropped_engine_sends_more_than_the_connection_takes_at_once() {
    let Some(server) = Server::plain() else { return };
    let (end, other) = (End::open(&server.url()), End::open(&server.url()));
    end.declare("q", limits(4, None)).unwrap();
    other.declare("q", None).unwrap();
    let large = "x".repeat(500_000);
    for _ in 0..40 {
        end.engine.publish("q", &end.job(&large), Answer::ignored());
    }
    drop(end);
    other.wait_depth("q", |depth| depth.queued == 40);
}

#[test]
fn a_panic_in_an_answer_is_not_the_end_of_the_connection() {
    let Some(server) = Server::plain() else { return };
    let end = End::open(&server.url());
    end.declare("q", limits(4, None)).unwrap();
    // Unwinds as a panic does, past the hook: that would write a backtrace on the connection's thread, for as long as symbols take.
    end.engine.depth("q", Answer::new(|_| resume_unwind(Box::new("on purpose"))));
    end.engine.publish("q", &end.job("one"), Answer::new(|_| resume_unwind(Box::new("on purpose"))));
    end.send("q", "two");
}

#[test]
fn close_waits_until_all_has_left() {
    let Some(server) = Server::plain() else { return };
    let nats = heirloom_nats::connect(server.url()).app("shop").open().unwrap();
    nats.set_up("q", 4, Some(10)).unwrap();
    assert_eq!(nats.depth("q").unwrap().queued, 0);
    assert!(nats.is_connected());
    assert!(nats.close(LONG));
    assert!(nats.close(LONG), "a second close has nothing to do");
    assert!(!nats.is_connected());
    assert_eq!(nats.set_up("q", 4, None), Err(Fault::Away));
}

#[test]
fn close_says_that_not_all_has_left() {
    let Some(server) = Server::plain() else { return };
    let nats = heirloom_nats::connect(server.url()).app("shop").lease(CALM).open().unwrap();
    nats.set_up("q", 4, Some(10)).unwrap();
    server.pause();
    nats.connection().engine().broadcast("stop".into());
    let (start, within) = (Instant::now(), Duration::from_secs(2));
    assert!(!nats.close(within), "the server has read nothing");
    assert!(start.elapsed() >= within);
    server.go_on();
}

#[test]
fn close_without_a_connection_says_that_not_all_has_left() {
    let Some(mut server) = Server::plain() else { return };
    let open = || heirloom_nats::connect(server.url()).app("shop").lease(CALM).open().unwrap();
    let (one, two) = (open(), open());
    server.kill();
    for nats in [&one, &two] {
        let until = Instant::now() + LONG;
        while nats.is_connected() {
            assert!(Instant::now() < until);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert!(!one.close(LONG), "the last messages were dropped with the connection");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(!runtime.block_on(two.close_async()));
}

#[test]
fn the_async_forms_hold_up_no_runtime() {
    let Some(server) = Server::plain() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // The connection runs on the one thread of the runtime, so a blocked thread would end none of these.
        let connect = heirloom_nats::connect(server.url()).app("shop").runtime(tokio::runtime::Handle::current());
        let nats = connect.open_async().await.unwrap();
        nats.set_up_async("q", 4, Some(10)).await.unwrap();
        assert_eq!(nats.depth_async("q").await.unwrap().queued, 0);
        nats.close_async().await;
        assert!(!nats.is_connected());
        nats.close_async().await;
        assert_eq!(nats.set_up_async("q", 4, None).await, Err(Fault::Away));
    });
}

#[test]
fn a_call_that_blocks_is_refused_in_a_future_and_names_the_async_form() {
    let Some(server) = Server::plain() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let url = server.url();
    let tried = runtime.spawn(async move {
        let refused = heirloom_nats::connect(&url).open().unwrap_err();
        assert!(refused.to_string().contains("`open_async`"), "{refused}");
        let without_budget = tokio::task::unconstrained(async { heirloom_nats::connect(&url).open().map(drop) });
        assert!(without_budget.await.unwrap_err().to_string().contains("`open_async`"));
        let nats = heirloom_nats::connect(&url).open_async().await.unwrap();
        let refused = nats.set_up("q", 1, None).unwrap_err();
        assert!(refused.to_string().contains("`set_up_async`"), "{refused}");
        assert!(nats.depth("q").unwrap_err().to_string().contains("`depth_async`"));
        // A thread of the runtime that runs no future may block.
        let (there, same) = (nats.clone(), nats.clone());
        tokio::task::spawn_blocking(move || there.set_up("q", 1, None)).await.unwrap().unwrap();
        assert!(!same.close(LONG), "it waits for nothing");
        nats.close_async().await;
        assert!(!nats.is_connected());
    });
    runtime.block_on(tried).unwrap();
}

#[test]
fn a_connection_opens_and_drops_inside_an_async_runtime() {
    let Some(server) = Server::plain() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let own = heirloom_nats::connect(server.url()).open_async().await.unwrap();
        let given = heirloom_nats::connect(server.url()).runtime(tokio::runtime::Handle::current());
        let given = given.open_async().await.unwrap();
        assert!(own.describe().contains("127.0.0.1"));
        drop((own, given));
        tokio::time::sleep(Duration::from_millis(50)).await;
    });
}

#[test]
fn open_on_the_only_thread_of_its_own_runtime_is_an_error() {
    let Some(server) = Server::plain() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connect = heirloom_nats::connect(server.url()).timeout(Duration::from_millis(100));
    let error = runtime.block_on(async { connect.runtime(tokio::runtime::Handle::current()).open().unwrap_err() });
    assert!(error.to_string().contains("open_async"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_forked_child_gets_errors_and_does_not_hang() {
    let Some(server) = Server::plain() else { return };
    let end = End::open(&server.url());
    end.declare("q", limits(4, None)).unwrap();
    // SAFETY: the child calls the engine, which takes no lock and starts no thread there, and then `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let (sender, receiver) = mpsc::channel();
        end.engine.publish("q", &end.job("x"), Answer::new(move |outcome| drop(sender.send(outcome))));
        let broken = matches!(receiver.recv_timeout(Duration::from_secs(2)), Ok(Err(Fault::Broken(_))));
        let fine = broken && !end.engine.is_connected();
        drop(end);
        // SAFETY: it ends the process and nothing else.
        unsafe { libc::_exit(i32::from(!fine)) };
    }
    let until = Instant::now() + LONG;
    let mut status = 0;
    // SAFETY: the child is one of this process, and `status` is valid for the call.
    while unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == 0 {
        assert!(Instant::now() < until, "the child hangs");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(status, 0);
    end.send("q", "the parent goes on");
}
