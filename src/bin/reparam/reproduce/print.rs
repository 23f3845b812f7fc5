//! The table so far, on standard output.

use super::cell::Cell;
use super::lines::Results;
use crate::common::say;

/// Ours, and the paper's in brackets; over several seeds the mean and the spread, one standard deviation.
pub(super) fn table(cells: &[&Cell], results: &Results) {
    let (rows, columns) = (names(cells, |cell| &cell.row), names(cells, |cell| &cell.column));
    let width = columns.iter().map(|column| column.len()).max().unwrap_or(0).max(18) + 2;
    let heading: String = columns.iter().map(|column| format!("{column:>width$}")).collect();
    say!("\n{:<26}{heading}", "nats (paper)");
    for row in rows {
        let entry = |column: &&str| {
            let of_cell = |cell: &&&Cell| cell.row == row && cell.column == **column;
            let of_cell: Vec<&&Cell> = cells.iter().filter(of_cell).collect();
            let ours: Vec<f64> =
                of_cell.iter().filter_map(|cell| results.of(cell)).map(|line| line.ours).collect();
            let paper = of_cell.first().and_then(|cell| cell.paper);
            format!("{:>width$}", entry(&ours, paper))
        };
        say!("{row:<26}{}", columns.iter().map(entry).collect::<String>());
    }
}

/// Each name once, in the order of the cells.
fn names<'c>(cells: &[&'c Cell], name: impl Fn(&'c Cell) -> &'c str) -> Vec<&'c str> {
    let mut names = Vec::new();
    for cell in cells {
        if !names.contains(&name(cell)) {
            names.push(name(cell));
        }
    }
    names
}

/// The figures of one cell as text.
pub(super) fn entry(ours: &[f64], paper: Option<f64>) -> String {
    let Some((mean, spread)) = mean_and_spread(ours) else { return "-".to_owned() };
    let spread = spread.map_or(String::new(), |spread| format!(" ±{spread:.2}"));
    let paper = paper.map_or(String::new(), |paper| format!(" ({paper:.1})"));
    format!("{mean:.2}{spread}{paper}")
}

/// The mean, and the standard deviation where there is more than one.
fn mean_and_spread(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (n > 0.0).then(|| (mean, (n > 1.0).then(|| (square / (n - 1.0)).sqrt())))
}
