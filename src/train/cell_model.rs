//! The models behind the cells of a table, and how each is trained and scored.

use crate::data::{Digits, Split};
use crate::error::Result;
use crate::estimators::Kind;
use crate::models::{
    BeliefNet, BeliefNetShape, Guidance, LossWeights, Prediction, SemiSupervised, SemiSupervisedShape, Vae,
    VaeShape,
};
use crate::noise::Noise;
use crate::params::Params;
use crate::tape::Tape;
use crate::train::known::{Known, Labels};
use crate::train::training_loss::TrainingLoss;
use crate::var::Var;

/// What a cell trains.
#[derive(Clone, PartialEq, Debug)]
pub enum CellModel {
    /// The lower half of an image from the upper, through layers of discrete variables.
    Prediction(Vec<Kind>),
    /// A VAE with one layer of latent variables; with no widths it is linear.
    Vae {
        /// The latent variables.
        latents: Kind,
        /// Widths of the encoder's hidden layers.
        encoder: Vec<usize>,
        /// Widths of the decoder's hidden layers.
        decoder: Vec<usize>,
    },
    /// A sigmoid belief net with a learned prior.
    BeliefNet(BeliefNetShape),
    /// Images of which few have a known class. Every step takes all of those, beside a batch of the others.
    SemiSupervised {
        /// The model.
        shape: SemiSupervisedShape,
        /// Where the known classes come from.
        labels: Labels,
        /// How much -ln q(y | x) counts for them.
        weight: f32,
        /// What leads q(y | x) for the others beside the bound, if anything.
        guidance: Option<Guidance>,
    },
}

impl CellModel {
    /// How much the classes of labelled images count, where there are any.
    pub fn weight(&self) -> Option<f32> {
        match self {
            CellModel::SemiSupervised { weight, .. } => Some(*weight),
            _ => None,
        }
    }

    /// The discrete variables, layer by layer.
    pub(super) fn layers(&self) -> Vec<Kind> {
        let bits = |&variables: &usize| Kind { variables, classes: None };
        match self {
            CellModel::Prediction(layers) => layers.clone(),
            CellModel::Vae { latents, .. } => vec![*latents],
            CellModel::BeliefNet(shape) => shape.layers.iter().map(bits).collect(),
            CellModel::SemiSupervised { shape, .. } => {
                vec![Kind { variables: 1, classes: Some(shape.classes) }]
            }
        }
    }
}

/// A model with its parameters declared.
pub(super) enum Model {
    Prediction(Prediction),
    Vae(Vae),
    BeliefNet(BeliefNet),
    SemiSupervised { model: SemiSupervised, known: Known, weight: f32, guidance: Option<Guidance> },
}

impl Model {
    pub(super) fn new(
        shape: &CellModel,
        data: &Digits,
        params: &mut Params,
        init: &mut Noise,
    ) -> Result<Model> {
        let mean = data.train().pixel_means();
        Ok(match shape {
            CellModel::Prediction(layers) => {
                let (upper, lower) = mean.split_at(mean.len() / 2);
                Model::Prediction(Prediction::new(layers, upper, lower, params, init))
            }
            CellModel::Vae { latents, encoder, decoder } => {
                let (encoder, decoder) = (encoder.clone(), decoder.clone());
                let shape = VaeShape { pixels: mean.len(), encoder, decoder, latents: *latents };
                Model::Vae(Vae::new(shape, &mean, params, init))
            }
            CellModel::BeliefNet(shape) => Model::BeliefNet(BeliefNet::new(shape, &mean, params, init)),
            CellModel::SemiSupervised { shape, labels, weight, guidance } => {
                let model = SemiSupervised::new(shape.clone(), (&mean, data.train().cols()), params, init);
                let known = Known::choose(*labels, shape.classes, data.train(), init)?;
                Model::SemiSupervised { model, known, weight: *weight, guidance: *guidance }
            }
        })
    }

