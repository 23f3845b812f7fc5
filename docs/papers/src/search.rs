//! Settings chosen on the validation split, by short runs and then by two full ones. The best run of all
//! counts.

use reparam::Result;

use crate::cell::Cell;
use crate::records::{IN_FULL, Trial, rate};
use crate::runner::{Runner, rounded};
use crate::settings::Settings;
use crate::work::Work;

/// The settings of a trial: a fifth of the steps, scored five times.
fn short(settings: &Settings) -> Settings {
    let steps = (settings.steps / 5).max(1);
    Settings { steps, validate_every: (steps / 5).max(1), ..settings.clone() }
}

/// The settings of the full runs. After a search they are the chosen settings, and the same at a third of the
/// rate, since short runs prefer rates that are too high for long ones.
fn finalists(cell: &Cell, chosen: Settings) -> Vec<Settings> {
    let slower = Settings { learning_rate: chosen.learning_rate / 3.0, ..chosen.clone() };
    if cell.search.is_empty() { vec![chosen] } else { vec![chosen, slower] }
}

/// A run of a cell.
struct Run {
    number: usize,
    settings: Settings,
    /// The best score on the validation split; `None` if none was finite.
    score: Option<f64>,
}

/// The outcome of the short runs.
struct Searched {
    /// The settings that they choose for a full run.
    chosen: Settings,
    /// The best of them; `None` if there was no search, or no finite score.
    best: Option<Run>,
    /// The number of short runs.
    count: usize,
}

/// Returns true if a score is better than another. `None` is the worst.
fn is_better(score: Option<f64>, than: Option<f64>) -> bool {
    score.is_some_and(|score| than.is_none_or(|than| score < than))
}

impl Runner<'_> {
    /// The number and the settings of the best run on the validation split: a full run, unless a short one
    /// was better. `None` if interrupted.
    pub(crate) fn choose(&self, cell: &Cell, work: &mut Work) -> Result<Option<(usize, Settings)>> {
        let Some(Searched { chosen, best, count }) = self.search(cell, work)? else { return Ok(None) };
        let mut best = best.unwrap_or(Run { number: count, settings: chosen.clone(), score: None });
        for (number, settings) in (count..).zip(finalists(cell, chosen)) {
            let choice = format!("{IN_FULL}, learning rate {}", rate(settings.learning_rate));
            let Some(score) = self.trial(number, &choice, &settings, cell, work)? else { return Ok(None) };
            if is_better(score, best.score) {
                best = Run { number, settings, score };
            }
        }
        Ok(Some((best.number, best.settings)))
    }

    /// Makes the short runs, and keeps only the best one's checkpoint; `None` if interrupted.
    fn search(&self, cell: &Cell, work: &mut Work) -> Result<Option<Searched>> {
        let mut chosen = cell.settings.clone();
        let mut best: Option<Run> = None;
        let mut count = 0;
        for stage in &cell.search {
            let base = chosen.clone();
            for choice in stage {
                let candidate = choice.apply(&base);
                if candidate == base && best.is_some() {
                    // A run of an earlier stage has its score already.
                    continue;
                }
                let (number, settings) = (count, short(&candidate));
                let trial = self.trial(number, &choice.to_string(), &settings, cell, work)?;
                let Some(score) = trial else { return Ok(None) };
                count += 1;
                if !is_better(score, best.as_ref().and_then(|best| best.score)) {
                    work.forget_run(number);
                    continue;
                }
                if let Some(worse) = best.replace(Run { number, settings, score }) {
                    work.forget_run(worse.number);
                }
                chosen = candidate;
            }
        }
        Ok(Some(Searched { chosen, best, count }))
    }

    /// The best score on the validation split of run number `number`, made now or earlier, which is `None` if
    /// none was finite; `None` if interrupted.
    fn trial(
        &self,
        number: usize,
        choice: &str,
        settings: &Settings,
        cell: &Cell,
        work: &mut Work,
    ) -> Result<Option<Option<f64>>> {
        if number == work.known.trials.len() {
            let label = format!("{}, {choice}", cell.label());
            let Some(run) = self.train(number, settings.clone(), &label, work)? else { return Ok(None) };
            let validation = run.best().map(|(_, score)| rounded(score)).filter(|score| score.is_finite());
            work.known.trials.push(Trial { choice: choice.to_owned(), validation });
            work.save()?;
        }
        Ok(Some(work.known.trials[number].validation))
    }
}
