//! Distributions: densities, entropies and divergences at the ends of their parameters and values.

use reparam::distributions::{
    Bernoulli, Categorical, ExpConcrete, Gumbel, KlForm, Logistic, LogitRelaxedBernoulli, Normal, OneHot,
    RelaxedBernoulli, RelaxedBit, RelaxedOneHot, Simplex, Uniform,
};
use reparam::{Tape, Var};

use super::{
    ENDLESS, Expected, INF, LARGEST, Limits, MAX, POINTS, sigmoid, sigmoid_slope, softplus, weighted,
};
use crate::common::mistake::mistake;

pub(super) fn rows(limits: &mut Limits) {
    for x in POINTS.into_iter().chain([INF]) {
        bernoulli(limits, x);
        standard(limits, x);
    }
    scaled(limits);
    gumbel_divergences(limits);
    classes(limits);
    relaxed_classes(limits);
    relaxed_bits(limits);
    uniform(limits);
}

/// Compares the value and the gradients of a method of a distribution over single numbers.
fn number(
    limits: &mut Limits,
    distribution: &str,
    inputs: &[f32],
    f: impl for<'t> Fn(&'t Tape, &[Var<'t>]) -> Var<'t>,
    value: f64,
    gradients: &[f64],
) {
    let shape = [1];
    let inputs: Vec<_> = inputs.iter().map(|x| (std::slice::from_ref(x), &shape[..])).collect();
    let gradients: Vec<&[f64]> = gradients.iter().map(std::slice::from_ref).collect();
    limits.row(distribution, &inputs, f, &[1.0], Expected { value: &[value], gradients: &gradients });
}

fn bernoulli(limits: &mut Limits, x: f32) {
    let logit = f64::from(x);
    let (p, slope) = (sigmoid(logit), sigmoid_slope(logit));
    let entropy = weighted(sigmoid(-logit.abs()), logit.abs()) + softplus(-logit.abs());
    number(
        limits,
        "Bernoulli",
        &[x],
        |_, x| Bernoulli::new(x[0]).entropy(),
        entropy,
        &[-weighted(slope, logit)],
    );
    number(limits, "Bernoulli", &[x], |_, x| Bernoulli::new(x[0]).mean(), p, &[slope]);
    let kl = std::f64::consts::LN_2 - entropy;
    limits.absolute = [1e-6, 1e-7];
    number(
        limits,
        "Bernoulli",
        &[x],
        |_, x| Bernoulli::new(x[0]).kl_uniform(),
        kl,
        &[weighted(slope, logit)],
    );
    limits.absolute = [0.0; 2];
    for z in [0.0, 1.0] {
        let (value, slope) =
            if z == 1.0 { (-softplus(-logit), sigmoid(-logit)) } else { (-softplus(logit), -sigmoid(logit)) };
        number(
            limits,
            "Bernoulli",
            &[x],
            |tape, x| Bernoulli::new(x[0]).log_prob(tape.input(&[z], [1])),
            value,
            &[slope],
        );
    }
}

/// Compares log-densities with location 0 and log-scale 0. They follow the formulas, and are -inf at both
/// ends.
fn standard(limits: &mut Limits, x: f32) {
    let z = f64::from(x);
    const HALF_LN_2PI: f64 = 0.918_938_533_204_672_7;
    limits.absolute = [1e-7, 1e-7];
    number(
        limits,
        "Normal",
        &[x, 0.0],
        |_, x| Normal::new(x[1], x[1]).log_prob(x[0]),
        -0.5 * z * z - HALF_LN_2PI,
        &[-z],
    );
    let logistic = -z.abs() - 2.0 * (-z.abs()).exp().ln_1p();
    number(
        limits,
        "Logistic",
        &[x, 0.0],
        |_, x| Logistic::new(x[1], x[1]).log_prob(x[0]),
        logistic,
        &[-(0.5 * z).tanh()],
    );
    // At -inf, e^-z is the larger of two infinite terms, and its slope is capped.
    let gumbel = if x == -INF { -ENDLESS } else { -z - (-z).exp() };
    let slope = (-z).exp().min(LARGEST) - 1.0;
    number(limits, "Gumbel", &[x, 0.0], |_, x| Gumbel::new(x[1], x[1]).log_prob(x[0]), gumbel, &[slope]);
    limits.absolute = [0.0; 2];
}

type LogProb = for<'t> fn(Var<'t>, Var<'t>, Var<'t>) -> Var<'t>;

