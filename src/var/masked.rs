//! `masked`: a value with one number at the masked positions, where no gradient passes.

use reparam_ops::masked as kernel;

use crate::gradients::InputGradients;
use crate::tape::{Recorded, Rule};
use crate::var::Var;

/// y = x, except for one number at the masked positions, which get no gradient. The positions are the second
/// input.
#[derive(Debug)]
struct Masked;

impl Rule for Masked {
    fn name(&self) -> &'static str {
        "masked"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dx) = gradients.add_to(0) {
            kernel::backward(bytemuck::cast_slice(node.input(1)), node.gradient(), dx);
        }
    }
}

/// # Masks
impl<'t> Var<'t> {
    /// x with `fill` wherever `mask` is true. The gradient passes where the mask is false and is exactly 0
    /// elsewhere, even where x or the incoming gradient is infinite or NaN. Unlike a product with 0, a mask
    /// removes what is not finite. The mask has an entry for each element, row-major. If it is false
    /// everywhere, the result is x itself and nothing is recorded.
    ///
    /// PyTorch calls it `masked_fill`, NumPy and JAX `where`. Logits are masked with a fill of -inf.
    ///
    /// # Saved
    /// The masked positions, as a leaf of the tape.
    ///
    /// # Panics
    /// If the number of entries in the mask is not the number of elements.
    ///
    /// # Examples
    /// ```
    /// use reparam::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable(&[3.0, f32::NAN, 5.0], [3]);
    /// let y = x.masked(&[false, true, false], 0.0);
    /// assert_eq!(y.to_vec(), [3.0, 0.0, 5.0]);
    /// assert_eq!(y.square().sum().backward().of(x).unwrap(), [6.0, 0.0, 10.0]);
    /// ```
    #[doc(alias = "masked_fill")]
    #[doc(alias = "where")]
    #[track_caller]
    pub fn masked(self, mask: &[bool], fill: f32) -> Var<'t> {
        let shape = self.shape();
        assert!(
            mask.len() == shape.len(),
            "masked: {} entries in the mask of a value of shape {shape}; one per element is needed, {}",
            mask.len(),
            shape.len()
        );
        self.masked_at(fill, || (0..mask.len()).filter(|&i| mask[i]))
    }

    /// Like [`masked`](Self::masked), at the elements that meet a condition.
    #[track_caller]
    pub(crate) fn masked_where(self, fill: f32, condition: impl Fn(f32) -> bool) -> Var<'t> {
        let condition = &condition;
        self.masked_at(fill, || {
            let x = self.value();
            (0..x.len()).filter(move |&i| condition(x[i]))
        })
    }

    /// [`masked`](Self::masked) at ascending positions. `positions` is called twice, so that a mask of values
    /// on a tape need not be copied.
    #[track_caller]
    pub(crate) fn masked_at<I: Iterator<Item = usize>>(
        self,
        fill: f32,
        positions: impl Fn() -> I,
    ) -> Var<'t> {
        let count = positions().count();
        if count == 0 {
            return self;
        }
        let mask = self.tape().indices_with(count, |mask| {
            mask.iter_mut().zip(positions()).for_each(|(place, position)| *place = position as u32);
        });
        self.tape().record(Masked, &[self, mask], self.shape(), |x, y| {
            kernel::forward(bytemuck::cast_slice(&x[1]), fill, &x[0], y);
        })
    }
}
