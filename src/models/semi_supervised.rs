//! A generative model of images with a class and a style, of which few classes are known.

use reparam_ops::lanes::argmax;

use crate::distributions::OneHot;
use crate::estimators::{Discrete, Estimator};
use crate::models::bound::multi_sample_bound;
use crate::nn::{Init, Linear, Mlp};
use crate::noise::Noise;
use crate::params::{ParamId, Params};
use crate::tape::Tape;
use crate::var::{Activation, Var};

/// The sizes of a [`SemiSupervised`] model.
#[derive(Clone, PartialEq, Debug)]
pub struct SemiSupervisedShape {
    /// Classes of y.
    pub classes: usize,
    /// Numbers in z.
    pub latents: usize,
    /// Widths of the ReLU layers of each of the three nets; at least one.
    pub hidden: Vec<usize>,
    /// The share of pixels that the classifier does not see of images whose class is known, drawn anew each time: with a
    /// hundred labels it would soon know them by heart.
    pub dropout: f32,
}

/// M2: p(y) p(z) p(x | y, z) with a uniform class y and a standard normal z, and q(y | x) q(z | x, y).
///
/// With L(x, y) = -E\[ln p(x | y, z)\] + KL(q(z | x, y) || p(z)) - ln p(y) the loss is `share` L(x, y) - `weight` ln q(y | x) for
/// images whose class is known, and E\[L(x, y)\] - H(q(y | x)) over q(y | x) for others: the mean over y is left to an estimator, of
/// which [`Exact`](crate::estimators::Exact) is marginalization.
///
/// # Source
/// D. Kingma, D. Rezende, S. Mohamed, M. Welling, "Semi-Supervised Learning with Deep Generative Models", NeurIPS 2014; Jang,
/// Gu, Poole 2017, section 4.3.
#[derive(Clone, Debug)]
pub struct SemiSupervised {
    shape: SemiSupervisedShape,
    /// q(y | x).
    classifier: Mlp,
    /// q(z | x, y): the first layer's share of x, which is the same for all classes, and of y; then the rest.
    encoder_x: Linear,
    encoder_y: Linear,
    encoder: Mlp,
    /// p(x | y, z).
    decoder: Mlp,
    pixel_mean: ParamId,
}

impl SemiSupervised {
    /// Declares the parameters. Inputs are centred by `pixel_mean`; the decoder's last bias starts at its logit.
    ///
    /// # Panics
    /// If there is no hidden layer.
    #[track_caller]
    pub fn new(
        shape: SemiSupervisedShape,
        pixel_mean: &[f32],
        params: &mut Params,
        noise: &mut Noise,
    ) -> SemiSupervised {
        let (&first, others) = shape.hidden.split_first().expect("at least one hidden layer");
        let (pixels, relu) = (pixel_mean.len(), Activation::Relu);
        let sizes = |first: &[usize], hidden: &[usize], last: usize| [first, hidden, &[last]].concat();
        let classifier = sizes(&[pixels], &shape.hidden, shape.classes);
        let encoder = sizes(&[first], others, 2 * shape.latents);
        let hidden: Vec<usize> = others.iter().rev().copied().chain([first]).collect();
        let decoder = sizes(&[shape.classes + shape.latents], &hidden, pixels);
        let classifier = Mlp::new(params, "classifier", &classifier, relu, noise);
        let init = Init::before(relu);
        let mut part = |name: &str, from: usize| {
            Linear::new(params, name, (from, first), Activation::Identity, init, noise)
        };
        let (encoder_x, encoder_y) = (part("encoder.x", pixels), part("encoder.y", shape.classes));
        let encoder = Mlp::new(params, "encoder", &encoder, relu, noise);
        let decoder = Mlp::new(params, "decoder", &decoder, relu, noise);
        let output = decoder.layers().last().expect("at least one layer");
        for (bias, &mean) in params.value_mut(output.bias).iter_mut().zip(pixel_mean) {
            *bias = super::base_rate_logit(mean);
        }
        let mean = params.add("pixel_mean", [pixels], pixel_mean.to_vec());
        params.freeze(mean);
        SemiSupervised { shape, classifier, encoder_x, encoder_y, encoder, decoder, pixel_mean: mean }
    }

