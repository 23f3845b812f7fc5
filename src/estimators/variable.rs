//! The discrete variables that an estimator treats: rows of independent ones, given by logits.

use std::fmt;

use crate::distributions::{Bernoulli, OneHot};
use crate::noise::Noise;
use crate::var::Var;

/// Rows of independent discrete variables, given by their logits.
#[derive(Clone, Copy, Debug)]
pub enum Discrete<'t> {
    /// Bits with logits `[rows, variables]`: z is 1 with probability sigmoid(logit).
    Bernoulli(Var<'t>),
    /// One-hot vectors with logits `[rows, variables, classes]`: z is class k with probability softmax(logits)_k.
    Categorical(Var<'t>),
}

/// How many variables a row has, and of how many classes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// Variables of a row.
    pub variables: usize,
    /// Classes of each; `None` for bits, which are one number instead of one per class.
    pub classes: Option<usize>,
}

impl Kind {
    /// The number of states of a row; `None` where it does not fit 64 bits.
    pub fn states(self) -> Option<u64> {
        (self.classes.unwrap_or(2) as u64).checked_pow(u32::try_from(self.variables).ok()?)
    }

    /// Numbers in a row.
    pub fn elements(self) -> usize {
        self.variables * self.classes.unwrap_or(1)
    }

    /// Variables of this kind with logits that come as rows `[rows, elements]`, from a layer for example.
    ///
    /// # Panics
    /// If the number of logits is not that of whole rows.
    #[track_caller]
    pub fn with_logits(self, logits: Var<'_>) -> Discrete<'_> {
        let (len, elements) = (logits.shape().len(), self.elements());
        assert!(
            elements > 0 && len.is_multiple_of(elements),
            "{self} have {elements} logits a row; {} do not make whole rows",
            logits.shape()
        );
        let rows = len / elements;
        match self.classes {
            None => Discrete::Bernoulli(logits.reshape([rows, self.variables])),
            Some(classes) => Discrete::Categorical(logits.reshape([rows, self.variables, classes])),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.classes {
            Some(classes) => write!(f, "{} categorical variable(s) of {classes} classes", self.variables),
            None => write!(f, "{} bit(s)", self.variables),
        }
    }
}

impl<'t> Discrete<'t> {
    /// The same kind of variables with other logits.
    pub fn with_logits(self, logits: Var<'t>) -> Discrete<'t> {
        match self {
            Discrete::Bernoulli(_) => Discrete::Bernoulli(logits),
            Discrete::Categorical(_) => Discrete::Categorical(logits),
        }
    }

    /// The logits.
    pub fn logits(self) -> Var<'t> {
        match self {
            Discrete::Bernoulli(logits) | Discrete::Categorical(logits) => logits,
        }
    }

    /// Variables and classes of a row.
    ///
    /// # Panics
    /// If the logits are not `[rows, variables]` or `[rows, variables, classes]`.
    #[track_caller]
    pub fn kind(self) -> Kind {
        let shape = self.logits().shape();
        match (self, shape.dims()) {
            (Discrete::Bernoulli(_), &[_, variables]) if variables > 0 => Kind { variables, classes: None },
            (Discrete::Categorical(_), &[_, variables, classes]) if variables * classes > 0 => {
                Kind { variables, classes: Some(classes) }
            }
            (Discrete::Bernoulli(_), _) => {
                panic!("Bernoulli logits must be [rows, variables], they are {shape}")
            }
            (Discrete::Categorical(_), _) => {
                panic!("categorical logits must be [rows, variables, classes], they are {shape}")
            }
        }
    }

    /// Number of rows.
    #[track_caller]
    pub fn rows(self) -> usize {
        self.logits().shape().dims()[0]
    }

    /// An exact sample without a gradient, of the logits' shape.
    #[track_caller]
    pub fn sample(self, noise: &mut Noise) -> Var<'t> {
        match self {
            Discrete::Bernoulli(logits) => Bernoulli::new(logits).sample(noise),
            Discrete::Categorical(logits) => OneHot::new(logits).sample(noise),
        }
    }

    /// The most probable value of each variable, without a gradient, of the logits' shape.
    #[track_caller]
    pub fn mode(self) -> Var<'t> {
        match self {
            Discrete::Bernoulli(logits) => Bernoulli::new(logits).mode(),
            Discrete::Categorical(logits) => OneHot::new(logits).mode(),
        }
    }

    /// The probability of each bit or class, of the logits' shape.
    #[track_caller]
    pub fn probs(self) -> Var<'t> {
        match self {
            Discrete::Bernoulli(logits) => Bernoulli::new(logits).probs(),
            Discrete::Categorical(logits) => OneHot::new(logits).probs(),
        }
    }

    /// The log-probability of hard values z, per variable: `[rows, variables]`.
    #[track_caller]
    pub fn log_prob_of_each(self, z: Var<'t>) -> Var<'t> {
        match self {
            Discrete::Bernoulli(logits) => Bernoulli::new(logits).log_prob(z),
            Discrete::Categorical(logits) => OneHot::new(logits).log_prob(z),
        }
    }

    /// The log-probability of hard values z, per row: `[rows]`.
    #[track_caller]
    pub fn log_prob(self, z: Var<'t>) -> Var<'t> {
        self.log_prob_of_each(z).sum_axis(1)
    }

    /// Bits as categorical variables of two classes, of which the first means 1; categorical ones as they are.
    #[track_caller]
    pub fn as_categorical(self) -> Var<'t> {
        match self {
            Discrete::Bernoulli(logits) => {
                let (rows, variables) = (self.rows(), self.kind().variables);
                let zeros = logits.tape().input_with([rows, variables, 1], |zeros| zeros.fill(0.0));
                Var::concat(&[logits.reshape([rows, variables, 1]), zeros], 2)
            }
            Discrete::Categorical(logits) => logits,
        }
    }

    /// Values of [`as_categorical`](Self::as_categorical)'s variables in this variable's own form.
    #[track_caller]
    pub fn from_categorical(self, z: Var<'t>) -> Var<'t> {
        match self {
            Discrete::Bernoulli(logits) => z.slice(2, 0..1).reshape(logits.shape()),
            Discrete::Categorical(_) => z,
        }
    }
}

/// All axes but the first as one: `[rows, elements]`, also where there are no rows.
pub(super) fn flat_rows(x: Var<'_>) -> Var<'_> {
    let shape = x.shape();
    let (rows, of_row) = shape.dims().split_first().expect("an axis of rows");
    x.reshape([*rows, of_row.iter().product()])
}

/// The sum over all axes but the first: `[rows]`.
pub(super) fn sum_of_row(x: Var<'_>) -> Var<'_> {
    flat_rows(x).sum_axis(1)
}

/// One number per row `[rows]`, to be multiplied with values of the logits' shape.
pub(super) fn over_row<'t>(x: Var<'t>, logits: Var<'t>) -> Var<'t> {
    let mut shape = vec![1; logits.shape().rank()];
    shape[0] = x.shape().len();
    x.reshape(&shape[..])
}

/// softmax in f64, row by row.
pub(crate) fn softmax_in_f64(logits: &[f32], classes: usize) -> Vec<f64> {
    let mut probs = Vec::with_capacity(logits.len());
    for row in logits.chunks_exact(classes) {
        let largest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let powers = row.iter().map(|&x| (f64::from(x) - largest).exp());
        let total: f64 = powers.clone().sum();
        probs.extend(powers.map(|power| power / total));
    }
    probs
}
