//! Where a request's scope ends: with the response, or with its body, [`ScopedBody`].

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use http_body::{Body, Frame, SizeHint};

use crate::lineage::current;
use crate::lineage::future::InLineage;
use crate::lineage::handle::Lineage;

use super::end::grpc_gives_up;
use super::open::Open;
use super::time::{Clock, CutsBody, NoClock, grpc_late, has_grpc_trailers};

/// Hands a response over, and with it the scope or its end.
pub trait Until<Res, K> {
    type Response;

    fn answer(response: Res, ended: Ended<K>, wants: Wants) -> Self::Response;

    /// The response comes in time. Stops the clock where the response is the end.
    fn is_in_time(clock: &K) -> bool;
}

/// How the response left its scope.
pub enum Ended<K> {
    /// The service made it.
    Well {
        open: Open<K>,
        /// A gRPC status in the trailers may say that it did not.
        reads_grpc: bool,
    },
    /// The response gave the request up: the scope is cancelled, and dropped at the end.
    GivenUp(Open<K>),
    /// The service did not make it, so no scope is open.
    Unopened,
}

/// Looks at a request before the service has it.
pub trait Reads<Req> {
    fn wants(request: &Req) -> Wants;
}

/// What a request wants for an answer.
#[derive(Clone, Copy)]
pub enum Wants {
    Body,
    /// `HEAD`.
    Nothing,
    /// `CONNECT`.
    Tunnel,
}

impl Wants {
    /// The body of such an answer is sent to nobody, and whoever sends the answer does not poll it.
    fn is_silent(self, status: StatusCode) -> bool {
        let has_none = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) || status.is_informational();
        has_none
            || match self {
                Self::Body => false,
                Self::Nothing => true,
                Self::Tunnel => status.is_success(),
            }
    }
}

/// The scope ends when there is a response.
pub enum UntilResponse {}

impl<Res, K: Clock> Until<Res, K> for UntilResponse {
    type Response = Res;

    fn answer(response: Res, ended: Ended<K>, _: Wants) -> Res {
        if let Ended::Well { open, .. } = ended {
            open.finish();
        }
        response
    }

    fn is_in_time(clock: &K) -> bool {
        clock.stop()
    }
}

impl<Req> Reads<Req> for UntilResponse {
    fn wants(_: &Req) -> Wants {
        Wants::Body
    }
}

/// The scope ends when the response's body does.
pub enum UntilBodyEnd {}

impl<B: Body, K: Clock> Until<http::Response<B>, K> for UntilBodyEnd {
    type Response = http::Response<ScopedBody<B, K>>;

    fn answer(response: http::Response<B>, ended: Ended<K>, wants: Wants) -> Self::Response {
        let (head, body) = response.into_parts();
        let said = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let has_grpc_trailers = K::RUNS && has_grpc_trailers(&head.headers);
        let body = ScopedBody::new(body, ended, has_grpc_trailers, wants.is_silent(head.status), said);
        http::Response::from_parts(head, body)
    }

    fn is_in_time(clock: &K) -> bool {
        !clock.is_over()
    }
}

impl<B> Reads<http::Request<B>> for UntilBodyEnd {
    fn wants(request: &http::Request<B>) -> Wants {
        match *request.method() {
            Method::HEAD => Wants::Nothing,
            Method::CONNECT => Wants::Tunnel,
            _ => Wants::Body,
        }
    }
}

pin_project_lite::pin_project! {
    /// A response's body that stands in its request's scope whenever it is polled; see
    /// [`until_body_end`](super::ScopeLayer::until_body_end). Dropping it before it has ended cancels the scope.
    ///
    /// With a [`timeout`](super::ScopeLayer::timeout) it ends with [`RequestTimedOut`](super::RequestTimedOut) at the
    /// limit.
    pub struct ScopedBody<B, K = NoClock> {
        #[pin]
        body: InLineage<B>,
        // Taken when the body has ended.
        open: Option<Open<K>>,
        // What nobody wants any more, so that even the body's end cancels it.
        is_given_up: bool,
        // Its trailers may say so.
        reads_grpc: bool,
        // Its time limit can be said in trailers.
        has_grpc_trailers: bool,
        // Whoever drops it now has all there is: nothing is to be sent, or nothing is left.
        is_delivered: bool,
        // How many bytes are to come, where that was said.
        left: Option<u64>,
    }

    impl<B, K> PinnedDrop for ScopedBody<B, K> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if !*this.is_delivered || *this.is_given_up {
                // Cancelled first: what the body's drop waits for is told to stop.
                if let Some(open) = this.open.as_ref() {
                    open.scope.request_cancel();
                }
                this.body.put_down();
                return;
            }
            this.body.as_mut().put_down();
            if let Some(open) = this.open.take() {
                open.finish();
            }
        }
    }
}

