//! Checks the tape's gradient of a function against finite differences of its values.
//!
//! The function runs in f32, as it will in use. Three things make differences of f32 values sharp enough:
//!
//! - the output is projected on fixed pseudo-random weights and summed in f64, so that only the function
//!   itself rounds;
//! - the five-point central difference, (8 (L(h) - L(-h)) - (L(2h) - L(-2h))) / 12 h, is off by h^4 / 30
//!   times the fifth derivative, so h may be large, which keeps rounding, about 2^-24 L / h, small;
//! - the tape's side uses the points as they were rounded: sum of g_i (8 (x_i(h) - x_i(-h)) - ...) / 12 h.
//!
//! We try five steps h from 1/16 to 1/256 and take the one whose result agrees best with the result of the
//! next smaller step. The choice does not depend on the tape's answer.

use std::fmt;

use reparam_ops::noise::{Stream, mix};

use crate::shape::Shape;
use crate::tape::Tape;
use crate::var::Var;

/// The allowed error of a directional derivative, relative to the root of the sum of the squares of its
/// terms.
///
/// At h = 1/64 the five-point rule's own error is 2e-9 times the fifth derivative, and rounding contributes
/// about 4e-6 times the projected output, which [`ROUNDING`] covers. So for a function whose derivatives are
/// of one order of magnitude the error of a right rule is below 1e-4, and a rule that is 1 % wrong is off by
/// twenty times the tolerance.
pub const TOLERANCE: f64 = 5e-4;

/// The rounding that a value may contain, in units of 2^-24 of it. Divided by h, it is allowed in addition to
/// the tolerance.
pub const ROUNDING: f64 = 16.0;

/// The exponent of the largest step. Points lie up to 2^-3 times a direction's entries (at most 1) away.
const FIRST: i32 = 3;

/// Number of distances tried, each half of the one before. There is one step less.
const DISTANCES: usize = 6;

/// Joint random directions per check.
const DIRECTIONS: u64 = 6;

/// The most entries for which each coordinate is also checked as its own direction.
const COORDINATES: usize = 256;

/// A check that succeeded.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GradcheckReport {
    /// Directions along which the derivative was compared.
    pub directions: usize,
    /// The largest error, as a fraction of the allowed error. At most 1.
    pub worst: f64,
}

/// A check that failed.
#[derive(Clone, PartialEq, Debug)]
pub enum GradcheckError {
    /// The tape's derivative does not match the values.
    Mismatch {
        /// The input and the entry that was moved; `None` for a random direction in all inputs.
        coordinate: Option<(usize, usize)>,
        /// The derivative according to the tape.
        tape: f64,
        /// The derivative by finite differences.
        numeric: f64,
        /// The distance between the differences at two steps. If it is large, the function is not smooth
        /// here.
        spread: f64,
        /// The allowed error.
        allowed: f64,
    },
    /// The function gave NaN or +inf at the inputs or near them, or -inf at only some of these points.
    NotFinite {
        /// The entry of the output.
        element: usize,
        /// The number.
        value: f32,
    },
    /// The tape's derivative with respect to an entry is NaN or infinite.
    GradientNotFinite {
        /// The input.
        input: usize,
        /// Its entry.
        entry: usize,
        /// The derivative.
        gradient: f32,
    },
    /// There is nothing to compare. The text gives the reason.
    Nothing(&'static str),
}

use GradcheckError::Mismatch;

impl fmt::Display for GradcheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GradcheckError::Mismatch { coordinate, tape, numeric, spread, allowed } => {
                match coordinate {
                    Some((input, entry)) => write!(f, "along entry {entry} of input {input}")?,
                    None => write!(f, "along a random direction")?,
                }
                write!(
                    f,
                    " the tape's derivative is {tape:.6e} and the difference quotient {numeric:.6e}: apart by {:.2e}, \
                     allowed {allowed:.2e} (quotients at two steps differ by {spread:.2e})",
                    (tape - numeric).abs()
                )
            }
            GradcheckError::NotFinite { element, value } => {
                write!(f, "near the inputs the function gives {value} at element {element}")
            }
            GradcheckError::GradientNotFinite { input, entry, gradient } => {
                write!(
                    f,
                    "the tape's derivative with respect to entry {entry} of input {input} is {gradient}"
                )
            }
            GradcheckError::Nothing(reason) => write!(f, "nothing to check: {reason}"),
        }
    }
}

