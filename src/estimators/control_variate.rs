//! REBAR and RELAX: the relaxed loss, and a network, as control variates of the score function.

use super::arm::logistic;
use super::learned::{Learned, declare_network, network};
use super::rows::{over_row, sum_of_row};
use super::slope::{copy_as_variable, gradient_of, own_leaf};
use super::{Estimator, Trial, registry::Entry};
use crate::checkpoint::Checkpoint;
use crate::distributions::{divided, is_positive};
use crate::noise::Noise;
use crate::params::Params;
use crate::var::{Var, temperature::is_temperature};
use crate::variables::{Logits, Variables};

/// The gradient (f(b) - c(z')) d ln p(b) + d c(z) - d c(z') with a control variate c. The sample b is the
/// hard value of a continuous z, and z' is drawn anew given b. The value is f(b).
///
/// [`rebar`](ControlVariate::rebar): c = eta f(y), y = softmax(z / tau) (sigmoid for bits), the loss at the
/// relaxed sample. [`relax`](ControlVariate::relax): c = eta f(y) + r(y), r a network. eta, ln tau and the
/// weights are trained here to lower the variance, unless [frozen](Estimator::freeze).
///
/// z' is tied to z: its noise gives it z's value, though not z's derivative. So c(z') = c(z), and the loss is
/// evaluated twice, at b and at y.
///
/// # How it adapts
///
/// None of these parameters changes the mean of the gradient g, so its variance falls along d E|g|^2 = 2 E
/// <g, dg>. With v = g held fixed, <v, d c(z)> is the derivative of c along v, taken here as a central
/// difference, whose own derivatives need two more values of c but no second derivative.
///
/// # Source
/// G. Tucker et al., "REBAR: Low-variance, unbiased gradient estimates for discrete latent variable models",
/// NeurIPS 2017, section 3; W. Grathwohl et al., "Backpropagation through the Void", ICLR 2018, section 3 and
/// appendix B (categories).
#[derive(Debug)]
pub struct ControlVariate {
    start: Start,
    /// Hidden units of the network. Without a network it is REBAR.
    hidden: Option<usize>,
    frozen: bool,
    /// Made when the size of a row is known.
    control: Option<Learned>,
}

#[derive(Clone, Copy, Debug)]
struct Start {
    eta: f32,
    tau: f32,
}

/// The order of the parameters among the copies: eta, ln tau, then the network's weights and biases.
const ETA: usize = 0;
const LOG_TAU: usize = 1;
const NETWORK: usize = 2;

/// Adam's step size in the adaptation.
const LEARNING_RATE: f64 = 0.01;

/// The largest step of the central difference, in the logits' units.
const STEP: f32 = 0.05;
/// The same as a fraction of the temperature, which is the width over which the relaxed sample changes.
const STEP_OF_TAU: f32 = 0.1;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        form: "rebar",
        type_name: "ControlVariate",
        summary: "the relaxed loss as control variate",
        variables: "both",
        unbiased: "yes",
        evaluations: "2 (+ 5 to adapt)",
        usual: &["rebar"],
        make: |_| Ok(Box::new(ControlVariate::rebar(1.0, 0.5))),
    },
    Entry {
        form: "relax",
        type_name: "ControlVariate",
        summary: "the relaxed loss and a network as control variate",
        variables: "both",
        unbiased: "yes",
        evaluations: "2 (+ 5 to adapt)",
        usual: &["relax"],
        make: |_| Ok(Box::new(ControlVariate::relax(1.0, 0.5, 10))),
    },
];

impl ControlVariate {
    /// `eta` times the relaxed loss at temperature `tau`, as initial values. The paper starts at 1 and 0.5.
    ///
    /// # Panics
    /// If eta is not finite, or tau is not positive and finite.
    #[track_caller]
    pub fn rebar(eta: f32, tau: f32) -> ControlVariate {
        ControlVariate::with("rebar", eta, tau, None)
    }

    /// [`rebar`](Self::rebar) plus a network with a hidden layer of `hidden` tanh units and initial output 0.
    ///
    /// # Panics
    /// If eta is not finite, tau is not positive and finite, or `hidden` is 0.
    #[track_caller]
    pub fn relax(eta: f32, tau: f32, hidden: usize) -> ControlVariate {
        ControlVariate::with("relax", eta, tau, Some(hidden))
    }

