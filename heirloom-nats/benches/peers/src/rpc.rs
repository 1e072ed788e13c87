//! tonic: a unary call over HTTP/2. The service is written by hand, as its generator would, so that no `protoc` is needed.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::join_all;
use http::uri::PathAndQuery;
use tokio::runtime::Runtime;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::server::{NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::{Peer, runtime};

/// The most bytes of a message.
const MOST: usize = 16 << 20;

#[derive(Clone, PartialEq, prost::Message)]
struct Echo {
    #[prost(bytes = "vec", tag = "1")]
    data: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Length {
    #[prost(uint64, tag = "1")]
    bytes: u64,
}

/// The service: one method, `/echo.Echo/Length`.
#[derive(Clone)]
struct EchoServer;

impl NamedService for EchoServer {
    const NAME: &'static str = "echo.Echo";
}

impl tower_service::Service<http::Request<Body>> for EchoServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let codec = ProstCodec::<Length, Echo>::default();
            let mut grpc = tonic::server::Grpc::new(codec).max_decoding_message_size(MOST);
            Ok(grpc.unary(Measure, request).await)
        })
    }
}

/// The method's code.
struct Measure;

impl UnaryService<Echo> for Measure {
    type Response = Length;
    type Future = Ready<Result<Response<Length>, Status>>;

    fn call(&mut self, request: Request<Echo>) -> Self::Future {
        ready(Ok(Response::new(Length { bytes: request.get_ref().data.len() as u64 })))
    }
}

/// A client, and a server on a runtime of its own.
pub(crate) struct Tonic {
    client: Grpc<Channel>,
    runtime: Runtime,
    _server: Runtime,
}

impl Tonic {
    pub(crate) fn start() -> Self {
        let (server, runtime) = (runtime(), runtime());
        let listener = server.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("its address");
        // The default of tonic's own listener: a small message leaves at once.
        let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
        server.spawn(async move { Server::builder().add_service(EchoServer).serve_with_incoming(connections).await });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let channel = runtime.block_on(endpoint.connect()).expect("a connection");
        Self { client: Grpc::new(channel), runtime, _server: server }
    }
}

impl Peer for Tonic {
    fn turn(&mut self, data: &str, count: usize) {
        let calls = (0..count).map(|_| {
            let (mut client, echo) = (self.client.clone(), Echo { data: data.as_bytes().to_vec() });
            async move {
                client.ready().await.expect("a connection");
                let path = PathAndQuery::from_static("/echo.Echo/Length");
                let codec = ProstCodec::<Echo, Length>::default();
                client.unary(Request::new(echo), path, codec).await.expect("an answer").into_inner().bytes
            }
        });
        let lengths = self.runtime.block_on(join_all(calls));
        assert!(lengths.iter().all(|length| *length == data.len() as u64));
    }
}
