//! Does the shared multi-sample bound agree with enumeration of all states? Are the models' gradients the
//! gradients of the enumerated bound, or of the integrated one if their bits are relaxed? Do the models draw
//! what they should?

use reparam::estimators::{Estimator, parse};
use reparam::models::{
    BeliefNet, Drawn, HardBound, Link, Model, Prediction, SemiSupervised, SemiSupervisedShape, Vae, VaeShape,
    multi_sample_bound,
};
use reparam::{Noise, ParamId, Params, Tape, Var, Variables};

/// The bounds of all samples.
fn nlls(bounds: Vec<HardBound>) -> Vec<f64> {
    bounds.into_iter().map(|bound| bound.nll.value).collect()
}

/// The same estimator for each of `layers` layers.
fn estimators(name: &str, layers: usize) -> Vec<Box<dyn Estimator>> {
    (0..layers).map(|_| parse(name).unwrap()).collect()
}

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

/// E\[-ln(1/2 (w + w'))\] over two independent samples, the same for one sample, and -ln of the mean of w.
fn exact_bounds(states: &States) -> [f64; 3] {
    let one = states.iter().map(|(log_q, log_w)| -log_q.exp() * log_w).sum();
    let pair =
        |(q, w): &(f64, f64), (q2, w2): &(f64, f64)| -(q + q2).exp() * (0.5 * (w.exp() + w2.exp())).ln();
    let two = states.iter().map(|a| states.iter().map(|b| pair(a, b)).sum::<f64>()).sum();
    let all = -states.iter().map(|(log_q, log_w)| (log_q + log_w).exp()).sum::<f64>().ln();
    [one, two, all]
}

/// The mean of equal images' bounds must lie within 4.5 standard errors of the exact one: one run in 100,000
/// is off by chance.
fn check(what: &str, bounds: &[f64], exact: f64) {
    let n = bounds.len() as f64;
    let mean = bounds.iter().sum::<f64>() / n;
    let error = (bounds.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / n / n).sqrt();
    assert!((mean - exact).abs() < 4.5 * error + 1e-5, "{what}: {mean} +- {error}, by enumeration {exact}");
}

/// Checks `evaluate(images, samples)` on copies of one image against the enumeration of its states.
fn check_bounds(what: &str, states: &States, evaluate: impl Fn(usize, usize) -> Vec<f64>) {
    let [one, two, all] = exact_bounds(states);
    assert!(one > two && two > all, "{what}: {one} {two} {all}");
    check(what, &evaluate(40_000, 1), one);
    check(what, &evaluate(40_000, 2), two);
    assert!(evaluate(0, 3).is_empty(), "{what}: of no images");
    let many = evaluate(10, 20_000);
    assert!(many.iter().all(|bound| (bound - all).abs() < 0.03), "{what}: {many:?}, -ln p is {all}");
}

const IMAGE: [f64; 5] = [1.0, 0.0, 1.0, 1.0, 0.0];
const MEAN: [f32; 5] = [0.4, 0.2, 0.6, 0.5, 0.3];

fn copies(x: &[f64], count: usize) -> Vec<f32> {
    x.iter().map(|&x| x as f32).collect::<Vec<_>>().repeat(count)
}

/// A VAE over 5 pixels.
fn vae(latents: Variables) -> (Vae, Params) {
    let mut params = Params::new();
    let shape = VaeShape { pixels: 5, encoder: vec![], decoder: vec![4], latents };
    let vae = Vae::new(shape, &MEAN, &mut params, &mut Noise::seed(3));
    // Away from the kinks of ReLU, because differences are taken there.
    let bias = params.find("decoder.0.bias").unwrap();
    params.value_mut(bias).copy_from_slice(&[0.31, -0.23, 0.17, 0.42]);
    (vae, params)
}

const LATENTS: [Variables; 2] = [Variables::Bits(3), Variables::Categories { count: 2, classes: 3 }];

/// The logits of the pixels of a model with a decoder.
fn decoded(params: &Params, code: &[f64]) -> Vec<f64> {
    affine(params, "decoder.1", &relu(affine(params, "decoder.0", code)))
}

/// The logits of a VAE's pixels for all values of variables with these logits, each with its log-probability.
fn decoded_values(latents: Variables, params: &Params, logits: &[f64]) -> Vec<(Vec<f64>, f64)> {
    let values = all_values(latents, logits).into_iter();
    values.map(|(z, log_p)| (decoded(params, &z), log_p)).collect()
}