impl std::error::Error for GradcheckError {}

/// Compares the tape's gradient of `f` with finite differences of its values: along random directions in all
/// inputs at once, and along every entry if there are few.
///
/// `inputs` are numbers and shapes. `f` gets them as variables of a tape and must give the same result
/// whenever it gets the same numbers, so make its noise anew inside (`Noise::seed(1)`), or inject draws. It
/// must be smooth up to a distance of 1/8 of the inputs. Entries that are not finite stay as they are.
/// Entries of -inf are masks and must have gradient 0. Results of -inf do not enter the sum. The error may be
/// [`TOLERANCE`] times the size of the derivative's terms, plus [`ROUNDING`].
///
/// # Errors
/// The first direction in which they disagree, or a result or a gradient that is not finite. Also if there is
/// nothing to compare, because no input has a finite entry, or because the function returns no numbers or
/// only -inf.
///
/// # Panics
/// If the number of an input's entries does not match its shape, if `f` returns a value of another tape, or
/// if its shape is different near the inputs.
///
/// # Examples
/// ```
/// use reparam::gradcheck::gradcheck;
///
/// let report = gradcheck(&[(&[0.5, -1.0, 2.0], &[1, 3])], |_, x| x[0].softmax()).unwrap();
/// assert!(report.worst < 1.0);
/// // |x| is not smooth at 0.
/// assert!(gradcheck(&[(&[0.0], &[1])], |_, x| x[0].abs() + x[0].relu()).is_err());
/// ```
#[track_caller]
pub fn gradcheck(
    inputs: &[(&[f32], &[usize])],
    f: impl for<'t> Fn(&'t Tape, &[Var<'t>]) -> Var<'t>,
) -> Result<GradcheckReport, GradcheckError> {
    check_inputs(inputs)?;
    let mut check = Check { inputs, f, tape: Tape::new(), weights: Vec::new() };
    let center: Vec<Vec<f32>> = inputs.iter().map(|(data, _)| data.to_vec()).collect();
    let (gradients, size) = check.gradients(&center)?;
    check_gradients(&center, &gradients)?;

    let mut directions = 0;
    let mut worst = 0.0f64;
    for seed in 0..DIRECTIONS {
        let along = |input: usize, entry| random(seed * 1000 + input as u64, entry);
        worst = check.direction(&center, &gradients, size, None, &along)?.max(worst);
        directions += 1;
    }
    if center.iter().map(Vec::len).sum::<usize>() <= COORDINATES {
        for (input, data) in center.iter().enumerate() {
            for entry in (0..data.len()).filter(|&entry| data[entry].is_finite()) {
                let unit = |i, e| if (i, e) == (input, entry) { 1.0 } else { 0.0 };
                let coordinate = Some((input, entry));
                worst = check.direction(&center, &gradients, size, coordinate, &unit)?.max(worst);
                directions += 1;
            }
        }
    }
    match check.weights.iter().any(|&weight| weight != 0.0) {
        true => Ok(GradcheckReport { directions, worst }),
        false => Err(GradcheckError::Nothing("the function returns no numbers, or only -inf")),
    }
}

/// Checks that at least one entry is finite, so that it can be moved.
#[track_caller]
fn check_inputs(inputs: &[(&[f32], &[usize])]) -> Result<(), GradcheckError> {
    for (i, (data, shape)) in inputs.iter().enumerate() {
        let (shape, found) = (Shape::from(*shape), data.len());
        assert!(
            shape.len() == found,
            "gradcheck: {found} elements given for input {i} of shape {shape}, which has {}",
            shape.len()
        );
    }
    match inputs.iter().any(|(data, _)| data.iter().any(|x| x.is_finite())) {
        true => Ok(()),
        false => Err(GradcheckError::Nothing("no input has a finite entry")),
    }
}

/// Checks that every gradient is finite, and that masks have gradient 0.
fn check_gradients(center: &[Vec<f32>], gradients: &[Vec<f32>]) -> Result<(), GradcheckError> {
    for (input, (data, gradients)) in center.iter().zip(gradients).enumerate() {
        for (entry, (&x, &gradient)) in data.iter().zip(gradients).enumerate() {
            if !gradient.is_finite() {
                return Err(GradcheckError::GradientNotFinite { input, entry, gradient });
            }
            if x == f32::NEG_INFINITY && gradient != 0.0 {
                let (coordinate, tape) = (Some((input, entry)), f64::from(gradient));
                return Err(Mismatch { coordinate, tape, numeric: 0.0, spread: 0.0, allowed: 0.0 });
            }
        }
    }
    Ok(())
}

/// A fixed pseudo-random number of either sign, between 1/2 and 1 in size.
fn random(row: u64, entry: usize) -> f32 {
    let word = Stream::new(mix(row)).at(entry as u64).draw();
    let size = 0.5 + 0.5 * reparam_ops::draw::uniform(word << 1);
    if word >> 31 == 0 { size } else { -size }
}

struct Check<'a, F> {
    inputs: &'a [(&'a [f32], &'a [usize])],
    f: F,
    tape: Tape,
    /// The weight of each element of the output; 0 where that is -inf.
    weights: Vec<f32>,
}

