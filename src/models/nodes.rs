//! The bits of a net as its bounds draw them: hard, or relaxed in logit space.

use crate::distributions::{Bernoulli, LogitRelaxedBernoulli};
use crate::noise::Noise;
use crate::var::Var;

/// What stands for the bits of a layer. Training on relaxed ones is the pathwise gradient of a bound of its own, the one of
/// the relaxed model; hard ones are the model itself.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Nodes {
    /// 0 or 1.
    Hard,
    /// The logit of a relaxed bit, (logits + l) / tau with logistic noise l. Posterior and prior have a temperature each.
    ///
    /// # Source
    /// Maddison, Mnih, Teh 2017, equation 20 and appendix C.3.1.
    Relaxed {
        /// Temperature of what is sampled: q(z | x), or the layers of a prediction.
        posterior: f32,
        /// Temperature of the model's own layers.
        prior: f32,
    },
}

impl Nodes {
    /// A sample of each node, of the logits' shape.
    pub(super) fn sample<'t>(self, logits: Var<'t>, noise: &mut Noise) -> Var<'t> {
        match self {
            Nodes::Hard => Bernoulli::new(logits).sample(noise),
            Nodes::Relaxed { posterior, .. } => LogitRelaxedBernoulli::new(logits, posterior).rsample(noise),
        }
    }

    /// What the next layer sees of a node, in \[0, 1\].
    pub(super) fn value<'t>(self, node: Var<'t>) -> Var<'t> {
        match self {
            Nodes::Hard => node,
            Nodes::Relaxed { .. } => node.sigmoid(),
        }
    }

    /// ln q of the nodes of each row, in nats, `[rows]`.
    pub(super) fn log_posterior<'t>(self, logits: Var<'t>, node: Var<'t>) -> Var<'t> {
        match self {
            Nodes::Hard => Bernoulli::new(logits).log_prob(node),
            Nodes::Relaxed { posterior, .. } => LogitRelaxedBernoulli::new(logits, posterior).log_prob(node),
        }
        .sum_axis(1)
    }

    /// ln p of the nodes of each row, in nats, `[rows]`.
    pub(super) fn log_prior<'t>(self, logits: Var<'t>, node: Var<'t>) -> Var<'t> {
        match self {
            Nodes::Hard => Bernoulli::new(logits).log_prob(node),
            Nodes::Relaxed { prior, .. } => LogitRelaxedBernoulli::new(logits, prior).log_prob(node),
        }
        .sum_axis(1)
    }

    /// -ln(1/m sum_k w_k) of each row `[rows]` with its gradient, from m log-weights a row `[rows, m]` and the
    /// log-probabilities of the samples behind them, which only hard ones need: pathwise for relaxed nodes, VIMCO's for hard
    /// ones.
    pub(super) fn bound<'t>(self, log_weights: Var<'t>, log_probs: impl FnOnce() -> Var<'t>) -> Var<'t> {
        match self {
            Nodes::Hard => crate::estimators::Vimco::bound(log_weights, log_probs()),
            Nodes::Relaxed { .. } => (log_weights.shape().classes() as f32).ln() - log_weights.logsumexp(),
        }
    }
}

/// Each row `m` times, one after another: `[rows, width]` to `[rows x m, width]`.
pub(super) fn repeated(x: Var<'_>, m: usize) -> Var<'_> {
    if m == 1 {
        return x;
    }
    let (rows, width) = (x.shape().dims()[0], x.shape().classes());
    x.reshape([rows, 1, width]).broadcast_to([rows, m, width]).reshape([rows * m, width])
}
