//! The experiment of Jang, Gu and Poole 2017, section 4.3: a semi-supervised model of images, a hundred of
//! them labelled, with the means to make so few labels suffice.

mod adversary;
mod shifted;

use super::shape::ModelShape;
use super::{Batch, Examples, HardBound, Model, SemiSupervised, SemiSupervisedShape, check_estimators};
use crate::checkpoint::Checkpoint;
use crate::data::Split;
use crate::error::{Error, Result};
use crate::noise::Noise;
use crate::params::Params;
use crate::shape::Shape;
use crate::var::Var;
use crate::variables::Variables;
use adversary::adversary;
use shifted::shifted;

/// The model and the experiment around it.
#[derive(Clone, PartialEq, Debug)]
pub struct FewLabelsShape {
    /// Numbers in z.
    pub latents: usize,
    /// Widths of the ReLU layers of each of the three nets; at least one.
    pub hidden: Vec<usize>,
    /// The source of the known classes.
    pub labels: KnownLabels,
    /// The weight of -ln q(y | x) for images whose class is known.
    pub weight: f32,
    /// The largest random shift, in pixels, of labelled images for the classifier: up or down and left or
    /// right, drawn anew in each step. Without it the classifier soon memorises a hundred images.
    pub shift: usize,
    /// Regularisation of q(y | x) on the other images, if any.
    pub guidance: Option<Guidance>,
}

/// The source of known classes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KnownLabels {
    /// From the data: this many images of each class, chosen by the seed.
    OfEachClass(usize),
    /// Drawn at random from `classes` classes for this many images, to measure the cost of a step for any
    /// number of classes.
    Random {
        /// Images with a label.
        images: usize,
        /// Classes to draw from.
        classes: usize,
    },
}

/// Regularisation of q(y | x) on images whose class is not known: see [`FewLabels`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Guidance {
    /// The weight of the change of q(y | x) between neighbouring images.
    pub smoothness: f32,
    /// The distance between neighbours: the length of the difference of their pixels.
    pub radius: f32,
    /// The weight of unequal use of the classes.
    pub balance: f32,
}

impl Guidance {
    const NONE: Guidance = Guidance { smoothness: 0.0, radius: 0.0, balance: 0.0 };
}

/// Larger than the side of any image that fits in memory with a batch of others.
const LARGEST_SHIFT: usize = 1 << 14;
/// The largest weight of a loss term: far above what trains, and far below where a loss overflows.
const LARGEST_WEIGHT: f32 = 1e9;

impl FewLabelsShape {
    /// Checks the settings that only the experiment has.
    pub(super) fn check(&self) -> Result<()> {
        match self.labels {
            KnownLabels::OfEachClass(0) | KnownLabels::Random { images: 0, .. } => {
                return Err(Error::invalid("labels", "at least 1 image", 0));
            }
            KnownLabels::Random { classes: classes @ (0 | 1), .. } => {
                return Err(Error::invalid("classes", "at least 2", classes));
            }
            _ => {}
        }
        if self.shift > LARGEST_SHIFT {
            return Err(Error::invalid("shift", format!("at most {LARGEST_SHIFT} pixels"), self.shift));
        }
        let Guidance { smoothness, radius, balance } = self.guidance.unwrap_or(Guidance::NONE);
        for (what, number) in
            [("weight", self.weight), ("smoothness", smoothness), ("radius", radius), ("balance", balance)]
        {
            if !(0.0..=LARGEST_WEIGHT).contains(&number) {
                return Err(Error::invalid(what, format!("a number from 0 to {LARGEST_WEIGHT}"), number));
            }
        }
        Ok(())
    }

    /// The shape of the model itself, for images of `pixels` pixels and `classes` classes.
    pub(super) fn model(&self, pixels: usize, classes: usize) -> SemiSupervisedShape {
        let classes = match self.labels {
            KnownLabels::OfEachClass(_) => classes,
            KnownLabels::Random { classes, .. } => classes,
        };
        SemiSupervisedShape { pixels, classes, latents: self.latents, hidden: self.hidden.clone() }
    }
}

