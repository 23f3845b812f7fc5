//! A cheating decoder: the objective with relaxed samples, the hard ELBO, and ln p(x), for one bit.

use reparam::distributions::{KlForm, RelaxedBernoulli};
use reparam::{Noise, Tape};

use crate::exchange::answer;
use crate::statistics::{moments, over_noise, sigmoid, softplus};

/// Pieces of an integral over the noise.
const PIECES: usize = 400;
/// The logits at which the curves are computed.
const CURVE: usize = 81;
const FORMS: [KlForm; 3] = [KlForm::Relaxed, KlForm::RelaxedMass, KlForm::Discrete];

/// Estimates the objective E ln p(x | y) - KL for a relaxed bit y of the given logit and temperature from `n`
/// samples, with the KL in one of three forms: of the relaxed densities (`form` 0), of the masses at y (1),
/// or of the hard bits (2). The prior is a fair coin, relaxed at the same temperature.
///
/// Reads p(x | 0), p(x | 1) and a hump h: ln p(x | y) = (1 - y) ln p(x | 0) + y ln p(x | 1) + 4 h y (1 - y).
/// Answers ln p(x); the hard ELBO; the objective by integration; its estimate and the standard error; then
/// 81 logits from -6 to 6, the hard ELBO at each, and the objective at each by integration.
///
/// # Panics
/// If the form is another number.
#[unsafe(no_mangle)]
pub extern "C" fn elbo(logit: f64, tau: f64, form: usize, seed: u32, n: usize) -> usize {
    answer(|given, out| {
        let [at_0, at_1, hump] = given.numbers[..] else { panic!("expected p(x | 0), p(x | 1) and a hump") };
        let decoder = Decoder { ln_at_0: at_0.ln(), ln_at_1: at_1.ln(), hump };
        let form = *FORMS.get(form).unwrap_or_else(|| panic!("form: expected 0, 1 or 2, found {form}"));
        out.push(((at_0 + at_1) / 2.0).ln());
        out.push(decoder.hard_elbo(logit));
        out.push(decoder.objective(logit, tau, form));
        out.extend(&decoder.estimate(logit, tau, form, seed, n)[..2]);
        let logits = (0..CURVE).map(|i| 12.0 * i as f64 / (CURVE - 1) as f64 - 6.0);
        out.extend(logits.clone());
        out.extend(logits.clone().map(|x| decoder.hard_elbo(x)));
        out.extend(logits.map(|x| decoder.objective(x, tau, form)));
    })
}

struct Decoder {
    ln_at_0: f64,
    ln_at_1: f64,
    hump: f64,
}

impl Decoder {
    fn ln_p(&self, y: f64) -> f64 {
        (1.0 - y) * self.ln_at_0 + y * self.ln_at_1 + 4.0 * self.hump * y * (1.0 - y)
    }

    fn hard_elbo(&self, logit: f64) -> f64 {
        let q = sigmoid(logit);
        (1.0 - q) * self.ln_at_0 + q * self.ln_at_1 - kl(logit)
    }

    /// The objective with relaxed samples, by integration over the noise.
    fn objective(&self, logit: f64, tau: f64, form: KlForm) -> f64 {
        let term = |noise: f64| {
            let shifted = logit + noise;
            let y = sigmoid(shifted / tau);
            let kl = match form {
                // Densities in logit space. The terms that depend only on tau cancel.
                KlForm::Relaxed => logistic(noise) - logistic(shifted),
                KlForm::RelaxedMass => {
                    y * -softplus(-logit) + (1.0 - y) * -softplus(logit) + std::f64::consts::LN_2
                }
                KlForm::Discrete => kl(logit),
            };
            self.ln_p(y) - kl
        };
        over_noise(PIECES, term)
    }

    /// The mean of the objective over samples of the engine, its standard error, and the variance.
    fn estimate(&self, logit: f64, tau: f64, form: KlForm, seed: u32, n: usize) -> [f64; 3] {
        let (tape, tau) = (Tape::inference(), tau as f32);
        let posterior = RelaxedBernoulli::new(tape.input(&vec![logit as f32; n], [n]), tau);
        let prior = RelaxedBernoulli::new(tape.input(&vec![0.0; n], [n]), tau);
        let y = posterior.sample(&mut Noise::seed(seed.into()));
        let kl = form.binary(posterior, prior, y).value();
        let y = y.value.value();
        let terms = y.iter().zip(kl.iter()).map(|(&y, &kl)| self.ln_p(y.into()) - f64::from(kl));
        moments(&terms.collect::<Vec<_>>())
    }
}

/// The log-density of logistic noise.
fn logistic(x: f64) -> f64 {
    -x - 2.0 * softplus(-x)
}

/// KL(q || fair coin) in nats.
fn kl(logit: f64) -> f64 {
    let q = sigmoid(logit);
    -q * softplus(-logit) - (1.0 - q) * softplus(logit) + std::f64::consts::LN_2
}
