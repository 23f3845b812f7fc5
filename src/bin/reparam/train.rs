//! `reparam train MODEL`.

mod flags;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use reparam::data::{Digits, SplitKind};
use reparam::train::{Record, Task, Trained, Trainer};
use reparam::{Error, Noise, Result};

use crate::common::{INTERRUPTED, interrupt_flag, progress, remove_partial, say, thousands, writable_dir};
use crate::picture::Grid;
use crate::records::{Line, Metrics};
use crate::scores::{SAMPLES, describe, headline, say_paper};

pub(crate) use flags::Args;

/// The files of a run, in its folder.
const CHECKPOINT: &str = "model.safetensors";
const METRICS: &str = "metrics.jsonl";
const PICTURE: &str = "digits.png";
/// Steps between training records.
const RECORD_EVERY: u64 = 500;
/// Time between checkpoints: what a kill can cost.
const SAVE_EVERY: Duration = Duration::from_secs(10);

pub(crate) fn run(args: Args) -> Result<i32> {
    let out = args.out.clone().unwrap_or_else(|| Path::new("out").join(args.model.to_string()));
    args.check_flags()?;
    if !args.resume {
        args.settings().check()?;
    }
    let data = args.data.load()?;
    let interrupted = interrupt_flag()?;
    args.threads.run(|| {
        let mut run = Run::begin(&args, &out, &data, &interrupted)?;
        if run.train()? {
            run.finish(args.samples.unwrap_or(SAMPLES) as usize)?;
            return Ok(0);
        }
        run.say_stopped();
        Ok(INTERRUPTED)
    })
}

/// A run and where it writes.
struct Run<'a> {
    trainer: Trainer<'a>,
    data: &'a Digits,
    args: &'a Args,
    metrics: Metrics,
    out: &'a Path,
    interrupted: &'a AtomicBool,
    begin: Instant,
}

