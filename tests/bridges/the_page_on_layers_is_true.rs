//! With the feature `tower`: the table of `docs/where-to-put-the-layer.md` holds for each order of layers.
//!
//! It gives the client's answer and the end of the request's task. Each of its rows has a case here, and each case a row.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::error_handling::HandleErrorLayer;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{BoxError, Router};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt, stream};
use heirloom::tower::{ScopeLayer, ScopeUsage};
use heirloom::{FutureExt as _, PoolConfig, PoolManager, Scope, TaskHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tower::ServiceBuilder;
use tower::ServiceExt;
use tower::buffer::BufferLayer;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::service_fn;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, ResponseBodyTimeoutLayer, TimeoutLayer};
use tower_http::trace::TraceLayer;
use tower_layer::Layer;

use crate::common::pools::started;
use crate::common::{BOUND, bounded};
use crate::grpc;

const PAGE: &str = include_str!("../../docs/where-to-put-the-layer.md");

/// A time limit that no test reaches.
const SHORT: Duration = Duration::from_millis(25);

/// One row of the table.
struct Row {
    what: &'static str,
    position: &'static str,
    client: &'static str,
    work: &'static str,
}

fn rows() -> Vec<Row> {
    let table = PAGE.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let row = |line: &'static str| match line.split(" | ").collect::<Vec<_>>()[..] {
        [what, position, client, work] => Row { what, position, client, work },
        _ => panic!("the row has four columns: {line}"),
    };
    // After its head.
    table.map(row).skip(1).collect()
}

/// The outcome of a case, by the first words of the page's columns.
#[derive(Debug)]
struct Seen {
    client: String,
    work: &'static str,
}

fn seen(client: impl Into<String>, work: &'static str) -> Seen {
    Seen { client: client.into(), work }
}

const GONE: &str = "nothing";
const GOES_ON: &str = "goes on";
const NOTHING: &str = "is nothing";
const AT_THE_LIMIT: &str = "is cancelled at the limit";
const WITH_THE_CLIENT: &str = "is cancelled when the client goes";

/// A request's task, which runs until it is released or cancelled.
struct Work {
    release: mpsc::Sender<()>,
    /// Whether it was cancelled.
    end: mpsc::Receiver<bool>,
}

