//! A server that sends its work to workers: thumbnails of Markdown pages, over an engine.
//!
//! ```text
//! cargo run -p thumbnails                                    # a server and two workers in one process, without a broker
//! cargo run -p thumbnails -- --broker                        # over a `nats-server`, with two worker processes
//! cargo run -p thumbnails -- --stay --listen 127.0.0.1:8082  # goes on, for a browser
//! ```
//!
//! - `web` has the routes and the layers, and the error that every handler returns.
//! - `job` has the job, as data and as code. `markdown` and `svg` draw.
//! - `worker` has the end that runs jobs, and its own process; `broker` starts these processes and the `nats-server`.
//! - `load` has the clients, `report` their verdict.

mod answer;
mod broker;
mod client;
mod job;
mod load;
mod markdown;
mod pages;
mod report;
mod svg;
mod web;
mod worker;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use heirloom::inspector::Inspector;
use heirloom::remote::{self, Queue};
use heirloom::{Drain, Lineage, PoolConfig, Registry, TaskType};
use tokio::net::TcpListener;

use crate::broker::{Broker, WorkerProcess};
use crate::job::Thumbnail;
use crate::load::Load;
use crate::pages::Pages;
use crate::worker::{Ended, Worker};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Jobs at once over all workers, and jobs that wait for them.
const AT_ONCE: usize = 64;
const QUEUED: usize = 10_000;
const WORKERS: usize = 2;

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Role>,
    /// The server's address; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Goes on after the clients, until SIGTERM or Ctrl-C.
    #[arg(long)]
    stay: bool,
    /// Starts a `nats-server` and two worker processes, instead of workers in this process.
    #[arg(long)]
    broker: bool,
    /// The folder with the Markdown pages. This repository's documentation by default.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"), hide_default_value = true)]
    pages: PathBuf,
    /// Clients at a time; 0 for none.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// How often the clients get each page.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// The time limit of a request in seconds.
    #[arg(long, default_value_t = 10.0)]
    limit: f64,
    /// Logs each job.
    #[arg(long, global = true)]
    verbose: bool,
}

#[derive(Subcommand)]
enum Role {
    /// Runs jobs, until SIGTERM.
    Worker {
        /// The address of the `nats-server`.
        #[arg(long)]
        nats: String,
        /// The address of the worker's page of the inspector; port 0 takes any free one.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
}

/// The workers' end.
enum Workers {
    Here(Vec<Worker>),
    Processes(Vec<WorkerProcess>, Box<Broker>, heirloom_nats::Nats),
}

#[tokio::main]
async fn main() -> ExitCode {
    let _exit = heirloom::exit_guard();
    let args = Args::parse();
    let level = if args.verbose { tracing::Level::INFO } else { tracing::Level::WARN };
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).init();
    let ended = match &args.command {
        Some(Role::Worker { nats, listen }) => worker::run(nats, *listen).await.map(|()| true),
        None => serve(&args).await,
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the server, its workers and its clients to their end. Returns whether all was right.
async fn serve(args: &Args) -> Outcome<bool> {
    let (queue, workers) = if args.broker { processes(args.verbose).await? } else { here()? };
    let root = Lineage::process();
    root.create("io").start(PoolConfig::leased(8))?;
    let config = PoolConfig::remote(AT_ONCE, queue).task_type(TaskType::job::<Thumbnail>()).queue_limit(QUEUED);
    root.create("thumbs").start(config)?;

    let pages = Arc::new(Pages::of(&args.pages)?);
    let inspector = Inspector::new(Registry::global());
    let app = web::router(pages.clone(), &inspector, Duration::from_secs_f64(args.limit));
    let listener = TcpListener::bind(args.listen).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}, with the family at /heirloom");
    if let Workers::Processes(workers, broker, _) = &workers {
        println!("the nats-server is {}", broker.url);
        workers.iter().for_each(|worker| println!("a worker's family is {}", worker.page));
    }

    let load = Load::new(address, &pages, args.clients)?;
    let mut seen = None;
    let end = async {
        if args.clients > 0 {
            tokio::select! {
                all = load.run(args.rounds) => seen = Some(all),
                () = heirloom::terminated() => return inspector.close(),
            }
        }
        if args.stay {
            heirloom::terminated().await;
        }
        inspector.close(); // an open page would hold up the end
    };
    let drained = Drain::within(Duration::from_secs(10))
        .serve(end, |stopping| axum::serve(listener, app).with_graceful_shutdown(stopping))
        .await;
    // The workers last: until then each job has one.
    let workers = stop(workers).await?;
    let right = match &seen {
        Some(seen) => report::print(seen, &workers),
        None => args.clients == 0, // a signal ended the run before its clients
    };
    println!("{drained}");
    // A client from elsewhere may still wait when the signal comes. The clients of the run do not.
    let whole = drained.is_complete() && (args.stay || !drained.cancelled);
    drained.server.unwrap_or(Ok(()))?;
    Ok(right && whole)
}

/// Starts workers in this process, each with an end of the engine of its own.
fn here() -> Outcome<(Queue, Workers)> {
    let engine = remote::loopback();
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(Worker::start(engine.another().queue("thumbs"))?);
    }
    Ok((engine.queue("thumbs"), Workers::Here(workers)))
}

/// Starts a broker, and worker processes.
async fn processes(verbose: bool) -> Outcome<(Queue, Workers)> {
    let broker = Broker::start().await?;
    let nats = heirloom_nats::connect(&broker.url).app("thumbnails").open_async().await?;
    // As an operator does before a first deploy: the workers find the queue at once.
    nats.set_up_async("thumbs", AT_ONCE, Some(QUEUED)).await?;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(WorkerProcess::start(&broker.url, verbose).await?);
    }
    Ok((nats.queue("thumbs"), Workers::Processes(workers, Box::new(broker), nats)))
}

async fn stop(workers: Workers) -> Outcome<Vec<Ended>> {
    let mut ended = Vec::new();
    match workers {
        Workers::Here(workers) => {
            for worker in workers {
                ended.push(worker.stop().await?);
            }
        }
        Workers::Processes(workers, broker, nats) => {
            for worker in workers {
                ended.push(worker.stop().await?);
            }
            nats.close_async().await;
            drop(broker);
        }
    }
    Ok(ended)
}
