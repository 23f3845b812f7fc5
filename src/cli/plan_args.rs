//! The flags of a training command, and the plan they make.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

use super::args::{DataArgs, ThreadArgs, number, whole};
use super::training_args::TrainingFlags;
use crate::error::{Error, Result};
use crate::estimators::entries;
use crate::models::{Link, MOST_WEIGHTS, ModelShape};
use crate::schedule::Schedule;
use crate::train::{MOST_SAMPLES, OptimizerPlan, Plan, Sampling};
use crate::variables::Variables;

/// A model to train, with its flags.
#[derive(Clone, Debug, Subcommand)]
pub enum PlanArgs {
    /// A variational autoencoder of binary images
    #[command(allow_negative_numbers = true, after_help = defaults(&Plan::vae()))]
    Vae {
        /// Widths of the encoder's hidden layers, like 512,256, or "none"; the decoder mirrors them [default:
        /// 512,256]
        #[arg(long, help_heading = MODEL, value_name = "WIDTHS")]
        hidden: Option<Widths>,
        /// The latent variables
        #[command(flatten)]
        variables: VariableFlags,
        /// The estimator
        #[command(flatten)]
        sampling: SamplingFlags,
        /// The flags of every model
        #[command(flatten)]
        run: RunArgs,
    },
    /// A sigmoid belief net that draws the lower half of an image from the upper one
    #[command(allow_negative_numbers = true, after_help = defaults(&Plan::sbn()))]
    Sbn {
        /// The latent variables
        #[command(flatten)]
        variables: VariableFlags,
        /// The estimator
        #[command(flatten)]
        sampling: SamplingFlags,
        /// The flags of every model
        #[command(flatten)]
        run: RunArgs,
    },
    /// A sigmoid belief net with a learned prior
    #[command(allow_negative_numbers = true, after_help = defaults(&Plan::belief()))]
    Belief {
        /// Bits of each layer, the layer next to the pixels first [default: 200,200]
        #[arg(long, help_heading = MODEL, value_name = "WIDTHS")]
        layers: Option<Widths>,
        /// A layer's dependence on the one before: linear or nonlinear [default: nonlinear]
        #[arg(long, help_heading = MODEL, value_name = "LINK")]
        link: Option<Link>,
        /// The estimator
        #[command(flatten)]
        sampling: SamplingFlags,
        /// The flags of every model
        #[command(flatten)]
        run: RunArgs,
    },
    /// A semi-supervised model of images, a hundred of them labelled
    #[command(allow_negative_numbers = true, after_help = defaults(&Plan::semi()))]
    Semi {
        /// Widths of the hidden layers of each net, like 400 or 500,300 [default: 400]
        #[arg(long, help_heading = MODEL, value_name = "WIDTHS")]
        hidden: Option<Widths>,
        /// Normal latent variables, the style of an image [default: 10]
        #[arg(long, help_heading = MODEL, value_name = "N", value_parser = whole(1..=MOST_WEIGHTS))]
        latents: Option<usize>,
        /// The estimator
        #[command(flatten)]
        sampling: SamplingFlags,
        /// The flags of every model
        #[command(flatten)]
        run: RunArgs,
    },
    /// A classifier
    #[command(allow_negative_numbers = true, after_help = defaults(&Plan::mlp()))]
    Mlp {
        /// Widths of the hidden layers, like 256,128, or "none" [default: 256,128]
        #[arg(long, help_heading = MODEL, value_name = "WIDTHS")]
        hidden: Option<Widths>,
        /// Rejected in one line, because there is nothing to estimate
        #[arg(long, value_name = "NAME", hide = true)]
        estimator: Option<String>,
        /// The flags of every model
        #[command(flatten)]
        run: RunArgs,
    },
}

/// The heading of a model's own flags.
const MODEL: &str = "Model";

/// The latent variables.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = MODEL)]
pub struct VariableFlags {
    /// Latent bits in a layer, instead of categorical variables
    #[arg(long, value_name = "N", value_parser = whole(1..=MOST_WEIGHTS), conflicts_with_all = ["latents", "classes"])]
    bits: Option<usize>,
    /// Categorical latent variables in a layer [default: 20]
    #[arg(long, value_name = "N", value_parser = whole(1..=MOST_WEIGHTS))]
    latents: Option<usize>,
    /// Classes of each categorical latent variable [default: 10]
    #[arg(long, value_name = "K", value_parser = whole(1..=MOST_WEIGHTS))]
    classes: Option<usize>,
}