/// The logits of q(z | x).
fn encoded(params: &Params) -> Vec<f64> {
    affine(params, "encoder.0", &centred(&IMAGE, &values(params, "pixel_mean")))
}

fn vae_states(latents: Variables, params: &Params) -> States {
    let log_prior = -(latents.states().unwrap() as f64).ln();
    let of_value =
        |(pixels, log_q): (Vec<f64>, f64)| (log_q, log_bernoulli(&pixels, &IMAGE) + log_prior - log_q);
    decoded_values(latents, params, &encoded(params)).into_iter().map(of_value).collect()
}

#[test]
fn a_vae_is_bounded_as_enumeration_says() {
    for latents in LATENTS {
        let (vae, params) = vae(latents);
        let states = vae_states(latents, &params);
        check_bounds("vae", &states, |images, samples| {
            nlls(vae.evaluate(&params, &copies(&IMAGE, images), samples, &mut Noise::seed(5)))
        });
        let bounds = vae.evaluate(&params, &copies(&IMAGE, 40_000), 1, &mut Noise::seed(15));
        let negative_elbos: Vec<f64> = bounds.iter().map(|bound| bound.negative_elbo.value).collect();
        check("vae, -ELBO", &negative_elbos, exact_bounds(&states)[0]);
    }
}

#[test]
fn a_vae_learns_along_the_gradient_of_the_enumerated_bound() {
    for latents in LATENTS {
        let (vae, mut params) = vae(latents);
        let mut estimator = parse("rloo:2").unwrap();
        let one = |params: &Params| exact_bounds(&vae_states(latents, params))[0];
        check_gradient("vae", &mut params, one, |tape, params, images, noise| {
            let x = tape.input(&copies(&IMAGE, images), [images, 5]);
            vae.negative_bound(params, x, estimator.as_mut(), noise)
        });
        let mut vimco = parse("vimco:2").unwrap();
        let two = |params: &Params| exact_bounds(&vae_states(latents, params))[1];
        check_gradient("vae, two samples", &mut params, two, |tape, params, images, noise| {
            let x = tape.input(&copies(&IMAGE, images), [images, 5]);
            vae.negative_bound(params, x, vimco.as_mut(), noise)
        });
    }
}

/// Nets that predict the last two pixels from the first three, through bits and through categorical
/// variables.
fn predictions() -> [(Vec<Variables>, Prediction, Params); 2] {
    let bits = |variables| Variables::Bits(variables);
    let categories = |variables, classes| Variables::Categories { count: variables, classes };
    [vec![bits(3), bits(2)], vec![categories(1, 3), categories(2, 2)]].map(|layers| {
        let mut params = Params::new();
        let net = Prediction::new(&layers, &MEAN[..3], &MEAN[3..], &mut params, &mut Noise::seed(4));
        (layers, net, params)
    })
}

/// All values of variables with these logits, each with its log-probability.
fn all_values(kind: Variables, logits: &[f64]) -> Vec<(Vec<f64>, f64)> {
    let Variables::Categories { classes, .. } = kind else {
        return all_bits(kind.count()).map(|h| (h.clone(), log_bernoulli(logits, &h))).collect();
    };
    let mut values = vec![(Vec::new(), 0.0)];
    for logits in logits.chunks(classes) {
        let normaliser = logits.iter().map(|x| x.exp()).sum::<f64>().ln();
        let extended = |(h, log_p): &(Vec<f64>, f64), class: usize| {
            let one_hot = (0..classes).map(|k| f64::from(u8::from(k == class)));
            (h.iter().copied().chain(one_hot).collect(), log_p + logits[class] - normaliser)
        };
        values = values.iter().flat_map(|value| (0..classes).map(move |k| extended(value, k))).collect();
    }
    values
}

/// The input of a prediction's first layer.
fn prediction_input(params: &Params) -> Vec<f64> {
    centred(&IMAGE[..3], &values(params, "input_mean"))
}

/// The logits of y for all values of h, each with its log-probability.
fn predicted_values(layers: &[Variables], params: &Params) -> Vec<(Vec<f64>, f64)> {
    let mut values = Vec::new();
    for (h, log_p) in all_values(layers[0], &affine(params, "layer.0", &prediction_input(params))) {
        for (g, log_p_of_g) in all_values(layers[1], &affine(params, "layer.1", &h)) {
            values.push((affine(params, "layer.2", &g), log_p + log_p_of_g));
        }
    }
    values
}

