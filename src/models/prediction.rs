//! Structured output prediction: a net with layers of discrete variables between input and output.

use super::bound::bound_on;
use super::shape::ModelShape;
use super::{
    Batch, Examples, HardBound, Model, check_estimators, check_layers, check_means, check_rows, check_sizes,
    declare_mean, start_at_base_rates, whole_images, without_masks,
};
use crate::checkpoint::Checkpoint;
use crate::estimators::{Estimator, Sample, Step, estimate_layers, loss_of_samples};
use crate::nn::{Init, Linear};
use crate::noise::Noise;
use crate::params::{ParamId, Params};
use crate::tape::Tape;
use crate::var::{Activation, Var};
use crate::variables::{Logits, Variables};

/// A sigmoid belief net p(y | x) through layers of discrete variables h, each conditioned on a linear map of
/// the one before. The net 392-200-200-392 of Jang, Gu and Poole has two layers of 200 bits.
#[derive(Clone, Debug)]
pub struct Prediction {
    layers: Vec<Variables>,
    /// One more than layers. The last one gives the logits of y.
    maps: Vec<Linear>,
    input_mean: ParamId,
    inputs: usize,
}

impl Prediction {
    /// Declares and initialises the parameters. Inputs are centred by `input_mean`; the last bias starts at
    /// the logits of `output_mean`.
    ///
    /// # Panics
    /// See [`declare`](Self::declare) and [`init`](Self::init).
    #[track_caller]
    pub fn new(
        layers: &[Variables],
        input_mean: &[f32],
        output_mean: &[f32],
        params: &mut Params,
        noise: &mut Noise,
    ) -> Prediction {
        let net = Prediction::declare(layers, input_mean.len(), output_mean.len(), params);
        net.init(params, input_mean, output_mean, noise);
        net
    }

    /// Declares the parameters, all 0.
    ///
    /// # Panics
    /// If there are no layers, a layer has no variables or variables with fewer than two values, a size is 0,
    /// or a parameter name is taken.
    #[track_caller]
    pub fn declare(layers: &[Variables], inputs: usize, outputs: usize, params: &mut Params) -> Prediction {
        check_layers("Prediction", layers);
        check_sizes("Prediction", &[("inputs", &[inputs]), ("outputs", &[outputs])]);
        let mut maps = Vec::new();
        for (i, width) in Prediction::widths(layers, inputs, outputs).windows(2).enumerate() {
            let size = (width[0], width[1]);
            maps.push(Linear::declare(params, &format!("layer.{i}"), size, Activation::Identity));
        }
        Prediction {
            layers: layers.to_vec(),
            maps,
            input_mean: declare_mean(params, "input_mean", inputs),
            inputs,
        }
    }

    /// The widths of all layers from x to y.
    pub(super) fn widths(layers: &[Variables], inputs: usize, outputs: usize) -> Vec<usize> {
        let inner: Vec<usize> = layers.iter().map(|layer| layer.elements()).collect();
        super::sizes(inputs, &inner, outputs)
    }

    /// Initialises the parameters.
    ///
    /// # Panics
    /// If the means do not have one entry from 0 to 1 per input and per output.
    #[track_caller]
    pub fn init(&self, params: &mut Params, input_mean: &[f32], output_mean: &[f32], noise: &mut Noise) {
        check_means("Prediction", input_mean, self.inputs);
        check_means("Prediction", output_mean, self.last().outputs(params));
        for map in &self.maps {
            map.init(params, Init::before(Activation::Identity), noise);
        }
        start_at_base_rates(params, self.last(), output_mean);
        params.value_mut(self.input_mean).copy_from_slice(input_mean);
    }

    fn last(&self) -> &Linear {
        self.maps.last().expect("at least one map")
    }

