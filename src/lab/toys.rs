//! The toy problems of the papers.

use std::ops::RangeInclusive;

use super::problem::Problem;
use crate::estimators::Objective;
use crate::var::Var;
use crate::variables::Variables;

/// One bit b with the loss (b - t)^2. The nearer t is to 1/2, the smaller the gradient compared with the
/// noise.
///
/// # Source
/// Tucker et al. 2017, section 5.1 (t = 0.45); Grathwohl et al. 2018, section 4.1 (t = 0.499). Both start at
/// logit 0. Variances there are not typical: both states are equally likely, so the mean loss is the best
/// constant baseline. The lab measures at logit 1.
#[derive(Clone, Debug)]
pub struct Toy {
    t: f32,
    logits: [f32; 1],
}

impl Toy {
    /// Beyond this size of t, rounding the loss hides the effect of a bit.
    pub(super) const LARGEST_T: f32 = 1000.0;
    /// Beyond this size of the logit, the less likely bit is never drawn.
    pub(super) const LARGEST_LOGIT: f32 = 30.0;

    /// The toy at logit 0.
    ///
    /// # Panics
    /// If t is not from -1000 to 1000.
    #[track_caller]
    pub fn new(t: f32) -> Toy {
        Toy::at(t, 0.0)
    }

    /// The toy at another logit.
    ///
    /// # Panics
    /// If t is not from -1000 to 1000, or the logit is not finite.
    #[track_caller]
    pub fn at(t: f32, logit: f32) -> Toy {
        let most = Toy::LARGEST_T;
        assert!(t.abs() <= most, "Toy: t must be from -{most} to {most}, it is {t}; 0.45 is usual");
        assert!(logit.is_finite(), "Toy: the logit must be finite, it is {logit}; 0 is usual");
        Toy { t, logits: [logit] }
    }

    /// The target.
    pub fn t(&self) -> f32 {
        self.t
    }

    /// The least expected loss, which is the loss of the better bit.
    pub fn least_loss(&self) -> f64 {
        let t = f64::from(self.t);
        (t * t).min((1.0 - t).powi(2))
    }
}

impl Problem for Toy {
    fn name(&self) -> String {
        match self.logits[0] {
            0.0 => format!("toy:{}", self.t),
            logit => format!("toy:{}:{logit}", self.t),
        }
    }

    fn variables(&self) -> Variables {
        Variables::Bits(1)
    }

    fn logits(&self) -> &[f32] {
        &self.logits
    }

    fn loss<'t>(&self, z: Var<'t>) -> Var<'t> {
        (z - self.t).square().sum_axis(1)
    }
}

/// 128 bits, with the mean over them of |b - 0.45|^p as the loss.
///
/// # Source
/// Liu et al. 2023, section 6.1: p = 1.5, 2, 3; logits uniform on (-0.01, 0.01).
#[derive(Clone, Debug)]
pub struct Polynomial {
    power: f32,
    logits: Vec<f32>,
}

impl Polynomial {
    const BITS: usize = 128;
    const TARGET: f32 = 0.45;
    /// Beyond these powers, the terms of all bits are equal in f32, or all 0.
    pub(super) const POWERS: RangeInclusive<f32> = 0.01..=100.0;

    /// The problem with this power.
    ///
    /// # Panics
    /// If the power is not from 0.01 to 100.
    #[track_caller]
    pub fn new(power: f32) -> Polynomial {
        let powers = Polynomial::POWERS;
        assert!(
            powers.contains(&power),
            "Polynomial: the power must be from {} to {}, it is {power}; 2 is usual",
            powers.start(),
            powers.end()
        );
        // Evenly spaced, so that the problem is the same everywhere.
        let logit = |i| 0.02 * ((i as f32 + 0.5) / Self::BITS as f32 - 0.5);
        Polynomial { power, logits: (0..Self::BITS).map(logit).collect() }
    }

    fn term(&self, bit: f64) -> f64 {
        (bit - f64::from(Self::TARGET)).abs().powf(f64::from(self.power))
    }
}

impl Problem for Polynomial {
    fn name(&self) -> String {
        format!("polynomial:{}", self.power)
    }

    fn variables(&self) -> Variables {
        Variables::Bits(Self::BITS)
    }

    fn logits(&self) -> &[f32] {
        &self.logits
    }

    fn loss<'t>(&self, z: Var<'t>) -> Var<'t> {
        let distance = (z - Self::TARGET).abs();
        let power = match self.power {
            2.0 => distance.square(),
            3.0 => distance.square() * distance,
            // A relaxed sample may hit the target, where the logarithm has no slope.
            power => ((distance + 1e-12).ln() * power).exp(),
        };
        power.mean_axis(1)
    }

    /// The loss is a mean over bits, so there is no need to enumerate their joint states.
    fn exact_gradient(&self, objective: Objective) -> Result<Vec<f64>, String> {
        if objective != Objective::Expected {
            return Err("a bound of several samples of 128 bits has too many terms to enumerate".to_owned());
        }
        let slope = (self.term(1.0) - self.term(0.0)) / Self::BITS as f64;
        let of = |&logit: &f32| {
            let p = 1.0 / (1.0 + (-f64::from(logit)).exp());
            slope * p * (1.0 - p)
        };
        Ok(self.logits.iter().map(of).collect())
    }
}

/// One categorical variable of n classes, with the loss (z - c)' Q (z - c), Q_ij = e^(-2 |i - j|) and c_i = i
/// / n.
///
/// # Source
/// Q comes from the quadratic program of Paulus et al. 2021, section 5.1 (theirs has n = 3 and c = 1/3, which
/// makes classes 0 and 2 alike).
#[derive(Clone, Debug)]
pub struct Quadratic {
    classes: usize,
    logits: Vec<f32>,
    matrix: Vec<f32>,
    centre: Vec<f32>,
}

impl Quadratic {
    /// The largest number of classes. The matrix has a row and a column per class.
    pub const MOST_CLASSES: usize = 4096;

    /// The problem with this many classes. The logits fall from 0.5 in steps of 1 / `classes`.
    ///
    /// # Panics
    /// If there are fewer than 2 classes or more than [`MOST_CLASSES`](Self::MOST_CLASSES).
    #[track_caller]
    pub fn new(classes: usize) -> Quadratic {
        let most = Quadratic::MOST_CLASSES;
        assert!(
            (2..=most).contains(&classes),
            "Quadratic: expected 2 to {most} classes, found {classes}; 5 is usual"
        );
        let matrix =
            (0..classes * classes).map(|at| (-2.0 * (at / classes).abs_diff(at % classes) as f32).exp());
        let share = |i| i as f32 / classes as f32;
        Quadratic {
            classes,
            logits: (0..classes).map(|i| 0.5 - share(i)).collect(),
            matrix: matrix.collect(),
            centre: (0..classes).map(share).collect(),
        }
    }
}

impl Problem for Quadratic {
    fn name(&self) -> String {
        format!("quadratic:{}", self.classes)
    }

    fn variables(&self) -> Variables {
        Variables::Categories { count: 1, classes: self.classes }
    }

    fn logits(&self) -> &[f32] {
        &self.logits
    }

    fn loss<'t>(&self, z: Var<'t>) -> Var<'t> {
        let (tape, rows, n) = (z.tape(), z.shape().dims()[0], self.classes);
        let distance = z.reshape([rows, n]) - tape.input(&self.centre, [n]);
        (distance.matmul(tape.input(&self.matrix, [n, n])) * distance).sum_axis(1)
    }
}
