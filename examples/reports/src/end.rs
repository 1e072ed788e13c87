//! Serving until SIGTERM or Ctrl-C, with one deadline for all open requests.

use std::error::Error;
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use crate::tenants::Tenants;

/// The part of the grace after which open requests are cancelled.
const OF_ITSELF: f64 = 0.5;

/// Serves until a signal, and then for at most `grace`.
///
/// From the signal on no connection is accepted. Open requests may finish for half of the `grace`, and are cancelled then.
/// At the end of the `grace` the process ends, and prints a report of the remaining tasks.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    tenants: &Tenants,
    grace: Duration,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (asked, ends) = tokio::sync::oneshot::channel();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        signalled().await;
        let _ = asked.send(Instant::now() + grace);
    });
    let mut server = tokio::spawn(server.into_future());
    let deadline = tokio::select! {
        biased; // without an open request the server ends at the signal
        deadline = ends => deadline?,
        ended = &mut server => return Ok(ended??),
    };
    if timeout(grace.mul_f64(OF_ITSELF), &mut server).await.is_err() {
        tracing::warn!("cancels open requests");
        tenants.cancel();
        let _ = timeout(left(deadline), server).await;
    }
    let report = heirloom::shutdown_async(left(deadline)).await;
    println!("{report}");
    heirloom::on_exit(heirloom::ExitPolicy::Abandon); // the deadline has passed, or no task is left
    Ok(())
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

async fn signalled() {
    let mut terminate = signal(SignalKind::terminate()).expect("a handler for SIGTERM can be set");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
