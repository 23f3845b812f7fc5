//! A sheet of SVG, with places at fractions of a pixel, and plots on it.

use std::fmt::Write;

/// Colours of M. Okabe and K. Ito, "Color Universal Design", 2008.
pub(super) const BLUE: &str = "#0072b2";
pub(super) const ORANGE: &str = "#d55e00";
pub(super) const GREEN: &str = "#009e73";
pub(super) const PINK: &str = "#cc79a7";
pub(super) const SKY: &str = "#56b4e9";
pub(super) const INK: &str = "#222222";
pub(super) const GREY: &str = "#8c8c8c";
/// The orange for text on white, because the other one is too light.
pub(super) const RUST: &str = "#b34d00";

/// The heights of letters in pixels: of numbers and notes, and of titles.
pub(super) const SMALL: f64 = 14.0;
pub(super) const LARGE: f64 = 16.0;
/// An estimate of the width of a letter, as a share of its height.
const LETTER: f64 = 0.6;
const WIDTH: f64 = 960.0;

/// The side of a point on which a text stands.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Left,
    Middle,
    Right,
}

/// A way to draw a line.
#[derive(Clone, Copy)]
pub(super) struct Pen {
    colour: &'static str,
    width: f64,
    dashes: &'static str,
    opacity: f64,
}

impl Pen {
    pub(super) const fn new(colour: &'static str) -> Pen {
        Pen { colour, width: 2.0, dashes: "", opacity: 1.0 }
    }

    pub(super) const fn width(self, width: f64) -> Pen {
        Pen { width, ..self }
    }

    pub(super) const fn dashed(self) -> Pen {
        Pen { dashes: "6 4", ..self }
    }

    pub(super) const fn faint(self, opacity: f64) -> Pen {
        Pen { opacity, ..self }
    }

    fn attributes(self) -> String {
        let Pen { colour, width, dashes, opacity } = self;
        let mut text = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"");
        if !dashes.is_empty() {
            write!(text, " stroke-dasharray=\"{dashes}\"").expect("a string");
        }
        if opacity < 1.0 {
            write!(text, " stroke-opacity=\"{opacity}\"").expect("a string");
        }
        text
    }
}

/// A place in pixels, from the left and from the top.
pub(super) type At = (f64, f64);

/// A white sheet of the width of all pictures.
pub(super) struct Sheet {
    height: f64,
    body: String,
}

impl Sheet {
    pub(super) fn new(height: f64) -> Sheet {
        Sheet { height, body: String::new() }
    }

    /// The text of an SVG file without empty lines, identifiers or a style sheet.
    pub(super) fn finish(self) -> String {
        let Sheet { height, body } = self;
        format!(
            "<svg width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
             xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" fill=\"{INK}\">\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#FFFFFF\"/>\n{body}</svg>\n"
        )
    }

