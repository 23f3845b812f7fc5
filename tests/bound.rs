//! Is the shared multi-sample bound what enumeration of all states says it is, and are the gradients of belief nets those of
//! the enumerated bound?

use reparam::estimators::{Estimator, Kind, parse};
use reparam::models::{
    BeliefNet, BeliefNetShape, Link, Nodes, Prediction, SemiSupervised, SemiSupervisedShape, Vae, VaeShape,
    multi_sample_bound,
};
use reparam::{Noise, ParamId, Params, Tape};

/// A parameter in f64.
fn values(params: &Params, name: &str) -> Vec<f64> {
    let id = params.find(name).unwrap_or_else(|| panic!("a parameter `{name}`"));
    params.value(id).iter().map(|&x| f64::from(x)).collect()
}

/// x W + b of the layer `name`.
fn affine(params: &Params, name: &str, x: &[f64]) -> Vec<f64> {
    let (weight, bias) = (values(params, &format!("{name}.weight")), values(params, &format!("{name}.bias")));
    let column = |j: usize| x.iter().enumerate().map(|(i, x)| x * weight[i * bias.len() + j]).sum::<f64>();
    (0..bias.len()).map(|j| column(j) + bias[j]).collect()
}

/// ln Bernoulli(bits; logits).
fn log_bernoulli(logits: &[f64], bits: &[f64]) -> f64 {
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    logits.iter().zip(bits).map(|(logit, bit)| bit * logit - softplus(*logit)).sum()
}

/// All values of some bits.
fn all_bits(count: usize) -> impl Iterator<Item = Vec<f64>> {
    (0..1usize << count).map(move |state| (0..count).map(|i| (state >> i & 1) as f64).collect())
}

fn signs(bits: &[f64]) -> Vec<f64> {
    bits.iter().map(|bit| 2.0 * bit - 1.0).collect()
}

fn centred(x: &[f64], mean: &[f64]) -> Vec<f64> {
    x.iter().zip(mean).map(|(x, mean)| x - mean).collect()
}

/// ln q and ln w of every state.
type States = Vec<(f64, f64)>;

/// E\[-ln(1/2 (w + w'))\] over two independent samples; of one sample, and -ln of the mean of w.
fn exact_bounds(states: &States) -> [f64; 3] {
    let one = states.iter().map(|(log_q, log_w)| -log_q.exp() * log_w).sum();
    let pair =
        |(q, w): &(f64, f64), (q2, w2): &(f64, f64)| -(q + q2).exp() * (0.5 * (w.exp() + w2.exp())).ln();
    let two = states.iter().map(|a| states.iter().map(|b| pair(a, b)).sum::<f64>()).sum();
    let all = -states.iter().map(|(log_q, log_w)| (log_q + log_w).exp()).sum::<f64>().ln();
    [one, two, all]
}

/// The mean of equal images' bounds must be the exact one within 4.5 standard errors: one run in 100,000 is off by chance.
fn check(what: &str, bounds: &[f64], exact: f64) {
    let n = bounds.len() as f64;
    let mean = bounds.iter().sum::<f64>() / n;
    let error = (bounds.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / n / n).sqrt();
    assert!((mean - exact).abs() < 4.5 * error + 1e-5, "{what}: {mean} +- {error}, by enumeration {exact}");
}

/// Holds `evaluate(images, samples)` on copies of one image against the enumeration of its states.
fn hold_against(what: &str, states: &States, evaluate: impl Fn(usize, usize) -> Vec<f64>) {
    let [one, two, all] = exact_bounds(states);
    assert!(one > two && two > all, "{what}: {one} {two} {all}");
    check(what, &evaluate(40_000, 1), one);
    check(what, &evaluate(40_000, 2), two);
    let many = evaluate(10, 20_000);
    assert!(many.iter().all(|bound| (bound - all).abs() < 0.03), "{what}: {many:?}, -ln p is {all}");
}

const IMAGE: [f64; 5] = [1.0, 0.0, 1.0, 1.0, 0.0];
const MEAN: [f32; 5] = [0.4, 0.2, 0.6, 0.5, 0.3];

fn copies(x: &[f64], count: usize) -> Vec<f32> {
    x.iter().map(|&x| x as f32).collect::<Vec<_>>().repeat(count)
}