/// Compares log-densities at a point and a log-scale, with location 0. A scale may be 0 or infinite.
fn scaled(limits: &mut Limits) {
    let families: [(&str, LogProb, f64); 3] = [
        ("Normal", |loc, s, x| Normal::new(loc, s).log_prob(x), -0.918_938_533_204_672_7),
        ("Logistic", |loc, s, x| Logistic::new(loc, s).log_prob(x), -2.0 * std::f64::consts::LN_2),
        ("Gumbel", |loc, s, x| Gumbel::new(loc, s).log_prob(x), -1.0),
    ];
    for (distribution, log_prob, at_location) in families {
        for log_scale in [-INF, -MAX, -200.0, 0.0, 200.0, MAX, INF] {
            // At the location, the density is the standard density at 0 divided by the scale, and its
            // derivative with respect to the location is 0.
            let value = at_location - f64::from(log_scale);
            number(
                limits,
                distribution,
                &[0.0, log_scale],
                |_, x| log_prob(x[0], x[1], x[0]),
                value,
                &[0.0, -1.0],
            );
        }
        for log_scale in [-INF, -MAX, -200.0] {
            for x in [1.0, -1.0, MAX, INF] {
                number(
                    limits,
                    distribution,
                    &[x, log_scale],
                    |tape, x| log_prob(tape.input(&[0.0], [1]), x[1], x[0]),
                    -ENDLESS,
                    &[],
                );
            }
        }
        for x in [1.0, -MAX] {
            number(
                limits,
                distribution,
                &[x, INF],
                |tape, x| log_prob(tape.input(&[0.0], [1]), x[1], x[0]),
                -ENDLESS,
                &[],
            );
        }
    }
    for (mean, log_std) in [(INF, 0.0), (-MAX, 0.0), (0.0, -INF), (1.0, INF), (INF, INF)] {
        let value =
            f64::from(mean).abs() * 0.5 * f64::from(mean).abs() + 0.5 * (2.0 * f64::from(log_std)).exp_m1();
        let kl = value - f64::from(log_std).min(f64::MAX);
        number(limits, "Normal", &[mean, log_std], |_, x| Normal::new(x[0], x[1]).kl_standard(), kl, &[]);
    }
}

/// Compares the KL divergence between Gumbel variables with extreme scales or locations.
fn gumbel_divergences(limits: &mut Limits) {
    for (loc, log_scale) in
        [(0.0, INF), (0.0, MAX), (0.0, 100.0), (INF, 0.0), (-INF, 0.0), (0.0, -INF), (-200.0, 0.0)]
    {
        let kl = |tape: &Tape| {
            let zero = tape.input(&[0.0], [1]);
            let (loc, log_scale) = (tape.input(&[loc], [1]), tape.input(&[log_scale], [1]));
            Gumbel::new(loc, log_scale).kl(Gumbel::new(zero, zero)).item()
        };
        let place = format!("Gumbel::kl of {loc}, {log_scale}");
        limits.compare("Gumbel", &place, &[kl(&Tape::inference())], &[ENDLESS], 0.0);
    }
}

const CERTAIN: [f32; 3] = [0.0, INF, -1.0];