    #[track_caller]
    fn with(name: &str, eta: f32, tau: f32, hidden: Option<usize>) -> ControlVariate {
        assert!(eta.is_finite(), "{name}: eta must be finite, it is {eta}; 1 is usual");
        assert!(is_temperature(tau), "{name}: tau must be positive and finite, it is {tau}; 0.5 is usual");
        assert!(hidden != Some(0), "{name}: at least one hidden unit is needed; use rebar for none");
        ControlVariate { start: Start { eta, tau }, hidden, frozen: false, control: None }
    }
}

fn new_control(variables: Variables, start: Start, hidden: Option<usize>) -> Learned {
    let (mut params, elements) = (Params::new(), variables.elements());
    params.add("eta", [1], vec![start.eta]);
    params.add("log_tau", [1], vec![start.tau.ln()]);
    if let Some(hidden) = hidden {
        declare_network(&mut params, elements, hidden);
    }
    Learned::new(hidden.map(|_| elements), params, LEARNING_RATE)
}

/// c(y) per row: eta f(y), and the network's output if there is one.
fn control_at<'t>(copies: &[Var<'t>], trial: &mut Trial<'_, 't>, y: Var<'t>, noise: &mut Noise) -> Var<'t> {
    let relaxed = copies[ETA] * trial.loss_with(y, noise);
    match &copies[NETWORK..] {
        [] => relaxed,
        weights => relaxed + network(weights, y.affine(2.0, -1.0)),
    }
}

/// The relaxed sample of z at the temperature whose logarithm is given.
fn relaxed<'t>(variables: Variables, z: Var<'t>, log_tau: Var<'t>) -> Var<'t> {
    match variables {
        Variables::Bits(_) => divided(z, log_tau.exp().into()).sigmoid(),
        // Equal noise on all classes has no effect. Unlike division by tau, this keeps tau's gradient finite
        // for a masked class.
        Variables::Categories { .. } => {
            z.gumbel_softmax(log_tau.exp().reshape([]), &mut &vec![1 << 31; z.shape().len()][..])
        }
    }
}

impl Estimator for ControlVariate {
    fn name(&self) -> String {
        if self.hidden.is_some() { "relax" } else { "rebar" }.to_owned()
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn check(&self, variables: Variables) -> Result<(), String> {
        Learned::check(self.control.as_ref(), variables)
    }

    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let (frozen, logits) = (self.frozen, trial.logits());
        let (variables, tape) = (logits.variables(), logits.var().tape());
        let control = self.control.get_or_insert_with(|| new_control(variables, self.start, self.hidden));
        let copies = control.on(tape);
        let cut = own_leaf(logits);
        let (b, noises) = TiedNoise::draw(cut, trial.noise());
        let f = trial.loss(b);
        // Fresh noise, because an estimator inside the loss may just have learned from the noise at b.
        let inner = trial.noise().split();

        let (z, z_given_b) = (noises.free(cut), noises.given(cut));
        let y = relaxed(variables, z, copies[LOG_TAU]);
        let y_leaf = copy_as_variable(y);
        let c = control_at(&copies, &mut trial, y_leaf, &mut inner.clone());
        let slope = gradient_of(c, y_leaf);
        let difference = y - relaxed(variables, z_given_b, copies[LOG_TAU]);
        let pathwise = gradient_of(sum_of_row(difference * slope), cut.var());
        let score = gradient_of(cut.log_prob(b), cut.var());
        let estimate = (over_row((f - c).stop_gradient(), score) * score + pathwise).stop_gradient();
        if !frozen && tape.is_recording() {
            let along = Direction::new(estimate, score, copies[LOG_TAU]);
            let objective = variance_slope(&mut trial, &noises, &along, &copies, &inner);
            control.step(&copies, &objective.backward());
        }
        f.with_logits_gradient(logits.var(), estimate)
    }

    fn adapts(&self) -> bool {
        true
    }

    fn freeze(&mut self) {
        self.frozen = true;
    }

