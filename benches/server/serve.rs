//! One server, until standard input ends.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use heirloom::{Lineage, Portal};
use tokio::net::TcpListener;

use crate::observe::Observe;
use crate::site::Site;
use crate::tally::TALLY;
use crate::visits::{VISITS, Visits};
use crate::{Kind, Result, highlight, plain, process, web};

/// Prints its address first.
pub(crate) fn serve(kind: Kind) -> Result<()> {
    let site = Arc::new(Site::open(Path::new(env!("CARGO_MANIFEST_DIR")))?);
    highlight::warm_up();
    process::start_pools()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        let visits = Visits::start()?;
        let pages = if kind == Kind::Heirloom {
            Portal::current()?.bind_at(&Lineage::process())?;
            VISITS.at(&Lineage::process()).bind(visits)?;
            web::router(site, &Observe::start()?)
        } else {
            plain::router(site, visits, kind)
        };
        let app = Router::new().route("/stats.txt", get(async || stats())).merge(pages);
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        tokio::select! {
            served = async { axum::serve(listener, app).await } => Ok(served?),
            _ = ended => Ok(()),
        }
    })
}

/// Threads, lines, lines for clients that had gone, wrong lineages, managers left.
fn stats() -> String {
    // Where the system does not tell, it is 0.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")).map_or("0", str::trim);
    let left = process::leftover_managers().len();
    format!("{threads} {} {} {} {left}", TALLY.lines(), TALLY.lines_for_gone_clients(), TALLY.wrong_lineages())
}
