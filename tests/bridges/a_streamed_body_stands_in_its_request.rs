//! With the feature `tower`, and `until_body_end`: a request's scope stays open, and current, until the body has ended.
//!
//! A body that is dropped before its end cancels the scope. A body that was delivered whole does not.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::Router;
use axum::body::Body as AxumBody;
use axum::routing::get;
use bytes::Bytes;
use futures::executor::block_on;
use futures::stream::{self, StreamExt};
use heirloom::tower::{ScopeLayer, ScopedBody};
use heirloom::{Lineage, PoolConfig, Scope};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tower_layer::Layer;
use tower_service::Service;

use crate::common::bounded;
use crate::common::pools::started;
use crate::web;
use crate::web::{Server, all_requests_are_gone};

type Item = Result<Frame<Bytes>, &'static str>;

/// A body of given frames that notes where it is polled and dropped.
struct Frames {
    left: VecDeque<Item>,
    /// Sets `is_end_stream` at the end, and panics when polled once more.
    says_end: Option<bool>,
    exact: Option<u64>,
    places: mpsc::Sender<(Lineage, bool)>,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Item>> {
        self.places.send((heirloom::current(), heirloom::is_cancelled())).unwrap();
        Poll::Ready(self.left.pop_front())
    }

    fn is_end_stream(&self) -> bool {
        self.says_end.expect("nobody asks") && self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.exact.map(SizeHint::with_exact).unwrap_or_default()
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        let _ = self.places.send((heirloom::current(), heirloom::is_cancelled()));
    }
}

struct Answers<F>(F);

impl<F: FnMut() -> Response<Frames>> Service<Request<()>> for Answers<F> {
    type Response = Response<Frames>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Frames>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok((self.0)()))
    }
}

/// A response under way.
struct Answered {
    body: Pin<Box<ScopedBody<Frames>>>,
    at: Lineage,
    places: mpsc::Receiver<(Lineage, bool)>,
}

fn answered(
    request: Request<()>,
    frames: impl IntoIterator<Item = Item>,
    change: impl Fn(&mut Response<Frames>),
) -> Answered {
    let (places, noted) = mpsc::channel();
    let (says, said) = mpsc::channel();
    let mut frames = Some(frames.into_iter().collect());
    let answers = Answers(|| {
        says.send(heirloom::current()).unwrap();
        let left = frames.take().expect("asked once");
        let mut response = Response::new(Frames { left, says_end: Some(false), exact: None, places: places.clone() });
        change(&mut response);
        response
    });
    let mut service = ScopeLayer::new().until_body_end().layer(answers);
    let body = match block_on(service.call(request)) {
        Ok(response) => Box::pin(response.into_body()),
        Err(never) => match never {},
    };
    Answered { body, at: said.recv().unwrap(), places: noted }
}

fn data(text: &'static str) -> Item {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

impl Answered {
    fn take(&mut self) -> Option<Item> {
        match self.body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => frame,
            Poll::Pending => unreachable!("its frames are ready"),
        }
    }

    fn is_open(&self) -> bool {
        Scope::new_in(&self.at, "below").create("pool").start(PoolConfig::leased(1)).is_ok()
    }

    /// Drops the response, and tells how its scope ended.
    fn end(self) -> End {
        let Self { body, at, places } = self;
        drop(body);
        assert!(places.try_iter().all(|(place, _)| place == at), "polled and dropped in its request");
        let closed = Scope::new_in(&at, "below").create("pool").start(PoolConfig::leased(1)).is_err();
        match (at.is_cancelled(), closed) {
            (true, true) => End::Cancelled,
            (false, true) => End::Closed,
            _ => unreachable!("a body that is gone leaves no open scope"),
        }
    }
}

#[derive(Debug, PartialEq)]
enum End {
    Closed,
    Cancelled,
}

#[test]
fn it_stays_open_until_the_body_has_ended() {
    bounded(|| {
        let mut answer = answered(Request::new(()), [data("a"), data("b")], |_| {});
        assert!(answer.take().is_some() && answer.take().is_some() && answer.is_open());
        assert!(answer.take().is_none() && !answer.is_open());
        assert!(answer.take().is_none() && answer.body.is_end_stream());
        assert_eq!(answer.end(), End::Closed);
    });
}

#[test]
fn a_body_that_says_that_it_has_ended_needs_no_more_asking() {
    bounded(|| {
        let mut answer = answered(Request::new(()), [data("a")], |response| response.body_mut().says_end = Some(true));
        assert!(answer.is_open() && answer.take().is_some() && !answer.is_open());
        assert_eq!(answer.end(), End::Closed);

        let empty = answered(Request::new(()), [], |response| response.body_mut().says_end = Some(true));
        assert!(!empty.is_open(), "with the response");
        assert_eq!(empty.end(), End::Closed);
    });
}

#[test]
fn a_body_dropped_before_its_end_cancels() {
    bounded(|| {
        assert_eq!(answered(Request::new(()), [data("a")], |_| {}).end(), End::Cancelled);
        let mut begun = answered(Request::new(()), [data("a"), data("b")], |_| {});
        assert!(begun.take().is_some());
        let (body, places) = (begun.body, begun.places);
        places.try_iter().for_each(drop);
        drop(body);
        assert_eq!(places.recv().unwrap(), (begun.at, true), "its own drop knows already");
    });
}

