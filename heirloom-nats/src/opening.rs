//! The way from a [`Connect`] to a [`Nats`].

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions};
use heirloom::remote::engine::Engine;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::address::Address;
use crate::connect::{Connect, Credentials, Storage};
use crate::driver::{self, command::Command};
use crate::engine::NatsEngine;
use crate::error::ConnectError;
use crate::names;
use crate::nats::Nats;
use crate::runtime;
use crate::settings::Settings;
use crate::shared::Shared;

/// The code that gets the outcome, on the connection's thread.
type Then = Box<dyn FnOnce(Result<Opened, ConnectError>) + Send>;

/// A connection whose driver runs.
struct Opened {
    commands: UnboundedSender<Command>,
    shared: Arc<Shared>,
}

pub(crate) fn open(connect: Connect) -> Result<Nats, ConnectError> {
    open_blocking(connect).map(nats)
}

pub(crate) fn open_engine(connect: Connect) -> Result<Box<dyn Engine>, ConnectError> {
    let opened = open_blocking(connect)?;
    Ok(Box::new(NatsEngine::new(opened.commands, opened.shared)))
}

fn open_blocking(connect: Connect) -> Result<Opened, ConnectError> {
    if let Some(refusal) = runtime::refusal("open") {
        return Err(ConnectError::Invalid(refusal));
    }
    let (sender, receiver) = mpsc::channel();
    // Each address has the time, and a thread its start.
    let addresses = connect.servers.split(',').count().clamp(1, 16);
    let bound = connect.timeout * u32::try_from(addresses).unwrap_or(16) + Duration::from_secs(2);
    begin(connect, Box::new(move |opened| drop(sender.send(opened))))?;
    receiver.recv_timeout(bound).map_err(|_| no_answer())?
}

pub(crate) async fn open_async(connect: Connect) -> Result<Nats, ConnectError> {
    let (sender, receiver) = oneshot::channel();
    begin(connect, Box::new(move |opened| drop(sender.send(opened))))?;
    receiver.await.map_err(|_| no_answer())?.map(nats)
}

fn no_answer() -> ConnectError {
    ConnectError::Invalid(
        "the runtime does not open the connection; it has ended, or its only thread is blocked: use `open_async` there"
            .into(),
    )
}

fn nats(opened: Opened) -> Nats {
    let engine = NatsEngine::new(opened.commands.clone(), Arc::clone(&opened.shared));
    let connection = heirloom::remote::engine::open(Box::new(engine));
    Nats::new(connection, opened.commands.downgrade(), opened.shared)
}

/// Starts the connection on its runtime.
fn begin(connect: Connect, then: Then) -> Result<(), ConnectError> {
    let addresses = Address::read_all(&connect.servers)?;
    check(&connect)?;
    let runtime = connect.runtime.clone();
    let work = work(connect, addresses, then);
    if let Some(runtime) = runtime {
        runtime.spawn(work);
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ConnectError::Thread)?;
    // The runtime is dropped on its own thread, which is not one of an async runtime.
    let run = move || runtime.block_on(work);
    std::thread::Builder::new().name("heirloom-nats".into()).spawn(run).map(drop).map_err(ConnectError::Thread)
}

fn check(connect: &Connect) -> Result<(), ConnectError> {
    let invalid = |text: String| Err(ConnectError::Invalid(text));
    if !names::fits(&connect.app) {
        return invalid(format!("{:?} is no name of an app; {}", connect.app, names::rule()));
    }
    if let Some(prefix) = connect.inbox_prefix.as_ref().filter(|prefix| !names::fits(prefix)) {
        return invalid(format!("{prefix:?} is no prefix of an inbox; {}", names::rule()));
    }
    if connect.credentials.len() > 1 {
        return invalid(
            "the connection has several credentials; choose one of `user`, `token`, `nkey` and `credentials_file`"
                .into(),
        );
    }
    Ok(())
}

