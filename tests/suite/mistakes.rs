//! Does every public function panic for a number that it cannot use, at the caller's line and with a hint?
//!
//! [`every_function_that_takes_a_number_is_in_the_list`] reads the sources, so a new function needs a row
//! here, or a reason why it accepts any number.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use reparam::data::{Batches, SplitKind};
use reparam::distributions::{
    Bernoulli, Categorical, ExpConcrete, Gumbel, Logistic, LogitRelaxedBernoulli, Normal, OneHot,
    RelaxedBernoulli, RelaxedOneHot, Simplex, Uniform,
};
use reparam::estimators::{
    ControlVariate, Estimate, Estimator, GumbelRao, GumbelSoftmax, LeaveOneOut, MultiSample, ReinMax,
    RelaxedBound, ScoreFunction, StGumbelSoftmax, Step, StraightThrough, Surrogate, UnorderedSet, Vimco,
    entries, estimate_layers, parse,
};
use reparam::lab::{
    DigitVae, Polynomial, Problem, Quadratic, Toy, measure, measure_named, measure_timed, sweep_temperatures,
    training_curve,
};
use reparam::models::{
    BeliefNet, Classifier, FewLabels, FewLabelsShape, Guidance, KnownLabels, Link, Prediction,
    SemiSupervised, SemiSupervisedShape, Vae, VaeShape, multi_sample_bound,
};
use reparam::nn::{Init, Linear, Mlp};
use reparam::optim::{Adam, Optimizer, Sgd};
use reparam::train::{Estimators, Plan, Run, Stored, Training, falling};
use reparam::{
    Activation, Checkpoint, Gradients, InputGradients, Logits, Noise, Params, Recorded, Rule, Schedule, Tape,
    Var, Variables,
};

use crate::common::bars::images;
use crate::common::mistake::mistake_in_file as mistake;
use crate::common::plans;
use crate::common::repository::root;

const NAN: f32 = f32::NAN;
const INF: f32 = f32::INFINITY;
const MASK: f32 = f32::NEG_INFINITY;

/// Numbers that are not a valid size or rate.
const BAD: [f64; 4] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1];
const BAD_F32: [f32; 4] = [NAN, INF, MASK, -0.1];

/// A refused setting: the function, the words that its messages must contain, and the messages.
type Row = (&'static str, &'static str, Vec<String>);

/// Returns the messages for each of these numbers.
fn each<T: Copy>(numbers: &[T], refuse: impl FnMut(T) -> String) -> Vec<String> {
    numbers.iter().copied().map(refuse).collect()
}

/// Asserts that each message names its setting and says what works. Returns the first message of each row.
fn shown(rows: &[Row]) -> String {
    let mut lines = String::new();
    for (function, words, texts) in rows {
        for text in texts {
            assert!(text.contains(words), "{function}: {text}");
        }
        lines += &format!("{}\n", texts[0]);
    }
    lines
}

// -------------------------------------------------------------------------------------------------- the list

fn optimizers() -> Vec<Row> {
    let with = |rate| [rate, 1e39];
    let rates = [BAD.as_slice(), &with(1e31)].concat();
    let betas = [BAD.as_slice(), &[0.9999999, 1.0]].concat();
    let epsilons = [BAD.as_slice(), &[0.0, 1e-60, 1e39]].concat();
    let momenta = [BAD.as_slice(), &[1.0, 2.0]].concat();
    let (mut params, tape) = (Params::new(), Tape::new());
    let w = params.add("w", [2], vec![3.0, 4.0]);
    let gradients = || params.on(&tape, w).square().sum().backward();
    let zeros = [BAD.as_slice(), &[0.0]].concat();
    let zeros_f32 = [BAD_F32.as_slice(), &[0.0]].concat();
    vec![
        ("Adam::new", "learning rate", each(&rates, |x| mistake(|| Adam::new(x)))),
        ("Adam::betas", "beta1", each(&betas, |x| mistake(|| Adam::new(0.1).betas(x, 0.9)))),
        ("Adam::betas", "beta2", each(&betas, |x| mistake(|| Adam::new(0.1).betas(0.9, x)))),
        ("Adam::epsilon", "epsilon", each(&epsilons, |x| mistake(|| Adam::new(0.1).epsilon(x)))),
        ("Adam::weight_decay", "weight decay", each(&rates, |x| mistake(|| Adam::new(0.1).weight_decay(x)))),
        (
            "Adam::set_learning_rate",
            "rate",
            each(&rates, |x| mistake(|| Adam::new(0.1).set_learning_rate(x))),
        ),
        ("Sgd::new", "learning rate", each(&rates, |x| mistake(|| Sgd::new(x, 0.9)))),
        ("Sgd::new", "momentum", each(&momenta, |x| mistake(|| Sgd::new(0.1, x)))),
        (
            "Sgd::weight_decay",
            "weight decay",
            each(&rates, |x| mistake(|| Sgd::new(0.1, 0.0).weight_decay(x))),
        ),
        (
            "Sgd::set_learning_rate",
            "rate",
            each(&rates, |x| mistake(|| Sgd::new(0.1, 0.0).set_learning_rate(x))),
        ),
        ("Gradients::scale", "factor", each(&BAD_F32[..3], |x| mistake(|| gradients().scale(x)))),
        ("Gradients::clip_norm", "norm", each(&zeros, |x| mistake(|| gradients().clip_norm(x)))),
        ("Gradients::clip_value", "entry", each(&zeros_f32, |x| mistake(|| gradients().clip_value(x)))),
    ]
}

fn schedules() -> Vec<Row> {
    let infinite = &BAD[..3];
    let anneal = |start, rate, floor| Schedule::Anneal { start, rate, floor, every: 1 };
    let tail = |start, end| Schedule::Tail { start, end, from: 0, to: 9 };
    let never = Schedule::Anneal { start: 1.0, rate: 0.1, floor: 0.5, every: 0 };
    let backwards = Schedule::Tail { start: 1.0, end: 0.5, from: 5, to: 5 };
    let zeros = [BAD.as_slice(), &[0.0]].concat();
    vec![
        ("Schedule::at", "finite numbers", each(infinite, |x| mistake(|| Schedule::Fixed(x).at(0)))),
        ("Schedule::at", "finite numbers", each(infinite, |x| mistake(|| anneal(x, 1.0, 1.0).at(0)))),
        ("Schedule::at", "finite numbers", each(infinite, |x| mistake(|| anneal(1.0, x, 1.0).at(0)))),
        ("Schedule::at", "finite numbers", each(infinite, |x| mistake(|| anneal(1.0, 1.0, x).at(0)))),
        ("Schedule::at", "finite numbers", each(infinite, |x| mistake(|| tail(x, 1.0).at(0)))),
        ("Schedule::at", "finite numbers", each(infinite, |x| mistake(|| tail(1.0, x).at(0)))),
        ("Schedule::at", "EVERY of at least 1", vec![mistake(|| never.at(0))]),
        ("Schedule::at", "TO after FROM", vec![mistake(|| backwards.at(0))]),
        ("falling", "rate at the start", each(&zeros, |x| mistake(|| falling(x, 100)))),
    ]
}

fn temperatures() -> Vec<Row> {
    let tape = Tape::new();
    let x = tape.variable(&[0.0; 6], [2, 3]);
    let (bits, logits) = (Logits::bits(x), Logits::categories(x.reshape([1, 2, 3])));
    let bad = [BAD_F32.as_slice(), &[0.0, 1e-40]].concat();
    let noise = || Noise::seed(1);
    vec![
        ("Var::gumbel_softmax", "tau", each(&bad, |t| mistake(|| x.gumbel_softmax(t, &mut noise())))),
        ("Var::st_gumbel_softmax", "tau", each(&bad, |t| mistake(|| x.st_gumbel_softmax(t, &mut noise())))),
        ("Var::st_categorical", "tau", each(&bad, |t| mistake(|| x.st_categorical(t, &mut noise())))),
        ("Var::st_argmax", "tau", each(&bad, |t| mistake(|| x.st_argmax(t)))),
        ("Var::gumbel_rao", "tau", each(&bad, |t| mistake(|| x.gumbel_rao(2, t, &mut noise())))),
        (
            "Var::gumbel_rao",
            "sample",
            each(&[0, usize::MAX], |k| mistake(|| x.gumbel_rao(k, 1.0, &mut noise()))),
        ),
        ("Var::exp_concrete", "tau", each(&bad, |t| mistake(|| x.exp_concrete(t, &mut noise())))),
        ("Var::exp_concrete_log_prob", "tau", each(&bad, |t| mistake(|| x.exp_concrete_log_prob(x, t)))),
        ("Var::binary_concrete", "tau", each(&bad, |t| mistake(|| x.binary_concrete(t, &mut noise())))),
        ("Var::st_binary_concrete", "tau", each(&bad, |t| mistake(|| x.st_binary_concrete(t, &mut noise())))),
        (
            "Var::logit_binary_concrete",
            "tau",
            each(&bad, |t| mistake(|| x.logit_binary_concrete(t, &mut noise()))),
        ),
        (
            "Var::logit_binary_concrete_log_prob",
            "tau",
            each(&bad, |t| mistake(|| x.logit_binary_concrete_log_prob(x, t))),
        ),
        ("Logits::relaxed", "tau", each(&bad, |t| mistake(|| bits.relaxed(t, &mut noise())))),
        ("Logits::relaxed", "tau", each(&bad, |t| mistake(|| logits.relaxed(t, &mut noise())))),
        (
            "Logits::straight_through",
            "tau",
            each(&bad, |t| mistake(|| bits.straight_through(t, &mut noise()))),
        ),
        (
            "Logits::straight_through",
            "tau",
            each(&bad, |t| mistake(|| logits.straight_through(t, &mut noise()))),
        ),
        ("ExpConcrete::new", "tau", each(&bad, |t| mistake(|| ExpConcrete::new(x, t)))),
        ("RelaxedOneHot::new", "tau", each(&bad, |t| mistake(|| RelaxedOneHot::new(x, t)))),
        ("RelaxedBernoulli::new", "tau", each(&bad, |t| mistake(|| RelaxedBernoulli::new(x, t)))),
        ("LogitRelaxedBernoulli::new", "tau", each(&bad, |t| mistake(|| LogitRelaxedBernoulli::new(x, t)))),
        ("Var::leaky_relu", "slope", each(&BAD_F32[..3], |s| mistake(|| x.leaky_relu(s)))),
    ]
}

