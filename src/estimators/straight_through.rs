//! Straight-through estimators: the hard sample, differentiated as if it were a smooth function of the
//! logits.

use super::registry::Entry;
use super::{Estimator, Trial, check_temperature, demand};
use crate::checkpoint::Checkpoint;
use crate::var::Var;
use crate::variables::Variables;

/// The smooth function that a hard sample is differentiated as.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Surrogate {
    /// The logits themselves. Their gradient is the sample's. Infinite logits get none.
    Identity,
    /// softmax(logits / tau), or sigmoid(logits / tau) for bits. With tau annealed from 1 to 1 / s the slope
    /// grows from 1 to s, over a run of any length.
    Softmax(f32),
    /// (1 + clamp(logit, -1, 1)) / 2: half the gradient between -1 and 1, none outside. For bits.
    HardTanh,
    /// sigmoid or softmax of the logits times a slope that grows with every call: slope = min(`most`, 1 +
    /// `growth` calls).
    SlopeAnnealed {
        /// The growth of the slope per call.
        growth: f32,
        /// The largest slope.
        most: f32,
    },
}

/// The hard sample with the gradient of a surrogate, which contains no noise.
///
/// # Source
/// Y. Bengio, N. Léonard, A. Courville 2013, section 4 (identity, sigmoid); M. Courbariaux et al., "Binarized
/// Neural Networks", 2016, equation 4 (hard tanh); J. Chung, S. Ahn, Y. Bengio, "Hierarchical Multiscale
/// Recurrent Neural Networks", ICLR 2017, section 2.3 (slope annealing).
#[derive(Clone, Copy, Debug)]
pub struct StraightThrough {
    surrogate: Surrogate,
    calls: u32,
    frozen: bool,
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        form: "st-identity",
        type_name: "StraightThrough",
        summary: "the sample's gradient is passed to the logits unchanged",
        variables: "both",
        unbiased: "no",
        evaluations: "1",
        usual: &["st-identity"],
        make: |_| Ok(Box::new(StraightThrough::new(Surrogate::Identity))),
    },
    Entry {
        form: "st-softmax:TAU",
        type_name: "StraightThrough",
        summary: "the sample is differentiated as its probabilities, softmax(logits / TAU)",
        variables: "both",
        unbiased: "no",
        evaluations: "1",
        usual: &["st-softmax:1", "st-softmax:2"],
        make: |parameters| Ok(Box::new(StraightThrough::new(Surrogate::Softmax(parameters.temperature(0)?)))),
    },
    Entry {
        form: "st-hard-tanh",
        type_name: "StraightThrough",
        summary: "the sample is differentiated as a ramp between logits -1 and 1",
        variables: "bits",
        unbiased: "no",
        evaluations: "1",
        usual: &["st-hard-tanh"],
        make: |_| Ok(Box::new(StraightThrough::new(Surrogate::HardTanh))),
    },
    Entry {
        form: "st-slope-annealed",
        type_name: "StraightThrough",
        summary: "the sample is differentiated as its probabilities, with a slope that grows",
        variables: "both",
        unbiased: "no",
        evaluations: "1",
        usual: &["st-slope-annealed"],
        make: |_| Ok(Box::new(StraightThrough::new(Surrogate::SlopeAnnealed { growth: 1e-4, most: 5.0 }))),
    },
];

impl Surrogate {
    /// Checks the temperature or the slope.
    ///
    /// # Errors
    /// A sentence that says what they must be.
    fn check(self) -> Result<(), String> {
        let is_number = |from: f32, number: f32| number >= from && number.is_finite();
        match self {
            Surrogate::Softmax(tau) => check_temperature(tau),
            Surrogate::SlopeAnnealed { growth, most }
                if !is_number(0.0, growth) || !is_number(f32::MIN_POSITIVE, most) =>
            {
                Err(format!(
                    "the slope must grow from 1 to a positive number, found growth {growth} to {most}; use st-slope-annealed"
                ))
            }
            _ => Ok(()),
        }
    }
}

impl StraightThrough {
    /// Uses this surrogate.
    ///
    /// # Panics
    /// If its temperature is not positive and finite, the growth of its slope is negative or not finite, or
    /// its largest slope is not positive and finite.
    #[track_caller]
    pub fn new(surrogate: Surrogate) -> StraightThrough {
        demand("StraightThrough::new", surrogate.check());
        StraightThrough { surrogate, calls: 0, frozen: false }
    }
}

impl Estimator for StraightThrough {
    fn name(&self) -> String {
        match self.surrogate {
            Surrogate::Identity => "st-identity".to_owned(),
            Surrogate::Softmax(tau) => format!("st-softmax:{tau}"),
            Surrogate::HardTanh => "st-hard-tanh".to_owned(),
            Surrogate::SlopeAnnealed { .. } => "st-slope-annealed".to_owned(),
        }
    }

    fn is_unbiased(&self) -> bool {
        false
    }

    fn check(&self, variables: Variables) -> Result<(), String> {
        match (self.surrogate, variables) {
            (Surrogate::HardTanh, Variables::Categories { .. }) => {
                Err(format!("it works on bits, and was given {variables}; use st-softmax:1 or st-identity"))
            }
            _ => self.surrogate.check(),
        }
    }

    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let variables = trial.logits();
        let logits = variables.var();
        // Infinite logits, masked or certain, get no gradient.
        let finite = || logits.masked_where(0.0, f32::is_infinite);
        let soft = match self.surrogate {
            Surrogate::Identity => finite(),
            Surrogate::Softmax(tau) => variables.with(logits / tau).probs(),
            Surrogate::HardTanh => ((finite() + 1.0).relu() - (finite() - 1.0).relu()) * 0.5,
            Surrogate::SlopeAnnealed { growth, most } => {
                let slope = (1.0 + growth * self.calls as f32).min(most);
                variables.with(logits * slope).probs()
            }
        };
        if !self.frozen {
            self.calls = self.calls.saturating_add(1);
        }
        let z = trial.sample().with_gradient_of(soft);
        trial.loss(z)
    }

    fn set_temperature(&mut self, tau: f32) -> bool {
        let Surrogate::Softmax(own) = &mut self.surrogate else { return false };
        *own = tau;
        true
    }

    fn adapts(&self) -> bool {
        matches!(self.surrogate, Surrogate::SlopeAnnealed { .. })
    }

    fn freeze(&mut self) {
        self.frozen = true;
    }

    fn save(&self, prefix: &str, checkpoint: &mut Checkpoint) {
        checkpoint.set(&format!("{prefix}calls"), self.calls);
    }

    fn restore(&mut self, prefix: &str, _variables: Variables, checkpoint: &Checkpoint) -> crate::Result<()> {
        self.calls = checkpoint.get(&format!("{prefix}calls"))?;
        Ok(())
    }
}