    fn push(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.body, "{line}").expect("a string");
    }

    pub(super) fn text(&mut self, at: At, side: Side, size: f64, colour: &str, text: &str) {
        let (x, y) = (px(at.0), px(at.1 + 0.36 * size));
        let anchor = match side {
            Side::Left => "end",
            Side::Middle => "middle",
            Side::Right => "start",
        };
        let text = escaped(text);
        self.push(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>"
        ));
    }

    pub(super) fn title(&mut self, at: At, text: &str) {
        self.text(at, Side::Middle, LARGE, INK, text);
    }

    /// A small text to the right of a place.
    pub(super) fn note(&mut self, at: At, colour: &str, text: &str) {
        self.text(at, Side::Right, SMALL, colour, text);
    }

    /// A small text that runs upwards, around a place.
    pub(super) fn upwards(&mut self, at: At, text: &str) {
        let (x, y, text) = (px(at.0 + 0.36 * SMALL), px(at.1), escaped(text));
        self.push(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{SMALL}\" text-anchor=\"middle\" transform=\"rotate(-90 {x} {y})\">{text}</text>"
        ));
    }

    pub(super) fn line(&mut self, points: &[At], pen: Pen) {
        if points.len() < 2 {
            return;
        }
        let (path, pen) = (path(points), pen.attributes());
        self.push(format_args!("<path d=\"{path}\" {pen}/>"));
    }

    pub(super) fn area(&mut self, points: &[At], colour: &str, opacity: f64) {
        let path = path(points);
        self.push(format_args!("<path d=\"{path}Z\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>"));
    }

    pub(super) fn disc(&mut self, at: At, radius: f64, colour: &str) {
        let (x, y) = (px(at.0), px(at.1));
        self.push(format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{colour}\"/>"));
    }

    pub(super) fn block(&mut self, [left, top, width, height]: [f64; 4], colour: &str, opacity: f64) {
        let [x, y, width, height] = [left, top, width, height].map(px);
        self.push(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>"
        ));
    }

    /// A box with lines of text in it.
    pub(super) fn boxed(&mut self, [left, top, width, height]: [f64; 4], fill: &str, lines: &[&str]) {
        let [x, y, w, h] = [left, top, width, height].map(px);
        self.push(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"6\" fill=\"{fill}\" stroke=\"{INK}\"/>"
        ));
        let first = top + height / 2.0 - 9.5 * (lines.len() as f64 - 1.0);
        for (i, line) in lines.iter().enumerate() {
            self.text((left + width / 2.0, first + 19.0 * i as f64), Side::Middle, SMALL, INK, line);
        }
    }

    /// A line with a head at its end.
    pub(super) fn arrow(&mut self, points: &[At], pen: Pen) {
        let [.., before, tip] = points else { return };
        let (dx, dy) = (tip.0 - before.0, tip.1 - before.1);
        let length = dx.hypot(dy).max(1e-9);
        let (dx, dy) = (dx / length, dy / length);
        let head = (7.0 + 1.5 * pen.width).min(0.8 * length.max(3.0));
        let back =
            |along: f64, across: f64| (tip.0 - along * dx - across * dy, tip.1 - along * dy + across * dx);
        let mut shaft = points.to_vec();
        *shaft.last_mut().expect("a tip") = back(0.8 * head, 0.0);
        self.line(&shaft, pen);
        self.area(&[*tip, back(head, 0.45 * head), back(head, -0.45 * head)], pen.colour, pen.opacity);
    }

    /// Names of lines and marks below one another, on white.
    pub(super) fn legend(&mut self, (left, top): At, entries: &[(Mark, &str)]) {
        let longest = entries.iter().map(|(_, name)| name.chars().count()).max().unwrap_or(0);
        let (width, height) = (38.0 + LETTER * SMALL * longest as f64, 21.0 * entries.len() as f64 + 6.0);
        self.block([left, top, width, height], "#ffffff", 0.88);
        for (i, (mark, name)) in entries.iter().enumerate() {
            let y = top + 13.5 + 21.0 * i as f64;
            let (from, to) = (left + 5.0, left + 27.0);
            match *mark {
                Mark::Line(pen) => self.line(&[(from, y), (to, y)], pen),
                Mark::Disc(colour) => self.disc((0.5 * (from + to), y), 4.0, colour),
                Mark::Bar(colour) => {
                    let middle = 0.5 * (from + to);
                    self.line(&[(middle, y - 8.0), (middle, y + 8.0)], Pen::new(colour).width(1.5));
                    self.disc((middle, y), 4.0, colour);
                }
                Mark::Band(colour, opacity) => self.block([from, y - 6.0, 22.0, 12.0], colour, opacity),
            }
            self.note((left + 34.0, y), INK, name);
        }
    }
}

