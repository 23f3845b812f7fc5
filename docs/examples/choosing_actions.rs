//! Choosing actions, by trial or by a model: `cargo run --release --example choosing_actions`.
//!
//! A bandit with ten arms, and a maze of 5 x 5 cells. There are two ways to learn which action to draw.
//! REINFORCE (the score function) sees only the cost of the drawn action. Straight-through Gumbel-Softmax
//! asks a differentiable model for the cost of the other actions. In the bandit that model is learned
//! together with the policy, in the maze it is the transition matrix. The loss of an action is the cost of
//! everything after it, so its score is weighted by the cost to go.
//!
//! Source: R. Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement
//! Learning", 1992; E. Jang, S. Gu, B. Poole, ICLR 2017; W. Kool, H. van Hoof, M. Welling 2019 for the
//! leave-one-out baseline.

use reparam::estimators::{Estimate, Estimator, parse};
use reparam::optim::Adam;
use reparam::{Logits, Noise, Params, Tape, Var};

/// Each arm's probability to pay 1.
const PAYS: [f32; 10] = [0.3, 0.5, 0.2, 0.6, 0.4, 0.8, 0.1, 0.5, 0.7, 0.3];
const PULLS: usize = 16;

/// The expected pay of the policy, every `steps` / 10 updates.
fn bandit(estimator: &str, learning_rate: f64, steps: usize) -> Vec<f32> {
    let (mut estimator, mut noise) = (parse(estimator).unwrap(), Noise::seed(1));
    let mut params = Params::new();
    let policy = params.add("policy", [1, 1, 10], vec![0.0; 10]);
    let model = params.add("model", [10], vec![0.5; 10]);
    let (mut adam, mut tape, mut curve) = (Adam::new(learning_rate), Tape::new(), Vec::new());
    for step in 0..=steps {
        let logits = params.on(&tape, policy);
        if step % (steps / 10) == 0 {
            curve.push((logits.softmax() * tape.input(&PAYS, [10])).sum().item());
        }
        let arms = Logits::categories(logits.broadcast_to([PULLS, 1, 10]));
        let loss = estimator.estimate(arms, &mut noise, |arm, noise| {
            let arm = arm.reshape([PULLS, 10]);
            let chance = (arm.stop_gradient() * tape.input(&PAYS, [10])).sum_axis(1);
            let paid = (chance / (1.0 - chance)).ln().bernoulli(noise);
            let believed = (arm * params.on(&tape, model).stop_gradient()).sum_axis(1);
            // The loss is 1 - the pay. It carries two gradients. `fit` trains the model, which sees only hard
            // arms. `believed` is the model's estimate of the pay, through which a straight-through arm
            // passes its gradient to the policy. An arm of the score function has no gradient: its policy
            // learns from the loss itself.
            let fit = ((arm.stop_gradient() * params.on(&tape, model)).sum_axis(1) - paid).square();
            (-paid).with_gradient_of(fit - believed)
        });
        let gradients = loss.mean().backward();
        tape.reset();
        adam.step(&mut params, &gradients);
    }
    curve
}

const MAZE: [&[u8; 5]; 5] = [b"S....", b".###.", b"...#.", b"##.#.", b"....G"];
const CELLS: usize = 25;
const GOAL: usize = 24;
const SHORTEST: f32 = 8.0;
const HORIZON: usize = 24;
const WALKS: usize = 32;

/// The next cell after each cell and action (up, down, left, right): `[cells x actions, cells]`. The goal is
/// never left.
fn transitions(tape: &Tape) -> Var<'_> {
    tape.input_with([CELLS * 4, CELLS], |matrix| {
        matrix.fill(0.0);
        for (i, row) in matrix.chunks_exact_mut(CELLS).enumerate() {
            let (y, x) = (i / 20, i / 4 % 5);
            let (to_y, to_x) =
                [(y.wrapping_sub(1), x), (y + 1, x), (y, x.wrapping_sub(1)), (y, x + 1)][i % 4];
            let free = MAZE.get(to_y).and_then(|line| line.get(to_x)).is_some_and(|&cell| cell != b'#');
            row[if free && i / 4 != GOAL { to_y * 5 + to_x } else { i / 4 }] = 1.0;
        }
    })
}

