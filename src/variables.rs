//! Discrete variables: bits or categories, and their logits on a tape.

use std::fmt;
use std::str::FromStr;

use crate::distributions::{Bernoulli, OneHot};
use crate::noise::Noise;
use crate::shape::Shape;
use crate::var::softmax::no_class;
use crate::var::{Temperature, Var};

/// The discrete variables of a row: how many there are, and whether they are bits or categories.
///
/// Written and read as text: `200` is two hundred bits, `20x10` twenty categorical variables of ten classes.
///
/// ```
/// use reparam::Variables;
///
/// let variables: Variables = "20x10".parse().unwrap();
/// assert_eq!(variables, Variables::Categories { count: 20, classes: 10 });
/// assert_eq!((variables.elements(), Variables::Bits(3).states()), (200, Some(8)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variables {
    /// This many bits, each a number 0 or 1.
    Bits(usize),
    /// Categorical variables, each a one-hot vector.
    Categories {
        /// Variables in a row.
        count: usize,
        /// Classes of each.
        classes: usize,
    },
}

impl Variables {
    /// The number of variables in a row.
    pub fn count(self) -> usize {
        match self {
            Variables::Bits(count) | Variables::Categories { count, .. } => count,
        }
    }

    /// The number of values that each variable may take: 2 for bits.
    pub fn values(self) -> usize {
        match self {
            Variables::Bits(_) => 2,
            Variables::Categories { classes, .. } => classes,
        }
    }

    /// The length of a row of samples or logits.
    ///
    /// # Panics
    /// If the length does not fit a `usize`.
    #[track_caller]
    pub fn elements(self) -> usize {
        match self {
            Variables::Bits(count) => count,
            Variables::Categories { count, classes } => Shape::from([count, classes]).len(),
        }
    }

    /// The number of states of a row; `None` if it does not fit 64 bits.
    pub fn states(self) -> Option<u64> {
        (self.values() as u64).checked_pow(u32::try_from(self.count()).ok()?)
    }

    /// The shape of `rows` rows: `[rows, count]` for bits, `[rows, count, classes]` for categories.
    pub fn shape(self, rows: usize) -> Shape {
        match self {
            Variables::Bits(count) => Shape::from([rows, count]),
            Variables::Categories { count, classes } => Shape::from([rows, count, classes]),
        }
    }

    /// Writes state number `state` into a row of [`elements`](Self::elements) numbers: the value of variable
    /// `v` is digit `v` of the number, written in base [`values`](Self::values).
    ///
    /// # Panics
    /// If the row has another length, or there is no such state.
    #[track_caller]
    pub fn write_state(self, mut state: usize, row: &mut [f32]) {
        let (elements, found) = (self.elements(), row.len());
        assert!(
            found == elements,
            "Variables::write_state: {self} are {elements} numbers, the row has {found}"
        );
        assert!(
            self.states().is_none_or(|states| (state as u64) < states),
            "Variables::write_state: state {state} of {self}, which have {}; they count from 0",
            self.states().unwrap_or(u64::MAX)
        );
        row.fill(0.0);
        for variable in 0..self.count() {
            let digit = state % self.values();
            state /= self.values();
            match self {
                Variables::Bits(_) => row[variable] = digit as f32,
                Variables::Categories { classes, .. } => row[variable * classes + digit] = 1.0,
            }
        }
    }

    /// These variables with logits in whole rows `[rows, elements]`, for example from a layer.
    ///
    /// # Panics
    /// If the logits are not whole rows.
    #[track_caller]
    pub fn logits(self, logits: Var<'_>) -> Logits<'_> {
        let (len, elements) = (logits.shape().len(), self.elements());
        assert!(
            elements > 0 && len.is_multiple_of(elements),
            "{self} have {elements} logits per row; {} do not make whole rows",
            logits.shape()
        );
        Logits { variables: self, var: logits.reshape(self.shape(len / elements)) }
    }
}

impl fmt::Display for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Variables::Bits(count) => write!(f, "{count} bit(s)"),
            Variables::Categories { count, classes } => {
                write!(f, "{count} categorical variable(s) of {classes} classes")
            }
        }
    }
}

