//! The flags of `reparam train`, and the settings that they are.

use std::path::PathBuf;

use reparam::train::{ModelKind, OptimizerKind, Settings};
use reparam::{Error, Result, Schedule};

use crate::common::{DataArgs, ThreadArgs, at_least_one, number, whole};

#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct Args {
    /// What to train: vae (categorical variational autoencoder), sbn (belief net that draws lower halves of images from upper
    /// ones), semi (images of which a hundred have a label) or mlp (classifier)
    pub(super) model: ModelKind,
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
    pub(super) samples: Option<u32>,
    /// Folder for model.safetensors, metrics.jsonl and digits.png [default: out/MODEL]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// File for the metrics, one JSON object a line [default: metrics.jsonl in the output folder]
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Go on from the checkpoint in the output folder, with the settings it was begun with
    #[arg(long, conflicts_with_all = ["seed", "steps", "batch", "hidden", "latents", "classes", "optimizer",
        "learning_rate", "beta1", "beta2", "momentum", "weight_decay", "tau", "straight_through_from",
        "clip_norm", "validate_every", "patience"])]
    pub(super) resume: bool,
    #[command(flatten)]
    pub(super) data: DataArgs,
    #[command(flatten)]
    pub(super) threads: ThreadArgs,
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
    pub(super) fn settings(&self) -> Settings {
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
    pub(super) fn check_flags(&self) -> Result<()> {
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
