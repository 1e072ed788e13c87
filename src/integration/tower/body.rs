//! [`ScopedBody`]: a response's body that keeps its request's scope open.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};

use crate::lineage::current;
use crate::lineage::future::InLineage;
use crate::lineage::handle::Lineage;

use super::clock::{Clock, CutsBody, KeepsBody, NoClock};
use super::grpc;
use super::keep::Keep;
use super::open::Open;
use super::until::{Ended, Until, UntilBodyEnd, Wants};

pin_project_lite::pin_project! {
    /// A response's body in its request's scope; see [`until_body_end`](super::ScopeLayer::until_body_end). Dropping it
    /// before it has ended cancels the scope.
    ///
    /// With a [`timeout`](super::ScopeLayer::timeout) it ends with [`RequestTimedOut`](super::RequestTimedOut) at the
    /// limit, and the body inside is dropped then, whether this one is polled or not.
    pub struct ScopedBody<B, K = NoClock> {
        #[pin]
        keep: Keep<B>,
        // Taken when the body has ended.
        clock: Option<K>,
        // The response gave the request up: the body's end cancels the scope too.
        is_given_up: bool,
        // A gRPC status in its trailers may give the request up.
        reads_grpc: bool,
        // It can end at its time limit with a gRPC status in trailers.
        has_grpc_trailers: bool,
        // A server may drop it now: nothing of it is sent, or nothing is left to be sent.
        is_delivered: bool,
        // The bytes to come, where their number is known.
        left: Option<u64>,
        // Its clock is to learn, after the first poll, that the body goes on.
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

impl<B: Body, K: KeepsBody<B>> Until<http::Response<B>, K> for UntilBodyEnd {
    type Response = http::Response<ScopedBody<B, K>>;

    fn answer(response: http::Response<B>, ended: Ended<K>, wants: Wants) -> Self::Response {
        let (head, body) = response.into_parts();
        let said = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let has_grpc_trailers = K::RUNS && grpc::has_trailers(&head.headers);
        let body = ScopedBody::new(body, ended, has_grpc_trailers, wants.is_silent(head.status), said);
        http::Response::from_parts(head, body)
    }

    fn is_in_time(clock: &K) -> bool {
        !clock.is_over()
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
        // Whole before the first call into the body, which may panic.
        let mut new = Self {
            keep,
            clock,
            is_given_up,
            reads_grpc,
            has_grpc_trailers,
            is_delivered: silent,
            left: said,
            // The scope of a response that gave its request up is cancelled by now.
            is_to_be_watched: K::RUNS && !is_given_up,
        };
        new.left = said.or_else(|| new.keep.size_hint().exact());
        new.is_delivered |= new.left == Some(0);
        let is_empty = new.keep.is_end_stream(|| true);
        match (mem::replace(&mut new.keep, Keep::Nowhere), &new.clock) {
            // An empty body may not be polled at all.
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
        // A body that was delivered whole is not late.
        let is_late =
            |clock: &Option<K>, is_delivered: bool| !is_delivered && clock.as_ref().is_some_and(Clock::is_over);
        let late = (*this.has_grpc_trailers, *this.is_delivered);
        let Some(mut inside) = this.keep.as_mut().get() else { return Poll::Ready(Self::late(this.clock, late)) };
        if is_late(this.clock, *this.is_delivered) {
            inside.cancel();
            return Poll::Ready(Self::late(this.clock, late));
        }
        let Poll::Ready(frame) = inside.body().stand(|body| body.poll_frame(cx)).unwrap_or(Poll::Ready(None)) else {
            inside.register(cx.waker());
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
                *this.is_given_up |= *this.reads_grpc && frame.trailers_ref().is_some_and(grpc::gives_up);
                // A server may look at `is_end_stream` alone, and not poll again.
                if inside.body().look(Body::is_end_stream).unwrap_or(true) {
                    inside.end(this.clock, *this.is_given_up);
                } else {
                    inside.unregister(*this.is_delivered);
                    drop(inside);
                    Self::goes_on(this.clock, this.is_to_be_watched);
                }
            }
            Some(Err(_)) => {
                *this.is_delivered = false;
                inside.unregister(false);
            }
            None => inside.end(this.clock, *this.is_given_up),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(K::pass)))
    }

    fn is_end_stream(&self) -> bool {
        // A body that was taken away at its limit has its error still to return.
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

    /// Returns the last frame of a body whose time is up; none where it has ended or was delivered whole.
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
