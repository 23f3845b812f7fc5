//! Results that must not change by accident: the numbers of a seed, the printed tape, the texts of mistakes,
//! the losses of a training run. A change here changes every user's results, so review it with `cargo insta
//! review`.

use insta::assert_snapshot;
use reparam::distributions::{Categorical, OneHot};
use reparam::estimators::{Estimate, Estimator, GumbelSoftmax, ScoreFunction, StGumbelSoftmax, parse};
use reparam::models::{BeliefNet, Link, Prediction, Vae, VaeShape};
use reparam::nn::Mlp;
use reparam::optim::Adam;
use reparam::{
    Activation, Checkpoint, Gradients, InputGradients, Logits, Noise, Params, Recorded, Rule, Tape, Var,
    Variables,
};
use reparam_ops::draw;

// ----------------------------------------------------------------------------------------- numbers of a seed

#[test]
fn first_draws_of_a_seed() {
    let lines = (0..4).map(|seed| format!("{seed}: {:?}\n", first_draws(&mut Noise::seed(seed))));
    assert_snapshot!(lines.collect::<String>(), @r"
    0: [880686761, 653768305, 297326204, 1745917402, 326192629, 1983172199, 2264176795, 4026214375]
    1: [2919710556, 60701350, 4120798428, 2496251806, 3936300877, 2546867797, 2554186485, 2785893680]
    2: [3957898527, 3405228978, 319848497, 2116114366, 3523275362, 572514079, 737289315, 644913596]
    3: [655874000, 1800672584, 1089620390, 287577179, 107352325, 3711282976, 2295529500, 3919942529]
    ");
}

#[test]
fn first_draws_of_split_streams() {
    let mut parent = Noise::seed(0);
    let (mut child, mut sibling) = (parent.split(), parent.split());
    let mut grandchild = child.split();
    let mut lines = String::new();
    for (name, noise) in [
        ("child", &mut child),
        ("sibling", &mut sibling),
        ("grandchild", &mut grandchild),
        ("parent", &mut parent),
    ] {
        lines += &format!("{name}: {:?}\n", first_draws(noise));
    }
    assert_snapshot!(lines, @r"
    child: [3026634307, 499123709, 1842075747, 3287643899, 996455526, 1480705233, 412677551, 3994223216]
    sibling: [1607935945, 2567484772, 965903358, 336933621, 1282307039, 2339733206, 2288762489, 905841420]
    grandchild: [2657051976, 3533218958, 3092434431, 703592684, 1740559810, 1632669623, 1542258051, 458984381]
    parent: [326192629, 1983172199, 2264176795, 4026214375, 2379027099, 1801391003, 1425960811, 1027687607]
    ");
}

fn first_draws(noise: &mut Noise) -> Vec<u32> {
    noise.draws(8).collect()
}

#[test]
fn first_values_of_every_noise() {
    type Distribution = (&'static str, fn(u32) -> f32);
    let distributions: [Distribution; 5] = [
        ("uniform", draw::uniform),
        ("exponential", draw::exponential),
        ("Gumbel", draw::gumbel),
        ("logistic", draw::logistic),
        ("normal", draw::normal),
    ];
    let values = |distribution| Noise::seed(0).draws(6).map(distribution).collect::<Vec<f32>>();
    let lines = distributions.map(|(name, distribution)| format!("{name}: {:?}\n", values(distribution)));
    assert_snapshot!(lines.concat(), @r"
    uniform: [0.20505087, 0.1522173, 0.06922665, 0.40650308, 0.07594764, 0.46174327]
    exponential: [0.22947715, 0.16513093, 0.07173948, 0.5217233, 0.07898655, 0.61941963]
    Gumbel: [1.4719518, 1.8010166, 2.6347141, 0.65061796, 2.5384777, 0.47897232]
    logistic: [-1.35502, -1.7173153, -2.59863, -0.37844056, -2.4987245, -0.15332665]
    normal: [-0.8237146, -1.02697, -1.4815755, -0.23654969, -1.432869, -0.09604289]
    ");
}

#[test]
fn other_uses_of_noise() {
    let mut noise = Noise::seed(0);
    let mut order: Vec<u32> = (0..10).collect();
    noise.shuffle(&mut order);
    let below: Vec<u32> = (0..10).map(|_| noise.below(6)).collect();
    let numbers = [noise.normal(), noise.normal(), noise.uniform(), noise.uniform()];
    let bits = [0.0, 0.1, 0.5, 0.9, 1.0].map(|p| noise.bernoulli(p));
    let position = noise.position();
    let others = [noise.split().uniform(), Noise::from_rng(&mut noise).uniform()];
    assert_snapshot!(format!("{order:?}\n{below:?}\n{numbers:?}\n{bits:?}\n{position:?}\n{others:?}"), @r"
    [0, 2, 6, 3, 8, 9, 5, 4, 7, 1]
    [5, 1, 5, 0, 4, 4, 1, 3, 1, 1]
    [0.13113171, -0.2188284, 0.25364774, 0.20954628]
    [false, false, false, true, true]
    (16294208416658607535, 28)
    [0.50605285, 0.36494523]
    ");
}

/// Every stochastic op takes the draws of its seed in row-major order.
#[test]
fn first_samples_of_every_op() {
    let tape = Tape::inference();
    let x = tape.input(&[0.5, -1.0, 2.0, 0.0, 0.0, 0.0], [2, 3]);
    let noise = || Noise::seed(0);
    let lines = [
        format!("gumbel_max {:?}", x.gumbel_max(&mut noise())),
        format!("gumbel_softmax {x:?}", x = x.gumbel_softmax(0.5, &mut noise()).to_vec()),
        format!("st_gumbel_softmax {x:?}", x = x.st_gumbel_softmax(0.5, &mut noise()).to_vec()),
        format!("categorical {x:?}", x = x.categorical(&mut noise()).to_vec()),
        format!("st_categorical {x:?}", x = x.st_categorical(0.5, &mut noise()).to_vec()),
        format!("exp_concrete {x:?}", x = x.exp_concrete(0.5, &mut noise()).to_vec()),
        format!("bernoulli {x:?}", x = x.bernoulli(&mut noise()).to_vec()),
        format!("binary_concrete {x:?}", x = x.binary_concrete(0.5, &mut noise()).to_vec()),
        format!("logit_binary_concrete {x:?}", x = x.logit_binary_concrete(0.5, &mut noise()).to_vec()),
        format!("gaussian_rsample {x:?}", x = x.gaussian_rsample(x, &mut noise()).to_vec()),
    ];
    assert_snapshot!(lines.join("\n"), @r"
    gumbel_max [2, 1]
    gumbel_softmax [0.0048399847, 0.00046535293, 0.99469477, 0.022056399, 0.96229607, 0.0156475]
    st_gumbel_softmax [0.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    categorical [0.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    st_categorical [0.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    exp_concrete [-5.330844, -7.6727147, -0.0053194882, -3.8141525, -0.038433127, -4.157444]
    bernoulli [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    binary_concrete [0.15315852, 0.0043438957, 0.23196301, 0.31932378, 0.0067098318, 0.42393184]
    logit_binary_concrete [-1.7100401, -5.4346304, -1.1972599, -0.7568811, -4.997449, -0.3066533]
    gaussian_rsample [-0.85807574, -1.3778012, -8.947445, -0.23654969, -1.432869, -0.09604289]
    ");
}

// --------------------------------------------------------------------------------------------- printed tapes

use crate::common::small_vae::vae_tape;

#[test]
fn a_printed_tape() {
    let tape = Tape::new();
    vae_tape(&tape);
    assert_snapshot!(tape, @r"
    %0 input [2, 4] 32 B
    %1 affine(%0) [2, 4] 32 B
    %2* parameter encoder.0.weight [4, 5] 0 B
    %3* parameter encoder.0.bias [5] 0 B
    %4* linear(%1, %2, %3) [2, 5] 40 B  Linear { rows: 2, inputs: 4, outputs: 5, activation: Relu }
    %5* parameter encoder.1.weight [5, 6] 0 B
    %6* parameter encoder.1.bias [6] 0 B
    %7* linear(%4, %5, %6) [2, 6] 48 B  Linear { rows: 2, inputs: 5, outputs: 6, activation: Identity }
    %8* reshape(%7) [4, 3] 0 B  Reshape
    %9* gumbel_softmax(%8) [4, 3] 48 B  GumbelSoftmax { classes: 3, tau: 0.5 }
    %10* reshape(%9) [2, 6] 0 B  Reshape
    %11* parameter decoder.0.weight [6, 4] 0 B
    %12* parameter decoder.0.bias [4] 0 B
    %13* linear(%10, %11, %12) [2, 4] 32 B  Linear { rows: 2, inputs: 6, outputs: 4, activation: Identity }
    %14* bce_with_logits(%13, %0) [2, 4] 32 B  BceWithLogits
    %15* sum(%14) [] 4 B  Sum
    %16* categorical_kl_uniform(%8) [4] 16 B  CategoricalKlUniform { classes: 3 }
    %17* sum(%16) [] 4 B  Sum
    %18* add(%15, %17) [] 4 B  Add
    %19* affine(%18) [] 4 B  Affine { scale: 0.5 }
    ");
}

/// The sample of a score function has its own name, and no gradient.
#[test]
fn a_printed_tape_of_a_score_function() {
    let tape = Tape::new();
    let logits = tape.variable(&[0.5, -1.0, 2.0], [1, 1, 3]);
    let scores = tape.input(&[1.0, 2.0, 3.0], [3]);
    let loss = ScoreFunction::new().estimate(Logits::categories(logits), &mut Noise::seed(1), |z, _| {
        (z.reshape([1, 3]) * scores).sum_axis(1)
    });
    loss.sum();
    assert_snapshot!(tape, @r"
    %0* variable [1, 1, 3] 12 B
    %1 input [3] 12 B
    %2 stop_gradient(%0) [1, 1, 3] 0 B
    %3 categorical(%2) [1, 1, 3] 12 B
    %4 reshape(%3) [1, 3] 0 B
    %5 reshape(%1) [1, 3] 0 B
    %6 mul(%4, %5) [1, 3] 12 B
    %7 sum_axis(%6) [1] 4 B
    %8 affine(%7) [1] 4 B
    %9 stop_gradient(%8) [1] 0 B
    %10* log_softmax(%0) [1, 1, 3] 12 B  LogSoftmax { classes: 3 }
    %11* mul(%3, %10) [1, 1, 3] 12 B  Mul
    %12* sum_axis(%11) [1, 1] 4 B  SumAxis { n: 3, inner: 1 }
    %13* sum_axis(%12) [1] 4 B  SumAxis { n: 1, inner: 1 }
    %14* mul(%9, %13) [1] 4 B  Mul
    %15* add(%7, %14) [1] 4 B  Add
    %16* with_gradient_of(%7, %15) [1] 0 B  WithGradientOf
    %17* sum(%16) [] 4 B  Sum
    ");
}

/// The cost of a sample of three classes, by an estimator.
fn cost_tape<'t>(tape: &'t Tape, estimator: &mut dyn Estimator) {
    let logits = Logits::categories(tape.variable(&[0.5, -1.0, 2.0], [1, 1, 3]));
    let costs = tape.input(&[1.0, 2.0, 3.0], [3]);
    let cost = |z: Var<'t>| (z.reshape([1, 3]) * costs).sum_axis(1);
    estimator.estimate(logits, &mut Noise::seed(1), |z, _| cost(z)).sum();
}

#[test]
fn a_printed_tape_of_a_relaxed_sample() {
    let tape = Tape::new();
    cost_tape(&tape, &mut GumbelSoftmax { tau: 0.5 });
    assert_snapshot!(tape, @r"
    %0* variable [1, 1, 3] 12 B
    %1 input [3] 12 B
    %2* gumbel_softmax(%0) [1, 1, 3] 12 B  GumbelSoftmax { classes: 3, tau: 0.5 }
    %3* reshape(%2) [1, 3] 0 B  Reshape
    %4 reshape(%1) [1, 3] 0 B
    %5* mul(%3, %4) [1, 3] 12 B  Mul
    %6* sum_axis(%5) [1] 4 B  SumAxis { n: 3, inner: 1 }
    %7* sum(%6) [] 4 B  Sum
    ");
}

#[test]
fn a_printed_tape_of_a_straight_through_sample() {
    let tape = Tape::new();
    cost_tape(&tape, &mut StGumbelSoftmax { forward: 1.0, backward: 0.5 });
    assert_snapshot!(tape, @r"
    %0* variable [1, 1, 3] 12 B
    %1 input [3] 12 B
    %2* st_gumbel_softmax(%0) [1, 1, 3] 12 B  StGumbelSoftmax { classes: 3, tau: 0.5, scores: Kept }
    %3* reshape(%2) [1, 3] 0 B  Reshape
    %4 reshape(%1) [1, 3] 0 B
    %5* mul(%3, %4) [1, 3] 12 B  Mul
    %6* sum_axis(%5) [1] 4 B  SumAxis { n: 3, inner: 1 }
    %7* sum(%6) [] 4 B  Sum
    ");
}

/// The entropy of classes, one of them masked: its -inf is removed before it meets a probability of 0.
#[test]
fn a_printed_tape_with_a_mask() {
    let tape = Tape::new();
    OneHot::new(tape.variable(&[0.5, -1.0, f32::NEG_INFINITY], [1, 3])).entropy();
    assert_snapshot!(tape.to_table(None), @r"
    node                   shape  value B  saved B  gradient B  value             gradient
    %0* variable          [1, 3]       12        0           0  0.5 -1 -inf
    %1* softmax(%0)       [1, 3]       12        8           0  0.818 0.182 0
    %2 stop_gradient(%0)  [1, 3]        0        0           0  0.5 -1 -inf
    %3 log_softmax(%2)    [1, 3]       12        0           0  -0.201 -1.7 -inf
    %4 indices               [1]        4        0           0  2
    %5 masked(%3, %4)     [1, 3]       12        0           0  -0.201 -1.7 0
    %6* mul(%1, %5)       [1, 3]       12        0           0  -0.165 -0.31 0
    %7* sum_axis(%6)         [1]        4       16           0  -0.475
    %8* affine(%7)           [1]        4        4           0  0.475
    total                              72       28           0
    ");
}

#[test]
fn an_inference_tape_keeps_nothing() {
    let tape = Tape::inference();
    vae_tape(&tape);
    assert_snapshot!(tape, @r"
    %0 input [2, 4] 32 B
    %1 affine(%0) [2, 4] 32 B
    %2 parameter encoder.0.weight [4, 5] 0 B
    %3 parameter encoder.0.bias [5] 0 B
    %4 linear(%1, %2, %3) [2, 5] 40 B
    %5 parameter encoder.1.weight [5, 6] 0 B
    %6 parameter encoder.1.bias [6] 0 B
    %7 linear(%4, %5, %6) [2, 6] 48 B
    %8 reshape(%7) [4, 3] 0 B
    %9 gumbel_softmax(%8) [4, 3] 48 B
    %10 reshape(%9) [2, 6] 0 B
    %11 parameter decoder.0.weight [6, 4] 0 B
    %12 parameter decoder.0.bias [4] 0 B
    %13 linear(%10, %11, %12) [2, 4] 32 B
    %14 bce_with_logits(%13, %0) [2, 4] 32 B
    %15 sum(%14) [] 4 B
    %16 categorical_kl_uniform(%8) [4] 16 B
    %17 sum(%16) [] 4 B
    %18 add(%15, %17) [] 4 B
    %19 affine(%18) [] 4 B
    ");
}

#[test]
fn a_tape_as_a_graph() {
    let tape = Tape::new();
    vae_tape(&tape);
    assert_snapshot!(tape.to_dot(), @r#"
    digraph tape {
      rankdir=LR;
      node [fontname="monospace"];
      n0 [label="%0 input\n[2, 4] 32 B", shape=box, style=dashed];
      n1 [label="%1 affine\n[2, 4] 32 B", shape=ellipse, style=dashed];
      n0 -> n1;
      n2 [label="%2 parameter\nencoder.0.weight\n[4, 5] 0 B", shape=box, style=solid];
      n3 [label="%3 parameter\nencoder.0.bias\n[5] 0 B", shape=box, style=solid];
      n4 [label="%4 linear\n[2, 5] 40 B\nrule: 32 B", shape=ellipse, style=solid];
      n1 -> n4;
      n2 -> n4;
      n3 -> n4;
      n5 [label="%5 parameter\nencoder.1.weight\n[5, 6] 0 B", shape=box, style=solid];
      n6 [label="%6 parameter\nencoder.1.bias\n[6] 0 B", shape=box, style=solid];
      n7 [label="%7 linear\n[2, 6] 48 B\nrule: 32 B", shape=ellipse, style=solid];
      n4 -> n7;
      n5 -> n7;
      n6 -> n7;
      n8 [label="%8 reshape\n[4, 3] 0 B", shape=ellipse, style=solid];
      n7 -> n8;
      n9 [label="%9 gumbel_softmax\n[4, 3] 48 B\nrule: 16 B", shape=ellipse, style=solid];
      n8 -> n9;
      n10 [label="%10 reshape\n[2, 6] 0 B", shape=ellipse, style=solid];
      n9 -> n10;
      n11 [label="%11 parameter\ndecoder.0.weight\n[6, 4] 0 B", shape=box, style=solid];
      n12 [label="%12 parameter\ndecoder.0.bias\n[4] 0 B", shape=box, style=solid];
      n13 [label="%13 linear\n[2, 4] 32 B\nrule: 32 B", shape=ellipse, style=solid];
      n10 -> n13;
      n11 -> n13;
      n12 -> n13;
      n14 [label="%14 bce_with_logits\n[2, 4] 32 B", shape=ellipse, style=solid];
      n13 -> n14;
      n0 -> n14;
      n15 [label="%15 sum\n[] 4 B", shape=ellipse, style=solid];
      n14 -> n15;
      n16 [label="%16 categorical_kl_uniform\n[4] 16 B\nrule: 8 B", shape=ellipse, style=solid];
      n8 -> n16;
      n17 [label="%17 sum\n[] 4 B", shape=ellipse, style=solid];
      n16 -> n17;
      n18 [label="%18 add\n[] 4 B", shape=ellipse, style=solid];
      n15 -> n18;
      n17 -> n18;
      n19 [label="%19 affine\n[] 4 B\nrule: 4 B", shape=ellipse, style=solid];
      n18 -> n19;
    }
    "#);
}

#[test]
fn a_tape_as_a_picture() {
    let tape = Tape::new();
    let x = tape.variable(&[2.0], []);
    let gradients = (x * x + 3.0 * x).backward();
    assert_snapshot!(tape.to_svg(&gradients), @r##"
    <svg xmlns="http://www.w3.org/2000/svg" class="tape" width="446" height="186" viewBox="0 0 446 186" role="img" aria-label="A tape of 4 nodes" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="13" fill="#222222">
    <rect class="paper" width="446" height="186" fill="#ffffff"/>
    <g transform="translate(16.5 16.5)">
    <g class="node leaf" data-node="0"><title>%0* variable [] 4 B</title>
    <path class="wire" d="M105 47H129" fill="none" stroke="#222222"/>
    <rect class="box" x="0" y="24" width="105" height="46" rx="0" fill="#fff3d6" stroke="#222222"/>
    <g class="words" fill="#222222"><text x="9" y="43" font-weight="bold">%0 variable</text><text x="9" y="60">[] 4 B</text></g>
    <g class="value" fill="#0072b2"><text x="112" y="41">2</text></g>
    <g class="gradient" fill="#b34d00"><text x="112" y="64">7</text></g>
    </g>
    <g class="node op" data-node="1"><title>%1* mul(%0, %0) [] 4 B  Mul</title>
    <path class="wire" d="M231 23H279" fill="none" stroke="#222222"/>
    <rect class="box" x="165" y="0" width="66" height="46" rx="8" fill="#e8f3fb" stroke="#222222"/>
    <g class="words" fill="#222222"><text x="174" y="19" font-weight="bold">%1 mul</text><text x="174" y="36">[] 4 B</text></g>
    <g class="value" fill="#0072b2"><text x="238" y="17">4</text></g>
    <g class="gradient" fill="#b34d00"><text x="238" y="40">1</text></g>
    </g>
    <g class="node op" data-node="2"><title>%2* affine(%0) [] 4 B  Affine { scale: 3.0 }</title>
    <path class="wire" d="M255 96H279" fill="none" stroke="#222222"/>
    <rect class="box" x="165" y="64.5" width="90" height="63" rx="8" fill="#e8f3fb" stroke="#222222"/>
    <g class="words" fill="#222222"><text x="174" y="83.5" font-weight="bold">%2 affine</text><text x="174" y="100.5">[] 4 B</text><text x="174" y="117.5">rule: 4 B</text></g>
    <g class="value" fill="#0072b2"><text x="262" y="90">6</text></g>
    <g class="gradient" fill="#b34d00"><text x="262" y="113">1</text></g>
    </g>
    <g class="node op" data-node="3"><title>%3* add(%1, %2) [] 4 B  Add</title>
    <path class="wire" d="M381 59H413" fill="none" stroke="#222222"/>
    <rect class="box" x="315" y="36" width="66" height="46" rx="8" fill="#e8f3fb" stroke="#222222"/>
    <g class="words" fill="#222222"><text x="324" y="55" font-weight="bold">%3 add</text><text x="324" y="72">[] 4 B</text></g>
    <g class="value" fill="#0072b2"><text x="388" y="53">10</text></g>
    <g class="gradient" fill="#b34d00"><text x="388" y="76">1</text></g>
    </g>
    <g class="edge" data-from="0" data-to="1"><path d="M105 47H129C143.5 47 143.5 15 158 15" fill="none" stroke="#222222"/><path d="M165 15l-8 -4v8z" stroke="none"/></g>
    <g class="edge" data-from="0" data-to="1"><path d="M105 47H129C143.5 47 143.5 31 158 31" fill="none" stroke="#222222"/><path d="M165 31l-8 -4v8z" stroke="none"/></g>
    <g class="edge" data-from="0" data-to="2"><path d="M105 47H129C143.5 47 143.5 96 158 96" fill="none" stroke="#222222"/><path d="M165 96l-8 -4v8z" stroke="none"/></g>
    <g class="edge" data-from="1" data-to="3"><path d="M231 23H279C293.5 23 293.5 51 308 51" fill="none" stroke="#222222"/><path d="M315 51l-8 -4v8z" stroke="none"/></g>
    <g class="edge" data-from="2" data-to="3"><path d="M255 96H279C293.5 96 293.5 67 308 67" fill="none" stroke="#222222"/><path d="M315 67l-8 -4v8z" stroke="none"/></g>
    <text class="legend" x="0" y="153">above a wire: the value; below: the gradient</text>
    </g>
    </svg>
    "##);
}

// -------------------------------------------------------------------------------------------------- mistakes

use crate::common::mistake::mistake;

#[test]
fn mistakes_in_shapes() {
    let tape = Tape::new();
    let [scalar, two, three] = [&[][..], &[2], &[3]].map(|dims| zeros(&tape, dims));
    let [a23, a32, a24] = [[2, 3], [3, 2], [2, 4]].map(|dims| zeros(&tape, &dims));
    let a123 = zeros(&tape, &[1, 2, 3]);
    let relu = Activation::Relu;
    let mut params = Params::new();
    let mlp = Mlp::new(&mut params, "net", &[3, 2, 1], relu, &mut Noise::seed(1));
    let texts = [
        mistake(|| tape.input(&[1.0], [2])),
        mistake(|| tape.variable(&[1.0], [2, 3])),
        mistake(|| a23.item()),
        mistake(|| a23.reshape([4])),
        mistake(|| a23.broadcast_to([3, 3])),
        mistake(|| a23 + two),
        mistake(|| a23 - a24),
        mistake(|| a23 * a32),
        mistake(|| a123 / a24),
        mistake(|| a23.sum_axis(2)),
        mistake(|| scalar.mean_axis(0)),
        mistake(|| two.transpose()),
        mistake(|| a23.slice(2, 0..1)),
        mistake(|| a23.slice(1, 2..4)),
        mistake(|| Var::concat(&[], 0)),
        mistake(|| Var::concat(&[a23, a23], 2)),
        mistake(|| Var::concat(&[a23, a24], 0)),
        mistake(|| scalar.gather(&[0])),
        mistake(|| a23.gather(&[0, 1, 2])),
        mistake(|| a23.select(&[0])),
        mistake(|| a23.select(&[0, 3])),
        mistake(|| a23.masked(&[true], 0.0)),
        mistake(|| a23.matmul(a24)),
        mistake(|| a23.matmul(three)),
        mistake(|| a123.matmul(a32)),
        mistake(|| a23.linear(three, three, relu)),
        mistake(|| a23.linear(a24, three, relu)),
        mistake(|| a23.linear(a32, three, relu)),
        mistake(|| a23.bce_with_logits(a32)),
        mistake(|| a23.bernoulli_kl(a24)),
        mistake(|| a23.categorical_kl(a24)),
        mistake(|| a23.cross_entropy(&[0])),
        mistake(|| a23.cross_entropy(&[0, 3])),
        mistake(|| a23.exp_concrete_log_prob(a24, 0.5)),
        mistake(|| a23.logit_binary_concrete_log_prob(a24, 0.5)),
        mistake(|| a23.gaussian_rsample(three, &mut Noise::seed(1))),
        mistake(|| a23.gaussian_kl_standard(three)),
        mistake(|| three.with_logits_gradient(a23, a23)),
        mistake(|| two.with_logits_gradient(a23, a24)),
        mistake(|| a23.gumbel_softmax(two, &mut Noise::seed(1))),
        mistake(|| a23.backward()),
        mistake(|| mlp.forward(&params, a24)),
        mistake(|| Checkpoint::new().put("w", &[2, 3].into(), &[1.0])),
    ];
    assert_snapshot!(texts.join("\n"), @r"
    input: 1 elements given for shape [2], which has 2
    variable: 1 elements given for shape [2, 3], which has 6
    item: expected one number, the shape is [2, 3]
    reshape: [2, 3] has 6 elements and [4] has 4; they must be the same number
    broadcast_to: [2, 3] does not stretch to [3, 3]; axes are aligned at the end, and only length 1 stretches
    add: shapes [2, 3] and [2] do not broadcast; axes are aligned at the end, and only length 1 stretches
    sub: shapes [2, 3] and [2, 4] do not broadcast; axes are aligned at the end, and only length 1 stretches
    mul: shapes [2, 3] and [3, 2] do not broadcast; axes are aligned at the end, and only length 1 stretches
    div: shapes [1, 2, 3] and [2, 4] do not broadcast; axes are aligned at the end, and only length 1 stretches
    sum_axis: axis 2 of a value of shape [2, 3]; axes count from 0
    sum_axis: axis 0 of a value of shape []; axes count from 0
    transpose: expected two or more axes, the shape is [2]; reshape it first
    slice: axis 2 of a value of shape [2, 3]; axes count from 0
    slice: 2..4 of axis 1 of a value of shape [2, 3]; that axis has positions 0..3
    concat: no values given; at least one is needed
    concat: axis 2 of a value of shape [2, 3]; axes count from 0
    concat: value 0 is [2, 3] and value 1 [2, 4]; all axes but axis 0 must agree
    gather: a scalar has no rows; reshape it to one axis first
    gather: index 2 at position 2, but there are 2 rows; they count from 0
    select: 1 indices for a value of shape [2, 3]; one per row is needed, 2
    select: index 3 at position 1, but there are 3 entries in a row; they count from 0
    masked: 1 entries in the mask of a value of shape [2, 3]; one per element is needed, 6
    matmul: [2, 3] times [2, 4]: the inner lengths 3 and 2 differ; is one of them transposed?
    matmul: expected two or more axes, shapes are [2, 3] and [3]; reshape them first
    matmul: [1, 2, 3] times [3, 2]: all axes but the last two must be the same: use .broadcast_to, so that they are [1] in both
    linear: the weight must be [inputs, outputs], its shape is [3]
    linear: x is [2, 3] and the weight [2, 4]; the last axis of x must be the first of the weight
    linear: the bias is [3] and the weight [3, 2]; the bias must be [2]
    bce_with_logits: x is [2, 3] and the target [3, 2]; they must have the same shape: use .transpose() or .reshape([3, 2])
    bernoulli_kl: p is [2, 3] and q [2, 4]; they must have the same shape
    categorical_kl: p is [2, 3] and q [2, 4]; they must have the same shape
    cross_entropy: 1 targets for logits of shape [2, 3]; one per row is needed, 2
    cross_entropy: index 3 at position 1, but there are 3 classes; they count from 0
    exp_concrete_log_prob: log_y is [2, 3] and the logits [2, 4]; they must have the same shape
    logit_binary_concrete_log_prob: the sample is [2, 3] and the logits [2, 4]; they must have the same shape
    gaussian_rsample: the mean is [2, 3] and log_std [3]; they must have the same shape: use .broadcast_to([2, 3])
    gaussian_kl_standard: the mean is [2, 3] and log_std [3]; they must have the same shape: use .broadcast_to([2, 3])
    with_logits_gradient: the loss must be [rows], logits and their gradient [rows, ..]; they are [3], [2, 3] and [2, 3]
    with_logits_gradient: the loss must be [rows], logits and their gradient [rows, ..]; they are [2], [2, 3] and [2, 4]
    gumbel_softmax: tau must be one number, its shape is [2]
    backward: the loss must be one number, but its shape is [2, 3]; reduce it with .sum() or .mean()
    linear: x is [2, 4] and the weight [3, 2]; the last axis of x must be the first of the weight
    Checkpoint::put `w`: 1 elements given for shape [2, 3], which has 6
    ");
}

fn zeros<'t>(tape: &'t Tape, dims: &[usize]) -> Var<'t> {
    tape.variable(&vec![0.0; dims.iter().product()], dims)
}

#[test]
fn mistakes_in_draws() {
    let tape = Tape::new();
    let x = zeros(&tape, &[2, 3]);
    let (one, mut used_up) = ([1u32], &[1u32; 6][..]);
    x.bernoulli(&mut used_up);
    let texts = [
        mistake(|| x.gumbel_max(&mut &one[..])),
        mistake(|| x.categorical(&mut &one[..])),
        mistake(|| x.gumbel_softmax(0.5, &mut &one[..])),
        mistake(|| x.st_gumbel_softmax(0.5, &mut &one[..])),
        mistake(|| x.st_categorical(0.5, &mut &one[..])),
        mistake(|| x.gumbel_rao(2, 0.5, &mut &one[..])),
        mistake(|| x.exp_concrete(0.5, &mut &one[..])),
        mistake(|| x.bernoulli(&mut &one[..])),
        mistake(|| x.st_bernoulli(&mut &one[..])),
        mistake(|| x.binary_concrete(0.5, &mut &one[..])),
        mistake(|| x.st_binary_concrete(0.5, &mut &one[..])),
        mistake(|| x.logit_binary_concrete(0.5, &mut &one[..])),
        mistake(|| x.gaussian_rsample(x, &mut &one[..])),
        mistake(|| x.gaussian_rsample(x, &mut &[0.5f32][..])),
        mistake(|| x.gumbel_softmax(0.5, &mut &[0.5f32; 6][..])),
        mistake(|| x.bernoulli(&mut &[0.5f32; 6][..])),
        mistake(|| x.bernoulli(&mut used_up)),
        mistake(|| Noise::seed(1).bernoulli(1.5)),
        mistake(|| Noise::seed(1).below(0)),
    ];
    assert_snapshot!(texts.join("\n"), @r"
    gumbel_max: 1 draws injected, 6 are needed
    categorical: 1 draws injected, 6 are needed
    gumbel_softmax: 1 draws injected, 6 are needed
    st_gumbel_softmax: 1 draws injected, 6 are needed
    st_categorical: 1 draws injected, 6 are needed
    gumbel_rao: 1 draws injected, 18 are needed
    exp_concrete: 1 draws injected, 6 are needed
    bernoulli: 1 draws injected, 6 are needed
    st_bernoulli: 1 draws injected, 6 are needed
    binary_concrete: 1 draws injected, 6 are needed
    st_binary_concrete: 1 draws injected, 6 are needed
    logit_binary_concrete: 1 draws injected, 6 are needed
    gaussian_rsample: 1 draws injected, 6 are needed
    gaussian_rsample: 1 normals injected, 6 are needed
    gumbel_softmax: standard normals injected, 32-bit draws are needed; inject a slice of u32
    bernoulli: standard normals injected, 32-bit draws are needed; inject a slice of u32
    bernoulli: 0 draws injected, 6 are needed
    Noise::bernoulli: p must be from 0 to 1, it is 1.5
    Noise::below: the bound must be positive
    ");
}

#[test]
fn mistakes_in_temperatures() {
    let tape = Tape::new();
    let x = zeros(&tape, &[1, 2]);
    let noise = &mut Noise::seed(1);
    let texts = [
        mistake(|| x.gumbel_softmax(0.0, noise)),
        mistake(|| x.st_gumbel_softmax(-1.0, noise)),
        mistake(|| x.st_categorical(f32::NAN, noise)),
        mistake(|| x.st_argmax(f32::INFINITY)),
        mistake(|| x.exp_concrete(0.0, noise)),
        mistake(|| x.binary_concrete(0.0, noise)),
        mistake(|| x.st_binary_concrete(0.0, noise)),
        mistake(|| x.logit_binary_concrete(0.0, noise)),
        mistake(|| x.exp_concrete_log_prob(x, 0.0)),
        mistake(|| x.logit_binary_concrete_log_prob(x, 0.0)),
    ];
    assert_snapshot!(texts.join("\n"), @r"
    gumbel_softmax: tau must be finite and at least 1.2e-38, it is 0; for the limit tau -> 0 use a straight-through op
    st_gumbel_softmax: tau must be finite and at least 1.2e-38, it is -1; 0.1 to 1 is usual
    st_categorical: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    st_argmax: tau must be finite and at least 1.2e-38, it is inf; 0.1 to 1 is usual
    exp_concrete: tau must be finite and at least 1.2e-38, it is 0; for the limit tau -> 0 use a straight-through op
    binary_concrete: tau must be finite and at least 1.2e-38, it is 0; for the limit tau -> 0 use a straight-through op
    st_binary_concrete: tau must be finite and at least 1.2e-38, it is 0; 0.1 to 1 is usual
    logit_binary_concrete: tau must be finite and at least 1.2e-38, it is 0; for the limit tau -> 0 use a straight-through op
    exp_concrete_log_prob: tau must be finite and at least 1.2e-38, it is 0; for the limit tau -> 0 use a straight-through op
    logit_binary_concrete_log_prob: tau must be finite and at least 1.2e-38, it is 0; for the limit tau -> 0 use a straight-through op
    ");
}

/// Rows without a choice: all classes masked, no classes, or NaN.
#[test]
fn mistakes_in_classes() {
    let tape = Tape::new();
    let masked = tape.variable(&[0.0, 0.0, f32::NEG_INFINITY, f32::NEG_INFINITY], [2, 2]);
    let (none, fine) = (zeros(&tape, &[2, 0]), zeros(&tape, &[2, 2]));
    let noise = &mut Noise::seed(1);
    let mut texts = Vec::new();
    for x in [masked, none] {
        texts.extend([
            mistake(|| x.softmax()),
            mistake(|| x.log_softmax()),
            mistake(|| x.gumbel_max(noise)),
            mistake(|| x.categorical(noise)),
            mistake(|| x.gumbel_softmax(0.5, noise)),
            mistake(|| x.st_gumbel_softmax(0.5, noise)),
            mistake(|| x.st_categorical(0.5, noise)),
            mistake(|| x.st_argmax(0.5)),
            mistake(|| x.exp_concrete(0.5, noise)),
            mistake(|| x.categorical_kl(x)),
            mistake(|| x.categorical_kl_uniform()),
        ]);
    }
    texts.extend([
        mistake(|| fine.categorical_kl(masked)),
        mistake(|| fine.exp_concrete_log_prob(masked, 0.5)),
        mistake(|| masked.cross_entropy(&[0, 0])),
        mistake(|| none.exp_concrete_log_prob(none, 0.5)),
        mistake(|| none.cross_entropy(&[0, 0])),
        mistake(|| none.logsumexp()),
        mistake(|| tape.input(&[f32::NAN], [1, 1]).gumbel_max(noise)),
        mistake(|| Categorical::new(masked).mode()),
        mistake(|| Categorical { logits: tape.input(&[f32::NAN], [1, 1]) }.mode()),
    ]);
    assert_snapshot!(texts.join("\n"), @r"
    softmax: row 1 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    log_softmax: row 1 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    gumbel_max: row 1 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    categorical: row 1 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    gumbel_softmax: row 1 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    st_gumbel_softmax: row 1 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    st_categorical: row 1 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    st_argmax: row 1 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    exp_concrete: row 1 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    categorical_kl: row 1 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    categorical_kl_uniform: row 1 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    softmax: the shape [2, 0] leaves no classes; the last axis must have some
    log_softmax: the shape [2, 0] leaves no classes; the last axis must have some
    gumbel_max: the shape [2, 0] leaves no classes; the last axis must have some
    categorical: the shape [2, 0] leaves no classes; the last axis must have some
    gumbel_softmax: the shape [2, 0] leaves no classes; the last axis must have some
    st_gumbel_softmax: the shape [2, 0] leaves no classes; the last axis must have some
    st_categorical: the shape [2, 0] leaves no classes; the last axis must have some
    st_argmax: the shape [2, 0] leaves no classes; the last axis must have some
    exp_concrete: the shape [2, 0] leaves no classes; the last axis must have some
    categorical_kl: the shape [2, 0] leaves no classes; the last axis must have some
    categorical_kl_uniform: the shape [2, 0] leaves no classes; the last axis must have some
    categorical_kl: row 1 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    exp_concrete_log_prob: row 1 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    cross_entropy: row 1 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    exp_concrete_log_prob: the shape [2, 0] leaves no classes; the last axis must have some
    cross_entropy: the shape [2, 0] leaves no classes; the last axis must have some
    logsumexp: the shape [2, 0] leaves no classes; the last axis must have some
    gumbel_max: a logit is NaN, which a class index would hide; tape.check_finite() finds where it began
    Categorical::mode: row 1 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    Categorical::mode: a logit is NaN, which a class index would hide; tape.check_finite() finds where it began
    ");
}

#[test]
fn mistakes_with_tapes_and_parameters() {
    let (tape, other, inference) = (Tape::new(), Tape::new(), Tape::inference());
    let (x, y) = (zeros(&tape, &[2, 2]), zeros(&other, &[2, 2]));
    let tau = other.variable(&[0.5], []);
    let (mut params, mut others) = (Params::new(), Params::new());
    let w = params.add("w", [2], vec![0.0; 2]);
    let foreign = others.add("w", [2], vec![0.0; 2]);
    let gradients = params.on(&tape, w).sum().backward();
    let mut others_gradients = Gradients::new();
    others_gradients.add(&others, foreign, &[1.0, 1.0]);
    let mut reset = Tape::new();
    let before_reset = zeros(&reset, &[2]).sum().backward();
    reset.reset();
    let noise = &mut Noise::seed(1);
    let mut adam = Adam::new(0.1);
    let texts = [
        mistake(|| x + y),
        mistake(|| x.matmul(y)),
        mistake(|| x.linear(y, y.sum_axis(0), Activation::Relu)),
        mistake(|| Var::concat(&[x, y], 0)),
        mistake(|| x.bce_with_logits(y)),
        mistake(|| x.bernoulli_kl(y)),
        mistake(|| x.categorical_kl(y)),
        mistake(|| x.exp_concrete_log_prob(y, 0.5)),
        mistake(|| x.logit_binary_concrete_log_prob(y, 0.5)),
        mistake(|| x.gaussian_rsample(y, noise)),
        mistake(|| x.gaussian_kl_standard(y)),
        mistake(|| x.gumbel_softmax(tau, noise)),
        mistake(|| x.st_gumbel_softmax(tau, noise)),
        mistake(|| x.st_categorical(tau, noise)),
        mistake(|| x.st_argmax(tau)),
        mistake(|| x.exp_concrete(tau, noise)),
        mistake(|| x.binary_concrete(tau, noise)),
        mistake(|| x.st_binary_concrete(tau, noise)),
        mistake(|| x.logit_binary_concrete(tau, noise)),
        mistake(|| inference.input(&[1.0], []).backward()),
        mistake(|| x.bernoulli(noise).sum().backward()),
        mistake(|| gradients.of(y)),
        mistake(|| before_reset.of(zeros(&reset, &[2]))),
        mistake(|| params.add("w", [1], vec![0.0])),
        mistake(|| params.add("v", [1], vec![0.0; 2])),
        mistake(|| params.on(&tape, foreign)),
        mistake(|| params.value(foreign)),
        mistake(|| params.value_mut(w)),
        mistake(|| adam.step(&mut params, &gradients)),
        mistake(|| adam.step(&mut others, &others_gradients)),
        mistake(|| Adam::new(0.1).betas(0.9, 0.9999999)),
        mistake(|| Mlp::new(&mut params, "net", &[3], Activation::Relu, noise)),
        mistake(|| Gradients::new().add(&params, w, &[1.0])),
        mistake(|| Gradients::new().add(&params, foreign, &[1.0, 2.0])),
    ];
    assert_snapshot!(texts.join("\n"), @r"
    add: input 1 was recorded on another tape; bring its value over with tape.input
    matmul: input 1 was recorded on another tape; bring its value over with tape.input
    linear: input 1 was recorded on another tape; bring its value over with tape.input
    concat: input 1 was recorded on another tape; bring its value over with tape.input
    bce_with_logits: input 1 was recorded on another tape; bring its value over with tape.input
    bernoulli_kl: input 1 was recorded on another tape; bring its value over with tape.input
    categorical_kl: input 1 was recorded on another tape; bring its value over with tape.input
    exp_concrete_log_prob: input 1 was recorded on another tape; bring its value over with tape.input
    logit_binary_concrete_log_prob: input 1 was recorded on another tape; bring its value over with tape.input
    gaussian_rsample: input 1 was recorded on another tape; bring its value over with tape.input
    gaussian_kl_standard: input 1 was recorded on another tape; bring its value over with tape.input
    gumbel_softmax: input 1 was recorded on another tape; bring its value over with tape.input
    st_gumbel_softmax: input 1 was recorded on another tape; bring its value over with tape.input
    st_categorical: input 1 was recorded on another tape; bring its value over with tape.input
    st_argmax: input 1 was recorded on another tape; bring its value over with tape.input
    exp_concrete: input 1 was recorded on another tape; bring its value over with tape.input
    binary_concrete: input 1 was recorded on another tape; bring its value over with tape.input
    st_binary_concrete: input 1 was recorded on another tape; bring its value over with tape.input
    logit_binary_concrete: input 1 was recorded on another tape; bring its value over with tape.input
    backward: this tape was made by Tape::inference and keeps nothing for a backward pass
    backward: nothing that the loss was computed from has a gradient; Var::is_tracked tells where it ends (a hard sample, an argmax and stop_gradient pass none on, inputs and frozen parameters have none)
    Gradients::of: the value was recorded on another tape than the loss, or before or after a reset of it
    Gradients::of: the value was recorded on another tape than the loss, or before or after a reset of it
    a parameter named `w` exists; give the layer another name
    parameter `v`: 2 values given for shape [1], which has 1
    this parameter id belongs to other Params
    this parameter id belongs to other Params
    parameter `w` is still on a tape; call tape.reset() before changing it
    parameter `w` is still on a tape; call tape.reset() before changing it
    the optimizer has already updated other Params; each Params needs its own optimizer
    Adam: beta2 must be from 0 to 0.99999, it is 0.9999999; 0.999 is usual
    Mlp `net`: expected at least an input and an output size, found [3]
    Gradients::add: 1 numbers for `w` of shape [2]
    this parameter id belongs to other Params
    ");
}

/// An estimator of a bound of several samples is for all layers together.
#[test]
fn mistakes_with_models() {
    let (tape, mut params) = (Tape::new(), Params::new());
    let (noise, mean) = (&mut Noise::seed(1), [0.5; 4]);
    let bits = Variables::Bits(2);
    let shape = VaeShape { pixels: 4, encoder: vec![], decoder: vec![], latents: bits };
    let vae = Vae::new(shape, &mean, &mut params, noise);
    let (mut of_net, mut of_prediction) = (Params::new(), Params::new());
    let net = BeliefNet::new(&[2, 2], Link::Linear, &mean, &mut of_net, noise);
    let prediction = Prediction::new(&[bits, bits], &mean[..2], &mean[2..], &mut of_prediction, noise);
    let (x, half) = (tape.input(&[1.0; 4], [1, 4]), tape.input(&[1.0; 2], [1, 2]));
    let estimators = |names: [&str; 2]| names.map(|name| parse(name).unwrap());
    let (single, mut mixed) = (&mut *parse("vimco:1").unwrap(), estimators(["nvil", "vimco:2"]));
    let texts = [
        mistake(|| vae.negative_bound(&params, x, single, noise)),
        mistake(|| net.negative_bound(&of_net, x, &mut mixed, noise)),
        mistake(|| net.negative_bound(&of_net, x, &mut mixed[..1], noise)),
        mistake(|| prediction.negative_bound(&of_prediction, half, half, &mut mixed, noise)),
        mistake(|| prediction.negative_bound(&of_prediction, x, half, &mut estimators(["nvil"; 2]), noise)),
    ];
    assert_snapshot!(texts.join("\n"), @r"
    vimco:1: 1 sample(s) leave no others for a baseline; use 2 or more, or score-function for one
    expected estimators of one objective; a bound of several samples needs the same estimator for every layer
    BeliefNet: 1 estimators given for 2 layers
    expected estimators of one objective; a bound of several samples needs the same estimator for every layer
    Prediction: x must be [images, 2], the shape is [1, 4]
    ");
}

#[test]
fn mistakes_with_borrowed_values() {
    #[derive(Debug)]
    struct Own;
    impl Rule for Own {
        fn name(&self) -> &'static str {
            "own"
        }
        fn backward(&self, _: Recorded<'_>, _: &mut InputGradients<'_>) {}
    }
    let tape = Tape::new();
    let x = tape.variable(&[1.0, 2.0], [2]);
    let while_reading = {
        let value = x.value();
        let text = mistake(|| x + value[0]);
        drop(value);
        text
    };
    let texts = [
        while_reading,
        mistake(|| tape.record(Own, &[x], [1], |_, y| y[0] = x.value()[0])),
        mistake(|| tape.record(Own, &[x], [1], |_, y| y[0] = (x + 1.0).sum().item())),
        mistake(|| tape.record(Own, &[x], [1], |_, y| y[0] = tape.input(&[1.0], [1]).item())),
    ];
    assert_snapshot!(texts.join("\n"), @r"
    a value on this tape is still borrowed while another is recorded; read it with .to_vec()
    the tape is being written; inside an op's `forward`, read its inputs by position, and copy other values beforehand with .to_vec()
    the tape is being written; inside an op's `forward`, read its inputs by position, and copy other values beforehand with .to_vec()
    the tape is being written; inside an op's `forward`, read its inputs by position, and copy other values beforehand with .to_vec()
    ");
    // An input may be filled from values on the tape.
    let copy = tape.input_with([2], |out| out.copy_from_slice(&x.value()));
    assert_eq!(copy.to_vec(), [1.0, 2.0]);
}

// -------------------------------------------------------------------------------------------------- training

/// Points of the plane by quadrant. A net with a relaxed sample at its end learns to tell the quadrants
/// apart. To four digits, the losses are the same on every tier and machine.
#[test]
fn first_ten_losses_of_a_training_run() {
    const POINTS: usize = 64;
    let (mut params, mut noise) = (Params::new(), Noise::seed(1));
    let net = Mlp::new(&mut params, "net", &[2, 16, 16, 4], Activation::Relu, &mut noise);
    let points: Vec<f32> = noise.draws(2 * POINTS).map(|draw| 2.0 * draw::uniform(draw) - 1.0).collect();
    let quadrants: Vec<u32> =
        points.chunks(2).map(|p| u32::from(p[0] > 0.0) + 2 * u32::from(p[1] > 0.0)).collect();
    let mut adam = Adam::new(0.02);
    let mut tape = Tape::new();
    let mut losses = Vec::new();
    for _ in 0..10 {
        let logits = net.forward(&params, tape.input(&points, [POINTS, 2]));
        let z = logits.gumbel_softmax(0.5, &mut noise);
        let loss = (1.0 - z.select(&quadrants)).square().mean();
        losses.push(format!("{:.3e}", loss.item()));
        let gradients = loss.backward();
        tape.reset();
        adam.step(&mut params, &gradients);
    }
    assert_snapshot!(losses.join("\n"), @r"
    6.078e-1
    5.954e-1
    4.722e-1
    5.357e-1
    4.458e-1
    4.636e-1
    3.539e-1
    2.868e-1
    3.014e-1
    2.766e-1
    ");
}