#[test]
fn a_body_that_gave_its_declared_length_has_ended_when_it_is_dropped() {
    bounded(|| {
        let declared = |response: &mut Response<Frames>| {
            response.headers_mut().insert(http::header::CONTENT_LENGTH, 3.into());
        };
        let mut part = answered(Request::new(()), [data("ab"), data("c")], declared);
        assert!(part.take().is_some());
        assert_eq!(part.end(), End::Cancelled);

        let mut all = answered(Request::new(()), [data("ab"), data("c")], declared);
        assert!(all.take().is_some() && all.take().is_some() && all.is_open());
        assert_eq!(all.end(), End::Closed);

        let exact = |response: &mut Response<Frames>| response.body_mut().exact = Some(1);
        let mut known = answered(Request::new(()), [data("a")], exact);
        assert!(known.take().is_some());
        assert_eq!(known.end(), End::Closed);

        // Trailers may follow, and the scope is open for them.
        let trailers = Ok(Frame::trailers(HeaderMap::new()));
        let mut more = answered(Request::new(()), [data("abc"), trailers], declared);
        assert!(
            more.take().is_some() && more.is_open() && more.take().is_some_and(|frame| frame.unwrap().is_trailers())
        );
        assert_eq!(more.end(), End::Closed);
    });
}

#[test]
fn a_body_that_gave_its_trailers_has_ended_when_it_is_dropped() {
    bounded(|| {
        let trailers = Ok(Frame::trailers(HeaderMap::new()));
        let mut answer = answered(Request::new(()), [data("a"), trailers], |_| {});
        assert!(answer.take().is_some() && answer.take().is_some_and(|frame| frame.unwrap().is_trailers()));
        assert!(answer.is_open(), "it may be asked again");
        assert_eq!(answer.end(), End::Closed);
    });
}

#[test]
fn a_response_without_a_body_may_be_dropped_at_once() {
    bounded(|| {
        let head = Request::head("/").body(()).unwrap();
        assert_eq!(answered(head, [data("a")], |_| {}).end(), End::Closed);
        for status in [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED, StatusCode::SWITCHING_PROTOCOLS] {
            let answer = answered(Request::new(()), [data("a")], |response| *response.status_mut() = status);
            assert_eq!(answer.end(), End::Closed);
        }
        for (status, end) in [(StatusCode::OK, End::Closed), (StatusCode::FORBIDDEN, End::Cancelled)] {
            let tunnel = Request::connect("example.com:80").body(()).unwrap();
            let answer = answered(tunnel, [data("a")], |response| *response.status_mut() = status);
            assert_eq!(answer.end(), end);
        }
        let nothing = |response: &mut Response<Frames>| response.body_mut().exact = Some(0);
        assert_eq!(answered(Request::new(()), [], nothing).end(), End::Closed);
    });
}

#[test]
fn an_error_in_the_body_cancels_when_it_is_dropped() {
    bounded(|| {
        let mut answer = answered(Request::new(()), [data("a"), Err("broken")], |_| {});
        assert!(answer.take().is_some_and(|frame| frame.is_ok()) && answer.take().is_some_and(|frame| frame.is_err()));
        assert!(answer.is_open());
        assert_eq!(answer.end(), End::Cancelled);
    });
}

#[test]
fn a_body_that_panics_when_it_is_asked_whether_it_has_ended_is_cancelled_before_it_is_dropped() {
    bounded(|| {
        let (places, noted) = mpsc::channel();
        let body = || Frames { left: VecDeque::new(), says_end: None, exact: None, places: places.clone() };
        let mut service = ScopeLayer::new().until_body_end().layer(Answers(|| Response::new(body())));
        assert!(catch_unwind(AssertUnwindSafe(|| block_on(service.call(Request::new(()))).is_ok())).is_err());
        let (at, is_cancelled) = noted.recv().unwrap();
        assert!(is_cancelled && at.name() == Some("request"));
    });
}

/// Streams numbers for ever, each from a task of the request's own pool.
fn count(says: mpsc::Sender<heirloom::TaskHandle<bool>>) -> AxumBody {
    let pool = heirloom::create("own");
    pool.start(PoolConfig::leased(2)).expect("starts");
    let sleeps = || heirloom::sleep(Duration::from_secs(3600)).is_err();
    says.send(pool.submit(sleeps).expect("accepted")).expect("the test listens");
    let numbers = stream::iter(0_u64..).then(|n| async move {
        let own = heirloom::get("own").expect("the body stands in its request");
        let line = own.submit(move || format!("line {n}\n")).expect("the scope is open");
        line.await.map_err(std::io::Error::other)
    });
    AxumBody::from_stream(numbers)
}

#[test]
fn a_client_that_goes_in_the_middle_of_a_stream_cancels() {
    bounded(|| {
        let owner = Scope::new("server");
        let shared = started(&owner, "shared", PoolConfig::leased(1));
        let (says, said) = mpsc::channel();
        let whole = || async { AxumBody::from_stream(stream::iter(["a", "b"].map(Ok::<_, Infallible>))) };
        let app = Router::new()
            .route("/count", get(move || async move { count(says.clone()) }))
            .route("/whole", get(whole))
            .layer(ScopeLayer::new().below(&owner).until_body_end());
        let server = Server::start(app);
        let mut client = server.ask("GET", "/count");
        let lines = web::read_until(&mut client, "line 2\n");
        assert!(lines.contains("line 0\n") && lines.contains("line 1\n"));
        let sleeper = said.recv().unwrap();
        assert!(!sleeper.is_finished() && web::scopes_below(&owner) == 1);
        drop(client);
        assert!(sleeper.join().expect("it ran"), "it was cancelled");
        assert!(server.get("/whole").contains("a\r\n1\r\nb\r\n0\r\n"));
        all_requests_are_gone(&owner);
        assert!(shared.is_running());
    });
}