fn classes(limits: &mut Limits) {
    // Each case has a row of logits, a class, its log-probability, and the entropy of the row.
    let ln_2 = std::f64::consts::LN_2;
    for (row, class, log_prob, entropy) in [
        (CERTAIN, 1, 0.0, 0.0),
        (CERTAIN, 0, -ENDLESS, 0.0),
        ([INF, INF, 0.0], 1, -ln_2, ln_2),
        ([MAX, -MAX, MAX], 0, -ln_2, ln_2),
        ([MAX, -MAX, MAX], 1, -LARGEST, ln_2),
        ([0.0, -1e4, -INF], 0, 0.0, 0.0),
        ([0.0, -1e4, -INF], 1, -1e4, 0.0),
    ] {
        let input = [(&row[..], &[1, 3][..])];
        let z: [f32; 3] = std::array::from_fn(|i| f32::from(i == class));
        limits.absolute = [3e-7, 0.0];
        let value = [log_prob];
        let expected = || Expected { value: &value, gradients: &[] };
        limits.row(
            "OneHot",
            &input,
            |tape, x| OneHot::new(x[0]).log_prob(tape.input(&z, [1, 3])),
            &[1.0],
            expected(),
        );
        limits.row(
            "Categorical",
            &input,
            |_, x| Categorical::new(x[0]).log_prob(&[class as u32]),
            &[1.0],
            expected(),
        );
        // If the logits are nearly equal or a class is certain, the gradient of the entropy is 0.
        limits.absolute = [3e-7, 1e-7];
        for weight in [1.0, 2.0] {
            let expected = Expected { value: &[entropy], gradients: &[&[0.0; 3]] };
            limits.row("OneHot", &input, |_, x| OneHot::new(x[0]).entropy(), &[weight], expected);
        }
        limits.absolute = [0.0; 2];
    }
    let mode = Categorical::new(Tape::inference().input(&CERTAIN, [1, 3])).mode()[0];
    limits.compare("Categorical", "Categorical::mode", &[mode as f32], &[1.0], 0.0);
    // Divergences from and to a certain row.
    for (p, q, kl) in [(CERTAIN, CERTAIN, 0.0), (CERTAIN, [0.0; 3], 3f64.ln()), ([0.0; 3], CERTAIN, ENDLESS)]
    {
        let inputs = [(&p[..], &[1, 3][..]), (&q[..], &[1, 3][..])];
        limits.absolute = [3e-7, 0.0];
        let expected = Expected { value: &[kl], gradients: &[] };
        limits.row("OneHot", &inputs, |_, x| OneHot::new(x[0]).kl(OneHot::new(x[1])), &[1.0], expected);
        limits.absolute = [0.0; 2];
    }
}

/// The sample of a certain row is the certain class, with log-density 0 and no gradient, in log space and on
/// the simplex.
fn relaxed_classes(limits: &mut Limits) {
    let input = [(&CERTAIN[..], &[1, 3][..])];
    let draws = [7, 1 << 30, 1 << 31];
    let sample = [-ENDLESS, 0.0, -ENDLESS];
    let expected = Expected { value: &sample, gradients: &[&[0.0; 3]] };
    limits.row(
        "ExpConcrete",
        &input,
        |_, x| ExpConcrete::new(x[0], 0.5).rsample(&mut &draws[..]),
        &[1.0; 3],
        expected,
    );
    let expected = Expected { value: &sample, gradients: &[&[0.0; 3]] };
    limits.row("ExpConcrete", &input, |_, x| ExpConcrete::new(x[0], 0.5).mode(), &[1.0; 3], expected);
    let expected = || Expected { value: &[0.0], gradients: &[&[0.0; 3]] };
    limits.row("ExpConcrete", &input, |_, x| own_density(x[0], &draws), &[1.0], expected());
    limits.row("RelaxedOneHot", &input, |_, x| own_density_on_the_simplex(x[0], &draws), &[1.0], expected());
    let point = Expected { value: &[0.0, 1.0, 0.0], gradients: &[&[0.0; 3]] };
    limits.row(
        "RelaxedOneHot",
        &input,
        |_, x| RelaxedOneHot::new(x[0], 0.5).rsample(&mut &draws[..]).value,
        &[1.0, 2.0, 3.0],
        point,
    );
    // A temperature or a spread at which distances overflow does not mask a class.
    for (row, tau) in [([0.0, -10.0, -20.0], 1.2e-38), ([3e38, -3e38, -INF], 1.0)] {
        let tape = Tape::inference();
        let distribution = ExpConcrete::new(tape.input(&row, [1, 3]), tau);
        let log_y = distribution.rsample(&mut &[1 << 31; 3][..]);
        let masked: Vec<f32> = log_y.to_vec().iter().map(|&y| f32::from(y == -INF)).collect();
        let expected = row.map(|x| f64::from(x == -INF));
        limits.compare(
            "ExpConcrete",
            &format!("masked classes of {row:?} at {tau}"),
            &masked,
            &expected,
            0.0,
        );
    }
}

fn own_density<'t>(x: Var<'t>, draws: &[u32]) -> Var<'t> {
    let distribution = ExpConcrete::new(x, 0.5);
    distribution.log_prob(distribution.rsample(&mut &draws[..]))
}