/// A [`SemiSupervised`] model in training. Each step takes all images whose class is known, and a batch of
/// others.
///
/// The loss is the mean bound of the others, plus the mean over the known ones of `share` L(x, y) - `weight`
/// ln q(y | x). `share` is their number over the number of training images, so that every image counts
/// equally (Kingma et al. 2014, equation 8). ln q(y | x) is taken at the randomly shifted image.
///
/// With few labels, this loss alone lets q(y | x) settle on clusters that are not the classes. [`Guidance`]
/// adds two terms over the other images: `smoothness` times the mean of KL(q(y | x) || q(y | x + r)), and
/// `balance` KL(q(y) || p(y)), where q(y) is the mean of q(y | x). r is approximately the change of length
/// `radius` to which q(y | x) is most sensitive. q(y | x) itself counts as a constant, so that the neighbour
/// moves. The first term keeps class boundaries away from images. A single class for all images would
/// minimise it, which the second term prevents.
///
/// # Source
/// T. Miyato, S. Maeda, M. Koyama, S. Ishii, "Virtual Adversarial Training: A Regularization Method for
/// Supervised and Semi-Supervised Learning", 2018, equation 8; W. Hu, T. Miyato, S. Tokui, E. Matsumoto, M.
/// Sugiyama, "Learning Discrete Representations via Information Maximizing Self-Augmented Training",
/// ICML 2017.
#[derive(Clone, Debug)]
pub struct FewLabels {
    shape: FewLabelsShape,
    model: SemiSupervised,
    /// Pixels in a row of an image.
    cols: usize,
    /// The images whose class is known, and the classes.
    indices: Vec<u32>,
    labels: Vec<u32>,
}

impl FewLabels {
    /// Declares the parameters, all 0, for images of `cols` pixels in a row. No class is known yet.
    ///
    /// # Panics
    /// If there is no hidden layer, a number of the shape or a size is out of range, or a parameter name is
    /// taken.
    #[track_caller]
    pub fn declare(
        shape: FewLabelsShape,
        [rows, cols]: [usize; 2],
        classes: usize,
        params: &mut Params,
    ) -> FewLabels {
        if let Err(error) = shape.check() {
            panic!("FewLabels: {error}");
        }
        let pixels = Shape::from([rows, cols]).len();
        let model = SemiSupervised::declare(shape.model(pixels, classes), params);
        FewLabels { shape, model, cols, indices: Vec::new(), labels: Vec::new() }
    }

    /// Initialises the parameters, and chooses the images whose class is known.
    ///
    /// # Errors
    /// If a class has fewer images than the labels need.
    ///
    /// # Panics
    /// If `pixel_mean` does not have one entry from 0 to 1 per pixel.
    #[track_caller]
    pub fn init(
        &mut self,
        params: &mut Params,
        split: &Split,
        pixel_mean: &[f32],
        noise: &mut Noise,
    ) -> Result<()> {
        self.model.init(params, pixel_mean, noise);
        let mut order: Vec<u32> = (0..split.len() as u32).collect();
        noise.shuffle(&mut order);
        match self.shape.labels {
            KnownLabels::Random { images, classes } => {
                order.truncate(images);
                self.labels = order.iter().map(|_| noise.below(classes as u32)).collect();
                self.indices = order;
            }
            KnownLabels::OfEachClass(count) => {
                let classes = self.model.shape().classes;
                let label = |index: u32| u32::from(split.labels()[index as usize]);
                self.indices.clear();
                for class in 0..classes as u32 {
                    let of_class = order.iter().copied().filter(|&index| label(index) == class);
                    let before = self.indices.len();
                    self.indices.extend(of_class.take(count));
                    let found = self.indices.len() - before;
                    if found < count {
                        let expected =
                            format!("{count} training images of each class from 0 to {}", classes - 1);
                        return Err(Error::invalid(
                            "the data",
                            expected,
                            format!("{found} of class {class}"),
                        ));
                    }
                }
                self.labels = self.indices.iter().map(|&index| label(index)).collect();
            }
        }
        Ok(())
    }

    /// The mean loss of the labelled images, whose pixels are `x`.
    fn known_loss<'t>(&self, params: &Params, x: Var<'t>, share: f32, noise: &mut Noise) -> Var<'t> {
        let given = self.model.labelled_loss(params, (x, &self.labels), noise);
        let moved = shifted(x, self.cols, self.shape.shift, noise);
        let classification = self.model.classify(params, moved).cross_entropy(&self.labels);
        (given * share + classification * self.shape.weight).mean()
    }

    /// The regularisation of q(y | x) on images whose class is not known: a scalar, in nats.
    fn guidance_loss<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        guidance: Guidance,
        noise: &mut Noise,
    ) -> Var<'t> {
        let logits = self.model.classify(params, x);
        let neighbour = adversary(x, |x| self.model.classify(params, x), guidance.radius, noise);
        let change = logits.stop_gradient().categorical_kl(self.model.classify(params, neighbour)).mean();
        let share = logits.softmax().mean_axis(0);
        let imbalance = share.ln().reshape([1, share.shape().len()]).categorical_kl_uniform();
        change * guidance.smoothness + imbalance.sum() * guidance.balance
    }
}

impl Model for FewLabels {
    fn layers(&self) -> Vec<Variables> {
        vec![Variables::Categories { count: 1, classes: self.model.shape().classes }]
    }

