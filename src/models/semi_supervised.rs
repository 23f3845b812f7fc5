//! A generative model of images with a class and a style, of which few classes are known.

use crate::distributions::OneHot;
use crate::estimators::{Discrete, Estimator};
use crate::models::adversary::adversary;
use crate::models::bound::bound_on;
use crate::models::{check_objective, frozen_mean, right_answers, start_at_base_rates};
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
    /// By how many pixels, up or down and left or right, images whose class is known are moved for the classifier at most,
    /// drawn anew each time: it would soon know a hundred of them by heart.
    pub shift: usize,
}

/// What leads q(y | x) beside the bound, on images whose class is not known: see [`SemiSupervised::guidance_loss`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Guidance {
    /// How much the change of q(y | x) between neighbouring images counts.
    pub smoothness: f32,
    /// How far from each other neighbours are, in the length of the difference of their pixels.
    pub radius: f32,
    /// How much it counts that the classes are used unequally.
    pub balance: f32,
}

/// How much the parts of [`SemiSupervised::loss`] count beside the bound of the images whose class is not known.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LossWeights {
    /// The bound of the images whose class is known: their number over that of all training images, so that each image counts
    /// alike (Kingma et al. 2014, equation 8).
    pub share: f32,
    /// -ln q(y | x) of these images.
    pub classification: f32,
    /// What leads q(y | x) of the others, if anything.
    pub guidance: Option<Guidance>,
}

/// M2: p(y) p(z) p(x | y, z) with a uniform class y and a standard normal z, and q(y | x) q(z | x, y).
///
/// With L(x, y) = -E\[ln p(x | y, z)\] + KL(q(z | x, y) || p(z)) - ln p(y) the loss is `share` L(x, y) - `classification`
/// ln q(y | x) for images whose class is known, and E\[L(x, y)\] - H(q(y | x)) over q(y | x) for others: the mean over y is left to an estimator, of
/// which [`Exact`](crate::estimators::Exact) is marginalization. ln q(y | x) is taken at the image as a random shift moves it.
/// With few classes known, the loss alone lets q(y | x) settle on clusters that are not the classes:
/// [`guidance_loss`](Self::guidance_loss) may be added. [`loss`](Self::loss) is all of it.
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
    /// Pixels in a row of an image.
    cols: usize,
}

impl SemiSupervised {
    /// Declares the parameters, for images of `cols` pixels in a row. Inputs are centred by `pixel_mean`; the decoder's last
    /// bias starts at its logit.
    ///
    /// # Panics
    /// If there is no hidden layer.
    #[track_caller]
    pub fn new(
        shape: SemiSupervisedShape,
        (pixel_mean, cols): (&[f32], usize),
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
        start_at_base_rates(params, output, pixel_mean);
        let pixel_mean = frozen_mean(params, "pixel_mean", pixel_mean);
        SemiSupervised { shape, classifier, encoder_x, encoder_y, encoder, decoder, pixel_mean, cols }
    }

    /// Classes of y.
    pub fn classes(&self) -> usize {
        self.shape.classes
    }

