//! A service that ends in order: it refuses new work, finishes accepted work, and reports both.
//!
//! ```text
//! cargo run --example graceful_shutdown
//! ```

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use heirloom::{PoolConfig, SubmitErrorKind};

static WRITTEN: AtomicU32 = AtomicU32::new(0);

fn main() -> Result<(), Box<dyn Error>> {
    // Whatever is forgotten below still ends in order: dropped last, this waits for every joining pool.
    let exit = heirloom::exit_guard();
    heirloom::exit_timeout(Some(Duration::from_secs(10)));

    // Joining is the default: accepted tasks complete. The queue is bounded, so submitters cannot fill the memory.
    let orders = heirloom::create("orders");
    orders.start(PoolConfig::leased(1).queue_limit(3))?;
    // Daemon: for work that may be lost. Nothing waits for it.
    let metrics = heirloom::create("metrics");
    metrics.start(PoolConfig::leased(1).daemon())?;

    // One order is under way (and waits for its customer), three are queued.
    let (customer_pays, payment) = mpsc::channel();
    let (begins, begun) = mpsc::channel();
    let slow = orders.submit(move || {
        // An error means that `main` has failed and does not listen.
        let _ = begins.send(());
        let paid = payment.recv();
        WRITTEN.fetch_add(1, Ordering::Relaxed);
        paid
    })?;
    begun.recv()?;
    for _ in 0..3 {
        // Dropping a handle detaches the task: it runs all the same.
        drop(orders.submit(|| WRITTEN.fetch_add(1, Ordering::Relaxed))?);
    }
    let full = orders.submit(|| ()).map(drop);
    assert!(
        matches!(full, Err(ref error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::QueueFull { limit: 3, .. })))
    );

    // A metric that is never written: its sender is alive as long as `main` runs.
    let (_never, forever) = mpsc::channel::<()>();
    let (begins, begun) = mpsc::channel();
    drop(metrics.submit(move || {
        let _ = begins.send(());
        forever.recv()
    })?);
    let lost = metrics.submit(|| "not that important")?;
    begun.recv()?;

    // 1. Stop, for a bounded time. The report names the remaining tasks by id and age.
    let report = heirloom::shutdown_timeout(Duration::from_millis(50));
    println!("asked to end:\n{report}\n");
    assert!(!report.is_complete());
    assert!(
        matches!(orders.submit(|| ()).map(drop), Err(error) if matches!(error.as_submit().map(|it| it.kind()), Some(SubmitErrorKind::Closed { .. })))
    ); // no new work
    assert!(lost.join().is_err_and(|error| error.is_cancelled())); // queued in a daemon pool

    // 2. The slow one comes through, and with it all that was queued behind it.
    customer_pays.send("42 crowns")?;
    assert_eq!(slow.join()??, "42 crowns");
    let report = orders.stop()?;
    println!("orders: {report}");
    assert_eq!((report.completed, report.is_complete()), (4, true));
    assert_eq!(WRITTEN.load(Ordering::Relaxed), 4);

    // 3. The guard drains a pool that the code does not stop. It does not wait for the daemon's blocked task.
    let mail = heirloom::create("mail");
    mail.start(PoolConfig::leased(1))?;
    drop(mail.submit(|| WRITTEN.fetch_add(1, Ordering::Relaxed))?);
    drop(exit); // as the end of `main` does
    assert_eq!(WRITTEN.load(Ordering::Relaxed), 5);
    println!("mail: {} sent while the guard waited", mail.stats().completed);
    Ok(())
}
