//! `reparam train MODEL`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use reparam::data::{Digits, SplitKind};
use reparam::train::{ModelKind, OptimizerKind, Record, Settings, Task, Trained, Trainer};
use reparam::{Error, Noise, Result, Schedule};

use crate::common::{
    DataArgs, INTERRUPTED, ThreadArgs, at_least_one, interrupt_flag, number, progress, remove_partial, say,
    thousands, whole, writable_dir,
};
use crate::picture::Grid;
use crate::records::{Line, Metrics};
use crate::scores::{SAMPLES, describe, headline, say_paper};

/// The files of a run, in its folder.
const CHECKPOINT: &str = "model.safetensors";
const METRICS: &str = "metrics.jsonl";
const PICTURE: &str = "digits.png";
/// Steps between training records.
const RECORD_EVERY: u64 = 500;
/// Time between checkpoints: what a kill can cost.
const SAVE_EVERY: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct Args {
    /// What to train: vae (categorical variational autoencoder), sbn (belief net that draws lower halves of images from upper
    /// ones), semi (images of which a hundred have a label) or mlp (classifier)
    model: ModelKind,
    /// Where all randomness comes from [default: 1]
    #[arg(long, value_name = "N", value_parser = number::<u64>)]
    seed: Option<u64>,
    /// Steps; the default schedules end with them [default: 18000 for vae, 20000 for sbn, 4000 for semi, 5000 for mlp]
    #[arg(long, value_name = "N", value_parser = at_least_one::<u64>)]
    steps: Option<u64>,
    /// Images per step, those without a label [default: 100, 250 for semi]
    #[arg(long, value_name = "N", value_parser = at_least_one::<usize>)]
    batch: Option<usize>,
    /// Widths of the hidden layers, like 512,256, or "none" [default: 512,256 for vae, 400 for semi, 256,128 for mlp; sbn has
    /// none]
    #[arg(long, value_name = "WIDTHS", value_parser = parse_widths)]
    hidden: Option<Widths>,
    /// Latent variables: categorical ones of vae and of both layers of sbn, normal ones of semi [default: 20, 10 for semi]
    #[arg(long, value_name = "N", value_parser = at_least_one::<usize>)]
    latents: Option<usize>,
    /// Classes of each categorical latent variable [default: 10]
    #[arg(long, value_name = "N", value_parser = at_least_one::<usize>)]
    classes: Option<usize>,
    /// adam, adamw or sgd [default: adam]
    #[arg(long, value_name = "NAME")]
    optimizer: Option<OptimizerKind>,
    /// Learning rate: a number, anneal:START,RATE,FLOOR,EVERY or tail:START,END,FROM,TO [default: 2e-3 for vae and
    /// semi, 3e-3 for sbn, 1e-3 for mlp, falling to 1 % of it over the last 60 % of the steps]
    #[arg(long, value_name = "SCHEDULE")]
    learning_rate: Option<Schedule>,
    /// Decay of adam's and adamw's mean of gradients [default: 0.6 for vae, 0.9 for others]
    #[arg(long, value_name = "X", value_parser = number::<f64>)]
    beta1: Option<f64>,
    /// Decay of adam's and adamw's mean of squared gradients [default: 0.99 for vae and sbn, 0.999 for others]
    #[arg(long, value_name = "X", value_parser = number::<f64>)]
    beta2: Option<f64>,
    /// Momentum of sgd [default: 0.9]
    #[arg(long, value_name = "X", value_parser = number::<f64>)]
    momentum: Option<f64>,
    /// Weight decay of adamw and sgd [default: 0]
    #[arg(long, value_name = "X", value_parser = number::<f64>)]
    weight_decay: Option<f64>,
    /// Temperature: a number, anneal:START,RATE,FLOOR,EVERY or tail:START,END,FROM,TO [default: from 1, falling to
    /// 0.1 over all steps, to 0.5 for semi; 1 for sbn]
    #[arg(long, value_name = "SCHEDULE")]
    tau: Option<Schedule>,
    /// First step whose samples are straight-through instead of relaxed [default: never]
    #[arg(long, value_name = "N", value_parser = number::<u64>)]
    straight_through_from: Option<u64>,
    /// Largest norm of the gradient; 0 for no limit [default: 0]
    #[arg(long, value_name = "X", value_parser = number::<f64>)]
    clip_norm: Option<f64>,
    /// Steps between evaluations on the validation images; 0 for none [default: 2000]
    #[arg(long, value_name = "N", value_parser = number::<u64>)]
    validate_every: Option<u64>,
    /// Stop after so many evaluations without improvement and keep the best; 0 for never [default: 0]
    #[arg(long, value_name = "N", value_parser = number::<u64>)]
    patience: Option<u64>,
    /// Hard samples per test image in the bound on -ln p [default: 100]
    #[arg(long, value_name = "N", value_parser = whole(1..=100_000_u32))]
    samples: Option<u32>,
    /// Folder for model.safetensors, metrics.jsonl and digits.png [default: out/MODEL]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// File for the metrics, one JSON object a line [default: metrics.jsonl in the output folder]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Go on from the checkpoint in the output folder, with the settings it was begun with
    #[arg(long, conflicts_with_all = ["seed", "steps", "batch", "hidden", "latents", "classes", "optimizer",
        "learning_rate", "beta1", "beta2", "momentum", "weight_decay", "tau", "straight_through_from",
        "clip_norm", "validate_every", "patience"])]
    resume: bool,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    threads: ThreadArgs,
}

