//! The tables and the JSON.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, thread};

use serde_json::{Value, json};

use crate::contest::Medians;

/// The most that heirloom may take.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    /// So many times a peer's median.
    OfPeer(f64, &'static str, Duration),
    /// A time that the other rows add up to.
    OfSum(&'static str, Duration),
    AtMost(Duration),
}

/// A measured row.
pub(crate) struct Row {
    work: &'static str,
    contender: &'static str,
    /// The median, or the reason why the contender was skipped.
    median: Result<Duration, String>,
    /// Of a row without one, the time is for the reader.
    bar: Option<Bar>,
}

impl Row {
    /// A row of heirloom beside its bar.
    pub(crate) fn new(work: &'static str, contender: &'static str, median: Duration, bar: Bar) -> Self {
        Self { work, contender, median: Ok(median), bar: Some(bar) }
    }

    /// A row without a bar.
    pub(crate) fn told(work: &'static str, contender: &'static str, median: &Result<Duration, String>) -> Self {
        Self { work, contender, median: median.clone(), bar: None }
    }

    /// Returns the median by the bar's time.
    fn ratio(&self) -> Option<f64> {
        let (Bar::OfPeer(_, _, base) | Bar::OfSum(_, base) | Bar::AtMost(base)) = self.bar?;
        Some(self.median.as_ref().ok()?.as_secs_f64() / base.as_secs_f64())
    }

    fn met(&self) -> Option<bool> {
        let most = if let Some(Bar::OfPeer(part, ..)) = self.bar { part } else { 1.0 };
        self.ratio().map(|ratio| ratio <= most)
    }

    fn bar(&self) -> Option<String> {
        Some(match self.bar? {
            Bar::OfPeer(part, peer, base) if part < 1.0 => {
                format!("<= 1/{:.0} of {peer} ({})", 1.0 / part, amount(base))
            }
            Bar::OfPeer(part, peer, base) => format!("<= {part} of {peer} ({})", amount(base)),
            Bar::OfSum(words, base) => format!("<= {words} ({})", amount(base)),
            Bar::AtMost(base) => format!("<= {}", amount(base)),
        })
    }
}

/// Prints the medians of one kind of work as a Markdown table, with a column for the ratio to each of the bases.
pub(crate) fn print_table(work: &str, medians: &Medians, bases: &[(&str, Duration)]) {
    let cells = medians.iter().map(|(name, median)| {
        let (time, ratios) = match median {
            Ok(median) => {
                let ratio = |(_, base): &(&str, Duration)| format!("{:.2}", median.as_secs_f64() / base.as_secs_f64());
                (amount(*median), bases.iter().map(ratio).collect())
            }
            Err(why) => (format!("skipped: {why}"), vec!["-".to_string(); bases.len()]),
        };
        [(*name).to_string(), time].into_iter().chain(ratios).collect()
    });
    let names = bases.iter().map(|(name, _)| (*name).to_string());
    print_cells([work.to_string(), "median".into()].into_iter().chain(names).collect(), cells.collect());
}

/// Prints heirloom's rows beside their bars.
pub(crate) fn print(rows: &[Row], quick: bool) {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    println!(
        "\nheirloom beside its bars, medians of one run on {cpus} CPUs{}",
        if quick { " (a smoke run)" } else { "" }
    );
    let cells = rows.iter().filter_map(|row| {
        let (met, ratio) = (row.met()?, row.ratio()?);
        let median = amount(*row.median.as_ref().ok()?);
        let met = if met { "yes" } else { "NO" };
        let bar = row.bar().unwrap_or_default();
        Some(vec![row.work.into(), row.contender.into(), median, format!("{ratio:.2}"), bar, met.into()])
    });
    let head = ["work", "contender", "median", "ratio", "bar", "met"];
    print_cells(head.map(String::from).into(), cells.collect());
    let met: Vec<bool> = rows.iter().filter_map(Row::met).collect();
    println!("\n{} of {} bars met", met.iter().filter(|met| **met).count(), met.len());
}

fn print_cells(head: Vec<String>, rows: Vec<Vec<String>>) {
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &[String]| {
        let padded: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("| {} |", padded.join(" | "));
    };
    println!();
    line(&head);
    println!("|{}|", widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|"));
    rows.iter().for_each(|row| line(row));
}

fn amount(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    if micros >= 10_000.0 { format!("{:.1} ms", micros / 1e3) } else { format!("{micros:.0} us") }
}

/// Writes the rows to `remote.json` in the target directory.
pub(crate) fn write_json(rows: &[Row]) {
    let list: Value = rows
        .iter()
        .map(|row| {
            json!({
                "work": row.work,
                "contender": row.contender,
                "median_ns": row.median.as_ref().ok().map(Duration::as_nanos).and_then(|nanos| u64::try_from(nanos).ok()),
                "skipped": row.median.as_ref().err(),
                "ratio": row.ratio(),
                "bar": row.bar(),
                "met": row.met(),
            })
        })
        .collect();
    let path = target_dir().join("remote.json");
    let written = fs::create_dir_all(target_dir()).and_then(|()| fs::write(&path, format!("{list:#}\n")));
    match written {
        Ok(()) => println!("written to {}", path.display()),
        Err(error) => eprintln!("remote: {} could not be written: {error}", path.display()),
    }
}

/// Returns the directory where cargo builds: its variable, or the workspace's `target`.
pub(crate) fn target_dir() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| "heirloom-nats".into());
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new(&manifest).join("../target"), PathBuf::from)
}