/// The estimator.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Estimator")]
pub struct SamplingFlags {
    #[arg(long, value_name = "NAME", help = estimator_help())]
    estimator: Option<String>,
    /// Temperature of the estimator: a number, anneal:START,RATE,FLOOR,EVERY or tail:START,END,FROM,TO
    /// [default: the one in the estimator's name, or as below without --estimator]
    #[arg(long, value_name = "SCHEDULE")]
    tau: Option<Schedule>,
    /// Step from which samples are straight-through (st-gumbel-softmax) [default: never]
    #[arg(long, value_name = "N", value_parser = number::<u64>)]
    straight_through_from: Option<u64>,
}

/// Flags of every model.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Evaluation, files and machine")]
pub struct RunArgs {
    /// Hard samples per test image in the bound on -ln p; a classifier takes none [default: 100]
    #[arg(long, value_name = "N", value_parser = whole(1..=MOST_SAMPLES))]
    pub samples: Option<u32>,
    /// Folder for model.safetensors, metrics.jsonl and digits.png [default: out/MODEL]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// File for the metrics, one JSON object per line [default: metrics.jsonl in the output folder]
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Resume the run in the output folder, with its original settings
    #[arg(long)]
    pub resume: bool,
    /// Replace the run in the output folder, if any; it is removed as soon as the new run has a checkpoint
    #[arg(long, conflicts_with = "resume")]
    pub force: bool,
    /// The images
    #[command(flatten)]
    pub data: DataArgs,
    /// The threads
    #[command(flatten)]
    pub threads: ThreadArgs,
    #[command(flatten)]
    training: TrainingFlags,
}

/// Layer widths given by a flag.
#[derive(Clone, Debug, PartialEq)]
pub struct Widths(Vec<usize>);

impl FromStr for Widths {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Widths, String> {
        if text == "none" {
            return Ok(Widths(Vec::new()));
        }
        let widths: std::result::Result<Vec<usize>, _> =
            text.split(',').map(|width| width.trim().parse()).collect();
        widths.map(Widths).map_err(|_| format!("expected widths like 512,256, or none, found `{text}`"))
    }
}

impl PlanArgs {
    /// The name of the model.
    pub fn model(&self) -> &'static str {
        self.defaults().model.name()
    }

    /// The flags that every model has.
    pub fn run(&self) -> &RunArgs {
        match self {
            PlanArgs::Vae { run, .. }
            | PlanArgs::Sbn { run, .. }
            | PlanArgs::Belief { run, .. }
            | PlanArgs::Semi { run, .. }
            | PlanArgs::Mlp { run, .. } => run,
        }
    }

    /// The plan without flags.
    fn defaults(&self) -> Plan {
        match self {
            PlanArgs::Vae { .. } => Plan::vae(),
            PlanArgs::Sbn { .. } => Plan::sbn(),
            PlanArgs::Belief { .. } => Plan::belief(),
            PlanArgs::Semi { .. } => Plan::semi(),
            PlanArgs::Mlp { .. } => Plan::mlp(),
        }
    }

    /// The plan that the flags make.
    ///
    /// # Errors
    /// If a flag is given that the model or its optimizer would not read.
    pub fn plan(&self) -> Result<Plan> {
        if let (PlanArgs::Mlp { .. }, Some(_)) = (self, self.run().samples) {
            return Err(Error::invalid("--samples", "a model that samples", "mlp"));
        }
        let mut plan = self.run().training.apply(self.defaults())?;
        self.shape(&mut plan.model);
        match self {
            PlanArgs::Vae { sampling, .. }
            | PlanArgs::Sbn { sampling, .. }
            | PlanArgs::Belief { sampling, .. }
            | PlanArgs::Semi { sampling, .. } => sampling.apply(plan),
            PlanArgs::Mlp { estimator: Some(name), .. } => plan.with_sampling(Sampling::named(name)),
            PlanArgs::Mlp { .. } => Ok(plan),
        }
    }

    /// Gives a model of this kind the shape that the flags set.
    fn shape(&self, model: &mut ModelShape) {
        match (self, model) {
            (PlanArgs::Vae { variables, hidden, .. }, ModelShape::Vae { latents, encoder, decoder }) => {
                *latents = variables.apply(*latents);
                set_widths(encoder, hidden);
                *decoder = encoder.iter().rev().copied().collect();
            }
            (PlanArgs::Sbn { variables, .. }, ModelShape::Prediction { layers }) => {
                layers.iter_mut().for_each(|layer| *layer = variables.apply(*layer));
            }
            (PlanArgs::Belief { layers, link, .. }, ModelShape::BeliefNet { layers: widths, link: of }) => {
                set_widths(widths, layers);
                *of = link.unwrap_or(*of);
            }
            (PlanArgs::Semi { hidden, latents, .. }, ModelShape::FewLabels(shape)) => {
                set_widths(&mut shape.hidden, hidden);
                shape.latents = latents.unwrap_or(shape.latents);
            }
            (PlanArgs::Mlp { hidden: given, .. }, ModelShape::Classifier { hidden }) => {
                set_widths(hidden, given)
            }
            _ => unreachable!("the defaults of that model"),
        }
    }

    /// Checks that a resumed run gets only the folder, the data and the output, because it has its own
    /// settings.
    ///
    /// # Errors
    /// If it gets any other flag.
    pub fn check_resumed(&self) -> Result<()> {
        if self.plan()? == self.defaults() {
            return Ok(());
        }
        let expected = "no other settings, because a resumed run keeps its own";
        Err(Error::invalid("--resume", expected, "flags that change them"))
    }
}