    fn save(&self, prefix: &str, checkpoint: &mut Checkpoint) {
        Learned::save(self.control.as_ref(), prefix, checkpoint);
    }

    fn restore(&mut self, prefix: &str, variables: Variables, checkpoint: &Checkpoint) -> crate::Result<()> {
        let make = || new_control(variables, self.start, self.hidden);
        self.control = Learned::restore(make, prefix, checkpoint)?;
        Ok(())
    }
}

/// The estimate g along which the central difference is taken, row by row.
struct Direction<'t> {
    /// g / |g|, times the step.
    step: Var<'t>,
    /// |g| / (2 steps), `[rows]`.
    weight: Var<'t>,
    /// <g, score>, `[rows]`.
    score: Var<'t>,
}

impl<'t> Direction<'t> {
    fn new(estimate: Var<'t>, score: Var<'t>, log_tau: Var<'t>) -> Direction<'t> {
        let step = STEP.min(STEP_OF_TAU * log_tau.item().exp());
        let length = sum_of_row(estimate.square()).sqrt();
        Direction {
            // A row whose estimate is 0 stays where it is.
            step: estimate / over_row(length + f32::MIN_POSITIVE, estimate) * step,
            weight: length / (2.0 * step),
            score: sum_of_row(estimate * score),
        }
    }
}

/// A value with the gradient of the mean of |g|^2 with respect to the control variate's parameters.
fn variance_slope<'t>(
    trial: &mut Trial<'_, 't>,
    noises: &TiedNoise<'t>,
    along: &Direction<'t>,
    copies: &[Var<'t>],
    inner: &Noise,
) -> Var<'t> {
    let (logits, at) = (trial.logits(), trial.logits().var().stop_gradient());
    let mut c_at = |z: Var<'t>| {
        let y = relaxed(logits.variables(), z, copies[LOG_TAU]);
        control_at(copies, trial, y, &mut inner.clone())
    };
    let here = c_at(noises.free(logits.with(at)));
    let (ahead, back) = (logits.with(at + along.step), logits.with(at - along.step));
    let free = c_at(noises.free(ahead)) - c_at(noises.free(back));
    let given = c_at(noises.given(ahead)) - c_at(noises.given(back));
    ((free - given) * along.weight - here * along.score).mean() * 2.0
}

