//! The table so far, on standard output.

use crate::cell::{ACCURACY, Cell};
use crate::records::Results;
use reparam::cli::say;

/// Our figures, with the paper's in brackets. Over several seeds, the mean and the standard deviation.
pub(crate) fn table(cells: &[Cell], results: &Results) {
    let rows = distinct(cells.iter().map(|cell| &cell.row[..]));
    let columns = distinct(cells.iter().flat_map(columns_of).map(|(column, _)| column));
    let width = columns.iter().map(|column| column.len()).max().unwrap_or(0).max(18) + 2;
    let heading: String = columns.iter().map(|column| format!("{column:>width$}")).collect();
    say!("\n{:<26}{heading}", "nats (paper)");
    for row in rows {
        let text = |&column: &&str| {
            let has = |cell: &&Cell| cell.row == row && paper_in(cell, column).is_some();
            let cells: Vec<&Cell> = cells.iter().filter(has).collect();
            let lines = cells.iter().filter_map(|cell| results.of(cell, column));
            let ours: Vec<f64> = lines.map(|line| line.ours).collect();
            let paper = cells.first().and_then(|cell| paper_in(cell, column)).flatten();
            format!("{:>width$}", entry(&ours, paper))
        };
        say!("{row:<26}{}", columns.iter().map(text).collect::<String>());
    }
}

/// The paper's figure, if it has one, in a column that the cell has.
fn paper_in(cell: &Cell, column: &str) -> Option<Option<f64>> {
    columns_of(cell).find(|(name, _)| *name == column).map(|(_, paper)| paper)
}

/// A cell's columns with the paper's figures.
fn columns_of(cell: &Cell) -> impl Iterator<Item = (&str, Option<f64>)> {
    let accuracy = cell.accuracy.map(|paper| (ACCURACY, Some(paper)));
    [(&cell.column[..], cell.paper)].into_iter().chain(accuracy)
}

/// Each once, in order.
pub(crate) fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    items.for_each(|item| {
        if !seen.contains(&item) {
            seen.push(item);
        }
    });
    seen
}

/// The figures of one cell as text.
fn entry(ours: &[f64], paper: Option<f64>) -> String {
    let Some((mean, spread)) = mean_and_spread(ours) else { return "-".to_owned() };
    let spread = spread.map_or(String::new(), |spread| format!(" ±{spread:.2}"));
    let paper = paper.map_or(String::new(), |paper| format!(" ({paper:.1})"));
    format!("{mean:.2}{spread}{paper}")
}

/// The mean, and the standard deviation if there are several values.
pub(crate) fn mean_and_spread(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (n > 0.0).then(|| (mean, (n > 1.0).then(|| (square / (n - 1.0)).sqrt())))
}
