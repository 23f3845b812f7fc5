//! `reparam train MODEL`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use reparam::cli::files::{remove_partial, writable_dir};
use reparam::cli::picture::Grid;
use reparam::cli::plan_args::{PlanArgs, RunArgs, flags_by_model};
use reparam::cli::records::Metrics;
use reparam::cli::{INTERRUPTED, interrupt_flag, progress, say, thousands};
use reparam::data::{Digits, SplitKind};
use reparam::train::{Plan, Record, Run};
use reparam::{Checkpoint, Error, Noise, Result};

use crate::scores::{SAMPLES, describe, headline, say_paper};

/// The files of a run, in its folder.
const CHECKPOINT: &str = "model.safetensors";
const METRICS: &str = "metrics.jsonl";
const PICTURE: &str = "digits.png";
/// Steps between training records.
const RECORD_EVERY: u64 = 500;
/// Time between checkpoints, which is the most that a kill can cost.
const SAVE_EVERY: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
#[command(subcommand_required = true, after_help = flags_by_model(), disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    plan: PlanArgs,
}

pub(crate) fn run(args: Args) -> Result<i32> {
    let flags = args.plan.run();
    let out = flags.out.clone().unwrap_or_else(|| Path::new("out").join(args.plan.model()));
    if flags.resume {
        args.plan.check_resumed()?;
    } else {
        args.plan.plan()?.training.check()?;
    }
    let data = flags.data.load()?;
    let interrupted = interrupt_flag()?;
    flags.threads.run(|| {
        let mut session = Session::begin(&args.plan, &out, &data, &interrupted)?;
        if session.train()? {
            session.finish(flags.samples.unwrap_or(SAMPLES) as usize)?;
            return Ok(0);
        }
        session.say_stopped();
        Ok(INTERRUPTED)
    })
}

/// A run and its output.
struct Session<'a> {
    plan: Plan,
    run: Run<'a>,
    data: &'a Digits,
    flags: &'a RunArgs,
    metrics: Metrics,
    out: &'a Path,
    interrupted: &'a AtomicBool,
    begin: Instant,
}

