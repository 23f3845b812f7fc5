//! The flags of the optimizer and of the run's length, and their changes to a plan.

use clap::Args;

use super::args::{number, whole};
use crate::error::{Error, Result};
use crate::schedule::Schedule;
use crate::train::{MOST_STEPS, OptimizerPlan, Plan, Validation};

/// The flags of the optimizer and of the run's length.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Training")]
pub(super) struct TrainingFlags {
    /// Seed of all random numbers [default: 1]
    #[arg(long, value_name = "N", value_parser = number::<u64>)]
    seed: Option<u64>,
    /// Steps; the default schedules end with them
    #[arg(long, value_name = "N", value_parser = whole(1..=MOST_STEPS))]
    steps: Option<u64>,
    /// Images per step
    #[arg(long, value_name = "N", value_parser = whole(1..=u32::MAX as usize))]
    batch: Option<usize>,
    /// adam, adamw or sgd [default: adam]
    #[arg(long, value_name = "NAME", value_parser = optimizer_name)]
    optimizer: Option<OptimizerName>,
    /// Learning rate: a number, anneal:START,RATE,FLOOR,EVERY or tail:START,END,FROM,TO
    #[arg(long, value_name = "SCHEDULE")]
    learning_rate: Option<Schedule>,
    /// Decay of adam's and adamw's mean of gradients
    #[arg(long, value_name = "X", value_parser = number::<f64>)]
    beta1: Option<f64>,
    /// Decay of adam's and adamw's mean of squared gradients
    #[arg(long, value_name = "X", value_parser = number::<f64>)]
    beta2: Option<f64>,
    /// Momentum of sgd [default: 0.9]
    #[arg(long, value_name = "X", value_parser = number::<f64>)]
    momentum: Option<f64>,
    /// Weight decay of adamw and sgd [default: 0]
    #[arg(long, value_name = "X", value_parser = number::<f64>)]
    weight_decay: Option<f64>,
    /// Largest norm of the gradient; larger gradients are scaled down; 0 for no limit [default: 0]
    #[arg(long, value_name = "X", value_parser = number::<f64>)]
    clip_norm: Option<f64>,
    /// Steps between evaluations on the validation images; 0 for none [default: 2000]
    #[arg(long, value_name = "N", value_parser = number::<u64>)]
    validate_every: Option<u64>,
    /// Stop after this many evaluations without improvement and keep the best parameters; 0 for never
    /// [default: 0]
    #[arg(long, value_name = "N", value_parser = number::<u64>)]
    patience: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum OptimizerName {
    Adam,
    AdamW,
    Sgd,
}

fn optimizer_name(text: &str) -> std::result::Result<OptimizerName, String> {
    match text {
        "adam" => Ok(OptimizerName::Adam),
        "adamw" => Ok(OptimizerName::AdamW),
        "sgd" => Ok(OptimizerName::Sgd),
        _ => Err(format!("expected one of adam, adamw, sgd, found `{text}`")),
    }
}

impl TrainingFlags {
    /// The plan with the flags applied.
    ///
    /// # Errors
    /// If a flag is given that the optimizer would not read.
    pub(super) fn apply(&self, mut plan: Plan) -> Result<Plan> {
        if let Some(steps) = self.steps {
            plan = plan.with_steps(steps);
        }
        let training = &mut plan.training;
        training.seed = self.seed.unwrap_or(training.seed);
        training.batch = self.batch.unwrap_or(training.batch);
        training.learning_rate = self.learning_rate.unwrap_or(training.learning_rate);
        training.optimizer = self.optimizer(training.optimizer)?;
        training.clip_norm = self.clip_norm.filter(|&norm| norm != 0.0).or(training.clip_norm);
        training.validation = self.validation(training.validation)?;
        Ok(plan)
    }

    fn optimizer(&self, defaults: OptimizerPlan) -> Result<OptimizerPlan> {
        let OptimizerPlan::Adam { beta1, beta2 } = defaults else { return Ok(defaults) };
        let name = self.optimizer.unwrap_or(OptimizerName::Adam);
        let (is_sgd, decays) = (name == OptimizerName::Sgd, name != OptimizerName::Adam);
        // A flag, whether it is given, whether it is read, and what it needs.
        let flags = [
            ("--beta1", self.beta1.is_some(), !is_sgd, "--optimizer adam or adamw"),
            ("--beta2", self.beta2.is_some(), !is_sgd, "--optimizer adam or adamw"),
            ("--momentum", self.momentum.is_some(), is_sgd, "--optimizer sgd"),
            ("--weight-decay", self.weight_decay.is_some(), decays, "--optimizer adamw or sgd"),
        ];
        if let Some((flag, _, _, with)) = flags.into_iter().find(|&(_, given, read, _)| given && !read) {
            let found = if is_sgd { "sgd" } else { "adam" };
            return Err(Error::invalid(flag, format!("this flag only with {with}"), found));
        }
        let (beta1, beta2) = (self.beta1.unwrap_or(beta1), self.beta2.unwrap_or(beta2));
        let weight_decay = self.weight_decay.unwrap_or(0.0);
        Ok(match name {
            OptimizerName::Adam => OptimizerPlan::Adam { beta1, beta2 },
            OptimizerName::AdamW => OptimizerPlan::AdamW { beta1, beta2, weight_decay },
            OptimizerName::Sgd => OptimizerPlan::Sgd { momentum: self.momentum.unwrap_or(0.9), weight_decay },
        })
    }

    fn validation(&self, defaults: Option<Validation>) -> Result<Option<Validation>> {
        let Some(defaults) = defaults else { return Ok(None) };
        let patience = self.patience.filter(|&patience| patience > 0);
        let every = self.validate_every.unwrap_or(defaults.every);
        match (every, patience) {
            (0, Some(_)) => Err(Error::invalid("--validate-every", "at least 1 with --patience", 0)),
            (0, None) => Ok(None),
            (every, patience) => {
                Ok(Some(Validation { every, keep_best: patience.is_some(), patience, ..defaults }))
            }
        }
    }
}
