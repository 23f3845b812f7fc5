//! Numbers in a picture or a table: all of them if they are few, otherwise a summary. They have three digits,
//! so that the text is the same on every machine.

/// The numbers of a value, seen as rows of `classes`.
#[derive(Clone, Copy)]
pub(crate) struct Numbers<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) classes: usize,
    /// True for whole numbers, stored as bits.
    pub(crate) are_indices: bool,
}

impl Numbers<'_> {
    /// Lines of a narrow label: at most 4 rows of at most 4, or two lines of summary.
    pub(crate) fn label(self) -> Vec<String> {
        if self.rows() > 4 || self.classes > 4 {
            return self.summary().into();
        }
        self.block(4, 4)
    }

    /// Lines of a wider place: the first 8 of the first 8 rows, with a summary if those are not all.
    pub(crate) fn lines(self) -> Vec<String> {
        let mut lines = self.block(8, 8);
        if self.rows() > 8 || self.classes > 8 {
            lines.extend(self.summary());
        }
        lines
    }

    /// One line: all of at most 12 numbers, rows divided by bars, or a summary.
    pub(crate) fn line(self) -> String {
        if self.values.len() > 12 {
            return self.summary().join(", ");
        }
        let rows = self.values.chunks(self.classes.max(1));
        rows.map(|row| self.texts(row).join(" ")).collect::<Vec<_>>().join(" | ")
    }

    fn rows(self) -> usize {
        self.values.len().div_ceil(self.classes.max(1))
    }

    fn texts(self, row: &[f32]) -> Vec<String> {
        row.iter().map(|&x| if self.are_indices { x.to_bits().to_string() } else { short(x) }).collect()
    }

    /// The first entries of the first rows, in aligned columns.
    fn block(self, rows: usize, columns: usize) -> Vec<String> {
        let cells: Vec<Vec<String>> = self
            .values
            .chunks(self.classes.max(1))
            .take(rows)
            .map(|row| self.texts(&row[..row.len().min(columns)]))
            .collect();
        let width = |i: usize| cells.iter().map(|row| row.get(i).map_or(0, String::len)).max().unwrap_or(0);
        let more = |row: String| if self.classes > columns { row + " ..." } else { row };
        let line = |row: &Vec<String>| {
            let cells = row.iter().enumerate().map(|(i, cell)| format!("{cell:>0$}", width(i)));
            more(cells.collect::<Vec<_>>().join(" "))
        };
        let mut lines: Vec<String> = cells.iter().map(line).collect();
        if self.rows() > rows {
            lines.push("...".into());
        }
        lines
    }

    fn summary(self) -> [String; 2] {
        if self.are_indices {
            let (least, largest) = self.values.iter().fold((u32::MAX, 0), |(least, largest), x| {
                (least.min(x.to_bits()), largest.max(x.to_bits()))
            });
            return [format!("{} indices", self.values.len()), format!("{least} to {largest}")];
        }
        if self.values.is_empty() {
            return ["empty".into(), String::new()];
        }
        let (mut sum, mut least, mut largest) = (0.0, f32::INFINITY, f32::NEG_INFINITY);
        for &x in self.values {
            sum += f64::from(x);
            (least, largest) = (least.min(x), largest.max(x));
        }
        let mean = (sum / self.values.len() as f64) as f32;
        [format!("mean {}", short(mean)), format!("{} to {}", short(least), short(largest))]
    }
}

/// A number to three digits.
fn short(x: f32) -> String {
    let size = x.abs();
    if x == 0.0 {
        return "0".into();
    }
    if !x.is_finite() {
        return x.to_string();
    }
    if !(1e-3..1e5).contains(&size) {
        return format!("{x:.1e}");
    }
    let decimals = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
    let text = format!("{x:.decimals$}");
    if decimals == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_three_digits() {
        let texts =
            [0.0, -0.0, 1.0, -0.12345, 0.001234, 1e-4, 123.45, 1999.6, 99999.0, 1e7, 0.99999].map(short);
        let expected = ["0", "0", "1", "-0.123", "0.00123", "1.0e-4", "123", "2000", "99999", "1.0e7", "1"];
        assert_eq!(texts, expected);
        assert_eq!([f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(short), ["NaN", "inf", "-inf"]);
    }

    #[test]
    fn few_numbers_are_written_out_and_many_summed_up() {
        let of = |values, classes| Numbers { values, classes, are_indices: false };
        assert_eq!(of(&[1.0, -2.5, 10.0, 0.0], 2).label(), [" 1 -2.5", "10    0"]);
        assert_eq!(of(&[1.0, 2.0, 3.0, 4.0, 5.0], 5).label(), ["mean 3", "1 to 5"]);
        assert_eq!(of(&[1.0, 2.0, 3.0, 4.0], 2).line(), "1 2 | 3 4");
        assert_eq!(
            of(&[0.5; 10], 10).lines(),
            ["0.5 0.5 0.5 0.5 0.5 0.5 0.5 0.5 ...", "mean 0.5", "0.5 to 0.5"]
        );
        assert_eq!(of(&[1.0; 9], 1).lines().len(), 11);
        assert_eq!(of(&[], 3).lines(), [""; 0]);
        let indices = [3, 12].map(f32::from_bits);
        assert_eq!(Numbers { values: &indices, classes: 2, are_indices: true }.label(), ["3 12"]);
    }
}