fn prediction_states(layers: &[Variables], params: &Params) -> States {
    let of_value = |(y, log_q): (Vec<f64>, f64)| (log_q, log_bernoulli(&y, &IMAGE[3..]));
    predicted_values(layers, params).into_iter().map(of_value).collect()
}

#[test]
fn predictions_are_bounded_as_enumeration_says() {
    for (layers, net, params) in predictions() {
        check_bounds("prediction", &prediction_states(&layers, &params), |images, samples| {
            nlls(net.evaluate(&params, &copies(&IMAGE, images), samples, &mut Noise::seed(6)))
        });
    }
}

/// A belief net of layers of 3 and 2 bits over 5 pixels.
fn belief_net(link: Link) -> (BeliefNet, Params) {
    let mut params = Params::new();
    let net = BeliefNet::new(&[3, 2], link, &MEAN, &mut params, &mut Noise::seed(8));
    let prior = params.find("prior").unwrap();
    params.value_mut(prior).copy_from_slice(&[0.7, -0.4]);
    (net, params)
}

/// The map `name` of a belief net: affine, or several affine maps with tanh between them.
fn through(params: &Params, name: &str, x: &[f64]) -> Vec<f64> {
    let mut x = affine(params, &format!("{name}.0"), x);
    for i in (1..).take_while(|i| params.find(&format!("{name}.{i}.weight")).is_some()) {
        x = affine(params, &format!("{name}.{i}"), &x.iter().map(|x| x.tanh()).collect::<Vec<_>>());
    }
    x
}

fn belief_net_states(params: &Params) -> States {
    let mut states = States::new();
    let q = through(params, "inference.0", &centred(&IMAGE, &values(params, "pixel_mean")));
    for h in all_bits(3) {
        let up = through(params, "inference.1", &signs(&h));
        for top in all_bits(2) {
            let log_q = log_bernoulli(&q, &h) + log_bernoulli(&up, &top);
            let log_p = log_bernoulli(&values(params, "prior"), &top)
                + log_bernoulli(&through(params, "generative.1", &signs(&top)), &h)
                + log_bernoulli(&through(params, "generative.0", &signs(&h)), &IMAGE);
            states.push((log_q, log_p - log_q));
        }
    }
    states
}

#[test]
fn belief_nets_are_bounded_as_enumeration_says() {
    for link in [Link::Linear, Link::Nonlinear] {
        let (net, params) = belief_net(link);
        check_bounds("belief net", &belief_net_states(&params), |images, samples| {
            nlls(net.evaluate(&params, &copies(&IMAGE, images), samples, &mut Noise::seed(7)))
        });
    }
}

/// Checks the mean of drawn probabilities of pixels against the mean of the probabilities given all values,
/// `(logits, ln p)`.
fn check_drawn(what: &str, values: &[(Vec<f64>, f64)], drawn: &[f32]) {
    let pixels = values[0].0.len();
    for pixel in 0..pixels {
        let given = |(logits, log_p): &(Vec<f64>, f64)| log_p.exp() / (1.0 + (-logits[pixel]).exp());
        let of_pixel: Vec<f64> =
            drawn.iter().skip(pixel).step_by(pixels).map(|&probability| f64::from(probability)).collect();
        check(&format!("{what}, pixel {pixel}"), &of_pixel, values.iter().map(given).sum());
    }
}

#[test]
fn models_draw_as_enumeration_says() {
    for latents in LATENTS {
        let (vae, params) = vae(latents);
        let prior = decoded_values(latents, &params, &vec![0.0; latents.elements()]);
        check_drawn("vae", &prior, &vae.draw(&params, &[], 40_000, &mut Noise::seed(17)));
        let posterior = decoded_values(latents, &params, &encoded(&params));
        let drawn = vae.reconstruct(&params, &copies(&IMAGE, 40_000), &mut Noise::seed(18));
        check_drawn("vae, reconstruction", &posterior, &drawn);
    }
    let (net, params) = belief_net(Link::Nonlinear);
    let mut given = Vec::new();
    for top in all_bits(2) {
        let up = through(&params, "generative.1", &signs(&top));
        for h in all_bits(3) {
            let log_p = log_bernoulli(&values(&params, "prior"), &top) + log_bernoulli(&up, &h);
            given.push((through(&params, "generative.0", &signs(&h)), log_p));
        }
    }
    check_drawn("belief net", &given, &net.draw(&params, &[], 40_000, &mut Noise::seed(19)));
    for (layers, net, params) in predictions() {
        let rows = net.complete(&params, &copies(&IMAGE, 40_000), &mut Noise::seed(20));
        assert!(rows.chunks(5).all(|row| row[..3] == [1.0, 0.0, 1.0]), "the upper part is the image's");
        let lower: Vec<f32> = rows.chunks(5).flat_map(|row| row[3..].to_vec()).collect();
        check_drawn("prediction", &predicted_values(&layers, &params), &lower);
    }
}

