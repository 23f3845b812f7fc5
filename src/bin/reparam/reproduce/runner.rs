//! Running a cell: the search, the training, the test.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reparam::Result;
use reparam::data::{Digits, SplitKind};
use reparam::train::{CellRun, CellSettings, Score};

use super::Budget;
use super::cell::{ACCURACY, Cell, Outcome};
use super::lines::{Curve, Line, Results, picture, rate};
use super::work::{Known, Work};
use crate::common::{progress, say, writable_dir};
use crate::picture::Grid;

/// What all cells of a command share.
pub(super) struct Runner<'a> {
    pub(super) table: &'static str,
    pub(super) budget: Budget,
    pub(super) label: Option<&'a str>,
    pub(super) data: &'a Digits,
    /// What the data is, if not the embedded one.
    pub(super) source: Option<String>,
    pub(super) interrupted: &'a AtomicBool,
}

/// Images that a cell's model draws.
const DRAWN: usize = 20;
/// Time between checkpoints: what a kill can cost.
const SAVE_EVERY: Duration = Duration::from_secs(20);

impl Runner<'_> {
    /// Runs a cell and adds its result.
    pub(super) fn run(&self, cell: &Cell, results: &mut Results) -> Result<Outcome> {
        let mut work = Work::open(&results.path, cell, self.data)?;
        let Some((number, settings)) = self.choose(cell, &mut work)? else { return Ok(Outcome::Interrupted) };
        let trained = self.train(number, settings.clone(), &cell.label(), &mut work)?;
        let Some(mut run) = trained else { return Ok(Outcome::Interrupted) };
        let diverged = |split: &str| {
            say!("{}: no finite loss on the {split} split: it diverged", cell.label());
            Ok(Outcome::Diverged)
        };
        let Some((best_step, validation)) = run.best().filter(|(_, score)| score.is_finite()) else {
            return diverged("validation");
        };
        let curve = self.curve(&run, cell);
        run.keep_best();
        self.draw(&run, cell, results)?;
        let Some(score) = self.test(&run, cell, &mut work)? else { return Ok(Outcome::Interrupted) };
        if !score.mean.is_finite() {
            return diverged("test");
        }
        let line = self.line(cell, &settings, &work.known, (best_step, validation), score);
        let paper = line.paper.map_or(String::new(), |paper| format!(" (paper {paper:.1})"));
        say!(
            "{}: {:.2}{paper}, {} steps of {} at {}, {:.0} s",
            cell.label(),
            line.ours,
            line.steps_of_run(),
            line.optimizer,
            rate(line.learning_rate),
            line.seconds
        );
        let accuracy =
            run.accuracy(SplitKind::Test).map(|accuracy| self.accuracy_line(cell, &line, accuracy));
        if let Some(line) = &accuracy {
            say!("{}: accuracy {:.2} %", cell.label(), line.ours);
        }
        results.add([line].into_iter().chain(accuracy).collect(), &curve)?;
        work.close();
        Ok(Outcome::Finished)
    }

    fn curve(&self, run: &CellRun<'_>, cell: &Cell) -> Curve {
        Curve {
            table: self.table.to_owned(),
            row: cell.row.clone(),
            column: cell.column.clone(),
            seed: cell.settings.seed,
            curve: run.curve().iter().map(|&(step, score)| (step, finite(rounded(score)))).collect(),
        }
    }

    /// The result of a cell with the settings that its search chose.
    fn line(
        &self,
        cell: &Cell,
        settings: &CellSettings,
        known: &Known,
        (best_step, validation): (u64, f64),
        score: Score,
    ) -> Line {
        Line {
            table: self.table.to_owned(),
            row: cell.row.clone(),
            column: cell.column.clone(),
            paper: cell.paper,
            ours: rounded(score.mean),
            standard_error: rounded(score.standard_error),
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
            training_samples: settings.samples,
            test_samples: cell.samples,
            weight: settings.model.weight(),
            data: self.source.clone(),
            search: known.trials.clone(),
            label: self.label.map(str::to_owned),
        }
    }

    /// The share of right answers, beside the line of the bound.
    fn accuracy_line(&self, cell: &Cell, bound: &Line, accuracy: f64) -> Line {
        let images = self.data.test().len() as f64;
        Line {
            column: ACCURACY.to_owned(),
            paper: cell.accuracy,
            ours: rounded(100.0 * accuracy),
            standard_error: rounded(100.0 * (accuracy * (1.0 - accuracy) / images).sqrt()),
            ..bound.clone()
        }
    }

    /// The picture of what the model draws.
    fn draw(&self, run: &CellRun<'_>, cell: &Cell, results: &Results) -> Result<()> {
        let path = picture(&results.path, &cell.row, &cell.column, cell.settings.seed);
        writable_dir(path.parent().expect("a file in a folder"))?;
        let split = self.data.test();
        let mut grid = Grid::new([split.rows(), split.cols()], DRAWN);
        grid.extend(&run.draw(DRAWN));
        grid.save(&path)
    }

    /// Run number `number` of a cell, to its end; `None` if interrupted. Either way it is on disk.
    pub(super) fn train(
        &self,
        number: usize,
        settings: CellSettings,
        label: &str,
        work: &mut Work,
    ) -> Result<Option<CellRun<'_>>> {
        let mut run = work.take_up(number, settings.clone(), self.data)?;
        if run.is_finished() {
            return Ok(Some(run));
        }
        let bar = progress(run.step_count(), settings.steps, "steps");
        let mut clock = Clock::new();
        while !run.is_finished() && !self.is_interrupted() {
            let loss = run.step();
            bar.set_position(run.step_count());
            if run.step_count().is_multiple_of(100) {
                bar.set_message(format!("{label}, loss {loss:.1}"));
            }
            if clock.is_due() {
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

    /// The bound on the test split; `None` if interrupted.
    fn test(&self, run: &CellRun<'_>, cell: &Cell, work: &mut Work) -> Result<Option<Score>> {
        let bar = progress(work.known.test.len() as u64, self.data.test().len() as u64, "images");
        bar.set_message(format!("{}, test", cell.label()));
        let mut clock = Clock::new();
        let mut losses = std::mem::take(&mut work.known.test);
        let mut saved = Ok(());
        // A loss that is not finite has no form in JSON.
        let can_be_kept = |losses: &[f64]| losses.iter().all(|loss| loss.is_finite());
        let score = run.evaluate_from(SplitKind::Test, cell.samples, &mut losses, |losses| {
            bar.set_position(losses.len() as u64);
            if clock.is_due() && can_be_kept(losses) {
                clock.add_to(&mut work.known.seconds);
                work.known.test = losses.to_vec();
                saved = work.save();
            }
            saved.is_ok() && !self.is_interrupted()
        });
        bar.finish_and_clear();
        saved?;
        clock.add_to(&mut work.known.seconds);
        if can_be_kept(&losses) {
            work.known.test = losses;
        }
        work.save()?;
        Ok(score)
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// Time since the last save.
struct Clock(Instant);

impl Clock {
    fn new() -> Clock {
        Clock(Instant::now())
    }

    fn is_due(&self) -> bool {
        self.0.elapsed() > SAVE_EVERY
    }

    /// Counts the time since, and begins anew.
    fn add_to(&mut self, seconds: &mut f64) {
        *seconds += self.0.elapsed().as_secs_f64();
        self.0 = Instant::now();
    }
}

fn finite(score: f64) -> Option<f64> {
    score.is_finite().then_some(score)
}

/// Nats with as many digits as mean something.
pub(super) fn rounded(nats: f64) -> f64 {
    (nats * 1e4).round() / 1e4
}
