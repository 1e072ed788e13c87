//! The command line.

use std::env;

use super::group::{Group, RowSpec};

/// The parsed arguments.
pub(crate) struct Args {
    /// A smoke run.
    pub(crate) quick: bool,
    /// Selects the rows with this text in their name.
    filter: Option<String>,
    /// This process measures this one group for the process that started it.
    pub(crate) child: Option<String>,
}

impl Args {
    pub(crate) fn from_env() -> Self {
        let mut parsed = Self { quick: false, filter: None, child: None };
        let mut by_cargo_bench = false;
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => parsed.quick = true,
                "--bench" => by_cargo_bench = true,
                "--child" => parsed.child = words.next(),
                flag if flag.starts_with('-') => eprintln!("peers: {flag} is unknown and ignored"),
                filter => parsed.filter = Some(filter.to_lowercase()),
            }
        }
        // `cargo test --benches` comes without `--bench`: there the question is only whether it runs.
        parsed.quick |= !by_cargo_bench;
        parsed
    }

    pub(crate) fn selects(&self, row: &RowSpec) -> bool {
        self.filter.as_ref().is_none_or(|filter| row.work.to_lowercase().contains(filter))
    }

    pub(crate) fn selects_any(&self, group: &Group) -> bool {
        group.rows.iter().any(|row| self.selects(row))
    }

    /// The command line with which a child measures `group` under the same plan.
    pub(crate) fn for_child(&self, group: &Group) -> Vec<&'static str> {
        let mut words = vec!["--bench", "--child", group.key];
        words.extend(self.quick.then_some("--quick"));
        words
    }
}
