//! What a run is made from. A run is a function of its settings and its data.

use reparam_ops::adam::LARGEST_BETA;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::models::SemiSupervisedShape;
use crate::optim::{Adam, Optimizer, Sgd};
use crate::schedule::Schedule;
use crate::words::words;

words! {
    /// The models that can be trained.
    ModelKind {
        /// The categorical variational autoencoder.
        Vae = "vae",
        /// The sigmoid belief net that draws the lower half of an image from the upper.
        Sbn = "sbn",
        /// The semi-supervised model of images of which a hundred have a known class.
        Semi = "semi",
        /// The MLP classifier.
        Mlp = "mlp",
    }
}

words! {
    /// The optimizers to choose from.
    OptimizerKind {
        /// Adam.
        Adam = "adam",
        /// Adam with decoupled weight decay.
        AdamW = "adamw",
        /// Stochastic gradient descent with momentum.
        Sgd = "sgd",
    }
}

/// Everything a run depends on besides its data.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// What is trained.
    pub model: ModelKind,
    /// Widths of the hidden layers (the VAE's decoder mirrors them); none for the belief net.
    pub hidden: Vec<usize>,
    /// Latent variables: categorical ones of the VAE and of each layer of the belief net, normal ones of the semi-supervised
    /// model.
    pub latents: usize,
    /// Classes of each categorical latent variable.
    pub classes: usize,
    /// Images per step.
    pub batch: usize,
    /// Steps of the whole run.
    pub steps: u64,
    /// Where all randomness comes from.
    pub seed: u64,
    /// What changes the parameters.
    pub optimizer: OptimizerKind,
    /// Step size, by step.
    pub learning_rate: Schedule,
    /// Decay of Adam's and AdamW's mean of gradients.
    pub beta1: f64,
    /// Decay of Adam's and AdamW's mean of squared gradients.
    pub beta2: f64,
    /// SGD's momentum.
    pub momentum: f64,
    /// Weight decay of AdamW and SGD.
    pub weight_decay: f64,
    /// Temperature of the relaxed samples, by step.
    pub tau: Schedule,
    /// First step whose samples are straight-through instead of relaxed; the number of steps for never.
    pub straight_through_from: u64,
    /// Largest norm of all gradients together; larger ones are scaled down. 0: no limit.
    pub clip_norm: f64,
    /// Steps between evaluations on the validation split. 0: none.
    pub validate_every: u64,
    /// Evaluations without improvement after which the run stops; the best parameters are kept. 0: never.
    pub patience: u64,
}

/// Temperatures that relaxed samples are made for.
const TAU: (f64, f64) = (1e-3, 1e3);
/// Units of a layer.
const MOST_UNITS: usize = 1 << 15;
/// Weights between hidden layers: 1 GiB.
const MOST_WEIGHTS: usize = 1 << 28;

impl Settings {
    /// The settings that `train MODEL` runs with: for the VAE those of the README's main job.
    pub fn defaults(model: ModelKind) -> Settings {
        let (steps, batch) = match model {
            ModelKind::Vae => (18_000, 100),
            ModelKind::Sbn => (20_000, 100),
            ModelKind::Semi => (4_000, 250),
            ModelKind::Mlp => (5_000, 100),
        };
        // Short memories suit a VAE that is trained for a minute and a half: see the README.
        let (beta1, beta2) = match model {
            ModelKind::Vae => (0.6, 0.99),
            ModelKind::Sbn => (0.9, 0.99),
            ModelKind::Semi | ModelKind::Mlp => (0.9, 0.999),
        };
        Settings {
            model,
            hidden: match model {
                ModelKind::Vae => vec![512, 256],
                ModelKind::Sbn => vec![],
                ModelKind::Semi => vec![400],
                ModelKind::Mlp => vec![256, 128],
            },
            latents: if model == ModelKind::Semi { 10 } else { 20 },
            classes: 10,
            batch,
            steps,
            seed: 1,
            optimizer: OptimizerKind::Adam,
            learning_rate: default_learning_rate(model, steps),
            beta1,
            beta2,
            momentum: 0.9,
            weight_decay: 0.0,
            tau: default_tau(model, steps),
            straight_through_from: steps,
            clip_norm: 0.0,
            validate_every: 2_000,
            patience: 0,
        }
    }

    /// Changes the length of the run, and with it the schedules that end with the run.
    pub fn with_steps(mut self, steps: u64) -> Settings {
        self.steps = steps;
        self.learning_rate = default_learning_rate(self.model, steps);
        self.tau = default_tau(self.model, steps);
        self.straight_through_from = steps;
        self
    }