    /// The logits of q(y | x), `[images, classes]`, for images `[images, pixels]`.
    #[track_caller]
    pub fn classify<'t>(&self, params: &Params, x: Var<'t>) -> Var<'t> {
        self.classifier.forward_centred(params, x, params.on(x.tape(), self.pixel_mean))
    }

    /// The loss of a step, a scalar in nats: the means over the images whose class is known, given with their labels, and over
    /// `others`, and the guidance for these.
    ///
    /// # Panics
    /// If the estimator is of a bound of several samples: the divergence would have to be inside it.
    #[track_caller]
    pub fn loss<'t>(
        &self,
        params: &Params,
        others: Var<'t>,
        known: (Var<'t>, &[u32]),
        weights: LossWeights,
        estimator: &mut dyn Estimator,
        noise: &mut Noise,
    ) -> Var<'t> {
        let bound = self.unlabelled_loss(params, others, estimator, noise).mean();
        let loss = bound + self.labelled_loss(params, known, weights, noise).mean();
        match weights.guidance {
            Some(guidance) => loss + self.guidance_loss(params, others, guidance, noise),
            None => loss,
        }
    }

    /// The loss of each image whose class is not known, `[images]`, in nats, with an estimator's gradient for q(y | x).
    ///
    /// # Panics
    /// If the estimator is of a bound of several samples: the divergence would have to be inside it.
    #[track_caller]
    pub fn unlabelled_loss<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        estimator: &mut dyn Estimator,
        noise: &mut Noise,
    ) -> Var<'t> {
        check_objective("SemiSupervised", estimator);
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

    /// The loss of each image whose class is known, `[images]`, in nats; guidance is for the others.
    #[track_caller]
    pub fn labelled_loss<'t>(
        &self,
        params: &Params,
        (x, labels): (Var<'t>, &[u32]),
        weights: LossWeights,
        noise: &mut Noise,
    ) -> Var<'t> {
        let classes = self.shape.classes;
        let y = x.tape().input_with([labels.len(), classes], |y| {
            y.fill(0.0);
            for (row, &label) in y.chunks_exact_mut(classes).zip(labels) {
                row[label as usize] = 1.0;
            }
        });
        let log_prior = -(classes as f32).ln();
        let given = self.loss_given(params, (x, self.image_part(params, x)), y, noise) - log_prior;
        let classification = self.classify(params, self.moved(x, noise)).cross_entropy(labels);
        given * weights.share + classification * weights.classification
    }

    /// `smoothness` KL(q(y | x) || q(y | x + r)), the mean over the images, + `balance` KL(q(y) || p(y)) of q(y), the mean of
    /// q(y | x) over the images: a scalar, in nats. r is the change of length `radius` that q(y | x) heeds most, about; q(y | x) at
    /// x itself is held, so that its neighbour moves.
    ///
    /// The first term keeps borders between classes away from images; it would be least if all were of one class, which the
    /// second forbids.
    ///
    /// # Source
    /// Miyato, Maeda, Koyama, Ishii 2018 (virtual adversarial training), equation 8; W. Hu, T. Miyato, S. Tokui, E. Matsumoto,
    /// M. Sugiyama, "Learning Discrete Representations via Information Maximizing Self-Augmented Training", ICML 2017.
    #[track_caller]
    pub fn guidance_loss<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        guidance: Guidance,
        noise: &mut Noise,
    ) -> Var<'t> {
        let logits = self.classify(params, x);
        let neighbour = adversary(x, |x| self.classify(params, x), guidance.radius, noise);
        let change = logits.stop_gradient().categorical_kl(self.classify(params, neighbour)).mean();
        let share = logits.softmax().mean_axis(0);
        let imbalance = share.ln().reshape([1, self.shape.classes]).categorical_kl_uniform();
        change * guidance.smoothness + imbalance.sum() * guidance.balance
    }

    /// Every image moved at random, with nothing where no pixel comes from.
    fn moved<'t>(&self, x: Var<'t>, noise: &mut Noise) -> Var<'t> {
        let (images, of_image) = (x.to_vec(), x.shape().classes());
        let (cols, shift) = (self.cols, self.shape.shift);
        let mut offset = || noise.below(2 * shift as u32 + 1) as usize;
        x.tape().input_with(x.shape(), |out| {
            out.fill(0.0);
            for (out, image) in out.chunks_exact_mut(of_image).zip(images.chunks_exact(of_image)) {
                let (down, right) = (offset(), offset());
                for (row, pixels) in image.chunks_exact(cols).enumerate() {
                    for (col, &pixel) in pixels.iter().enumerate() {
                        // Counted from `shift` before the first row and column: no number is below 0.
                        let (row, col) = (row + down, col + right);
                        let inside = (shift..shift + of_image / cols).contains(&row)
                            && (shift..shift + cols).contains(&col);
                        if inside {
                            out[(row - shift) * cols + col - shift] = pixel;
                        }
                    }
                }
            }
        })
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

    /// The logits of p(x | y, z).
    fn decode<'t>(&self, params: &Params, y: Var<'t>, z: Var<'t>) -> Var<'t> {
        self.decoder.forward(params, Var::concat(&[y, z], 1))
    }

    /// -ln p(x | y, z) of each image.
    fn reconstruction<'t>(&self, params: &Params, x: Var<'t>, y: Var<'t>, z: Var<'t>) -> Var<'t> {
        self.decode(params, y, z).bce_with_logits(x).sum_axis(1)
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
        let x = tape.input(pixels, [labels.len(), params.shape(self.pixel_mean).len()]);
        right_answers(self.classify(params, x), labels)
    }

    /// The pixels' probabilities given one hard sample of (y, z) for each image; `pixels` holds whole images.
    #[track_caller]
    pub fn reconstruct(&self, params: &Params, pixels: &[f32], noise: &mut Noise) -> Vec<f32> {
        let tape = Tape::inference();
        let of_image = params.shape(self.pixel_mean).len();
        let x = tape.input(pixels, [pixels.len() / of_image, of_image]);
        let y = OneHot::new(self.classify(params, x)).sample(noise);
        let (mean, log_std) = self.encode(params, self.image_part(params, x), y);
        let z = mean.gaussian_rsample(log_std, noise);
        self.decode(params, y, z).sigmoid().to_vec()
    }

    /// The pixels' probabilities for `images` images, whose classes go in turn: a draw of z from the prior is for one round.
    pub fn generate(&self, params: &Params, images: usize, noise: &mut Noise) -> Vec<f32> {
        let (tape, classes, latents) = (Tape::inference(), self.shape.classes, self.shape.latents);
        let styles = images.div_ceil(classes);
        let y = tape.input_with([images, classes], |y| {
            y.fill(0.0);
            y.chunks_exact_mut(classes).enumerate().for_each(|(i, y)| y[i % classes] = 1.0);
        });
        let zero = tape.input_with([styles, latents], |zero| zero.fill(0.0));
        let style = zero.gaussian_rsample(zero, noise).to_vec();
        let z = tape.input_with([images, latents], |z| {
            for (i, z) in z.chunks_exact_mut(latents).enumerate() {
                z.copy_from_slice(&style[i / classes * latents..][..latents]);
            }
        });
        self.decode(params, y, z).sigmoid().to_vec()
    }

    /// The bound on -ln p(x) of each image from `samples` samples of (y, z), in nats; of one sample it is -ELBO in
    /// expectation. `pixels` holds whole images.
    ///
    /// # Panics
    /// If `samples` is 0 or `pixels` is not whole images.
    #[track_caller]
    pub fn evaluate(&self, params: &Params, pixels: &[f32], samples: usize, noise: &mut Noise) -> Vec<f64> {
        let of_image = params.shape(self.pixel_mean).len();
        let images = pixels.len() / of_image;
        let mut tape = Tape::inference();
        // What every round needs alike.
        let (logits, image_part) = {
            let x = tape.input(pixels, [images, of_image]);
            (self.classify(params, x).to_vec(), self.image_part(params, x).to_vec())
        };
        tape.reset();
        bound_on(&mut tape, images, samples, |tape| {
            let x = tape.input(pixels, [images, of_image]);
            let class = OneHot::new(tape.input(&logits, [images, self.shape.classes]));
            let y = class.sample(noise);
            let image_part = tape.input(&image_part, [images, self.shape.hidden[0]]);
            let (mean, log_std) = self.encode(params, image_part, y);
            let z = mean.gaussian_rsample(log_std, noise);
            // ln p(z) - ln q(z | x, y): the constants are the same.
            let residual = (z - mean) / log_std.exp();
            let log_ratio = ((residual.square() - z.square()) * 0.5 + log_std).sum_axis(1);
            let log_p_y = -(self.shape.classes as f32).ln();
            log_ratio - self.reconstruction(params, x, y, z) - class.log_prob(y) + log_p_y
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLS: usize = 4;
    const MEAN: [f32; 12] = [0.3; 12];

    fn model(params: &mut Params) -> SemiSupervised {
        let shape = SemiSupervisedShape { classes: 3, latents: 2, hidden: vec![6], shift: 1 };
        SemiSupervised::new(shape, (&MEAN, COLS), params, &mut Noise::seed(1))
    }

    fn images(count: usize) -> Vec<f32> {
        Noise::seed(2).draws(count * MEAN.len()).map(|draw| (draw % 2) as f32).collect()
    }

    /// The rows of q(y | x) in f64.
    fn classes(model: &SemiSupervised, params: &Params, x: Var<'_>) -> Vec<Vec<f64>> {
        let of_row = |row: &[f32]| {
            let exp: Vec<f64> = row.iter().map(|&logit| f64::from(logit).exp()).collect();
            let sum: f64 = exp.iter().sum();
            exp.into_iter().map(|exp| exp / sum).collect()
        };
        model.classify(params, x).value().chunks_exact(3).map(of_row).collect()
    }

    fn kl(p: &[f64], q: &[f64]) -> f64 {
        p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum()
    }

    #[test]
    fn guidance_is_what_its_formula_says() {
        let mut params = Params::new();
        let model = model(&mut params);
        let tape = Tape::new();
        let x = tape.input(&images(5), [5, 12]);
        let guidance = Guidance { smoothness: 3.0, radius: 1.5, balance: 7.0 };
        let loss = model.guidance_loss(&params, x, guidance, &mut Noise::seed(3)).item();
        let near = adversary(x, |x| model.classify(&params, x), 1.5, &mut Noise::seed(3));
        let (at, near) = (classes(&model, &params, x), classes(&model, &params, near));
        let change = at.iter().zip(&near).map(|(p, q)| kl(p, q)).sum::<f64>() / 5.0;
        let share: Vec<f64> = (0..3).map(|class| at.iter().map(|q| q[class]).sum::<f64>() / 5.0).collect();
        let exact = 3.0 * change + 7.0 * kl(&share, &[1.0 / 3.0; 3]);
        assert!(change > 1e-3 && (f64::from(loss) - exact).abs() < 1e-5, "{loss}, by the formula {exact}");
    }

    /// The term of smoothness is least at no distance, and pulls only the neighbour: at no distance it pulls nothing.
    #[test]
    fn smoothness_holds_the_classes_of_the_image_itself() {
        let mut params = Params::new();
        let model = model(&mut params);
        let tape = Tape::new();
        let x = tape.input(&images(5), [5, 12]);
        let pull = |radius: f32| {
            let guidance = Guidance { smoothness: 1.0, radius, balance: 0.0 };
            model.guidance_loss(&params, x, guidance, &mut Noise::seed(3)).backward().norm()
        };
        let (none, some) = (pull(0.0), pull(1.0));
        assert!(none < 1e-6 && some > 1e-3, "{none}, {some}");
    }

    #[test]
    fn an_image_is_moved_by_up_to_the_shift_with_nothing_behind_it() {
        let mut params = Params::new();
        let model = model(&mut params);
        let tape = Tape::inference();
        // Lit are row 0, column 1 of twelve in three rows, and the last one.
        let mut image = [0.0; 12];
        (image[1], image[11]) = (1.0, 0.5);
        let moved = model.moved(tape.input(&image.repeat(200), [200, 12]), &mut Noise::seed(5));
        let mut seen: Vec<Vec<f32>> = moved.value().chunks_exact(12).map(<[f32]>::to_vec).collect();
        seen.sort_by(|a, b| a.partial_cmp(b).unwrap());
        seen.dedup();
        let mut expected = Vec::new();
        for (down, right) in (-1..=1).flat_map(|down| (-1..=1).map(move |right| (down, right))) {
            let mut image = vec![0.0; 12];
            for (row, col, pixel) in [(0, 1, 1.0), (2, 3, 0.5)] {
                let (row, col) = (row + down, col + right);
                if (0..3).contains(&row) && (0..4).contains(&col) {
                    image[(row * 4 + col) as usize] = pixel;
                }
            }
            expected.push(image);
        }
        expected.sort_by(|a, b| a.partial_cmp(b).unwrap());
        expected.dedup();
        assert_eq!(seen, expected);
    }
}
