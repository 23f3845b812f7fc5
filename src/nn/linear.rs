//! A fully connected layer.

use crate::nn::Init;
use crate::noise::Noise;
use crate::params::{ParamId, Params};
use crate::var::{Activation, Var};

/// A layer y = activation(x W + b), with parameters `NAME.weight` `[inputs, outputs]` and `NAME.bias`
/// `[outputs]`.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    /// The weight `[inputs, outputs]`.
    pub weight: ParamId,
    /// The bias `[outputs]`.
    pub bias: ParamId,
    /// The function applied to x W + b.
    pub activation: Activation,
}

impl Linear {
    /// Declares both parameters and initialises them: see [`declare`](Self::declare) and
    /// [`init`](Self::init).
    ///
    /// # Panics
    /// If there are no inputs or no outputs, a parameter of that name exists, or a number of `init` is out of
    /// range.
    #[track_caller]
    pub fn new(
        params: &mut Params,
        name: &str,
        (inputs, outputs): (usize, usize),
        activation: Activation,
        init: Init,
        noise: &mut Noise,
    ) -> Linear {
        let layer = Linear::declare(params, name, (inputs, outputs), activation);
        layer.init(params, init, noise);
        layer
    }

    /// Declares both parameters, all 0. Values come from [`init`](Self::init) or from a checkpoint.
    ///
    /// # Panics
    /// If there are no inputs or no outputs, or a parameter of that name exists.
    #[track_caller]
    pub fn declare(
        params: &mut Params,
        name: &str,
        (inputs, outputs): (usize, usize),
        activation: Activation,
    ) -> Linear {
        assert!(
            inputs > 0 && outputs > 0,
            "Linear `{name}`: expected at least one input and one output, found {inputs} and {outputs}"
        );
        assert!(
            inputs.checked_mul(outputs).is_some(),
            "Linear `{name}`: {inputs} x {outputs} weights are too many"
        );
        Linear {
            weight: params.zeros(&format!("{name}.weight"), [inputs, outputs]),
            bias: params.zeros(&format!("{name}.bias"), [outputs]),
            activation,
        }
    }

    /// Draws the weight from `init` and sets the bias to 0.
    #[track_caller]
    pub fn init(&self, params: &mut Params, init: Init, noise: &mut Noise) {
        let &[inputs, outputs] = params.shape(self.weight).dims() else { unreachable!("a matrix") };
        params.value_mut(self.weight).copy_from_slice(&init.values(inputs, outputs, noise));
        params.value_mut(self.bias).fill(0.0);
    }

    /// The number of outputs.
    pub(crate) fn outputs(&self, params: &Params) -> usize {
        params.shape(self.bias).len()
    }

    /// The layer's value at `x` `[.., inputs]`. Two layers made from one [`ParamId`] share it, and its
    /// gradient is the sum of both.
    #[track_caller]
    pub fn forward<'t>(&self, params: &Params, x: Var<'t>) -> Var<'t> {
        let tape = x.tape();
        x.linear(params.on(tape, self.weight), params.on(tape, self.bias), self.activation)
    }

    /// The layer's value at x - mean, with `mean` `[inputs]`. It is computed as x W + (b - mean W), so that
    /// an `x` of zeros and ones stays one and its product stays cheap.
    #[track_caller]
    pub fn forward_centred<'t>(&self, params: &Params, x: Var<'t>, mean: Var<'t>) -> Var<'t> {
        let tape = x.tape();
        let (weight, bias) = (params.on(tape, self.weight), params.on(tape, self.bias));
        let shift = mean.reshape([1, mean.shape().len()]).linear(weight, -bias, Activation::Identity);
        x.linear(weight, -shift.reshape(bias.shape()), self.activation)
    }
}
