//! Where a request's scope ends: with the response, or with its body, [`ScopedBody`].

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use http_body::{Body, Frame, SizeHint};

use crate::lineage::current;
use crate::lineage::future::InLineage;
use crate::lineage::handle::Lineage;

use super::future::Open;

/// Hands a response over, and with it the scope or its end.
pub trait Until<Res> {
    type Response;

    /// No scope was opened for an answer that the service did not make.
    fn answer(response: Res, open: Option<Open>, wants: Wants) -> Self::Response;
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

impl<Res> Until<Res> for UntilResponse {
    type Response = Res;

    fn answer(response: Res, open: Option<Open>, _: Wants) -> Res {
        if let Some(open) = open {
            open.finish();
        }
        response
    }
}

impl<Req> Reads<Req> for UntilResponse {
    fn wants(_: &Req) -> Wants {
        Wants::Body
    }
}

/// The scope ends when the response's body does.
pub enum UntilBodyEnd {}

impl<B: Body> Until<http::Response<B>> for UntilBodyEnd {
    type Response = http::Response<ScopedBody<B>>;

    fn answer(response: http::Response<B>, open: Option<Open>, wants: Wants) -> Self::Response {
        let (head, body) = response.into_parts();
        let said = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let body = ScopedBody::new(body, open, wants.is_silent(head.status), said);
        http::Response::from_parts(head, body)
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
    pub struct ScopedBody<B> {
        #[pin]
        body: InLineage<B>,
        // Taken when the body has ended.
        open: Option<Open>,
        // Whoever drops it now has all there is: nothing is to be sent, or nothing is left.
        is_delivered: bool,
        // How many bytes are to come, where that was said.
        left: Option<u64>,
    }

    impl<B> PinnedDrop for ScopedBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if *this.is_delivered {
                ScopedBody::end(this.body.as_mut(), this.open);
                return;
            }
            // Cancelled first: what the body's drop waits for is told to stop.
            if let Some(open) = this.open.as_ref() {
                open.scope.ask_to_stop();
            }
            this.body.put_down();
        }
    }
}

impl<B> ScopedBody<B> {
    /// The body ends while the scope is still open.
    fn end(body: Pin<&mut InLineage<B>>, open: &mut Option<Open>) {
        body.put_down();
        if let Some(open) = open.take() {
            open.finish();
        }
    }
}

impl<B: Body> ScopedBody<B> {
    fn new(body: B, open: Option<Open>, silent: bool, said: Option<u64>) -> Self {
        let at = open.as_ref().map_or_else(|| Lineage(current::nearest()), |open| open.scope.lineage().clone());
        // Whole before the body is asked anything: it may panic.
        let mut new = Self { body: InLineage::new(at, body), open, is_delivered: silent, left: said };
        new.left = said.or_else(|| new.body.look(Body::size_hint)?.exact());
        new.is_delivered |= new.left == Some(0);
        // One that is empty is not even polled.
        if new.is_end_stream()
            && let Some(open) = new.open.take()
        {
            open.finish();
        }
        new
    }
}

impl<B: Body> Body for ScopedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().stand(|body| body.poll_frame(cx)).unwrap_or(Poll::Ready(None)));
        match &frame {
            Some(Ok(frame)) => {
                let taken = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                *this.left = this.left.map(|left| left.saturating_sub(taken));
                // Trailers may follow, and nothing follows them.
                *this.is_delivered |= *this.left == Some(0) || frame.is_trailers();
                // Whoever polls may look at this alone.
                if this.body.look(Body::is_end_stream).unwrap_or(true) {
                    Self::end(this.body, this.open);
                }
            }
            Some(Err(_)) => *this.is_delivered = false,
            None => Self::end(this.body, this.open),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.look(Body::is_end_stream).unwrap_or(true)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.look(Body::size_hint).unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

impl<B> fmt::Debug for ScopedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedBody").field("scope", &self.open.as_ref().map(|open| &open.scope)).finish_non_exhaustive()
    }
}