    /// The training loss of each image of a batch, or of all as one number, in nats.
    pub(super) fn loss<'t>(
        &self,
        (tape, params): (&'t Tape, &Params),
        (split, indices): (&Split, &[u32]),
        how: &mut TrainingLoss,
        noise: &mut Noise,
    ) -> Var<'t> {
        let batch = [indices.len(), split.pixels()];
        let whole =
            |noise: &mut Noise| tape.input_with(batch, |out| split.sample_pixels_into(indices, noise, out));
        match (self, how) {
            (Model::Prediction(prediction), how) => {
                let (rows, half) = (whole(noise), batch[1] / 2);
                let (x, y) = (rows.slice(1, 0..half), rows.slice(1, half..batch[1]));
                match how {
                    TrainingLoss::Estimators(estimators) => prediction.loss(params, x, y, estimators, noise),
                    &mut TrainingLoss::Bound { nodes, samples } => {
                        prediction.bound(params, x, y, nodes, samples, noise)
                    }
                }
            }
            (Model::Vae(vae), TrainingLoss::Estimators(estimators)) => {
                vae.loss(params, whole(noise), estimators[0].as_mut(), noise)
            }
            (Model::BeliefNet(net), TrainingLoss::Estimators(estimators)) => {
                net.loss(params, whole(noise), estimators, noise)
            }
            (Model::BeliefNet(net), &mut TrainingLoss::Bound { nodes, samples }) => {
                net.bound(params, whole(noise), nodes, samples, noise)
            }
            (
                Model::SemiSupervised { model, known, weight, guidance },
                TrainingLoss::Estimators(estimators),
            ) => {
                let others = whole(noise);
                let x = tape.input_with([known.indices.len(), split.pixels()], |out| {
                    split.sample_pixels_into(&known.indices, noise, out);
                });
                let share = known.indices.len() as f32 / split.len() as f32;
                let weights = LossWeights { share, classification: *weight, guidance: *guidance };
                model.loss(params, others, (x, &known.labels), weights, estimators[0].as_mut(), noise)
            }
            (_, TrainingLoss::Bound { .. }) => unreachable!("refused when the loss was chosen"),
        }
    }

    /// The bound of `samples` hard samples for each image, in nats.
    pub(super) fn evaluate(
        &self,
        params: &Params,
        images: &[f32],
        samples: usize,
        noise: &mut Noise,
    ) -> Vec<f64> {
        match self {
            Model::Vae(vae) => {
                let bounds = vae.evaluate(params, images, samples, noise);
                bounds.into_iter().map(|bound| bound.nll).collect()
            }
            Model::Prediction(prediction) => prediction.evaluate(params, images, samples, noise),
            Model::BeliefNet(net) => net.evaluate(params, images, samples, noise),
            Model::SemiSupervised { model, .. } => model.evaluate(params, images, samples, noise),
        }
    }

    /// `images` images that the model draws by itself, as probabilities of pixels; of prediction, the first ones of a split with
    /// their lower halves drawn.
    pub(super) fn draw(&self, params: &Params, split: &Split, images: usize, noise: &mut Noise) -> Vec<f32> {
        match self {
            Model::Vae(vae) => vae.generate(params, images, noise),
            Model::BeliefNet(net) => net.generate(params, images, noise),
            Model::Prediction(prediction) => {
                let indices: Vec<u32> = (0..images.min(split.len()) as u32).collect();
                let mut pixels = vec![0.0; indices.len() * split.pixels()];
                split.sample_pixels_into(&indices, noise, &mut pixels);
                prediction.complete(params, &pixels, noise)
            }
            Model::SemiSupervised { model, .. } => model.generate(params, images, noise),
        }
    }

    /// The number of images whose class is recognised; none where there are no classes.
    pub(super) fn right_answers(&self, params: &Params, images: &[f32], labels: &[u32]) -> Option<usize> {
        match self {
            Model::SemiSupervised { model, .. } => Some(model.right_answers(params, images, labels)),
            _ => None,
        }
    }
}
