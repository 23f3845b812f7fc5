//! The mean of many estimates of a gradient, and its error from chance.

use reparam::estimators::{Estimate, parse};
use reparam::lab::Problem;
use reparam::{Noise, Tape};

/// Rows of estimates made together.
const ROWS: usize = 2000;

/// Moments of estimates of the gradient of one row's logits.
pub(super) struct Moments {
    pub(super) samples: usize,
    pub(super) mean: Vec<f64>,
    /// The covariance of one estimate, row after row.
    pub(super) covariance: Vec<f64>,
    pub(super) exact: Vec<f64>,
    /// The variance of one estimate, summed over the components, and its standard error.
    pub(super) variance: (f64, f64),
}

impl Moments {
    /// Takes at least `samples` estimates.
    pub(super) fn measure(problem: &dyn Problem, name: &str, samples: usize, seed: u64) -> Moments {
        let mut estimator = parse(name).expect("the name of an estimator");
        let exact = problem.exact_gradient(estimator.objective()).expect("few states");
        let variables = problem.variables();
        let (n, batches) = (exact.len(), samples.div_ceil(ROWS));
        let (mut noise, mut tape) = (Noise::seed(seed), Tape::new());
        let (mut sums, mut products) = (vec![0.0; n], vec![0.0; n * n]);
        let mut variances = Vec::with_capacity(batches);
        for _ in 0..batches {
            let (mut sum, mut product) = (vec![0.0; n], vec![0.0; n * n]);
            {
                let logits = tape.variable(&problem.logits().repeat(ROWS), [ROWS, n]);
                let loss = estimator.estimate(variables.logits(logits), &mut noise, |z, _| problem.loss(z));
                let gradients = loss.sum().backward();
                for estimate in gradients.of(logits).expect("a gradient").chunks_exact(n) {
                    // Differences from the exact gradient, so that nothing cancels.
                    let miss: Vec<f64> =
                        estimate.iter().zip(&exact).map(|(&g, e)| f64::from(g) - e).collect();
                    for (i, a) in miss.iter().enumerate() {
                        sum[i] += a;
                        miss.iter().enumerate().for_each(|(j, b)| product[i * n + j] += a * b);
                    }
                }
            }
            tape.reset();
            let rows = ROWS as f64;
            let of_batch = (0..n).map(|i| (product[i * n + i] - sum[i] * sum[i] / rows) / (rows - 1.0));
            variances.push(of_batch.sum::<f64>());
            sums.iter_mut().zip(&sum).for_each(|(total, part)| *total += part);
            products.iter_mut().zip(&product).for_each(|(total, part)| *total += part);
        }
        let samples = batches * ROWS;
        let count = samples as f64;
        let covariance = |at: usize| (products[at] - sums[at / n] * sums[at % n] / count) / (count - 1.0);
        let covariance: Vec<f64> = (0..n * n).map(covariance).collect();
        let variance = (0..n).map(|i| covariance[i * n + i]).sum();
        let (b, mean_of_batches) = (batches as f64, variances.iter().sum::<f64>() / batches as f64);
        let spread =
            variances.iter().map(|v| (v - mean_of_batches).powi(2)).sum::<f64>() / (b - 1.0).max(1.0);
        let mean = sums.iter().zip(&exact).map(|(sum, e)| e + sum / count).collect();
        Moments { samples, mean, covariance, exact, variance: (variance, (spread / b).sqrt()) }
    }

    /// The squared length of the mean's error, minus its expectation from chance alone, and its standard
    /// error.
    pub(super) fn squared_bias(&self) -> (f64, f64) {
        let (n, count) = (self.exact.len(), self.samples as f64);
        let miss: Vec<f64> = self.mean.iter().zip(&self.exact).map(|(mean, exact)| mean - exact).collect();
        let square = miss.iter().map(|m| m * m).sum::<f64>() - self.variance.0 / count;
        let entry = |at: usize| self.covariance[at] / count;
        let along: f64 = (0..n * n).map(|at| miss[at / n] * entry(at) * miss[at % n]).sum();
        let chance: f64 = (0..n * n).map(|at| entry(at) * entry(at)).sum();
        (square, (4.0 * along + 2.0 * chance).sqrt())
    }
}

/// The mean of some numbers and its standard error.
pub(super) fn mean_and_error(numbers: &[f64]) -> (f64, f64) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}