/// The steps that each walk takes from `cell` to the goal, `[walks]`, at most the horizon, with one estimator
/// per action.
fn walk<'t>(
    policy: Var<'t>,
    matrix: Var<'t>,
    cell: Var<'t>,
    actions: &mut [Box<dyn Estimator>],
    noise: &mut Noise,
) -> Var<'t> {
    let underway = 1.0 - cell.slice(1, GOAL..CELLS).sum_axis(1);
    let Some((estimator, rest)) = actions.split_first_mut() else { return underway * 0.0 };
    let actions = Logits::categories(cell.matmul(policy).reshape([WALKS, 1, 4]));
    let to_go = estimator.estimate(actions, noise, |action, noise| {
        let pair = cell.reshape([WALKS, CELLS, 1]) * action;
        walk(policy, matrix, pair.reshape([WALKS, CELLS * 4]).matmul(matrix), rest, noise)
    });
    underway + to_go
}

/// The expected steps, exactly: the policy moves the probability of each cell.
fn expected_steps(policy: Var<'_>) -> f32 {
    let (tape, matrix) = (policy.tape(), transitions(policy.tape()));
    let mut mass = tape.input_with([1, CELLS], |mass| (0..CELLS).for_each(|i| mass[i] = f32::from(i == 0)));
    let mut steps = 0.0;
    for _ in 0..HORIZON {
        steps += 1.0 - mass.to_vec()[GOAL];
        mass = (mass.reshape([CELLS, 1]) * policy.softmax()).reshape([1, CELLS * 4]).matmul(matrix);
    }
    steps
}

fn maze(estimator: &str, learning_rate: f64, steps: usize) -> Vec<f32> {
    let mut actions: Vec<_> = (0..HORIZON).map(|_| parse(estimator).unwrap()).collect();
    let (mut params, mut noise) = (Params::new(), Noise::seed(1));
    let policy = params.add("policy", [CELLS, 4], vec![0.0; CELLS * 4]);
    let (mut adam, mut tape, mut curve) = (Adam::new(learning_rate), Tape::new(), Vec::new());
    for step in 0..=steps {
        let (logits, matrix) = (params.on(&tape, policy), transitions(&tape));
        if step % (steps / 10) == 0 {
            curve.push(expected_steps(logits));
        }
        let start = tape.input_with([WALKS, CELLS], |cells| {
            (0..cells.len()).for_each(|i| cells[i] = f32::from(i % CELLS == 0))
        });
        let gradients = walk(logits, matrix, start, &mut actions, &mut noise).mean().backward();
        tape.reset();
        adam.step(&mut params, &gradients);
    }
    curve
}

fn show(name: &str, curve: &[f32]) {
    println!("  {name:<20}{}", curve.iter().map(|value| format!("{value:6.2}")).collect::<String>());
}

fn main() {
    println!(
        "bandit: expected pay every 30 updates of {PULLS} pulls (rloo:4: of four times as many); the best arm pays 0.8"
    );
    for name in ["moving-average", "rloo:4", "st-gumbel-softmax:1"] {
        show(name, &bandit(name, 0.05, 300));
    }
    println!("maze: expected steps every 60 updates of {WALKS} walks; the shortest way takes {SHORTEST}");
    for name in ["moving-average", "st-gumbel-softmax:1"] {
        show(name, &maze(name, 0.05, 600));
    }
}

#[test]
fn every_way_finds_the_best_arm() {
    for name in ["moving-average", "rloo:4", "st-gumbel-softmax:1"] {
        let curve = bandit(name, 0.05, 300);
        assert!(
            (curve[0] - 0.44).abs() < 1e-3 && curve[10] > 0.77,
            "{name}: expected pay {curve:?}; 0.8 is best"
        );
    }
}

#[test]
fn both_ways_find_the_way_out() {
    for name in ["moving-average", "st-gumbel-softmax:1"] {
        let curve = maze(name, 0.05, 600);
        assert!(
            curve[0] > 20.0 && curve[10] < 1.05 * SHORTEST,
            "{name}: expected steps {curve:?}; {SHORTEST} is best"
        );
    }
}