    /// The sizes of the semi-supervised model, for images of so many classes.
    pub fn semi_supervised_shape(&self, classes: usize) -> SemiSupervisedShape {
        SemiSupervisedShape { classes, latents: self.latents, hidden: self.hidden.clone(), shift: 2 }
    }

    /// The optimizer at its first step.
    pub fn optimizer(&self) -> Box<dyn Optimizer> {
        let rate = self.learning_rate.at(0);
        let adam = || Adam::new(rate).betas(self.beta1, self.beta2);
        match self.optimizer {
            OptimizerKind::Adam => Box::new(adam()),
            OptimizerKind::AdamW => Box::new(adam().weight_decay(self.weight_decay)),
            OptimizerKind::Sgd => Box::new(Sgd::new(rate, self.momentum).weight_decay(self.weight_decay)),
        }
    }

    /// Checks every value that could not be trained with.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<()> {
        let positive = |what: &str, value: usize| match value {
            0 => Err(Error::invalid(what, "at least 1", 0)),
            _ => Ok(()),
        };
        positive("batch", self.batch)?;
        positive("latents", self.latents)?;
        positive("steps", self.steps.min(1) as usize)?;
        if self.patience > 0 && self.validate_every == 0 {
            return Err(Error::invalid("validate every", "at least 1 with patience", 0));
        }
        if self.classes < 2 {
            return Err(Error::invalid("classes", "at least 2", self.classes));
        }
        self.hidden.iter().try_for_each(|&width| positive("hidden", width))?;
        match (self.model, &self.hidden[..]) {
            (ModelKind::Sbn, [_, ..]) => {
                let expected = "none for sbn, whose layers are two of latents x classes";
                return Err(Error::invalid("hidden", expected, join(&self.hidden)));
            }
            (ModelKind::Semi, []) => {
                return Err(Error::invalid("hidden", "at least one width for semi", "none"));
            }
            _ => {}
        }
        self.check_size()?;
        // Schedules are monotone: the ends of the run are their extremes.
        let inside = |schedule: Schedule, least: f64, most: f64| {
            [0, self.steps - 1].iter().all(|&step| (least..=most).contains(&schedule.at(step)))
        };
        if !inside(self.tau, TAU.0, TAU.1) {
            let expected = format!("a number from {} to {} at every step", TAU.0, TAU.1);
            return Err(Error::invalid("tau", expected, self.tau));
        }
        if !inside(self.learning_rate, f64::MIN_POSITIVE, f64::MAX) {
            return Err(Error::invalid(
                "learning rate",
                "a number above 0 at every step",
                self.learning_rate,
            ));
        }
        for (what, value) in [("clip norm", self.clip_norm), ("weight decay", self.weight_decay)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::invalid(what, "a number that is not negative", value));
            }
        }
        for (what, value) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..=LARGEST_BETA).contains(&value) {
                return Err(Error::invalid(what, format!("a number from 0 to {LARGEST_BETA}"), value));
            }
        }
        if !(0.0..1.0).contains(&(self.momentum as f32)) {
            return Err(Error::invalid("momentum", "a number from 0 to below 1", self.momentum));
        }
        Ok(())
    }

    /// Checks that the settings of a checkpoint can be run, and that it is large enough for each layer between the pixels and
    /// the code, before memory is taken for any.
    pub(super) fn check_read(&self, pixels: usize, checkpoint: &Checkpoint) -> Result<()> {
        self.check().map_err(|error| checkpoint.unfit("settings that can be run", error))?;
        let held: usize = checkpoint.tensors().map(|(_, _, value)| value.len()).sum();
        // The belief net's first one is from half of them.
        let widths: Vec<usize> = [&[pixels / 2], &self.hidden[..], &[self.code().1]].concat();
        for pair in widths.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            if from.saturating_mul(to) > held {
                let expected = format_args!("the weights of a layer from {from} to {to} units");
                return Err(checkpoint.unfit(expected, format_args!("{held} numbers in all")));
            }
        }
        Ok(())
    }

    /// What gives the number of units of the code, or of the belief net's layers, and that number.
    fn code(&self) -> (&'static str, usize) {
        match self.model {
            ModelKind::Vae | ModelKind::Sbn => {
                ("latents x classes", self.latents.saturating_mul(self.classes))
            }
            ModelKind::Semi => ("latents", self.latents),
            ModelKind::Mlp => ("latents", 1),
        }
    }

    /// Checks that no layer is larger than any that could be meant: memory is taken before a checkpoint's tensors
    /// are compared with its settings.
    fn check_size(&self) -> Result<()> {
        let (name, units) = self.code();
        if units > MOST_UNITS {
            return Err(Error::invalid(name, format!("at most {MOST_UNITS}"), units));
        }
        if let Some(width) = self.hidden.iter().find(|&&width| width > MOST_UNITS) {
            return Err(Error::invalid("hidden", format!("at most {MOST_UNITS}"), width));
        }
        let weights: usize = self.hidden.windows(2).map(|pair| pair[0] * pair[1]).sum();
        if weights > MOST_WEIGHTS {
            let expected = format!("at most {MOST_WEIGHTS} weights between the layers");
            return Err(Error::invalid("hidden", expected, weights));
        }
        Ok(())
    }

    /// Puts all settings into a checkpoint.
    pub(crate) fn write(&self, checkpoint: &mut Checkpoint) {
        checkpoint.set("model", self.model);
        checkpoint.set("hidden", join(&self.hidden));
        checkpoint.set("latents", self.latents);
        checkpoint.set("classes", self.classes);
        checkpoint.set("batch", self.batch);
        checkpoint.set("steps", self.steps);
        checkpoint.set("seed", self.seed);
        checkpoint.set("optimizer", self.optimizer);
        checkpoint.set("learning_rate", self.learning_rate);
        checkpoint.set("beta1", self.beta1);
        checkpoint.set("beta2", self.beta2);
        checkpoint.set("momentum", self.momentum);
        checkpoint.set("weight_decay", self.weight_decay);
        checkpoint.set("tau", self.tau);
        checkpoint.set("straight_through_from", self.straight_through_from);
        checkpoint.set("clip_norm", self.clip_norm);
        checkpoint.set("validate_every", self.validate_every);
        checkpoint.set("patience", self.patience);
    }

    /// Reads back what [`write`](Self::write) put.
    pub(crate) fn read(checkpoint: &Checkpoint) -> Result<Settings> {
        let hidden = checkpoint.get::<String>("hidden")?;
        let widths = hidden.split(',').filter(|width| !width.is_empty()).map(str::parse);
        Ok(Settings {
            model: checkpoint.get("model")?,
            hidden: widths
                .collect::<std::result::Result<_, _>>()
                .map_err(|_| checkpoint.unfit("layer widths", format_args!("`{hidden}`")))?,
            latents: checkpoint.get("latents")?,
            classes: checkpoint.get("classes")?,
            batch: checkpoint.get("batch")?,
            steps: checkpoint.get("steps")?,
            seed: checkpoint.get("seed")?,
            optimizer: checkpoint.get("optimizer")?,
            learning_rate: checkpoint.get("learning_rate")?,
            beta1: checkpoint.get("beta1")?,
            beta2: checkpoint.get("beta2")?,
            momentum: checkpoint.get("momentum")?,
            weight_decay: checkpoint.get("weight_decay")?,
            tau: checkpoint.get("tau")?,
            straight_through_from: checkpoint.get("straight_through_from")?,
            clip_norm: checkpoint.get("clip_norm")?,
            validate_every: checkpoint.get("validate_every")?,
            patience: checkpoint.get("patience")?,
        })
    }
}

/// Widths as text.
fn join(widths: &[usize]) -> String {
    widths.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

fn default_learning_rate(model: ModelKind, steps: u64) -> Schedule {
    let start = match model {
        ModelKind::Vae | ModelKind::Semi => 2e-3,
        ModelKind::Sbn => 3e-3,
        ModelKind::Mlp => 1e-3,
    };
    falling(start, steps)
}

/// A learning rate that falls on a straight line to a hundredth over the last 60 % of the run.
pub(super) fn falling(start: f64, steps: u64) -> Schedule {
    Schedule::Tail { start, end: start / 100.0, from: steps * 2 / 5, to: steps.max(1) }
}

/// For the VAE it falls from 1 to 0.1 over the whole run: smooth gradients first, samples that are almost one-hot in the end.
fn default_tau(model: ModelKind, steps: u64) -> Schedule {
    let end = match model {
        ModelKind::Vae | ModelKind::Mlp => 0.1,
        ModelKind::Semi => 0.5,
        ModelKind::Sbn => return Schedule::Fixed(1.0),
    };
    Schedule::Tail { start: 1.0, end, from: 0, to: steps.max(1) }
}
