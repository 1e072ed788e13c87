//! A connection that outlives its request, as a WebSocket does.
//!
//! It keeps the request's user. Its tasks stand in a scope of its own and end with it. The server's shutdown waits for
//! it and reports it.
//!
//! ```text
//! cargo run --example upgrade --features tokio,tower
//! ```

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, UPGRADE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use heirloom::tower::ScopeLayer;
use heirloom::{FutureExt, Heirloom, PoolConfig, Scope};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

type Fallible<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// The user. Bound at the request, and again at the connection that outlives it.
static USER: Heirloom<String> = Heirloom::new("user");
/// The server's name. It is bound at the scope that requests and connections stand below, and so finds that scope too.
static SERVER: Heirloom<&str> = Heirloom::new("server");

#[tokio::main]
async fn main() -> Fallible {
    let _exit = heirloom::exit_guard();
    heirloom::create("answers").start(PoolConfig::leased(4))?;
    let server = Scope::new("server"); // stays here: a scope that the router owned would be cancelled with it
    SERVER.at(&server).bind("here")?;

    let scopes = ScopeLayer::new().below(server.lineage()).on_open(|request: &Request, at| {
        // Refused only where the server itself has ended.
        let _ = USER.at(at).bind(request.uri().query().unwrap_or("nobody").to_string());
    });
    let app = Router::new().route("/chat", get(chat)).layer(scopes);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let serves = heirloom::spawn(async move { axum::serve(listener, app).await })?;

    let mut ada = connect(address, "ada").await?;
    let mut bob = connect(address, "bob").await?;
    println!("{}", say(&mut ada, "hello").await?);
    println!("{}", say(&mut bob, "good morning").await?);
    assert_eq!(say(&mut ada, "still here?").await?, "ada said still here?");

    // The requests have ended long ago, and their connections are counted.
    let report = heirloom::shutdown_timeout_async(Duration::from_millis(10)).await;
    println!("{} connections are open: {report}", server.pending());
    assert_eq!((server.pending(), report.spawned, report.is_complete()), (2, 2, false));

    // A client that hangs up leaves no task behind, also of those that no code awaits.
    drop(bob);
    while server.pending() > 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    serves.cancel();
    server.cancel(); // each is dropped at its next `.await`
    let report = heirloom::shutdown_timeout_async(Duration::from_secs(10)).await;
    assert!(report.is_complete(), "{report}");
    assert_eq!(ada.read(&mut [0]).await?, 0); // hung up
    Ok(())
}

async fn chat(request: Request) -> Response {
    match open(request) {
        Ok(()) => (StatusCode::SWITCHING_PROTOCOLS, [(CONNECTION, "upgrade"), (UPGRADE, "chat")]).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Gives the connection a scope below the server, because the request's ends with the response.
fn open(request: Request) -> Fallible {
    let (user, server) = (USER.get()?, SERVER.place()?);
    let connection = Scope::new_in(&server, format!("chat of {user}"));
    USER.at(&connection).bind(user)?;
    let talks = talk(hyper::upgrade::on(request)).in_scope(connection).cancel_at_end(); // a hang-up is an end as any other
    drop(server.run(|| heirloom::spawn(talks))?); // detached, and counted by the server's scope
    Ok(())
}

/// Answers each line with a task that finds the user by itself.
async fn talk(upgrade: OnUpgrade) -> Fallible {
    let mut connection = BufReader::new(TokioIo::new(upgrade.await?));
    let mut line = String::new();
    while connection.read_line(&mut line).await? > 0 {
        let said = std::mem::take(&mut line);
        let answer = heirloom::get("answers")?.submit(move || USER.with(|user| format!("{user} said {said}")))?;
        connection.write_all(answer.await??.as_bytes()).await?;
    }
    Ok(())
}

type Client = BufReader<TcpStream>;

async fn connect(server: SocketAddr, user: &str) -> Fallible<Client> {
    let mut client = BufReader::new(TcpStream::connect(server).await?);
    let request = format!("GET /chat?{user} HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n");
    client.write_all(request.as_bytes()).await?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        client.read_line(&mut head).await?;
    }
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    Ok(client)
}

async fn say(client: &mut Client, line: &str) -> Fallible<String> {
    client.write_all(format!("{line}\n").as_bytes()).await?;
    let mut answer = String::new();
    client.read_line(&mut answer).await?;
    Ok(answer.trim_end().to_string())
}
