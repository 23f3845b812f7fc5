//! Runs a cell: the search, the training, the test.

use std::time::{Duration, Instant};

use reparam::cli::files::writable_dir;
use reparam::cli::picture::Grid;
use reparam::cli::{Interrupt, progress, say};
use reparam::data::{Digits, SplitKind};
use reparam::train::{Run, Scores};
use reparam::{Noise, Result};

use crate::Budget;
use crate::cell::{ACCURACY, Cell, Outcome};
use crate::records::{CellRecord, Curve, Results, model, picture, rate};
use crate::settings::Settings;
use crate::work::{Known, Work};

/// The settings that all cells of a command share.
pub(crate) struct Runner<'a> {
    pub(crate) table: &'static str,
    pub(crate) budget: Budget,
    pub(crate) label: Option<&'a str>,
    pub(crate) data: &'a Digits,
    /// The source of the data, if it is not embedded.
    pub(crate) source: Option<String>,
    pub(crate) interrupt: &'a Interrupt,
}

/// Images that a cell's model draws.
const DRAWN: usize = 20;
/// Time between checkpoints, which is the most that a kill can cost.
const SAVE_EVERY: Duration = Duration::from_secs(20);
/// Time between checkpoints during the test, which Ctrl-C ends at once.
const SAVE_TEST_EVERY: Duration = Duration::from_secs(1);