impl<B, K> ScopedBody<B, K> {
    /// The body ends while the scope is still open.
    fn end(body: Pin<&mut InLineage<B>>, open: &mut Option<Open<K>>, is_given_up: bool) {
        body.put_down();
        if let Some(open) = open.take().filter(|_| !is_given_up) {
            open.finish();
        }
    }
}

impl<B: Body, K> ScopedBody<B, K> {
    fn new(body: B, ended: Ended<K>, has_grpc_trailers: bool, silent: bool, said: Option<u64>) -> Self {
        let (open, is_given_up, reads_grpc) = match ended {
            Ended::Well { open, reads_grpc } => (Some(open), false, reads_grpc),
            Ended::GivenUp(open) => (Some(open), true, false),
            Ended::Unopened => (None, false, false),
        };
        let at = open.as_ref().map_or_else(|| Lineage(current::nearest()), |open| open.scope.lineage().clone());
        let body = InLineage::new(at, body);
        // Whole before the body is asked anything: it may panic.
        let mut new = Self { body, open, is_given_up, reads_grpc, has_grpc_trailers, is_delivered: silent, left: said };
        new.left = said.or_else(|| new.body.look(Body::size_hint)?.exact());
        new.is_delivered |= new.left == Some(0);
        // One that is empty is not even polled.
        if new.is_empty()
            && let Some(open) = new.open.take().filter(|_| !is_given_up)
        {
            open.finish();
        }
        new
    }

    fn is_empty(&self) -> bool {
        self.body.look(Body::is_end_stream).unwrap_or(true)
    }
}

impl<B: Body, K: Clock + CutsBody<B::Error>> Body for ScopedBody<B, K> {
    type Data = B::Data;
    type Error = K::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, K::Error>>> {
        let mut this = self.project();
        // One of which all was taken is not late.
        let clock = this.open.as_ref().map(|open| &open.clock).filter(|_| !*this.is_delivered);
        if clock.is_some_and(Clock::is_over) {
            return Poll::Ready(Self::cut(this.body, this.open, *this.has_grpc_trailers));
        }
        let Poll::Ready(frame) = this.body.as_mut().stand(|body| body.poll_frame(cx)).unwrap_or(Poll::Ready(None))
        else {
            return match clock {
                Some(clock) if !clock.listen(cx.waker()) => {
                    Poll::Ready(Self::cut(this.body, this.open, *this.has_grpc_trailers))
                }
                _ => Poll::Pending,
            };
        };
        match &frame {
            Some(Ok(frame)) => {
                let taken = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                *this.left = this.left.map(|left| left.saturating_sub(taken));
                // Trailers may follow, and nothing follows them.
                *this.is_delivered |= *this.left == Some(0) || frame.is_trailers();
                *this.is_given_up |= *this.reads_grpc && frame.trailers_ref().is_some_and(grpc_gives_up);
                // Whoever polls may look at this alone.
                if this.body.look(Body::is_end_stream).unwrap_or(true) {
                    Self::end(this.body, this.open, *this.is_given_up);
                }
            }
            Some(Err(_)) => *this.is_delivered = false,
            None => Self::end(this.body, this.open, *this.is_given_up),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(K::pass)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.look(Body::size_hint).unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

type Last<B, K> = Option<Result<Frame<<B as Body>::Data>, <K as CutsBody<<B as Body>::Error>>::Error>>;

impl<B: Body, K: Clock + CutsBody<B::Error>> ScopedBody<B, K> {
    /// The time is up: cancels the scope, and makes the last frame.
    fn cut(body: Pin<&mut InLineage<B>>, open: &mut Option<Open<K>>, has_grpc_trailers: bool) -> Last<B, K> {
        let open = open.take()?;
        open.scope.request_cancel();
        body.put_down();
        if has_grpc_trailers { Some(Ok(Frame::trailers(grpc_late()))) } else { open.clock.late().map(Err) }
    }
}

impl<B, K> fmt::Debug for ScopedBody<B, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedBody").field("scope", &self.open.as_ref().map(|open| &open.scope)).finish_non_exhaustive()
    }
}
