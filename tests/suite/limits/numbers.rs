//! Normal variables.

use super::{Expected, INF, Limits, MAX, POINTS, weighted};

pub(super) fn rows(limits: &mut Limits) {
    for log_std in [-INF, -MAX, -200.0, -1.0, 0.0, 44.0, 200.0, MAX, INF] {
        for mean in POINTS {
            divergence(limits, mean, log_std);
        }
        for mean in [-MAX, 0.0, 1.0] {
            sample(limits, mean, log_std);
        }
    }
}

/// (e^2s + m^2 - 1) / 2 - s; at s = inf the exponential outweighs s.
fn divergence(limits: &mut Limits, mean: f32, log_std: f32) {
    let (m, s) = (f64::from(mean), f64::from(log_std));
    let exponential = (2.0 * s).exp_m1();
    let kl = 0.5 * (exponential + m * m) - s.min(f64::MAX);
    let inputs = [(&[mean][..], &[1][..]), (&[log_std][..], &[1][..])];
    let expected = Expected { value: &[kl], gradients: &[&[m], &[exponential]] };
    limits.absolute = [1e-6, 0.0];
    limits.row("gaussian_kl_standard", &inputs, |_, x| x[0].gaussian_kl_standard(x[1]), &[1.0], expected);
    limits.absolute = [0.0; 2];
}

/// m + e^s eps
fn sample(limits: &mut Limits, mean: f32, log_std: f32) {
    let eps = 1.5f32;
    let (m, spread) = (f64::from(mean), weighted(f64::from(eps), f64::from(log_std).exp()));
    let inputs = [(&[mean][..], &[1][..]), (&[log_std][..], &[1][..])];
    let expected = Expected { value: &[m + spread], gradients: &[&[1.0], &[spread]] };
    limits.row(
        "gaussian_rsample",
        &inputs,
        |_, x| x[0].gaussian_rsample(x[1], &mut &[eps][..]),
        &[1.0],
        expected,
    );
}
