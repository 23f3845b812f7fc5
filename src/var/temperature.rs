//! Temperatures: a number, or a scalar on the tape with a gradient of its own.

use smallvec::SmallVec;

use crate::gradients::InputGradients;
use crate::tape::Recorded;
use crate::var::Var;

/// The temperature of a relaxation: a positive number, or a scalar on the tape with a gradient of its own.
///
/// A model that learns its temperature should learn ln tau and pass `log_tau.exp()`, so that no step can leave the
/// domain.
#[derive(Clone, Copy, Debug)]
pub enum Temperature<'t> {
    /// A number.
    Fixed(f32),
    /// A scalar on the tape.
    Variable(Var<'t>),
}

impl From<f32> for Temperature<'_> {
    fn from(tau: f32) -> Self {
        Temperature::Fixed(tau)
    }
}

impl<'t> From<Var<'t>> for Temperature<'t> {
    fn from(tau: Var<'t>) -> Self {
        Temperature::Variable(tau)
    }
}

impl<'t> Temperature<'t> {
    /// The number, after checking that it is one, positive and finite.
    #[track_caller]
    pub(crate) fn check(self, op: &str) -> f32 {
        let tau = match self {
            Temperature::Fixed(tau) => tau,
            Temperature::Variable(tau) => {
                assert!(tau.shape().len() == 1, "{op}: tau must be one number, its shape is {}", tau.shape());
                tau.item()
            }
        };
        assert!(
            tau > 0.0 && tau.is_finite(),
            "{op}: tau must be positive and finite, it is {tau}; for the limit tau -> 0 use a straight-through op"
        );
        tau
    }

    /// The op's inputs: `x` alone, or with the temperature behind it.
    pub(crate) fn inputs(self, x: Var<'t>) -> SmallVec<[Var<'t>; 2]> {
        match self {
            Temperature::Fixed(_) => smallvec::smallvec![x],
            Temperature::Variable(tau) => smallvec::smallvec![x, tau],
        }
    }
}

/// Whether the temperature is an input that wants its gradient.
pub(crate) fn wants_tau(node: Recorded<'_>, gradients: &InputGradients<'_>) -> bool {
    node.inputs() > 1 && gradients.wants(1)
}

/// Runs `backward(want_tau, dlogits) -> dtau` and puts both gradients where they belong.
pub(crate) fn backward_with_tau(
    node: Recorded<'_>,
    gradients: &mut InputGradients<'_>,
    backward: impl FnOnce(bool, &mut [f32]) -> f32,
) {
    let want_tau = wants_tau(node, gradients);
    let dtau = match gradients.add_to(0) {
        Some(dlogits) => backward(want_tau, dlogits),
        // Only the temperature is learned: the kernel still needs somewhere to put the logits' gradient.
        None => backward(want_tau, &mut vec![0.0; node.input(0).len()]),
    };
    if want_tau {
        gradients.add_to(1).expect("it wants its gradient")[0] += dtau;
    }
}
