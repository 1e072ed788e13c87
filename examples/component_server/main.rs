//! A documentation site with pages made of components, each rendered by a task of its own.
//!
//! ```text
//! cargo run --release --all-features --example component_server
//! cargo run --release --all-features --example component_server -- --requests 2000 --clients 16 --disconnect 10
//! ```
//!
//! Every request for a page stands in a scope, which a [`heirloom::tower::ScopeLayer`] opens, and owns a `"render"` pool there.
//! Its components find that pool by name and cannot find another request's. Two pools of the process are found from
//! everywhere: `"io"` reads files, and a work-stealing pool colours long code. A component that needs the runtime finds
//! a [`heirloom::Portal`]. No function takes any of these as an argument. A client that hangs up cancels the tasks of
//! its request, in all pools.
//!
//! `/tree` shows the family live, `/tree.txt` once, as text; `/metrics` has gauges and counters of all pools.
//!
//! Where to read: `web.rs` has the scope, `request.rs` the pools, `components/` their tasks, `page.rs` the assembly of
//! a page. With `--requests` the server puts itself under load. Each task checks its node, and at the end the server
//! reports whether all stood at their own request.

mod cli;
mod components;
mod document;
mod error;
mod file;
mod findings;
mod highlight;
mod html;
mod load;
mod markdown;
mod observe;
mod page;
mod process;
mod reader;
mod request;
mod rust_lines;
mod rust_source;
mod server;
mod site;
mod tally;
mod time_limit;
mod visits;
mod web;

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use crate::cli::Args;
use crate::server::Served;
use crate::site::Site;

fn main() -> ExitCode {
    let args = Args::parse();
    let _exit = heirloom::exit_guard();
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("component_server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    if args.requests.is_some() {
        time_limit::enforce(args.time_limit())?;
    }
    let site = Arc::new(Site::open(&args.directory)?);
    highlight::warm_up();
    process::start_pools()?;

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(server::serve(site, args));
    // Requests that are still open are dropped with the runtime, and their scopes with them.
    runtime.shutdown_timeout(Duration::from_secs(1));

    let Served { load, findings, drained } = outcome?;
    match &load {
        Some(report) => say(format_args!("{report}")),
        None if args.requests.is_some() => say(format_args!("ended before all requests were sent")),
        None => {}
    }
    say(format_args!("the server\n{findings}"));
    say(format_args!("{drained}"));
    let good = drained.is_complete() && findings.are_good() && load.as_ref().is_none_or(load::Report::is_good);
    // A load run that a signal ended early has shown nothing.
    let done = args.requests.is_none() || load.is_some();
    Ok(if good && done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints a line. Unlike `println!` this does not panic when the reader has closed the pipe.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
