//! Temperatures: a number, or a scalar on the tape with its own gradient.

use reparam_ops::internal::scratch;
use smallvec::SmallVec;

use crate::gradients::InputGradients;
use crate::tape::Recorded;
use crate::var::Var;

/// The temperature of a relaxation: a positive number, or a scalar on the tape with its own gradient.
///
/// A model that learns its temperature should learn ln tau and pass `log_tau.exp()`, so that no step can
/// leave the domain.
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

/// The hint for a temperature that is out of range.
fn hint(tau: f32, op: &str) -> &'static str {
    match tau == 0.0 && !op.starts_with("st_") {
        true => "for the limit tau -> 0 use a straight-through op",
        false => "0.1 to 1 is usual",
    }
}

/// True if it is positive and finite, and kernels can multiply by its inverse.
pub(crate) fn is_temperature(tau: f32) -> bool {
    tau > 0.0 && tau.is_normal()
}

impl<'t> Temperature<'t> {
    /// Returns the number after checking that it is a single positive one whose inverse kernels can multiply
    /// by.
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
            is_temperature(tau),
            "{op}: tau must be finite and at least 1.2e-38, it is {tau}; {}",
            hint(tau, op)
        );
        tau
    }

    /// The op's inputs: `others`, then the temperature if it is on the tape.
    #[track_caller]
    pub(crate) fn inputs<const N: usize>(self, others: [Var<'t>; N]) -> SmallVec<[Var<'t>; 4]> {
        let mut inputs = SmallVec::from_slice(&others);
        if let Temperature::Variable(tau) = self {
            inputs.push(tau);
        }
        inputs
    }
}

/// True if the temperature is an input, after `others`, that wants its gradient.
pub(crate) fn wants_tau(node: Recorded<'_>, gradients: &InputGradients<'_>, others: usize) -> bool {
    node.inputs() > others && gradients.wants(others)
}

/// Runs `backward(want_tau, dlogits) -> dtau` and adds both gradients to the inputs.
pub(crate) fn backward_with_tau(
    node: Recorded<'_>,
    gradients: &mut InputGradients<'_>,
    backward: impl FnOnce(bool, &mut [f32]) -> f32,
) {
    let want_tau = wants_tau(node, gradients, 1);
    let dtau = match gradients.add_to(0) {
        Some(dlogits) => backward(want_tau, dlogits),
        // Only the temperature is learned, but the kernel still needs somewhere to put the logits' gradient.
        None => scratch::with(node.input(0).len(), |dlogits| {
            dlogits.fill(0.0);
            backward(want_tau, dlogits)
        }),
    };
    add_tau(gradients, 1, want_tau.then_some(dtau));
}

/// Adds the temperature's gradient, if there is one, to the input after `others`.
pub(crate) fn add_tau(gradients: &mut InputGradients<'_>, others: usize, dtau: Option<f32>) {
    if let Some(dtau) = dtau {
        gradients.add_to(others).expect("it wants its gradient")[0] += dtau;
    }
}