fn own_density_on_the_simplex<'t>(x: Var<'t>, draws: &[u32]) -> Var<'t> {
    let distribution = RelaxedOneHot::new(x, 0.5);
    distribution.log_prob(Simplex::from_log(distribution.rsample(&mut &draws[..]).log))
}

fn relaxed_bits(limits: &mut Limits) {
    let draws = [1 << 31];
    for (x, bit) in [(INF, 1.0), (-INF, 0.0)] {
        number(
            limits,
            "RelaxedBernoulli",
            &[x],
            |_, x| RelaxedBernoulli::new(x[0], 0.5).rsample(&mut &draws[..]).value,
            bit,
            &[0.0],
        );
        number(limits, "RelaxedBernoulli", &[x], |_, x| own_density_of_bit(x[0]), 0.0, &[0.0]);
        number(limits, "LogitRelaxedBernoulli", &[x], |_, x| own_density_of_logit(x[0]), 0.0, &[0.0]);
        number(
            limits,
            "LogitRelaxedBernoulli",
            &[x],
            |_, x| LogitRelaxedBernoulli::new(x[0], 0.5).mean(),
            f64::from(x),
            &[2.0],
        );
        // The divergence from a fair bit, in each form. For a relaxed bit it grows with the logit, and for a
        // hard one it tends to ln 2.
        let ln_2 = std::f64::consts::LN_2;
        for (form, kl) in [(KlForm::Relaxed, ENDLESS), (KlForm::RelaxedMass, ln_2), (KlForm::Discrete, ln_2)]
        {
            number(limits, "RelaxedBernoulli", &[x], |tape, x| divergence_of_bit(tape, x[0], form), kl, &[]);
        }
    }
    // The gradient is not lost, even where the value has rounded to 1.
    for x in [-18.0, -16.0, 16.0, 18.0, 40.0] {
        let (value, slope) = (sigmoid(f64::from(x)), sigmoid_slope(f64::from(x)));
        number(limits, "RelaxedBernoulli", &[x], |_, x| RelaxedBit::from_logit(x[0]).value, value, &[slope]);
    }
}

fn own_density_of_bit(x: Var<'_>) -> Var<'_> {
    let distribution = RelaxedBernoulli::new(x, 0.5);
    distribution.log_prob(distribution.rsample(&mut &[1 << 31][..]))
}

fn own_density_of_logit(x: Var<'_>) -> Var<'_> {
    let distribution = LogitRelaxedBernoulli::new(x, 0.5);
    distribution.log_prob(distribution.rsample(&mut &[1 << 31][..]))
}

fn divergence_of_bit<'t>(tape: &'t Tape, x: Var<'t>, form: KlForm) -> Var<'t> {
    let (distribution, fair) =
        (RelaxedBernoulli::new(x, 0.5), RelaxedBernoulli::new(tape.input(&[0.0], [1]), 0.5));
    form.binary(distribution, fair, distribution.rsample(&mut &[1 << 31][..]))
}

/// An interval must have finite ends, the low one below the high one by a finite number. Others panic.
fn uniform(limits: &mut Limits) {
    let log_prob = |tape: &Tape, [low, high, x]: [f32; 3]| {
        let distribution = Uniform::new(tape.input(&[low], [1]), tape.input(&[high], [1]));
        distribution.log_prob(tape.input(&[x], [1])).item()
    };
    for (case, expected) in [
        ([0.0, 1.0, 0.0], 0.0),
        ([0.0, 1.0, 1.0], 0.0),
        ([0.0, 2.0, INF], -ENDLESS),
        ([0.0, 2.0, -MAX], -ENDLESS),
        ([0.0, MAX, 1.0], -LARGEST.ln()),
    ] {
        let found = log_prob(&Tape::inference(), case);
        limits.compare("Uniform", &format!("Uniform::log_prob at {case:?}"), &[found], &[expected], 0.0);
    }
    for (low, high) in [(0.0, INF), (-INF, 0.0), (-MAX, MAX), (1.0, 1.0)] {
        let tape = Tape::inference();
        let text = mistake(|| Uniform::new(tape.input(&[low], [1]), tape.input(&[high], [1])));
        assert!(text.contains("low must be below high, by a finite number"), "{text}");
    }
}
