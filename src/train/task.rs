//! What a trainer needs of a model: a loss on a batch and scores on a split.

use crate::data::{Digits, Split};
use crate::estimators::{Estimator, Kind};
use crate::models::{Classifier, Guidance, LossWeights, Prediction, SemiSupervised, Vae, VaeShape};
use crate::noise::Noise;
use crate::params::Params;
use crate::train::moments::Moments;
use crate::train::{ModelKind, Settings};
use crate::var::Var;

/// Images of each class that the semi-supervised model knows the class of.
pub const LABELS_PER_CLASS: usize = 10;
/// What leads q(y | x) of the others: chosen by the accuracy on the validation images of MNIST, for Gumbel-Softmax and seed 1.
pub const GUIDANCE: Guidance = Guidance { smoothness: 30.0, radius: 2.0, balance: 400.0 };
/// How much -ln q(y | x) counts for images whose class is known.
pub const CLASSIFICATION_WEIGHT: f32 = 100.0;
/// Layers of the belief net.
const LAYERS: usize = 2;

/// What a model must know of the images it is for.
#[derive(Clone, PartialEq, Debug)]
pub struct Images {
    /// Height and width in pixels.
    pub size: [usize; 2],
    /// Mean of each pixel over the training split; read from a belief net's checkpoint, 1/2 in the lower half.
    pub pixel_mean: Vec<f32>,
    /// Number of classes of the labels.
    pub classes: usize,
}

impl Images {
    /// Those of a data set.
    pub(super) fn of(data: &Digits) -> Images {
        let train = data.train();
        Images {
            size: [train.rows(), train.cols()],
            pixel_mean: train.pixel_means(),
            classes: data.classes(),
        }
    }
}

/// Means per image over some images.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scores {
    /// The evidence lower bound, from one sample, in nats; none for a classifier.
    pub elbo: Option<f64>,
    /// An upper bound on -ln p, in nats: of the image, of its lower half given the upper for the belief net, of the label for the
    /// classifier.
    pub nll: f64,
    /// Standard error of [`nll`](Self::nll) over the images.
    pub standard_error: f64,
    /// Share of right answers; none where there are no classes.
    pub accuracy: Option<f64>,
}

impl Scores {
    /// What early stopping watches, less being better: the share of wrong answers of a semi-supervised model, else the bound
    /// of one sample or the cross-entropy.
    pub(super) fn to_watch(self) -> f64 {
        match (self.elbo, self.accuracy) {
            (Some(_), Some(accuracy)) => 1.0 - accuracy,
            (Some(elbo), None) => -elbo,
            (None, _) => self.nll,
        }
    }
}

/// Images that are evaluated at a time.
const EVALUATION_BATCH: usize = 500;

/// A model under training.
#[derive(Clone, Debug)]
pub enum Task {
    /// The categorical VAE.
    Vae(Vae),
    /// The belief net from the upper to the lower half.
    Sbn(Prediction),
    /// The semi-supervised model.
    Semi(SemiSupervised),
    /// The classifier.
    Mlp(Classifier),
}

/// The labels that a batch comes with.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownLabels<'a> {
    /// Those of the first images; of all for the classifier.
    pub(super) labels: &'a [u32],
    /// Their number over that of all training images.
    pub(super) share: f32,
}

impl Task {
    /// Declares the parameters of the model that the settings name, for images of that kind.
    pub(super) fn new(settings: &Settings, images: &Images, params: &mut Params, noise: &mut Noise) -> Task {
        let pixel_mean = &images.pixel_mean[..];
        let Settings { hidden, latents, classes, .. } = settings;
        match settings.model {
            ModelKind::Vae => {
                let shape = VaeShape::symmetric(pixel_mean.len(), hidden, *latents, *classes);
                Task::Vae(Vae::new(shape, pixel_mean, params, noise))
            }
            ModelKind::Sbn => {
                let (upper, lower) = pixel_mean.split_at(pixel_mean.len() / 2);
                let layer = Kind { variables: *latents, classes: Some(*classes) };
                Task::Sbn(Prediction::new(&[layer; LAYERS], upper, lower, params, noise))
            }
            ModelKind::Semi => {
                let shape = settings.semi_supervised_shape(images.classes);
                Task::Semi(SemiSupervised::new(shape, (pixel_mean, images.size[1]), params, noise))
            }
            ModelKind::Mlp => Task::Mlp(Classifier::new(hidden, images.classes, pixel_mean, params, noise)),
        }
    }

