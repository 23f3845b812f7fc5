//! The best parameters of a run so far, by its scores on the validation split.

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::params::Params;

/// Parameters and the score they reached. Lower is better.
#[derive(Debug)]
pub(super) struct Best {
    /// Steps done when they were scored.
    pub(super) step: u64,
    pub(super) score: f64,
    params: Vec<Vec<f32>>,
}

impl Best {
    /// Replaces `best` with `params` if there is none yet, if its score is NaN, or if `score` is lower.
    pub(super) fn keep(best: &mut Option<Best>, step: u64, score: f64, params: &Params) {
        if best.as_ref().is_none_or(|best| score < best.score || best.score.is_nan()) {
            let params = params.ids().map(|id| params.value(id).to_vec()).collect();
            *best = Some(Best { step, score, params });
        }
    }

    /// Copies the kept values into `params`.
    pub(super) fn put_back(&self, params: &mut Params) {
        for (id, kept) in params.ids().zip(&self.params) {
            params.value_mut(id).copy_from_slice(kept);
        }
    }

    pub(super) fn write(&self, params: &Params, checkpoint: &mut Checkpoint) {
        checkpoint.set("best.step", self.step);
        checkpoint.set("best.score", self.score);
        params.save_values("best.", self.params.iter().map(|value| &value[..]), checkpoint);
    }

    /// Loads what [`write`](Self::write) stored, if anything.
    pub(super) fn read(checkpoint: &Checkpoint, params: &Params) -> Result<Option<Best>> {
        if checkpoint.text("best.step").is_none() {
            return Ok(None);
        }
        let params = params.saved_values("best.", checkpoint)?.into_iter().map(<[f32]>::to_vec).collect();
        let (step, score) = (checkpoint.get("best.step")?, checkpoint.get("best.score")?);
        Ok(Some(Best { step, score, params }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;

    #[test]
    fn the_lowest_number_is_kept_and_comes_back() {
        let mut params = Params::new();
        let weight = params.add("weight", Shape::from([1]), vec![0.0]);
        let mut best = None;
        for (step, score) in [(1, f64::NAN), (2, 5.0), (3, 6.0), (4, f64::NAN), (5, 4.0), (6, 4.0)] {
            params.value_mut(weight)[0] = step as f32;
            Best::keep(&mut best, step, score, &params);
        }
        let mut checkpoint = Checkpoint::new();
        best.expect("one was kept").write(&params, &mut checkpoint);
        let Ok(Some(read)) = Best::read(&checkpoint, &params) else { panic!("it was written") };
        assert_eq!((read.step, read.score), (5, 4.0));
        read.put_back(&mut params);
        assert_eq!(params.value(weight), [5.0]);
    }
}
