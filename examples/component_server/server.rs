//! Serving until a signal, or until the load run ends.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use heirloom::{Lineage, Portal};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::cli::Args;
use crate::findings::Findings;
use crate::load::{self, Report};
use crate::observe::Observe;
use crate::process;
use crate::request::AT_A_TIME;
use crate::say;
use crate::site::Site;
use crate::visits::{VISITS, Visits};
use crate::web;

/// The time that open requests have to end after the signal.
const DRAIN: Duration = Duration::from_secs(5);

/// The report of a server's life.
pub(crate) struct Served {
    /// The load run's report, if there was a run and it ended.
    pub(crate) load: Option<Report>,
    pub(crate) findings: Findings,
}

pub(crate) async fn serve(site: Arc<Site>, args: &Args) -> io::Result<Served> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port()));
    let listener = TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}; --port 0 takes any free port"))
    })?;
    let address = listener.local_addr()?;
    say(format_args!("{} pages of {} on http://{address}/", site.pages.len(), site.root.display()));

    Portal::current().map_err(io::Error::other)?.bind_at(&Lineage::process()).map_err(io::Error::other)?;
    VISITS.at(&Lineage::process()).bind(Visits::start().map_err(io::Error::other)?).map_err(io::Error::other)?;
    let observe = Observe::start().map_err(io::Error::other)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, web::router(site.clone(), &observe)).with_graceful_shutdown(async move {
        // An error means that the sender was dropped, which ends the server too.
        let _ = stopped.await;
    });
    let mut serving = heirloom::spawn(async move { serving.await }).map_err(io::Error::other)?;

    let load = tokio::select! {
        load = work(&site, args, address) => load,
        ended = &mut serving => return Err(ended.map_or_else(io::Error::other, |ended| match ended {
            Ok(()) => io::Error::other("the server ended by itself"),
            Err(error) => error,
        })),
    };
    drop(stop);
    observe.close();
    if timeout(DRAIN, serving).await.is_err() {
        say(format_args!("some connections were still open after {DRAIN:?}"));
    }
    Ok(Served { load, findings: Findings::after(allowed_threads(args)).await })
}

/// The limits of all pools that there can be at a time; twice, for a request that was given up has threads until they
/// have looked. Waits in a request cause one more.
fn allowed_threads(args: &Args) -> usize {
    let requests = if args.requests.is_some() { args.clients.into() } else { web::AT_ONCE };
    2 * requests * (AT_A_TIME + 1) + process::threads()
}

/// Serves a load run, or else all clients until a signal.
async fn work(site: &Site, args: &Args, address: SocketAddr) -> Option<Report> {
    match args.requests {
        Some(requests) => tokio::select! {
            report = load::run(address, site, requests as usize, args.clients.into(), args.disconnect.into()) => Some(report),
            () = signal() => None,
        },
        None => {
            signal().await;
            None
        }
    }
}

/// Ctrl-C, and on Unix also a service manager's SIGTERM.
async fn signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
