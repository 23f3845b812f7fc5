//! Training settings that apply to any model.

use reparam_ops::adam::LARGEST_BETA;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::optim::{Adam, LARGEST, Optimizer, Sgd};
use crate::schedule::Schedule;

/// The largest number of steps of a run.
pub const MOST_STEPS: u64 = 1_000_000_000_000;

/// The largest number of hard samples per image in an evaluation.
pub const MOST_SAMPLES: u32 = 100_000;

/// The length of a run, the updates of its parameters, and its validation.
#[derive(Clone, PartialEq, Debug)]
pub struct Training {
    /// Images per step.
    pub batch: usize,
    /// Steps of the whole run.
    pub steps: u64,
    /// The seed of all randomness.
    pub seed: u64,
    /// The optimizer.
    pub optimizer: OptimizerPlan,
    /// The step size at each step.
    pub learning_rate: Schedule,
    /// The largest joint norm of all gradients. Larger ones are scaled down to it. `None` sets no limit.
    pub clip_norm: Option<f64>,
    /// Scoring on the validation images, if any.
    pub validation: Option<Validation>,
}

/// The settings of an optimizer. The learning rate comes from [`Training`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum OptimizerPlan {
    /// Adam.
    Adam {
        /// Decay of the mean of gradients.
        beta1: f64,
        /// Decay of the mean of squared gradients.
        beta2: f64,
    },
    /// Adam with decoupled weight decay.
    AdamW {
        /// Decay of the mean of gradients.
        beta1: f64,
        /// Decay of the mean of squared gradients.
        beta2: f64,
        /// Weight decay.
        weight_decay: f64,
    },
    /// Stochastic gradient descent.
    Sgd {
        /// Momentum.
        momentum: f64,
        /// Weight decay.
        weight_decay: f64,
    },
}

/// Settings for scoring a run on the validation images and acting on the scores.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Validation {
    /// Steps between scores.
    pub every: u64,
    /// Hard samples per image. With one, the score to watch is -ELBO; with more, their bound. For a model
    /// with variables that recognises classes, it is the error rate.
    pub samples: usize,
    /// If true, a finished run has the parameters of its best score instead of the last ones.
    pub keep_best: bool,
    /// The number of scores without improvement after which the run ends early. `None` never ends it early.
    pub patience: Option<u64>,
}

impl Default for Training {
    /// 1000 steps of 100 images with Adam at a rate of 1e-3, without validation.
    fn default() -> Training {
        Training {
            batch: 100,
            steps: 1000,
            seed: 1,
            optimizer: OptimizerPlan::Adam { beta1: 0.9, beta2: 0.999 },
            learning_rate: Schedule::Fixed(1e-3),
            clip_norm: None,
            validation: None,
        }
    }
}

/// A learning rate that falls linearly to a hundredth over the last 60 % of a run.
///
/// # Panics
/// If `start` is not a finite number above 0.
#[track_caller]
pub fn falling(start: f64, steps: u64) -> Schedule {
    assert!(
        start > 0.0 && start.is_finite(),
        "falling: the rate at the start must be finite and above 0, it is {start}; 1e-3 is usual"
    );
    let from = steps / 5 * 2 + steps % 5 * 2 / 5;
    Schedule::Tail { start, end: start / 100.0, from, to: steps.max(1) }
}

impl OptimizerPlan {
    /// The optimizer before its first step.
    pub(super) fn begin(self, rate: f64) -> Box<dyn Optimizer> {
        match self {
            OptimizerPlan::Adam { beta1, beta2 } => Box::new(Adam::new(rate).betas(beta1, beta2)),
            OptimizerPlan::AdamW { beta1, beta2, weight_decay } => {
                Box::new(Adam::new(rate).betas(beta1, beta2).weight_decay(weight_decay))
            }
            OptimizerPlan::Sgd { momentum, weight_decay } => {
                Box::new(Sgd::new(rate, momentum).weight_decay(weight_decay))
            }
        }
    }

    /// The optimizer's name.
    pub fn name(self) -> &'static str {
        match self {
            OptimizerPlan::Adam { .. } => "adam",
            OptimizerPlan::AdamW { .. } => "adamw",
            OptimizerPlan::Sgd { .. } => "sgd",
        }
    }

    fn check(self) -> Result<()> {
        let beta = |what: &str, value: f64| match (0.0..=LARGEST_BETA).contains(&value) {
            true => Ok(()),
            false => Err(Error::invalid(what, format!("a number from 0 to {LARGEST_BETA}"), value)),
        };
        match self {
            OptimizerPlan::Adam { beta1, beta2 } => beta("beta1", beta1).and(beta("beta2", beta2)),
            OptimizerPlan::AdamW { beta1, beta2, weight_decay } => {
                beta("beta1", beta1).and(beta("beta2", beta2)).and(not_negative("weight decay", weight_decay))
            }
            OptimizerPlan::Sgd { momentum, weight_decay } => {
                if !(0.0..1.0).contains(&(momentum as f32)) {
                    return Err(Error::invalid("momentum", "a number from 0 to below 1", momentum));
                }
                not_negative("weight decay", weight_decay)
            }
        }
    }
}