/// Uses the estimator on two bits, or on a variable of three classes.
#[track_caller]
fn used(mut estimator: impl Estimator, bits: bool) {
    let tape = Tape::new();
    let logits = match bits {
        true => Logits::bits(tape.variable(&[0.5, -0.5], [1, 2])),
        false => Logits::categories(tape.variable(&[0.5, -0.5, 0.0], [1, 1, 3])),
    };
    estimator.estimate(logits, &mut Noise::seed(1), |z, _| sum_of_squares(z)).sum().backward();
}

/// The sum of the squares of z, as a loss of one row.
fn sum_of_squares<'t>(z: Var<'t>) -> Var<'t> {
    z.reshape([1, z.shape().len()]).square().sum_axis(1)
}

/// Returns the estimator with its temperature changed.
fn annealed(mut estimator: impl Estimator, tau: f32) -> impl Estimator {
    assert!(estimator.set_temperature(tau));
    estimator
}

fn estimators() -> Vec<Row> {
    let taus = [BAD_F32.as_slice(), &[0.0]].concat();
    let below_one = [BAD_F32.as_slice(), &[0.0, 0.9]].concat();
    let decays = [BAD.as_slice(), &[1.0]].concat();
    let slope = |growth, most| Surrogate::SlopeAnnealed { growth, most };
    let softmax = |t| StraightThrough::new(Surrogate::Softmax(t));
    let st = |forward, backward| StGumbelSoftmax { forward, backward };
    let rao = |samples, tau| GumbelRao { samples, tau };
    let relaxed = |posterior, prior, samples| RelaxedBound { posterior, prior, samples };
    let annealed_st = |t| annealed(StGumbelSoftmax::new(1.0), t);
    vec![
        ("LeaveOneOut::new", "2 or more", each(&[0, 1], |k| mistake(|| LeaveOneOut::new(k)))),
        ("Vimco::new", "2 or more", each(&[0, 1], |k| mistake(|| Vimco::new(k)))),
        ("UnorderedSet::new", "1 to 12", each(&[0, 13], |k| mistake(|| UnorderedSet::new(k)))),
        ("MultiSample::discrete", "2 or more", each(&[0, 1], |k| mistake(|| MultiSample::discrete(k)))),
        ("MultiSample::relaxed", "sample", vec![mistake(|| MultiSample::relaxed(0, 1.0, 1.0))]),
        ("MultiSample::relaxed", "temperature", each(&taus, |t| mistake(|| MultiSample::relaxed(1, t, 1.0)))),
        ("MultiSample::relaxed", "temperature", each(&taus, |t| mistake(|| MultiSample::relaxed(1, 1.0, t)))),
        (
            "ScoreFunction::moving_average",
            "decay",
            each(&decays, |x| mistake(|| ScoreFunction::moving_average(x))),
        ),
        ("ControlVariate::rebar", "eta", each(&BAD_F32[..3], |x| mistake(|| ControlVariate::rebar(x, 0.5)))),
        ("ControlVariate::rebar", "tau", each(&taus, |t| mistake(|| ControlVariate::rebar(1.0, t)))),
        (
            "ControlVariate::relax",
            "eta",
            each(&BAD_F32[..3], |x| mistake(|| ControlVariate::relax(x, 0.5, 9))),
        ),
        ("ControlVariate::relax", "tau", each(&taus, |t| mistake(|| ControlVariate::relax(1.0, t, 9)))),
        ("ControlVariate::relax", "hidden", vec![mistake(|| ControlVariate::relax(1.0, 0.5, 0))]),
        ("StGumbelSoftmax::new", "temperature", each(&taus, |t| mistake(|| StGumbelSoftmax::new(t)))),
        ("StraightThrough::new", "temperature", each(&taus, |t| mistake(|| softmax(t)))),
        (
            "StraightThrough::new",
            "slope",
            each(&BAD_F32, |g| mistake(|| StraightThrough::new(slope(g, 5.0)))),
        ),
        ("StraightThrough::new", "slope", each(&taus, |m| mistake(|| StraightThrough::new(slope(1e-4, m))))),
        (
            "Estimate::estimate",
            "temperature",
            each(&taus, |tau| mistake(|| used(GumbelSoftmax { tau }, true))),
        ),
        ("Estimate::estimate", "temperature", each(&taus, |t| mistake(|| used(st(t, 1.0), true)))),
        ("Estimate::estimate", "temperature", each(&taus, |t| mistake(|| used(st(1.0, t), true)))),
        ("Estimate::estimate", "temperature", each(&taus, |t| mistake(|| used(annealed_st(t), true)))),
        (
            "Estimate::estimate",
            "temperature",
            each(&below_one, |tau| mistake(|| used(ReinMax { tau }, true))),
        ),
        ("Estimate::estimate", "temperature", each(&taus, |t| mistake(|| used(rao(9, t), true)))),
        ("Estimate::estimate", "noise per sample", vec![mistake(|| used(rao(0, 1.0), true))]),
        ("Estimate::estimate", "temperature", each(&taus, |t| mistake(|| used(relaxed(t, 1.0, 1), true)))),
        ("Estimate::estimate", "temperature", each(&taus, |t| mistake(|| used(relaxed(1.0, t, 1), true)))),
        ("Estimate::estimate", "sample", vec![mistake(|| used(relaxed(1.0, 1.0, 0), true))]),
        ("Estimate::estimate", "unordered-set:3", vec![mistake(|| used(UnorderedSet::new(4), false))]),
    ]
}

fn layers() -> Vec<Row> {
    let (noise, identity) = (&mut Noise::seed(1), Activation::Identity);
    let tape = Tape::new();
    let (x, w, b) = (tape.input(&[1.0], [1, 1]), tape.input(&[1.0], [1, 1]), tape.input(&[1.0], [1]));
    let leaky = Activation::LeakyRelu;
    let linear = |inputs, outputs| {
        mistake(|| Linear::declare(&mut Params::new(), "layer", (inputs, outputs), identity))
    };
    let mlp = |sizes: &[usize]| Mlp::declare(&mut Params::new(), "net", sizes, identity);
    let sizes: [&[usize]; 4] = [&[], &[3], &[0, 2], &[2, 0, 2]];
    vec![
        (
            "Init::values",
            "Init::Constant",
            each(&BAD_F32[..3], |x| mistake(|| Init::Constant(x).values(2, 2, &mut Noise::seed(1)))),
        ),
        (
            "Init::values",
            "deviation",
            each(&BAD_F32, |x| mistake(|| Init::Normal(x).values(2, 2, &mut Noise::seed(1)))),
        ),
        ("Init::values", "input", vec![mistake(|| Init::HeUniform.values(0, 2, noise))]),
        ("Linear::declare", "at least one input", vec![linear(0, 2), linear(2, 0)]),
        ("Linear::declare", "are too many", vec![linear(usize::MAX, 2)]),
        (
            "Linear::new",
            "input",
            vec![mistake(|| {
                Linear::new(&mut Params::new(), "layer", (0, 2), identity, Init::HeUniform, noise)
            })],
        ),
        ("Mlp::declare", "size", each(&sizes, |sizes| mistake(|| mlp(sizes)))),
        ("Mlp::new", "size", vec![mistake(|| Mlp::new(&mut Params::new(), "net", &[0, 1], identity, noise))]),
        ("Var::linear", "slope", each(&BAD_F32, |s| mistake(|| x.linear(w, b, leaky(s))))),
    ]
}

