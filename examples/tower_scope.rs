//! A web server in which each request has a scope, with a value and a pool of its own.
//!
//! The scope has the name of the request's path. A stream stands in it until the stream's end. A client that hangs up
//! cancels its request's tasks. A request beyond the limit is answered at once. A pool's task runs async code on the
//! server's runtime through a portal.
//!
//! ```text
//! cargo run --example tower_scope --features tokio,tower
//! ```

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::get;
use futures::stream::{self, StreamExt};
use heirloom::tower::{ScopeLayer, ScopeUsage};
use heirloom::{Heirloom, Lineage, NodeKind, PoolConfig, Portal, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Fallible<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// The user, as the layer found it in the request. No function passes it on.
static VISITOR: Heirloom<String> = Heirloom::new("visitor");

/// Requests at once.
const LIMIT: usize = 8;

#[tokio::main]
async fn main() -> Fallible {
    let _exit = heirloom::exit_guard();
    // The process's: every request finds them.
    heirloom::create("slow").start(PoolConfig::leased(4))?;
    Portal::current()?.bind_at(&Lineage::process())?;

    let scopes = ScopeLayer::new()
        .below(&Lineage::process())
        .name(|request: &Request| format!("{} {}", request.method(), request.uri().path()))
        .on_open(|request: &Request, at| {
            let visitor = request.uri().query().unwrap_or("nobody").to_string();
            // Refused only where the server itself has ended.
            let _ = VISITOR.at(at).bind(visitor);
        })
        .limit(LIMIT)
        .until_body_end();
    let app = Router::new()
        .route("/page", get(|| async { page().await.map_err(failed) }))
        .route("/count", get(|| async { count().map_err(failed) }))
        .route("/slow", get(|| async { slow().await.map_err(failed) }))
        .layer(scopes.clone());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let server = listener.local_addr()?;
    let _serves = heirloom::spawn(async move { axum::serve(listener, app).await })?;

    println!("a page: {}", body(&ask(server, "/page?ada").await?));
    println!("a stream: {}", body(&ask(server, "/count?bob").await?));
    clients_go_away(server, &scopes.usage()).await
}

fn failed(error: Box<dyn Error + Send + Sync>) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

/// Renders in a pool of the request's own. Its task needs something that only async code gives.
async fn page() -> Fallible<String> {
    let render = heirloom::create("render");
    render.start(PoolConfig::leased(2))?;
    let html = render.submit(|| {
        let price = heirloom::portal()?.block_on(price())?; // releases the pool's permit meanwhile
        Fallible::Ok(format!("<p>{price} for {}</p>", VISITOR.get()?))
    });
    html?.await?
}

/// Runs on the server's runtime, at the node of the request that called the portal.
async fn price() -> u32 {
    tokio::time::sleep(Duration::from_millis(5)).await;
    if VISITOR.with(|visitor| visitor == "ada").unwrap_or(false) { 7 } else { 8 }
}

/// Streams lines, each made by the request's own pool, which is there until the last.
fn count() -> Fallible<Body> {
    heirloom::create("lines").start(PoolConfig::leased(1))?;
    let lines = stream::iter(1..=3).then(|n| async move {
        let line = heirloom::get("lines")?.submit(move || Fallible::Ok(format!("line {n} for {}; ", VISITOR.get()?)));
        line?.await?
    });
    Ok(Body::from_stream(lines))
}

/// Takes an hour, in a pool that all requests share.
async fn slow() -> Fallible<&'static str> {
    let task = heirloom::get("slow")?.submit(|| heirloom::sleep(Duration::from_secs(3600)))?;
    task.await??;
    Ok("done")
}

/// As many clients as there may be, and one more; then all of them hang up.
async fn clients_go_away(server: SocketAddr, requests: &ScopeUsage) -> Fallible {
    // An answer may be there a moment before its request's scope has ended.
    eventually(|| requests.in_use() == 0).await?;
    let mut clients = Vec::new();
    for _ in 0..LIMIT {
        clients.push(connect(server, "/slow").await?);
    }
    eventually(|| requests.in_use() == LIMIT).await?;
    let refused = ask(server, "/page").await?;
    println!("one too many: {}", refused.lines().next().unwrap_or_default());
    assert!(refused.starts_with("HTTP/1.0 503"));

    drop(clients);
    eventually(|| requests.in_use() == 0).await?; // a sleeping task releases its permit, so all eight slept
    let left = || Registry::global().snapshot().nodes.iter().filter(|node| node.kind == NodeKind::Scope).count();
    eventually(|| left() == 0).await?;
    let tasks = heirloom::with("slow", |slow| slow.stats().waiting + slow.stats().running + slow.stats().queued)?;
    println!("all have hung up: {} requests and {tasks} tasks are left", left());
    Ok(())
}

async fn eventually(holds: impl Fn() -> bool) -> Fallible {
    let looks = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    Ok(tokio::time::timeout(Duration::from_secs(30), looks).await?)
}

async fn connect(server: SocketAddr, path: &str) -> std::io::Result<TcpStream> {
    let mut client = TcpStream::connect(server).await?;
    client.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    Ok(client)
}

async fn ask(server: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut answer = String::new();
    connect(server, path).await?.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or(answer, |(_, body)| body)
}
