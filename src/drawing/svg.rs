//! A tape as a picture in SVG, alone or inside a page. It has no style sheet, no identifiers and no blank
//! line, so that one Markdown page can hold several.

use std::fmt::Write;

use super::layout::{Layout, Route, layout};
use super::{CHARACTER, Drawn, FONT, LINE, widest};
use crate::gradients::Gradients;
use crate::tape::Tape;

/// Blue and vermilion of M. Okabe and K. Ito, "Color Universal Design", 2008; with the vermilion darker, for
/// text on white.
const VALUE: &str = "#0072b2";
const GRADIENT: &str = "#b34d00";
const INK: &str = "#222222";
/// Half a pixel off whole positions, which keeps thin lines sharp.
const MARGIN: f64 = 16.5;

impl Tape {
    /// The tape as a picture in SVG, inputs on the left. A node is a box with its position, op, name, shape,
    /// the bytes of its own value, the bytes of its rule, and what the rule keeps. Its value is above the
    /// wire that leaves it, and below it, if `gradients` are given, the gradient of the loss with respect to
    /// it. Both have three digits and show all numbers if they are few, otherwise mean, least and largest
    /// entry. Lines are dashed where no gradient flows.
    ///
    /// # Panics
    /// If the gradients belong to another tape.
    ///
    /// # Examples
    /// ```
    /// use reparam::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable(&[1.0, 2.0], [2]);
    /// let gradients = x.square().sum().backward();
    /// assert!(tape.to_svg(&gradients).starts_with("<svg "));
    /// let without = tape.to_svg(None);
    /// # assert!(without.len() < tape.to_svg(&gradients).len());
    /// ```
    #[track_caller]
    pub fn to_svg<'a>(&self, gradients: impl Into<Option<&'a Gradients>>) -> String {
        picture(&self.drawn(&self.gradient_of_each(gradients.into())))
    }
}

/// The picture of a tape's nodes.
pub(super) fn picture(nodes: &[Drawn]) -> String {
    let cells: Vec<_> = nodes.iter().map(Drawn::cell).collect();
    let plan = layout(&cells);
    let legend = legend(nodes, plan.routes.iter().any(|route| route.is_cut));
    let least = widest(std::slice::from_ref(&legend)) as f64 * CHARACTER;
    let (width, height) = (plan.width.max(least) + 2.0 * MARGIN, plan.height + 2.0 * MARGIN + 1.5 * LINE);
    let mut svg = String::new();
    let out = &mut svg;
    push(
        out,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tape\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"A tape of {} nodes\" \
             font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"{FONT}\" \
             fill=\"{INK}\">",
            nodes.len()
        ),
    );
    push(out, format_args!("<rect class=\"paper\" width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"));
    push(out, format_args!("<g transform=\"translate({MARGIN} {MARGIN})\">"));
    for (index, node) in nodes.iter().enumerate() {
        draw(out, index, node, &cells[index], &plan);
    }
    plan.routes
        .iter()
        .for_each(|route| edge(out, route, nodes[route.from].tracked && nodes[route.to].tracked));
    let y = plan.height + 1.5 * LINE;
    push(out, format_args!("<text class=\"legend\" x=\"0\" y=\"{y}\">{}</text>", escaped(&legend)));
    push(out, format_args!("</g>"));
    push(out, format_args!("</svg>"));
    svg
}

fn push(out: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(out, "{line}").expect("a string");
}

/// The legend of the picture's parts.
fn legend(nodes: &[Drawn], has_cut_wires: bool) -> String {
    let mut parts = vec!["above a wire: the value"];
    if nodes.iter().any(|node| !node.gradient.is_empty()) {
        parts.push("below: the gradient");
    }
    if nodes.iter().any(|node| !node.tracked) {
        parts.push("dashed: no gradient flows");
    }
    if has_cut_wires {
        parts.push("a wire that begins with a number: from the node of that number, far to the left");
    }
    parts.join("; ")
}

