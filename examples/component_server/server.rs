//! Serving until a signal, or until the load run ends.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use heirloom::{Drain, Lineage, Portal, ShutdownReport};
use tokio::net::TcpListener;

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

/// The time from the signal to the report. Open requests have half of it.
const DRAIN: Duration = Duration::from_secs(10);

/// The report of a server's life.
pub(crate) struct Served {
    /// The load run's report, if there was a run and it ended.
    pub(crate) load: Option<Report>,
    pub(crate) findings: Findings,
    pub(crate) drained: ShutdownReport,
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
    let (mut signalled, mut load) = (false, None);
    let signal = async {
        load = work(&site, args, address).await;
        signalled = true;
        observe.close();
    };
    let app = web::router(site.clone(), &observe);
    let mut drained = Drain::within(DRAIN)
        .serve(signal, |stopping| axum::serve(listener, app).with_graceful_shutdown(stopping))
        .await;
    match drained.server.take() {
        Some(Ok(())) if signalled => {}
        Some(ended) => return Err(ended.err().unwrap_or_else(|| io::Error::other("the server ended by itself"))),
        None => say(format_args!("some connections were still open after {DRAIN:?}")),
    }
    Ok(Served { load, findings: Findings::after(allowed_threads(args)).await, drained: drained.pools })
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
            () = heirloom::terminated() => None,
        },
        None => {
            heirloom::terminated().await;
            None
        }
    }
}
