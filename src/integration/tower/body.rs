//! Where a request's scope ends: with the response, or with its body, [`ScopedBody`].

use std::fmt;
use std::mem;
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
use super::keep::Keep;
use super::open::Open;
use super::time::{Clock, CutsBody, KeepsBody, NoClock, has_grpc_trailers};

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

impl<B: Body, K: KeepsBody<B>> Until<http::Response<B>, K> for UntilBodyEnd {
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
    /// limit, and the body inside is dropped then, whether this one is polled or not.
    pub struct ScopedBody<B, K = NoClock> {
        #[pin]
        keep: Keep<B>,
        // Taken when the body has ended.
        clock: Option<K>,
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
        // A cancel of its scope is to end it where it is not polled. From the first poll on its clock sees to that.
        is_to_be_watched: bool,
    }

    impl<B, K> PinnedDrop for ScopedBody<B, K> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            match this.keep.get() {
                Some(body) if *this.is_delivered && !*this.is_given_up => body.end(this.clock, false),
                Some(body) => body.cancel(),
                None => {}
            }
        }
    }
}

impl<B: Body, K: KeepsBody<B>> ScopedBody<B, K> {
    fn new(body: B, ended: Ended<K>, has_grpc_trailers: bool, silent: bool, said: Option<u64>) -> Self {
        let (open, is_given_up, reads_grpc) = match ended {
            Ended::Well { open, reads_grpc } => (Some(open), false, reads_grpc),
            Ended::GivenUp(open) => (Some(open), true, false),
            Ended::Unopened => (None, false, false),
        };
        let at = open.as_ref().map_or_else(|| Lineage(current::nearest()), |open| open.scope.lineage().clone());
        let (held, clock) = open.map(Open::split).unzip();
        let keep = Keep::own(InLineage::new(at, body), held);
        // Whole before the body is asked anything: it may panic.
        let mut new = Self {
            keep,
            clock,
            is_given_up,
            reads_grpc,
            has_grpc_trailers,
            is_delivered: silent,
            left: said,
            // The scope of one that is given up is cancelled by now.
            is_to_be_watched: K::RUNS && !is_given_up,
        };
        new.left = said.or_else(|| new.keep.size_hint().exact());
        new.is_delivered |= new.left == Some(0);
        let is_empty = new.keep.is_end_stream(|| true);
        match (mem::replace(&mut new.keep, Keep::Nowhere), &new.clock) {
            // Not even polled.
            (Keep::Own { body, held }, _) if is_empty => {
                new.keep = Keep::own(body, None);
                new.clock = None;
                if let Some(held) = held.filter(|_| !is_given_up) {
                    held.finish();
                }
            }
            (Keep::Own { body, held: Some(held) }, Some(clock)) => new.keep = clock.keep(body, held),
            (keep, _) => new.keep = keep,
        }
        new
    }
}

impl<B: Body, K: Clock + CutsBody<B::Error>> Body for ScopedBody<B, K> {
    type Data = B::Data;
    type Error = K::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, K::Error>>> {
        let mut this = self.project();
        // One of which all was taken is not late.
        let is_late =
            |clock: &Option<K>, is_delivered: bool| !is_delivered && clock.as_ref().is_some_and(Clock::is_over);
        let late = (*this.has_grpc_trailers, *this.is_delivered);
        let Some(mut inside) = this.keep.as_mut().get() else { return Poll::Ready(Self::late(this.clock, late)) };
        if is_late(this.clock, *this.is_delivered) {
            inside.cancel();
            return Poll::Ready(Self::late(this.clock, late));
        }
        let Poll::Ready(frame) = inside.body().stand(|body| body.poll_frame(cx)).unwrap_or(Poll::Ready(None)) else {
            inside.waits(cx.waker());
            drop(inside);
            Self::goes_on(this.clock, this.is_to_be_watched);
            // Put back before the look, so that a limit that comes meanwhile is noticed.
            if !is_late(this.clock, *this.is_delivered) {
                return Poll::Pending;
            }
            if let Some(inside) = this.keep.get() {
                inside.cancel();
            }
            return Poll::Ready(Self::late(this.clock, late));
        };
        match &frame {
            Some(Ok(frame)) => {
                let taken = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                *this.left = this.left.map(|left| left.saturating_sub(taken));
                // Trailers may follow, and nothing follows them.
                *this.is_delivered |= *this.left == Some(0) || frame.is_trailers();
                *this.is_given_up |= *this.reads_grpc && frame.trailers_ref().is_some_and(grpc_gives_up);
                // Whoever polls may look at this alone.
                if inside.body().look(Body::is_end_stream).unwrap_or(true) {
                    inside.end(this.clock, *this.is_given_up);
                } else {
                    inside.waits_no_more(*this.is_delivered);
                    drop(inside);
                    Self::goes_on(this.clock, this.is_to_be_watched);
                }
            }
            Some(Err(_)) => {
                *this.is_delivered = false;
                inside.waits_no_more(false);
            }
            None => inside.end(this.clock, *this.is_given_up),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(K::pass)))
    }

    fn is_end_stream(&self) -> bool {
        // One that was taken away at its limit has to say so yet.
        self.keep.is_end_stream(|| self.clock.is_none() || self.is_delivered && !self.has_grpc_trailers)
    }

    fn size_hint(&self) -> SizeHint {
        self.keep.size_hint()
    }
}

type Last<B, K> = Option<Result<Frame<<B as Body>::Data>, <K as CutsBody<<B as Body>::Error>>::Error>>;

impl<B: Body, K: Clock + CutsBody<B::Error>> ScopedBody<B, K> {
    fn goes_on(clock: &Option<K>, is_to_be_watched: &mut bool) {
        if mem::take(is_to_be_watched)
            && let Some(clock) = clock
        {
            clock.body_goes_on();
        }
    }

    /// The last frame of a body whose time is up; none where it has ended, or where all of it was taken.
    fn late(clock: &mut Option<K>, (has_grpc_trailers, is_delivered): (bool, bool)) -> Last<B, K> {
        let clock = clock.take()?;
        match (has_grpc_trailers, is_delivered) {
            (true, _) => clock.late_in_trailers().map(|trailers| Ok(Frame::trailers(trailers))),
            (false, true) => None,
            (false, false) => clock.late().map(Err),
        }
    }
}

impl<B, K> fmt::Debug for ScopedBody<B, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedBody").field("is_delivered", &self.is_delivered).finish_non_exhaustive()
    }
}
