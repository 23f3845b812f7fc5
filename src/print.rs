//! A tape on paper: one line per node, or a graph for DOT.

use std::fmt::{self, Write};

use crate::tape::{NodeView, Tape};

/// One line per node: position, op, inputs, shape, bytes of its own value, and the rule with what it saves. A `*`
/// marks nodes that gradients flow into.
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
                outcome = line(f, &node);
            }
        });
        outcome
    }
}

fn line(f: &mut fmt::Formatter<'_>, node: &NodeView<'_>) -> fmt::Result {
    write!(f, "%{}{} {}", node.index, if node.tracked { "*" } else { "" }, node.op)?;
    if let Some(name) = node.name {
        write!(f, " {name}")?;
    }
    if !node.inputs.is_empty() {
        let inputs: Vec<String> = node.inputs.iter().map(|input| format!("%{input}")).collect();
        write!(f, "({})", inputs.join(", "))?;
    }
    write!(f, " {} {} B", node.shape, own_bytes(node))?;
    match node.rule {
        Some(rule) => writeln!(f, "  {rule:?}"),
        None => writeln!(f),
    }
}

/// Bytes that the node's value takes itself: none for views and for parameters, whose buffer is elsewhere.
fn own_bytes(node: &NodeView<'_>) -> usize {
    if node.owned { 4 * node.shape.len() } else { 0 }
}

impl Tape {
    /// The tape as a graph in the DOT language, inputs on the left: `dot -Tsvg` draws it. Data and parameters are
    /// boxes, ops ellipses, dashed where no gradient flows.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph tape {\n  rankdir=LR;\n  node [fontname=\"monospace\"];\n");
        self.for_each(|node| {
            let shape = if node.inputs.is_empty() { "box" } else { "ellipse" };
            let style = if node.tracked { "solid" } else { "dashed" };
            let label = format!("%{} {}\\n{}", node.index, node.name.unwrap_or(node.op), node.shape);
            let label = label.replace('"', "\\\"");
            writeln!(dot, "  n{} [label=\"{label}\", shape={shape}, style={style}];", node.index)
                .expect("a string");
            for input in node.inputs {
                writeln!(dot, "  n{input} -> n{};", node.index).expect("a string");
            }
        });
        dot.push_str("}\n");
        dot
    }
}