/// Connects, tells the opener, and runs the driver until its engine is dropped.
async fn work(connect: Connect, addresses: Vec<Address>, then: Then) {
    let (sender, commands) = unbounded_channel();
    let closed = Arc::new(AtomicBool::new(false));
    let _closing = Closing(Arc::clone(&closed));
    let tls = addresses.iter().any(|address| address.needs_tls(connect.without_tls));
    let tls = tls || !connect.roots.is_empty() || connect.certificate.is_some();
    let urls: Vec<String> =
        addresses.iter().map(|address| address.url(address.needs_tls(connect.without_tls))).collect();
    let servers = urls.join(", ");
    let client = match options(&connect, tls, &sender, closed).await {
        Ok(options) => {
            let bound = connect.timeout * u32::try_from(urls.len()).unwrap_or(1);
            match tokio::time::timeout(bound, options.connect(urls)).await {
                Ok(Ok(client)) => Ok(client),
                Ok(Err(error)) => Err(read_error(&error, &servers, tls)),
                Err(_) => Err(ConnectError::Unreachable { servers: servers.clone(), why: "no answer in time".into() }),
            }
        }
        Err(error) => Err(error),
    };
    let client = match client {
        Ok(client) => client,
        Err(error) => return then(Err(error)),
    };
    let settings = Settings {
        inbox_prefix: connect.inbox_prefix.unwrap_or_else(|| format!("_INBOX_{}", connect.app)),
        app: connect.app,
        lease: connect.lease,
        file: connect.storage == Storage::File,
        replicas: connect.replicas,
    };
    run(client, settings, servers, sender, commands, then).await;
}

async fn run(
    client: Client,
    settings: Settings,
    servers: String,
    sender: UnboundedSender<Command>,
    commands: UnboundedReceiver<Command>,
    then: Then,
) {
    let shared = Arc::new(Shared::new(servers, settings.app.clone(), settings.lease, client.max_payload()));
    then(Ok(Opened { commands: sender.clone(), shared: Arc::clone(&shared) }));
    driver::run(client, shared, settings, sender, commands).await;
}

/// Says to the client that it need not connect again.
struct Closing(Arc<AtomicBool>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn options(
    connect: &Connect,
    tls: bool,
    sender: &UnboundedSender<Command>,
    closed: Arc<AtomicBool>,
) -> Result<ConnectOptions, ConnectError> {
    let events = sender.downgrade();
    let mut options = ConnectOptions::new()
        .name(format!("heirloom {}", connect.app))
        .connection_timeout(connect.timeout)
        .ping_interval((connect.lease / 3).clamp(Duration::from_millis(100), Duration::from_secs(10)))
        .max_reconnects(None)
        .reconnect_delay_callback(move |tries| delay(tries, closed.load(Ordering::Relaxed)))
        .event_callback(move |event| {
            if let Some(sender) = events.upgrade() {
                let _ = sender.send(Command::Event(event));
            }
            std::future::ready(())
        });
    if tls {
        options = options.tls_client_config(crate::tls::config(&connect.roots, connect.certificate.as_ref())?);
        options = options.require_tls(true);
        if connect.tls_first {
            options = options.tls_first();
        }
    }
    Ok(match connect.credentials.first() {
        None => options,
        Some(Credentials::User(name, password)) => options.user_and_password(name.clone(), password.clone()),
        Some(Credentials::Token(token)) => options.token(token.clone()),
        Some(Credentials::Nkey(seed)) => options.nkey(seed.trim().into()),
        Some(Credentials::File(path)) => {
            let text = std::fs::read_to_string(path).map_err(|error| file(path, &error))?;
            options.credentials(&text).map_err(|error| file(path, &error))?
        }
    })
}

fn file(path: &Path, why: &std::io::Error) -> ConnectError {
    ConnectError::File { path: path.into(), why: why.to_string() }
}

/// The time before the next try to connect: short for ten seconds, then a second.
fn delay(tries: usize, closed: bool) -> Duration {
    if closed {
        // The client tries for as long as its runtime lives, also when all its users are dropped.
        return Duration::from_secs(365 * 86_400);
    }
    let millis = if tries > 100 { 1000 } else { (tries as u64).saturating_mul(10).min(100) };
    Duration::from_millis(millis)
}

fn read_error(error: &async_nats::ConnectError, servers: &str, tls: bool) -> ConnectError {
    let (servers, why) = (servers.to_string(), cause(error));
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            ConnectError::Refused { servers }
        }
        ConnectErrorKind::Tls => ConnectError::Tls { servers, why },
        ConnectErrorKind::ServerParse => {
            ConnectError::Invalid(format!("{servers} is no address of a NATS server: {why}"))
        }
        // A handshake that fails is an error of I/O, with the words of the TLS library.
        ConnectErrorKind::Io
            if tls
                && ["certificate", "tls", "handshake", "corrupt message"]
                    .iter()
                    .any(|word| why.to_lowercase().contains(word)) =>
        {
            ConnectError::Tls { servers, why }
        }
        _ => ConnectError::Unreachable { servers, why },
    }
}

/// Returns the innermost reason in words.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
