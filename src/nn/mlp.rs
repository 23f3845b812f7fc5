//! A stack of fully connected layers.

use crate::nn::{Init, Linear};
use crate::noise::Noise;
use crate::params::Params;
use crate::var::{Activation, Var};

/// Fully connected layers with one activation between them and none after the last.
///
/// ```
/// use reparam::nn::Mlp;
/// use reparam::{Activation, Noise, Params, Tape};
///
/// let mut params = Params::new();
/// let mlp = Mlp::new(&mut params, "net", &[2, 16, 4], Activation::Relu, &mut Noise::seed(1));
/// let tape = Tape::new();
/// let y = mlp.forward(&params, tape.input(&[0.5; 6], [3, 2]));
/// assert_eq!(y.shape().dims(), [3, 4]);
/// ```
#[derive(Clone, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// Declares layers `NAME.0`, `NAME.1`, ... between the `sizes` given, and initialises them: see
    /// [`declare`](Self::declare) and [`init`](Self::init).
    ///
    /// # Panics
    /// See [`declare`](Self::declare).
    #[track_caller]
    pub fn new(
        params: &mut Params,
        name: &str,
        sizes: &[usize],
        hidden: Activation,
        noise: &mut Noise,
    ) -> Mlp {
        let mlp = Mlp::declare(params, name, sizes, hidden);
        mlp.init(params, noise);
        mlp
    }

    /// Declares the layers, all parameters 0.
    ///
    /// # Panics
    /// If fewer than two sizes are given, one of them is 0, or the name is taken.
    #[track_caller]
    pub fn declare(params: &mut Params, name: &str, sizes: &[usize], hidden: Activation) -> Mlp {
        assert!(
            sizes.len() >= 2,
            "Mlp `{name}`: expected at least an input and an output size, found {sizes:?}"
        );
        assert!(!sizes.contains(&0), "Mlp `{name}`: expected sizes of at least 1, found {sizes:?}");
        let count = sizes.len() - 1;
        let mut layers = Vec::with_capacity(count);
        for i in 0..count {
            let activation = if i + 1 < count { hidden } else { Activation::Identity };
            let size = (sizes[i], sizes[i + 1]);
            layers.push(Linear::declare(params, &format!("{name}.{i}"), size, activation));
        }
        Mlp { layers }
    }

    /// Initialises all layers, each in the usual way before its activation.
    #[track_caller]
    pub fn init(&self, params: &mut Params, noise: &mut Noise) {
        for layer in &self.layers {
            layer.init(params, Init::before(layer.activation), noise);
        }
    }

    /// The last layer.
    pub(crate) fn last(&self) -> &Linear {
        self.layers.last().expect("at least one layer")
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Linear] {
        &self.layers
    }

    /// The last layer's value at `x` `[.., inputs]`.
    #[track_caller]
    pub fn forward<'t>(&self, params: &Params, x: Var<'t>) -> Var<'t> {
        forward_through(&self.layers, params, x)
    }

    /// The last layer's value at x - mean, with `mean` `[inputs]`. See [`Linear::forward_centred`].
    #[track_caller]
    pub fn forward_centred<'t>(&self, params: &Params, x: Var<'t>, mean: Var<'t>) -> Var<'t> {
        let (first, rest) = self.layers.split_first().expect("at least one layer");
        forward_through(rest, params, first.forward_centred(params, x, mean))
    }
}

/// Passes `x` through the layers. It is not a fold, because a mistake in a closure is not reported at the
/// caller's line.
#[track_caller]
fn forward_through<'t>(layers: &[Linear], params: &Params, mut x: Var<'t>) -> Var<'t> {
    for layer in layers {
        x = layer.forward(params, x);
    }
    x
}