    /// -ln p(y | h) of each row, in nats, with h sampled from p(h | x) and the gradient of one estimator per
    /// layer, the first layer's first. Estimators of a K-sample bound give -ln(1/K sum_k p(y | h_k)).
    ///
    /// # Panics
    /// If the number of estimators is not the number of layers, if one does not support its layer's
    /// variables, or if the rows have other sizes.
    ///
    /// # Source
    /// Several samples: Maddison, Mnih, Teh 2017, section 5.3.
    #[track_caller]
    pub fn negative_bound<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        y: Var<'t>,
        estimators: &mut [Box<dyn Estimator>],
        noise: &mut Noise,
    ) -> Var<'t> {
        check_estimators("Prediction", self.layers.len(), estimators);
        check_rows("Prediction", "x", x, self.inputs);
        check_rows("Prediction", "y", y, self.last().outputs(params));
        let (rows, found) = (x.shape().dims()[0], y.shape().dims()[0]);
        assert!(rows == found, "Prediction: x has {rows} rows and y {found}; they must have the same number");
        let first = self.layers[0].logits(self.first_logits(params, x));
        estimate_layers(estimators, first, noise, |layer, _, h, _| self.step(params, y, layer, h))
    }

    /// The logits of the first layer.
    #[track_caller]
    fn first_logits<'t>(&self, params: &Params, x: Var<'t>) -> Var<'t> {
        let logits = self.maps[0].forward_centred(params, x, params.on(x.tape(), self.input_mean));
        without_masks(logits, self.layers[0])
    }

    /// The step after the sample of a layer: the next layer, or -ln p(y | h).
    fn step<'t>(&self, params: &Params, y: Var<'t>, layer: usize, h: &Sample<'t>) -> Step<'t> {
        let logits = self.logits_after(params, layer, h.value());
        match self.layers.get(layer + 1) {
            Some(next) => Step::Next(None, next.logits(logits)),
            None => Step::Last(logits.bce_with_logits(h.repeat(y)).sum_axis(1)),
        }
    }

    /// The logits after the values `h` of a layer, `[rows, width]`.
    fn logits_after<'t>(&self, params: &Params, layer: usize, h: Var<'t>) -> Var<'t> {
        let rows = h.shape().dims()[0];
        let logits = self.maps[layer + 1].forward(params, h.reshape([rows, self.layers[layer].elements()]));
        self.layers.get(layer + 1).map_or(logits, |&next| without_masks(logits, next))
    }

    /// Rows of x and the means of y given x and one hard sample of h. `rows` holds whole rows of x and y,
    /// such as images with a lower half to predict. y is ignored.
    ///
    /// # Panics
    /// If `rows` does not hold whole rows.
    #[track_caller]
    pub fn complete(&self, params: &Params, rows: &[f32], noise: &mut Noise) -> Vec<f32> {
        let tape = Tape::inference();
        let (x, _) = self.parts(params, &tape, rows);
        let mut logits = self.first_logits(params, x);
        for (layer, variables) in self.layers.iter().enumerate() {
            logits = self.logits_after(params, layer, variables.logits(logits).sample(noise));
        }
        Var::concat(&[x, logits.sigmoid()], 1).to_vec()
    }

    /// Splits whole rows into x and y.
    #[track_caller]
    fn parts<'t>(&self, params: &Params, tape: &'t Tape, rows: &[f32]) -> (Var<'t>, Var<'t>) {
        let width = self.inputs + self.last().outputs(params);
        let rows = tape.input(rows, [whole_images("Prediction", rows, width), width]);
        (rows.slice(1, 0..self.inputs), rows.slice(1, self.inputs..width))
    }

    /// The bound on -ln p(y | x) of each row from `samples` hard samples of h, in nats. `rows` holds whole
    /// rows of x and y.
    ///
    /// # Panics
    /// If `samples` is 0 or `rows` is not whole rows.
    #[track_caller]
    pub fn evaluate(
        &self,
        params: &Params,
        rows: &[f32],
        samples: usize,
        noise: &mut Noise,
    ) -> Vec<HardBound> {
        let mut tape = Tape::inference();
        let (rows, first, y) = {
            let (x, y) = self.parts(params, &tape, rows);
            (x.shape().dims()[0], self.first_logits(params, x).to_vec(), y.to_vec())
        };
        tape.reset();
        bound_on(&mut tape, rows, samples, |tape| {
            let first: Logits<'_> =
                self.layers[0].logits(tape.input(&first, [rows, self.layers[0].elements()]));
            let y = tape.input(&y, [rows, self.last().outputs(params)]);
            loss_of_samples(first, noise, |layer, _, h, _| self.step(params, y, layer, h))
        })
    }
}

/// Predicts the lower half of an image from its upper half.
impl Model for Prediction {
    fn layers(&self) -> Vec<Variables> {
        self.layers.clone()
    }

    #[track_caller]
    fn loss<'t>(&self, batch: &mut Batch<'_, 't>) -> Var<'t> {
        let (images, pixels) = (batch.binary_pixels(), batch.split.pixels());
        let (x, y) = (images.slice(1, 0..self.inputs), images.slice(1, self.inputs..pixels));
        self.negative_bound(batch.params, x, y, batch.estimators, batch.noise)
    }

    #[track_caller]
    fn bounds(
        &self,
        params: &Params,
        images: Examples<'_>,
        samples: usize,
        noise: &mut Noise,
    ) -> Vec<HardBound> {
        self.evaluate(params, images.pixels, samples, noise)
    }

    #[track_caller]
    fn draw(&self, params: &Params, given: &[f32], count: usize, noise: &mut Noise) -> Vec<f32> {
        let width = self.inputs + self.last().outputs(params);
        let rows: Vec<f32> = given.chunks_exact(width).cycle().take(count).flatten().copied().collect();
        self.complete(params, &rows, noise)
    }

    fn describe(&self, checkpoint: &mut Checkpoint) {
        ModelShape::Prediction { layers: self.layers.clone() }.write(checkpoint);
    }
}
