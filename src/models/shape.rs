//! The settings of the models that the command line trains and checkpoints name.

use std::str::FromStr;

use super::{
    BeliefNet, Classifier, FewLabels, FewLabelsShape, Guidance, ImageFormat, KnownLabels, Link, Model,
    Prediction, Vae, VaeShape, sizes,
};
use crate::checkpoint::Checkpoint;
use crate::data::Digits;
use crate::error::{Error, Result};
use crate::noise::Noise;
use crate::params::Params;
use crate::variables::Variables;

/// The settings of a model: everything that defines it except the images.
#[derive(Clone, PartialEq, Debug)]
pub enum ModelShape {
    /// `vae`: a variational autoencoder with one layer of latent variables.
    Vae {
        /// The latent variables.
        latents: Variables,
        /// Widths of the encoder's hidden layers.
        encoder: Vec<usize>,
        /// Widths of the decoder's hidden layers.
        decoder: Vec<usize>,
    },
    /// `sbn`: the lower half of an image from its upper half, through layers of discrete variables.
    Prediction {
        /// The layers.
        layers: Vec<Variables>,
    },
    /// `belief`: a sigmoid belief net with a learned prior.
    BeliefNet {
        /// Bits of each layer, the layer next to the pixels first.
        layers: Vec<usize>,
        /// The link between all layers, in both directions.
        link: Link,
    },
    /// `semi`: a semi-supervised model of images with few labels.
    FewLabels(FewLabelsShape),
    /// `mlp`: a classifier.
    Classifier {
        /// Widths of the hidden layers.
        hidden: Vec<usize>,
    },
}

/// The most weights a model may have: 1 GiB.
pub const MOST_WEIGHTS: usize = 1 << 28;
/// The most layers a net may have.
const MOST_LAYERS: usize = 1000;

