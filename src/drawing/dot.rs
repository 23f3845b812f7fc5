//! A tape as a graph for Graphviz.

use std::fmt::Write;

use super::words;
use crate::tape::Tape;

impl Tape {
    /// The tape as a graph in the DOT language, inputs on the left, with shapes, bytes of the values and
    /// bytes that the rules save. `dot -Tsvg` draws it. Data and parameters are boxes and ops are ellipses,
    /// dashed where no gradient flows.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph tape {\n  rankdir=LR;\n  node [fontname=\"monospace\"];\n");
        self.for_each(|node| {
            let shape = if node.inputs.is_empty() { "box" } else { "ellipse" };
            let style = if node.tracked { "solid" } else { "dashed" };
            let label = words(&node).iter().map(|line| escaped(line)).collect::<Vec<_>>().join("\\n");
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

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