/// The derivative of an exact loss with respect to every number of a parameter.
fn exact_gradient(params: &mut Params, id: ParamId, exact: &dyn Fn(&Params) -> f64) -> Vec<f64> {
    let step = 1e-2f32;
    let count = params.value(id).len();
    let mut at = |i: usize, by: f32| {
        params.value_mut(id)[i] += by;
        let value = exact(params);
        params.value_mut(id)[i] -= by;
        value
    };
    (0..count).map(|i| (at(i, step) - at(i, -step)) / (2.0 * f64::from(step))).collect()
}

/// Checks the mean and the gradient of `loss`, over many copies of one image, against an exact one.
fn check_gradient(
    what: &str,
    params: &mut Params,
    exact: impl Fn(&Params) -> f64,
    mut loss: impl for<'t> FnMut(&'t Tape, &Params, usize, &mut Noise) -> Var<'t>,
) {
    let (images, runs) = (2_000, 40);
    let (mut tape, mut noise) = (Tape::new(), Noise::seed(9));
    let ids: Vec<ParamId> = params.ids().filter(|&id| !params.is_frozen(id)).collect();
    let mut means = Vec::new();
    let mut estimates: Vec<Vec<Vec<f64>>> = vec![Vec::new(); ids.len()];
    for _ in 0..runs {
        {
            let loss = loss(&tape, params, images, &mut noise).mean();
            means.push(f64::from(loss.item()));
            let gradients = loss.backward();
            for (estimates, &id) in estimates.iter_mut().zip(&ids) {
                let gradient = gradients.parameter(id).expect("a gradient");
                estimates.push(gradient.iter().map(|&g| f64::from(g)).collect());
            }
        }
        tape.reset();
    }
    let near = |what: &str, sample: &[f64], exact: f64| {
        let mean = sample.iter().sum::<f64>() / sample.len() as f64;
        let square = sample.iter().map(|g| (g - mean).powi(2)).sum::<f64>();
        let error = (square / (sample.len() * (sample.len() - 1)) as f64).sqrt();
        // The f32 parameters' central difference is accurate to 1e-3.
        assert!((mean - exact).abs() < 5.0 * error + 1e-3, "{what}: {mean} +- {error}, exact {exact}");
    };
    near(what, &means, exact(params));
    for (estimates, &id) in estimates.iter().zip(&ids) {
        for (i, exact) in exact_gradient(params, id, &exact).into_iter().enumerate() {
            let of_entry: Vec<f64> = estimates.iter().map(|estimate| estimate[i]).collect();
            near(&format!("{what}, {}[{i}]", params.name(id)), &of_entry, exact);
        }
    }
}

#[test]
fn belief_nets_learn_along_the_gradient_of_the_enumerated_bound() {
    for link in [Link::Linear, Link::Nonlinear] {
        let (net, mut params) = belief_net(link);
        let (mut nvil, mut vimco) = (estimators("nvil", 2), estimators("vimco:2", 2));
        let one = |params: &Params| exact_bounds(&belief_net_states(params))[0];
        check_gradient("belief net", &mut params, one, |tape, params, images, noise| {
            let x = tape.input(&copies(&IMAGE, images), [images, 5]);
            net.negative_bound(params, x, &mut nvil, noise)
        });
        let two = |params: &Params| exact_bounds(&belief_net_states(params))[1];
        check_gradient("belief net, two samples", &mut params, two, |tape, params, images, noise| {
            let x = tape.input(&copies(&IMAGE, images), [images, 5]);
            net.negative_bound(params, x, &mut vimco, noise)
        });
    }
}

