//! NVIL: the score function with a learned baseline and a normalised learning signal.

use super::learned::{Learned, check_elements, declare_network, network};
use super::score_function::MovingAverage;
use super::{Discrete, Estimator, Kind, Loss, accept, evaluate, with_score};
use crate::checkpoint::Checkpoint;
use crate::noise::Noise;
use crate::params::Params;
use crate::var::Var;

/// (f(z) - C(p) - c) / max(1, v) times d ln p(z): c is a moving average of what C leaves, v^2 its moving variance, and C a
/// network of one hidden layer of tanh units. C sees the probabilities p, which are what the input of the model has
/// become, so that a baseline for layer after layer needs nothing else; it is trained here, on the squared residual.
///
/// The division by v makes the estimate another multiple of the gradient than 1, so it is biased: [`Nvil::new`] leaves
/// it out, [`Nvil::normalised`] has it.
///
/// # Source
/// A. Mnih, K. Gregor, "Neural Variational Inference and Learning in Belief Networks", ICML 2014, sections 2.3 to 2.5.
#[derive(Debug)]
pub struct Nvil {
    normalise: bool,
    frozen: bool,
    average: MovingAverage,
    variance: MovingAverage,
    /// Made when the size of a row is known.
    network: Option<Network>,
}

#[derive(Debug)]
struct Network {
    elements: usize,
    learned: Learned,
}

/// Hidden units of the baseline's network.
const HIDDEN: usize = 100;
const LEARNING_RATE: f64 = 1e-3;
/// The decay of both moving averages.
const DECAY: f64 = 0.9;

impl Nvil {
    /// Without variance normalisation: unbiased.
    pub fn new() -> Nvil {
        let average = MovingAverage::new(DECAY);
        Nvil { normalise: false, frozen: false, variance: average.clone(), average, network: None }
    }

    /// With variance normalisation, as in the paper: biased in scale.
    pub fn normalised() -> Nvil {
        Nvil { normalise: true, ..Nvil::new() }
    }
}

impl Default for Nvil {
    fn default() -> Nvil {
        Nvil::new()
    }
}

impl Network {
    fn new(kind: Kind) -> Network {
        let mut params = Params::new();
        declare_network(&mut params, kind.elements(), HIDDEN);
        Network { elements: kind.elements(), learned: Learned::new(params, LEARNING_RATE) }
    }
}

impl Estimator for Nvil {
    fn name(&self) -> String {
        if self.normalise { "nvil-normalised" } else { "nvil" }.to_owned()
    }

    fn is_unbiased(&self) -> bool {
        !self.normalise
    }

    fn estimate<'t>(&mut self, variable: Discrete<'t>, noise: &mut Noise, loss: Loss<'_, 't>) -> Var<'t> {
        accept(self, variable);
        let (logits, kind) = (variable.logits(), variable.kind());
        let z = variable.sample(noise);
        let f = evaluate(loss, z, noise);

        let made = self.network.get_or_insert_with(|| Network::new(kind));
        check_elements("nvil", made.elements, kind.elements());
        let copies = made.learned.on(logits.tape());
        let left = f.stop_gradient() - network(&copies, variable.probs().stop_gradient());
        let average = self.average.next(&left.value());
        let residual = left - average;
        let squares: Vec<f32> = residual.value().iter().map(|r| r * r).collect();
        let deviation = self.variance.next(&squares).sqrt();
        if !self.frozen && logits.tape().is_recording() {
            made.learned.step(&copies, &residual.square().mean().backward());
        }
        let scale = if self.normalise { deviation.max(1.0) } else { 1.0 };
        with_score(f, residual / scale, variable.log_prob(z))
    }

    fn adapts(&self) -> bool {
        true
    }

    fn freeze(&mut self) {
        self.frozen = true;
        self.average.freeze();
        self.variance.freeze();
    }

    fn save(&self, prefix: &str, checkpoint: &mut Checkpoint) {
        self.average.save(&format!("{prefix}average"), checkpoint);
        self.variance.save(&format!("{prefix}variance"), checkpoint);
        if let Some(network) = &self.network {
            network.learned.save(prefix, checkpoint);
        }
    }

    fn restore(&mut self, prefix: &str, kind: Kind, checkpoint: &Checkpoint) -> Result<(), String> {
        self.average.restore(&format!("{prefix}average"), checkpoint)?;
        self.variance.restore(&format!("{prefix}variance"), checkpoint)?;
        if checkpoint.text(&format!("{prefix}steps")).is_none() {
            return Ok(());
        }
        self.network.insert(Network::new(kind)).learned.restore(prefix, checkpoint)
    }
}
