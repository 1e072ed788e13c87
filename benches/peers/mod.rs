//! The suite: its rows, and the process that runs them.

mod args;
mod contest;
mod group;
pub(crate) mod heap;
mod host;
mod ours;
pub(crate) mod pool;
mod report;
mod rivals;
mod rows;

use args::Args;
use contest::Plan;

/// Runs the rows that the command line selects, prints the table and writes the JSON.
pub(crate) fn main() {
    let args = Args::from_env();
    let plan = if args.quick { Plan::quick() } else { Plan::full() };
    let groups = rows::all();

    if let Some(key) = &args.child {
        if let Some(group) = groups.iter().find(|group| group.key == key) {
            group.run_as_child(&plan);
        }
        return;
    }

    let mut rows = Vec::new();
    for group in groups.iter().filter(|group| args.selects_any(group)) {
        let medians = group.run(&plan, &args);
        rows.extend(group.judge(&medians).into_iter().filter(|row| args.selects(&row.spec)));
    }
    if rows.is_empty() {
        println!("No row was measured. The rows are:");
        groups.iter().flat_map(|group| group.rows).for_each(|row| println!("  {}", row.work));
        return;
    }
    report::print_table(&rows, args.quick);
    report::write_json(&rows);
}