/// The two halves of many copies of the image.
fn halves(tape: &Tape, images: usize) -> (Var<'_>, Var<'_>) {
    let (x, y) = IMAGE.split_at(3);
    (tape.input(&copies(x, images), [images, 3]), tape.input(&copies(y, images), [images, 2]))
}

#[test]
fn predictions_learn_along_the_gradient_of_the_enumerated_bound() {
    for (layers, net, mut params) in predictions() {
        let (mut nvil, mut vimco) = (estimators("nvil", 2), estimators("vimco:2", 2));
        let one = |params: &Params| exact_bounds(&prediction_states(&layers, params))[0];
        check_gradient("prediction", &mut params, one, |tape, params, images, noise| {
            let (x, y) = halves(tape, images);
            net.negative_bound(params, x, y, &mut nvil, noise)
        });
        let two = |params: &Params| exact_bounds(&prediction_states(&layers, params))[1];
        check_gradient("prediction, two samples", &mut params, two, |tape, params, images, noise| {
            let (x, y) = halves(tape, images);
            net.negative_bound(params, x, y, &mut vimco, noise)
        });
    }
}

/// Temperatures of the relaxed posterior and prior.
const TAUS: (f32, f32) = (0.7, 0.4);

/// The estimator of a relaxed bound.
fn relaxed(samples: usize) -> Vec<Box<dyn Estimator>> {
    estimators(&format!("concrete:{}:{}:{samples}", TAUS.0, TAUS.1), 1)
}

/// ln of the density of a relaxed bit's logit z, its noise being tau z - logit.
fn log_relaxed(logit: f64, tau: f64, z: f64) -> f64 {
    let noise = tau * z - logit;
    tau.ln() - noise - 2.0 * (-noise).exp().ln_1p()
}

/// The bounds of one and of two samples, by the midpoint rule over the uniform numbers that make the noise of
/// a relaxed bit.
fn relaxed_bounds(logit: f64, log_weight: impl Fn(f64) -> f64) -> [f64; 2] {
    let grid = |points: usize| -> Vec<f64> {
        let u = (0..points).map(|i| (i as f64 + 0.5) / points as f64);
        u.map(|u| log_weight((logit + (u / (1.0 - u)).ln()) / f64::from(TAUS.0))).collect()
    };
    let (many, few) = (grid(5_000), grid(400));
    let pair = |a: f64, b: f64| -(0.5 * (a.exp() + b.exp())).ln();
    let two = few.iter().map(|&a| few.iter().map(|&b| pair(a, b)).sum::<f64>()).sum::<f64>();
    [-many.iter().sum::<f64>() / 5_000.0, two / 160_000.0]
}

#[test]
fn relaxed_belief_nets_learn_along_the_gradient_of_the_integrated_bound() {
    let mut params = Params::new();
    let net = BeliefNet::new(&[1], Link::Linear, &MEAN, &mut params, &mut Noise::seed(8));
    let prior = params.find("prior").unwrap();
    params.value_mut(prior)[0] = 0.7;
    let exact = |params: &Params| {
        let q = affine(params, "inference.0.0", &centred(&IMAGE, &values(params, "pixel_mean")))[0];
        let prior = values(params, "prior")[0];
        relaxed_bounds(q, |z| {
            let value = 2.0 / (1.0 + (-z).exp()) - 1.0;
            log_bernoulli(&affine(params, "generative.0.0", &[value]), &IMAGE)
                + log_relaxed(prior, f64::from(TAUS.1), z)
                - log_relaxed(q, f64::from(TAUS.0), z)
        })
    };
    for samples in [1, 2] {
        let of_samples = |params: &Params| exact(params)[samples - 1];
        check_gradient("relaxed net", &mut params, of_samples, |tape, params, images, noise| {
            let x = tape.input(&copies(&IMAGE, images), [images, 5]);
            net.negative_bound(params, x, &mut relaxed(samples), noise)
        });
    }
}

#[test]
fn relaxed_vaes_learn_along_the_gradient_of_the_integrated_bound() {
    let (vae, mut params) = vae(Variables::Bits(1));
    let exact = |params: &Params| {
        let q = encoded(params)[0];
        relaxed_bounds(q, |z| {
            log_bernoulli(&decoded(params, &[1.0 / (1.0 + (-z).exp())]), &IMAGE)
                + log_relaxed(0.0, f64::from(TAUS.1), z)
                - log_relaxed(q, f64::from(TAUS.0), z)
        })
    };
    for samples in [1, 2] {
        let of_samples = |params: &Params| exact(params)[samples - 1];
        check_gradient("relaxed vae", &mut params, of_samples, |tape, params, images, noise| {
            let x = tape.input(&copies(&IMAGE, images), [images, 5]);
            vae.negative_bound(params, x, &mut *relaxed(samples)[0], noise)
        });
    }
}

