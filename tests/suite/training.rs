//! Do optimizers, schedules and the choice of the best parameters do what their settings say?

use insta::assert_snapshot;
use reparam::data::SplitKind;
use reparam::estimators::Kind;
use reparam::optim::{Adam, Optimizer, Sgd};
use reparam::train::{CellModel, CellRun, CellSettings, ModelKind, OptimizerKind, Settings, Trainer};
use reparam::{Gradients, Params, Schedule};

use crate::common::bars::images;

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

#[test]
fn optimizers_step_as_by_hand() {
    // Momentum 0.5: 1, then 0.5 + 3.
    near(stepped(&mut Sgd::new(0.1, 0.5), &[1.0, 3.0]), 2.0 - 0.1 - 0.35);
    // The decay is a part of the gradient: 1 + 0.2 * 2.
    near(stepped(&mut Sgd::new(0.1, 0.0).weight_decay(0.2), &[1.0]), 2.0 - 0.14);

    // The first step is as long as the rate whatever the decays; in the second they tell.
    let second = |beta1: f64, beta2: f64| {
        let mean = (beta1 * (1.0 - beta1) * 1.0 + (1.0 - beta1) * 3.0) / (1.0 - beta1 * beta1);
        let square = (beta2 * (1.0 - beta2) * 1.0 + (1.0 - beta2) * 9.0) / (1.0 - beta2 * beta2);
        0.1 * mean / square.sqrt()
    };
    near(stepped(&mut Adam::new(0.1), &[1.0, 3.0]), 2.0 - 0.1 - second(0.9, 0.999));
    near(stepped(&mut Adam::new(0.1).betas(0.5, 0.8), &[1.0, 3.0]), 2.0 - 0.1 - second(0.5, 0.8));
    // AdamW's decay is beside the gradient's step: 0.1 * 0.2 * 2.
    near(stepped(&mut Adam::new(0.1).weight_decay(0.2), &[1.0]), 2.0 - 0.1 - 0.04);
}

