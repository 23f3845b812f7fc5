//! `gaussian_rsample` and `gaussian_kl_standard`: normal variables given by mean and ln(standard deviation).

use reparam_ops::elementwise::add_scaled;
use reparam_ops::gaussian as kernel;

use crate::gradients::InputGradients;
use crate::noise::{NoiseSource, Replay, normals_for};
use crate::tape::{Recorded, Rule};
use crate::var::{Var, one_shape, tier};

/// z = mean + e^log_std eps; the backward pass takes the noise again.
#[derive(Debug)]
struct GaussianRsample {
    noise: Replay,
}

impl Rule for GaussianRsample {
    fn name(&self) -> &'static str {
        "gaussian_rsample"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let (log_std, dz) = (node.input(1), node.gradient());
        if let Some(dmean) = gradients.add_to(0) {
            add_scaled(tier(), 1.0, dz, dmean);
        }
        if let Some(dlog_std) = gradients.add_to(1) {
            kernel::rsample_backward_log_std(tier(), self.noise.draws(), log_std, dz, dlog_std);
        }
    }
    fn saved_bytes(&self) -> usize {
        size_of_val(self) + self.noise.buffer_bytes()
    }
}

/// kl = (e^(2 log_std) + mean^2 - 1) / 2 - log_std
#[derive(Debug)]
struct GaussianKlStandard;

impl Rule for GaussianKlStandard {
    fn name(&self) -> &'static str {
        "gaussian_kl_standard"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let (mean, log_std, dkl) = (node.input(0), node.input(1), node.gradient());
        if let Some(dmean) = gradients.add_to(0) {
            kernel::kl_standard_backward_mean(tier(), mean, dkl, dmean);
        }
        if let Some(dlog_std) = gradients.add_to(1) {
            kernel::kl_standard_backward_log_std(tier(), log_std, dkl, dlog_std);
        }
    }
}

/// # Normal samples and their KL divergence
impl<'t> Var<'t> {
    /// A reparameterised sample of a normal variable: z = mean + e^log_std eps, elementwise, with standard
    /// normal eps, one draw per element. `self` is the mean, `log_std` the logarithm of the standard
    /// deviation.
    ///
    /// dmean = dz and dlog_std = dz eps e^log_std.
    ///
    /// # Saved
    /// The position of its draws in their stream (or the injected numbers), from which the backward pass
    /// takes the noise again.
    ///
    /// # Panics
    /// If the shapes differ, or the number of injected draws or normals is not the number of elements.
    ///
    /// # Examples
    /// ```
    /// use reparam::Tape;
    ///
    /// let tape = Tape::new();
    /// let (mean, log_std) = (tape.variable(&[1.0], [1]), tape.variable(&[0.0], [1]));
    /// let z = mean.gaussian_rsample(log_std, &mut &[0.5f32][..]);
    /// assert_eq!(z.to_vec(), [1.5]);
    /// assert_eq!(z.sum().backward().of(log_std).unwrap(), [0.5]);
    /// ```
    ///
    /// # Source
    /// Kingma, Welling 2014, section 2.4.
    #[track_caller]
    pub fn gaussian_rsample(self, log_std: Var<'t>, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        const OP: &str = "gaussian_rsample";
        let shape = one_shape(OP, ("the mean", self), ("log_std", log_std));
        let noise = normals_for(OP, noise, shape.len());
        let rule = GaussianRsample { noise: noise.into() };
        self.tape().record(rule, &[self, log_std], shape, |x, z| {
            kernel::rsample_forward(tier(), noise, &x[0], &x[1], z);
        })
    }

    /// KL(N(mean, std^2) || N(0, 1)) = (e^(2 log_std) + mean^2 - 1) / 2 - log_std, elementwise, in nats.
    /// `self` is the mean, `log_std` the logarithm of the standard deviation.
    ///
    /// dmean = dkl mean and dlog_std = dkl (e^(2 log_std) - 1).
    ///
    /// # Panics
    /// If the shapes differ.
    ///
    /// # Source
    /// Kingma, Welling 2014, appendix B.
    #[track_caller]
    pub fn gaussian_kl_standard(self, log_std: Var<'t>) -> Var<'t> {
        let shape = one_shape("gaussian_kl_standard", ("the mean", self), ("log_std", log_std));
        self.tape().record(GaussianKlStandard, &[self, log_std], shape, |x, kl| {
            kernel::kl_standard_forward(tier(), &x[0], &x[1], kl);
        })
    }
}