impl Runner<'_> {
    /// Runs a cell and adds its result.
    pub(crate) fn run(&self, cell: &Cell, results: &mut Results) -> Result<Outcome> {
        let Some(mut work) = Work::open(&results.place, cell, self.data)? else {
            return Ok(Outcome::Elsewhere);
        };
        results.read_again()?;
        if results.has(cell) {
            work.close();
            return Ok(Outcome::Finished);
        }
        let Some((number, settings)) = self.choose(cell, &mut work)? else { return Ok(Outcome::Interrupted) };
        let trained = self.train(number, settings.clone(), &cell.label(), &mut work)?;
        let Some(run) = trained else { return Ok(Outcome::Interrupted) };
        let diverged = |split: &str| {
            say!("{}: no finite loss on the {split} split: it diverged", cell.label());
            Ok(Outcome::Diverged)
        };
        let Some((best_step, validation)) = run.best().filter(|(_, score)| score.is_finite()) else {
            return diverged("validation");
        };
        let curve = self.curve(&run, cell);
        self.draw(&run, cell, results)?;
        let scores = self.test(&run, cell, results, &mut work)?;
        if !scores.nll.is_finite() {
            return diverged("test");
        }
        self.keep_model(&run, cell, results)?;
        let record = self.record(cell, &settings, &run, &work.known, (best_step, validation), scores);
        let paper = record.paper.map_or(String::new(), |paper| format!(" (paper {paper:.1})"));
        let accuracy = scores.accuracy.map(|accuracy| self.accuracy_record(cell, &record, accuracy));
        results.add([&record].into_iter().chain(&accuracy).cloned().collect(), &curve)?;
        work.close();
        say!(
            "{}: {:.2}{paper}, {} steps of {} at {}, {:.0} s",
            cell.label(),
            record.ours,
            record.steps_of_run(),
            record.optimizer,
            rate(record.learning_rate),
            record.seconds
        );
        if let Some(record) = &accuracy {
            say!("{}: accuracy {:.2} %", cell.label(), record.ours);
        }
        Ok(Outcome::Finished)
    }

    fn curve(&self, run: &Run<'_>, cell: &Cell) -> Curve {
        Curve {
            table: self.table.to_owned(),
            row: cell.row.clone(),
            column: cell.column.clone(),
            seed: cell.settings.seed,
            curve: run.curve().iter().map(|&(step, score)| (step, finite(rounded(score)))).collect(),
        }
    }

    /// The result of a cell with the settings that its search chose.
    fn record(
        &self,
        cell: &Cell,
        settings: &Settings,
        run: &Run<'_>,
        known: &Known,
        (best_step, validation): (u64, f64),
        scores: Scores,
    ) -> CellRecord {
        CellRecord {
            table: self.table.to_owned(),
            row: cell.row.clone(),
            column: cell.column.clone(),
            paper: cell.paper,
            ours: rounded(scores.nll),
            standard_error: rounded(scores.standard_error),
            validation: rounded(validation),
            steps: cell.settings.steps,
            short_steps: (settings.steps != cell.settings.steps).then_some(settings.steps),
            best_step,
            seconds: (known.seconds * 10.0).round() / 10.0,
            seed: settings.seed,
            budget: self.budget.name().to_owned(),
            estimator: settings.estimator.clone(),
            optimizer: format!("adam {} {}", settings.betas.0, settings.betas.1),
            learning_rate: settings.learning_rate,
            tau: settings.tau,
            batch: settings.batch,
            training_samples: run.training_samples(),
            test_samples: cell.samples,
            weight: settings.weight(),
            data: self.source.clone(),
            search: known.trials.clone(),
            label: self.label.map(str::to_owned),
        }
    }

    /// The share of right answers, as a second record of the cell.
    fn accuracy_record(&self, cell: &Cell, bound: &CellRecord, accuracy: f64) -> CellRecord {
        let images = self.data.test().len() as f64;
        CellRecord {
            column: ACCURACY.to_owned(),
            paper: cell.accuracy,
            ours: rounded(100.0 * accuracy),
            standard_error: rounded(100.0 * (accuracy * (1.0 - accuracy) / images).sqrt()),
            ..bound.clone()
        }
    }

    /// Draws a picture of images from the model.
    fn draw(&self, run: &Run<'_>, cell: &Cell, results: &Results) -> Result<()> {
        let path = picture(&results.place, &cell.row, &cell.column, cell.settings.seed);
        writable_dir(path.parent().expect("a file in a folder"))?;
        let split = self.data.test();
        let mut noise = Noise::seed(cell.settings.seed);
        let indices: Vec<u32> = (0..split.len().min(DRAWN) as u32).collect();
        let mut given = vec![0.0; indices.len() * split.pixels()];
        split.sample_pixels_into(&indices, &mut noise, &mut given);
        let mut grid = Grid::new([split.rows(), split.cols()], DRAWN);
        grid.extend(&run.model().draw(run.params(), &given, DRAWN, &mut noise));
        grid.save(&path)
    }

    /// Keeps the model that gave the figures, for `reparam eval` and `reparam sample`.
    fn keep_model(&self, run: &Run<'_>, cell: &Cell, results: &Results) -> Result<()> {
        let path = model(&results.place, &cell.row, &cell.column, cell.settings.seed);
        writable_dir(path.parent().expect("a file in a folder"))?;
        run.checkpoint().save(&path)
    }

    /// Trains run number `number` of a cell to its end; `None` if interrupted. Either way the run is on disk.
    pub(crate) fn train(
        &self,
        number: usize,
        settings: Settings,
        label: &str,
        work: &mut Work,
    ) -> Result<Option<Run<'_>>> {
        let mut run = work.resume(number, &settings, self.data)?;
        if run.is_finished() {
            return Ok(Some(run));
        }
        let bar = progress(run.step_count(), settings.steps, "steps");
        let mut clock = Clock::new();
        while !run.is_finished() && !self.interrupt.is_asked() {
            let loss = run.step().loss;
            bar.set_position(run.step_count());
            if run.step_count().is_multiple_of(100) {
                bar.set_message(format!("{label}, loss {loss:.1}"));
            }
            if clock.is_due(SAVE_EVERY) {
                clock.add_to(&mut work.known.seconds);
                work.save_run(number, &run)?;
                work.save()?;
            }
        }
        bar.finish_and_clear();
        clock.add_to(&mut work.known.seconds);
        work.save_run(number, &run)?;
        work.save()?;
        Ok(run.is_finished().then_some(run))
    }

    /// Returns the scores on the test images. A batch that Ctrl-C interrupts is lost.
    fn test(&self, run: &Run<'_>, cell: &Cell, results: &Results, work: &mut Work) -> Result<Scores> {
        let mut test = run.evaluation(SplitKind::Test, cell.samples);
        work.resume_test(&mut test)?;
        let stopped = results.stopped();
        self.interrupt.ends(move || say!("{stopped}"));
        let bar = progress(test.done() as u64, self.data.test().len() as u64, "images");
        bar.set_message(format!("{}, test", cell.label()));
        let mut clock = Clock::new();
        while test.advance(run.model(), run.params(), self.data) {
            bar.set_position(test.done() as u64);
            if clock.is_due(SAVE_TEST_EVERY) {
                clock.add_to(&mut work.known.seconds);
                work.save_test(&test)?;
                work.save()?;
            }
        }
        bar.finish_and_clear();
        self.interrupt.asks();
        clock.add_to(&mut work.known.seconds);
        Ok(run.evaluated(&test).scores)
    }
}

/// Time since the last save.
struct Clock(Instant);

impl Clock {
    fn new() -> Clock {
        Clock(Instant::now())
    }

    fn is_due(&self, every: Duration) -> bool {
        self.0.elapsed() > every
    }

    /// Adds the time since the last save, and starts again.
    fn add_to(&mut self, seconds: &mut f64) {
        *seconds += self.0.elapsed().as_secs_f64();
        self.0 = Instant::now();
    }
}

fn finite(score: f64) -> Option<f64> {
    score.is_finite().then_some(score)
}

/// Nats with only the digits that mean something.
pub(crate) fn rounded(nats: f64) -> f64 {
    (nats * 1e4).round() / 1e4
}
