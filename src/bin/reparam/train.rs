//! `reparam train MODEL`.

use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use reparam::cli::args::DataArgs;
use reparam::cli::files::{Folder, check_writable};
use reparam::cli::picture::Grid;
use reparam::cli::plan_args::{PlanArgs, RunArgs, flags_by_model};
use reparam::cli::records::Metrics;
use reparam::cli::{Interrupt, progress, say, thousands, try_print};
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
    let folder = Folder::claim(&out, &[CHECKPOINT, METRICS, PICTURE])?;
    if out.join(CHECKPOINT).exists() && !flags.resume && !flags.force {
        let expected = "a folder without a run";
        let found =
            format!("{CHECKPOINT}; --resume continues its run, --force replaces it, another --out keeps it");
        return Err(Error::format(out, expected, found));
    }
    let stored = flags.resume.then(|| Plan::load(&out.join(CHECKPOINT))).transpose()?;
    let data = flags.data.load()?;
    if let Some(stored) = &stored {
        check_data(stored, &flags.data, &data)?;
    }
    let interrupt = Interrupt::listen()?;
    flags.threads.run(|| {
        let mut session = Session::begin(&args.plan, stored, &out, folder, &data, &interrupt)?;
        session.train()?;
        session.finish(flags.samples.unwrap_or(SAMPLES) as usize)
    })?;
    Ok(0)
}

/// Checks that a run continues on the images that it started with.
fn check_data(stored: &Checkpoint, args: &DataArgs, data: &Digits) -> Result<()> {
    let (began_with, found) = (stored.text("data").unwrap_or_default(), data.fingerprint());
    if began_with == found {
        return Ok(());
    }
    let expected = format!("the images that the run began with, {began_with}");
    let found = match args.path() {
        Some(path) => format!("the images of {}, {found}", path.display()),
        None => format!("none, which means the embedded ones, {found}"),
    };
    Err(Error::invalid("--data", expected, found))
}

/// A run and its output.
struct Session<'a> {
    plan: Plan,
    run: Run<'a>,
    data: &'a Digits,
    flags: &'a RunArgs,
    metrics: Metrics,
    out: &'a Path,
    _folder: Folder,
    interrupt: &'a Interrupt,
    begin: Instant,
}

impl<'a> Session<'a> {
    /// Reads and checks everything before the first file is written.
    fn begin(
        args: &'a PlanArgs,
        stored: Option<Checkpoint>,
        out: &'a Path,
        mut folder: Folder,
        data: &'a Digits,
        interrupt: &'a Interrupt,
    ) -> Result<Session<'a>> {
        let (flags, checkpoint) = (args.run(), out.join(CHECKPOINT));
        let (plan, run) = match stored {
            Some(stored) => Plan::resume(&stored, data)?,
            None => args.plan().and_then(|plan| plan.begin(data).map(|run| (plan, run)))?,
        };
        if plan.model.name() != args.model() {
            let found = format!("one of {}", plan.model.name());
            return Err(Error::format(checkpoint, format!("a checkpoint of {}", args.model()), found));
        }
        let json = flags.json.clone().unwrap_or_else(|| out.join(METRICS));
        check_writable([&json])?;
        // The checkpoint comes before the metrics. A kill between the two then leaves a new run without
        // steps, rather than the previous run without its metrics.
        match checkpoint.exists() {
            _ if flags.resume => {}
            true => folder.replace(|new| run.checkpoint().save(&new.join(CHECKPOINT)))?,
            false => run.checkpoint().save(&checkpoint)?,
        }
        let metrics = Metrics::open(&json, flags.resume.then_some(run.step_count()))?;
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
        Ok(Session { plan, run, data, flags, metrics, out, _folder: folder, interrupt, begin })
    }

    /// The time spent, including the runs it continues.
    fn seconds(&self) -> f64 {
        self.metrics.seconds_before + self.begin.elapsed().as_secs_f64()
    }

    fn write(&mut self, record: Record) -> Result<()> {
        record.check()?;
        let seconds = self.seconds();
        self.metrics.write(record, seconds)
    }

    fn save(&self) -> Result<()> {
        self.run.check()?;
        self.run.checkpoint().save(&self.out.join(CHECKPOINT))
    }

    /// Returns the message that the run stopped, with the command that resumes it.
    fn stopped(&self) -> String {
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
        format!("stopped after {steps} steps; the checkpoint is written; resume with\n  {command}")
    }

    /// Steps until the run is finished or interrupted. Then, and after an error, it writes the checkpoint,
    /// unless the parameters have diverged.
    fn train(&mut self) -> Result<()> {
        let bar = progress(self.run.step_count(), self.plan.training.steps, "steps");
        self.interrupt.asks();
        let outcome = self.steps(&bar);
        bar.finish_and_clear();
        // `save` refuses a run that has diverged. After any other error the steps made so far are kept.
        outcome.and(self.save())?;
        let stopped = self.stopped();
        self.interrupt.ends(move || say!("{stopped}"));
        Ok(())
    }

    fn steps(&mut self, bar: &ProgressBar) -> Result<()> {
        let mut saved = Instant::now();
        while !self.run.is_finished() && !self.interrupt.is_asked() {
            self.step(bar)?;
            if saved.elapsed() > SAVE_EVERY {
                self.save()?;
                saved = Instant::now();
            }
        }
        Ok(())
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
            let (step, headline) = (thousands(record.step), headline(&record));
            bar.suspend(|| try_print(format_args!("step {step:>7}  {headline}  {seconds:.1} s")))?;
        }
        Ok(())
    }

    /// Draws the picture and evaluates on the test images.
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
        }
        bar.finish_and_clear();
        let record = self.run.evaluated(&evaluation);
        self.write(record)?;
        Ok(record)
    }

    /// Ten test images, their reconstructions, and images sampled from the model.
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

/// A path quoted for a shell, as the value of a flag.
fn quoted(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let start = if bytes.starts_with(b"-") { "./" } else { "" };
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    match path.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(plain) => format!("{start}{text}"),
        Some(text) if !text.contains(char::is_control) => {
            format!("'{start}{}'", text.replace('\'', r"'\''"))
        }
        _ => format!("$'{start}{}'", bytes.escape_ascii()),
    }
}
