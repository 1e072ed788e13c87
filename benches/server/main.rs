//! The component server under load, beside the same server written in other usual ways.
//!
//! One iteration is one page over HTTP. The question: do long pages slow short ones down?
//!
//! ```text
//! cargo bench --all-features --bench server
//! cargo bench --all-features --bench server -- --seconds 2
//! ```
//!
//! Each server is a process of its own, under the same load over loopback: clients that request short pages only,
//! first alone, then beside others that request long ones. Nine of ten clients are `wrk`'s, and are measured. The
//! tenth hangs up on every other request in the middle. Without `wrk`, clients of this program do both. All servers
//! make the same pages with the same code, and differ in the threads that run it:
//!
//! - `heirloom`: the example as it is, a scope and a pool for each request;
//! - `spawn_blocking`: a page is one blocking task of tokio's;
//! - `semaphore`: the same, but no more threads than cores colour long pages at a time;
//! - `global rayon`: a page is a job of rayon's global pool, and its code is coloured in parallel.

mod outside;
mod plain;
mod runner;
mod serve;

#[path = "../../examples/component_server/load/client.rs"]
mod client;
#[path = "../../examples/component_server/components/mod.rs"]
mod components;
#[path = "../../examples/component_server/document.rs"]
mod document;
#[allow(dead_code, reason = "only the example uses all of it")]
#[path = "../../examples/component_server/load/drive.rs"]
mod drive;
#[path = "../../examples/component_server/error.rs"]
mod error;
#[path = "../../examples/component_server/file.rs"]
mod file;
#[path = "../../examples/component_server/highlight.rs"]
mod highlight;
#[path = "../../examples/component_server/html.rs"]
mod html;
#[path = "../../examples/component_server/markdown.rs"]
mod markdown;
#[allow(dead_code, reason = "only the example uses all of it")]
#[path = "../../examples/component_server/observe.rs"]
mod observe;
#[path = "../../examples/component_server/page.rs"]
mod page;
#[path = "../../examples/component_server/load/percentile.rs"]
mod percentile;
#[allow(dead_code, reason = "only the example uses all of it")]
#[path = "../../examples/component_server/process.rs"]
mod process;
#[path = "../../examples/component_server/reader.rs"]
mod reader;
#[path = "../../examples/component_server/request.rs"]
mod request;
#[path = "../../examples/component_server/rust_lines.rs"]
mod rust_lines;
#[path = "../../examples/component_server/rust_source.rs"]
mod rust_source;
#[path = "../../examples/component_server/site.rs"]
mod site;
#[allow(dead_code, reason = "only the example uses all of it")]
#[path = "../../examples/component_server/tally.rs"]
mod tally;
#[path = "../../examples/component_server/visits.rs"]
mod visits;
#[path = "../../examples/component_server/web.rs"]
mod web;

use std::error::Error;

use clap::{Parser, ValueEnum};

#[derive(Parser)]
struct Args {
    /// Be one of the servers, until standard input ends.
    #[arg(long)]
    serve: Option<Kind>,
    /// How long each load lasts.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Clients that ask for short pages.
    #[arg(long, default_value_t = 10)]
    cheap: usize,
    /// Clients that ask for long pages.
    #[arg(long, default_value_t = 10)]
    expensive: usize,
    /// How often everything is measured; the table has the middle one of each.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum Kind {
    Heirloom,
    SpawnBlocking,
    Semaphore,
    GlobalRayon,
}

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let args = Args::parse();
    match args.serve {
        Some(kind) => serve::serve(kind),
        None => runner::run(&args),
    }
}