impl<F: for<'t> Fn(&'t Tape, &[Var<'t>]) -> Var<'t>> Check<'_, F> {
    /// The tape's gradient of the projected output at `point` for every input, and the size of that output,
    /// which is the root of the sum of its terms' squares. Chooses the weights.
    #[track_caller]
    fn gradients(&mut self, point: &[Vec<f32>]) -> Result<(Vec<Vec<f32>>, f64), GradcheckError> {
        self.tape.reset();
        let variables = variables(&self.tape, self.inputs, point);
        let y = (self.f)(&self.tape, &variables);
        assert!(
            std::ptr::eq(y.tape(), &self.tape),
            "gradcheck: f must return a value of the tape that it is given"
        );
        let values = y.to_vec();
        let bad = |value: &f32| value.is_nan() || *value == f32::INFINITY;
        if let Some(element) = values.iter().position(bad) {
            return Err(GradcheckError::NotFinite { element, value: values[element] });
        }
        let weight = |(j, y): (usize, &f32)| if y.is_finite() { random(u64::MAX, j) } else { 0.0 };
        self.weights = values.iter().enumerate().map(weight).collect();
        let terms = values.iter().zip(&self.weights).filter(|(y, _)| y.is_finite());
        let size = terms.map(|(&y, &w)| (f64::from(y) * f64::from(w)).powi(2)).sum::<f64>().sqrt();

        let gradients = (y * self.tape.input(&self.weights, y.shape())).sum().gradients_if_any();
        let of = |x: &Var<'_>| gradients.of(*x).map_or_else(|| vec![0.0; x.shape().len()], <[f32]>::to_vec);
        Ok((variables.iter().map(of).collect(), size))
    }

    /// The projected output at `point`, summed in f64.
    #[track_caller]
    fn value(&mut self, point: &[Vec<f32>]) -> Result<f64, GradcheckError> {
        self.tape.reset();
        let y = (self.f)(&self.tape, &variables(&self.tape, self.inputs, point));
        let (len, found) = (self.weights.len(), y.shape().len());
        assert!(len == found, "gradcheck: f gives {len} numbers at the inputs and {found} near them");
        let mut total = 0.0;
        for (element, (&y, &weight)) in y.value().iter().zip(&self.weights).enumerate() {
            match (weight == 0.0, y) {
                (false, y) if y.is_finite() => total += f64::from(y) * f64::from(weight),
                (true, f32::NEG_INFINITY) => {}
                // It was -inf at the inputs, but not a mask.
                (true, y) if y.is_finite() => {
                    return Err(GradcheckError::NotFinite { element, value: f32::NEG_INFINITY });
                }
                _ => return Err(GradcheckError::NotFinite { element, value: y }),
            }
        }
        Ok(total)
    }

    /// Compares the derivatives along one direction, and returns the error as a fraction of the allowed
    /// error.
    #[track_caller]
    fn direction(
        &mut self,
        center: &[Vec<f32>],
        gradients: &[Vec<f32>],
        size: f64,
        coordinate: Option<(usize, usize)>,
        direction: &dyn Fn(usize, usize) -> f32,
    ) -> Result<f64, GradcheckError> {
        // Differences L(d) - L(-d), and the points' own differences, for the distances d = 2h, h, h/2, ...
        let mut outputs = [0.0; DISTANCES];
        let mut moves: Vec<Vec<f64>> = Vec::new();
        for (k, output) in outputs.iter_mut().enumerate() {
            let distance = (-(FIRST + k as i32) as f32).exp2();
            let (ahead, behind) = (moved(center, distance, direction), moved(center, -distance, direction));
            *output = self.value(&ahead)? - self.value(&behind)?;
            let pairs = ahead.iter().flatten().zip(behind.iter().flatten());
            moves
                .push(pairs.map(|(&a, &b)| if a == b { 0.0 } else { f64::from(a) - f64::from(b) }).collect());
        }
        let step = |k: usize| f64::from((-(FIRST + k as i32 + 1) as f32).exp2());
        let five_point = |k: usize, near: f64, far: f64| (8.0 * near - far) / (12.0 * step(k));
        let numeric = |k: usize| five_point(k, outputs[k + 1], outputs[k]);

        let spread = |k: usize| (numeric(k) - numeric(k + 1)).abs();
        let best = (0..DISTANCES - 2)
            .min_by(|&a, &b| spread(a).total_cmp(&spread(b)))
            .expect("there are several steps");

        let (mut tape, mut squares) = (0.0, 0.0);
        for (i, &g) in gradients.iter().flatten().enumerate() {
            let change = five_point(best, moves[best + 1][i], moves[best][i]);
            if change != 0.0 {
                let term = f64::from(g) * change;
                tape += term;
                squares += term * term;
            }
        }
        let rounding = ROUNDING * f64::from(f32::EPSILON / 2.0) * size / step(best);
        let allowed = TOLERANCE * f64::sqrt(squares) + rounding;
        let (numeric, spread) = (numeric(best), spread(best));
        let error = (tape - numeric).abs();
        // A derivative that is 0 on both sides needs no tolerance, and NaN is never within it.
        if error <= allowed {
            Ok(if allowed > 0.0 { error / allowed } else { 0.0 })
        } else {
            Err(Mismatch { coordinate, tape, numeric, spread, allowed })
        }
    }
}

fn variables<'t>(tape: &'t Tape, inputs: &[(&[f32], &[usize])], point: &[Vec<f32>]) -> Vec<Var<'t>> {
    inputs.iter().zip(point).map(|((_, shape), data)| tape.variable(data, Shape::from(*shape))).collect()
}

/// The point at `distance` along a direction. Entries that are not finite stay.
fn moved(center: &[Vec<f32>], distance: f32, direction: &dyn Fn(usize, usize) -> f32) -> Vec<Vec<f32>> {
    let move_entry = |input: usize, (entry, &x): (usize, &f32)| {
        if x.is_finite() { direction(input, entry).mul_add(distance, x) } else { x }
    };
    let move_input = |(input, data): (usize, &Vec<f32>)| {
        data.iter().enumerate().map(|entry| move_entry(input, entry)).collect()
    };
    center.iter().enumerate().map(move_input).collect()
}
