//! Does a drawn tape show everything, and does nothing overlap?

use reparam::{Noise, Params, Tape, Var};

use crate::common::small_vae::vae_tape;

/// Ops on values picked at random: wires that pass many layers, inputs read twice, values that nobody reads.
fn thicket<'t>(tape: &'t Tape, noise: &mut Noise) -> Var<'t> {
    let mut values = vec![tape.variable(&[0.1, 0.2], [2]), tape.input(&[1.0, -1.0], [2])];
    for _ in 0..30 {
        let pick = |noise: &mut Noise| values[noise.below(values.len() as u32) as usize];
        let (a, b, c) = (pick(noise), pick(noise), pick(noise));
        values.push(match noise.below(6) {
            0 => tape.variable(&[0.5, 1.5], [2]),
            1 => a.sigmoid(),
            2 => a * b,
            3 => a - b,
            4 => Var::concat(&[a, b, c, a], 0).slice(0, 1..3),
            _ => a.stop_gradient(),
        });
    }
    values.iter().fold(tape.variable(&[0.0, 0.0], [2]), |sum, &value| sum + value).sum()
}

/// The tapes that are drawn, each with its loss.
fn for_each_tape(mut check: impl FnMut(&str, &Tape, Var<'_>)) {
    let tape = Tape::new();
    let x = tape.variable(&[2.0], []);
    check("polynomial", &tape, x * x + 3.0 * x);
    let tape = Tape::new();
    check("one node", &tape, tape.variable(&[1.0], []));
    let tape = Tape::new();
    check("autoencoder", &tape, vae_tape(&tape));
    for seed in 0..20 {
        let tape = Tape::new();
        check(&format!("thicket {seed}"), &tape, thicket(&tape, &mut Noise::seed(seed)));
    }
}

/// The inputs of each node, from the printed tape.
fn inputs(tape: &Tape) -> Vec<Vec<usize>> {
    let line = |line: &str| {
        let call = line.split(" [").next().unwrap();
        let Some((_, inputs)) = call.split_once('(') else { return Vec::new() };
        inputs.trim_end_matches(')').split(", ").map(|input| input[1..].parse().unwrap()).collect()
    };
    tape.to_string().lines().map(line).collect()
}

fn attribute<'a>(element: &'a str, name: &str) -> &'a str {
    let (_, rest) =
        element.split_once(&format!(" {name}=\"")).unwrap_or_else(|| panic!("{name} in {element}"));
    rest.split_once('"').unwrap().0
}

fn number(element: &str, name: &str) -> f64 {
    attribute(element, name).parse().unwrap()
}

#[derive(Clone, Copy, Debug)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    fn overlaps(self, other: Area) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// The contents of a picture, read back from its text. A node has a box and lines of text. An edge has two
/// ends, points along it and, if it is cut, the number at its beginning.
struct Picture {
    boxes: Vec<Area>,
    texts: Vec<Vec<Area>>,
    edges: Vec<(usize, usize, Path)>,
    numbers: Vec<Option<Area>>,
}

/// Points along a line.
type Path = Vec<(f64, f64)>;

impl Picture {
    fn read(svg: &str) -> Picture {
        let (mut boxes, mut texts) = (Vec::new(), Vec::new());
        for (index, node) in svg.split("<g class=\"node ").skip(1).enumerate() {
            let node = node.split("<g class=\"edge\"").next().unwrap();
            let node = node.split("<text class=\"legend\"").next().unwrap();
            assert_eq!(number(node, "data-node") as usize, index);
            let (_, rect) = node.split_once("<rect ").unwrap();
            let (left, top) = (number(rect, "x"), number(rect, "y"));
            let (right, bottom) = (left + number(rect, "width"), top + number(rect, "height"));
            boxes.push(Area { left, top, right, bottom });
            texts.push(node.split("<text").skip(1).map(text_area).collect());
        }
        let (mut edges, mut numbers) = (Vec::new(), Vec::new());
        for edge in svg.split("<g class=\"edge\"").skip(1) {
            let edge = edge.split("</g>").next().unwrap();
            let ends = (number(edge, "data-from") as usize, number(edge, "data-to") as usize);
            edges.push((ends.0, ends.1, points(attribute(edge, "d"))));
            let text = edge.split_once("<text");
            assert!(text.is_none_or(|(_, text)| text.contains(&format!(">%{}</text>", ends.0))), "{edge}");
            numbers.push(text.map(|(_, text)| text_area(text)));
        }
        Picture { boxes, texts, edges, numbers }
    }
}

