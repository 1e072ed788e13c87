//! With the feature `tower`: each call of a service runs in a scope of its own, on every poll.
//!
//! The response closes the scope, and so does an error. A response future that is dropped cancels it. The service that
//! was polled ready is called.

use std::future::{Ready, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use futures::executor::block_on;
use heirloom::tower::ScopeLayer;
use heirloom::{Heirloom, Lineage, PoolConfig, Scope};
use tower_layer::Layer;
use tower_service::Service;

use crate::common::bounded;
use crate::common::pools::{Busy, started};

/// A service of one closure, always ready; its requests are texts.
#[derive(Clone)]
struct Serve<F>(F);

impl<F, R, T, E> Service<&'static str> for Serve<F>
where
    F: FnMut(&'static str) -> R,
    R: Future<Output = Result<T, E>>,
{
    type Response = T;
    type Error = E;
    type Future = R;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: &'static str) -> R {
        (self.0)(request)
    }
}

/// A layer for services whose responses are not HTTP's.
macro_rules! plain {
    () => {
        ScopeLayer::new().cancel_only_on_drop()
    };
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A future that is pending once.
async fn once() {
    let mut again = false;
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut again, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[test]
fn it_stands_there_when_called_and_on_every_poll_on_any_thread() {
    bounded(|| {
        let server = Scope::new("server");
        let handle = |_| {
            let called_at = heirloom::current();
            async move {
                let mut places = vec![called_at, heirloom::current()];
                once().await;
                places.push(heirloom::current());
                Ok::<_, ()>(places)
            }
        };
        let mut service = plain!().below(&server).layer(Serve(handle));
        let mut first = Box::pin(service.call("a"));
        let mut second = Box::pin(service.call("b"));
        assert!(poll_once(first.as_mut()).is_pending() && poll_once(second.as_mut()).is_pending());
        let first = std::thread::spawn(move || block_on(first).unwrap()).join().unwrap();
        let second = block_on(second).unwrap();
        for places in [&first, &second] {
            assert!(places.iter().all(|place| *place == places[0]));
            assert_eq!((places[0].name(), places[0].parent()), (Some("request"), Some(server.lineage().clone())));
        }
        assert_ne!(first[0], second[0]);
    });
}

#[test]
fn it_is_named_after_the_request_and_values_are_bound_before_the_service_is_called() {
    static TENANT: Heirloom<&str> = Heirloom::new("tenant");
    bounded(|| {
        let layer = plain!().name(|request: &&'static str| format!("page {request}")).on_open(
            |request: &&'static str, at: &Lineage| {
                assert_eq!(heirloom::current(), *at);
                TENANT.at(at).bind(*request).expect("open");
            },
        );
        let handle = |_| {
            let seen = (heirloom::current().name().map(String::from), *TENANT.get().expect("bound"));
            ready(Ok::<_, ()>(seen))
        };
        let seen = block_on(layer.layer(Serve(handle)).call("acme")).unwrap();
        assert_eq!(seen, (Some("page acme".to_string()), "acme"));
        assert!(TENANT.get().is_err());
    });
}

#[test]
fn it_opens_where_the_layer_was_made_or_in_the_scope_below_that_calls() {
    bounded(|| {
        let parent = |_| ready(Ok::<_, ()>(heirloom::current().parent().expect("a scope has one")));
        let server = Scope::new("server");
        let layer = server.run(ScopeLayer::new).cancel_only_on_drop();
        let mut service = layer.layer(Serve(parent));
        // A thread that has become a node is not above the request.
        let _thread = heirloom::current();
        assert_eq!(block_on(service.call("")).unwrap(), *server);
        let connection = Scope::new_in(&server, "connection");
        assert_eq!(block_on(connection.run(|| service.call(""))).unwrap(), *connection);
        let stranger = Scope::new("stranger");
        assert_eq!(block_on(stranger.run(|| service.call(""))).unwrap(), *server);

        let twice =
            |_| ready(Ok::<_, ()>(heirloom::current().ancestors().filter(|at| at.name() == Some("request")).count()));
        assert_eq!(block_on(layer.layer(layer.layer(Serve(twice))).call("")).unwrap(), 2);
    });
}

#[test]
fn a_response_closes_and_what_was_asked_for_goes_on() {
    bounded(|| {
        let server = Scope::new("server");
        let work = started(&server, "work", PoolConfig::leased(1));
        let busy = Busy::on(&work);
        let handle = |_| {
            let queued = heirloom::get("work").expect("found").submit(heirloom::is_cancelled).expect("accepted");
            ready(Ok::<_, ()>((queued, heirloom::current())))
        };
        let (queued, at) = block_on(plain!().below(&server).layer(Serve(handle)).call("")).unwrap();
        assert!(!queued.is_finished() && at.run(|| work.submit(|| ())).is_err(), "closed, without waiting");
        busy.end();
        assert!(!queued.join().expect("it runs"), "and not cancelled");
    });
}

#[test]
fn an_error_passes_through_and_cancels_unless_only_a_drop_is_to() {
    bounded(|| {
        let server = Scope::new("server");
        let work = started(&server, "work", PoolConfig::leased(1));
        let (says, said) = mpsc::channel();
        let handle = move |_| {
            let busy = Busy::on(&heirloom::get("work").unwrap());
            let queued = heirloom::get("work").unwrap().submit(|| 7).unwrap();
            says.send((busy, queued, heirloom::current())).unwrap();
            ready(Err::<(), _>("no such page"))
        };
        let cancels = ScopeLayer::new().cancel_if(|(): &()| false).below(&server);
        assert_eq!(block_on(cancels.layer(Serve(handle.clone())).call("")), Err("no such page"));
        let (busy, queued, at) = said.recv().unwrap();
        assert!(at.is_cancelled() && at.run(|| work.submit(|| ())).is_err());
        busy.end();
        assert!(queued.join().is_err_and(|error| error.is_cancelled()));

        assert_eq!(block_on(plain!().below(&server).layer(Serve(handle)).call("")), Err("no such page"));
        let (busy, queued, at) = said.recv().unwrap();
        assert!(!at.is_cancelled() && at.run(|| work.submit(|| ())).is_err());
        busy.end();
        assert_eq!(queued.join().unwrap(), 7);
    });
}

#[test]
fn a_dropped_response_cancels_before_its_locals_are_dropped_which_still_find_its_values() {
    static TENANT: Heirloom<&str> = Heirloom::new("tenant");
    struct Tells(mpsc::Sender<(Lineage, bool)>);
    impl Drop for Tells {
        fn drop(&mut self) {
            let _ = self.0.send((heirloom::current(), heirloom::is_cancelled() && TENANT.get().is_ok()));
        }
    }
    bounded(|| {
        let server = Scope::new("server");
        let work = started(&server, "work", PoolConfig::leased(1));
        let busy = Busy::on(&work);
        let (tells, told) = mpsc::channel();
        let (says, said) = mpsc::channel();
        let handle = |_| {
            let (tells, says) = (Tells(tells.clone()), says.clone());
            async move {
                says.send((heirloom::get("work").unwrap().submit(|| 7).unwrap(), heirloom::current())).unwrap();
                std::future::pending::<()>().await;
                drop(tells);
                Ok::<_, ()>(())
            }
        };
        let bind = |_: &&'static str, at: &Lineage| drop(TENANT.at(at).bind("acme"));
        let mut service = plain!().below(&server).on_open(bind).layer(Serve(handle));
        let mut response = Box::pin(service.call(""));
        assert!(poll_once(response.as_mut()).is_pending());
        let (queued, at) = said.recv().unwrap();
        drop(response);
        assert_eq!(told.recv().unwrap(), (at, true));
        busy.end();
        assert!(queued.join().is_err_and(|error| error.is_cancelled()));
        // A future that was never polled, as well.
        drop(service.call(""));
        assert!(told.recv().unwrap().1);
    });
}

#[test]
fn a_panic_in_the_call_or_in_a_poll_cancels() {
    bounded(|| {
        let (says, said) = mpsc::channel();
        let handle = |request| {
            says.send(heirloom::current()).unwrap();
            assert_ne!(request, "call", "in the call");
            async move {
                assert_ne!(request, "poll", "in the poll");
                Ok::<_, ()>(())
            }
        };
        let mut service = plain!().layer(Serve(handle));
        for request in ["call", "poll"] {
            let before = heirloom::current();
            assert!(catch_unwind(AssertUnwindSafe(|| block_on(service.call(request)))).is_err());
            assert!(said.recv().unwrap().is_cancelled(), "{request}");
            assert_eq!(heirloom::current(), before);
        }
    });
}

/// Panics if it is called without having been polled ready. Clones are not ready.
struct Reserved(bool);

impl Clone for Reserved {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl Service<&'static str> for Reserved {
    type Response = ();
    type Error = ();
    type Future = Ready<Result<(), ()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        self.0 = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: &'static str) -> Self::Future {
        assert!(std::mem::take(&mut self.0), "called without having been ready");
        ready(Ok(()))
    }
}

#[test]
fn the_service_that_was_ready_is_called_and_a_request_too_many_leaves_it_ready() {
    bounded(|| {
        let cx = &mut Context::from_waker(Waker::noop());
        let layer = plain!().limit(1).on_limit(|_: &&'static str| ());
        let mut service = layer.layer(Reserved(false));
        assert!(service.poll_ready(cx).is_ready());
        let mut other = service.clone();
        let first = service.call("");
        assert!(other.poll_ready(cx).is_ready());
        block_on(other.call("refused")).unwrap();
        block_on(first).unwrap();
        block_on(other.call("let in, still ready")).unwrap();
    });
}
