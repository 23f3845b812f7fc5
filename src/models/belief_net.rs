//! A sigmoid belief net: layers of bits above the pixels, with a learned prior and an inference net.

use crate::distributions::Bernoulli;
use crate::estimators::{Discrete, Estimator};
use crate::models::bound::bound_on;
use crate::models::nodes::{Nodes, repeated};
use crate::models::{check_estimators, frozen_mean, start_at_base_rates};
use crate::nn::Mlp;
use crate::noise::Noise;
use crate::params::{ParamId, Params};
use crate::tape::Tape;
use crate::var::{Activation, Var};

/// How a layer depends on the one before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// By a linear map, "-" in the paper.
    Linear,
    /// Through two tanh layers of the stochastic layer's size, "~" in the paper.
    Nonlinear,
}

/// The sizes of a belief net.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BeliefNetShape {
    /// Bits of each layer, the one next to the pixels first: two of 200 are the paper's (200H-200H-784V).
    pub layers: Vec<usize>,
    /// Between all layers, in both directions.
    pub link: Link,
}

/// p(x, h) = p(h_L) .. p(h_1 | h_2) p(x | h_1) over pixels x and layers of bits h, and q(h | x) the other way round. Layers
/// see bits as -1 and 1. The tanh layers of q(h_1 | x) are as wide as h_1: the paper does not give their size.
///
/// # Source
/// Maddison, Mnih, Teh 2017, section 5.
#[derive(Clone, Debug)]
pub struct BeliefNet {
    /// Logits of the top layer.
    prior: ParamId,
    /// From h_1 to the pixels, from h_2 to h_1, ..
    generative: Vec<Mlp>,
    /// From the pixels to h_1, from h_1 to h_2, ..
    inference: Vec<Mlp>,
    pixel_mean: ParamId,
}

impl BeliefNet {
    /// Declares the parameters: biases 0, but the pixels' at the logits of `pixel_mean`, by which inputs are centred.
    #[track_caller]
    pub fn new(
        shape: &BeliefNetShape,
        pixel_mean: &[f32],
        params: &mut Params,
        noise: &mut Noise,
    ) -> BeliefNet {
        let mut below = vec![pixel_mean.len()];
        below.extend(&shape.layers);
        let sizes = |from: usize, to: usize, hidden: usize| match shape.link {
            Link::Linear => vec![from, to],
            Link::Nonlinear => vec![from, hidden, hidden, to],
        };
        let (mut generative, mut inference) = (Vec::new(), Vec::new());
        for (i, pair) in below.windows(2).enumerate() {
            let &[low, high] = pair else { unreachable!("windows of two") };
            let mut net = |name: &str, sizes: &[usize]| {
                Mlp::new(params, &format!("{name}.{i}"), sizes, Activation::Tanh, noise)
            };
            inference.push(net("inference", &sizes(low, high, high)));
            generative.push(net("generative", &sizes(high, low, high)));
        }
        let output = generative[0].layers().last().expect("at least one layer");
        start_at_base_rates(params, output, pixel_mean);
        let top = *shape.layers.last().expect("at least one layer");
        let prior = params.add("prior", [top], vec![0.0; top]);
        let pixel_mean = frozen_mean(params, "pixel_mean", pixel_mean);
        BeliefNet { prior, generative, inference, pixel_mean }
    }