/// The area of a line of text: the height of its small letters, and a little narrower than it may turn out.
fn text_area(text: &str) -> Area {
    let (_, contents) = text.split_once('>').unwrap();
    let contents = contents.split_once("</text>").unwrap().0;
    let (left, bottom) = (number(text, "x"), number(text, "y"));
    Area { left, top: bottom - 10.0, right: left + 7.8 * contents.chars().count() as f64, bottom }
}

/// Points along a path of lines and Bezier curves.
fn points(path: &str) -> Path {
    let spaced = path.replace('M', " M ").replace('H', " H ").replace('C', " C ");
    let mut parts = spaced.split_whitespace();
    let mut points = Path::new();
    while let Some(part) = parts.next() {
        let mut next = || parts.next().unwrap().parse::<f64>().unwrap();
        match part {
            "M" => points.push((next(), next())),
            "H" => {
                let ((x, y), to) = (*points.last().unwrap(), next());
                points.extend((0..=50).map(|i| (x + (to - x) * f64::from(i) / 50.0, y)));
            }
            "C" => {
                let ((x, y), a, b, end) =
                    (*points.last().unwrap(), (next(), next()), (next(), next()), (next(), next()));
                points.extend((0..=50).map(|i| {
                    let t = f64::from(i) / 50.0;
                    let mix = |p: f64, a: f64, b: f64, q: f64| {
                        let s = 1.0 - t;
                        s * s * s * p + 3.0 * s * s * t * a + 3.0 * s * t * t * b + t * t * t * q
                    };
                    (mix(x, a.0, b.0, end.0), mix(y, a.1, b.1, end.1))
                }));
            }
            other => panic!("{other} in {path}"),
        }
    }
    points
}

#[test]
fn every_node_and_every_edge_is_drawn() {
    for_each_tape(|name, tape, loss| {
        let picture = Picture::read(&tape.to_svg(&loss.backward()));
        let inputs = inputs(tape);
        assert_eq!(picture.boxes.len(), tape.len(), "{name}");
        let mut expected: Vec<(usize, usize)> = inputs
            .iter()
            .enumerate()
            .flat_map(|(to, from)| from.iter().map(move |&from| (from, to)))
            .collect();
        let mut drawn: Vec<(usize, usize)> = picture.edges.iter().map(|&(from, to, _)| (from, to)).collect();
        expected.sort_unstable();
        drawn.sort_unstable();
        assert_eq!(drawn, expected, "{name}");
        let dot = tape.to_dot();
        for (from, to) in expected {
            assert!(dot.contains(&format!("  n{from} -> n{to};\n")), "{name}: {from} to {to}");
        }
    });
}

#[test]
fn nothing_is_drawn_over_something_else() {
    for_each_tape(|name, tape, loss| {
        let picture = Picture::read(&tape.to_svg(&loss.backward()));
        let count = picture.boxes.len();
        for a in 0..count {
            for b in (0..count).filter(|&b| b != a) {
                assert!(!picture.boxes[a].overlaps(picture.boxes[b]), "{name}: the boxes of {a} and {b}");
                for &text in &picture.texts[a] {
                    assert!(!text.overlaps(picture.boxes[b]), "{name}: a text of {a} and the box of {b}");
                    assert!(
                        !picture.texts[b].iter().any(|&other| text.overlaps(other)),
                        "{name}: texts of {a} and {b}"
                    );
                }
            }
        }
    });
}

/// The number of a cut wire overlaps nothing either.
#[test]
fn the_number_of_a_wire_stands_free() {
    let mut cut = 0;
    for_each_tape(|name, tape, loss| {
        let picture = Picture::read(&tape.to_svg(&loss.backward()));
        for (edge, area) in picture.numbers.iter().enumerate() {
            let Some(area) = *area else { continue };
            cut += 1;
            let boxes = picture.boxes.iter().chain(picture.texts.iter().flatten());
            let others = picture.numbers.iter().enumerate().filter(|(other, _)| *other != edge);
            let numbers = others.filter_map(|(_, number)| number.as_ref());
            assert!(
                !boxes.chain(numbers).any(|other| area.overlaps(*other)),
                "{name}: the number of edge {edge}"
            );
            for (from, to, points) in &picture.edges {
                let meets = points.iter().any(|&(x, y)| {
                    area.overlaps(Area { left: x - 0.5, top: y - 0.5, right: x + 0.5, bottom: y + 0.5 })
                });
                assert!(!meets, "{name}: the wire from {from} to {to} and the number of edge {edge}");
            }
        }
    });
    assert!(cut > 20, "only {cut} wires are cut");
}

