//! `categorical`: exact one-hot samples of categorical variables, without a gradient.

use reparam_ops::categorical as kernel;

use crate::gradients::InputGradients;
use crate::noise::{NoiseSource, draws_for};
use crate::tape::{Recorded, Rule};
use crate::var::{Var, tier};

/// y = one-hot of argmax(logits + g), a constant.
#[derive(Debug)]
struct Categorical;

impl Rule for Categorical {
    fn name(&self) -> &'static str {
        "categorical"
    }
    fn backward(&self, _node: Recorded<'_>, _gradients: &mut InputGradients<'_>) {}
}

/// # Samples of classes: hard, one-hot
impl<'t> Var<'t> {
    /// An exact one-hot sample of a categorical variable for each row: the one-hot vector of argmax(logits +
    /// g) with standard Gumbel noise g. It is class k with probability softmax(logits)_k. `self` holds logits
    /// `[.., classes]`, and one draw is taken per logit. A class masked with -inf is never drawn; ties take
    /// the lowest index. It has no gradient, as score-function estimators require.
    ///
    /// With the same draws, [`gumbel_max`](Self::gumbel_max) gives the position of the 1, and
    /// [`st_categorical`](Self::st_categorical) is the same sample with a gradient.
    ///
    /// # Panics
    /// If a row is fully masked, or the number of injected draws is not the number of logits.
    ///
    /// # Examples
    /// ```
    /// use reparam::{Noise, Tape};
    ///
    /// let tape = Tape::new();
    /// let logits = tape.variable(&[0.0, 1.0, f32::NEG_INFINITY], [1, 3]);
    /// let z = logits.categorical(&mut Noise::seed(1));
    /// assert!(z.to_vec() == [1.0, 0.0, 0.0] || z.to_vec() == [0.0, 1.0, 0.0]);
    /// assert!(!z.is_tracked());
    /// ```
    ///
    /// # Source
    /// Gumbel 1954; Maddison, Tarlow, Minka 2014, section 2.
    #[track_caller]
    pub fn categorical(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        const OP: &str = "categorical";
        let shape = self.shape();
        let (classes, draws) = (self.classes(OP), draws_for(OP, noise, shape.len()));
        self.record_rows(Categorical, &[self.stop_gradient()], shape, |x, y| {
            kernel::forward(tier(), draws, &x[0], classes, y)
        })
    }
}
