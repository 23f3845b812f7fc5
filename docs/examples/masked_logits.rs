//! Choices that exclude each other: `cargo run --release --example masked_logits`.
//!
//! Six workers take six jobs, one after another, drawn from their logits. A taken job is masked with -inf, so
//! its probability and its gradient are exactly 0, and nobody can take it twice. The logits learn the
//! cheapest assignment from the cost of drawn ones. We find the optimum by trying all 720 assignments, which
//! no learner sees.
//!
//! REINFORCE finds it. Straight-through does not. Its gradient sees the cost of a job to its own worker, but
//! not the loss of the worker who can no longer have it, because it cannot differentiate the mask. It ends at
//! the greedy cost.
//!
//! Source: R. Plackett, "The Analysis of Permutations", 1975, for drawing without replacement; I. Bello et
//! al., "Neural Combinatorial Optimization with Reinforcement Learning", 2016, for the use.

use reparam::estimators::{Estimate, Estimator, parse};
use reparam::optim::Adam;
use reparam::{Logits, Noise, Params, Tape, Var};

const JOBS: usize = 6;
const ROWS: usize = 32;

/// The price of each worker for each job.
const COSTS: [[f32; JOBS]; JOBS] = [
    [2.0, 1.0, 4.0, 6.0, 5.0, 7.0],
    [3.0, 1.0, 5.0, 2.0, 8.0, 6.0],
    [1.0, 2.0, 1.5, 7.0, 4.0, 5.0],
    [6.0, 3.0, 2.0, 5.0, 1.0, 3.0],
    [4.0, 6.0, 3.0, 1.0, 1.5, 8.0],
    [5.0, 4.0, 7.0, 3.0, 2.0, 9.0],
];

/// The cost of the jobs that the workers from `worker` on still have to take, per row.
fn assign<'t>(
    policy: Var<'t>,
    taken: Var<'t>,
    worker: usize,
    choices: &mut [Box<dyn Estimator>],
    noise: &mut Noise,
) -> Var<'t> {
    let tape = policy.tape();
    let Some((estimator, rest)) = choices.split_first_mut() else { return (taken * 0.0).sum_axis(1) };
    let is_taken: Vec<bool> = taken.value().iter().map(|&taken| taken > 0.0).collect();
    let logits = policy.slice(0, worker..worker + 1).broadcast_to([ROWS, JOBS]);
    let logits = logits.masked(&is_taken, f32::NEG_INFINITY);
    estimator.estimate(Logits::categories(logits.reshape([ROWS, 1, JOBS])), noise, |job, noise| {
        let job = job.reshape([ROWS, JOBS]);
        let cost = (job * tape.input(&COSTS[worker], [JOBS])).sum_axis(1);
        cost + assign(policy, taken + job, worker + 1, rest, noise)
    })
}

/// The mean cost of the drawn assignments, every `steps` / 10 updates.
fn learn(estimator: &str, steps: usize, learning_rate: f64) -> Vec<f32> {
    let mut choices: Vec<_> = (0..JOBS).map(|_| parse(estimator).unwrap()).collect();
    let (mut params, mut noise) = (Params::new(), Noise::seed(1));
    let policy = params.add("policy", [JOBS, JOBS], vec![0.0; JOBS * JOBS]);
    let (mut adam, mut tape, mut curve) = (Adam::new(learning_rate), Tape::new(), Vec::new());
    for step in 0..=steps {
        let nothing = tape.input(&[0.0; ROWS * JOBS], [ROWS, JOBS]);
        let cost = assign(params.on(&tape, policy), nothing, 0, &mut choices, &mut noise).mean();
        if step % (steps / 10) == 0 {
            curve.push(cost.item());
        }
        let gradients = cost.backward();
        tape.reset();
        adam.step(&mut params, &gradients);
    }
    curve
}

/// The least and the mean cost of all assignments of the jobs left to the workers from `worker` on, and their
/// number.
fn enumerate(worker: usize, left: &[usize]) -> (f32, f32, f32) {
    if left.is_empty() {
        return (0.0, 0.0, 1.0);
    }
    let (mut least, mut sum, mut count) = (f32::INFINITY, 0.0, 0.0);
    for &job in left {
        let rest: Vec<usize> = left.iter().copied().filter(|&other| other != job).collect();
        let (best, mean, number) = enumerate(worker + 1, &rest);
        least = least.min(COSTS[worker][job] + best);
        sum += number * (COSTS[worker][job] + mean);
        count += number;
    }
    (least, sum / count, count)
}

/// The cost if each worker in turn takes the cheapest remaining job.
fn greedy() -> f32 {
    let mut left = Vec::from_iter(0..JOBS);
    let cheapest = |costs: &[f32; JOBS]| {
        let position = (0..left.len()).min_by(|&a, &b| costs[left[a]].total_cmp(&costs[left[b]])).unwrap();
        costs[left.remove(position)]
    };
    COSTS.iter().map(cheapest).sum()
}

fn main() {
    let (least, mean, _) = enumerate(0, &Vec::from_iter(0..JOBS));
    println!("cost: {least} at least, {mean:.2} at random, {} by taking the cheapest job left", greedy());
    for estimator in ["moving-average", "st-gumbel-softmax:1"] {
        let curve = learn(estimator, 500, 0.05);
        println!("{estimator:<20}{}", curve.iter().map(|cost| format!("{cost:6.2}")).collect::<String>());
    }
}

#[test]
fn the_score_function_finds_the_optimum_and_straight_through_the_greedy_cost() {
    let (least, mean, count) = enumerate(0, &Vec::from_iter(0..JOBS));
    assert!(count == 720.0 && least < 0.7 * greedy() && greedy() < 0.8 * mean);
    let [first, .., last] = learn("moving-average", 500, 0.05)[..] else { unreachable!() };
    // 32 random assignments, each with a standard deviation of at most 6.
    assert!((first - mean).abs() < 4.0 * 6.0 / 32f32.sqrt(), "{first} at first, {mean} in the mean");
    assert!(last < least + 0.5, "{last}, {least} is best");
    let blind = *learn("st-gumbel-softmax:1", 500, 0.05).last().unwrap();
    assert!((blind - greedy()).abs() < 0.5, "{blind}, the greedy cost is {}", greedy());
}
