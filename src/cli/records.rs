//! Metrics: one JSON object per line, in a stable form that docs/json.md describes.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::json_lines;
use crate::error::{Error, Result};
use crate::file::outputs::{Lines, is_stream};
use crate::train::Record;

/// A line of the metrics file.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MetricsLine {
    /// The scores.
    #[serde(flatten)]
    pub record: Record,
    /// Time since the run began.
    pub seconds: f64,
}

/// The part of a line that a resumed run reads.
#[derive(Deserialize)]
struct Kept {
    step: u64,
    split: String,
    seconds: f64,
}

/// A metrics file that grows by whole lines.
pub struct Metrics {
    lines: Lines,
    /// Time of the last line kept from the resumed run; 0 for a new one.
    pub seconds_before: f64,
}

impl Metrics {
    /// Opens a file. If a run resumes at a step, the file keeps its lines up to that step. A device, a pipe
    /// or a descriptor such as `/dev/stdout` receives only the new lines.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(path: &Path, resumed_at: Option<u64>) -> Result<Metrics> {
        let (kept, seconds_before) = match resumed_at {
            Some(step) if path.is_file() && !is_stream(path) => lines_up_to(path, step)?,
            _ => (Vec::new(), 0.0),
        };
        Ok(Metrics { lines: Lines::begin(path, &kept)?, seconds_before })
    }

    /// Adds a line, or nothing at all.
    ///
    /// # Errors
    /// If the line cannot be written.
    pub fn write(&mut self, record: Record, seconds: f64) -> Result<()> {
        self.lines.add(&json_lines(&[MetricsLine { record, seconds }]))
    }
}

/// The lines of a metrics file that were written before `step` was passed, and the time of the last. It drops
/// a line that a kill cut short.
fn lines_up_to(path: &Path, step: u64) -> Result<(Vec<u8>, f64)> {
    let contents = std::fs::read(path).map_err(|error| Error::io(path, "read", error))?;
    let (mut kept, mut seconds) = (Vec::new(), 0.0);
    for line in contents.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        match serde_json::from_slice::<Kept>(line) {
            Ok(parsed) if parsed.step <= step && parsed.split != "test" => {
                kept.extend_from_slice(line);
                seconds = parsed.seconds;
            }
            _ => {}
        }
    }
    Ok((kept, seconds))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use proptest::test_runner::{Config, RngSeed, TestRunner};

    use super::*;
    use crate::data::SplitKind;
    use crate::train::Scores;

    fn few_inputs() -> Config {
        Config { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::with_cases(200) }
    }

    fn many_inputs() -> Config {
        Config { failure_persistence: None, ..Config::with_cases(20_000) }
    }

    fn line() -> impl Strategy<Value = MetricsLine> {
        let number =
            || any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |number| number.is_finite());
        let (some, finite) = (|| option::of(number()), number);
        let scores = (some(), some(), some(), finite(), finite(), some(), some());
        let settings = (any::<usize>(), option::of(number()), number(), number());
        let place = (0..9u64, any::<u64>(), select(SplitKind::ALL));
        (place, scores, settings).prop_map(|((step, epoch, split), scores, settings)| {
            let (elbo, elbo_standard_error, elbo_draw_error, nll, standard_error, draw_error, accuracy) =
                scores;
            let (samples, tau, learning_rate, seconds) = settings;
            let scores = Scores {
                elbo,
                elbo_standard_error,
                elbo_draw_error,
                nll,
                standard_error,
                draw_error,
                accuracy,
            };
            MetricsLine {
                record: Record { step, epoch, split, samples, tau, learning_rate, scores },
                seconds,
            }
        })
    }

    /// A resumed run keeps the lines up to its step, and adds its own.
    fn lines_come_back(config: Config) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let inputs = (vec(line(), 0..6), 0..9u64, line());
        let outcome = TestRunner::new(config).run(&inputs, |(lines, step, next)| {
            let mut metrics = Metrics::open(&path, None).unwrap();
            lines.iter().for_each(|line| metrics.write(line.record, line.seconds).unwrap());
            assert!(std::fs::read(&path).unwrap() == json_lines(&lines).as_bytes());

            let is_kept = |record: Record| record.step <= step && record.split != SplitKind::Test;
            let kept: Vec<&MetricsLine> = lines.iter().filter(|line| is_kept(line.record)).collect();
            let mut metrics = Metrics::open(&path, Some(step)).unwrap();
            metrics.write(next.record, next.seconds).unwrap();
            assert_eq!(metrics.seconds_before, kept.last().map_or(0.0, |line| line.seconds));
            assert!(std::fs::read(&path).unwrap() == (json_lines(&kept) + &json_lines(&[next])).as_bytes());
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// A line is kept whole or not at all.
    fn a_damaged_file_loses_lines_and_no_more(config: Config) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let inputs = (vec(line(), 0..6), vec(any::<(Index, u8)>(), 0..4), 0..40usize);
        let outcome = TestRunner::new(config).run(&inputs, |(lines, changes, cut)| {
            let mut contents = json_lines(&lines).into_bytes();
            contents.truncate(contents.len().saturating_sub(cut));
            if !contents.is_empty() {
                changes.iter().for_each(|(place, byte)| *place.get_mut(&mut contents) = *byte);
            }
            std::fs::write(&path, &contents).unwrap();
            let (kept, seconds) = lines_up_to(&path, 9).unwrap();
            let mut whole = contents.split_inclusive(|&byte| byte == b'\n');
            assert!(kept.split_inclusive(|&byte| byte == b'\n').all(|line| whole.any(|other| other == line)));
            assert!(kept.is_empty() || kept.ends_with(b"\n"));

            std::fs::write(&path, &kept).unwrap();
            assert_eq!(lines_up_to(&path, 9).unwrap(), (kept, seconds));
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{failure}"));
    }

    #[test]
    fn lines_of_few_inputs_come_back() {
        lines_come_back(few_inputs());
    }

    #[test]
    #[ignore = "many inputs: a minute"]
    fn lines_of_many_inputs_come_back() {
        lines_come_back(many_inputs());
    }

    #[test]
    fn a_file_with_a_few_kinds_of_damage_loses_lines_and_no_more() {
        a_damaged_file_loses_lines_and_no_more(few_inputs());
    }

    #[test]
    #[ignore = "many inputs: a minute"]
    fn a_file_with_many_kinds_of_damage_loses_lines_and_no_more() {
        a_damaged_file_loses_lines_and_no_more(many_inputs());
    }
}
