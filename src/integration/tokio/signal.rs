//! [`terminated`]: the signal that ends a server.

use std::future::pending;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::sync::unwind::swallow;

/// Becomes ready at SIGTERM or Ctrl-C, the signals by which service managers and users end a server.
///
/// For [`Drain::serve`](crate::Drain::serve). From the first poll on these signals do not end the process any more. Needs
/// a tokio runtime whose IO is enabled, as `#[tokio::main]` makes it; without one this never becomes ready, and an error
/// is logged.
///
/// ```
/// use std::time::Duration;
/// use heirloom::Drain;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let server = async || {};
/// let drain = Drain::within(Duration::from_secs(10));
/// let drained = drain.serve(heirloom::terminated(), |_stopping| server()).await;
/// assert!(drained.is_complete()); // this server has ended by itself
/// # }
/// ```
pub async fn terminated() {
    // tokio panics without a runtime, or without its IO.
    let set = catch_unwind(AssertUnwindSafe(set));
    let error = match set {
        Ok(Ok(signals)) => return signals.await,
        Ok(Err(error)) => error,
        Err(_) => io::Error::other("there is no tokio runtime here whose IO is enabled"),
    };
    swallow(
        || tracing::error!(target: "heirloom", %error, "`terminated` sees no signal: enable the IO of the runtime"),
    );
    pending().await
}

#[cfg(unix)]
fn set() -> io::Result<impl Future<Output = ()>> {
    use std::future::poll_fn;
    use std::task::Poll;

    use tokio::signal::unix::{SignalKind, signal};

    let [mut terminate, mut interrupt] = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    Ok(poll_fn(move |cx| match terminate.poll_recv(cx).is_ready() | interrupt.poll_recv(cx).is_ready() {
        true => Poll::Ready(()),
        false => Poll::Pending,
    }))
}

#[cfg(not(unix))]
fn set() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            pending().await
        }
    })
}