impl<'a> Run<'a> {
    /// Reads and checks everything before the first file is written.
    fn begin(
        args: &'a Args,
        out: &'a Path,
        data: &'a Digits,
        interrupted: &'a AtomicBool,
    ) -> Result<Run<'a>> {
        let checkpoint = out.join(CHECKPOINT);
        let trainer = match args.resume {
            true => Trainer::resume(&checkpoint, data)?,
            false => Trainer::new(args.settings(), data)?,
        };
        let settings = &trainer.model().settings;
        if settings.model != args.model {
            let found = format!("one of {}", settings.model);
            return Err(Error::format(checkpoint, format!("a checkpoint of {}", args.model), found));
        }
        writable_dir(out)?;
        if args.resume {
            // What a kill in the middle of a write left.
            remove_partial(out, &[CHECKPOINT, METRICS, PICTURE]);
        }
        let json = args.json.clone().unwrap_or_else(|| out.join(METRICS));
        let metrics = Metrics::open(&json, args.resume.then_some(trainer.step_count()))?;
        if !args.resume {
            // An earlier run's model must not be taken for this one's.
            trainer.checkpoint().save(&checkpoint)?;
        }
        say!(
            "{}: {} parameters, {} images, steps {} to {}, {}, {}",
            settings.model,
            thousands(trainer.model().params.elements() as u64),
            thousands(data.train().len() as u64),
            thousands(trainer.step_count()),
            thousands(settings.steps),
            match rayon::current_num_threads() {
                1 => "1 thread".to_owned(),
                threads => format!("{threads} threads"),
            },
            reparam_ops::Tier::best(),
        );
        Ok(Run { trainer, data, args, metrics, out, interrupted, begin: Instant::now() })
    }

    /// Time spent, that of the runs it continues included.
    fn seconds(&self) -> f64 {
        self.metrics.seconds_before + self.begin.elapsed().as_secs_f64()
    }

    fn write(&mut self, record: &Record) -> Result<()> {
        let seconds = self.seconds();
        self.metrics.write(&Line::new(record, seconds))
    }

    fn save(&self) -> Result<()> {
        self.trainer.checkpoint().save(&self.out.join(CHECKPOINT))
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Says how to go on.
    fn say_stopped(&self) {
        let Args { model, json, data, samples, .. } = self.args;
        let mut command = format!("reparam train {model} --out {} --resume", quoted(self.out));
        for (flag, path) in [("--data", data.path()), ("--json", json.as_deref())] {
            if let Some(path) = path {
                command += &format!(" {flag} {}", quoted(path));
            }
        }
        if let Some(samples) = samples {
            command += &format!(" --samples {samples}");
        }
        let steps = thousands(self.trainer.step_count());
        say!("stopped after {steps} steps; the checkpoint is written; go on with\n  {command}");
    }

    /// Steps until the run is finished (true) or interrupted (false); either way the checkpoint is written.
    fn train(&mut self) -> Result<bool> {
        let bar = progress(self.trainer.step_count(), self.trainer.model().settings.steps, "steps");
        let mut saved = Instant::now();
        while !self.trainer.is_finished() && !self.is_interrupted() {
            let loss = self.trainer.step();
            self.after_step(loss, &bar)?;
            if saved.elapsed() > SAVE_EVERY {
                self.save()?;
                saved = Instant::now();
            }
        }
        bar.finish_and_clear();
        let finished = self.trainer.is_finished();
        if finished {
            self.trainer.keep_best();
        }
        self.save()?;
        Ok(finished)
    }

    fn after_step(&mut self, loss: f64, bar: &ProgressBar) -> Result<()> {
        let step = self.trainer.step_count();
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
            let record = self.trainer.training_record();
            self.write(&record)?;
        }
        if self.trainer.is_validation_due() {
            let record = self.trainer.validate();
            self.write(&record)?;
            let seconds = self.seconds();
            bar.suspend(|| {
                say!("step {:>7}  {}  {seconds:.1} s", thousands(record.step), headline(&record));
            });
        }
        Ok(())
    }

    /// Evaluates on the test images and draws.
    fn finish(&mut self, samples: usize) -> Result<()> {
        let trained = self.seconds();
        let single = self.trainer.evaluate(SplitKind::Test, 1, |_| ());
        let both = self.seconds();
        say!("trained in {trained:.1} s; with the single-sample evaluation {both:.1} s");
        self.write(&single)?;
        self.draw()?;
        let is_mlp = matches!(self.trainer.model().task, Task::Mlp(_));
        let record = if is_mlp || samples == 1 { single } else { self.evaluate_bound(samples)? };
        describe(&self.trainer.model().task, &record, self.seconds() - both);
        if self.args.data.path().is_none() {
            say_paper(&self.trainer.model().task);
        }
        say!("wrote {}", self.out.display());
        Ok(())
    }

    fn evaluate_bound(&mut self, samples: usize) -> Result<Record> {
        let bar = progress(0, self.data.test().len() as u64, "test images");
        let record = self.trainer.evaluate(SplitKind::Test, samples, |images| {
            bar.inc(images as u64);
            if self.is_interrupted() {
                // Everything is on disk, and an evaluation has no middle to go on from.
                bar.finish_and_clear();
                self.say_stopped();
                std::process::exit(INTERRUPTED);
            }
        });
        bar.finish_and_clear();
        self.write(&record)?;
        Ok(record)
    }

    /// Ten test images, what the model makes of them, and what it draws by itself.
    fn draw(&self) -> Result<()> {
        let (split, Trained { task, params, settings, .. }) = (self.data.test(), self.trainer.model());
        let mut noise = Noise::seed(settings.seed);
        let indices: Vec<u32> = (0..split.len().min(10) as u32).collect();
        let mut originals = vec![0.0; indices.len() * split.pixels()];
        split.sample_pixels_into(&indices, &mut noise, &mut originals);
        let mut grid = Grid::new([split.rows(), split.cols()], indices.len());
        grid.extend(&originals);
        match task {
            Task::Vae(vae) => {
                grid.extend(&vae.reconstruct(params, &originals, &mut noise));
                grid.extend(&vae.generate(params, 3 * indices.len(), &mut noise));
            }
            // Four lower halves for each upper one.
            Task::Sbn(net) => (0..4).for_each(|_| grid.extend(&net.complete(params, &originals, &mut noise))),
            Task::Semi(model) => {
                grid.extend(&model.reconstruct(params, &originals, &mut noise));
                grid.extend(&model.generate(params, 3 * model.classes(), &mut noise));
            }
            Task::Mlp(_) => return Ok(()),
        }
        grid.save(&self.out.join(PICTURE))
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
