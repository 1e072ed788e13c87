//! A gRPC service without generated code: one method, whose messages are plain bytes; and a server of it.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use futures::Stream;
use http::uri::PathAndQuery;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tower_service::Service;

#[derive(Clone, Copy, Default)]
pub(crate) struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

type Future<T> = Pin<Box<dyn std::future::Future<Output = T> + Send>>;
pub(crate) type Answer = Future<Result<Response<Bytes>, Status>>;

/// The server's side, with a plain function as its handler.
#[derive(Clone)]
pub(crate) struct Echo<F>(pub(crate) F);

impl<F> NamedService for Echo<F> {
    const NAME: &'static str = "test.Echo";
}

struct Method<F>(F);

impl<F: Fn(Bytes) -> Answer> UnaryService<Bytes> for Method<F> {
    type Response = Bytes;
    type Future = Answer;

    fn call(&mut self, request: Request<Bytes>) -> Answer {
        (self.0)(request.into_inner())
    }
}

impl<F> Service<http::Request<tonic::body::Body>> for Echo<F>
where
    F: Fn(Bytes) -> Answer + Clone + Send + Sync + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Future<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let method = Method(self.0.clone());
        Box::pin(async move { Ok(Grpc::new(Plain).unary(method, request).await) })
    }
}

/// A stream of messages.
pub(crate) type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// As [`Echo`], with a stream as its answer.
#[derive(Clone)]
pub(crate) struct Streams<F>(pub(crate) F);

impl<F> NamedService for Streams<F> {
    const NAME: &'static str = "test.Streams";
}

struct StreamMethod<F>(F);

impl<F: Fn(Bytes) -> Messages> ServerStreamingService<Bytes> for StreamMethod<F> {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = std::future::Ready<Result<Response<Messages>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        std::future::ready(Ok(Response::new((self.0)(request.into_inner()))))
    }
}

impl<F> Service<http::Request<tonic::body::Body>> for Streams<F>
where
    F: Fn(Bytes) -> Messages + Clone + Send + Sync + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Future<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let method = StreamMethod(self.0.clone());
        Box::pin(async move { Ok(Grpc::new(Plain).server_streaming(method, request).await) })
    }
}

/// Returns a listener at a free port.
pub(crate) fn incoming() -> (TcpIncoming, u16) {
    let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
    let port = incoming.local_addr().expect("bound").port();
    (incoming, port)
}

/// A client of a server there.
pub(crate) async fn connect(port: u16) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).expect("an address");
    endpoint.connect().await.expect("the server listens")
}

async fn ready(channel: Channel) -> Result<tonic::client::Grpc<Channel>, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    Ok(client)
}

/// Calls [`Echo`].
pub(crate) async fn call(channel: Channel, message: &'static str) -> Result<Bytes, Status> {
    let request = Request::new(Bytes::from_static(message.as_bytes()));
    let path = PathAndQuery::from_static("/test.Echo/Say");
    ready(channel).await?.unary(request, path, Plain).await.map(Response::into_inner)
}

/// Calls [`Streams`].
pub(crate) async fn stream(channel: Channel) -> Result<tonic::Streaming<Bytes>, Status> {
    let path = PathAndQuery::from_static("/test.Streams/Say");
    let request = Request::new(Bytes::new());
    ready(channel).await?.server_streaming(request, path, Plain).await.map(Response::into_inner)
}
