//! A tape as text: one line per node, or a table with memory, values and gradients.

use std::fmt;

use crate::gradients::Gradients;
use crate::numbers::Numbers;
use crate::tape::{NodeView, Tape};
use crate::var::Var;

/// One line per node: position, op, inputs, shape, bytes of its own value, and the rule with what it saves. A
/// `*` marks nodes that gradients flow into.
///
/// ```
/// use reparam::{Noise, Tape};
///
/// let tape = Tape::new();
/// let logits = tape.variable(&[0.0; 20], [2, 10]);
/// logits.gumbel_softmax(0.5, &mut Noise::seed(1)).sum();
/// assert_eq!(
///     tape.to_string(),
///     "%0* variable [2, 10] 80 B\n\
///      %1* gumbel_softmax(%0) [2, 10] 80 B  GumbelSoftmax { classes: 10, tau: 0.5 }\n\
///      %2* sum(%1) [] 4 B  Sum\n"
/// );
/// ```
impl fmt::Display for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut outcome = Ok(());
        self.for_each(|node| {
            if outcome.is_ok() {
                outcome = writeln!(f, "{node}");
            }
        });
        outcome
    }
}

impl fmt::Display for NodeView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} B", self.call(), self.shape, self.own_bytes())?;
        match self.rule {
            Some(rule) => write!(f, "  {rule:?}"),
            None => Ok(()),
        }
    }
}

impl NodeView<'_> {
    /// Position, op, name and inputs: `%4* linear(%1, %2, %3)`.
    pub(crate) fn call(&self) -> String {
        let mut call = format!("%{}{} {}", self.index, if self.tracked { "*" } else { "" }, self.op);
        if let Some(name) = self.name {
            call += &format!(" {name}");
        }
        if !self.inputs.is_empty() {
            let inputs: Vec<String> = self.inputs.iter().map(|input| format!("%{input}")).collect();
            call += &format!("({})", inputs.join(", "));
        }
        call
    }

    /// Bytes of the node's own value: none for views and for parameters, whose buffer is elsewhere.
    pub(crate) fn own_bytes(&self) -> usize {
        if self.owned { 4 * self.shape.len() } else { 0 }
    }

    /// Bytes that its rule saves beyond the values on the tape.
    pub(crate) fn saved_bytes(&self) -> usize {
        self.rule.map_or(0, |rule| rule.saved_bytes() + size_of_val(self.kept))
    }

    /// Its value, in a form to print.
    pub(crate) fn numbers(&self) -> Numbers<'_> {
        Numbers { values: self.value, classes: self.shape.classes(), are_indices: self.is_indices }
    }

    /// A gradient with respect to it, in a form to print.
    pub(crate) fn gradient_numbers<'a>(&self, gradient: &'a [f32]) -> Numbers<'a> {
        Numbers { values: gradient, classes: self.shape.classes(), are_indices: false }
    }
}

impl Tape {
    /// The tape as a table, one line per node: shape, bytes of its value, bytes that its rule saves, bytes of
    /// its gradient, the value and, if `gradients` are given, the gradient, to three digits. The last line
    /// has the total of the bytes. Small values are written in full; large ones as mean, least and largest
    /// entry.
    ///
    /// # Panics
    /// If the gradients belong to another tape.
    ///
    /// # Examples
    /// ```
    /// use reparam::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable(&[1.0, 2.0, 3.0], [3]);
    /// let gradients = (x * x).sum().backward();
    /// assert_eq!(
    ///     tape.to_table(&gradients),
    ///     "node             shape  value B  saved B  gradient B  value  gradient\n\
    ///      %0* variable       [3]       12        0          12  1 2 3  2 4 6\n\
    ///      %1* mul(%0, %0)    [3]       12        0          12  1 4 9  1 1 1\n\
    ///      %2* sum(%1)         []        4        0           4  14     1\n\
    ///      total                        28        0          28\n"
    /// );
    /// ```
    #[track_caller]
    pub fn to_table<'a>(&self, gradients: impl Into<Option<&'a Gradients>>) -> String {
        let gradients = self.gradient_of_each(gradients.into());
        let heads = ["node", "shape", "value B", "saved B", "gradient B", "value", "gradient"];
        let mut rows = vec![heads.map(str::to_owned)];
        let mut total = [0; 3];
        self.for_each(|node| {
            let gradient = gradients[node.index];
            let bytes = [node.own_bytes(), node.saved_bytes(), gradient.map_or(0, size_of_val)];
            total.iter_mut().zip(bytes).for_each(|(total, bytes)| *total += bytes);
            let [value, saved, gradients] = bytes.map(|bytes| bytes.to_string());
            let gradient = gradient.map_or(String::new(), |g| node.gradient_numbers(g).line());
            let line = node.numbers().line();
            rows.push([node.call(), node.shape.to_string(), value, saved, gradients, line, gradient]);
        });
        let [value, saved, gradients] = total.map(|bytes| bytes.to_string());
        let none = String::new;
        rows.push(["total".into(), none(), value, saved, gradients, none(), none()]);
        aligned(&rows)
    }

    /// The gradient of each node that has one.
    #[track_caller]
    pub(crate) fn gradient_of_each<'a>(&self, gradients: Option<&'a Gradients>) -> Vec<Option<&'a [f32]>> {
        let mut found = vec![None; self.len()];
        if let Some(gradients) = gradients {
            for (index, gradient) in found.iter_mut().enumerate() {
                *gradient = gradients.of(Var::new(self, index as u32));
            }
        }
        found
    }
}

/// Aligns columns two spaces apart, names and values to the left, shapes and bytes to the right.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cell = |i: usize| match i {
            1..=4 => format!("{:>1$}", row[i], widths[i]),
            _ => format!("{:<1$}", row[i], widths[i]),
        };
        let cells: [String; N] = std::array::from_fn(cell);
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
