//! With the features `tokio` and `tower`: work after a response stands where `docs/after-the-response.md` says.
//!
//! So does a service that a buffer's worker calls.

use std::convert::Infallible;
use std::future::Ready;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, UPGRADE};
use axum::routing::get;
use heirloom::tower::ScopeLayer;
use heirloom::{FutureExt, Heirloom, Lineage, PoolConfig, Registry, Scope, SubmitErrorKind, current};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tower_layer::Layer;
use tower_service::Service;

use crate::common::{bounded, eventually};

static USER: Heirloom<String> = Heirloom::new("user");
/// Bound at the scope above requests and connections.
static SERVER: Heirloom<&str> = Heirloom::new("server");

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

/// Serves the app, detached.
async fn serve(app: Router) -> (SocketAddr, heirloom::SpawnHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, heirloom::spawn(async move { axum::serve(listener, app).await }).unwrap())
}

/// An upgraded connection.
async fn open(address: SocketAddr, path: &str) -> BufReader<TcpStream> {
    let mut client = BufReader::new(TcpStream::connect(address).await.unwrap());
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let mut line = String::from("-");
    while line.trim_end() != "" {
        line.clear();
        client.read_line(&mut line).await.unwrap();
    }
    client
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
            SERVER.at(&server).bind("here").unwrap();
            let chat = async |request: Request| {
                // Left alone it ends with the request. In a scope of its own below the server it stays.
                if request.uri().path() == "/lost" {
                    drop(tokio::spawn(talks(request)));
                } else {
                    let at = SERVER.place().unwrap();
                    let connection = Scope::new_in(&at, "connection");
                    USER.at(&connection).bind(user()).unwrap();
                    let talks = talks(request).in_scope(connection).cancel_at_end();
                    drop(at.run(|| heirloom::spawn(talks)).unwrap());
                }
                (StatusCode::SWITCHING_PROTOCOLS, [(CONNECTION, "upgrade"), (UPGRADE, "chat")])
            };
            let binds = |_: &Request, at: &Lineage| drop(USER.at(at).bind(String::from("ada")));
            let layer = ScopeLayer::new().below(server.lineage()).on_open(binds);
            let app = Router::new().route("/kept", get(chat)).route("/lost", get(chat)).layer(layer);
            let (address, serves) = serve(app).await;
            let (mut lost, mut kept) = (open(address, "/lost").await, open(address, "/kept").await);
            for _ in 0..3 {
                assert_eq!((answer(&mut lost).await, answer(&mut kept).await), ("nobody".into(), "ada".into()));
            }
            assert_eq!(server.pending(), 1);
            let report = family.shutdown_timeout_async(Duration::ZERO).await;
            assert_eq!((report.spawned, report.is_complete()), (1, false));
            server.cancel();
            assert!(family.shutdown_timeout_async(Duration::MAX).await.is_complete());
            assert_eq!(kept.read_u8().await.ok(), None, "hung up");
            serves.cancel();
        });
    });
}

/// Sends the node of each call.
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

/// A connection that submits a detached task, and reads until the client hangs up.
async fn listens(request: Request) {
    let feed = heirloom::get("feeds").unwrap().submit(|| heirloom::sleep(Duration::from_secs(3600)));
    drop(feed.unwrap());
    talks(request).await;
}