fn set_widths(widths: &mut Vec<usize>, given: &Option<Widths>) {
    if let Some(Widths(given)) = given {
        widths.clone_from(given);
    }
}

impl VariableFlags {
    fn apply(&self, defaults: Variables) -> Variables {
        match self.bits {
            Some(bits) => Variables::Bits(bits),
            None => Variables::Categories {
                count: self.latents.unwrap_or(defaults.count()),
                classes: self.classes.unwrap_or(defaults.values()),
            },
        }
    }
}

impl SamplingFlags {
    fn apply(&self, plan: Plan) -> Result<Plan> {
        let Some(mut sampling) = plan.sampling.clone() else { return Ok(plan) };
        if let Some(name) = &self.estimator {
            sampling = Sampling::named(name);
        }
        sampling.tau = self.tau.or(sampling.tau);
        let straight_through = |step| (step, "st-gumbel-softmax:1".to_owned());
        sampling.then =
            self.straight_through_from.filter(|&step| step < plan.training.steps).map(straight_through);
        plan.with_sampling(sampling)
    }
}

/// The estimators, for help texts.
fn estimator_help() -> String {
    let forms: Vec<&str> = entries().map(|entry| entry.form).collect();
    format!(
        "Estimator of the gradient through the variables, one of {} [default: as below]",
        forms.join(", ")
    )
}

/// The settings of a plan, for help texts.
fn defaults(plan: &Plan) -> String {
    let Plan { sampling, training, .. } = plan;
    let mut text = format!(
        "Defaults: --steps {} --batch {} --learning-rate {}",
        training.steps, training.batch, training.learning_rate
    );
    if let OptimizerPlan::Adam { beta1, beta2 } = training.optimizer {
        text += &format!(" --beta1 {beta1} --beta2 {beta2}");
    }
    if let Some(sampling) = sampling {
        text += &format!(" --estimator {}", sampling.estimator);
        if let Some(tau) = sampling.tau {
            text += &format!(" --tau {tau}");
        }
    }
    text
}

/// Each model's own flags, and the names of the flags it shares with others, for the help of `train`.
pub fn flags_by_model() -> String {
    let models = PlanArgs::augment_subcommands(clap::Command::new("train"));
    let mut text = String::new();
    for model in models.get_subcommands() {
        text += &format!("{}: {}\n", model.get_name(), model.get_about().unwrap_or_default());
        let mut shared: Vec<String> = Vec::new();
        for flag in model.get_arguments().filter(|flag| !flag.is_hide_set()) {
            let Some(long) = flag.get_long().filter(|&long| long != "help") else { continue };
            match flag.get_help_heading() {
                Some(MODEL) => {
                    let values: Vec<_> = flag.get_value_names().into_iter().flatten().collect();
                    let value = values.first().map_or(String::new(), |value| format!(" <{value}>"));
                    let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
                    text += &format!("      {:<20} {help}\n", format!("--{long}{value}"));
                }
                _ => shared.push(format!("--{long}")),
            }
        }
        text += &format!("      {}\n\n", shared.join(" "));
    }
    text + "`reparam train MODEL --help` explains all flags of a model, with their defaults."
}
