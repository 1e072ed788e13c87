//! The table.

use super::judge::Measured;

/// Prints the rows as a Markdown table, and names the flagged ones.
pub(crate) fn print(rows: &[Measured]) {
    let mut sizes: Vec<usize> = rows.iter().flat_map(|row| row.costs.iter().map(|(size, _)| *size)).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut cells = vec![vec!["operation".to_owned(), "promise".to_owned()]];
    cells[0].extend(sizes.iter().map(usize::to_string));
    cells[0].extend(["growth", "kept"].map(String::from));
    for measured in rows {
        let cost =
            |size: &usize| measured.costs.iter().find(|(at, _)| at == size).map_or("-".into(), |(_, ns)| time(*ns));
        let mut row = vec![measured.row.name.to_owned(), measured.row.promise.word().to_owned()];
        row.extend(sizes.iter().map(cost));
        row.extend([format!("{:.2}", measured.growth), if measured.flagged { "NO" } else { "yes" }.to_owned()]);
        cells.push(row);
    }
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..cells[0].len()).map(width).collect();
    println!("\nThe cost of one operation beside so many things (constant), or of one of so many things (linear)\n");
    for (index, row) in cells.iter().enumerate() {
        let padded: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("| {} |", padded.join(" | "));
        if index == 0 {
            let line: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
            println!("|{}|", line.join("|"));
        }
    }
    let flagged = rows.iter().filter(|row| row.flagged);
    flagged.for_each(|row| println!("\nsuperlinear: {} grows {:.1}-fold", row.row.name, row.growth));
}

fn time(ns: f64) -> String {
    match ns {
        10_000.0.. => format!("{:.1} µs", ns / 1e3),
        100.0.. => format!("{ns:.0} ns"),
        _ => format!("{ns:.1} ns"),
    }
}