fn models() -> Vec<Row> {
    let p = &mut Params::new();
    let (noise, mean) = (&mut Noise::seed(1), [0.5; 4]);
    let [bits, none] = [2, 0].map(Variables::Bits);
    let one_class = Variables::Categories { count: 1, classes: 1 };
    let vae = |pixels, hidden: &[usize], latents| VaeShape::symmetric(pixels, hidden, latents);
    let semi = |pixels, classes, latents, hidden: &[usize]| SemiSupervisedShape {
        pixels,
        classes,
        latents,
        hidden: hidden.to_vec(),
    };
    let few = |weight, shift, smoothness| FewLabelsShape {
        latents: 2,
        hidden: vec![3],
        labels: KnownLabels::OfEachClass(1),
        weight,
        shift,
        guidance: Some(Guidance { smoothness, radius: 1.0, balance: 1.0 }),
    };
    let linear = Link::Linear;
    let means: [&[f32]; 4] = [&[0.5; 3], &[0.5, NAN, 0.5, 0.5], &[-0.1; 4], &[1.1; 4]];
    let shapes = [vae(0, &[3], bits), vae(4, &[0], bits), vae(4, &[3], none), vae(4, &[3], one_class)];
    let semis = [
        semi(0, 2, 2, &[3]),
        semi(4, 0, 2, &[3]),
        semi(4, 2, 0, &[3]),
        semi(4, 2, 2, &[]),
        semi(4, 2, 2, &[0]),
    ];
    let fews = [few(NAN, 0, 1.0), few(-1.0, 0, 1.0), few(1.0, usize::MAX, 1.0), few(1.0, 0, INF)];
    let refused = |shape: &VaeShape| mistake(|| Vae::declare(shape.clone(), &mut Params::new()));
    let [mut made, mut of_net, mut of_prediction] = [(); 3].map(|()| Params::new());
    let small = Vae::new(vae(4, &[3], bits), &mean, &mut made, noise);
    let net = BeliefNet::new(&[2], linear, &mean, &mut of_net, noise);
    let prediction = Prediction::new(&[bits], &mean[..2], &mean[2..], &mut of_prediction, noise);
    let [mut of_classifier, mut of_semi] = [(); 2].map(|()| Params::new());
    let classifier = Classifier::new(&[3], 2, &mean, &mut of_classifier, noise);
    let model = SemiSupervised::new(semi(4, 2, 2, &[3]), &mean, &mut of_semi, noise);
    let pixels = [1.0; 4];
    vec![
        ("Vae::declare", "Vae", shapes.iter().map(refused).collect()),
        (
            "Vae::new",
            "Vae: expected pixels of at least 1",
            vec![mistake(|| Vae::new(vae(0, &[], bits), &[], p, noise))],
        ),
        (
            "Vae::init",
            "Vae",
            each(&means, |m| mistake(|| small.init(&mut Params::new(), m, &mut Noise::seed(1)))),
        ),
        ("Vae::evaluate", "at least one", vec![mistake(|| small.evaluate(&made, &pixels, 0, noise))]),
        (
            "Vae::evaluate",
            "whole images of 4",
            vec![mistake(|| small.evaluate(&made, &pixels[1..], 1, noise))],
        ),
        ("BeliefNet::declare", "layer of bits", vec![mistake(|| BeliefNet::declare(&[], linear, 4, p))]),
        (
            "BeliefNet::declare",
            "layers of at least 1",
            vec![mistake(|| BeliefNet::declare(&[2, 0], linear, 4, p))],
        ),
        (
            "BeliefNet::declare",
            "pixels of at least 1",
            vec![mistake(|| BeliefNet::declare(&[2], linear, 0, p))],
        ),
        ("BeliefNet::new", "layer of bits", vec![mistake(|| BeliefNet::new(&[], linear, &mean, p, noise))]),
        ("BeliefNet::init", "BeliefNet", each(&means, |m| mistake(|| net.init(&mut of_net, m, noise)))),
        ("BeliefNet::evaluate", "at least one", vec![mistake(|| net.evaluate(&of_net, &pixels, 0, noise))]),
        (
            "BeliefNet::evaluate",
            "whole images",
            vec![mistake(|| net.evaluate(&of_net, &pixels[1..], 1, noise))],
        ),
        ("Prediction::declare", "layer of variables", vec![mistake(|| Prediction::declare(&[], 2, 2, p))]),
        ("Prediction::declare", "variable", vec![mistake(|| Prediction::declare(&[none], 2, 2, p))]),
        ("Prediction::declare", "inputs of", vec![mistake(|| Prediction::declare(&[bits], 0, 2, p))]),
        ("Prediction::declare", "outputs of", vec![mistake(|| Prediction::declare(&[bits], 2, 0, p))]),
        ("Prediction::new", "layer", vec![mistake(|| Prediction::new(&[], &mean, &mean, p, noise))]),
        (
            "Prediction::init",
            "Prediction",
            each(&means, |m| mistake(|| prediction.init(&mut of_prediction, m, m, noise))),
        ),
        (
            "Prediction::evaluate",
            "at least one",
            vec![mistake(|| prediction.evaluate(&of_prediction, &pixels, 0, noise))],
        ),
        (
            "Prediction::complete",
            "whole images",
            vec![mistake(|| prediction.complete(&of_prediction, &pixels[1..], noise))],
        ),
        (
            "Classifier::declare",
            "classes of at least 1",
            vec![mistake(|| Classifier::declare(&[2], 0, 4, p))],
        ),
        ("Classifier::declare", "hidden of at least 1", vec![mistake(|| Classifier::declare(&[0], 2, 4, p))]),
        (
            "Classifier::new",
            "pixels of at least 1",
            vec![mistake(|| Classifier::new(&[2], 2, &[], p, noise))],
        ),
        (
            "Classifier::init",
            "Classifier",
            each(&means, |m| mistake(|| classifier.init(&mut of_classifier, m, noise))),
        ),
        (
            "SemiSupervised::declare",
            "SemiSupervised",
            semis
                .iter()
                .map(|s| mistake(|| SemiSupervised::declare(s.clone(), &mut Params::new())))
                .collect(),
        ),
        (
            "SemiSupervised::new",
            "hidden",
            vec![mistake(|| SemiSupervised::new(semi(4, 2, 2, &[]), &mean, p, noise))],
        ),
        (
            "SemiSupervised::init",
            "SemiSupervised",
            each(&means, |m| mistake(|| model.init(&mut of_semi, m, noise))),
        ),
        (
            "SemiSupervised::evaluate",
            "at least one",
            vec![mistake(|| model.evaluate(&of_semi, &pixels, 0, noise))],
        ),
        (
            "SemiSupervised::reconstruct",
            "whole images",
            vec![mistake(|| model.reconstruct(&of_semi, &pixels[1..], noise))],
        ),
        (
            "FewLabels::declare",
            "FewLabels",
            fews.iter()
                .map(|s| mistake(|| FewLabels::declare(s.clone(), [2, 2], 2, &mut Params::new())))
                .collect(),
        ),
        ("multi_sample_bound", "at least one", vec![mistake(|| multi_sample_bound(1, 0, |_, _| {}))]),
    ]
}

/// A problem with one bit and these logits, too few or too many.
struct Crooked(Vec<f32>);

impl Problem for Crooked {
    fn name(&self) -> String {
        "crooked".to_owned()
    }
    fn variables(&self) -> Variables {
        Variables::Bits(1)
    }
    fn logits(&self) -> &[f32] {
        &self.0
    }
    fn loss<'t>(&self, z: Var<'t>) -> Var<'t> {
        z.sum()
    }
}

