//! Drawings of a tape: a graph for DOT, a picture, a page to step through.

mod dot;
mod layout;
mod page;
mod svg;

use crate::tape::{NodeView, Tape};
use layout::Cell;

/// Size of the fixed-width font.
const FONT: usize = 13;
/// Width of its characters and height of its lines.
const CHARACTER: f64 = 7.9;
const LINE: f64 = 17.0;

/// The parts of a node in a picture: a box with words, then a wire with the value above and the gradient
/// below.
struct Drawn {
    inputs: Vec<usize>,
    tracked: bool,
    /// The lines in the box: position and op, name, shape and bytes, bytes of its rule.
    words: Vec<String>,
    /// The node's line in the printed tape.
    line: String,
    value: Vec<String>,
    gradient: Vec<String>,
    /// Characters of the wire's widest text.
    wire: usize,
}

impl Drawn {
    fn new(node: &NodeView<'_>, gradient: Option<&[f32]>) -> Drawn {
        let value = node.numbers().label();
        let gradient = gradient.map_or(Vec::new(), |gradient| node.gradient_numbers(gradient).label());
        Drawn {
            inputs: node.inputs.iter().map(|&input| input as usize).collect(),
            tracked: node.tracked,
            words: words(node),
            line: node.to_string(),
            wire: widest(&value).max(widest(&gradient)),
            value,
            gradient,
        }
    }

    /// The room it takes.
    fn cell(&self) -> Cell {
        let inputs = self.inputs.len();
        // The value is above the wire, the gradient below it, and the wire is at half the box's height.
        let wire = LINE * self.value.len().max(self.gradient.len()) as f64 + 6.0;
        let height = f64::max(LINE * self.words.len() as f64 + 12.0, layout::PORT * (inputs as f64 + 0.5));
        Cell {
            inputs: self.inputs.clone(),
            width: (widest(&self.words) as f64 * CHARACTER + 18.0).ceil(),
            height,
            wire: (self.wire as f64 * CHARACTER + 16.0).ceil(),
            room: height.max(2.0 * wire),
        }
    }
}

fn words(node: &NodeView<'_>) -> Vec<String> {
    let mut words = vec![format!("%{} {}", node.index, node.op)];
    words.extend(node.name.map(str::to_owned));
    words.push(format!("{} {} B", node.shape, node.own_bytes()));
    if node.saved_bytes() > 0 {
        words.push(format!("rule: {} B", node.saved_bytes()));
    }
    words
}

fn widest(lines: &[String]) -> usize {
    lines.iter().map(|line| line.chars().count()).max().unwrap_or(0)
}

impl Tape {
    fn drawn(&self, gradients: &[Option<&[f32]>]) -> Vec<Drawn> {
        let mut drawn = Vec::with_capacity(self.len());
        self.for_each(|node| drawn.push(Drawn::new(&node, gradients[node.index])));
        drawn
    }
}
