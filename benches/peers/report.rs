//! The table and the JSON.

use std::path::{Path, PathBuf};
use std::{env, fs, thread};

use serde_json::{Value, json};

use super::group::{Bar, Row, Unit};

/// Prints the rows as a Markdown table, then describes one iteration of each.
pub(crate) fn print_table(rows: &[Row], quick: bool) {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    println!(
        "\nheirloom and its peers, medians of one run on {cpus} CPUs{}\n",
        if quick { " (quick: a smoke run)" } else { "" }
    );
    let mut cells = vec![["work", "heirloom", "best peer", "its median", "ratio", "bar", "met"].map(String::from)];
    cells.extend(rows.iter().map(cells_of));
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    for (index, row) in cells.iter().enumerate() {
        let padded: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("| {} |", padded.join(" | "));
        if index == 0 {
            println!("|{}|", widths.map(|width| "-".repeat(width + 2)).join("|"));
        }
    }
    println!("\nOne iteration is:");
    rows.iter().for_each(|row| println!("  {}: {}", row.spec.work, row.spec.iteration));
    let bars = rows.iter().filter(|row| row.spec.bar != Bar::Told);
    let met = bars.clone().filter(|row| row.met).count();
    println!("\n{met} of {} bars met", bars.count());
}

fn cells_of(row: &Row) -> [String; 7] {
    let (peer, median) = match &row.best_peer {
        Some((peer, median)) => (peer.clone(), amount(*median, row.spec.unit)),
        None => ("-".into(), "-".into()),
    };
    let ratio = if row.ratio < 0.1 { format!("{:.4}", row.ratio) } else { format!("{:.2}", row.ratio) };
    let met = match row.spec.bar {
        Bar::Told => "-",
        _ if row.met => "yes",
        _ => "NO",
    };
    [row.spec.work.into(), amount(row.ours, row.spec.unit), peer, median, ratio, bar(row), met.into()]
}

/// The bar in the budget's words.
fn bar(row: &Row) -> String {
    match row.spec.bar {
        Bar::OfBestPeer(1.0) => "<= 1".into(),
        Bar::OfBestPeer(part) if (1.0 / part).fract() == 0.0 => format!("<= 1/{}", 1.0 / part),
        Bar::OfBestPeer(part) => format!("<= {part}"),
        Bar::AtMost(value) => format!("<= {value} {}", unit(row.spec.unit)),
        Bar::Told => "-".into(),
    }
}

fn amount(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Nanoseconds if value >= 10_000.0 => format!("{:.1} µs", value / 1e3),
        Unit::Nanoseconds if value >= 100.0 => format!("{value:.0} ns"),
        Unit::Nanoseconds => format!("{value:.1} ns"),
        Unit::Allocations => format!("{value:.2}"),
        Unit::Bytes => format!("{value:.0} B"),
        Unit::Threads | Unit::Switches => format!("{value:.0}"),
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Nanoseconds => "ns",
        Unit::Allocations => "allocations",
        Unit::Bytes => "bytes",
        Unit::Threads => "threads",
        Unit::Switches => "context switches",
    }
}

/// Writes the rows to `peers.json` in the target directory. The fields that end in `_ns` are in the row's `unit`.
pub(crate) fn write_json(rows: &[Row]) {
    let list: Value = rows
        .iter()
        .map(|row| {
            let (peer, median) = row.best_peer.clone().unzip();
            json!({
                "work": row.spec.work,
                "iteration": row.spec.iteration,
                "unit": unit(row.spec.unit),
                "heirloom_ns": row.ours,
                "best_peer": peer,
                "best_peer_ns": median,
                "ratio": row.ratio,
                "bar": bar(row),
                "met": (row.spec.bar != Bar::Told).then_some(row.met),
            })
        })
        .collect();
    let path = target_dir().join("peers.json");
    let written = fs::create_dir_all(target_dir()).and_then(|()| fs::write(&path, format!("{list:#}\n")));
    match written {
        Ok(()) => println!("written to {}", path.display()),
        Err(error) => eprintln!("peers: {} could not be written: {error}", path.display()),
    }
}

/// Where cargo builds: its variable, or `target` beside the manifest.
pub(super) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into())).join("target"),
        PathBuf::from,
    )
}
