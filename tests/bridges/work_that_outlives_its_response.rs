//! With the features `tokio` and `tower`: what goes on after a response, or is called by a buffer's worker, stands where
//! the page on it says.

use std::convert::Infallible;
use std::future::Ready;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, UPGRADE};
use axum::routing::get;
use heirloom::tower::ScopeLayer;
use heirloom::{FutureExt, Heirloom, Lineage, Registry, Scope, current};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tower_layer::Layer;
use tower_service::Service;

use crate::common::bounded;

static USER: Heirloom<String> = Heirloom::new("user");

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts")
}

fn user() -> String {
    USER.get().map_or_else(|_| String::from("nobody"), |user| user.to_string())
}

/// An upgraded connection that answers each byte with the user it finds.
async fn talks(request: Request) {
    let Ok(connection) = hyper::upgrade::on(request).await else { return };
    let mut connection = TokioIo::new(connection);
    while connection.read_u8().await.is_ok() {
        let answer = format!("{}\n", user());
        if connection.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn answer(client: &mut BufReader<TcpStream>) -> String {
    client.write_all(b".").await.expect("it is open");
    let mut answer = String::new();
    client.read_line(&mut answer).await.expect("it is open");
    answer.trim_end().to_string()
}

#[test]
fn an_upgraded_connection_keeps_the_requests_user_and_is_in_the_report() {
    bounded(|| {
        runtime().block_on(async {
            let family = Registry::new();
            let server = Scope::new_in(&family.root(), "server");
            let below = server.lineage().clone();
            let chat = move |request: Request| {
                let at = below.clone();
                async move {
                    // By itself it has gone with the request; in a scope of its own below the server it stays.
                    if request.uri().path() == "/lost" {
                        drop(tokio::spawn(talks(request)));
                    } else {
                        let connection = Scope::new_in(&at, "connection");
                        USER.bind_at(&connection, user()).unwrap();
                        drop(at.run(|| heirloom::spawn(talks(request).in_scope(connection))).unwrap());
                    }
                    (StatusCode::SWITCHING_PROTOCOLS, [(CONNECTION, "upgrade"), (UPGRADE, "chat")])
                }
            };
            let binds = |_: &Request, at: &Lineage| drop(USER.bind_at(at, String::from("ada")));
            let layer = ScopeLayer::new().below(server.lineage()).on_open(binds);
            let app = Router::new().route("/kept", get(chat.clone())).route("/lost", get(chat)).layer(layer);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let serves = heirloom::spawn(async move { axum::serve(listener, app).await }).unwrap();
            let open = async |path| {
                let mut client = BufReader::new(TcpStream::connect(address).await.unwrap());
                let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n");
                client.write_all(head.as_bytes()).await.unwrap();
                let mut line = String::from("-");
                while line.trim_end() != "" {
                    line.clear();
                    client.read_line(&mut line).await.unwrap();
                }
                client
            };
            let (mut lost, mut kept) = (open("/lost").await, open("/kept").await);
            for _ in 0..3 {
                assert_eq!((answer(&mut lost).await, answer(&mut kept).await), ("nobody".into(), "ada".into()));
            }
            assert_eq!(server.pending(), 1);
            let report = family.shutdown_async(Duration::ZERO).await;
            assert_eq!((report.spawned, report.is_complete()), (1, false));
            server.cancel();
            assert!(family.shutdown_async(Duration::MAX).await.is_complete());
            assert_eq!(kept.read_u8().await.ok(), None, "hung up");
            serves.cancel();
        });
    });
}

/// Says where it is called.
#[derive(Clone)]
struct Calls(mpsc::Sender<Lineage>);

impl Service<http::Request<()>> for Calls {
    type Response = http::Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<()>) -> Self::Future {
        self.0.send(current()).unwrap();
        std::future::ready(Ok(http::Response::new(())))
    }
}

#[test]
fn a_buffers_worker_calls_a_service_at_the_process_or_in_the_scope_that_the_layer_opens_there() {
    bounded(|| {
        runtime().block_on(async {
            let server = Scope::new("server");
            let (says, said) = mpsc::channel();
            let layer = ScopeLayer::new().below(server.lineage());
            let request = || http::Request::new(());

            let mut outside = layer.layer(tower::buffer::Buffer::new(Calls(says.clone()), 1));
            std::future::poll_fn(|cx| outside.poll_ready(cx)).await.unwrap();
            outside.call(request()).await.unwrap();
            assert_eq!(said.recv().unwrap(), Lineage::process());

            let mut inside = tower::buffer::Buffer::new(layer.layer(Calls(says)), 1);
            std::future::poll_fn(|cx| inside.poll_ready(cx)).await.unwrap();
            inside.call(request()).await.unwrap();
            let place = said.recv().unwrap();
            assert_eq!((place.name(), place.parent().as_ref()), (Some("request"), Some(server.lineage())));
        });
    });
}
