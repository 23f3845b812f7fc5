//! A model with its parameters, as a checkpoint holds it.

use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::data::{Digits, SplitKind};
use crate::error::{Error, Result};
use crate::noise::Noise;
use crate::params::Params;
use crate::shape::Shape;
use crate::train::{Images, ModelKind, Record, Scores, Settings, Task};

/// A model, its parameters, and what they were made from.
#[derive(Debug)]
pub struct Trained {
    /// The settings of its run.
    pub settings: Settings,
    /// Steps it was trained for.
    pub step: u64,
    /// The images it is for.
    pub images: Images,
    /// The model.
    pub task: Task,
    /// Its parameters.
    pub params: Params,
}

impl Trained {
    /// The model in the checkpoint at `path`, whatever data is at hand.
    ///
    /// # Errors
    /// If the file cannot be read or is not a whole checkpoint.
    pub fn load(path: &Path) -> Result<Trained> {
        Trained::read(&Checkpoint::load(path)?)
    }

    /// Checks that the model can be used on that data.
    ///
    /// # Errors
    /// If the images have another size, or labels that a model which reads them does not know.
    pub fn check_fits(&self, data: &Digits) -> Result<()> {
        let [rows, cols] = self.images.size;
        let found = [data.train().rows(), data.train().cols()];
        if found != self.images.size {
            let expected = format!("images of {rows} x {cols} pixels, as the model was trained on");
            return Err(Error::invalid("the data", expected, format!("{} x {}", found[0], found[1])));
        }
        let reads_labels = matches!(self.task, Task::Semi(_) | Task::Mlp(_));
        if reads_labels && data.classes() > self.images.classes {
            let expected = format!("at most the {} classes the model was trained on", self.images.classes);
            return Err(Error::invalid("the data", expected, data.classes()));
        }
        Ok(())
    }

    /// A record of scores of this model, which is trained on so many images.
    pub fn record(&self, split: SplitKind, training_images: usize, samples: usize, scores: Scores) -> Record {
        let last = self.step.saturating_sub(1);
        Record {
            step: self.step,
            epoch: self.step * self.settings.batch as u64 / training_images.max(1) as u64,
            split,
            samples,
            tau: (self.settings.model != ModelKind::Mlp).then(|| self.settings.tau.at(last)),
            learning_rate: self.settings.learning_rate.at(last),
            scores,
        }
    }

    pub(crate) fn write(&self, checkpoint: &mut Checkpoint) {
        self.settings.write(checkpoint);
        checkpoint.set("step", self.step);
        let [rows, cols] = self.images.size;
        checkpoint.set("images.rows", rows);
        checkpoint.set("images.cols", cols);
        checkpoint.set("images.classes", self.images.classes);
        self.params.save("", checkpoint);
    }

    fn read(checkpoint: &Checkpoint) -> Result<Trained> {
        let settings = Settings::read(checkpoint)?;
        let size: [usize; 2] = [checkpoint.get("images.rows")?, checkpoint.get("images.cols")?];
        let pixels = size[0].saturating_mul(size[1]);
        let pixel_mean = match settings.model {
            // Of the lower half nothing is kept: its mean is where the last bias began.
            ModelKind::Sbn => {
                let upper = checkpoint.shaped("input_mean", &Shape::from([pixels / 2]))?;
                let lower = std::iter::repeat_n(0.5, pixels - pixels / 2);
                upper.iter().copied().chain(lower).collect()
            }
            _ => checkpoint.shaped("pixel_mean", &Shape::from([pixels]))?.to_vec(),
        };
        let images = Images { size, pixel_mean, classes: checkpoint.get("images.classes")? };
        if pixels == 0 || !(1..=256).contains(&images.classes) {
            let found = format!("{} x {} pixels, {} classes", size[0], size[1], images.classes);
            return Err(checkpoint.unfit("images that can be", found));
        }
        settings.check_read(pixels, checkpoint)?;
        let mut params = Params::new();
        let task = Task::new(&settings, &images, &mut params, &mut Noise::seed(settings.seed));
        params.restore("", checkpoint)?;
        Ok(Trained { settings, step: checkpoint.get("step")?, images, task, params })
    }
}