#[test]
fn settings_make_the_optimizer_that_they_name() {
    let of_kind = |optimizer| {
        let learning_rate = Schedule::Fixed(0.1);
        let defaults = Settings::defaults(ModelKind::Vae);
        Settings {
            optimizer,
            learning_rate,
            beta1: 0.5,
            beta2: 0.8,
            momentum: 0.5,
            weight_decay: 0.2,
            ..defaults
        }
    };
    let gradients = [1.0, 3.0];
    let stepped_by = |optimizer| stepped(of_kind(optimizer).optimizer().as_mut(), &gradients);
    let adam = || Adam::new(0.1).betas(0.5, 0.8);
    assert_eq!(stepped_by(OptimizerKind::Adam), stepped(&mut adam(), &gradients));
    assert_eq!(stepped_by(OptimizerKind::AdamW), stepped(&mut adam().weight_decay(0.2), &gradients));
    assert_eq!(
        stepped_by(OptimizerKind::Sgd),
        stepped(&mut Sgd::new(0.1, 0.5).weight_decay(0.2), &gradients)
    );
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
fn small() -> Settings {
    let defaults = Settings::defaults(ModelKind::Vae).with_steps(10);
    let (learning_rate, tau) = (Schedule::Fixed(0.1), Schedule::Fixed(1.0));
    Settings { hidden: vec![8], latents: 3, classes: 4, batch: 20, learning_rate, tau, ..defaults }
}

/// How many losses are the same before the first that differs.
fn alike(a: &[f64], b: &[f64]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The losses of ten steps.
fn losses(settings: Settings) -> Vec<f64> {
    let data = images(6, 60, 10);
    let mut trainer = Trainer::new(settings, &data).unwrap();
    (0..10).map(|_| trainer.step()).collect()
}

/// Schedules that begin to fall behind step 3, counted from 0: at once for what a step's loss depends on, a step later for what
/// its update does.
#[test]
fn a_setting_tells_from_its_step_on() {
    let falling = |start: f64| Schedule::Tail { start, end: start / 10.0, from: 3, to: 4 };
    let steps_alike = |settings| alike(&losses(small()), &losses(settings));
    assert_eq!(steps_alike(small()), 10);
    assert_eq!(steps_alike(Settings { tau: falling(1.0), ..small() }), 4);
    assert_eq!(steps_alike(Settings { straight_through_from: 3, ..small() }), 3);
    assert_eq!(steps_alike(Settings { learning_rate: falling(0.1), ..small() }), 5);
    let sgd = || Settings { optimizer: OptimizerKind::Sgd, momentum: 0.0, ..small() };
    assert_eq!(steps_alike(sgd()), 1);
    assert_eq!(alike(&losses(sgd()), &losses(Settings { clip_norm: 1e-3, ..sgd() })), 1);
}

fn cell(steps: u64) -> CellSettings {
    let latents = Kind { variables: 4, classes: None };
    CellSettings {
        model: CellModel::Vae { latents, encoder: vec![], decoder: vec![8] },
        estimator: "gumbel-softmax:1".to_owned(),
        samples: 1,
        tau: None,
        learning_rate: 1e-2,
        betas: (0.9, 0.99),
        batch: 20,
        steps,
        validate_every: 1000,
        seed: 5,
    }
}

#[test]
fn a_cells_rate_and_temperature_fall() {
    let data = images(6, 60, 10);
    let losses = |settings| {
        let mut run = CellRun::new(settings, &data).unwrap();
        (0..10).map(|_| run.step()).collect::<Vec<f64>>()
    };
    // From step 4 of 10 on, and of 1000 not within ten: the rate of step 5 is the first that differs.
    assert_eq!(alike(&losses(cell(10)), &losses(cell(1000))), 6);
    let annealed = CellSettings { tau: Some((1.0, 0.5)), ..cell(1000) };
    assert_eq!(alike(&losses(annealed), &losses(cell(1000))), 1);
}

/// With a rate at which the score goes up and down.
#[test]
fn the_parameters_that_were_best_are_kept() {
    let data = images(6, 60, 10);
    let settings = CellSettings { learning_rate: 1.0, validate_every: 1, ..cell(30) };
    let mut run = CellRun::new(settings, &data).unwrap();
    while !run.is_finished() {
        run.step();
    }
    let (step, score) = run.best().unwrap();
    assert!(step < 30, "the last step must not be the best one for this test to mean anything");
    assert_eq!(Some(score), run.curve().iter().map(|&(_, score)| score).min_by(f64::total_cmp));
    assert_ne!(run.evaluate(SplitKind::Validation, 20).mean, score);
    run.keep_best();
    assert_eq!(run.evaluate(SplitKind::Validation, 20).mean, score);
}

#[test]
fn defaults_are_stable() {
    let defaults = |&model: &ModelKind| {
        let Settings {
            hidden,
            latents,
            classes,
            batch,
            steps,
            optimizer,
            learning_rate,
            beta1,
            beta2,
            tau,
            ..
        } = Settings::defaults(model);
        format!(
            "{model} {hidden:?} {latents} x {classes}, {steps} steps of {batch}, {optimizer} {beta1} {beta2}, \
             rate {learning_rate}, tau {tau}"
        )
    };
    assert_snapshot!(ModelKind::ALL.iter().map(defaults).collect::<Vec<_>>().join("\n"), @"
    vae [512, 256] 20 x 10, 18000 steps of 100, adam 0.6 0.99, rate tail:0.002,0.00002,7200,18000, tau tail:1,0.1,0,18000
    sbn [] 20 x 10, 20000 steps of 100, adam 0.9 0.99, rate tail:0.003,0.00003,8000,20000, tau 1
    semi [400] 10 x 10, 4000 steps of 250, adam 0.9 0.999, rate tail:0.002,0.00002,1600,4000, tau tail:1,0.5,0,4000
    mlp [256, 128] 20 x 10, 5000 steps of 100, adam 0.9 0.999, rate tail:0.001,0.00001,2000,5000, tau tail:1,0.1,0,5000
    ");
}

/// The two training frames, given the same VAE, data, seed and schedules, take the same steps to the last bit.
#[test]
fn both_frames_train_the_same_vae_to_the_last_bit() {
    let data = images(6, 60, 10);
    let rate = Schedule::Tail { start: 0.1, end: 0.001, from: 12, to: 30 };
    let tau = Schedule::Tail { start: 1.0, end: 0.5, from: 0, to: 30 };
    let settings = Settings { learning_rate: rate, tau, steps: 30, seed: 5, validate_every: 0, ..small() };
    let cell = CellSettings {
        model: CellModel::Vae {
            latents: Kind { variables: settings.latents, classes: Some(settings.classes) },
            encoder: settings.hidden.clone(),
            decoder: settings.hidden.clone(),
        },
        tau: Some((1.0, 0.5)),
        learning_rate: 0.1,
        betas: (settings.beta1, settings.beta2),
        ..self::cell(30)
    };
    let (mut trainer, mut run) = (Trainer::new(settings, &data).unwrap(), CellRun::new(cell, &data).unwrap());
    for step in 0..30 {
        assert_eq!(trainer.step(), run.step(), "step {step}");
    }
}