fn not_negative(what: &str, value: f64) -> Result<()> {
    match value {
        0.0..=LARGEST => Ok(()),
        LARGEST.. => Err(Error::invalid(what, format!("at most {LARGEST:e}"), value)),
        _ => Err(Error::invalid(what, "a number that is not negative", value)),
    }
}

impl Training {
    /// Checks that every setting is usable.
    ///
    /// # Errors
    /// Names the first setting that is out of range.
    pub fn check(&self) -> Result<()> {
        let from_one_to = |most: u64, what: &str, value: u64| match value {
            0 => Err(Error::invalid(what, "at least 1", 0)),
            value if value > most => Err(Error::invalid(what, format!("at most {most}"), value)),
            _ => Ok(()),
        };
        from_one_to(u64::MAX, "batch", self.batch as u64)?;
        from_one_to(MOST_STEPS, "steps", self.steps)?;
        self.optimizer.check()?;
        if !at_every_step(self.learning_rate, self.steps, f64::MIN_POSITIVE..=f64::MAX) {
            let expected = "a number above 0 at every step";
            return Err(Error::invalid("learning rate", expected, self.learning_rate));
        }
        if !at_every_step(self.learning_rate, self.steps, 0.0..=LARGEST) {
            let expected = format!("at most {LARGEST:e} at every step");
            return Err(Error::invalid("learning rate", expected, self.learning_rate));
        }
        if let Some(norm) = self.clip_norm.filter(|&norm| !(norm > 0.0 && norm.is_finite())) {
            return Err(Error::invalid("clip norm", "a number above 0", norm));
        }
        let Some(validation) = self.validation else { return Ok(()) };
        from_one_to(u64::MAX, "validate every", validation.every)?;
        from_one_to(MOST_SAMPLES.into(), "validation samples", validation.samples as u64)?;
        match validation.patience {
            Some(0) => Err(Error::invalid("patience", "at least 1", 0)),
            _ => Ok(()),
        }
    }

    /// Stores all settings in a checkpoint.
    pub(super) fn write(&self, checkpoint: &mut Checkpoint) {
        checkpoint.set("batch", self.batch);
        checkpoint.set("steps", self.steps);
        checkpoint.set("seed", self.seed);
        checkpoint.set("optimizer", self.optimizer.name());
        match self.optimizer {
            OptimizerPlan::Adam { beta1, beta2 } => checkpoint.set_numbers("betas", &[beta1, beta2]),
            OptimizerPlan::AdamW { beta1, beta2, weight_decay } => {
                checkpoint.set_numbers("betas", &[beta1, beta2]);
                checkpoint.set("weight_decay", weight_decay);
            }
            OptimizerPlan::Sgd { momentum, weight_decay } => {
                checkpoint.set("momentum", momentum);
                checkpoint.set("weight_decay", weight_decay);
            }
        }
        checkpoint.set("learning_rate", self.learning_rate);
        if let Some(norm) = self.clip_norm {
            checkpoint.set("clip_norm", norm);
        }
        if let Some(Validation { every, samples, keep_best, patience }) = self.validation {
            checkpoint.set("validate_every", every);
            checkpoint.set("validation_samples", samples);
            checkpoint.set("keep_best", keep_best);
            if let Some(patience) = patience {
                checkpoint.set("patience", patience);
            }
        }
    }

    /// Loads what [`write`](Self::write) stored.
    pub(super) fn read(checkpoint: &Checkpoint) -> Result<Training> {
        let betas = || checkpoint.get_array("betas");
        let optimizer = match &checkpoint.get::<String>("optimizer")?[..] {
            "adam" => betas().map(|[beta1, beta2]| OptimizerPlan::Adam { beta1, beta2 })?,
            "adamw" => {
                let ([beta1, beta2], weight_decay) = (betas()?, checkpoint.get("weight_decay")?);
                OptimizerPlan::AdamW { beta1, beta2, weight_decay }
            }
            "sgd" => OptimizerPlan::Sgd {
                momentum: checkpoint.get("momentum")?,
                weight_decay: checkpoint.get("weight_decay")?,
            },
            name => return Err(checkpoint.unfit("adam, adamw or sgd", format_args!("`{name}`"))),
        };
        let validation = match checkpoint.get_if_set("validate_every")? {
            None => None,
            Some(every) => Some(Validation {
                every,
                samples: checkpoint.get("validation_samples")?,
                keep_best: checkpoint.get("keep_best")?,
                patience: checkpoint.get_if_set("patience")?,
            }),
        };
        Ok(Training {
            batch: checkpoint.get("batch")?,
            steps: checkpoint.get("steps")?,
            seed: checkpoint.get("seed")?,
            optimizer,
            learning_rate: checkpoint.get("learning_rate")?,
            clip_norm: checkpoint.get_if_set("clip_norm")?,
            validation,
        })
    }
}

/// True if a schedule stays in a range at every step. Schedules are monotone, so the ends of the run are
/// their extremes.
pub(super) fn at_every_step(schedule: Schedule, steps: u64, range: std::ops::RangeInclusive<f64>) -> bool {
    let is_inside = |&step: &u64| range.contains(&schedule.at(step));
    schedule.check().is_ok() && [0, steps.saturating_sub(1)].iter().all(is_inside)
}
