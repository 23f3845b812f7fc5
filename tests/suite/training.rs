//! Do optimizers, schedules and the choice of the best parameters follow their settings?

use insta::assert_snapshot;
use reparam::data::SplitKind;
use reparam::estimators::{DisArm, Estimate, LeaveOneOut};
use reparam::models::ModelShape;
use reparam::optim::{Adam, Optimizer, Sgd};
use reparam::train::{Estimators, OptimizerPlan, Plan, Sampling, Training, Validation};
use reparam::{Gradients, Logits, Noise, Params, Schedule, Tape, Var, Variables};

use crate::common::bars::images;
use crate::common::plans;

/// A weight that begins at 2, after one step along each gradient.
fn stepped(optimizer: &mut dyn Optimizer, gradients: &[f32]) -> f32 {
    let mut params = Params::new();
    let weight = params.add("weight", [1], vec![2.0]);
    for &gradient in gradients {
        let mut of_weight = Gradients::new();
        of_weight.add(&params, weight, &[gradient]);
        optimizer.step(&mut params, &of_weight);
    }
    params.value(weight)[0]
}

#[track_caller]
fn near(found: f32, expected: f64) {
    assert!((f64::from(found) - expected).abs() < 3e-6, "{found}, by hand {expected}");
}

/// Code that a newcomer writes in the first hour: noise passed on twice, a closure without `&mut`, an
/// optimizer without its trait.
#[test]
fn the_first_hour_compiles() {
    fn two_samples<'t>(logits: Var<'t>, noise: &mut Noise) -> Var<'t> {
        logits.gumbel_softmax(0.5, noise) + logits.gumbel_softmax(0.5, noise)
    }

    let (mut tape, mut params, noise) = (Tape::new(), Params::new(), &mut Noise::seed(1));
    let weight = params.add("logits", [1, 3], vec![0.0; 3]);
    let mut adam = Adam::new(0.1);
    let mut step = || {
        adam.minimize(&mut tape, &mut params, |tape, params| {
            let logits = params.on(tape, weight);
            let costs = tape.input(&[1.0, 2.0, 3.0], [3]);
            let hard =
                LeaveOneOut::new(4).estimate(Logits::categories(logits.reshape([1, 1, 3])), noise, |z, _| {
                    (z.reshape([1, 3]) * costs).sum_axis(1)
                });
            hard.sum() + (two_samples(logits, noise) * costs).sum()
        })
    };
    let (before, after) = (step(), (0..100).map(|_| step()).last().unwrap());
    assert!(before > 5.0 && after < 3.2, "{before} to {after}");
}

#[test]
fn optimizers_step_as_by_hand() {
    // Momentum 0.5: 1, then 0.5 + 3.
    near(stepped(&mut Sgd::new(0.1, 0.5), &[1.0, 3.0]), 2.0 - 0.1 - 0.35);
    // The decay is a part of the gradient: 1 + 0.2 * 2.
    near(stepped(&mut Sgd::new(0.1, 0.0).weight_decay(0.2), &[1.0]), 2.0 - 0.14);

    // The first step is as long as the rate, whatever the decays. In the second step they matter.
    let second = |beta1: f64, beta2: f64| {
        let mean = (beta1 * (1.0 - beta1) * 1.0 + (1.0 - beta1) * 3.0) / (1.0 - beta1 * beta1);
        let square = (beta2 * (1.0 - beta2) * 1.0 + (1.0 - beta2) * 9.0) / (1.0 - beta2 * beta2);
        0.1 * mean / square.sqrt()
    };
    near(stepped(&mut Adam::new(0.1), &[1.0, 3.0]), 2.0 - 0.1 - second(0.9, 0.999));
    near(stepped(&mut Adam::new(0.1).betas(0.5, 0.8), &[1.0, 3.0]), 2.0 - 0.1 - second(0.5, 0.8));
    // AdamW's decay is separate from the gradient's step: 0.1 * 0.2 * 2.
    near(stepped(&mut Adam::new(0.1).weight_decay(0.2), &[1.0]), 2.0 - 0.1 - 0.04);
}