    /// -ln(1/m sum_k p(x, h_k) / q(h_k | x)) of each image of a batch `[images, pixels]`, in nats, with its gradient: of the
    /// relaxed model's bound, or VIMCO's for hard nodes, which take two samples or more.
    #[track_caller]
    pub fn bound<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        nodes: Nodes,
        samples: usize,
        noise: &mut Noise,
    ) -> Var<'t> {
        let logits = self.first_logits(params, x);
        let (log_weights, log_q) = self.log_weights(params, x, logits, nodes, samples, noise);
        nodes.bound(log_weights, || log_q)
    }

    /// -ELBO of each image from one hard sample, in nats, with an estimator's gradient for each layer, the one next to the
    /// pixels first. ln q(h | x) counts as a part of the loss, but not as a function of the logits: the mean of that gradient
    /// is 0 for hard samples.
    ///
    /// # Panics
    /// If there are not as many estimators as layers, or one is of a bound of several samples, which is
    /// [`bound`](Self::bound).
    #[track_caller]
    pub fn loss<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        estimators: &mut [Box<dyn Estimator>],
        noise: &mut Noise,
    ) -> Var<'t> {
        check_estimators("BeliefNet", self.inference.len(), estimators);
        self.behind(0, params, self.first_logits(params, x), x, estimators, noise)
    }

    /// The part of the loss that layer `layer`, with these logits, has a share in; `below` is the layer under it.
    fn behind<'t>(
        &self,
        layer: usize,
        params: &Params,
        logits: Var<'t>,
        below: Var<'t>,
        estimators: &mut [Box<dyn Estimator>],
        noise: &mut Noise,
    ) -> Var<'t> {
        let (first, others) = estimators.split_first_mut().expect("an estimator per layer");
        first.estimate(Discrete::Bernoulli(logits), noise, &mut |h, noise| {
            let value = signs(h);
            let log_q = Bernoulli::new(logits.stop_gradient()).log_prob(h).sum_axis(1);
            let below_logits = self.generative[layer].forward(params, value);
            let cost = log_q - Bernoulli::new(below_logits).log_prob(below).sum_axis(1);
            match self.inference.get(layer + 1) {
                None => cost - Nodes::Hard.log_prior(self.prior_logits(params, h), h),
                Some(net) => {
                    cost + self.behind(layer + 1, params, net.forward(params, value), h, others, noise)
                }
            }
        })
    }

    /// The bound on -ln p(x) of each image from `samples` hard samples of h, in nats. `pixels` holds whole images.
    ///
    /// # Panics
    /// If `samples` is 0 or `pixels` is not whole images.
    #[track_caller]
    pub fn evaluate(&self, params: &Params, pixels: &[f32], samples: usize, noise: &mut Noise) -> Vec<f64> {
        let (of_image, bits) = (params.shape(self.pixel_mean).len(), self.first_bits(params));
        let images = pixels.len() / of_image;
        let mut tape = Tape::inference();
        let first = self.first_logits(params, tape.input(pixels, [images, of_image])).to_vec();
        tape.reset();
        bound_on(&mut tape, images, samples, |tape| {
            let x = tape.input(pixels, [images, of_image]);
            let logits = tape.input(&first, [images, bits]);
            self.log_weights(params, x, logits, Nodes::Hard, 1, noise).0
        })
    }

    /// The pixels' probabilities for `images` draws of h from the prior.
    pub fn generate(&self, params: &Params, images: usize, noise: &mut Noise) -> Vec<f32> {
        let tape = Tape::inference();
        let top = params.shape(self.prior).len();
        let mut logits = params.on(&tape, self.prior).broadcast_to([images, top]);
        for net in self.generative.iter().rev() {
            logits = net.forward(params, signs(Bernoulli::new(logits).sample(noise)));
        }
        logits.sigmoid().to_vec()
    }

    fn first_bits(&self, params: &Params) -> usize {
        let last = self.inference[0].layers().last().expect("at least one layer");
        params.shape(last.bias).len()
    }

    /// The logits of q(h_1 | x).
    #[track_caller]
    fn first_logits<'t>(&self, params: &Params, x: Var<'t>) -> Var<'t> {
        self.inference[0].forward_centred(params, x, params.on(x.tape(), self.pixel_mean))
    }

    /// The top layer's prior for each row of its nodes.
    fn prior_logits<'t>(&self, params: &Params, top: Var<'t>) -> Var<'t> {
        params.on(top.tape(), self.prior).broadcast_to(top.shape())
    }

    /// ln p(x, h) - ln q(h | x) and ln q(h | x) of `samples` samples of h an image, `[images, samples]`, given the logits of
    /// q(h_1 | x).
    fn log_weights<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        logits: Var<'t>,
        nodes: Nodes,
        samples: usize,
        noise: &mut Noise,
    ) -> (Var<'t>, Var<'t>) {
        let images = x.shape().dims()[0];
        let mut logits = repeated(logits, samples);
        // What is under the layer at hand.
        let (mut below, mut log_p, mut log_q) = (None, None, None);
        let add = |sum: &mut Option<Var<'t>>, term| *sum = Some(sum.map_or(term, |sum| sum + term));
        for (layer, generative) in self.generative.iter().enumerate() {
            let node = nodes.sample(logits, noise);
            let value = signs(nodes.value(node));
            add(&mut log_q, nodes.log_posterior(logits, node));
            let below_logits = generative.forward(params, value);
            add(
                &mut log_p,
                match below {
                    None => Nodes::Hard.log_prior(below_logits, repeated(x, samples)),
                    Some(below) => nodes.log_prior(below_logits, below),
                },
            );
            match self.inference.get(layer + 1) {
                Some(net) => logits = net.forward(params, value),
                None => add(&mut log_p, nodes.log_prior(self.prior_logits(params, node), node)),
            }
            below = Some(node);
        }
        let (log_p, log_q) = (log_p.expect("at least one layer"), log_q.expect("at least one layer"));
        ((log_p - log_q).reshape([images, samples]), log_q.reshape([images, samples]))
    }
}

/// Bits, hard or relaxed, as -1 and 1.
fn signs(bits: Var<'_>) -> Var<'_> {
    bits.affine(2.0, -1.0)
}