    #[track_caller]
    fn loss<'t>(&self, batch: &mut Batch<'_, 't>) -> Var<'t> {
        check_estimators("FewLabels", 1, batch.estimators);
        let known = batch.binary_pixels_of(&self.indices);
        let others = batch.binary_pixels();
        let Batch { params, noise, estimators, .. } = batch;
        let share = self.indices.len() as f32 / batch.split.len() as f32;
        let bound = self.model.unlabelled_loss(params, others, &mut *estimators[0], noise).mean();
        let loss = bound + self.known_loss(params, known, share, noise);
        match self.shape.guidance {
            Some(guidance) => loss + self.guidance_loss(params, others, guidance, noise),
            None => loss,
        }
    }

    fn loss_is_bound(&self) -> bool {
        false
    }

    #[track_caller]
    fn bounds(
        &self,
        params: &Params,
        images: Examples<'_>,
        samples: usize,
        noise: &mut Noise,
    ) -> Vec<HardBound> {
        self.model.evaluate(params, images.pixels, samples, noise)
    }

    #[track_caller]
    fn right_answers(&self, params: &Params, images: Examples<'_>) -> Option<usize> {
        Some(self.model.right_answers(params, images.pixels, images.labels))
    }

    #[track_caller]
    fn draw(&self, params: &Params, _given: &[f32], count: usize, noise: &mut Noise) -> Vec<f32> {
        self.model.generate(params, count, noise)
    }

    #[track_caller]
    fn reconstruct(&self, params: &Params, given: &[f32], noise: &mut Noise) -> Vec<f32> {
        self.model.reconstruct(params, given, noise)
    }

    fn describe(&self, checkpoint: &mut Checkpoint) {
        ModelShape::FewLabels(self.shape.clone()).write(checkpoint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;

    const MEAN: [f32; 12] = [0.3; 12];

    fn model(params: &mut Params) -> FewLabels {
        let labels = KnownLabels::OfEachClass(1);
        let shape =
            FewLabelsShape { latents: 2, hidden: vec![6], labels, weight: 1.0, shift: 1, guidance: None };
        let model = FewLabels::declare(shape, [3, 4], 3, params);
        model.model.init(params, &MEAN, &mut Noise::seed(1));
        model
    }

    fn images(count: usize) -> Vec<f32> {
        Noise::seed(2).draws(count * MEAN.len()).map(|draw| (draw % 2) as f32).collect()
    }

    /// The rows of q(y | x) in f64.
    fn classes(model: &FewLabels, params: &Params, x: Var<'_>) -> Vec<Vec<f64>> {
        let of_row = |row: &[f32]| {
            let exp: Vec<f64> = row.iter().map(|&logit| f64::from(logit).exp()).collect();
            let sum: f64 = exp.iter().sum();
            exp.into_iter().map(|exp| exp / sum).collect()
        };
        model.model.classify(params, x).value().chunks_exact(3).map(of_row).collect()
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
        let near = adversary(x, |x| model.model.classify(&params, x), 1.5, &mut Noise::seed(3));
        let (at, near) = (classes(&model, &params, x), classes(&model, &params, near));
        let change = at.iter().zip(&near).map(|(p, q)| kl(p, q)).sum::<f64>() / 5.0;
        let share: Vec<f64> = (0..3).map(|class| at.iter().map(|q| q[class]).sum::<f64>() / 5.0).collect();
        let exact = 3.0 * change + 7.0 * kl(&share, &[1.0 / 3.0; 3]);
        assert!(change > 1e-3 && (f64::from(loss) - exact).abs() < 1e-5, "{loss}, by the formula {exact}");
    }

    /// Checked against its terms, each taken alone with the same noise.
    #[test]
    fn the_loss_of_known_images_weighs_its_terms() {
        let mut params = Params::new();
        let mut model = model(&mut params);
        (model.indices, model.labels) = (vec![0, 1, 2], vec![2, 0, 1]);
        let tape = Tape::new();
        let x = tape.input(&images(3), [3, 12]);
        let given = model.model.labelled_loss(&params, (x, &model.labels), &mut Noise::seed(3)).mean().item();
        let mut loss = |share, weight, shift| {
            (model.shape.weight, model.shape.shift) = (weight, shift);
            model.known_loss(&params, x, share, &mut Noise::seed(3)).item()
        };
        let (whole, classification) = (loss(0.25, 7.0, 0), loss(0.0, 1.0, 0));
        let of_classes = classes(&model, &params, x);
        let exact = -of_classes.iter().zip([2, 0, 1]).map(|(q, class)| q[class].ln()).sum::<f64>() / 3.0;
        assert!((f64::from(classification) - exact).abs() < 1e-5, "{classification}, by the formula {exact}");
        assert!((whole - (0.25 * given + 7.0 * classification)).abs() < 1e-4, "{whole}");
    }

    /// The smoothness term is least at distance 0 and pulls only the neighbour, so at distance 0 it pulls
    /// nothing.
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
}
