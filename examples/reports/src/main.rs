//! A server to copy from: reports over a SQLite database, for several tenants.
//!
//! ```text
//! cargo run -p reports -- --tenants acme,globex
//! curl 'http://127.0.0.1:8081/acme/report'
//! curl 'http://127.0.0.1:8081/acme/orders.csv'
//! curl 'http://127.0.0.1:8081/acme/forecast?steps=1000000000' # 504: the time limit stops the statement
//! ```
//!
//! - `web` has the routes and the layers, and the error that every handler returns.
//! - `tenants` has a scope and a pool for each tenant.
//! - `db` has the pool of connections, and the hook that interrupts a statement.

mod db;
mod tenants;
mod web;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use heirloom::Drain;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;

use crate::tenants::Tenants;

#[derive(Parser)]
pub(crate) struct Args {
    /// The address to listen on; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// The database's file. Created and filled with invented orders if it does not exist.
    #[arg(long, default_value = "target/reports.sqlite")]
    database: PathBuf,
    /// The tenants, each with orders and a pool of its own.
    #[arg(long, value_delimiter = ',', default_value = "acme,globex")]
    tenants: Vec<String>,
    /// Invented orders for each tenant.
    #[arg(long, default_value_t = 50_000)]
    orders: u32,
    /// Connections to the database.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// The time limit of a request in seconds, until the last byte of its answer.
    #[arg(long, default_value_t = 5.0)]
    limit: f64,
    /// The seconds from SIGTERM to the server's end, also with open requests.
    #[arg(long, default_value_t = 10.0)]
    grace: f64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let _exit = heirloom::exit_guard();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let args = Args::parse();

    let exporter = PrometheusBuilder::new().install_recorder()?;
    db::start(&args.database, args.connections, &args.tenants, args.orders)?;
    let tenants = Tenants::open(&args.tenants)?;
    let app = web::router(&tenants, exporter, Duration::from_secs_f64(args.limit));

    let listener = TcpListener::bind(args.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let drained = Drain::within(Duration::from_secs_f64(args.grace))
        .serve(heirloom::terminated(), |stopping| axum::serve(listener, app).with_graceful_shutdown(stopping))
        .await;
    println!("{drained}");
    drop(tenants); // kept until here: a dropped scope cancels
    Ok(drained.server.unwrap_or(Ok(()))?)
}