#[test]
fn relaxed_predictions_learn_along_the_gradient_of_the_integrated_bound() {
    let mut params = Params::new();
    let bit = Variables::Bits(1);
    let net = Prediction::new(&[bit], &MEAN[..3], &MEAN[3..], &mut params, &mut Noise::seed(4));
    let exact = |params: &Params| {
        let logit = affine(params, "layer.0", &prediction_input(params))[0];
        relaxed_bounds(logit, |z| {
            log_bernoulli(&affine(params, "layer.1", &[1.0 / (1.0 + (-z).exp())]), &IMAGE[3..])
        })
    };
    for samples in [1, 2] {
        let of_samples = |params: &Params| exact(params)[samples - 1];
        check_gradient("relaxed prediction", &mut params, of_samples, |tape, params, images, noise| {
            let (x, y) = halves(tape, images);
            net.negative_bound(params, x, y, &mut relaxed(samples), noise)
        });
    }
}

fn relu(x: Vec<f64>) -> Vec<f64> {
    x.into_iter().map(|x| x.max(0.0)).collect()
}

/// The integral of f under the standard normal distribution, as a sum of steps of 0.01.
fn over_normal(f: impl Fn(f64) -> f64) -> f64 {
    let step = 0.01;
    let density = |z: f64| (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (-800..=800).map(|i| f64::from(i) * step).map(|z| f(z) * density(z) * step).sum()
}

/// A semi-supervised model of 3 classes over 5 pixels.
fn semi_supervised() -> (SemiSupervised, Params) {
    let mut params = Params::new();
    let shape = SemiSupervisedShape { pixels: 5, classes: 3, latents: 1, hidden: vec![4] };
    let model = SemiSupervised::new(shape, &MEAN, &mut params, &mut Noise::seed(12));
    (model, params)
}

/// Its class.
const CLASS: Variables = Variables::Categories { count: 1, classes: 3 };

/// ln p(x | y, z).
fn log_given(params: &Params, y: &[f64], z: f64) -> f64 {
    log_bernoulli(&decoded(params, &[y, &[z]].concat()), &IMAGE)
}

/// L(x, y), as the model's documentation defines it.
fn loss_of_class(params: &Params, y: &[f64]) -> f64 {
    let x = centred(&IMAGE, &values(params, "pixel_mean"));
    let parts = [affine(params, "encoder.x", &x), affine(params, "encoder.y", y)];
    let hidden = relu(parts[0].iter().zip(&parts[1]).map(|(x, y)| x + y).collect());
    let distribution = affine(params, "encoder.0", &hidden);
    let (mean, log_std) = (distribution[0], distribution[1]);
    let kl = 0.5 * (mean * mean + (2.0 * log_std).exp() - 1.0) - log_std;
    kl + 3f64.ln() - over_normal(|z| log_given(params, y, mean + log_std.exp() * z))
}

/// Each y with ln q(y | x).
fn classified(params: &Params) -> Vec<(Vec<f64>, f64)> {
    let x = centred(&IMAGE, &values(params, "pixel_mean"));
    all_values(CLASS, &affine(params, "classifier.1", &relu(affine(params, "classifier.0", &x))))
}

#[test]
fn a_semi_supervised_model_learns_along_the_gradient_of_the_integrated_bounds() {
    let (model, mut params) = semi_supervised();

    let mut estimator = parse("rloo:2").unwrap();
    let unlabelled = |params: &Params| {
        classified(params).iter().map(|(y, log_q)| log_q.exp() * (loss_of_class(params, y) + log_q)).sum()
    };
    check_gradient("without labels", &mut params, unlabelled, |tape, params, images, noise| {
        let x = tape.input(&copies(&IMAGE, images), [images, 5]);
        model.unlabelled_loss(params, x, estimator.as_mut(), noise)
    });

    let labelled = |params: &Params| {
        let (y, log_q) = &classified(params)[1];
        0.5 * loss_of_class(params, y) - 3.0 * log_q
    };
    check_gradient("with labels", &mut params, labelled, |tape, params, images, noise| {
        let x = tape.input(&copies(&IMAGE, images), [images, 5]);
        let labels = vec![1; images];
        let classification = model.classify(params, x).cross_entropy(&labels);
        model.labelled_loss(params, (x, &labels), noise) * 0.5 + classification * 3.0
    });
}

#[test]
fn a_semi_supervised_model_is_bounded_as_enumeration_says() {
    let (model, params) = semi_supervised();
    let classes = all_values(CLASS, &[0.0; 3]);
    let p = over_normal(|z| classes.iter().map(|(y, log_p)| (log_p + log_given(&params, y, z)).exp()).sum());
    let many = nlls(model.evaluate(&params, &copies(&IMAGE, 10), 20_000, &mut Noise::seed(13)));
    assert!(many.iter().all(|bound| (bound + p.ln()).abs() < 0.03), "{many:?}, -ln p is {}", -p.ln());

    // -ELBO of one sample is the same as the marginal loss.
    let tape = Tape::new();
    let x = tape.input(&copies(&IMAGE, 40_000), [40_000, 5]);
    let mut exact = parse("exact").unwrap();
    let loss = model.unlabelled_loss(&params, x, exact.as_mut(), &mut Noise::seed(14)).mean().item();
    let single = nlls(model.evaluate(&params, &copies(&IMAGE, 40_000), 1, &mut Noise::seed(15)));
    let spread = single.iter().map(|b| (b - f64::from(loss)).powi(2)).sum::<f64>() / 40_000.0;
    // The loss is a mean of as many samples, with less variance.
    let error = (2.0 * spread / 40_000.0).sqrt();
    let mean = single.iter().sum::<f64>() / 40_000.0;
    assert!((mean - f64::from(loss)).abs() < 4.5 * error, "{mean} +- {error}, marginal {loss}");

    assert!(model.evaluate(&params, &[], 3, &mut Noise::seed(16)).is_empty());
    assert_eq!(model.right_answers(&params, &[], &[]), 0);
}

#[test]
fn a_semi_supervised_model_draws_classes_in_turn() {
    let (model, params) = semi_supervised();
    let drawn = model.generate(&params, 60_000, &mut Noise::seed(21));
    for (class, (y, _)) in all_values(CLASS, &[0.0; 3]).iter().enumerate() {
        for pixel in 0..5 {
            let given = |z| 1.0 / (1.0 + (-decoded(&params, &[y, &[z][..]].concat())[pixel]).exp());
            let of_class = drawn.chunks(5).skip(class).step_by(3).map(|image| f64::from(image[pixel]));
            let of_class: Vec<f64> = of_class.collect();
            check(&format!("class {class}, pixel {pixel}"), &of_class, over_normal(given));
        }
    }
}

#[test]
fn one_sample_is_its_weight() {
    let bounds = multi_sample_bound(3, 1, |_, log_weights| log_weights.copy_from_slice(&[-1.0, -2.0, 0.5]));
    let drawn = |value| Drawn { value, variance: None };
    let weighs = |nll| HardBound { negative_elbo: drawn(nll), nll: drawn(nll) };
    assert_eq!(bounds, [weighs(1.0), weighs(2.0), weighs(-0.5)]);
}

/// The variance estimated from an image's samples is the variance over other samples of the same image.
#[test]
fn estimated_variances_agree_with_other_draws() {
    for latents in LATENTS {
        let (vae, params) = vae(latents);
        let bounds = vae.evaluate(&params, &copies(&IMAGE, 20_000), 20, &mut Noise::seed(7));
        for (name, of) in [
            ("-ELBO", (|bound| bound.negative_elbo) as fn(&HardBound) -> Drawn),
            ("bound of 20 samples", |bound| bound.nll),
        ] {
            let count = bounds.len() as f64;
            let mean = bounds.iter().map(|bound| of(bound).value).sum::<f64>() / count;
            let squares: f64 = bounds.iter().map(|bound| (of(bound).value - mean).powi(2)).sum();
            let expected = bounds.iter().map(|bound| of(bound).variance.unwrap()).sum::<f64>() / count;
            let ratio = squares / (count - 1.0) / expected;
            assert!((0.9..1.1).contains(&ratio), "{name}, {latents}: {ratio} times the variance expected");
        }
    }
}