#[test]
fn clipping_scales_all_gradients_to_the_joint_norm() {
    let mut params = Params::new();
    let (a, b) = (params.add("a", [1], vec![0.0]), params.add("b", [2], vec![0.0; 2]));
    let mut gradients = Gradients::new();
    gradients.add(&params, a, &[6.0]);
    gradients.add(&params, b, &[0.0, -8.0]);
    assert_eq!(gradients.clip_norm(20.0), 10.0);
    assert_eq!(gradients.parameter(b), Some(&[0.0, -8.0][..]));
    assert_eq!(gradients.clip_norm(5.0), 10.0);
    assert_eq!(gradients.parameter(a), Some(&[3.0][..]));
    assert_eq!(gradients.parameter(b), Some(&[0.0, -4.0][..]));
}

/// A run of ten steps that takes no time.
fn small() -> Plan {
    let latents = Variables::Categories { count: 3, classes: 4 };
    let model = ModelShape::Vae { latents, encoder: vec![8], decoder: vec![8] };
    let plan = plans::plan(model, "gumbel-softmax:1", 10);
    let training = Training { learning_rate: Schedule::Fixed(0.1), validation: None, ..plan.training };
    Plan { training, ..plan }
}

/// The same with another setting.
fn with(change: impl FnOnce(&mut Plan)) -> Plan {
    let mut plan = small();
    change(&mut plan);
    plan
}