#[derive(Clone)]
struct Widths(Vec<usize>);

fn parse_widths(text: &str) -> std::result::Result<Widths, String> {
    if text == "none" {
        return Ok(Widths(Vec::new()));
    }
    let widths: std::result::Result<Vec<usize>, _> =
        text.split(',').map(|width| width.trim().parse()).collect();
    widths.map(Widths).map_err(|_| format!("expected widths like 512,256, or none, found `{text}`"))
}

impl Args {
    fn settings(&self) -> Settings {
        let mut settings = Settings::defaults(self.model);
        if let Some(steps) = self.steps {
            settings = settings.with_steps(steps);
        }
        let put = |setting: &mut usize, flag: Option<usize>| *setting = flag.unwrap_or(*setting);
        put(&mut settings.batch, self.batch);
        put(&mut settings.latents, self.latents);
        put(&mut settings.classes, self.classes);
        let hidden = self.hidden.clone().map(|Widths(widths)| widths);
        Settings {
            seed: self.seed.unwrap_or(settings.seed),
            hidden: hidden.unwrap_or(settings.hidden),
            optimizer: self.optimizer.unwrap_or(settings.optimizer),
            learning_rate: self.learning_rate.unwrap_or(settings.learning_rate),
            beta1: self.beta1.unwrap_or(settings.beta1),
            beta2: self.beta2.unwrap_or(settings.beta2),
            momentum: self.momentum.unwrap_or(settings.momentum),
            weight_decay: self.weight_decay.unwrap_or(settings.weight_decay),
            tau: self.tau.unwrap_or(settings.tau),
            straight_through_from: self.straight_through_from.unwrap_or(settings.straight_through_from),
            clip_norm: self.clip_norm.unwrap_or(settings.clip_norm),
            validate_every: self.validate_every.unwrap_or(settings.validate_every),
            patience: self.patience.unwrap_or(settings.patience),
            ..settings
        }
    }

    /// Refuses flags that the model or its optimizer would not read.
    fn check_flags(&self) -> Result<()> {
        use ModelKind::{Mlp, Sbn, Vae};
        use OptimizerKind::{Adam, Sgd};
        let optimizer = self.optimizer.unwrap_or(Settings::defaults(self.model).optimizer);
        let (model, name) = (self.model.to_string(), optimizer.to_string());
        let (is_sampled, is_categorical) = (self.model != Mlp, matches!(self.model, Vae | Sbn));
        let (is_adam, decays) = (optimizer != Sgd, optimizer != Adam);
        let (sampled, categorical) = ("vae, sbn or semi", "vae or sbn");
        let (adam, sgd, decay) = ("--optimizer adam or adamw", "--optimizer sgd", "--optimizer adamw or sgd");
        // Flag, whether it is given, whether it is read, with what it would be, and what there is instead.
        let flags = [
            ("--latents", self.latents.is_some(), is_sampled, sampled, &model),
            ("--classes", self.classes.is_some(), is_categorical, categorical, &model),
            ("--tau", self.tau.is_some(), is_sampled, sampled, &model),
            ("--straight-through-from", self.straight_through_from.is_some(), is_sampled, sampled, &model),
            ("--samples", self.samples.is_some(), is_sampled, sampled, &model),
            ("--beta1", self.beta1.is_some(), is_adam, adam, &name),
            ("--beta2", self.beta2.is_some(), is_adam, adam, &name),
            ("--momentum", self.momentum.is_some(), !is_adam, sgd, &name),
            ("--weight-decay", self.weight_decay.is_some(), decays, decay, &name),
        ];
        match flags.into_iter().find(|&(_, is_given, is_read, ..)| is_given && !is_read) {
            Some((flag, _, _, with, found)) => {
                Err(Error::invalid(flag, format!("it with {with} only"), found))
            }
            None => Ok(()),
        }
    }
}

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