#[test]
fn a_vae_is_bounded_as_enumeration_says() {
    for (kind, states) in
        [(Kind { variables: 3, classes: None }, 8), (Kind { variables: 2, classes: Some(3) }, 9)]
    {
        let mut params = Params::new();
        let shape = VaeShape { pixels: 5, encoder: vec![], decoder: vec![4], latents: kind };
        let vae = Vae::new(shape, &MEAN, &mut params, &mut Noise::seed(3));
        let tape = Tape::inference();
        let x = tape.input(&copies(&IMAGE, 1), [1, 5]);
        let law = vae.encode(&params, x);
        let of_state = |state: usize| {
            let mut z = vec![0.0; kind.elements()];
            reparam::estimators::one_state(kind, state, &mut z);
            let z = tape.input(&z, law.logits().shape());
            let log_q = f64::from(law.log_prob(z).to_vec()[0]);
            let log_p = -f64::from(vae.decode(&params, z).bce_with_logits(x).sum().item());
            (log_q, log_p - (states as f64).ln() - log_q)
        };
        let states: States = (0..states).map(of_state).collect();
        hold_against("vae", &states, |images, samples| {
            let bounds = vae.evaluate(&params, &copies(&IMAGE, images), samples, &mut Noise::seed(5));
            bounds.iter().map(|bound| bound.nll).collect()
        });
    }
}

#[test]
fn a_prediction_is_bounded_as_enumeration_says() {
    let bits = |variables| Kind { variables, classes: None };
    let mut params = Params::new();
    let net = Prediction::new(&[bits(3), bits(2)], &MEAN[..3], &MEAN[3..], &mut params, &mut Noise::seed(4));
    let (x, y) = IMAGE.split_at(3);
    let first =
        affine(&params, "layer.0", &centred(x, &MEAN[..3].iter().map(|&m| f64::from(m)).collect::<Vec<_>>()));
    let mut states = States::new();
    for h in all_bits(3) {
        let second = affine(&params, "layer.1", &h);
        for g in all_bits(2) {
            let log_q = log_bernoulli(&first, &h) + log_bernoulli(&second, &g);
            states.push((log_q, log_bernoulli(&affine(&params, "layer.2", &g), y)));
        }
    }
    hold_against("prediction", &states, |images, samples| {
        net.evaluate(&params, &copies(&IMAGE, images), samples, &mut Noise::seed(6))
    });
}

/// A belief net of layers of 3 and 2 bits over 5 pixels.
fn belief_net() -> (BeliefNet, Params) {
    let mut params = Params::new();
    let shape = BeliefNetShape { layers: vec![3, 2], link: Link::Linear };
    let mut noise = Noise::seed(8);
    let net = BeliefNet::new(&shape, &MEAN, &mut params, &mut noise);
    let prior = params.find("prior").unwrap();
    params.value_mut(prior).copy_from_slice(&[0.7, -0.4]);
    (net, params)
}

fn belief_net_states(params: &Params) -> States {
    let mut states = States::new();
    let q = affine(params, "inference.0.0", &centred(&IMAGE, &values(params, "pixel_mean")));
    for h in all_bits(3) {
        let up = affine(params, "inference.1.0", &signs(&h));
        for top in all_bits(2) {
            let log_q = log_bernoulli(&q, &h) + log_bernoulli(&up, &top);
            let log_p = log_bernoulli(&values(params, "prior"), &top)
                + log_bernoulli(&affine(params, "generative.1.0", &signs(&top)), &h)
                + log_bernoulli(&affine(params, "generative.0.0", &signs(&h)), &IMAGE);
            states.push((log_q, log_p - log_q));
        }
    }
    states
}

#[test]
fn a_belief_net_is_bounded_as_enumeration_says() {
    let (net, params) = belief_net();
    hold_against("belief net", &belief_net_states(&params), |images, samples| {
        net.evaluate(&params, &copies(&IMAGE, images), samples, &mut Noise::seed(7))
    });
}

/// The derivative of the exact bound by every number of a parameter.
fn exact_gradient(params: &mut Params, id: ParamId, bound: usize) -> Vec<f64> {
    let step = 1e-2f32;
    let count = params.value(id).len();
    let mut at = |i: usize, by: f32| {
        params.value_mut(id)[i] += by;
        let value = exact_bounds(&belief_net_states(params))[bound];
        params.value_mut(id)[i] -= by;
        value
    };
    (0..count).map(|i| (at(i, step) - at(i, -step)) / (2.0 * f64::from(step))).collect()
}

