//! What a trainer needs of a model: a loss on a batch and scores on a split.

use crate::data::{Digits, Split};
use crate::models::{Classifier, Sample, Vae, VaeShape};
use crate::noise::Noise;
use crate::params::Params;
use crate::train::{ModelKind, Settings};
use crate::var::Var;

/// What a model must know of the images it is for.
#[derive(Clone, PartialEq, Debug)]
pub struct Images {
    /// Height and width in pixels.
    pub size: [usize; 2],
    /// Mean of each pixel over the training split.
    pub pixel_mean: Vec<f32>,
    /// Number of classes of the labels.
    pub classes: usize,
}

impl Images {
    /// Those of a data set.
    pub fn of(data: &Digits) -> Images {
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
    /// The evidence lower bound, in nats; none for a classifier.
    pub elbo: Option<f64>,
    /// An upper bound on -ln p, in nats: of the image for the VAE, of the label for the classifier.
    pub nll: f64,
    /// Standard error of [`nll`](Self::nll) over the images.
    pub standard_error: f64,
    /// Share of right answers; none for the VAE.
    pub accuracy: Option<f64>,
}

/// Images that are evaluated at a time.
const EVALUATION_BATCH: usize = 500;

/// A model under training.
#[derive(Clone, Debug)]
pub enum Task {
    /// The categorical VAE.
    Vae(Vae),
    /// The classifier.
    Mlp(Classifier),
}

impl Task {
    /// Declares the parameters of the model that the settings name, for images of that kind.
    pub fn new(settings: &Settings, images: &Images, params: &mut Params, noise: &mut Noise) -> Task {
        let pixel_mean = &images.pixel_mean;
        match settings.model {
            ModelKind::Vae => {
                let Settings { hidden, latents, classes, .. } = settings;
                let shape = VaeShape::symmetric(pixel_mean.len(), hidden, *latents, *classes);
                Task::Vae(Vae::new(shape, pixel_mean, params, noise))
            }
            ModelKind::Mlp => {
                Task::Mlp(Classifier::new(&settings.hidden, images.classes, pixel_mean, params, noise))
            }
        }
    }

    /// The loss per image of a batch, a scalar in nats: -ELBO, or the cross-entropy.
    pub fn loss<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        labels: &[u32],
        (sample, tau): (Sample, f32),
        noise: &mut Noise,
    ) -> Var<'t> {
        let images = labels.len() as f32;
        match self {
            Task::Vae(vae) => {
                let bound = vae.negative_elbo(params, x, sample, tau, noise);
                (bound.reconstruction + bound.kl) / images
            }
            Task::Mlp(classifier) => classifier.loss(params, x, labels) / images,
        }
    }

    /// Scores on a whole split. The VAE takes `samples` hard samples per image: the ELBO from the first, the bound
    /// on -ln p(x) from all. `tick` hears the number of images done.
    pub fn evaluate(
        &self,
        params: &Params,
        split: &Split,
        samples: usize,
        noise: &mut Noise,
        mut tick: impl FnMut(usize),
    ) -> Scores {
        let mut totals = Totals::default();
        let mut pixels = Vec::new();
        let indices: Vec<u32> = (0..split.len() as u32).collect();
        for indices in indices.chunks(EVALUATION_BATCH) {
            pixels.resize(indices.len() * split.pixels(), 0.0);
            split.sample_pixels_into(indices, noise, &mut pixels);
            match self {
                Task::Vae(vae) => vae.evaluate(params, &pixels, samples, noise).iter().for_each(|bound| {
                    totals.elbo -= bound.negative_elbo;
                    totals.add(bound.nll);
                }),
                Task::Mlp(classifier) => {
                    let mut labels = vec![0; indices.len()];
                    split.labels_into(indices, &mut labels);
                    let (losses, right) = classifier.evaluate(params, &pixels, &labels);
                    losses.into_iter().for_each(|loss| totals.add(f64::from(loss)));
                    totals.right += right;
                }
            }
            tick(indices.len());
        }
        totals.scores(matches!(self, Task::Vae(_)))
    }
}

#[derive(Default)]
struct Totals {
    images: f64,
    elbo: f64,
    nll: f64,
    square: f64,
    right: usize,
}

impl Totals {
    fn add(&mut self, nll: f64) {
        self.images += 1.0;
        self.nll += nll;
        self.square += nll * nll;
    }

    fn scores(&self, is_vae: bool) -> Scores {
        let mean = self.nll / self.images;
        let variance = (self.square / self.images - mean * mean).max(0.0);
        Scores {
            elbo: is_vae.then_some(self.elbo / self.images),
            nll: mean,
            standard_error: (variance / self.images).sqrt(),
            accuracy: (!is_vae).then_some(self.right as f64 / self.images),
        }
    }
}