fn dashes(tracked: bool) -> &'static str {
    if tracked { "" } else { " stroke-dasharray=\"5 4\"" }
}

fn edge(out: &mut String, route: &Route, tracked: bool) {
    let Route { from, to, pieces, end, is_cut } = route;
    let (start, mut x, mut y) = pieces[0];
    let mut path = format!("M{start} {y}H{x}");
    let bend = |path: &mut String, x: f64, y: f64, to_x: f64, to_y: f64| {
        let middle = (x + to_x) / 2.0;
        write!(path, "C{middle} {y} {middle} {to_y} {to_x} {to_y}").expect("a string");
    };
    for &(left, right, height) in &pieces[1..] {
        bend(&mut path, x, y, left, height);
        write!(path, "H{right}").expect("a string");
        (x, y) = (right, height);
    }
    bend(&mut path, x, y, end.x - 7.0, end.y);
    let number = match is_cut {
        true => format!("<text x=\"{start}\" y=\"{}\">%{from}</text>", pieces[0].2 - 3.0),
        false => String::new(),
    };
    let dashes = dashes(tracked);
    push(
        out,
        format_args!(
            "<g class=\"edge\" data-from=\"{from}\" data-to=\"{to}\"><path d=\"{path}\" fill=\"none\" stroke=\"{INK}\"{dashes}/>\
             <path d=\"M{} {}l-8 -4v8z\" stroke=\"none\"/>{number}</g>",
            end.x, end.y
        ),
    );
}

fn draw(out: &mut String, index: usize, node: &Drawn, cell: &super::Cell, plan: &Layout) {
    let at = plan.nodes[index];
    let (top, right) = (at.y - cell.height / 2.0, at.x + cell.width);
    let (kind, fill) = if node.inputs.is_empty() { ("leaf", "#fff3d6") } else { ("op", "#e8f3fb") };
    let dashes = dashes(node.tracked);
    push(
        out,
        format_args!("<g class=\"node {kind}\" data-node=\"{index}\"><title>{}</title>", escaped(&node.line)),
    );
    push(
        out,
        format_args!(
            "<path class=\"wire\" d=\"M{right} {}H{}\" fill=\"none\" stroke=\"{INK}\"{dashes}/>",
            at.y, plan.ends[index]
        ),
    );
    push(
        out,
        format_args!(
            "<rect class=\"box\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{}\" rx=\"{}\" fill=\"{fill}\" \
             stroke=\"{INK}\"{dashes}/>",
            at.x,
            cell.width,
            cell.height,
            if kind == "leaf" { 0 } else { 8 }
        ),
    );
    let first = at.y - LINE * (node.words.len() as f64 - 1.0) / 2.0 + 4.5;
    text(out, "words", INK, &node.words, at.x + 9.0, first);
    let x = right + 7.0;
    text(out, "value", VALUE, &node.value, x, at.y - 6.0 - LINE * (node.value.len() as f64 - 1.0));
    text(out, "gradient", GRADIENT, &node.gradient, x, at.y + LINE);
    push(out, format_args!("</g>"));
}

/// Writes lines below one another. The first words of a node are its op.
fn text(out: &mut String, class: &str, colour: &str, lines: &[String], x: f64, y: f64) {
    if lines.is_empty() {
        return;
    }
    write!(out, "<g class=\"{class}\" fill=\"{colour}\">").expect("a string");
    for (i, line) in lines.iter().enumerate() {
        let weight = if class == "words" && i == 0 { " font-weight=\"bold\"" } else { "" };
        write!(out, "<text x=\"{x}\" y=\"{}\"{weight}>{}</text>", y + LINE * i as f64, escaped(line))
            .expect("a string");
    }
    push(out, format_args!("</g>"));
}

/// Text escaped for SVG and HTML, on one line and with its spaces.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            ' ' => escaped.push('\u{a0}'),
            c if c.is_control() => escaped.extend(c.escape_default()),
            c => escaped.push(c),
        }
    }
    escaped
}
