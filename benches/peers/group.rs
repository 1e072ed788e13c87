//! A group: rows that share one measurement, and how they are judged.

use std::env;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::args::Args;
use super::contest::{Medians, Plan};
use super::host;

/// Names of heirloom's contenders begin so; every other contender is a peer.
pub(crate) const OURS: &str = "heirloom";

/// Where a group is measured.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    /// In this process.
    Here,
    /// In a process of its own: blocks that other rows left in the heap would hide the blocks that this row takes.
    OwnProcess,
    /// In a process of its own that has one CPU from its first moment on.
    OneCpu,
}

/// Rows that share one measurement.
pub(crate) struct Group {
    /// The argument that names a child process's group.
    pub(crate) key: &'static str,
    pub(crate) place: Place,
    /// Runs the contenders.
    pub(crate) measure: fn(&Plan) -> Medians,
    pub(crate) rows: &'static [RowSpec],
}

/// One row before its measurement.
#[derive(Clone, Copy)]
pub(crate) struct RowSpec {
    /// The work, as in the budget.
    pub(crate) work: &'static str,
    /// Describes one iteration.
    pub(crate) iteration: &'static str,
    /// Which of heirloom's contenders the row is about.
    pub(crate) ours: &'static str,
    /// The peers of the row are the contenders with one of these texts in their name. An empty list takes all.
    pub(crate) peers: &'static [&'static str],
    pub(crate) unit: Unit,
    pub(crate) bar: Bar,
}

/// The unit of a row's numbers.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Unit {
    Nanoseconds,
    Allocations,
    Bytes,
    Threads,
    Switches,
}

/// The most that heirloom may cost.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Bar {
    /// So many times the cost of the best peer.
    OfBestPeer(f64),
    /// So much, in the row's unit.
    AtMost(f64),
    /// None: the row is for the reader.
    Told,
}

impl RowSpec {
    fn takes(&self, peer: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|part| peer.contains(part))
    }
}

/// A measured row.
pub(crate) struct Row {
    pub(crate) spec: RowSpec,
    /// Heirloom's median, in the row's unit.
    pub(crate) ours: f64,
    pub(crate) best_peer: Option<(String, f64)>,
    /// Heirloom's median divided by the best peer's, or by the bar itself.
    pub(crate) ratio: f64,
    pub(crate) met: bool,
}

impl Group {
    /// Measures where the group wants it; empty where the system cannot do that.
    pub(crate) fn run(&self, plan: &Plan, args: &Args) -> Medians {
        let medians = match self.place {
            Place::Here => (self.measure)(plan),
            Place::OneCpu if !host::CAN_PIN => Medians::new(),
            Place::OwnProcess | Place::OneCpu => self.run_in_child(args),
        };
        let told: Vec<String> = medians.iter().map(|(name, median)| format!("{name} {median:.1}")).collect();
        eprintln!("{}: {}", self.key, if told.is_empty() { "not measured here".into() } else { told.join(", ") });
        medians
    }

    fn run_in_child(&self, args: &Args) -> Medians {
        let child = env::current_exe()
            .and_then(|path| Command::new(path).args(args.for_child(self)).stderr(Stdio::inherit()).output());
        let output = match child {
            Ok(output) if output.status.success() => output.stdout,
            Ok(output) => {
                eprintln!("{}: its process ended with {}", self.key, output.status);
                return Medians::new();
            }
            Err(error) => {
                eprintln!("{}: its process did not start: {error}", self.key);
                return Medians::new();
            }
        };
        let pair = |pair: &Value| Some((pair[0].as_str()?.to_owned(), pair[1].as_f64()?));
        let pairs: Value = serde_json::from_slice(&output).unwrap_or_default();
        pairs.as_array().map(|pairs| pairs.iter().filter_map(pair).collect()).unwrap_or_default()
    }

    /// The child's half: measures, and prints the medians as JSON.
    pub(crate) fn run_as_child(&self, plan: &Plan) {
        if self.place == Place::OneCpu && !host::pin_to_one_cpu() {
            eprintln!("{}: the system refuses to pin the process", self.key);
            std::process::exit(1);
        }
        println!("{}", serde_json::json!((self.measure)(plan)));
    }

    /// One row for each spec with a measured contender.
    pub(crate) fn judge(&self, medians: &Medians) -> Vec<Row> {
        self.rows.iter().filter_map(|spec| Row::judge(*spec, medians)).collect()
    }
}

impl Row {
    fn judge(spec: RowSpec, medians: &Medians) -> Option<Self> {
        let ours = medians.iter().find(|(name, _)| name == spec.ours)?.1;
        let best_peer = medians
            .iter()
            .filter(|(name, _)| !name.starts_with(OURS) && spec.takes(name))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .cloned();
        let (base, at_most) = match spec.bar {
            Bar::OfBestPeer(part) => (best_peer.as_ref()?.1, part),
            Bar::AtMost(value) => (value, 1.0),
            Bar::Told => (best_peer.as_ref()?.1, f64::INFINITY),
        };
        // A bar of zero has no ratio, so the median counts by itself.
        let ratio = if base > 0.0 { ours / base } else { ours };
        let met = if base > 0.0 { ratio <= at_most } else { ours <= 0.0 };
        Some(Self { spec, ours, best_peer, ratio, met })
    }
}