impl FromStr for Variables {
    type Err = String;

    fn from_str(text: &str) -> Result<Variables, String> {
        let number = |text: &str| text.parse::<usize>().ok().filter(|&number| number > 0);
        let variables = match text.split_once('x') {
            None => number(text).map(Variables::Bits),
            Some((count, classes)) => number(count)
                .zip(number(classes))
                .map(|(count, classes)| Variables::Categories { count, classes }),
        };
        variables
            .ok_or_else(|| format!("expected BITS or VARIABLESxCLASSES, like 200 or 20x10, found `{text}`"))
    }
}

impl Variables {
    /// The text that [`FromStr`] reads.
    pub fn code(self) -> String {
        match self {
            Variables::Bits(count) => count.to_string(),
            Variables::Categories { count, classes } => format!("{count}x{classes}"),
        }
    }
}

/// Rows of independent discrete variables on a tape, given by their logits.
///
/// ```
/// use reparam::{Logits, Noise, Tape};
///
/// let tape = Tape::new();
/// let bits = Logits::bits(tape.variable(&[0.0, 3.0], [1, 2]));
/// let z = bits.sample(&mut Noise::seed(1));
/// assert_eq!(bits.log_prob(z).shape().dims(), [1]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Logits<'t> {
    variables: Variables,
    var: Var<'t>,
}

impl<'t> Logits<'t> {
    /// Bits with logits `[rows, bits]`: each is 1 with probability sigmoid(logit).
    ///
    /// # Panics
    /// If the logits have another number of axes, or a row has none.
    #[track_caller]
    pub fn bits(logits: Var<'t>) -> Logits<'t> {
        let shape = logits.shape();
        match shape.dims() {
            &[_, count] if count > 0 => Logits { variables: Variables::Bits(count), var: logits },
            _ => panic!("the logits of bits must be [rows, bits], they are {shape}"),
        }
    }

    /// One-hot vectors with logits `[rows, variables, classes]`: each is class k with probability
    /// softmax(logits)_k.
    ///
    /// # Panics
    /// If the logits have another number of axes, or a row has none.
    #[track_caller]
    pub fn categories(logits: Var<'t>) -> Logits<'t> {
        let shape = logits.shape();
        match shape.dims() {
            &[_, count, classes] if count * classes > 0 => {
                Logits { variables: Variables::Categories { count, classes }, var: logits }
            }
            _ => panic!("the logits of categories must be [rows, variables, classes], they are {shape}"),
        }
    }

    /// Checks that every row leaves at least one class of each variable unmasked.
    ///
    /// # Errors
    /// A sentence that names the first row that is fully masked.
    pub(crate) fn check(self) -> Result<(), String> {
        match self.variables {
            Variables::Bits(_) => Ok(()),
            Variables::Categories { .. } => self.var.check_rows().map_err(no_class),
        }
    }

    /// The variables of a row.
    pub fn variables(self) -> Variables {
        self.variables
    }

    /// The logits themselves, `[rows, bits]` or `[rows, variables, classes]`.
    pub fn var(self) -> Var<'t> {
        self.var
    }

    /// The number of rows.
    #[track_caller]
    pub fn rows(self) -> usize {
        self.var.shape().dims()[0]
    }

    /// The same variables with other logits, in whole rows.
    ///
    /// # Panics
    /// If they are not whole rows.
    #[track_caller]
    pub fn with(self, logits: Var<'t>) -> Logits<'t> {
        if logits.shape() == self.var.shape() {
            return Logits { var: logits, ..self };
        }
        self.variables.logits(logits)
    }

    /// The same variables with all logits 0: every value has the same probability.
    #[track_caller]
    pub fn uniform(self) -> Logits<'t> {
        Logits { var: self.var.tape().input_with(self.var.shape(), |logits| logits.fill(0.0)), ..self }
    }

    /// An exact sample, of the logits' shape, without a gradient.
    #[track_caller]
    pub fn sample(self, noise: &mut Noise) -> Var<'t> {
        match self.variables {
            Variables::Bits(_) => Bernoulli { logits: self.var }.sample(noise),
            Variables::Categories { .. } => OneHot { logits: self.var }.sample(noise),
        }
    }