#[test]
fn no_wire_runs_through_a_node_or_a_text_and_all_run_to_the_right() {
    for_each_tape(|name, tape, loss| {
        let picture = Picture::read(&tape.to_svg(&loss.backward()));
        for (from, to, points) in &picture.edges {
            assert!(points.is_sorted_by(|a, b| a.0 <= b.0 + 1e-9), "{name}: {from} to {to} turns back");
            for node in 0..picture.boxes.len() {
                for &(x, y) in points {
                    let at = Area { left: x - 0.5, top: y - 0.5, right: x + 0.5, bottom: y + 0.5 };
                    let is_end = node == *from || node == *to;
                    let met = picture.boxes[node].overlaps(at) && !is_end;
                    assert!(!met, "{name}: {from} to {to} meets the box of {node}");
                    let met = picture.texts[node].iter().any(|text| text.overlaps(at)) && !is_end;
                    assert!(!met, "{name}: {from} to {to} meets a text of {node}");
                }
            }
        }
    });
}

#[test]
fn a_picture_is_the_same_each_time_and_can_stand_in_markdown() {
    for_each_tape(|name, tape, loss| {
        let gradients = loss.backward();
        let svg = tape.to_svg(&gradients);
        assert_eq!(svg, tape.to_svg(&gradients), "{name}");
        assert!(svg.lines().all(|line| !line.trim().is_empty()), "{name}: a blank line");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{name}");
        assert!(!svg.contains("<style") && !svg.contains(" id="), "{name}");
        assert!(!tape.to_svg(None).contains("class=\"gradient\""), "{name}");
    });
}

#[test]
fn names_are_escaped_in_every_format() {
    let mut params = Params::new();
    let name = "<b>&\"\\\n\n</script>";
    let w = params.add(name, [1], vec![1.0]);
    let tape = Tape::new();
    let loss = params.on(&tape, w).sum();
    let svg = tape.to_svg(&loss.backward());
    assert!(svg.contains(r"&lt;b&gt;&amp;&quot;\\n\n&lt;/script&gt;"), "{svg}");
    assert!(svg.lines().all(|line| !line.is_empty()));
    assert!(tape.to_dot().contains(r#"\n<b>&\"\\\n\n</script>\n"#), "{}", tape.to_dot());
    let page = tape.to_html(loss);
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(page.contains(r#"parameter \u003cb>&\"\\\u000a\u000a\u003c/script>"#));
}

/// Values that cannot be written out: empty ones, many numbers, whole numbers, masks.
#[test]
fn unusual_values_are_drawn() {
    let tape = Tape::new();
    let masked = tape.variable(&[0.0, f32::NEG_INFINITY], [1, 2]);
    let table = tape.variable(&vec![0.5; 600], [20, 30]);
    let empty = tape.variable(&[], [0, 3]);
    let loss = masked.softmax().sum() + table.gather(&[3, 7]).sum() + empty.sum();
    let shown = [tape.to_svg(&loss.backward()), tape.to_html(loss), tape.to_table(&loss.backward())];
    for text in shown {
        for part in ["-inf", "mean", "gather"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("NaN"), "{text}");
    }
    assert!(tape.to_table(None).lines().any(|line| line.contains("indices") && line.ends_with("  3 7")));
    let nothing = Tape::new();
    assert!(nothing.to_svg(None).contains("A tape of 0 nodes"));
}

/// The bytes that a rule saves include its heap: injected draws, but not the draws of a stream.
#[test]
fn saved_bytes_count_injected_draws() {
    let saved = |record: &dyn for<'t> Fn(Var<'t>) -> Var<'t>| {
        let tape = Tape::new();
        record(tape.variable(&[0.0; 6], [2, 3]));
        let total = tape.to_table(None).lines().last().unwrap().to_owned();
        total.split_whitespace().nth(2).unwrap().parse::<usize>().unwrap()
    };
    let draws = [1u32; 6];
    // Of twelve draws the backward pass needs the last six.
    let stream = saved(&|x| x.gumbel_rao(1, 0.5, &mut Noise::seed(1)));
    let injected = saved(&|x| x.gumbel_rao(1, 0.5, &mut &[draws, draws].concat()[..]));
    assert_eq!(injected, stream + 24);
    // A small straight-through sample keeps its six scores instead of its draws.
    let stream = saved(&|x| x.st_gumbel_softmax(0.5, &mut Noise::seed(1)));
    let injected = saved(&|x| x.st_gumbel_softmax(0.5, &mut &draws[..]));
    assert!(injected == stream && stream >= 24);
}

#[test]
#[should_panic(expected = "another tape")]
fn gradients_of_another_tape_are_refused() {
    let (tape, other) = (Tape::new(), Tape::new());
    tape.variable(&[1.0], []);
    tape.to_svg(&other.variable(&[1.0], []).backward());
}