impl Work {
    /// Tells how the task ended. Called when the request has ended.
    fn fate(self, cancelled: &'static str) -> &'static str {
        let _ = self.release.send(());
        self.waited_for(cancelled)
    }

    /// The same, where the request may still have to end.
    fn waited_for(self, cancelled: &'static str) -> &'static str {
        match self.end.recv_timeout(BOUND / 2) {
            Ok(false) => GOES_ON,
            Err(mpsc::RecvTimeoutError::Timeout) => "does not end",
            // A task that was cancelled in the queue sends nothing.
            _ => cancelled,
        }
    }
}

/// The handlers' pool, which is shared: no scope of a request owns it.
#[derive(Clone)]
struct Desk {
    pool: PoolManager,
    says: mpsc::Sender<Work>,
    begun: Arc<Notify>,
}

impl Desk {
    /// Submits a task at the current node.
    fn work(&self) -> TaskHandle<()> {
        let (release, released) = mpsc::channel();
        let (ends, end) = mpsc::channel();
        let begun = Arc::clone(&self.begun);
        // Before the task sends that it runs, after which the test looks.
        self.says.send(Work { release, end }).expect("the test listens");
        let task = self.pool.submit(move || {
            begun.notify_one();
            loop {
                let is_released = !matches!(released.try_recv(), Err(mpsc::TryRecvError::Empty));
                // Looked at last: the test releases it after the end of its request.
                let is_cancelled = heirloom::is_cancelled();
                if is_released || is_cancelled {
                    let _ = ends.send(is_cancelled);
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        task.expect("accepted")
    }

    /// A page that waits for its task.
    fn page(&self) -> Router {
        let desk = self.clone();
        Router::new().route("/", get(move || async move { desk.work().await.map_or("cancelled", |()| "done") }))
    }

    /// A page that submits a task, and streams more than any socket holds.
    fn flood(&self) -> Flood {
        let (desk, frames) = (self.clone(), Arc::new(AtomicUsize::new(0)));
        let counts = Arc::clone(&frames);
        let handler = move || async move {
            drop(desk.work());
            let chunk = Bytes::from(vec![b'x'; 1 << 16]);
            Body::from_stream(stream::repeat_with(move || {
                counts.fetch_add(1, SeqCst);
                Ok::<_, Infallible>(chunk.clone())
            }))
        };
        Flood { app: Router::new().route("/", get(handler)), frames }
    }

    /// A page that submits a task, and streams without an end.
    fn stream(&self) -> Router {
        let desk = self.clone();
        let handler = move || async move {
            drop(desk.work());
            let words = stream::iter([Ok::<_, Infallible>("begun")]).chain(stream::pending());
            ([("content-type", "text/plain")], Body::from_stream(words))
        };
        Router::new().route("/", get(handler))
    }
}

/// An endless answer, and the number of its polled frames.
struct Flood {
    app: Router,
    frames: Arc<AtomicUsize>,
}

/// One case: a server, and its outcome.
struct Case {
    desk: Desk,
    works: mpsc::Receiver<Work>,
    owner: Scope,
}

fn request() -> Request {
    let request = Request::builder().uri("/").header("accept-encoding", "gzip");
    request.body(Body::empty()).expect("it is one")
}

impl Case {
    fn new() -> Self {
        let owner = Scope::new("server");
        let pool = started(&owner, "shared", PoolConfig::leased(4));
        let (says, works) = mpsc::channel();
        Self { desk: Desk { pool, says, begun: Arc::default() }, works, owner }
    }

    fn layer(&self) -> ScopeLayer {
        ScopeLayer::new().below(&self.owner)
    }

    fn fate(&self, cancelled: &'static str) -> &'static str {
        self.works.try_recv().map_or(NOTHING, |work| work.fate(cancelled))
    }

    /// The client waits for its answer, and reads all of it.
    async fn answered(self, app: Router) -> Seen {
        self.answered_to(app, request(), AT_THE_LIMIT).await
    }

    async fn answered_to(self, app: Router, request: Request, cancelled: &'static str) -> Seen {
        let response = app.oneshot(request).await.expect("a router never fails");
        let status = response.status().as_u16().to_string();
        let whole = axum::body::to_bytes(response.into_body(), usize::MAX).await.is_ok();
        let client = if whole { status } else { format!("{status}, a cut body") };
        let work = self.fate(cancelled);
        seen(client, work)
    }

    /// Waits until the task runs.
    async fn begun<F: Future + Unpin>(&self, response: &mut F) {
        tokio::select! {
            _ = response => panic!("it is answered too soon"),
            () = self.desk.begun.notified() => {}
        }
    }

    /// The client disconnects before it has its answer.
    async fn gone<F: Future>(self, response: F) -> Seen {
        let mut response = Box::pin(response);
        self.begun(&mut response).await;
        drop(response);
        seen(GONE, self.fate(WITH_THE_CLIENT))
    }

    async fn gone_from(self, app: Router) -> Seen {
        self.gone(app.oneshot(request())).await
    }

    /// The client disconnects in the middle of the body.
    async fn gone_midway(self, app: Router, is_compressed: bool) -> Seen {
        let response = app.oneshot(request()).await.expect("a router never fails");
        assert_eq!(response.headers().contains_key("content-encoding"), is_compressed);
        let mut body: BodyDataStream = response.into_body().into_data_stream();
        let _ = body.next().now_or_never();
        self.desk.begun.notified().await;
        drop(body);
        seen("nothing more", self.fate(WITH_THE_CLIENT))
    }

    /// A client of a server over a real connection.
    async fn connected(app: Router, sends: &[u8]) -> TcpStream {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(axum::serve(listener, app).into_future());
        let mut client = TcpStream::connect(address).await.expect("it listens");
        client.write_all(sends).await.expect("sent");
        client
    }

    /// The client has sent this, and disconnects before it has its answer.
    async fn hangs_up(self, app: Router, sends: &[u8]) -> Seen {
        let client = Self::connected(app, sends).await;
        self.desk.begun.notified().await;
        drop(client);
        // The server has seen the disconnect by now, or does not look.
        tokio::time::sleep(4 * SHORT).await;
        seen(GONE, self.fate(WITH_THE_CLIENT))
    }

    /// The client reads the head of its answer, and nothing more for longer than any limit. With `reads_on` it reads the
    /// rest then.
    async fn stops_reading(self, Flood { frames, .. }: Flood, app: Router, reads_on: bool) -> Seen {
        let mut client = Self::connected(app, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        let mut answer = vec![0; 12];
        client.read_exact(&mut answer).await.expect("it begins");
        let status = String::from_utf8_lossy(&answer[9..]).into_owned();
        let mut asked = 0;
        while asked != frames.load(SeqCst) {
            asked = frames.load(SeqCst);
            tokio::time::sleep(4 * SHORT).await;
        }
        let work = self.fate(AT_THE_LIMIT);
        if !reads_on {
            return seen(status, work);
        }
        let _ = client.read_to_end(&mut answer).await;
        assert!(!answer.ends_with(b"0\r\n\r\n"), "the answer is cut");
        seen(format!("{status}, a cut body"), work)
    }

    /// Returns the second of two clients' answer, if there is one, and the number of requests that count then.
    async fn second(self, app: Router, usage: ScopeUsage) -> (Option<Response>, usize) {
        let mut first = Box::pin(app.clone().oneshot(request()));
        self.begun(&mut first).await;
        let mut second = Box::pin(app.oneshot(request()));
        let answer = (&mut second).now_or_never().map(|answer| answer.expect("a router never fails"));
        let counted = usage.in_use();
        drop((first, second));
        (answer, counted)
    }
}

/// Tells the end of a second client's task, by the number of requests that count.
fn of_the_second(counted: usize) -> &'static str {
    if counted == 1 { NOTHING } else { "is counted by `limit`" }
}

fn tower_limit() -> tower::timeout::TimeoutLayer {
    tower::timeout::TimeoutLayer::new(SHORT)
}

fn http_limit() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, SHORT)
}

/// Answers an error with a status.
macro_rules! errors {
    ($status:expr) => {
        HandleErrorLayer::new(|_: BoxError| async { $status })
    };
}

const FAILS: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

type Run = fn(Case) -> Pin<Box<dyn Future<Output = Seen>>>;

/// The columns `what` and `where`, and the case.
macro_rules! cases {
    ($($what:literal, $position:literal => |$case:ident| $body:expr;)*) => {
        &[$(($what, $position, |$case| Box::pin(async move { $body }))),*]
    };
}

static CASES: &[(&str, &str, Run)] = cases! {
    "`ScopeLayer::timeout(d)`", "the layer itself" => |case| {
        let app = case.desk.page().layer(case.layer().timeout(SHORT));
        case.answered(app).await
    };
    "`ScopeLayer::timeout(d)`, `until_body_end()`", "the layer itself" => |case| {
        let app = case.desk.stream().layer(case.layer().timeout(SHORT).until_body_end());
        case.answered(app).await
    };
    "tower-http's `TimeoutLayer`", "outside" => |case| {
        let app = case.desk.page().layer(case.layer()).layer(http_limit());
        case.answered(app).await
    };
    "tower-http's `TimeoutLayer`", "inside" => |case| {
        let app = case.desk.page().layer(http_limit()).layer(case.layer());
        case.answered(app).await
    };
    "tower-http's `TimeoutLayer`, `cancel_only_on_drop()`", "inside" => |case| {
        let app = case.desk.page().layer(http_limit()).layer(case.layer().cancel_only_on_drop());
        case.answered(app).await
    };
    "tower's `TimeoutLayer` below a `HandleErrorLayer`", "both outside" => |case| {
        let both = ServiceBuilder::new().layer(errors!(FAILS)).layer(tower_limit());
        let app = case.desk.page().layer(case.layer()).layer(both);
        case.answered(app).await
    };
    "tower's `TimeoutLayer` below a `HandleErrorLayer`", "both inside" => |case| {
        let both = ServiceBuilder::new().layer(errors!(FAILS)).layer(tower_limit());
        let app = case.desk.page().layer(both).layer(case.layer());
        case.answered(app).await
    };
    "tower's `TimeoutLayer` below a `HandleErrorLayer` that answers 504", "both inside" => |case| {
        let both = ServiceBuilder::new().layer(errors!(StatusCode::GATEWAY_TIMEOUT)).layer(tower_limit());
        let app = case.desk.page().layer(both).layer(case.layer());
        case.answered(app).await
    };
    "tower's `TimeoutLayer` below a `HandleErrorLayer`", "the one inside, the other outside" => |case| {
        let all = ServiceBuilder::new().layer(errors!(FAILS)).layer(case.layer()).layer(tower_limit());
        let app = case.desk.page().layer(all);
        case.answered(app).await
    };
    "tonic's `Server::timeout(d)`", "outside" => |case| {
        let desk = case.desk.clone();
        let handler = move |_: Bytes| -> grpc::Answer {
            let task = desk.work();
            Box::pin(async move { Ok(tonic::Response::new(format!("{:?}", task.await).into())) })
        };
        let (incoming, port) = grpc::incoming();
        let mut server = tonic::transport::Server::builder().timeout(SHORT).layer(case.layer().until_body_end());
        tokio::spawn(server.add_service(grpc::Echo(handler)).serve_with_incoming(incoming));
        let status = grpc::call(grpc::connect(port).await, "page").await.expect_err("it is late");
        let client = if status.code() == tonic::Code::Cancelled { "`CANCELLED`" } else { "another status" };
        seen(client, case.works.recv().expect("it was asked for").waited_for(AT_THE_LIMIT))
    };
    "tower-http's `RequestBodyTimeoutLayer`", "inside or outside" => |case| {
        let other = Case::new();
        let app = |case: &Case| {
            let desk = case.desk.clone();
            let handler = move |request: Request| async move {
                drop(desk.work());
                match axum::body::to_bytes(request.into_body(), 100).await {
                    Ok(_) => StatusCode::OK,
                    Err(_) => StatusCode::BAD_REQUEST,
                }
            };
            Router::new().route("/", get(handler))
        };
        let limit = RequestBodyTimeoutLayer::new(SHORT);
        let endless = || Request::new(Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()));
        let outside = app(&other).layer(other.layer()).layer(limit.clone());
        let outside = other.answered_to(outside, endless(), AT_THE_LIMIT).await;
        let inside = app(&case).layer(limit).layer(case.layer());
        let inside = case.answered_to(inside, endless(), AT_THE_LIMIT).await;
        assert_eq!((&inside.client, inside.work), (&outside.client, outside.work));
        inside
    };
    "tower-http's `ResponseBodyTimeoutLayer`, `until_body_end()`", "outside" => |case| {
        let app = case.desk.stream().layer(case.layer().until_body_end()).layer(ResponseBodyTimeoutLayer::new(SHORT));
        case.answered(app).await
    };
    "tower-http's `ResponseBodyTimeoutLayer`, `until_body_end()`", "inside" => |case| {
        let app = case.desk.stream().layer(ResponseBodyTimeoutLayer::new(SHORT)).layer(case.layer().until_body_end());
        case.answered(app).await
    };
    "`ScopeLayer::timeout(d)`, `until_body_end()`, a client that stops reading", "the layer itself" => |case| {
        let flood = case.desk.flood();
        let app = flood.app.clone().layer(case.layer().timeout(SHORT).until_body_end());
        case.stops_reading(flood, app, true).await
    };
    "tower-http's `ResponseBodyTimeoutLayer`, `until_body_end()`, a client that stops reading", "outside" => |case| {
        let flood = case.desk.flood();
        let app = flood.app.clone().layer(case.layer().until_body_end()).layer(ResponseBodyTimeoutLayer::new(SHORT));
        case.stops_reading(flood, app, false).await
    };
    "tower-http's `ResponseBodyTimeoutLayer`, `until_body_end()`, a client that stops reading", "inside" => |case| {
        let flood = case.desk.flood();
        let app = flood.app.clone().layer(ResponseBodyTimeoutLayer::new(SHORT)).layer(case.layer().until_body_end());
        case.stops_reading(flood, app, false).await
    };
    "`until_body_end()`, a client that stops reading", "the layer itself" => |case| {
        let flood = case.desk.flood();
        let app = flood.app.clone().layer(case.layer().until_body_end());
        case.stops_reading(flood, app, false).await
    };
    "`timeout(d, handle)`, or `select!`", "in the handler" => |case| {
        let desk = case.desk.clone();
        let handler = move || async move { format!("{:?}", tokio::time::timeout(SHORT, desk.work()).await) };
        let app = Router::new().route("/", get(handler)).layer(case.layer());
        case.answered(app).await
    };
    "`timeout(d, handle.cancel_on_drop())`, or `select!`", "in the handler" => |case| {
        let desk = case.desk.clone();
        let handler = move || async move {
            format!("{:?}", tokio::time::timeout(SHORT, desk.work().cancel_on_drop()).await)
        };
        let app = Router::new().route("/", get(handler)).layer(case.layer());
        case.answered(app).await
    };
    "`timeout(d, part().in_scope(Scope::new(\"part\")))`", "in the handler" => |case| {
        let desk = case.desk.clone();
        let handler = move || async move {
            let part = async { desk.work().await }.in_scope(Scope::new("part"));
            format!("{:?}", tokio::time::timeout(SHORT, part).await)
        };
        let app = Router::new().route("/", get(handler)).layer(case.layer());
        case.answered(app).await
    };
    "`handle.await`", "in the handler" => |case| {
        let app = case.desk.page().layer(case.layer());
        case.gone_from(app).await
    };
    "`handle.await`, a `POST` whose body is read", "in the handler" => |case| {
        let desk = case.desk.clone();
        let handler = move |_: Bytes| async move { desk.work().await.is_ok().to_string() };
        let app = Router::new().route("/", post(handler)).layer(case.layer());
        case.hangs_up(app, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello").await
    };
    "`handle.await`, a `POST` whose body is not read", "in the handler" => |case| {
        let unread = |case: &Case| {
            let desk = case.desk.clone();
            // Held as long as the handler runs.
            let handler = move |request: Request| async move {
                let done = desk.work().await.is_ok();
                drop(request);
                done.to_string()
            };
            Router::new().route("/", post(handler)).layer(case.layer())
        };
        let other = Case::new();
        let app = unread(&other);
        let not_come = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n";
        let not_come = other.hangs_up(app, not_come).await;
        let app = unread(&case);
        let mut all_come = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n".to_vec();
        all_come.extend([b'x'; 100_000]);
        let all_come = case.hangs_up(app, &all_come).await;
        assert_eq!((&all_come.client, all_come.work), (&not_come.client, not_come.work));
        all_come
    };
    "`handle.await`, and the next request was sent already (pipelined)", "in the handler" => |case| {
        let app = case.desk.page().layer(case.layer());
        let two = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n";
        case.hangs_up(app, two).await
    };
    "`tokio::spawn(f)`", "in the handler" => |case| {
        let desk = case.desk.clone();
        let handler = move || async move {
            let _ = tokio::spawn(async move { desk.work().await }).await;
        };
        let app = Router::new().route("/", get(handler)).layer(case.layer());
        case.gone_from(app).await
    };
    "`tokio::spawn(f.in_lineage(&heirloom::current()))`", "in the handler" => |case| {
        let desk = case.desk.clone();
        let handler = move || async move {
            let _ = tokio::spawn(async move { desk.work().await }.in_lineage(&heirloom::current())).await;
        };
        let app = Router::new().route("/", get(handler)).layer(case.layer());
        case.gone_from(app).await
    };
    "`heirloom::spawn(f)`", "in the handler" => |case| {
        let desk = case.desk.clone();
        let handler = move || async move {
            let _ = heirloom::spawn(async move { desk.work().await }).expect("a runtime runs").await;
        };
        let app = Router::new().route("/", get(handler)).layer(case.layer());
        case.gone_from(app).await
    };
    "`tokio::task::spawn_blocking(f)`", "in the handler" => |case| {
        let desk = case.desk.clone();
        let handler = move || async move {
            let _ = tokio::task::spawn_blocking(move || desk.work().join()).await;
        };
        let app = Router::new().route("/", get(handler)).layer(case.layer());
        case.gone_from(app).await
    };
    "`tokio::task::spawn_blocking(heirloom::wrap(f))`", "in the handler" => |case| {
        let desk = case.desk.clone();
        let handler = move || async move {
            let _ = tokio::task::spawn_blocking(heirloom::wrap(move || desk.work().join())).await;
        };
        let app = Router::new().route("/", get(handler)).layer(case.layer());
        case.gone_from(app).await
    };
    "`heirloom::spawn_blocking(f)`", "in the handler" => |case| {
        let desk = case.desk.clone();
        let handler = move || async move {
            let _ = heirloom::spawn_blocking(move || desk.work().join()).expect("a runtime runs").await;
        };
        let app = Router::new().route("/", get(handler)).layer(case.layer());
        case.gone_from(app).await
    };
    "a body that is streamed", "no `until_body_end()`" => |case| {
        let app = case.desk.stream().layer(case.layer());
        case.gone_midway(app, false).await
    };
    "a body that is streamed", "`until_body_end()`" => |case| {
        let app = case.desk.stream().layer(case.layer().until_body_end());
        case.gone_midway(app, false).await
    };
    "`below_with(tenant)`", "the layer itself" => |case| {
        let tenant = Scope::new_in(&case.owner, "tenant");
        let at = tenant.lineage().clone();
        let app = case.desk.page().layer(case.layer().below_with(move |_: &Request| Some(at.clone())));
        case.gone_from(app).await
    };
    "a middleware that has the handler stand at a tenant (`in_lineage`)", "outside" => |case| {
        let tenant = Scope::new_in(&case.owner, "tenant");
        let at = tenant.lineage().clone();
        let moves = from_fn(move |request: Request, next: Next| next.run(request).in_lineage(&at));
        let app = case.desk.page().layer(case.layer()).layer(moves);
        case.gone_from(app).await
    };
    "a middleware that has the handler stand at a tenant (`in_lineage`)", "inside" => |case| {
        let tenant = Scope::new_in(&case.owner, "tenant");
        let at = tenant.lineage().clone();
        let moves = from_fn(move |request: Request, next: Next| next.run(request).in_lineage(&at));
        let app = case.desk.page().layer(moves).layer(case.layer());
        case.gone_from(app).await
    };
    "`CompressionLayer`, `until_body_end()`", "outside" => |case| {
        let app = case.desk.stream().layer(case.layer().until_body_end()).layer(CompressionLayer::new());
        case.gone_midway(app, true).await
    };
    "`CompressionLayer`, `until_body_end()`", "inside" => |case| {
        let app = case.desk.stream().layer(CompressionLayer::new()).layer(case.layer().until_body_end());
        case.gone_midway(app, true).await
    };
    "`TraceLayer`", "outside" => |case| {
        let app = case.desk.page().layer(case.layer()).layer(TraceLayer::new_for_http());
        case.gone_from(app).await
    };
    "`TraceLayer`", "inside" => |case| {
        let app = case.desk.page().layer(TraceLayer::new_for_http()).layer(case.layer());
        case.gone_from(app).await
    };
    "`BufferLayer`", "outside" => |case| {
        let all = ServiceBuilder::new().layer(errors!(FAILS)).layer(BufferLayer::new(8)).layer(case.layer());
        let app = case.desk.page().layer(all);
        case.gone_from(app).await
    };
    "`BufferLayer`, work of the response's future", "inside" => |case| {
        let all = ServiceBuilder::new().layer(errors!(FAILS)).layer(case.layer()).layer(BufferLayer::new(8));
        let app = case.desk.page().layer(all);
        case.gone_from(app).await
    };
    "`BufferLayer`, work of the call itself", "inside" => |case| {
        let desk = case.desk.clone();
        let service = service_fn(move |_: Request| {
            let task = desk.work();
            async move { Ok::<Response, Infallible>(format!("{:?}", task.await).into_response()) }
        });
        let service = case.layer().layer(BufferLayer::new(8).layer(service));
        case.gone(service.oneshot(request())).await
    };
    "`CatchPanicLayer` and a panic", "outside" => |case| {
        let app = panics(&case.desk).layer(case.layer()).layer(CatchPanicLayer::new());
        case.answered_to(app, request(), "is cancelled with the panic").await
    };
    "`CatchPanicLayer` and a panic", "inside" => |case| {
        let app = panics(&case.desk).layer(CatchPanicLayer::new()).layer(case.layer());
        case.answered_to(app, request(), "is cancelled with the panic").await
    };
    "a second `ScopeLayer`, with a `timeout(d)`", "inside" => |case| {
        let app = case.desk.page().layer(case.layer().timeout(SHORT)).layer(case.layer());
        case.answered(app).await
    };
    "`ScopeLayer::limit(n)`, one too many", "the layer itself" => |case| {
        let layer = case.layer().limit(1);
        let app = case.desk.page().layer(layer.clone());
        let (answer, counted) = case.second(app, layer.usage()).await;
        seen(answer.map_or_else(String::new, |answer| answer.status().as_u16().to_string()), of_the_second(counted))
    };
    "`LoadShedLayer` below a `HandleErrorLayer`, one too many", "outside" => |case| {
        let layer = case.layer().limit(9);
        let sheds = ServiceBuilder::new().layer(errors!(StatusCode::SERVICE_UNAVAILABLE)).layer(LoadShedLayer::new());
        let app = case.desk.page().layer(layer.clone()).layer(sheds.layer(GlobalConcurrencyLimitLayer::new(1)));
        let (answer, counted) = case.second(app, layer.usage()).await;
        seen(answer.map_or_else(String::new, |answer| answer.status().as_u16().to_string()), of_the_second(counted))
    };
    "`ConcurrencyLimitLayer`, one that waits", "outside" => |case| {
        let layer = case.layer().limit(9);
        let app = case.desk.page().layer(layer.clone()).layer(GlobalConcurrencyLimitLayer::new(1));
        let (answer, counted) = case.second(app, layer.usage()).await;
        seen(answer.map_or("nothing yet", |_| "an answer"), of_the_second(counted))
    };
    "`ConcurrencyLimitLayer`, one that waits", "inside" => |case| {
        let layer = case.layer().limit(9);
        let app = case.desk.page().layer(GlobalConcurrencyLimitLayer::new(1)).layer(layer.clone());
        let (answer, counted) = case.second(app, layer.usage()).await;
        seen(answer.map_or("nothing yet", |_| "an answer"), of_the_second(counted))
    };
};

/// A page that submits a task, and panics.
fn panics(desk: &Desk) -> Router {
    let desk = desk.clone();
    let handler = move || async move {
        drop(desk.work());
        // Without a report: the panic hook is for faults.
        resume_unwind(Box::new("it was told to")) as ()
    };
    Router::new().route("/", get(handler))
}

#[test]
fn each_row_of_the_page_on_layers_is_what_happens() {
    bounded(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime starts");
        let mut wrong = Vec::new();
        for Row { what, position, client, work } in rows() {
            match CASES.iter().find(|case| (case.0, case.1) == (what, position)) {
                Some((.., run)) => {
                    let seen = runtime.block_on(run(Case::new()));
                    if !client.starts_with(&seen.client) || !work.starts_with(seen.work) {
                        wrong.push(format!("{what}, {position}: the page says {client:?}, {work:?}; {seen:?}"));
                    }
                }
                None => wrong.push(format!("{what}, {position}: no case")),
            }
        }
        let has_row = |what, position| rows().iter().any(|row| (row.what, row.position) == (what, position));
        let without = CASES.iter().filter(|case| !has_row(case.0, case.1));
        wrong.extend(without.map(|(what, position, _)| format!("{what}, {position}: no row")));
        assert!(wrong.is_empty() && rows().len() == CASES.len(), "{wrong:#?}");
    });
}
