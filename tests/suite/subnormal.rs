//! Subnormal numbers, which are a hundred times as slow on many CPUs. The repeated parts of a training step
//! make none.

use reparam_ops::adam::{self, Hyper};
use reparam_ops::noise::Stream;
use reparam_ops::{Tier, gumbel_softmax, sgd_momentum, softmax};

#[track_caller]
fn assert_none_subnormal(what: &str, numbers: &[f32]) {
    let found = numbers.iter().find(|x| x.is_subnormal());
    assert_eq!(found, None, "{what}");
}

/// A weight that has had one gradient and then none. A mean that decays by a factor and is rounded to the
/// nearest number would stop at one that is not 0.
#[test]
fn running_means_without_gradients_end_at_zero() {
    let hyper = Hyper { learning_rate: 1e-3, beta1: 0.6, beta2: 0.9, epsilon: 1e-8, weight_decay: 0.0 };
    for tier in Tier::available() {
        let (mut p, mut mean, mut square, mut velocity) = ([1.0; 19], [0.0; 19], [0.0; 19], [0.0; 19]);
        for step in 1..=1500 {
            let gradient = [if step == 1 { 0.7 } else { 0.0 }; 19];
            adam::update(tier, hyper, step, &gradient, &mut mean, &mut square, &mut p);
            sgd_momentum::update(tier, 0.1, 0.9, 0.0, &gradient, &mut velocity, &mut p);
            for (what, numbers) in [("mean", &mean), ("square", &square), ("velocity", &velocity)] {
                assert_none_subnormal(&format!("{what} after {step} steps, {tier}"), numbers);
            }
        }
        assert_eq!([mean, square, velocity], [[0.0; 19]; 3], "{tier}");
    }
}

#[test]
fn a_relaxed_sample_at_a_low_temperature_has_none() {
    for (rows, classes) in [(3000, 10), (300, 100), (20, 1500)] {
        let logits: Vec<f32> = (0..rows * classes).map(|i| (i % 7) as f32).collect();
        for tau in [0.1, 0.05] {
            let mut y = vec![0.0; logits.len()];
            gumbel_softmax::forward(Tier::best(), Stream::new(1).into(), &logits, classes, tau, &mut y)
                .unwrap();
            assert_none_subnormal(&format!("gumbel_softmax, {rows} x {classes}, tau {tau}"), &y);
            assert!(y.contains(&0.0), "some have underflowed to 0");
        }
        let far: Vec<f32> = logits.iter().map(|x| 20.0 * x).collect();
        let mut y = vec![0.0; far.len()];
        softmax::forward(Tier::best(), &far, classes, 1.0, &mut y).unwrap();
        assert_none_subnormal(&format!("softmax, {rows} x {classes}"), &y);
    }
}