    /// The logits of q(y | x), `[images, classes]`, for images `[images, pixels]`.
    #[track_caller]
    pub fn classify<'t>(&self, params: &Params, x: Var<'t>) -> Var<'t> {
        self.classifier.forward_centred(params, x, params.on(x.tape(), self.pixel_mean))
    }

    /// The loss of each image whose class is not known, `[images]`, in nats, with an estimator's gradient for q(y | x).
    #[track_caller]
    pub fn unlabelled_loss<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        estimator: &mut dyn Estimator,
        noise: &mut Noise,
    ) -> Var<'t> {
        let (images, classes) = (x.shape().dims()[0], self.shape.classes);
        let logits = self.classify(params, x);
        let image_part = self.image_part(params, x);
        let class = Discrete::Categorical(logits.reshape([images, 1, classes]));
        let loss = estimator.estimate(class, noise, &mut |y, noise| {
            self.loss_given(params, (x, image_part), y.reshape([images, classes]), noise)
        });
        // -H(q) - E ln p(y) is the divergence from the uniform law.
        loss + logits.categorical_kl_uniform()
    }

    /// The loss of each image whose class is known, `[images]`, in nats, with (`share`, `weight`).
    #[track_caller]
    pub fn labelled_loss<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        labels: &[u32],
        (share, weight): (f32, f32),
        noise: &mut Noise,
    ) -> Var<'t> {
        let (classes, of_image) = (self.shape.classes, x.shape().classes());
        let y = x.tape().input_with([labels.len(), classes], |y| {
            y.fill(0.0);
            for (row, &label) in y.chunks_exact_mut(classes).zip(labels) {
                row[label as usize] = 1.0;
            }
        });
        let log_prior = -(classes as f32).ln();
        let given = self.loss_given(params, (x, self.image_part(params, x)), y, noise) - log_prior;
        let seen = x * x.tape().input_with(x.shape(), |kept| {
            for (kept, draw) in kept.iter_mut().zip(noise.draws(labels.len() * of_image)) {
                *kept = f32::from(reparam_ops::draw::uniform(draw) >= self.shape.dropout);
            }
        });
        given * share + self.classify(params, seen).cross_entropy(labels) * weight
    }

    /// What the encoder's first layer makes of the image.
    fn image_part<'t>(&self, params: &Params, x: Var<'t>) -> Var<'t> {
        self.encoder_x.forward_centred(params, x, params.on(x.tape(), self.pixel_mean))
    }

    /// Mean and log standard deviation of q(z | x, y).
    fn encode<'t>(&self, params: &Params, image_part: Var<'t>, y: Var<'t>) -> (Var<'t>, Var<'t>) {
        let latents = self.shape.latents;
        let hidden = (image_part + self.encoder_y.forward(params, y)).relu();
        let both = self.encoder.forward(params, hidden);
        (both.slice(1, 0..latents), both.slice(1, latents..2 * latents))
    }

    /// -ln p(x | y, z) of each image.
    fn reconstruction<'t>(&self, params: &Params, x: Var<'t>, y: Var<'t>, z: Var<'t>) -> Var<'t> {
        self.decoder.forward(params, Var::concat(&[y, z], 1)).bce_with_logits(x).sum_axis(1)
    }

    /// L(x, y) + ln p(y) of each image for classes y, hard or relaxed, `[images, classes]`.
    fn loss_given<'t>(
        &self,
        params: &Params,
        (x, image_part): (Var<'t>, Var<'t>),
        y: Var<'t>,
        noise: &mut Noise,
    ) -> Var<'t> {
        let (mean, log_std) = self.encode(params, image_part, y);
        let z = mean.gaussian_rsample(log_std, noise);
        self.reconstruction(params, x, y, z) + mean.gaussian_kl_standard(log_std).sum_axis(1)
    }

    /// The number of images whose most probable class is their label.
    #[track_caller]
    pub fn right_answers(&self, params: &Params, pixels: &[f32], labels: &[u32]) -> usize {
        let tape = Tape::inference();
        let x = tape.input(pixels, [labels.len(), pixels.len() / labels.len().max(1)]);
        let logits = self.classify(params, x);
        let rows = logits.value();
        let right = |(row, label): &(&[f32], &u32)| argmax(row) == **label as usize;
        rows.chunks_exact(self.shape.classes).zip(labels).filter(right).count()
    }

    /// The bound on -ln p(x) of each image from `samples` samples of (y, z), in nats; of one sample it is -ELBO in
    /// expectation. `pixels` holds whole images.
    #[track_caller]
    pub fn evaluate(&self, params: &Params, pixels: &[f32], samples: usize, noise: &mut Noise) -> Vec<f64> {
        let of_image = params.shape(self.pixel_mean).len();
        let images = pixels.len() / of_image;
        let mut tape = Tape::inference();
        multi_sample_bound(images, samples, |_, out| {
            {
                let x = tape.input(pixels, [images, of_image]);
                let class = OneHot::new(self.classify(params, x));
                let y = class.sample(&mut *noise);
                let (mean, log_std) = self.encode(params, self.image_part(params, x), y);
                let z = mean.gaussian_rsample(log_std, &mut *noise);
                // ln p(z) - ln q(z | x, y): the constants are the same.
                let residual = (z - mean) / log_std.exp();
                let log_ratio = ((residual.square() - z.square()) * 0.5 + log_std).sum_axis(1);
                let log_p_y = -(self.shape.classes as f32).ln();
                let log_weights =
                    log_ratio - self.reconstruction(params, x, y, z) - class.log_prob(y) + log_p_y;
                out.iter_mut().zip(&log_weights.value()[..]).for_each(|(out, &w)| *out = f64::from(w));
            }
            tape.reset();
        })
    }
}