#[test]
fn belief_nets_learn_along_the_gradient_of_the_enumerated_bound() {
    let (net, mut params) = belief_net();
    let (images, runs) = (2_000, 40);
    let mut tape = Tape::new();
    let mut noise = Noise::seed(9);
    for samples in [1, 2] {
        let mut estimators: Vec<Box<dyn Estimator>> = (0..2).map(|_| parse("nvil").unwrap()).collect();
        let ids: Vec<ParamId> = params.ids().filter(|&id| !params.is_frozen(id)).collect();
        let mut estimates: Vec<Vec<Vec<f64>>> = vec![Vec::new(); ids.len()];
        for _ in 0..runs {
            {
                let x = tape.input(&copies(&IMAGE, images), [images, 5]);
                let loss = match samples {
                    1 => net.loss(&params, x, &mut estimators, &mut noise),
                    _ => net.bound(&params, x, Nodes::Hard, samples, &mut noise),
                };
                let gradients = loss.mean().backward();
                for (estimates, &id) in estimates.iter_mut().zip(&ids) {
                    let gradient = gradients.parameter(id).expect("a gradient");
                    estimates.push(gradient.iter().map(|&g| f64::from(g)).collect());
                }
            }
            tape.reset();
        }
        for (estimates, &id) in estimates.iter().zip(&ids) {
            for (i, exact) in exact_gradient(&mut params, id, samples - 1).into_iter().enumerate() {
                let of_entry: Vec<f64> = estimates.iter().map(|estimate| estimate[i]).collect();
                let what = format!("{samples} samples, {}[{i}]", params.name(id));
                // The f32 parameters' central difference is good to 1e-3.
                let mean = of_entry.iter().sum::<f64>() / of_entry.len() as f64;
                let square = of_entry.iter().map(|g| (g - mean).powi(2)).sum::<f64>();
                let error = (square / (of_entry.len() * (of_entry.len() - 1)) as f64).sqrt();
                assert!(
                    (mean - exact).abs() < 5.0 * error + 1e-3,
                    "{what}: {mean} +- {error}, exact {exact}"
                );
            }
        }
    }
}

/// The sum over y is exact, the integral over z a sum of steps of 0.01.
#[test]
fn a_semi_supervised_model_is_bounded_as_enumeration_says() {
    let mut params = Params::new();
    let shape = SemiSupervisedShape { classes: 3, latents: 1, hidden: vec![4], shift: 1 };
    let model = SemiSupervised::new(shape, (&MEAN, 5), &mut params, &mut Noise::seed(12));
    let relu = |x: Vec<f64>| x.into_iter().map(|x| x.max(0.0)).collect::<Vec<_>>();
    let given = |class: usize, z: f64| {
        let mut input = vec![0.0; 4];
        (input[class], input[3]) = (1.0, z);
        let hidden = relu(affine(&params, "decoder.0", &input));
        log_bernoulli(&affine(&params, "decoder.1", &hidden), &IMAGE)
    };
    let step = 0.01;
    let density = |z: f64| (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let p: f64 = (-800..=800)
        .map(|i| f64::from(i) * step)
        .map(|z| (0..3).map(|class| given(class, z).exp() / 3.0).sum::<f64>() * density(z) * step)
        .sum();
    let many = model.evaluate(&params, &copies(&IMAGE, 10), 20_000, &mut Noise::seed(13));
    assert!(many.iter().all(|bound| (bound + p.ln()).abs() < 0.03), "{many:?}, -ln p is {}", -p.ln());

    // -ELBO of one sample is what the marginal loss says it is.
    let tape = Tape::new();
    let x = tape.input(&copies(&IMAGE, 40_000), [40_000, 5]);
    let mut exact = parse("exact").unwrap();
    let loss = model.unlabelled_loss(&params, x, exact.as_mut(), &mut Noise::seed(14)).mean().item();
    let single = model.evaluate(&params, &copies(&IMAGE, 40_000), 1, &mut Noise::seed(15));
    let spread = single.iter().map(|b| (b - f64::from(loss)).powi(2)).sum::<f64>() / 40_000.0;
    // The loss is a mean of as many samples, of less variance.
    let error = (2.0 * spread / 40_000.0).sqrt();
    let mean = single.iter().sum::<f64>() / 40_000.0;
    assert!((mean - f64::from(loss)).abs() < 4.5 * error, "{mean} +- {error}, marginal {loss}");
}

#[test]
fn one_sample_is_its_weight() {
    let bounds = multi_sample_bound(3, 1, |_, log_weights| log_weights.copy_from_slice(&[-1.0, -2.0, 0.5]));
    assert_eq!(bounds, [1.0, 2.0, -0.5]);
}
