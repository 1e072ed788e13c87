//! Async request handlers with pools of their own, on a work-stealing runtime.
//!
//! A handler finds its request's pools after every `.await`. A client that hangs up cancels its queued tasks.
//!
//! ```text
//! cargo run --example async_handlers
//! ```

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};

use heirloom::{FutureExt, PoolConfig, Scope};
use tokio::sync::oneshot;

type Fallible<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Fallible {
    let _exit = heirloom::exit_guard();
    // `main` stands at the process, so every handler finds it. The queue is bounded: full means wait, not grow.
    let db = heirloom::create("db");
    db.start(PoolConfig::leased(2).queue_limit(16))?;

    // `in_scope`: the handler stands in its request on every poll, whichever thread polls it. It ends, the scope
    // closes.
    let mut handlers = Vec::new();
    for id in 0..100 {
        let request = Scope::new(format!("request {id}"));
        handlers.push(tokio::spawn(handler(id).in_scope(request)));
    }
    for (id, handler) in handlers.into_iter().enumerate() {
        assert_eq!(handler.await??, format!("<p>row {id} for request {id}</p>"));
    }
    println!("100 requests, each with a render pool of its own; {} rows read", db.stats().completed);

    a_client_goes_away().await?;

    let report = db.stop_async().await?; // without blocking the runtime
    assert!(report.is_complete());
    println!("db: {report}");
    Ok(())
}

async fn handler(id: u32) -> Fallible<String> {
    let render = heirloom::create("render"); // the request's own
    render.start(PoolConfig::leased(2))?;

    // The process's pool. Waits for queue capacity without blocking the runtime; a handle is a future.
    let db = heirloom::get("db")?;
    let row = db.submit_async(move || format!("row {id}")).await?.await?;

    // Perhaps on another thread by now, but still in the request.
    let html = heirloom::get("render")?.submit(move || format!("<p>{row} for {}</p>", request_name()))?;
    Ok(html.await?)
}

/// The name of the nearest named node, from the current one upwards.
fn request_name() -> String {
    heirloom::current().ancestors().find_map(|node| node.name().map(String::from)).unwrap_or_default()
}

/// Dropping the future early cancels its scope: the tasks that it queued, in any pool, never run.
async fn a_client_goes_away() -> Fallible {
    let ran = Arc::new(AtomicU32::new(0));
    let serial = heirloom::create("serial");
    serial.start(PoolConfig::leased(1))?;

    let (open, gate) = mpsc::channel::<()>();
    let (starts, has_started) = oneshot::channel();
    let (submitted, is_submitted) = oneshot::channel();
    let counter = Arc::clone(&ran);
    let handler = async move {
        let serial = heirloom::get("serial")?;
        let under_way = serial.submit(move || {
            let _ = starts.send(());
            gate.recv()
        })?;
        has_started.await?; // the only permit is taken
        let mut queued = Vec::new();
        for _ in 0..10 {
            let counter = Arc::clone(&counter);
            queued.push(serial.submit(move || counter.fetch_add(1, Ordering::Relaxed))?);
        }
        let _ = submitted.send(());
        under_way.await??;
        Fallible::Ok(())
    };

    let request = Scope::new("request 100");
    tokio::select! {
        biased;
        _ = is_submitted => {} // the client hangs up: `select!` drops the handler
        done = handler.in_scope(request) => return done,
    }
    open.send(())?; // the running task goes on to its end
    let report = serial.stop_async().await?;
    assert_eq!((report.completed, report.cancelled, ran.load(Ordering::Relaxed)), (1, 10, 0));
    println!("serial: {report}");
    Ok(())
}
