//! The change of an input to which a classifier is most sensitive.

use reparam_ops::draw;

use crate::noise::Noise;
use crate::tape::Tape;
use crate::var::Var;

/// Length of the random step after which the divergence's gradient is taken.
const PROBE: f32 = 1.0;

/// Moves inputs `x` `[rows, numbers]` to x + r, where each r has length `radius` and approximately maximizes
/// KL(q(y | x) || q(y | x + r)). `classify` gives the logits of q. The direction of r is the divergence's
/// gradient at a random small step, one iteration of the power method. No gradient flows through r. Takes one
/// draw per number.
///
/// # Source
/// T. Miyato, S. Maeda, M. Koyama, S. Ishii, "Virtual Adversarial Training: A Regularization Method for
/// Supervised and Semi-Supervised Learning", 2018, algorithm 1.
#[track_caller]
pub(super) fn adversary<'t>(
    x: Var<'t>,
    classify: impl for<'a> Fn(Var<'a>) -> Var<'a>,
    radius: f32,
    noise: &mut Noise,
) -> Var<'t> {
    let numbers = x.shape().classes();
    let mut step: Vec<f32> = noise.draws(x.shape().len()).map(draw::normal).collect();
    scale_rows(&mut step, numbers, PROBE);
    let tape = Tape::new();
    let probe = tape.variable(&step, x.shape());
    let still = tape.input(&x.value(), x.shape());
    let held = classify(still).stop_gradient();
    let divergence = held.categorical_kl(classify(still + probe)).sum();
    step.copy_from_slice(divergence.backward().of(probe).expect("the divergence depends on the step"));
    scale_rows(&mut step, numbers, radius);
    x + x.tape().input(&step, x.shape())
}

/// Scales every row to this length. A row of zeros stays.
fn scale_rows(rows: &mut [f32], width: usize, length: f32) {
    for row in rows.chunks_exact_mut(width) {
        // The largest entry is scaled to 1 first, because the square of a small gradient would be 0.
        let largest = row.iter().fold(f32::MIN_POSITIVE, |largest, entry| largest.max(entry.abs()));
        row.iter_mut().for_each(|entry| *entry /= largest);
        let norm = row.iter().map(|&entry| f64::from(entry).powi(2)).sum::<f64>().sqrt().max(1.0) as f32;
        row.iter_mut().for_each(|entry| *entry *= length / norm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes with logits 0 and a.x. Near any x the divergence grows with (a.r)^2, so r points along a
    /// or against it.
    #[test]
    fn it_points_where_the_divergence_grows_and_has_the_length() {
        let slope = [0.3f32, -0.4, 1.2];
        let weight: Vec<f32> = slope.iter().flat_map(|&a| [0.0, a]).collect();
        let x = [0.1, 0.7, -0.2, 1.0, 0.0, 1.0];
        let tape = Tape::new();
        let at = adversary(
            tape.input(&x, [2, 3]),
            |x| x.matmul(x.tape().input(&weight, [3, 2])),
            2.0,
            &mut Noise::seed(4),
        );
        let norm = slope.iter().map(|a| a * a).sum::<f32>().sqrt();
        for (at, x) in at.value().chunks_exact(3).zip(x.chunks_exact(3)) {
            let along: f32 = at.iter().zip(x).zip(slope).map(|((at, x), a)| (at - x) * a / norm).sum();
            let square: f32 = at.iter().zip(x).map(|(at, x)| (at - x).powi(2)).sum();
            assert!((along.abs() - 2.0).abs() < 1e-5 && (square - 4.0).abs() < 1e-5, "{at:?} from {x:?}");
        }
    }

    #[test]
    fn a_small_gradient_gives_a_direction_and_none_gives_none() {
        let mut rows = [3e-30, -4e-30, 0.0, 0.0];
        scale_rows(&mut rows, 2, 5.0);
        assert!(
            (rows[0] - 3.0).abs() < 1e-5 && (rows[1] + 4.0).abs() < 1e-5 && rows[2..] == [0.0, 0.0],
            "{rows:?}"
        );
    }
}