    /// The most probable value of each variable, of the logits' shape, without a gradient.
    #[track_caller]
    pub fn mode(self) -> Var<'t> {
        match self.variables {
            Variables::Bits(_) => Bernoulli { logits: self.var }.mode(),
            Variables::Categories { .. } => OneHot { logits: self.var }.mode(),
        }
    }

    /// The probability of each bit or class, of the logits' shape.
    #[track_caller]
    pub fn probs(self) -> Var<'t> {
        match self.variables {
            Variables::Bits(_) => Bernoulli { logits: self.var }.probs(),
            Variables::Categories { .. } => OneHot { logits: self.var }.probs(),
        }
    }

    /// A relaxed sample: [`binary_concrete`](Var::binary_concrete) of bits,
    /// [`gumbel_softmax`](Var::gumbel_softmax) of categories.
    #[track_caller]
    pub fn relaxed(self, tau: impl Into<Temperature<'t>>, noise: &mut Noise) -> Var<'t> {
        match self.variables {
            Variables::Bits(_) => self.var.binary_concrete(tau, noise),
            Variables::Categories { .. } => self.var.gumbel_softmax(tau, noise),
        }
    }

    /// An exact sample with the relaxed sample's gradient: [`st_binary_concrete`](Var::st_binary_concrete) of
    /// bits, [`st_gumbel_softmax`](Var::st_gumbel_softmax) of categories.
    #[track_caller]
    pub fn straight_through(self, tau: impl Into<Temperature<'t>>, noise: &mut Noise) -> Var<'t> {
        match self.variables {
            Variables::Bits(_) => self.var.st_binary_concrete(tau, noise),
            Variables::Categories { .. } => self.var.st_gumbel_softmax(tau, noise),
        }
    }

    /// The log-probability of each variable's value in `z`, in nats: `[rows, variables]`.
    #[track_caller]
    pub fn log_prob_of_each(self, z: Var<'t>) -> Var<'t> {
        match self.variables {
            Variables::Bits(_) => Bernoulli { logits: self.var }.log_prob(z),
            Variables::Categories { .. } => OneHot { logits: self.var }.log_prob(z),
        }
    }

    /// The log-probability of `z` per row, in nats: `[rows]`.
    #[track_caller]
    pub fn log_prob(self, z: Var<'t>) -> Var<'t> {
        self.log_prob_of_each(z).sum_axis(1)
    }

    /// KL(self || other) per row, in nats: `[rows]`.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn kl(self, other: Logits<'t>) -> Var<'t> {
        match self.variables {
            Variables::Bits(_) => Bernoulli { logits: self.var }.kl(Bernoulli { logits: other.var }),
            Variables::Categories { .. } => OneHot { logits: self.var }.kl(OneHot { logits: other.var }),
        }
        .sum_axis(1)
    }

    /// KL(self || uniform) per row, in nats: `[rows]`.
    #[track_caller]
    pub fn kl_uniform(self) -> Var<'t> {
        match self.variables {
            Variables::Bits(_) => Bernoulli { logits: self.var }.kl_uniform(),
            Variables::Categories { .. } => OneHot { logits: self.var }.kl_uniform(),
        }
        .sum_axis(1)
    }

    /// The logits of the same variables as categories: a bit becomes two classes, the first of which means 1.
    #[track_caller]
    pub fn as_categories(self) -> Var<'t> {
        match self.variables {
            Variables::Bits(count) => {
                let shape = [self.rows(), count, 1];
                let zeros = self.var.tape().input_with(shape, |zeros| zeros.fill(0.0));
                Var::concat(&[self.var.reshape(shape), zeros], 2)
            }
            Variables::Categories { .. } => self.var,
        }
    }

    /// Converts values of [`as_categories`](Self::as_categories) to the form of these variables.
    #[track_caller]
    pub fn from_categories(self, z: Var<'t>) -> Var<'t> {
        match self.variables {
            Variables::Bits(_) => z.slice(2, 0..1).reshape(self.var.shape()),
            Variables::Categories { .. } => z,
        }
    }
}