impl ModelShape {
    /// The name on the command line and in checkpoints.
    pub fn name(&self) -> &'static str {
        match self {
            ModelShape::Vae { .. } => "vae",
            ModelShape::Prediction { .. } => "sbn",
            ModelShape::BeliefNet { .. } => "belief",
            ModelShape::FewLabels(_) => "semi",
            ModelShape::Classifier { .. } => "mlp",
        }
    }

    /// The layers of discrete variables for images of `classes` classes.
    pub fn layers(&self, classes: usize) -> Vec<Variables> {
        match self {
            ModelShape::Vae { latents, .. } => vec![*latents],
            ModelShape::Prediction { layers } => layers.clone(),
            ModelShape::BeliefNet { layers, .. } => {
                layers.iter().map(|&bits| Variables::Bits(bits)).collect()
            }
            ModelShape::FewLabels(shape) => {
                vec![Variables::Categories { count: 1, classes: shape.model(1, classes).classes }]
            }
            ModelShape::Classifier { .. } => Vec::new(),
        }
    }

    /// Returns true if the model reads the labels of images.
    pub fn reads_labels(&self) -> bool {
        matches!(self, ModelShape::FewLabels(_) | ModelShape::Classifier { .. })
    }

    /// Declares the parameters, all 0, for a checkpoint to fill.
    pub fn declare(&self, images: ImageFormat, params: &mut Params) -> Box<dyn Model> {
        let pixels = images.pixels();
        match self {
            ModelShape::Vae { .. } => Box::new(Vae::declare(self.vae(pixels), params)),
            ModelShape::Prediction { layers } => {
                Box::new(Prediction::declare(layers, pixels / 2, pixels - pixels / 2, params))
            }
            ModelShape::BeliefNet { layers, link } => {
                Box::new(BeliefNet::declare(layers, *link, pixels, params))
            }
            ModelShape::FewLabels(shape) => {
                let size = [images.rows, images.cols];
                Box::new(FewLabels::declare(shape.clone(), size, images.classes, params))
            }
            ModelShape::Classifier { hidden } => {
                Box::new(Classifier::declare(hidden, images.classes, pixels, params))
            }
        }
    }

    /// Declares the parameters and initialises them for `data`.
    ///
    /// # Errors
    /// If the model needs more labelled images than there are.
    pub fn begin(&self, data: &Digits, params: &mut Params, noise: &mut Noise) -> Result<Box<dyn Model>> {
        let (images, mean) = (ImageFormat::of(data), data.train().pixel_means());
        let pixels = images.pixels();
        Ok(match self {
            ModelShape::Vae { .. } => Box::new(Vae::new(self.vae(pixels), &mean, params, noise)),
            ModelShape::Prediction { layers } => {
                let (upper, lower) = mean.split_at(pixels / 2);
                Box::new(Prediction::new(layers, upper, lower, params, noise))
            }
            ModelShape::BeliefNet { layers, link } => {
                Box::new(BeliefNet::new(layers, *link, &mean, params, noise))
            }
            ModelShape::FewLabels(shape) => {
                let size = [images.rows, images.cols];
                let mut model = FewLabels::declare(shape.clone(), size, images.classes, params);
                model.init(params, data.train(), &mean, noise)?;
                Box::new(model)
            }
            ModelShape::Classifier { hidden } => {
                Box::new(Classifier::new(hidden, images.classes, &mean, params, noise))
            }
        })
    }

    fn vae(&self, pixels: usize) -> VaeShape {
        match self.clone() {
            ModelShape::Vae { latents, encoder, decoder } => VaeShape { pixels, encoder, decoder, latents },
            _ => unreachable!("only of a VAE"),
        }
    }

    /// The widths of all its nets, each from first to last layer.
    fn nets(&self, images: ImageFormat) -> Vec<Vec<usize>> {
        let pixels = images.pixels();
        match self {
            ModelShape::Vae { .. } => self.vae(pixels).nets().to_vec(),
            ModelShape::Prediction { layers } => {
                vec![Prediction::widths(layers, pixels / 2, pixels - pixels / 2)]
            }
            ModelShape::BeliefNet { layers, link } => {
                BeliefNet::nets(layers, *link, pixels).into_iter().flatten().collect()
            }
            ModelShape::FewLabels(shape) => {
                let nets = shape.model(pixels, images.classes).nets();
                let inputs = nets.encoder_inputs.map(|(from, to)| vec![from, to]);
                [vec![nets.classifier, nets.encoder, nets.decoder], inputs.to_vec()].concat()
            }
            ModelShape::Classifier { hidden } => vec![sizes(pixels, hidden, images.classes)],
        }
    }

    /// The number of weights; `None` beyond what memory could hold.
    fn weights(&self, images: ImageFormat) -> Option<usize> {
        let mut total = 0usize;
        for net in self.nets(images) {
            for pair in net.windows(2) {
                total = total.checked_add(pair[0].checked_mul(pair[1])?)?;
            }
        }
        Some(total).filter(|&total| total <= MOST_WEIGHTS)
    }

    /// Checks that a model of this shape can be made for `images`.
    ///
    /// # Errors
    /// Names the first setting that cannot be used.
    pub fn check(&self, images: ImageFormat) -> Result<()> {
        let is_possible = |what: &str, number: usize| match number {
            0 => Err(Error::invalid(what, "at least 1", 0)),
            1..=MOST_WEIGHTS => Ok(()),
            _ => Err(Error::invalid(what, format!("at most {MOST_WEIGHTS}"), number)),
        };
        let few = |what: &str, layers: usize| match layers {
            0..=MOST_LAYERS => Ok(()),
            _ => Err(Error::invalid(what, format!("at most {MOST_LAYERS} layers"), layers)),
        };
        let all = |what: &str, widths: &[usize]| {
            few(what, widths.len())?;
            widths.iter().try_for_each(|&width| is_possible(what, width))
        };
        let variables = |variables: &Variables| {
            let what = if matches!(variables, Variables::Bits(_)) { "bits" } else { "latents" };
            is_possible(what, variables.count())?;
            match variables.values() {
                0 | 1 => Err(Error::invalid("classes", "at least 2", variables.values())),
                classes => is_possible("classes", classes),
            }
        };
        match self {
            ModelShape::Vae { latents, encoder, decoder } => {
                variables(latents).and_then(|()| all("hidden", encoder)).and_then(|()| all("hidden", decoder))
            }
            ModelShape::Prediction { layers } => {
                is_possible("layers", layers.len()).and_then(|()| few("layers", layers.len()))?;
                layers.iter().try_for_each(variables)
            }
            ModelShape::BeliefNet { layers, .. } => {
                is_possible("layers", layers.len()).and_then(|()| all("layers", layers))
            }
            ModelShape::FewLabels(shape) => {
                if shape.hidden.is_empty() {
                    return Err(Error::invalid("hidden", "at least one width for semi", "none"));
                }
                is_possible("latents", shape.latents).and_then(|()| all("hidden", &shape.hidden))?;
                shape.check()
            }
            ModelShape::Classifier { hidden } => all("hidden", hidden),
        }?;
        match self.weights(images) {
            Some(_) => Ok(()),
            None => Err(Error::invalid(self.name(), format!("at most {MOST_WEIGHTS} weights"), "more")),
        }
    }

    /// Checks, before allocating memory for the parameters, that the shape of a checkpoint can be made and
    /// that the checkpoint has the parameters.
    pub(crate) fn check_read(&self, images: ImageFormat, checkpoint: &Checkpoint) -> Result<()> {
        self.check(images).map_err(|error| checkpoint.unfit("settings that can be run", error))?;
        let mut params = Params::outline();
        self.declare(images, &mut params);
        params.ids().try_for_each(|id| checkpoint.shaped(params.name(id), params.shape(id)).map(drop))
    }

    /// Stores the shape in a checkpoint.
    pub(crate) fn write(&self, checkpoint: &mut Checkpoint) {
        checkpoint.set("model", self.name());
        let mut set = |key: &str, text: String| checkpoint.set(&format!("model.{key}"), text);
        match self {
            ModelShape::Vae { latents, encoder, decoder } => {
                set("latents", latents.code());
                set("encoder", join(encoder));
                set("decoder", join(decoder));
            }
            ModelShape::Prediction { layers } => {
                let codes: Vec<String> = layers.iter().map(|layer| layer.code()).collect();
                set("layers", codes.join(","));
            }
            ModelShape::BeliefNet { layers, link } => {
                set("layers", join(layers));
                set("link", link.to_string());
            }
            ModelShape::FewLabels(shape) => {
                set("latents", shape.latents.to_string());
                set("hidden", join(&shape.hidden));
                set("weight", shape.weight.to_string());
                set("shift", shape.shift.to_string());
                set(
                    "labels",
                    match shape.labels {
                        KnownLabels::OfEachClass(count) => count.to_string(),
                        KnownLabels::Random { images, classes } => format!("random,{images},{classes}"),
                    },
                );
                if let Some(Guidance { smoothness, radius, balance }) = shape.guidance {
                    set("guidance", format!("{smoothness},{radius},{balance}"));
                }
            }
            ModelShape::Classifier { hidden } => set("hidden", join(hidden)),
        }
    }

    /// Loads what [`write`](Self::write) stored.
    pub(crate) fn read(checkpoint: &Checkpoint) -> Result<ModelShape> {
        let name: String = checkpoint.text("model").map(str::to_owned).ok_or_else(|| {
            checkpoint.unfit("a checkpoint of vae, sbn, belief, semi or mlp", "one of another model")
        })?;
        Ok(match &name[..] {
            "vae" => ModelShape::Vae {
                latents: checkpoint.get("model.latents")?,
                encoder: list(checkpoint, "model.encoder")?,
                decoder: list(checkpoint, "model.decoder")?,
            },
            "sbn" => ModelShape::Prediction { layers: list(checkpoint, "model.layers")? },
            "belief" => ModelShape::BeliefNet {
                layers: list(checkpoint, "model.layers")?,
                link: checkpoint.get("model.link")?,
            },
            "semi" => ModelShape::FewLabels(FewLabelsShape {
                latents: checkpoint.get("model.latents")?,
                hidden: list(checkpoint, "model.hidden")?,
                labels: known_labels(checkpoint)?,
                weight: checkpoint.get("model.weight")?,
                shift: checkpoint.get("model.shift")?,
                guidance: guidance(checkpoint)?,
            }),
            "mlp" => ModelShape::Classifier { hidden: list(checkpoint, "model.hidden")? },
            _ => {
                let found = format_args!("one of `{name}`");
                return Err(checkpoint.unfit("a checkpoint of vae, sbn, belief, semi or mlp", found));
            }
        })
    }
}

