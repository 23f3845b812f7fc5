//! A page that steps through a tape, forward and backward: the picture, with data for each step.

use super::svg::picture;
use super::{Drawn, widest};
use crate::numbers::Numbers;
use crate::tape::{NodeView, Tape};
use crate::var::Var;

/// The page without the two parts that differ from tape to tape, which replace these comments.
const PAGE: &str = include_str!("page.html");
const PICTURE: &str = "<!-- the picture -->";
const DATA: &str = "/* the data */";

impl Tape {
    /// A page in HTML that steps through the tape node by node: forward, where values appear, and backward
    /// from `loss`, where gradients appear and add up. It needs no other file and no network. Buttons, a
    /// slider and the keyboard move through it. Numbers are shown to three digits; large values as the first
    /// ones and a summary.
    ///
    /// # Panics
    /// The same as [`Var::backward`], or if `loss` was recorded on another tape.
    ///
    /// # Examples
    /// ```
    /// use reparam::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable(&[1.0, 2.0], [2]);
    /// let page = tape.to_html(x.square().sum());
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("tape.html");
    /// std::fs::write(path, page)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn to_html(&self, loss: Var<'_>) -> String {
        assert!(std::ptr::eq(loss.tape(), self), "to_html: the loss was recorded on another tape");
        let mut nodes = Vec::new();
        let mut facts = Vec::new();
        self.for_each(|node| {
            nodes.push(Drawn::new(&node, None));
            facts.push(Facts::new(&node));
        });
        let mut steps =
            vec![Step { node: None, received: vec![facts[loss.index() as usize].receive(&[1.0])] }];
        self.backward_watched(loss.index(), |node, so_far| {
            let inputs = distinct(&nodes[node as usize].inputs);
            let received = inputs.into_iter().filter_map(|input| {
                so_far.of(Var::new(self, input as u32)).map(|now| facts[input].receive(now))
            });
            steps.push(Step { node: Some(node), received: received.collect() });
        });
        for received in steps.iter().flat_map(|step| &step.received) {
            let node = &mut nodes[received.to];
            node.wire = node.wire.max(widest(&received.label));
            node.gradient.clone_from(&received.label);
        }
        let facts = list(facts.iter().map(Facts::to_json));
        let data = format!("{{\"nodes\":{facts},\n\"steps\":{}}}", list(steps.iter().map(Step::to_json)));
        let (head, rest) = PAGE.split_once(PICTURE).expect("a place for the picture");
        let (middle, tail) = rest.split_once(DATA).expect("a place for the data");
        [head, &picture(&nodes), middle, &data, tail].concat()
    }
}

/// The page's facts about a node.
struct Facts {
    index: usize,
    call: String,
    op: &'static str,
    shape: String,
    bytes: usize,
    saved: usize,
    rule: Option<String>,
    inputs: Vec<usize>,
    tracked: bool,
    value: Vec<String>,
    classes: usize,
    /// The part of its gradient added up so far.
    gradient: Option<Vec<f32>>,
}

/// A step of the backward pass: the seed, or a rule that has run.
struct Step {
    node: Option<u32>,
    received: Vec<Received>,
}

/// The addition of a step to the gradient of a node, and the result.
struct Received {
    to: usize,
    part: Vec<String>,
    now: Vec<String>,
    /// The same as `now`, as the picture shows it.
    label: Vec<String>,
}

impl Facts {
    fn new(node: &NodeView<'_>) -> Facts {
        Facts {
            index: node.index,
            call: node.call(),
            op: node.op,
            shape: node.shape.to_string(),
            bytes: node.own_bytes(),
            saved: node.saved_bytes(),
            rule: node.rule.map(|rule| format!("{rule:?}")),
            inputs: node.inputs.iter().map(|&input| input as usize).collect(),
            tracked: node.tracked,
            value: node.numbers().lines(),
            classes: node.shape.classes(),
            gradient: None,
        }
    }

    /// Records that its gradient is `now`.
    fn receive(&mut self, now: &[f32]) -> Received {
        let part = match self.gradient.replace(now.to_vec()) {
            Some(before) => now.iter().zip(before).map(|(now, before)| now - before).collect(),
            None => now.to_vec(),
        };
        let numbers = |values| Numbers { values, classes: self.classes, are_indices: false };
        Received {
            to: self.index,
            part: numbers(&part).lines(),
            now: numbers(now).lines(),
            label: numbers(now).label(),
        }
    }

    fn to_json(&self) -> String {
        let rule = self.rule.as_deref().map_or("null".to_owned(), text);
        format!(
            "{{\"call\":{},\"op\":{},\"shape\":{},\"bytes\":{},\"saved\":{},\"rule\":{rule},\"inputs\":{:?},\
             \"tracked\":{},\"value\":{}}}",
            text(&self.call),
            text(self.op),
            text(&self.shape),
            self.bytes,
            self.saved,
            self.inputs,
            self.tracked,
            texts(&self.value),
        )
    }
}

impl Step {
    fn to_json(&self) -> String {
        let node = self.node.map_or("null".to_owned(), |node| node.to_string());
        let received = list(self.received.iter().map(|received| {
            let Received { to, part, now, label } = received;
            let (part, now, label) = (texts(part), texts(now), texts(label));
            format!("{{\"to\":{to},\"part\":{part},\"now\":{now},\"label\":{label}}}")
        }));
        format!("{{\"node\":{node},\"received\":{received}}}")
    }
}

/// Each input once, in order.
fn distinct(inputs: &[usize]) -> Vec<usize> {
    let mut inputs = inputs.to_vec();
    inputs.sort_unstable();
    inputs.dedup();
    inputs
}

/// A list in JSON.
fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn texts(lines: &[String]) -> String {
    list(lines.iter().map(|line| text(line)))
}

/// A string in JSON that is safe inside a script, because no part of it ends the script.
fn text(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '<' => quoted.push_str("\\u003c"),
            c if c.is_control() || c == '\u{2028}' || c == '\u{2029}' => {
                quoted.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_leave_its_script() {
        assert_eq!(text("</script> \"a\\b\" \n"), r#""\u003c/script> \"a\\b\" \u000a""#);
    }
}
