//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Serves the Markdown and Rust files below a directory as a documentation site.
///
/// Every request owns a thread pool of its own and renders its components there in parallel.
#[derive(Debug, Parser)]
#[command(name = "component_server")]
pub(crate) struct Args {
    /// The directory to show [default: this repository]
    #[arg(default_value = env!("CARGO_MANIFEST_DIR"), hide_default_value = true)]
    pub(crate) directory: PathBuf,

    /// The port on 127.0.0.1; 0 takes any free one [default: 8080, with --requests any free one]
    #[arg(long)]
    port: Option<u16>,

    /// Send this many requests to the server over HTTP, report, and end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) requests: Option<u32>,

    /// How many clients send them at the same time
    #[arg(
        long,
        value_name = "C",
        default_value_t = 4,
        requires = "requests",
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    pub(crate) clients: u16,

    /// How many of a hundred requests are given up in the middle
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 0,
        requires = "requests",
        value_parser = clap::value_parser!(u8).range(..=100)
    )]
    pub(crate) disconnect: u8,

    /// With --requests: give up with exit code 2 after this many seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 300,
        requires = "requests",
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    time_limit: u64,
}

impl Args {
    pub(crate) fn port(&self) -> u16 {
        // A load run needs no well-known address, and must not fail because another program has it.
        self.port.unwrap_or(if self.requests.is_some() { 0 } else { 8080 })
    }

    pub(crate) fn time_limit(&self) -> Duration {
        Duration::from_secs(self.time_limit)
    }
}