/// The number of equal losses before the first that differs.
fn alike(a: &[f64], b: &[f64]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The losses of ten steps.
fn losses(plan: &Plan) -> Vec<f64> {
    let data = images(6, 60, 10);
    let mut run = plan.begin(&data).unwrap();
    (0..10).map(|_| run.step().loss).collect()
}

fn sampling(plan: &mut Plan) -> &mut Sampling {
    plan.sampling.as_mut().unwrap()
}

/// Schedules that begin to fall after step 3, counted from 0. The losses change at once if the loss depends
/// on the setting, and a step later if the update does.
#[test]
fn a_setting_tells_from_its_step_on() {
    let falling = |start: f64| Schedule::Tail { start, end: start / 10.0, from: 3, to: 4 };
    let steps_alike = |change: &dyn Fn(&mut Plan)| alike(&losses(&small()), &losses(&with(change)));
    assert_eq!(steps_alike(&|_| ()), 10);
    assert_eq!(steps_alike(&|plan| sampling(plan).tau = Some(falling(1.0))), 4);
    let straight_through = Some((3, "st-gumbel-softmax:1".to_owned()));
    assert_eq!(steps_alike(&|plan| sampling(plan).then = straight_through.clone()), 3);
    assert_eq!(steps_alike(&|plan| plan.training.learning_rate = falling(0.1)), 5);
    let sgd = OptimizerPlan::Sgd { momentum: 0.0, weight_decay: 0.0 };
    assert_eq!(steps_alike(&|plan| plan.training.optimizer = sgd), 1);
    let of_sgd = |clip_norm| {
        losses(&with(|plan| (plan.training.optimizer, plan.training.clip_norm) = (sgd, clip_norm)))
    };
    assert_eq!(alike(&of_sgd(None), &of_sgd(Some(1e-3))), 1);
}

/// The optimizers of a plan differ from each other, and from themselves with other settings.
#[test]
fn a_plan_makes_the_optimizer_that_it_names() {
    let optimizers = [
        OptimizerPlan::Adam { beta1: 0.9, beta2: 0.99 },
        OptimizerPlan::Adam { beta1: 0.5, beta2: 0.99 },
        OptimizerPlan::Adam { beta1: 0.9, beta2: 0.8 },
        OptimizerPlan::AdamW { beta1: 0.9, beta2: 0.99, weight_decay: 0.2 },
        OptimizerPlan::Sgd { momentum: 0.0, weight_decay: 0.0 },
        OptimizerPlan::Sgd { momentum: 0.5, weight_decay: 0.0 },
        OptimizerPlan::Sgd { momentum: 0.0, weight_decay: 0.2 },
    ];
    let losses = optimizers.map(|optimizer| losses(&with(|plan| plan.training.optimizer = optimizer)));
    for (i, a) in losses.iter().enumerate() {
        assert!(losses[..i].iter().all(|b| a != b), "{:?}", optimizers[i]);
    }
}

/// A run is the same whether its estimator comes by name or from a closure.
#[test]
fn a_closure_makes_the_estimators_of_a_run() {
    let data = images(6, 60, 10);
    let bits = |estimator: &str| {
        let plan = plans::plan(plans::sbn(Variables::Bits(4)), estimator, 10);
        losses_of(&plan, &data)
    };
    let closure = |make: fn(Variables) -> Box<dyn reparam::estimators::Estimator>| {
        let plan = plans::plan(plans::sbn(Variables::Bits(4)), "exact", 10);
        let run = plan.begin_with(Estimators::made_by(make), &data);
        let mut run = run.unwrap();
        (0..10).map(|_| run.step().loss).collect::<Vec<f64>>()
    };
    assert_eq!(bits("rloo:3"), closure(|_| Box::new(LeaveOneOut::new(3))));
    assert_eq!(bits("disarm"), closure(|_| Box::new(DisArm)));
    assert_ne!(bits("disarm"), bits("rloo:3"));
}

fn losses_of(plan: &Plan, data: &reparam::data::Digits) -> Vec<f64> {
    let mut run = plan.begin(data).unwrap();
    (0..10).map(|_| run.step().loss).collect()
}

/// The rate makes the score go up and down.
#[test]
fn the_parameters_that_were_best_are_kept() {
    let data = images(6, 60, 10);
    let mut plan = plans::plan(plans::vae(Variables::Bits(4)), "gumbel-softmax:1", 30);
    plan.training.learning_rate = Schedule::Fixed(1.0);
    let validation = Validation { every: 1, samples: 20, keep_best: true, patience: None };
    plan.training.validation = Some(validation);
    let mut run = plan.begin(&data).unwrap();
    let mut last = f64::NAN;
    while !run.is_finished() {
        last = run.step().validation.unwrap().scores.nll;
    }
    let (step, score) = run.best().unwrap();
    assert!(step < 30, "the last step must not be the best one for this test to mean anything");
    assert_eq!(Some(score), run.curve().iter().map(|&(_, score)| score).min_by(f64::total_cmp));
    let kept = run.evaluate(SplitKind::Validation, 20).scores.nll;
    assert!(kept == score && kept != last, "{kept} kept, the best was {score}, the last {last}");
}

#[test]
fn defaults_are_stable() {
    let plans = [Plan::vae(), Plan::sbn(), Plan::belief(), Plan::semi(), Plan::mlp()];
    let describe = |Plan { model, sampling, training }: Plan| {
        let Training { batch, steps, optimizer, learning_rate, .. } = training;
        let sampling = sampling.map_or("no estimator".to_owned(), |sampling| {
            format!(
                "{}, tau {}",
                sampling.estimator,
                sampling.tau.map_or("as named".to_owned(), |tau| tau.to_string())
            )
        });
        format!("{model:?}, {steps} steps of {batch}, {optimizer:?}, rate {learning_rate}, {sampling}")
    };
    assert_snapshot!(plans.map(describe).join("\n"), @"
    Vae { latents: Categories { count: 20, classes: 10 }, encoder: [512, 256], decoder: [256, 512] }, 18000 steps of 100, Adam { beta1: 0.6, beta2: 0.99 }, rate tail:0.002,0.00002,7200,18000, gumbel-softmax:1, tau tail:1,0.1,0,18000
    Prediction { layers: [Categories { count: 20, classes: 10 }, Categories { count: 20, classes: 10 }] }, 20000 steps of 100, Adam { beta1: 0.9, beta2: 0.99 }, rate tail:0.003,0.00003,8000,20000, gumbel-softmax:1, tau as named
    BeliefNet { layers: [200, 200], link: Nonlinear }, 20000 steps of 100, Adam { beta1: 0.9, beta2: 0.99 }, rate tail:0.001,0.00001,8000,20000, concrete:0.6666667:0.5:1, tau as named
    FewLabels(FewLabelsShape { latents: 10, hidden: [400], labels: OfEachClass(10), weight: 100.0, shift: 2, guidance: Some(Guidance { smoothness: 30.0, radius: 2.0, balance: 400.0 }) }), 4000 steps of 250, Adam { beta1: 0.9, beta2: 0.999 }, rate tail:0.002,0.00002,1600,4000, gumbel-softmax:1, tau tail:1,0.5,0,4000
    Classifier { hidden: [256, 128] }, 5000 steps of 100, Adam { beta1: 0.9, beta2: 0.999 }, rate tail:0.001,0.00001,2000,5000, no estimator
    ");
}

/// A checkpoint with such a setting made a run ask for 34 GB.
#[test]
fn a_validation_has_a_largest_number_of_samples() {
    let validation = Some(Validation { every: 1, samples: 1 << 32, keep_best: false, patience: None });
    let training = Training { validation, ..Training::default() };
    let line = training.check().unwrap_err().to_string();
    assert_eq!(line, "validation samples: expected at most 100000, found 4294967296");
}