fn lab() -> Vec<Row> {
    let noise = &mut Noise::seed(1);
    let toy = Toy::new(0.45);
    let digits = images(4, 24, 4);
    let found = measure(&toy, &mut ScoreFunction::new(), 9, 0, noise).unwrap();
    let large = [BAD_F32[..3].as_ref(), &[1001.0]].concat();
    let powers = [BAD_F32.as_slice(), &[0.0, 0.009, 101.0]].concat();
    let rated = |rate, every| {
        training_curve(&Toy::new(0.45), &mut ScoreFunction::new(), 1, every, rate, &mut Noise::seed(1))
    };
    let vae = |latents, classes| mistake(|| DigitVae::train(&digits, latents, classes, 1));
    let crooked =
        |logits: Vec<f32>| measure(&Crooked(logits), &mut LeaveOneOut::new(2), 9, 0, &mut Noise::seed(1));
    assert!(crooked(vec![0.0]).unwrap_err().contains("one number per row"));
    vec![
        ("Toy::new", "Toy: t", each(&large, |t| mistake(|| Toy::new(t)))),
        ("Toy::at", "Toy: t", each(&large, |t| mistake(|| Toy::at(t, 0.0)))),
        ("Toy::at", "Toy: the logit", each(&BAD_F32[..3], |logit| mistake(|| Toy::at(0.45, logit)))),
        (
            "Polynomial::new",
            "Polynomial: the power",
            each(&powers, |power| mistake(|| Polynomial::new(power))),
        ),
        ("Quadratic::new", "Quadratic", each(&[0, 1, 4097], |classes| mistake(|| Quadratic::new(classes)))),
        ("DigitVae::train", "DigitVae", vec![vae(0, 2), vae(2, 0), vae(2, 1), vae(100, 100)]),
        ("measure", "measure", vec![mistake(|| measure(&toy, &mut ScoreFunction::new(), 0, 0, noise))]),
        (
            "measure_timed",
            "measure",
            vec![mistake(|| measure_timed(&toy, &mut ScoreFunction::new(), 0, 0, noise, &|| Duration::ZERO))],
        ),
        ("measure", "crooked", vec![mistake(|| crooked(vec![])), mistake(|| crooked(vec![0.0; 2]))]),
        ("measure_named", "not an estimator", vec![mistake(|| measure_named(&toy, "roulette", 9, 1))]),
        (
            "sweep_temperatures",
            "not an estimator",
            vec![mistake(|| sweep_temperatures(&toy, "roulette", 9, 1))],
        ),
        ("Measurement::histogram", "bin", vec![mistake(|| found.histogram(0.0, 1.0, 0))]),
        ("Measurement::histogram", "low", each(&BAD, |high| mistake(|| found.histogram(0.0, high, 9)))),
        ("training_curve", "rate", each(&BAD_F32, |rate| mistake(|| rated(rate, 1)))),
        ("training_curve", "between points", vec![mistake(|| rated(0.1, 0))]),
    ]
}

fn data_and_runs() -> Vec<Row> {
    let noise = || Noise::seed(1);
    let digits = images(4, 120, 10);
    let split = digits.train();
    let mut run = plans::plan(plans::vae(Variables::Bits(2)), "rloo:2", 10).begin(&digits).unwrap();
    run.step();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    run.checkpoint().save(&path).unwrap();
    let stored = Stored::load(&path).unwrap();
    let mut row = [0.0; 2];
    let mut batches = Batches::new(5, noise());
    let shares = [BAD.as_slice(), &[1.1]].concat();
    vec![
        ("Batches::new", "examples", vec![mistake(|| Batches::new(0, noise()))]),
        ("Batches::next_batch", "batch", each(&[0, 6], |size| mistake(|| batches.next_batch(size)))),
        ("Split::labels_into", "image 100", vec![mistake(|| split.labels_into(&[100], &mut [0]))]),
        ("Split::pixels_into", "room", vec![mistake(|| split.pixels_into(&[0], &mut [0.0]))]),
        (
            "Split::sample_pixels_into",
            "room",
            vec![mistake(|| split.sample_pixels_into(&[0], &mut noise(), &mut [0.0]))],
        ),
        ("Run::evaluation", "evaluation", vec![mistake(|| run.evaluation(SplitKind::Test, 0))]),
        ("Run::evaluate", "evaluation", vec![mistake(|| run.evaluate(SplitKind::Test, 0))]),
        ("Stored::evaluation", "evaluation", vec![mistake(|| stored.evaluation(SplitKind::Test, 0, 1))]),
        ("Noise::bernoulli", "p must", each(&shares, |p| mistake(|| noise().bernoulli(p)))),
        ("Noise::below", "bound", vec![mistake(|| noise().below(0))]),
        ("Variables::write_state", "state 4", vec![mistake(|| Variables::Bits(2).write_state(4, &mut row))]),
        (
            "Variables::write_state",
            "3 numbers",
            vec![mistake(|| Variables::Bits(3).write_state(0, &mut row))],
        ),
    ]
}

fn rows() -> Vec<Row> {
    let parts =
        [optimizers(), schedules(), temperatures(), estimators(), layers(), models(), lab(), data_and_runs()];
    parts.into_iter().flatten().collect()
}

