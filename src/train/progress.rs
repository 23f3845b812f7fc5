//! Where a run stands, whatever it trains: its optimizer, its data, its noise, and the best parameters so far.

use crate::checkpoint::Checkpoint;
use crate::data::Batches;
use crate::error::{Error, Result};
use crate::gradients::Gradients;
use crate::noise::Noise;
use crate::optim::Optimizer;
use crate::params::Params;
use crate::tape::Tape;
use crate::train::best::Best;

pub(super) struct Progress {
    pub(super) optimizer: Box<dyn Optimizer>,
    pub(super) batches: Batches,
    pub(super) noise: Noise,
    /// The same at every evaluation.
    pub(super) evaluation_noise: Noise,
    pub(super) best: Option<Best>,
    pub(super) tape: Tape,
}

impl Progress {
    /// That of a run at its first step over so many training images, and the noise its parameters begin with.
    pub(super) fn new(
        seed: u64,
        batch: usize,
        images: usize,
        optimizer: Box<dyn Optimizer>,
    ) -> Result<(Progress, Noise)> {
        if batch > images {
            return Err(Error::invalid("batch", format!("at most the {images} training images"), batch));
        }
        let mut root = Noise::seed(seed);
        let (init, order, noise, evaluation_noise) = (root.split(), root.split(), root.split(), root.split());
        let batches = Batches::new(images, order);
        Ok((Progress { optimizer, batches, noise, evaluation_noise, best: None, tape: Tape::new() }, init))
    }

    /// Ends a step: the tape lets go of the parameters, and the optimizer moves them.
    pub(super) fn update(&mut self, params: &mut Params, gradients: &Gradients, learning_rate: f64) {
        self.tape.reset();
        self.optimizer.set_learning_rate(learning_rate);
        self.optimizer.step(params, gradients);
    }

    /// Puts the best parameters back, if some were kept.
    pub(super) fn keep_best(&self, params: &mut Params) {
        if let Some(best) = &self.best {
            best.put_back(params);
        }
    }

    /// All but the parameters themselves, which are the model's.
    pub(super) fn write(&self, params: &Params, checkpoint: &mut Checkpoint) {
        self.noise.save("noise.", checkpoint);
        self.batches.save("order.", checkpoint);
        self.optimizer.save("optimizer.", params, checkpoint);
        if let Some(best) = &self.best {
            best.write(params, checkpoint);
        }
    }

    /// Takes up what [`write`](Self::write) put there.
    pub(super) fn read(&mut self, params: &Params, checkpoint: &Checkpoint) -> Result<()> {
        self.noise.restore("noise.", checkpoint)?;
        self.batches.restore("order.", checkpoint)?;
        self.optimizer.restore("optimizer.", params, checkpoint)?;
        self.best = Best::read(checkpoint, params)?;
        Ok(())
    }
}