/// Numbers as comma-separated text.
fn join(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// The comma-separated values of a setting.
fn list<T: FromStr>(checkpoint: &Checkpoint, key: &str) -> Result<Vec<T>> {
    let text: String = checkpoint.get(key)?;
    let values = text.split(',').filter(|value| !value.is_empty()).map(str::parse);
    let expected = format_args!("a readable setting `{key}`");
    values
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| checkpoint.unfit(expected, format_args!("`{text}`")))
}

fn known_labels(checkpoint: &Checkpoint) -> Result<KnownLabels> {
    let text: String = checkpoint.get("model.labels")?;
    match text.strip_prefix("random,").and_then(|numbers| numbers.split_once(',')) {
        None => checkpoint.get("model.labels").map(KnownLabels::OfEachClass),
        Some((images, classes)) => match (images.parse(), classes.parse()) {
            (Ok(images), Ok(classes)) => Ok(KnownLabels::Random { images, classes }),
            _ => Err(checkpoint.unfit("a readable setting `model.labels`", format_args!("`{text}`"))),
        },
    }
}

fn guidance(checkpoint: &Checkpoint) -> Result<Option<Guidance>> {
    if checkpoint.text("model.guidance").is_none() {
        return Ok(None);
    }
    match list(checkpoint, "model.guidance")?[..] {
        [smoothness, radius, balance] => Ok(Some(Guidance { smoothness, radius, balance })),
        _ => Err(checkpoint.unfit("three numbers in the setting `model.guidance`", "others")),
    }
}