/// The mark of a series in a legend.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    Line(Pen),
    Disc(&'static str),
    /// A disc with an error bar.
    Bar(&'static str),
    Band(&'static str, f64),
}

/// An axis's range.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    Linear(f64, f64),
    Log(f64, f64),
}

impl Scale {
    fn share(self, value: f64) -> f64 {
        match self {
            Scale::Linear(low, high) => (value - low) / (high - low),
            Scale::Log(low, high) => (value / low).ln() / (high / low).ln(),
        }
    }

    fn ends(self) -> (f64, f64) {
        let (Scale::Linear(low, high) | Scale::Log(low, high)) = self;
        (low, high)
    }
}

/// A rectangle with two axes: its left side, top, width and height in pixels.
pub(super) struct Plot {
    frame: [f64; 4],
    x: Scale,
    y: Scale,
}

impl Plot {
    pub(super) fn new(frame: [f64; 4], x: Scale, y: Scale) -> Plot {
        Plot { frame, x, y }
    }

    pub(super) fn place(&self, (x, y): (f64, f64)) -> At {
        let [left, top, width, height] = self.frame;
        (left + width * self.x.share(x), top + height * (1.0 - self.y.share(y)))
    }

    /// The grid, the numbers at it, the axes and their names, and a title.
    pub(super) fn axes(
        &self,
        sheet: &mut Sheet,
        title: &str,
        (x_name, y_name): (&str, &str),
        (x_ticks, y_ticks): (&[f64], &[f64]),
    ) {
        let [left, top, width, height] = self.frame;
        let (right, bottom) = (left + width, top + height);
        let grid = Pen::new(GREY).width(1.0).faint(0.25);
        let ((x0, _), (y0, _)) = (self.x.ends(), self.y.ends());
        for &tick in x_ticks {
            let x = self.place((tick, y0)).0;
            sheet.line(&[(x, top), (x, bottom + 4.0)], grid);
            sheet.text((x, bottom + 15.0), Side::Middle, SMALL, INK, &number(tick));
        }
        let mut widest = 0;
        for &tick in y_ticks {
            let (y, text) = (self.place((x0, tick)).1, number(tick));
            sheet.line(&[(left - 4.0, y), (right, y)], grid);
            sheet.text((left - 8.0, y), Side::Left, SMALL, INK, &text);
            widest = widest.max(text.chars().count());
        }
        sheet.line(&[(left, top), (left, bottom), (right, bottom)], Pen::new(INK).width(1.0));
        sheet.title((left + width / 2.0, top - 22.0), title);
        sheet.text((left + width / 2.0, bottom + 37.0), Side::Middle, SMALL, INK, x_name);
        let room = 20.0 + LETTER * SMALL * widest as f64;
        sheet.upwards((left - room - 4.0, top + height / 2.0), y_name);
    }

    /// A line through points, clipped to the frame.
    pub(super) fn curve(&self, sheet: &mut Sheet, points: impl IntoIterator<Item = (f64, f64)>, pen: Pen) {
        let places: Vec<At> = points.into_iter().map(|point| self.place(point)).collect();
        let mut piece: Vec<At> = Vec::new();
        for pair in places.windows(2) {
            let Some([from, to]) = self.clipped(pair[0], pair[1]) else { continue };
            if piece.last().is_none_or(|last| (last.0 - from.0).hypot(last.1 - from.1) > 1e-6) {
                sheet.line(&piece, pen);
                piece = vec![from];
            }
            piece.push(to);
        }
        sheet.line(&piece, pen);
    }

    /// A dot, with an error bar if `error` is not 0. It must be inside the frame, and the bar is cut there.
    pub(super) fn dot(&self, sheet: &mut Sheet, (x, y): (f64, f64), error: f64, colour: &'static str) {
        if error > 0.0 {
            let (low, high) = self.y.ends();
            let ends = [(y - error).max(low), (y + error).min(high)].map(|y| self.place((x, y)));
            let pen = Pen::new(colour).width(1.5);
            sheet.line(&ends, pen);
            for at in ends {
                sheet.line(&[(at.0 - 4.0, at.1), (at.0 + 4.0, at.1)], pen);
            }
        }
        sheet.disc(self.place((x, y)), 4.0, colour);
    }

    /// The area between two curves over the same x, cut at the top and the bottom.
    pub(super) fn band(&self, sheet: &mut Sheet, points: &[(f64, f64, f64)], colour: &str, opacity: f64) {
        let (low, high) = self.y.ends();
        let cut = |y: f64| y.clamp(low, high);
        let above = points.iter().map(|&(x, _, y)| self.place((x, cut(y))));
        let below = points.iter().rev().map(|&(x, y, _)| self.place((x, cut(y))));
        sheet.area(&above.chain(below).collect::<Vec<_>>(), colour, opacity);
    }

    /// The part of a line that is inside, after Liang and Barsky.
    fn clipped(&self, from: At, to: At) -> Option<[At; 2]> {
        let [left, top, width, height] = self.frame;
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let (mut first, mut last) = (0.0f64, 1.0f64);
        let sides = [
            (-dx, from.0 - left),
            (dx, left + width - from.0),
            (-dy, from.1 - top),
            (dy, top + height - from.1),
        ];
        for (step, room) in sides {
            if step == 0.0 {
                if room < 0.0 {
                    return None;
                }
            } else if step < 0.0 {
                first = first.max(room / step);
            } else {
                last = last.min(room / step);
            }
        }
        let at = |share: f64| (from.0 + share * dx, from.1 + share * dy);
        (first <= last).then(|| [at(first), at(last)])
    }
}

/// Evenly spaced numbers, both ends included.
pub(super) fn spaced(from: f64, to: f64, count: usize) -> impl DoubleEndedIterator<Item = f64> + Clone {
    (0..count).map(move |i| from + (to - from) * i as f64 / (count - 1) as f64)
}

/// The corners of a staircase through points: flat up to the middle between two points that differ, with a
/// jump there.
pub(super) fn stairs(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut corners = vec![points[0]];
    for pair in points.windows(2).filter(|pair| pair[0].1 != pair[1].1) {
        let x = 0.5 * (pair[0].0 + pair[1].0);
        corners.extend([(x, pair[0].1), (x, pair[1].1)]);
    }
    corners.push(points[points.len() - 1]);
    corners
}

/// A length in pixels, rounded to a tenth.
fn px(value: f64) -> String {
    let tenths = (value * 10.0).round();
    // Otherwise minus zero would keep its sign.
    format!("{}", if tenths == 0.0 { 0.0 } else { tenths / 10.0 })
}

fn path(points: &[At]) -> String {
    let mut path = String::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        write!(path, "{}{} {}", if i == 0 { "M" } else { "L" }, px(x), px(y)).expect("a string");
    }
    path
}

/// A number at an axis, with a true minus sign, as a power of ten if it is far from 1.
fn number(x: f64) -> String {
    let size = x.abs();
    let text = match size > 0.0 && !(1e-3..1e5).contains(&size) {
        true => {
            let power = size.log10().floor();
            let digits = size / 10f64.powf(power);
            let head = if (digits - 1.0).abs() < 1e-6 { String::new() } else { format!("{digits:.0}·") };
            format!("{}{head}10{}", if x < 0.0 { "-" } else { "" }, raised(power as i32))
        }
        false => format!("{}", (x * 1e6).round() / 1e6 + 0.0),
    };
    text.replace('-', "−")
}

/// An exponent in raised digits.
pub(super) fn raised(power: i32) -> String {
    let digit = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        c => char::from_u32('⁰' as u32 + c as u32 - '0' as u32).expect("a raised digit"),
    };
    power.to_string().chars().map(digit).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