#[test]
fn settings_out_of_their_range_are_refused() {
    insta::assert_snapshot!(shown(&rows()), @"
    Adam: the learning rate must be from 0 to 1e30, it is NaN; 1e-3 is usual
    Adam: beta1 must be from 0 to 0.99999, it is NaN; 0.9 is usual
    Adam: beta2 must be from 0 to 0.99999, it is NaN; 0.999 is usual
    Adam: epsilon must be above 0, and at most 1e30, it is NaN; 1e-8 is usual
    Adam: the weight decay must be from 0 to 1e30, it is NaN; 0.01 is usual
    Adam: the learning rate must be from 0 to 1e30, it is NaN; 1e-3 is usual
    Sgd: the learning rate must be from 0 to 1e30, it is NaN; 0.01 is usual
    Sgd: the momentum must be from 0 to below 1, it is NaN; 0.9 is usual
    Sgd: the weight decay must be from 0 to 1e30, it is NaN; 1e-4 is usual
    Sgd: the learning rate must be from 0 to 1e30, it is NaN; 0.01 is usual
    Gradients::scale: the factor must be finite, it is NaN; 1 changes nothing
    Gradients::clip_norm: the largest norm must be finite and above 0, it is NaN; for no limit do not clip
    Gradients::clip_value: the largest entry must be finite and above 0, it is NaN; for no limit do not clip
    Schedule::at: expected finite numbers, found NaN
    Schedule::at: expected finite numbers, found anneal:NaN,1,1,1
    Schedule::at: expected finite numbers, found anneal:1,NaN,1,1
    Schedule::at: expected finite numbers, found anneal:1,1,NaN,1
    Schedule::at: expected finite numbers, found tail:NaN,1,0,9
    Schedule::at: expected finite numbers, found tail:1,NaN,0,9
    Schedule::at: expected EVERY of at least 1, found anneal:1,0.1,0.5,0
    Schedule::at: expected TO after FROM, found tail:1,0.5,5,5
    falling: the rate at the start must be finite and above 0, it is NaN; 1e-3 is usual
    gumbel_softmax: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    st_gumbel_softmax: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    st_categorical: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    st_argmax: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    gumbel_rao: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    gumbel_rao: at least one sample of the noise is needed; 10 is usual
    exp_concrete: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    exp_concrete_log_prob: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    binary_concrete: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    st_binary_concrete: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    logit_binary_concrete: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    logit_binary_concrete_log_prob: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    binary_concrete: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    gumbel_softmax: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    st_binary_concrete: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    st_gumbel_softmax: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    ExpConcrete: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    RelaxedOneHot: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    RelaxedBernoulli: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    LogitRelaxedBernoulli: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    leaky_relu: the slope must be finite, it is NaN; 0.01 is usual
    LeaveOneOut::new: 0 sample(s) leave no others for a baseline; use 2 or more, or score-function for one
    Vimco::new: 0 sample(s) leave no others for a baseline; use 2 or more, or score-function for one
    UnorderedSet::new: it takes 1 to 12 samples, found 0; use rloo:2
    MultiSample::discrete: 0 sample(s) leave no others for a baseline; use 2 or more, or score-function for one
    MultiSample::relaxed: it needs at least one sample; use concrete:0.67:0.5:1
    MultiSample::relaxed: its temperatures must be positive and finite, found NaN; 1 is a usual one
    MultiSample::relaxed: its temperatures must be positive and finite, found NaN; 1 is a usual one
    moving-average: the decay must be from 0 to below 1, it is NaN; 0.99 is usual
    rebar: eta must be finite, it is NaN; 1 is usual
    rebar: tau must be positive and finite, it is NaN; 0.5 is usual
    relax: eta must be finite, it is NaN; 1 is usual
    relax: tau must be positive and finite, it is NaN; 0.5 is usual
    relax: at least one hidden unit is needed; use rebar for none
    StGumbelSoftmax::new: its temperatures must be positive and finite, found NaN; 1 is a usual one
    StraightThrough::new: its temperatures must be positive and finite, found NaN; 1 is a usual one
    StraightThrough::new: the slope must grow from 1 to a positive number, found growth NaN to 5; use st-slope-annealed
    StraightThrough::new: the slope must grow from 1 to a positive number, found growth 0.0001 to NaN; use st-slope-annealed
    gumbel-softmax:NaN: its temperatures must be positive and finite, found NaN; 1 is a usual one
    st-gumbel-softmax:NaN:1: its temperatures must be positive and finite, found NaN; 1 is a usual one
    st-gumbel-softmax:NaN: its temperatures must be positive and finite, found NaN; 1 is a usual one
    st-gumbel-softmax:NaN: its temperatures must be positive and finite, found NaN; 1 is a usual one
    reinmax:NaN: its temperatures must be positive and finite, found NaN; 1 is a usual one
    gumbel-rao:9:NaN: its temperatures must be positive and finite, found NaN; 1 is a usual one
    gumbel-rao:0:1: it needs at least one noise per sample; use gumbel-rao:10:1
    concrete:NaN:1:1: its temperatures must be positive and finite, found NaN; 1 is a usual one
    concrete:1:NaN:1: its temperatures must be positive and finite, found NaN; 1 is a usual one
    concrete:1:1:0: it needs at least one sample; use concrete:0.67:0.5:1
    unordered-set:4: 4 different classes cannot be drawn from 3; use at most unordered-set:3
    Init::Constant: the value must be finite, it is NaN; 0 is usual
    Init::Normal: the standard deviation must be finite and at least 0, it is NaN; 0.01 is usual
    Init::values: expected at least one input and one output, found 0 and 2
    Linear `layer`: expected at least one input and one output, found 0 and 2
    Linear `layer`: 18446744073709551615 x 2 weights are too many
    Linear `layer`: expected at least one input and one output, found 0 and 2
    Mlp `net`: expected at least an input and an output size, found []
    Mlp `net`: expected sizes of at least 1, found [0, 1]
    linear: the slope of a leaky ReLU must be finite and at least 0, it is NaN; 0.01 is usual
    Vae: expected pixels of at least 1, found [0]
    Vae: expected pixels of at least 1, found [0]
    Vae: 3 means given for 4 pixels
    a bound of several samples: at least one is needed, found 0
    Vae: 3 pixels given, which are not whole images of 4
    BeliefNet: expected at least one layer of bits, found none
    BeliefNet: expected layers of at least 1, found [2, 0]
    BeliefNet: expected pixels of at least 1, found [0]
    BeliefNet: expected at least one layer of bits, found none
    BeliefNet: 3 means given for 4 pixels
    a bound of several samples: at least one is needed, found 0
    BeliefNet: 3 pixels given, which are not whole images of 4
    Prediction: expected at least one layer of variables, found none
    Prediction: expected at least one variable of two values or more, found 0 bit(s)
    Prediction: expected inputs of at least 1, found [0]
    Prediction: expected outputs of at least 1, found [0]
    Prediction: expected at least one layer of variables, found none
    Prediction: 3 means given for 2 pixels
    a bound of several samples: at least one is needed, found 0
    Prediction: 3 pixels given, which are not whole images of 4
    Classifier: expected classes of at least 1, found [0]
    Classifier: expected hidden of at least 1, found [0]
    Classifier: expected pixels of at least 1, found [0]
    Classifier: 3 means given for 4 pixels
    SemiSupervised: expected pixels of at least 1, found [0]
    SemiSupervised: expected at least one hidden layer, found none
    SemiSupervised: 3 means given for 4 pixels
    a bound of several samples: at least one is needed, found 0
    SemiSupervised: 3 pixels given, which are not whole images of 4
    FewLabels: weight: expected a number from 0 to 1000000000, found NaN
    a bound of several samples: at least one is needed, found 0
    Toy: t must be from -1000 to 1000, it is NaN; 0.45 is usual
    Toy: t must be from -1000 to 1000, it is NaN; 0.45 is usual
    Toy: the logit must be finite, it is NaN; 0 is usual
    Polynomial: the power must be from 0.01 to 100, it is NaN; 2 is usual
    Quadratic: expected 2 to 4096 classes, found 0; 5 is usual
    DigitVae: expected at least one latent variable of two classes or more, found 0 categorical variable(s) of 2 classes
    measure: at least one estimate is needed, found 0; 10000 is usual
    measure: at least one estimate is needed, found 0; 10000 is usual
    crooked: 1 bit(s) have 1 logits per row, and the problem has 0
    `roulette` is not an estimator; see estimators::entries
    `roulette:0.05` is not an estimator; see estimators::entries
    Measurement::histogram: at least one bin is needed, found 0; 50 is usual
    Measurement::histogram: low is 0 and high NaN; low must be below high, by a finite number
    training_curve: the learning rate must be finite and at least 0, it is NaN; 0.1 is usual
    training_curve: at least one step between points is needed, found 0
    Batches::new: there are no examples to make batches of
    Batches::next_batch: a batch of 0 from 5 examples
    image 100 was chosen of 100 (0 to 99)
    Split::pixels_into: room for 1 values, but 1 images of 16 pixels were chosen
    Split::sample_pixels_into: room for 1 values, but 1 images of 16 pixels were chosen
    an evaluation: at least one hard sample per image is needed, found 0
    an evaluation: at least one hard sample per image is needed, found 0
    an evaluation: at least one hard sample per image is needed, found 0
    Noise::bernoulli: p must be from 0 to 1, it is NaN
    Noise::below: the bound must be positive
    Variables::write_state: state 4 of 2 bit(s), which have 4; they count from 0
    Variables::write_state: 3 bit(s) are 3 numbers, the row has 2
    ");
}

/// Functions that accept any number, whose mistakes are tested with shapes and indices (`stability`), or that
/// return an error.
const ANY: &[&str] = &[
    // These compute or draw with any number.
    "Var::affine",
    "Var::masked",
    "Noise::seed",
    "Noise::take",
    "Noise::draws",
    "Noise::resume",
    "z_bound",
    // Data and shapes.
    "Tape::input",
    "Tape::variable",
    "Tape::input_with",
    "Tape::record",
    "Params::add",
    "Gradients::add",
    "Checkpoint::put",
    "Shape::with_classes",
    "Variables::shape",
    "Split::of_intensities",
    "Split::of_bits",
    "Split::binarized_pixels_into",
    "HardBound::exact",
    "Split::sample_first",
    "gradcheck",
    // Axes, positions and classes.
    "Var::sum_axis",
    "Var::mean_axis",
    "Var::slice",
    "Var::concat",
    "Var::gather",
    "Var::select",
    "Var::cross_entropy",
    "Categorical::log_prob",
    "Recorded::input",
    "Recorded::input_shape",
    "InputGradients::wants",
    "InputGradients::add_to",
    "InputGradients::write_to",
    "Batch::binary_pixels_of",
    "SemiSupervised::labelled_loss",
    "SemiSupervised::right_answers",
    // It accepts 0 and any larger number.
    "SemiSupervised::generate",
    // A plan or a model checks these settings as a whole.
    "ModelShape::layers",
    "VaeShape::symmetric",
    "Estimators::annealed",
    "Estimators::then",
    "Plan::with_steps",
    "FewLabels::init",
    // Its numbers come from the closure.
    "estimate_layers",
];

/// Returns the public functions of a file, each with its name, its signature, and the documentation and
/// attributes before it.
fn functions(text: &str) -> Vec<(String, String, String)> {
    let (mut found, mut owner, mut before) = (Vec::new(), String::new(), String::new());
    let mut lines = text.split("#[cfg(test)]\nmod tests").next().unwrap().lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(block) = line.strip_prefix("impl").filter(|_| line.ends_with('{')) {
            let of = block.rsplit(" for ").next().unwrap().trim_end_matches(" {");
            let of = if of.starts_with('<') { of.split_once("> ").unwrap().1 } else { of };
            owner = of.trim().split('<').next().unwrap().to_owned() + "::";
        } else if line == "}" {
            owner.clear();
        }
        let code = line.trim_start();
        if code.starts_with("///") || code.starts_with("#[") {
            before += code;
            before += "\n";
            continue;
        }
        if let Some(rest) = code.strip_prefix("pub fn ") {
            let name = rest.split(['(', '<']).next().unwrap();
            let mut signature = rest.to_owned();
            while !signature.contains(['{', ';']) {
                signature += lines.next().unwrap().trim();
            }
            found.push((format!("{owner}{name}"), signature, before.clone()));
        }
        before.clear();
    }
    found
}

