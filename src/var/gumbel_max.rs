//! `gumbel_max`: exact categorical samples as class indices.

use reparam_ops::gumbel_max as kernel;

use crate::noise::{NoiseSource, draws_for};
use crate::var::{Var, tier};

/// # Samples of classes: hard, as indices
impl<'t> Var<'t> {
    /// An exact sample of a categorical variable for each row, as a class index: argmax(logits + g),
    /// distributed as softmax(logits). `self` holds logits `[.., classes]`, and one draw is taken per logit.
    /// Nothing is recorded, so there is no gradient. A class masked with -inf is never drawn; ties take the
    /// lowest index.
    ///
    /// With the same draws, [`categorical`](Self::categorical), [`st_categorical`](Self::st_categorical) and
    /// [`st_gumbel_softmax`](Self::st_gumbel_softmax) put their 1 at this index.
    ///
    /// # Panics
    /// If a row is fully masked, a logit is NaN, or the number of injected draws is not the number of logits.
    ///
    /// # Examples
    /// ```
    /// use reparam::{Noise, Tape};
    ///
    /// let tape = Tape::new();
    /// let logits = tape.input(&[0.0, f32::NEG_INFINITY, f32::NEG_INFINITY, 0.0], [2, 2]);
    /// assert_eq!(logits.gumbel_max(&mut Noise::seed(1)), [0, 1]);
    /// ```
    ///
    /// # Source
    /// Gumbel 1954; Maddison, Tarlow, Minka 2014, section 2.
    #[track_caller]
    pub fn gumbel_max(self, noise: &mut (impl NoiseSource + ?Sized)) -> Vec<u32> {
        const OP: &str = "gumbel_max";
        let (shape, classes) = (self.shape(), self.classes(OP));
        let draws = draws_for(OP, noise, shape.len());
        self.panic_on_nan(OP);
        let mut index = vec![0; shape.rows().len()];
        let checked = kernel::forward(tier(), draws, &self.value(), classes, &mut index);
        self.unless_masked(OP, checked);
        index
    }

    /// Panics if a number is NaN, because a class index would hide it.
    #[track_caller]
    pub(crate) fn panic_on_nan(self, op: &str) {
        let has_nan = self.value().iter().fold(false, |some, logit| some | logit.is_nan());
        assert!(
            !has_nan,
            "{op}: a logit is NaN, which a class index would hide; tape.check_finite() finds where it began"
        );
    }
}