#[test]
fn a_client_that_hangs_up_leaves_no_task_of_its_connection() {
    bounded(|| {
        runtime().block_on(async {
            let family = Registry::new();
            let server = Scope::new_in(&family.root(), "server");
            SERVER.at(&server).bind("here").unwrap();
            family.root().create("feeds").start(PoolConfig::leased(4)).unwrap();
            let chat = async |request: Request| {
                let at = SERVER.place().unwrap();
                let connection = Scope::new_in(&at, "connection");
                let place = connection.lineage().clone();
                match request.uri().path() {
                    "/closes" => drop(at.run(|| heirloom::spawn(listens(request).in_scope(connection))).unwrap()),
                    "/cancels" => {
                        let talks = listens(request).in_scope(connection).cancel_at_end();
                        drop(at.run(|| heirloom::spawn(talks)).unwrap());
                    }
                    "/by-hand" => {
                        let talks = async move {
                            listens(request).in_lineage(&place).await;
                            drop(connection);
                        };
                        drop(at.run(|| heirloom::spawn(talks)).unwrap());
                    }
                    // As a library that spawns by itself, later.
                    _ => drop(tokio::spawn(async move {
                        let talks = listens(request).in_scope(connection).cancel_at_end();
                        drop(at.run(|| heirloom::spawn(talks)).unwrap());
                    })),
                }
                (StatusCode::SWITCHING_PROTOCOLS, [(CONNECTION, "upgrade"), (UPGRADE, "chat")])
            };
            let paths = ["/cancels", "/by-hand", "/later", "/closes"];
            let layer = ScopeLayer::new().below(server.lineage());
            let app = paths.into_iter().fold(Router::new(), |app, path| app.route(path, get(chat))).layer(layer);
            let (address, serves) = serve(app).await;
            for path in paths {
                let mut client = open(address, path).await;
                assert_eq!(answer(&mut client).await, "nobody", "it listens, and has its task");
                assert_eq!(server.pending(), 2, "{path}: the connection and its task");
                drop(client);
                let left = usize::from(path == "/closes"); // the task: `in_scope` closed and cancelled nothing
                // This thread is no worker of the runtime, so it may wait.
                eventually("the connection ends", || server.pending() == left);
            }
            server.cancel();
            serves.cancel();
            assert!(family.shutdown_timeout_async(Duration::MAX).await.is_complete());
        });
    });
}

/// A job's input: it submits once at once, and once when the response is out.
struct Job {
    says: mpsc::Sender<Result<(), heirloom::Error>>,
    answered: tokio::sync::oneshot::Receiver<()>,
}

static TENANT: Heirloom<&str> = Heirloom::new("tenant");

fn begin(path: &str, job: Job) {
    let Job { says, answered } = job;
    let pool = |name| heirloom::get(name).unwrap();
    let submits = move || says.send(heirloom::get("work").unwrap().submit(|| ()).map(drop)).unwrap();
    match path {
        "/task" | "/sealed" => {
            let pool = pool(if path == "/task" { "work" } else { "sealed" });
            let task = pool.submit(move || {
                submits();
                let _ = answered.blocking_recv();
                submits();
            });
            drop(task.unwrap());
        }
        _ => {
            let job = async move {
                submits();
                let _ = answered.await;
                submits();
            };
            let spawn = || drop(heirloom::spawn(job).unwrap());
            if path == "/at-tenant" { TENANT.place().unwrap().run(spawn) } else { spawn() }
        }
    }
}

#[test]
fn what_a_job_submits_after_a_202_is_accepted_at_the_tenant_and_from_a_detached_pool_only() {
    bounded(|| {
        runtime().block_on(async {
            let family = Registry::new();
            let start = |name: &'static str, config| family.root().create(name).start(config).unwrap();
            start("work", PoolConfig::leased(2));
            start("sealed", PoolConfig::leased(1).detached());
            let tenant = Scope::new_in(&family.root(), "tenant");
            TENANT.at(&tenant).bind("acme").unwrap();
            for (path, accepted) in [("/spawned", false), ("/task", false), ("/at-tenant", true), ("/sealed", true)] {
                let (says, said) = mpsc::channel();
                let (answers, answered) = tokio::sync::oneshot::channel();
                let job = Arc::new(Mutex::new(Some(Job { says, answered })));
                let accept = async move |request: Request| {
                    begin(request.uri().path(), job.lock().unwrap().take().unwrap());
                    StatusCode::ACCEPTED
                };
                let mut app = Router::new().route(path, get(accept)).layer(ScopeLayer::new().below(tenant.lineage()));
                let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
                assert_eq!(app.call(request).await.unwrap().status(), StatusCode::ACCEPTED);
                // The response is out; the first of the two raced it. This thread is none of the runtime's workers.
                let _ = said.recv().unwrap();
                answers.send(()).unwrap();
                match said.recv().unwrap() {
                    Ok(()) => assert!(accepted, "{path}"),
                    Err(error)
                        if matches!(
                            error.as_submit().map(|it| it.kind()),
                            Some(SubmitErrorKind::ScopeEnded { .. })
                        ) =>
                    {
                        assert!(!accepted, "{path}")
                    }
                    Err(error) => panic!("{path}: {error}"),
                }
            }
            assert!(family.shutdown_timeout_async(Duration::MAX).await.is_complete());
        });
    });
}