    /// Layers of discrete variables that are sampled.
    pub(super) fn layers(&self) -> usize {
        match self {
            Task::Vae(_) | Task::Semi(_) => 1,
            Task::Sbn(_) => LAYERS,
            Task::Mlp(_) => 0,
        }
    }

    /// The loss per image of a batch, a scalar in nats, with an estimator for each layer: -ELBO, or the cross-entropy; for the
    /// semi-supervised model with what leads q(y | x).
    pub(super) fn loss<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        known: KnownLabels<'_>,
        estimators: &mut [Box<dyn Estimator>],
        noise: &mut Noise,
    ) -> Var<'t> {
        let &[images, pixels] = x.shape().dims() else { panic!("{}: images are rows of pixels", x.shape()) };
        match self {
            Task::Vae(vae) => vae.loss(params, x, &mut *estimators[0], noise).mean(),
            Task::Sbn(net) => {
                let (upper, lower) = (x.slice(1, 0..pixels / 2), x.slice(1, pixels / 2..pixels));
                net.loss(params, upper, lower, estimators, noise).mean()
            }
            Task::Semi(model) => {
                let (with_class, others) =
                    (x.slice(0, 0..known.labels.len()), x.slice(0, known.labels.len()..images));
                let weights = LossWeights {
                    share: known.share,
                    classification: CLASSIFICATION_WEIGHT,
                    guidance: Some(GUIDANCE),
                };
                let known = (with_class, known.labels);
                model.loss(params, others, known, weights, &mut *estimators[0], noise)
            }
            Task::Mlp(classifier) => classifier.loss(params, x, known.labels) / images as f32,
        }
    }

    /// Scores on a whole split. A model with latent variables takes `samples` hard samples per image: the ELBO from one,
    /// the bound on -ln p from all. `tick` hears the number of images done.
    pub fn evaluate(
        &self,
        params: &Params,
        split: &Split,
        samples: usize,
        noise: &mut Noise,
        mut tick: impl FnMut(usize),
    ) -> Scores {
        let mut totals = Totals::default();
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        let indices: Vec<u32> = (0..split.len() as u32).collect();
        for indices in indices.chunks(EVALUATION_BATCH) {
            pixels.resize(indices.len() * split.pixels(), 0.0);
            labels.resize(indices.len(), 0);
            split.sample_pixels_into(indices, noise, &mut pixels);
            split.labels_into(indices, &mut labels);
            self.add_scores(params, &pixels, &labels, samples, noise, &mut totals);
            tick(indices.len());
        }
        totals.scores(self)
    }

    fn add_scores(
        &self,
        params: &Params,
        pixels: &[f32],
        labels: &[u32],
        samples: usize,
        noise: &mut Noise,
        totals: &mut Totals,
    ) {
        match self {
            Task::Vae(vae) => vae.evaluate(params, pixels, samples, noise).iter().for_each(|bound| {
                totals.elbo -= bound.negative_elbo;
                totals.nll.add(bound.nll);
            }),
            Task::Sbn(net) => {
                totals.add_bounds(samples, |samples| net.evaluate(params, pixels, samples, noise));
            }
            Task::Semi(model) => {
                totals.add_bounds(samples, |samples| model.evaluate(params, pixels, samples, noise));
                totals.right += model.right_answers(params, pixels, labels);
            }
            Task::Mlp(classifier) => {
                let (losses, right) = classifier.evaluate(params, pixels, labels);
                losses.into_iter().for_each(|loss| totals.nll.add(f64::from(loss)));
                totals.right += right;
            }
        }
    }
}

#[derive(Default)]
struct Totals {
    nll: Moments,
    elbo: f64,
    right: usize,
}

impl Totals {
    /// Takes what `bound` gives for one sample and for `samples`.
    fn add_bounds(&mut self, samples: usize, mut bound: impl FnMut(usize) -> Vec<f64>) {
        let single = bound(1);
        self.elbo -= single.iter().sum::<f64>();
        let all = if samples == 1 { single } else { bound(samples) };
        all.into_iter().for_each(|nll| self.nll.add(nll));
    }

    fn scores(&self, task: &Task) -> Scores {
        let images = self.nll.count;
        let (is_mlp, is_semi) = (matches!(task, Task::Mlp(_)), matches!(task, Task::Semi(_)));
        Scores {
            elbo: (!is_mlp).then_some(self.elbo / images),
            nll: self.nll.mean(),
            standard_error: self.nll.standard_error(),
            accuracy: (is_mlp || is_semi).then_some(self.right as f64 / images),
        }
    }
}
