//! Structured output prediction: a net with layers of discrete variables between input and output.

use crate::estimators::{Estimator, Kind};
use crate::models::bound::bound_on;
use crate::models::nodes::{Nodes, repeated};
use crate::models::{check_estimators, frozen_mean, start_at_base_rates};
use crate::nn::{Init, Linear};
use crate::noise::Noise;
use crate::params::{ParamId, Params};
use crate::tape::Tape;
use crate::var::{Activation, Var};

/// p(y | x) through layers of discrete variables h, each given the one before by a linear map of its values: a sigmoid
/// belief net from x to y. 392-200-200-392 of Jang, Gu and Poole has two layers of 200 bits.
#[derive(Clone, Debug)]
pub struct Prediction {
    layers: Vec<Kind>,
    /// One more than layers: the last one gives the logits of y.
    maps: Vec<Linear>,
    input_mean: ParamId,
    inputs: usize,
}

impl Prediction {
    /// Declares the parameters. Inputs are centred by `input_mean`; the last bias starts at the logits of `output_mean`.
    pub fn new(
        layers: &[Kind],
        input_mean: &[f32],
        output_mean: &[f32],
        params: &mut Params,
        noise: &mut Noise,
    ) -> Prediction {
        let mut widths = vec![input_mean.len()];
        widths.extend(layers.iter().map(|layer| layer.elements()));
        widths.push(output_mean.len());
        let maps: Vec<Linear> = widths
            .windows(2)
            .enumerate()
            .map(|(i, width)| {
                let size = (width[0], width[1]);
                let identity = Activation::Identity;
                Linear::new(params, &format!("layer.{i}"), size, identity, Init::before(identity), noise)
            })
            .collect();
        let last = maps.last().expect("at least one map");
        start_at_base_rates(params, last, output_mean);
        let (inputs, input_mean) = (input_mean.len(), frozen_mean(params, "input_mean", input_mean));
        Prediction { layers: layers.to_vec(), maps, input_mean, inputs }
    }

    /// -ln p(y | h) of each row, in nats, h sampled from p(h | x), with an estimator's gradient for each layer, the first
    /// layer's first.
    ///
    /// # Panics
    /// If there are not as many estimators as layers, or one is of a bound of several samples, which is
    /// [`bound`](Self::bound).
    #[track_caller]
    pub fn loss<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        y: Var<'t>,
        estimators: &mut [Box<dyn Estimator>],
        noise: &mut Noise,
    ) -> Var<'t> {
        check_estimators("Prediction", self.layers.len(), estimators);
        self.behind(0, params, self.first_logits(params, x), y, estimators, noise)
    }

    /// The logits of the first layer.
    #[track_caller]
    fn first_logits<'t>(&self, params: &Params, x: Var<'t>) -> Var<'t> {
        self.maps[0].forward_centred(params, x, params.on(x.tape(), self.input_mean))
    }

    /// -ln(1/m sum_k p(y | h_k)) of each row, in nats, over `samples` samples h of p(h | x), with its gradient: pathwise for
    /// relaxed nodes, VIMCO's for hard ones, which take two samples or more.
    ///
    /// # Panics
    /// If a layer is not of bits.
    ///
    /// # Source
    /// Maddison, Mnih, Teh 2017, section 5.3.
    #[track_caller]
    pub fn bound<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        y: Var<'t>,
        nodes: Nodes,
        samples: usize,
        noise: &mut Noise,
    ) -> Var<'t> {
        assert!(
            self.layers.iter().all(|layer| layer.classes.is_none()),
            "Prediction::bound: all layers must be of bits"
        );
        let rows = x.shape().dims()[0];
        let mut logits = repeated(self.first_logits(params, x), samples);
        let mut drawn = Vec::with_capacity(self.layers.len());
        for map in &self.maps[1..] {
            let node = nodes.sample(logits, noise);
            drawn.push((logits, node));
            logits = map.forward(params, nodes.value(node));
        }
        let log_weights = -logits.bce_with_logits(repeated(y, samples)).sum_axis(1);
        nodes.bound(log_weights.reshape([rows, samples]), || {
            let log_probs = drawn.into_iter().map(|(logits, node)| nodes.log_posterior(logits, node));
            log_probs.reduce(|sum, next| sum + next).expect("at least one layer").reshape([rows, samples])
        })
    }

    /// The loss given the logits of layer `layer`, or of y behind the last.
    fn behind<'t>(
        &self,
        layer: usize,
        params: &Params,
        logits: Var<'t>,
        y: Var<'t>,
        estimators: &mut [Box<dyn Estimator>],
        noise: &mut Noise,
    ) -> Var<'t> {
        let Some((first, others)) = estimators.split_first_mut() else {
            return logits.bce_with_logits(y).sum_axis(1);
        };
        let kind = self.layers[layer];
        first.estimate(kind.with_logits(logits), noise, &mut |h, noise| {
            let h = h.reshape([logits.shape().dims()[0], kind.elements()]);
            let logits = self.maps[layer + 1].forward(params, h);
            self.behind(layer + 1, params, logits, y, others, noise)
        })
    }

    /// Rows of x and the means of y given x and one hard sample of h. `rows` holds whole rows of x and y, of which y is not
    /// looked at: images whose lower half is to be drawn.
    #[track_caller]
    pub fn complete(&self, params: &Params, rows: &[f32], noise: &mut Noise) -> Vec<f32> {
        let tape = Tape::inference();
        let (x, _) = self.parts(params, &tape, rows);
        let first = self.first_logits(params, x);
        let y = self.behind_samples(params, first, noise).sigmoid();
        Var::concat(&[x, y], 1).to_vec()
    }

    /// Numbers of y.
    fn outputs(&self, params: &Params) -> usize {
        let last = self.maps.last().expect("at least one map");
        params.shape(last.bias).len()
    }

    /// x and y of whole rows.
    fn parts<'t>(&self, params: &Params, tape: &'t Tape, rows: &[f32]) -> (Var<'t>, Var<'t>) {
        let width = self.inputs + self.outputs(params);
        let rows = tape.input(rows, [rows.len() / width, width]);
        (rows.slice(1, 0..self.inputs), rows.slice(1, self.inputs..width))
    }

    /// The logits of y given those of the first layer, through hard samples.
    fn behind_samples<'t>(&self, params: &Params, first: Var<'t>, noise: &mut Noise) -> Var<'t> {
        let rows = first.shape().dims()[0];
        self.layers.iter().zip(&self.maps[1..]).fold(first, |logits, (kind, map)| {
            let h = kind.with_logits(logits).sample(noise).reshape([rows, kind.elements()]);
            map.forward(params, h)
        })
    }

    /// The bound on -ln p(y | x) of each row from `samples` hard samples of h, in nats. `rows` holds whole rows of x and y.
    ///
    /// # Panics
    /// If `samples` is 0 or `rows` is not whole rows.
    #[track_caller]
    pub fn evaluate(&self, params: &Params, rows: &[f32], samples: usize, noise: &mut Noise) -> Vec<f64> {
        let mut tape = Tape::inference();
        let (rows, first, y) = {
            let (x, y) = self.parts(params, &tape, rows);
            (x.shape().dims()[0], self.first_logits(params, x).to_vec(), y.to_vec())
        };
        tape.reset();
        bound_on(&mut tape, rows, samples, |tape| {
            let first = tape.input(&first, [rows, self.layers[0].elements()]);
            let logits = self.behind_samples(params, first, noise);
            -logits.bce_with_logits(tape.input(&y, [rows, self.outputs(params)])).sum_axis(1)
        })
    }
}
