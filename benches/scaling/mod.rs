//! The suite: its rows, and the process that runs them.

mod judge;
mod measure;
mod report;
mod rows;

use std::env;
use std::process::ExitCode;

use judge::Measured;

/// The parsed command line.
struct Args {
    quick: bool,
    /// Selects the rows with this text in their name.
    filter: Option<String>,
}

impl Args {
    fn from_env() -> Self {
        let mut args = Self { quick: false, filter: None };
        let mut by_cargo_bench = false;
        for word in env::args().skip(1) {
            match word.as_str() {
                "--quick" => args.quick = true,
                "--bench" => by_cargo_bench = true,
                flag if flag.starts_with('-') => eprintln!("scaling: {flag} is unknown and ignored"),
                filter => args.filter = Some(filter.to_lowercase()),
            }
        }
        // `cargo test --benches` comes without `--bench`: there the question is only whether it runs.
        args.quick |= !by_cargo_bench;
        args
    }

    fn selects(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| name.to_lowercase().contains(filter))
    }
}

/// Measures the rows that the command line selects, and prints them as a table. Fails when one is flagged.
pub(crate) fn main() -> ExitCode {
    let args = Args::from_env();
    let rows: Vec<_> = rows::all().filter(|row| args.selects(row.name)).collect();
    if rows.is_empty() {
        println!("No row was measured. The rows are:");
        rows::all().for_each(|row| println!("  {}", row.name));
        return ExitCode::SUCCESS;
    }
    let measured: Vec<Measured> = rows.into_iter().map(|row| judge::measure(row, args.quick)).collect();
    report::print(&measured);
    if measured.iter().any(|row| row.flagged) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