/// The noise of z, and the noise that gives z' the same value given z's hard value.
enum TiedNoise<'t> {
    /// z = logit + l; given the bit's sign s: z' = s softplus(l' + softplus(s logit)).
    Bits { l: Var<'t>, sign: Var<'t>, l_given: Var<'t> },
    /// z = ln p + g; given the winner: z' = z_winner - softplus(a - ln p), the winner's own a being -inf.
    Categories { g: Var<'t>, winning: Var<'t>, a: Var<'t> },
}

impl<'t> TiedNoise<'t> {
    /// The hard sample and its noise.
    fn draw(logits: Logits<'t>, noise: &mut Noise) -> (Var<'t>, TiedNoise<'t>) {
        match logits.variables() {
            Variables::Bits(_) => TiedNoise::bits(logits.var(), noise),
            Variables::Categories { .. } => TiedNoise::categories(logits.var(), noise),
        }
    }

    fn bits(logits: Var<'t>, noise: &mut Noise) -> (Var<'t>, TiedNoise<'t>) {
        let (tape, shape) = (logits.tape(), logits.shape());
        let l = logistic(logits, noise);
        let values = logits.to_vec();
        let bits: Vec<f32> = values.iter().zip(&l).map(|(x, l)| is_positive(x + l)).collect();
        let sign: Vec<f32> = bits.iter().map(|bit| 2.0 * bit - 1.0).collect();
        let l_given: Vec<f32> = (0..l.len())
            .map(|i| {
                let (x, s) = (f64::from(values[i]), f64::from(sign[i]));
                // For an infinite logit, z' is infinite like z, whatever finite number we add.
                if x.is_infinite() {
                    0.0
                } else {
                    (ln_expm1(s * (x + f64::from(l[i]))) - softplus(s * x)) as f32
                }
            })
            .collect();
        let input = |values: &[f32]| tape.input(values, shape.clone());
        (input(&bits), TiedNoise::Bits { l: input(&l), sign: input(&sign), l_given: input(&l_given) })
    }

    fn categories(logits: Var<'t>, noise: &mut Noise) -> (Var<'t>, TiedNoise<'t>) {
        let (tape, shape) = (logits.tape(), logits.shape());
        let classes = shape.classes();
        let g: Vec<f32> = noise.draws(shape.len()).map(reparam_ops::draw::gumbel).collect();
        let log_p = logits.log_softmax().to_vec();
        let (mut hard, mut a) = (vec![0.0; g.len()], vec![0.0; g.len()]);
        let mut winning = Vec::with_capacity(g.len() / classes);
        for row in (0..g.len()).step_by(classes) {
            let z = |i: usize| f64::from(log_p[row + i]) + f64::from(g[row + i]);
            let winner = (1..classes).fold(0, |best, i| if z(i) > z(best) { i } else { best });
            // A NaN is not a class, and stays visible.
            hard[row + winner] = if z(winner).is_nan() { f32::NAN } else { 1.0 };
            winning.push(z(winner) as f32);
            for i in 0..classes {
                a[row + i] = if i == winner {
                    f32::NEG_INFINITY
                } else if log_p[row + i] == f32::NEG_INFINITY {
                    // Masked: any finite number makes z' -inf, like z.
                    0.0
                } else {
                    (f64::from(log_p[row + i]) + ln_expm1(z(winner) - z(i))) as f32
                };
            }
        }
        let winning = tape.input(&winning, shape.with_classes(1));
        let input = |values: &[f32]| tape.input(values, shape.clone());
        (input(&hard), TiedNoise::Categories { g: input(&g), winning, a: input(&a) })
    }

    /// z as a function of the logits.
    fn free(&self, logits: Logits<'t>) -> Var<'t> {
        match *self {
            TiedNoise::Bits { l, .. } => logits.var() + l,
            TiedNoise::Categories { g, .. } => logits.var().log_softmax() + g,
        }
    }

    /// z' as a function of the logits.
    fn given(&self, logits: Logits<'t>) -> Var<'t> {
        match *self {
            TiedNoise::Bits { sign, l_given, .. } => {
                sign * (l_given + (sign * logits.var()).softplus()).softplus()
            }
            TiedNoise::Categories { winning, a, .. } => winning - (a - logits.var().log_softmax()).softplus(),
        }
    }
}

/// ln(e^x - 1) for x >= 0.
fn ln_expm1(x: f64) -> f64 {
    if x > 30.0 { x } else { x.max(f64::MIN_POSITIVE).exp_m1().ln() }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{Problem, Toy, measure};
    use crate::tape::Tape;

    /// The toy's loss: (b - t)^2.
    fn toy(z: Var<'_>, t: f32) -> Var<'_> {
        (z - t).square().sum_axis(1)
    }

    /// E g^2 on the toy, by the midpoint rule over the uniform number that gives z.
    fn mean_square_in_f64(logit: f64, t: f64, eta: f64, log_tau: f64) -> f64 {
        const POINTS: usize = 200_000;
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (p, tau) = (sigmoid(logit), log_tau.exp());
        let square = |point: usize| {
            let u = (point as f64 + 0.5) / POINTS as f64;
            let z = logit + (u / (1.0 - u)).ln();
            let (b, s) = if z > 0.0 { (1.0, 1.0) } else { (0.0, -1.0) };
            let l_given = ln_expm1(s * z) - softplus(s * logit);
            let y = sigmoid(z / tau);
            // The derivative of z - z' with respect to the logit.
            let motion = 1.0 - sigmoid(l_given + softplus(s * logit)) * sigmoid(s * logit);
            let signal = (b - t).powi(2) - eta * (y - t).powi(2);
            (signal * (b - p) + eta * 2.0 * (y - t) * y * (1.0 - y) / tau * motion).powi(2)
        };
        (0..POINTS).map(square).sum::<f64>() / POINTS as f64
    }

    #[test]
    fn the_control_variate_adapts_along_the_derivative_of_the_variance() {
        const ROWS: usize = 400_000;
        for (logit, t, eta, tau) in [
            (0.0, 0.45, 1.0, 0.5),
            (1.0, 0.3, 0.5, 0.7),
            (-0.5, 0.6, 0.2, 1.5f32),
            // Here a step of 0.05 would give the derivative with respect to ln tau the wrong sign.
            (1.0, 0.45, 0.5, 0.02),
        ] {
            let tape = Tape::new();
            let copies = [tape.variable(&[eta], [1]), tape.variable(&[tau.ln()], [1])];
            let logits = Logits::bits(tape.variable(&vec![logit; ROWS], [ROWS, 1]));
            let (mut noise, mut unused, mistake) = (Noise::seed(11), Noise::seed(0), Default::default());
            let (b, noises) = TiedNoise::draw(logits, &mut noise);
            let mut loss = |z, _: &mut Noise| toy(z, t);
            let mut trial = Trial::new(logits, &mut unused, &mut loss, &mistake);
            // g as the estimator computes it.
            let bit = Variables::Bits(1);
            let y = copy_as_variable(relaxed(bit, noises.free(logits), copies[LOG_TAU]));
            let c = control_at(&copies, &mut trial, y, &mut noise);
            let slope = gradient_of(c, y);
            let difference = relaxed(bit, noises.free(logits), copies[LOG_TAU])
                - relaxed(bit, noises.given(logits), copies[LOG_TAU]);
            let pathwise = gradient_of(sum_of_row(difference * slope), logits.var());
            let score = gradient_of(logits.log_prob(b), logits.var());
            let estimate = (over_row(toy(b, t) - c, score) * score + pathwise).stop_gradient();

            let exact = |eta, log_tau| mean_square_in_f64(f64::from(logit), f64::from(t), eta, log_tau);
            let (e, l, h) = (f64::from(eta), f64::from(tau.ln()), 1e-4);
            let mean_square = estimate.square().mean().item();
            assert!(
                (f64::from(mean_square) / exact(e, l) - 1.0).abs() < 0.02,
                "{mean_square} {}",
                exact(e, l)
            );

            let along = Direction::new(estimate, score, copies[LOG_TAU]);
            let gradients = variance_slope(&mut trial, &noises, &along, &copies, &noise).backward();
            let got = [0, 1].map(|i| f64::from(gradients.of(copies[i]).unwrap()[0]));
            let want = [
                (exact(e + h, l) - exact(e - h, l)) / (2.0 * h),
                (exact(e, l + h) - exact(e, l - h)) / (2.0 * h),
            ];
            let size = want[0].abs().max(want[1].abs());
            for (got, want) in got.iter().zip(want) {
                assert!((got - want).abs() < 0.03 * size, "logit {logit}, t {t}: {got} {want}");
            }
        }
    }

    #[test]
    fn the_second_sample_has_the_value_of_the_first() {
        let tape = Tape::new();
        let mut noise = Noise::seed(3);
        let values: Vec<f32> = (0..600).map(|i| (i % 13) as f32 - 6.0).collect();
        for variable in [
            Logits::bits(tape.variable(&values, [100, 6])),
            Logits::categories(tape.variable(&values, [100, 2, 3])),
        ] {
            let (_, noises) = TiedNoise::draw(variable, &mut noise);
            let (z, given) = (noises.free(variable).to_vec(), noises.given(variable).to_vec());
            for (z, given) in z.iter().zip(&given) {
                assert!((z - given).abs() <= 2e-6 * z.abs().max(1.0), "{z} {given}");
            }
        }
    }

    /// Its output starts at 0.
    #[test]
    fn relax_teaches_its_network() {
        let toy = Toy::new(0.45);
        let mut relax = ControlVariate::relax(1.0, 0.5, 10);
        measure(&toy, &mut relax, 10, 100, &mut Noise::seed(1)).unwrap();
        let (learned, fresh) =
            (relax.control.unwrap(), new_control(toy.variables(), relax.start, relax.hidden));
        for (id, fresh_id) in learned.params.ids().zip(fresh.params.ids()) {
            let name = learned.params.name(id);
            assert_ne!(learned.params.value(id), fresh.params.value(fresh_id), "{name} stayed as it was");
        }
    }
}
