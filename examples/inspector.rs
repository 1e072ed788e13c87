//! A small server that shows its own family live: requests come and go, and one of them is stuck.
//!
//! ```text
//! cargo run --features inspector --example inspector
//! ```
//!
//! Then open <http://127.0.0.1:8090>. It goes on until Ctrl-C, or for `--seconds N`.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use heirloom::inspector::Inspector;
use heirloom::{PoolConfig, Registry, Scope};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
struct Options {
    /// Ends after this long.
    #[arg(long)]
    seconds: Option<u64>,
    /// Where the page is.
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: String,
    /// Idle places beside the busy ones, to see what a large family costs.
    #[arg(long, default_value_t = 0)]
    idle: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let _exit = heirloom::exit_guard();
    heirloom::create("io").start(PoolConfig::leased(4))?;
    heirloom::create("requests").start(PoolConfig::leased(4).task_type("request"))?;
    let _idle: Vec<Scope> = (0..options.idle).map(|i| Scope::new(format!("idle {i}"))).collect();

    // Its own end asks all that stands below it to stop.
    let site = Scope::new("site");
    let traffic = site.run(|| heirloom::thread::Builder::new().name("traffic").spawn(traffic))?;
    let jam = site.run(|| heirloom::thread::Builder::new().name("jam").spawn(jam))?;

    let listener = tokio::net::TcpListener::bind(&options.listen).await?;
    println!("the family is at http://{}", listener.local_addr()?);
    let inspector = Inspector::new(Registry::global()).old_after(Duration::from_secs(5));
    let end = {
        let inspector = inspector.clone();
        async move {
            let forever = options.seconds.is_none();
            let time = tokio::time::sleep(Duration::from_secs(options.seconds.unwrap_or_default()));
            tokio::select! {
                () = time, if !forever => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            // Open pages listen for ever: without this they would hold up the server's end.
            inspector.close();
        }
    };
    axum::serve(listener, inspector.router()).with_graceful_shutdown(end).await?;

    site.cancel();
    let served = traffic.join().map_err(|_| "the traffic panicked")??;
    jam.join().map_err(|_| "the jam panicked")??;
    println!("{served} requests were served");
    Ok(())
}

/// Requests, one after another, until it is asked to stop.
fn traffic() -> Result<u64> {
    static SERVED: AtomicU64 = AtomicU64::new(0);
    let requests = heirloom::get("requests")?;
    let mut number = 0;
    while heirloom::sleep(Duration::from_millis(250)).is_ok() {
        number += 1;
        // What is refused, or ends early, is so because of the end.
        let _ = requests.submit_as("request", move || {
            let served = Scope::run(format!("GET /page/{number}"), |request| page(request, number));
            SERVED.fetch_add(u64::from(served.is_ok()), Ordering::Relaxed);
        });
    }
    requests.wait_idle()?;
    Ok(SERVED.load(Ordering::Relaxed))
}

/// A page of six components, two at a time, each with a file to read.
fn page(request: &Scope, number: u64) -> Result<()> {
    let render = request.create("render");
    render.start(PoolConfig::leased(2).task_type("component"))?;
    let component = move |part: u64| -> Result<()> {
        let file = heirloom::get("io")?.submit(move || compute(Duration::from_millis(60 + 37 * (part % 3))))?;
        file.join()??;
        Ok(compute(Duration::from_millis(150 + (number * 53 + part * 71) % 300))?)
    };
    let parts: Result<Vec<_>> =
        (0..6).map(|part| Ok(render.submit_as("component", move || component(part))?)).collect();
    parts?.into_iter().try_for_each(|part| part.join()?)
}

/// Keeps its place, as a computation would, and looks now and then whether it is asked to stop.
fn compute(time: Duration) -> std::result::Result<(), heirloom::Error> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        heirloom::checkpoint()?;
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A pool whose one task waits for what does not come, while more and more is queued behind it.
fn jam() -> Result<()> {
    let jammed = Scope::new("import (stuck)");
    let rows = jammed.create("rows");
    rows.start(PoolConfig::leased(1).task_type("row").daemon().holds_permit().queue_limit(500))?;
    let began = Instant::now();
    let import = || {
        drop(rows.submit_as("row", || heirloom::sleep(Duration::from_secs(3600)))?);
        while heirloom::sleep(Duration::from_millis(400)).is_ok() && began.elapsed() < Duration::from_secs(180) {
            drop(rows.submit_as("row", || ())?);
        }
        Ok(())
    };
    jammed.run(import)
}