/// Returns the public functions of every file of the library, except for the command line.
fn library() -> Vec<(String, String, String)> {
    let mut folders = vec![root().join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !["bin", "cli", "mpi"].contains(&name) {
                folders.push(path);
            } else if name.ends_with(".rs") && name != "cli.rs" {
                found.extend(functions(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

#[test]
fn every_function_that_takes_a_number_is_in_the_list() {
    let listed: BTreeSet<&str> =
        rows().iter().map(|(function, ..)| *function).chain(ANY.iter().copied()).collect();
    let numbers = ["f32", "f64", "usize", "u64", "u32", "Schedule", "Temperature<'t>"];
    let is_gap = |c: char| !(c.is_alphanumeric() || c == '_' || c == '<' || c == '>' || c == '\'');
    let mut missing = Vec::new();
    for (name, signature, _) in library() {
        let arguments = signature.split("->").next().unwrap();
        let takes_a_number = numbers.iter().any(|number| {
            arguments.split(is_gap).any(|word| word == *number || word == format!("Into<{number}>"))
        });
        let name = name.trim_start_matches("$optimizer::");
        if takes_a_number && !listed.contains(name) && name != "set_learning_rate" {
            missing.push(name.to_owned());
        }
    }
    assert!(missing.is_empty(), "neither refused here nor in ANY: {missing:#?}");
}

#[test]
fn what_may_panic_or_record_names_its_callers_line() {
    let mut without = Vec::new();
    for (name, signature, before) in library() {
        let records = signature.contains("Var<") && name != "Logits::var";
        if (before.contains("# Panics") || records) && !before.contains("#[track_caller]") {
            without.push(name);
        }
    }
    assert!(without.is_empty(), "without #[track_caller]: {without:#?}");
}

// ------------------------------------------------------------------------------------ in the rest of a model

/// Returns the names of all estimators, with usual parameters.
fn names() -> impl Iterator<Item = &'static str> {
    entries().flat_map(|entry| entry.usual).copied().chain(["concrete:0.67:0.5:2"])
}

const KINDS: [Variables; 3] = [
    Variables::Bits(3),
    Variables::Categories { count: 2, classes: 3 },
    Variables::Categories { count: 1, classes: 4 },
];

#[test]
fn every_estimator_names_a_loss_that_is_not_one_number_per_row() {
    for (name, variables) in names().flat_map(|name| KINDS.map(|variables| (name, variables))) {
        if parse(name).unwrap().check(variables).is_err() {
            continue;
        }
        let (tape, other) = (Tape::new(), Tape::new());
        let logits =
            variables.logits(tape.variable(&vec![0.5; 2 * variables.elements()], variables.shape(2)));
        let noise = || Noise::seed(1);
        let estimator = || parse(name).unwrap();
        for text in [
            mistake(|| estimator().estimate(logits, &mut noise(), |z, _| z.sum())),
            mistake(|| estimator().estimate(logits, &mut noise(), |z, _| z)),
            mistake(|| estimator().estimate(logits, &mut noise(), |z, _| z.tape().input(&[1.0; 3], [3]))),
        ] {
            assert!(text.contains("the loss of 2 rows must be [2], one number per row"), "{name}: {text}");
        }
        let text = mistake(|| estimator().estimate(logits, &mut noise(), |_, _| other.input(&[1.0; 2], [2])));
        assert!(text.contains("another tape"), "{name}: {text}");
    }
}

#[test]
fn every_estimator_names_a_row_without_a_class() {
    for (name, variables) in
        names().flat_map(|name| KINDS[1..].iter().map(move |&variables| (name, variables)))
    {
        if parse(name).unwrap().check(variables).is_err() {
            continue;
        }
        let tape = Tape::new();
        let logits = variables.logits(tape.variable(&vec![MASK; variables.elements()], variables.shape(1)));
        let text =
            mistake(|| parse(name).unwrap().estimate(logits, &mut Noise::seed(1), |z, _| sum_of_squares(z)));
        assert!(text.starts_with(name) && text.contains("row 0 has no class left"), "{text}");
    }
}

/// A loss of one row, without a derivative.
fn constant<'t>(z: Var<'t>) -> Var<'t> {
    z.tape().input(&[1.0], [1])
}

/// The estimators that an error message recommends support the variables that were refused.
#[test]
fn what_a_refusal_recommends_works() {
    for variables in KINDS {
        let tape = Tape::new();
        let logits = variables.logits(tape.variable(&vec![0.5; variables.elements()], variables.shape(1)));
        let text = mistake(|| {
            parse("gumbel-softmax:1").unwrap().estimate(logits, &mut Noise::seed(1), |z, _| constant(z))
        });
        assert!(text.contains("no derivative"), "{text}");
        let many = match variables {
            Variables::Bits(_) => Variables::Bits(40),
            Variables::Categories { .. } => Variables::Categories { count: 40, classes: 3 },
        };
        for text in [text, parse("exact").unwrap().check(many).unwrap_err()] {
            let names: Vec<&str> = text
                .split([' ', ','])
                .filter(|word| *word == "disarm" || word.starts_with("rloo:"))
                .collect();
            assert!(!names.is_empty(), "{text}");
            for name in names {
                parse(name).unwrap().estimate(logits, &mut Noise::seed(1), |z, _| constant(z));
            }
        }
    }
}

#[test]
fn an_estimator_that_has_learned_is_for_rows_of_one_size() {
    let tape = Tape::new();
    for name in ["nvil", "muprop-baseline", "relax"] {
        let mut estimator = parse(name).unwrap();
        let mut on = |bits| {
            let logits = Logits::bits(tape.variable(&vec![0.5; bits], [1, bits]));
            estimator.estimate(logits, &mut Noise::seed(1), |z, _| z.square().sum_axis(1)).item()
        };
        on(3);
        let text = mistake(|| on(6));
        let expected = "it learned on rows of 3 numbers and is given 6; use one estimator per layer";
        assert_eq!(text, format!("{name}: {expected}"));
    }
}

/// Estimates the loss of four rows through layers of bits. An entry of `terms` holds, for each layer but the
/// last, the number of rows of its term and of the next layer. `loss` is the number of rows of the last
/// layer's loss.
fn through(name: &str, estimators: usize, terms: &[(usize, usize)], loss: usize) {
    let tape = Tape::new();
    let bits = |rows| Logits::bits(tape.variable(&vec![0.5; 2 * rows], [rows, 2]));
    let ones = |rows| tape.input(&vec![1.0; rows], [rows]);
    let mut estimators: Vec<_> = (0..estimators).map(|_| parse(name).unwrap()).collect();
    estimate_layers(&mut estimators, bits(4), &mut Noise::seed(1), |layer, _, _, _| match terms.get(layer) {
        Some(&(terms, next)) => Step::Next(Some(ones(terms)), bits(next)),
        None => Step::Last(ones(loss)),
    });
}

#[test]
fn mistakes_between_layers_are_named() {
    let mut texts = Vec::new();
    // In a multi-sample bound, each sample is a separate row.
    for (name, rows) in [("rloo:2", 4), ("vimco:2", 8)] {
        through(name, 2, &[(rows, rows)], rows);
        texts.extend([
            mistake(|| through(name, 0, &[], rows)),
            mistake(|| through(name, 1, &[], 3)),
            mistake(|| through(name, 2, &[(3, rows)], rows)),
            mistake(|| through(name, 2, &[(rows, 3)], 3)),
            mistake(|| through(name, 2, &[(rows, rows)], 3)),
        ]);
    }
    texts.push(mistake(|| through("rloo:2", 1, &[(4, 4)], 4)));
    insta::assert_snapshot!(texts.join("\n"), @r"
    estimate_layers: no estimator given; one for each layer of variables is needed
    the loss of 4 rows must be [4], one number per row, but its shape is [3]; sum over the other axes, with .sum_axis(1) for example
    the loss of 4 rows must be [4], one number per row, but its shape is [3]; sum over the other axes, with .sum_axis(1) for example
    the loss of 4 rows must be [4], one number per row, but its shape is [3]; sum over the other axes, with .sum_axis(1) for example
    the loss of 4 rows must be [4], one number per row, but its shape is [3]; sum over the other axes, with .sum_axis(1) for example
    estimate_layers: no estimator given; one for each layer of variables is needed
    the loss of 8 rows must be [8], one number per row, but its shape is [3]; sum over the other axes, with .sum_axis(1) for example
    the loss of 8 rows must be [8], one number per row, but its shape is [3]; sum over the other axes, with .sum_axis(1) for example
    a layer of 3 rows follows one of 8; all layers have the same rows
    the loss of 8 rows must be [8], one number per row, but its shape is [3]; sum over the other axes, with .sum_axis(1) for example
    1 estimator(s) given for more layers; one for each layer is needed
    ");
}

/// Rows that do not fit must be refused before they reach the models' own closures.
#[test]
fn models_name_rows_that_do_not_fit() {
    let (tape, noise, mean) = (Tape::new(), &mut Noise::seed(1), [0.5; 4]);
    let [mut of_vae, mut of_net, mut of_prediction, mut of_semi] = [(); 4].map(|()| Params::new());
    let bits = Variables::Bits(2);
    let vae = Vae::new(VaeShape::symmetric(4, &[3], bits), &mean, &mut of_vae, noise);
    let net = BeliefNet::new(&[2, 2], Link::Linear, &mean, &mut of_net, noise);
    let prediction = Prediction::new(&[bits], &mean[..2], &mean[2..], &mut of_prediction, noise);
    let shape = SemiSupervisedShape { pixels: 4, classes: 3, latents: 2, hidden: vec![3] };
    let semi = SemiSupervised::new(shape, &mean, &mut of_semi, noise);
    let [flat, narrow, x, deep] = [&[4][..], &[2, 3], &[2, 4], &[1, 2, 4]]
        .map(|dims| tape.input(&vec![1.0; dims.iter().product()], dims));
    let [half, other] = [[2, 2], [3, 2]].map(|dims| tape.input(&vec![1.0; dims[0] * dims[1]], dims));
    let rloo = || parse("rloo:2").unwrap();
    let texts = [flat, narrow, deep].map(|x| {
        [
            mistake(|| vae.negative_bound(&of_vae, x, &mut *rloo(), noise)),
            mistake(|| net.negative_bound(&of_net, x, &mut [rloo(), rloo()], noise)),
            mistake(|| prediction.negative_bound(&of_prediction, x, half, &mut [rloo()], noise)),
            mistake(|| prediction.negative_bound(&of_prediction, half, x, &mut [rloo()], noise)),
            mistake(|| semi.unlabelled_loss(&of_semi, x, &mut *rloo(), noise)),
            mistake(|| semi.labelled_loss(&of_semi, (x, &[0, 1]), noise)),
        ]
    });
    let others = [
        mistake(|| prediction.negative_bound(&of_prediction, half, other, &mut [rloo()], noise)),
        mistake(|| semi.labelled_loss(&of_semi, (x, &[0]), noise)),
        mistake(|| semi.labelled_loss(&of_semi, (x, &[0, 3]), noise)),
    ];
    insta::assert_snapshot!([texts[2].join("\n"), others.join("\n")].join("\n"), @r"
    Vae: the images must be [images, 4], the shape is [1, 2, 4]
    BeliefNet: the images must be [images, 4], the shape is [1, 2, 4]
    Prediction: x must be [images, 2], the shape is [1, 2, 4]
    Prediction: y must be [images, 2], the shape is [1, 2, 4]
    SemiSupervised: the images must be [images, 4], the shape is [1, 2, 4]
    SemiSupervised: the images must be [images, 4], the shape is [1, 2, 4]
    Prediction: x has 2 rows and y 3; they must have the same number
    SemiSupervised: 1 labels for 2 images; one each is needed
    SemiSupervised: index 3 at position 1, but there are 3 classes; they count from 0
    ");
}

// --------------------------------------------------------------------------------------------- distributions

/// Tests are debug builds, which refuse parameters that are NaN and constants outside the support.
#[test]
fn distributions_refuse_invalid_arguments() {
    let tape = Tape::new();
    let constant = |row: [f32; 3]| tape.input(&row, [1, 3]);
    let [nan, zero] = [[0.0, NAN, 0.0], [0.0; 3]].map(constant);
    let texts = [
        mistake(|| Bernoulli::new(nan)),
        mistake(|| OneHot::new(nan)),
        mistake(|| Categorical::new(nan)),
        mistake(|| ExpConcrete::new(nan, 1.0)),
        mistake(|| RelaxedOneHot::new(nan, 1.0)),
        mistake(|| RelaxedBernoulli::new(nan, 1.0)),
        mistake(|| LogitRelaxedBernoulli::new(nan, 1.0)),
        mistake(|| Normal::new(nan, zero)),
        mistake(|| Normal::new(zero, nan)),
        mistake(|| Logistic::new(nan, zero)),
        mistake(|| Logistic::new(zero, nan)),
        mistake(|| Gumbel::new(nan, zero)),
        mistake(|| Gumbel::new(zero, nan)),
        mistake(|| Uniform::new(nan, zero + 1.0)),
        mistake(|| Bernoulli::new(zero).log_prob(constant([0.0, 2.0, 0.0]))),
        mistake(|| Bernoulli::new(zero).log_prob(constant([0.0, 1.0, -1.0]))),
        mistake(|| OneHot::new(zero).log_prob(constant([2.0, -1.0, 0.0]))),
        mistake(|| OneHot::new(zero).log_prob(constant([1.0, 1.0, 0.0]))),
        mistake(|| OneHot::new(zero).log_prob(zero)),
        mistake(|| ExpConcrete::new(zero, 1.0).log_prob(zero)),
        mistake(|| RelaxedOneHot::new(zero, 1.0).log_prob(Simplex::from_log(zero))),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r"
    Bernoulli: element 1 of the logits is NaN; tape.check_finite() names the op that it came from
    OneHot: element 1 of the logits is NaN; tape.check_finite() names the op that it came from
    Categorical: element 1 of the logits is NaN; tape.check_finite() names the op that it came from
    ExpConcrete: element 1 of the logits is NaN; tape.check_finite() names the op that it came from
    RelaxedOneHot: element 1 of the logits is NaN; tape.check_finite() names the op that it came from
    RelaxedBernoulli: element 1 of the logits is NaN; tape.check_finite() names the op that it came from
    LogitRelaxedBernoulli: element 1 of the logits is NaN; tape.check_finite() names the op that it came from
    Normal: element 1 of the mean is NaN; tape.check_finite() names the op that it came from
    Normal: element 1 of log_std is NaN; tape.check_finite() names the op that it came from
    Logistic: element 1 of loc is NaN; tape.check_finite() names the op that it came from
    Logistic: element 1 of log_scale is NaN; tape.check_finite() names the op that it came from
    Gumbel: element 1 of loc is NaN; tape.check_finite() names the op that it came from
    Gumbel: element 1 of log_scale is NaN; tape.check_finite() names the op that it came from
    Uniform: low is NaN and high 1 at element 1; low must be below high, by a finite number
    Bernoulli::log_prob: element 1 of z is 2; it must be 0 or 1, or between them if it is soft
    Bernoulli::log_prob: element 2 of z is -1; it must be 0 or 1, or between them if it is soft
    OneHot::log_prob: element 0 of z is 2; it must be 0 or 1, or between them if it is soft
    OneHot::log_prob: row 0 of z sums to 2; it must be one-hot, or sum to 1 if it is soft
    OneHot::log_prob: row 0 of z sums to 0; it must be one-hot, or sum to 1 if it is soft
    ExpConcrete::log_prob: the exponentials of row 0 of log_y sum to 3 and must sum to 1; use .log_softmax()
    RelaxedOneHot::log_prob: the exponentials of row 0 of y.log sum to 3 and must sum to 1; use .log_softmax()
    ");
    // Soft values and NaN values are accepted.
    let soft = constant([0.25, 0.5, 0.25]);
    assert!(Bernoulli::new(zero).log_prob(soft).to_vec().iter().all(|log_prob| log_prob.is_finite()));
    assert!(OneHot::new(zero).log_prob(soft).item().is_finite());
    assert!(OneHot::new(zero).log_prob(constant([NAN; 3])).item().is_nan());
    // A difference quotient needs values outside the support.
    let moved = tape.variable(&[0.3, 0.9, -0.1], [1, 3]);
    assert!(OneHot::new(zero).log_prob(moved).item().is_finite());
}

// ----------------------------------------------------------------------------------------------------- hints

/// Following a hint leads to a program that works.
#[test]
fn hints_lead_to_a_working_program() {
    type Op = for<'t> fn(Var<'t>, Var<'t>) -> Var<'t>;
    let ops: [Op; 7] = [
        |x, t| x.bce_with_logits(t),
        |x, t| x.bernoulli_kl(t),
        |x, t| x.categorical_kl(t),
        |x, t| x.with_gradient_of(t),
        |x, t| x.gaussian_kl_standard(t),
        |x, t| x.exp_concrete_log_prob(t, 1.0),
        |x, t| Normal::new(x, t).mean(),
    ];
    let pairs: [(&[usize], &[usize], &str); 7] = [
        (&[4, 1], &[4], ": use .reshape([4])"),
        (&[4], &[2, 2], ": use .reshape([2, 2])"),
        (&[2, 3], &[3, 2], ": use .transpose() or .reshape([3, 2])"),
        (&[2, 3], &[3], ": use .broadcast_to([2, 3])"),
        (&[2, 1], &[1, 3], ": use .broadcast_to([2, 3])"),
        (&[2, 3], &[2, 4], "; they must have the same shape"),
        (&[0, 3], &[2, 3], "; they must have the same shape"),
    ];
    for (a, b, hint) in pairs {
        let tape = Tape::new();
        let [x, t] = [a, b].map(|dims| tape.variable(&vec![0.5; dims.iter().product()], dims));
        for op in ops {
            let text = mistake(|| op(x, t));
            assert!(text.ends_with(hint), "{text}");
            if hint.contains("broadcast_to") {
                op(x.broadcast_to([2, 3]), t.broadcast_to([2, 3]));
            } else if hint.contains("reshape") {
                op(x.reshape(t.shape()), t);
            }
            if hint.contains("transpose") {
                op(x.transpose(), t);
            }
        }
    }
}

#[test]
fn the_hints_of_products_lead_to_a_working_program() {
    let tape = Tape::new();
    let of = |dims: &[usize]| tape.variable(&vec![0.5; dims.iter().product()], dims);
    let text = |a: &[usize], b: &[usize]| mistake(|| of(a).matmul(of(b)));
    assert!(text(&[5, 2, 3], &[3, 4]).ends_with("the same: use .broadcast_to, so that they are [5] in both"));
    of(&[5, 2, 3]).matmul(of(&[3, 4]).broadcast_to([5, 3, 4]));
    assert!(
        text(&[6, 2, 3], &[2, 3, 3, 4]).ends_with("the same: use .reshape, so that they are [6] in both")
    );
    of(&[6, 2, 3]).matmul(of(&[2, 3, 3, 4]).reshape([6, 3, 4]));
    assert!(text(&[2, 2, 3], &[3, 3, 4]).ends_with("must be the same"));
    assert!(text(&[2, 3], &[4, 3]).ends_with("differ; is one of them transposed?"));
    of(&[2, 3]).matmul(of(&[4, 3]).transpose());
    assert!(text(&[2, 3], &[5, 4]).ends_with("3 and 5 differ"));
    // A straight-through op cannot be replaced with a straight-through op.
    let text = mistake(|| of(&[1, 2]).st_argmax(0.0));
    assert!(text.ends_with("it is 0; 0.1 to 1 is usual"), "{text}");
}

// -------------------------------------------------------------------------------------- tapes and parameters

/// An op that reads an input that may not exist, in the forward or the backward pass.
#[derive(Debug)]
struct Reads(usize, fn(Recorded<'_>, &mut InputGradients<'_>, usize));

impl Rule for Reads {
    fn name(&self) -> &'static str {
        "reads"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        (self.1)(node, gradients, self.0);
    }
}

#[test]
fn a_rule_that_reads_an_input_it_has_not_is_named() {
    type Read = fn(Recorded<'_>, &mut InputGradients<'_>, usize);
    let tape = Tape::new();
    let x = tape.variable(&[1.0], [1]);
    let reads: [Read; 5] = [
        |node, _, i| _ = node.input(i),
        |node, _, i| _ = node.input_shape(i),
        |_, gradients, i| _ = gradients.wants(i),
        |_, gradients, i| _ = gradients.add_to(i),
        |_, gradients, i| _ = gradients.write_to(i),
    ];
    let expected = "reads: input 7 of an op that was recorded with 1; inputs count from 0";
    for read in reads {
        tape.record(Reads(0, read), &[x], [1], |x, y| y[0] = x[0][0]).backward();
        assert_eq!(
            mistake(|| tape.record(Reads(7, read), &[x], [1], |x, y| y[0] = x[0][0]).backward()),
            expected
        );
    }
    assert_eq!(mistake(|| tape.record(Reads(0, reads[0]), &[x], [1], |x, y| y[0] = x[7][0])), expected);
}

/// A user's op may have the name that the library gives to its leaves of whole numbers.
#[test]
fn an_op_that_is_named_indices_holds_numbers() {
    #[derive(Debug)]
    struct Indices;
    impl Rule for Indices {
        fn name(&self) -> &'static str {
            "indices"
        }
        fn backward(&self, _: Recorded<'_>, _: &mut InputGradients<'_>) {}
    }
    let tape = Tape::new();
    let x = tape.variable(&[1.0, 2.0], [2]);
    x.gather(&[1]);
    tape.record(Indices, &[x], [2], |_, y| y.copy_from_slice(&[0.5, NAN]));
    let found = tape.check_finite().unwrap_err();
    assert_eq!((found.node, found.op, found.element), (3, "indices", 1));
    let table = tape.to_table(None);
    assert!(table.contains("0.5 NaN") && !table.contains("2143289344"), "{table}");
    // This is the library's own leaf.
    assert!(table.lines().any(|line| line.starts_with("%1 indices") && line.ends_with("  1")), "{table}");
}

/// A parameter may be frozen or unfrozen between two uses on one tape. Each use keeps the state of its time.
#[test]
fn a_parameter_may_be_frozen_for_a_part_of_a_tape() {
    for frozen_first in [true, false] {
        let mut params = Params::new();
        let w = params.add("w", [1], vec![3.0]);
        let tape = Tape::new();
        let set = |params: &mut Params, frozen| if frozen { params.freeze(w) } else { params.unfreeze(w) };
        set(&mut params, frozen_first);
        let first = params.on(&tape, w);
        set(&mut params, !frozen_first);
        let second = params.on(&tape, w);
        assert_eq!((first.is_tracked(), second.is_tracked()), (!frozen_first, frozen_first));
        assert_eq!(params.on(&tape, w).index(), second.index());
        // The loss is w squared, and one factor is a constant 3, so the derivative is 3, not 6.
        let mut gradients = (first * second).sum().backward();
        assert_eq!(gradients.parameter(w), Some(&[3.0][..]));
        assert_eq!(gradients.parameters().collect::<Vec<_>>(), [w]);
        gradients.add(&params, w, &[1.0]);
        assert_eq!(gradients.parameter(w), Some(&[4.0][..]));
        assert_eq!(tape.to_string().matches("parameter w").count(), 2);
    }
}

#[test]
fn an_optimizer_as_a_trait_object_names_the_callers_line() {
    let (mut params, mut others, tape) = (Params::new(), Params::new(), Tape::new());
    let w = params.add("w", [1], vec![0.0]);
    let other = others.add("w", [1], vec![0.0]);
    let on_tape = params.on(&tape, w).sum().backward();
    let mut of_others = Gradients::new();
    of_others.add(&others, other, &[1.0]);
    let optimizers: [Box<dyn Optimizer>; 2] = [Box::new(Adam::new(0.1)), Box::new(Sgd::new(0.1, 0.9))];
    for mut optimizer in optimizers {
        optimizer.step(&mut others, &of_others);
        let text = mistake(|| optimizer.step(&mut params, &on_tape));
        assert!(text.contains("other Params"), "{text}");
        optimizer.set_learning_rate(f64::NAN);
        let text = mistake(|| optimizer.step(&mut others, &of_others));
        assert!(text.contains("the learning rate must be") && text.contains("it is NaN"), "{text}");
    }
    let mut fresh: Box<dyn Optimizer> = Box::new(Adam::new(0.1));
    let text = mistake(|| fresh.step(&mut params, &on_tape));
    assert!(text.contains("parameter `w` is still on a tape"), "{text}");
}

/// A parameter and a buffer of the same name would overwrite each other.
#[test]
fn a_parameter_with_the_name_of_an_optimizers_buffer_is_refused() {
    let mut params = Params::new();
    params.add("w", [1], vec![1.0]);
    params.add("adam.mean.w", [1], vec![2.0]);
    let (adam, mut checkpoint) = (Adam::new(0.1), Checkpoint::new());
    params.save("", &mut checkpoint);
    let text = mistake(|| adam.save("adam.", &params, &mut checkpoint));
    let expected =
        "Checkpoint::put: there is a tensor `adam.mean.w` already; save one of the two under another prefix";
    assert_eq!(text, expected);
    adam.save("optimizer.", &params, &mut checkpoint);
    // This is the other order. The name `__metadata__`, which safetensors reserve, is refused too.
    let mut checkpoint = Checkpoint::new();
    adam.save("adam.", &params, &mut checkpoint);
    assert_eq!(mistake(|| params.save("", &mut checkpoint)), expected);
    let mut params = Params::new();
    params.add("__metadata__", [1], vec![1.0]);
    assert!(mistake(|| params.save("", &mut Checkpoint::new())).contains("`__metadata__`"));
    assert!(mistake(|| Noise::seed(1).save("a=b.", &mut Checkpoint::new())).contains("key=value"));
}

/// A run refuses such a name at its start, not when it saves the first checkpoint.
#[test]
fn a_run_refuses_a_parameter_with_the_name_of_another_tensor() {
    let digits = images(4, 120, 10);
    for name in ["optimizer.mean.w", "best.w", "estimator.0.0.w"] {
        let mut params = Params::new();
        params.add(name, [1], vec![0.0]);
        let model = Classifier::new(&[3], 10, &[0.5; 16], &mut params, &mut Noise::seed(1));
        let run = Run::new(Training::default(), Box::new(model), params, Estimators::none(), &digits);
        let error = run.err().expect("a refusal").to_string();
        assert!(
            error.contains("does not begin with optimizer., estimator. or best.") && error.contains(name),
            "{error}"
        );
    }
}

#[test]
fn numbers_at_the_end_of_their_range_overflow_nowhere() {
    let tape = Tape::new();
    let empty = tape.input(&[], [0, usize::MAX, 2]);
    for text in
        [mistake(|| empty.sum_axis(0)), mistake(|| empty.gather(&[])), mistake(|| empty.slice(0, 0..0))]
    {
        assert_eq!(text, format!("[0, {}, 2] has more elements than a usize can count", usize::MAX));
    }
    let long = tape.input(&[], [usize::MAX, 0]);
    assert!(
        mistake(|| Var::concat(&[long, long], 0))
            .starts_with("concat: axis 0 of 2 values has too many positions")
    );
    let many = Variables::Categories { count: usize::MAX, classes: 2 };
    assert!(mistake(|| many.elements()).contains("more elements than a usize can count"));
    let plan = Plan::vae().with_steps(u64::MAX);
    assert_eq!(plan.training.learning_rate, falling(2e-3, u64::MAX));
    assert_eq!(plan.with_steps(18_000), Plan::vae());
}