impl<'a> Session<'a> {
    /// Reads and checks everything before the first file is written.
    fn begin(
        args: &'a PlanArgs,
        out: &'a Path,
        data: &'a Digits,
        interrupted: &'a AtomicBool,
    ) -> Result<Session<'a>> {
        let (flags, checkpoint) = (args.run(), out.join(CHECKPOINT));
        let (plan, run) = match flags.resume {
            true => Plan::resume(&Checkpoint::load(&checkpoint)?, data)?,
            false => args.plan().and_then(|plan| plan.begin(data).map(|run| (plan, run)))?,
        };
        if plan.model.name() != args.model() {
            let found = format!("one of {}", plan.model.name());
            return Err(Error::format(checkpoint, format!("a checkpoint of {}", args.model()), found));
        }
        writable_dir(out)?;
        if flags.resume {
            // The remains of a write that was killed.
            remove_partial(out, &[CHECKPOINT, METRICS, PICTURE]);
        }
        let json = flags.json.clone().unwrap_or_else(|| out.join(METRICS));
        let metrics = Metrics::open(&json, flags.resume.then_some(run.step_count()))?;
        if !flags.resume {
            // An earlier run's model must not be taken for this one's.
            run.checkpoint().save(&checkpoint)?;
        }
        say!(
            "{}: {} parameters, {} images, steps {} to {}, {}, {}",
            plan.model.name(),
            thousands(run.params().elements() as u64),
            thousands(data.train().len() as u64),
            thousands(run.step_count()),
            thousands(plan.training.steps),
            match rayon::current_num_threads() {
                1 => "1 thread".to_owned(),
                threads => format!("{threads} threads"),
            },
            reparam_ops::Tier::best(),
        );
        let begin = Instant::now();
        Ok(Session { plan, run, data, flags, metrics, out, interrupted, begin })
    }

    /// The time spent, including the runs it continues.
    fn seconds(&self) -> f64 {
        self.metrics.seconds_before + self.begin.elapsed().as_secs_f64()
    }

    fn write(&mut self, record: Record) -> Result<()> {
        let seconds = self.seconds();
        self.metrics.write(record, seconds)
    }

    fn save(&self) -> Result<()> {
        self.run.checkpoint().save(&self.out.join(CHECKPOINT))
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Prints how to resume.
    fn say_stopped(&self) {
        let RunArgs { json, data, samples, .. } = self.flags;
        let model = self.plan.model.name();
        let mut command = format!("reparam train {model} --out {} --resume", quoted(self.out));
        for (flag, path) in [("--data", data.path()), ("--json", json.as_deref())] {
            if let Some(path) = path {
                command += &format!(" {flag} {}", quoted(path));
            }
        }
        if data.transpose {
            command += " --transpose";
        }
        if let Some(samples) = samples {
            command += &format!(" --samples {samples}");
        }
        let steps = thousands(self.run.step_count());
        say!("stopped after {steps} steps; the checkpoint is written; resume with\n  {command}");
    }

    /// Steps until the run is finished (true) or interrupted (false). Either way it writes the checkpoint.
    fn train(&mut self) -> Result<bool> {
        let bar = progress(self.run.step_count(), self.plan.training.steps, "steps");
        let mut saved = Instant::now();
        while !self.run.is_finished() && !self.is_interrupted() {
            self.step(&bar)?;
            if saved.elapsed() > SAVE_EVERY {
                self.save()?;
                saved = Instant::now();
            }
        }
        bar.finish_and_clear();
        self.save()?;
        Ok(self.run.is_finished())
    }

    fn step(&mut self, bar: &ProgressBar) -> Result<()> {
        let stepped = self.run.step();
        let (step, loss) = (self.run.step_count(), stepped.loss);
        if !loss.is_finite() {
            bar.finish_and_clear();
            let found = format!("{loss} at step {step}; a smaller --learning-rate or a --clip-norm may help");
            return Err(Error::invalid("the loss", "a finite number", found));
        }
        if step.is_multiple_of(20) {
            bar.set_position(step);
            bar.set_message(format!("loss {loss:.*}", if loss < 10.0 { 3 } else { 1 }));
        }
        if step.is_multiple_of(RECORD_EVERY) {
            let record = self.run.training_record();
            self.write(record)?;
        }
        if let Some(record) = stepped.validation {
            self.write(record)?;
            let seconds = self.seconds();
            bar.suspend(|| {
                say!("step {:>7}  {}  {seconds:.1} s", thousands(record.step), headline(&record));
            });
        }
        Ok(())
    }

    /// Draws, and evaluates on the test images.
    fn finish(&mut self, samples: usize) -> Result<()> {
        let trained = self.seconds();
        say!("trained in {trained:.1} s");
        self.draw()?;
        let record = self.evaluate(if self.run.model().layers().is_empty() { 1 } else { samples })?;
        describe(&self.plan.model, &record, self.seconds() - trained);
        if self.flags.data.path().is_none() {
            say_paper(&self.plan.model);
        }
        say!("wrote {}", self.out.display());
        Ok(())
    }

    fn evaluate(&mut self, samples: usize) -> Result<Record> {
        let bar = progress(0, self.data.test().len() as u64, "test images");
        let mut evaluation = self.run.evaluation(SplitKind::Test, samples);
        while evaluation.advance(self.run.model(), self.run.params(), self.data) {
            bar.set_position(evaluation.done() as u64);
            if self.is_interrupted() {
                // Everything is on disk, and the evaluation begins again.
                bar.finish_and_clear();
                self.say_stopped();
                std::process::exit(INTERRUPTED);
            }
        }
        bar.finish_and_clear();
        let record = self.run.evaluated(&evaluation);
        self.write(record)?;
        Ok(record)
    }

    /// Ten test images, their reconstructions, and images that the model draws on its own.
    fn draw(&self) -> Result<()> {
        let (split, model, params) = (self.data.test(), self.run.model(), self.run.params());
        let mut noise = Noise::seed(self.plan.training.seed);
        let originals = split.sample_first(10, &mut noise);
        let count = originals.len() / split.pixels();
        let reconstructed = model.reconstruct(params, &originals, &mut noise);
        let drawn = model.draw(params, &originals, 3 * count, &mut noise);
        if drawn.is_empty() {
            return Ok(());
        }
        let mut grid = Grid::new([split.rows(), split.cols()], count);
        for images in [&originals, &reconstructed, &drawn] {
            grid.extend(images);
        }
        grid.save(&self.out.join(PICTURE))
    }
}

/// A path quoted for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
