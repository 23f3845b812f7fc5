//! Diagrams: the path of value and gradient through a sample, a rule's two halves, what a fused kernel saves.

use reparam::{Noise, Tape};

use super::sheet::*;

const FORWARD: Pen = Pen::new(BLUE).width(2.5);
const BACKWARD: Pen = Pen::new(ORANGE).width(2.5).dashed();
const LEAF: &str = "#fff3d6";
const OP: &str = "#e8f3fb";

/// The path of the value and the path of the gradient, for each op.
pub(super) fn gradient_paths() -> String {
    let mut sheet = Sheet::new(480.0);
    let names = ["gumbel_softmax", "st_gumbel_softmax", "st_categorical", "st_argmax"];
    for (i, name) in names.into_iter().enumerate() {
        let (left, top) = (20.0 + 480.0 * (i % 2) as f64, 20.0 + 220.0 * (i / 2) as f64);
        let at = |x: f64, y: f64| (left + x, top + y);
        // The middle of a box's left and right side.
        let node = |sheet: &mut Sheet, x: f64, y: f64, width: f64, fill: &str, text: &str| {
            sheet.boxed([left + x, top + y - 18.0, width, 36.0], fill, &[text]);
            (at(x, y), at(x + width, y))
        };
        sheet.title(at(220.0, 0.0), name);
        let (noisy, hard, soft) = (i != 3, i != 0, if i < 2 { "softmax(s/τ)" } else { "softmax(x/τ)" });
        let middle = 100.0;
        let (high, low) = if hard { (60.0, 140.0) } else { (middle, middle) };
        let x = node(&mut sheet, 0.0, middle, 36.0, LEAF, "x");
        let z = node(&mut sheet, 336.0, middle, 36.0, LEAF, if hard { "z" } else { "y" });
        let f = node(&mut sheet, 408.0, middle, 36.0, OP, "f");
        let both = |sheet: &mut Sheet, from: At, to: At| {
            sheet.arrow(&[(from.0 + 2.0, from.1 - 7.0), (to.0 - 3.0, to.1 - 7.0)], FORWARD);
            sheet.arrow(&[(to.0 - 2.0, to.1 + 7.0), (from.0 + 3.0, from.1 + 7.0)], BACKWARD);
        };
        both(&mut sheet, z.1, f.0);
        let soft_box = node(&mut sheet, 186.0, low, 112.0, OP, soft);
        match i {
            0 => {
                let s = node(&mut sheet, 74.0, middle, 76.0, OP, "s = x + g");
                both(&mut sheet, x.1, s.0);
                both(&mut sheet, s.1, soft_box.0);
                both(&mut sheet, soft_box.1, z.0);
            }
            1 => {
                let s = node(&mut sheet, 74.0, middle, 76.0, OP, "s = x + g");
                both(&mut sheet, x.1, s.0);
                let argmax = node(&mut sheet, 186.0, high, 112.0, OP, "argmax(s)");
                sheet.arrow(&[(s.1.0 + 2.0, s.1.1 - 7.0), (argmax.0.0 - 3.0, argmax.0.1)], FORWARD);
                sheet.arrow(&[(argmax.1.0 + 2.0, argmax.1.1), (z.0.0 - 3.0, z.0.1 - 7.0)], FORWARD);
                sheet.arrow(&[(z.0.0 - 2.0, z.0.1 + 7.0), (soft_box.1.0 + 3.0, soft_box.1.1)], BACKWARD);
                sheet.arrow(&[(soft_box.0.0 - 2.0, soft_box.0.1), (s.1.0 + 3.0, s.1.1 + 7.0)], BACKWARD);
            }
            _ => {
                let last = if noisy {
                    let s = node(&mut sheet, 74.0, high, 76.0, OP, "s = x + g");
                    sheet.arrow(&[(x.1.0 + 2.0, x.1.1 - 7.0), (s.0.0 - 3.0, s.0.1)], FORWARD);
                    s.1
                } else {
                    (x.1.0, x.1.1 - 7.0)
                };
                let argmax =
                    node(&mut sheet, 186.0, high, 112.0, OP, if noisy { "argmax(s)" } else { "argmax(x)" });
                sheet.arrow(&[(last.0 + 2.0, last.1), (argmax.0.0 - 3.0, argmax.0.1)], FORWARD);
                sheet.arrow(&[(argmax.1.0 + 2.0, argmax.1.1), (z.0.0 - 3.0, z.0.1 - 7.0)], FORWARD);
                sheet.arrow(&[(z.0.0 - 2.0, z.0.1 + 7.0), (soft_box.1.0 + 3.0, soft_box.1.1)], BACKWARD);
                sheet.arrow(&[(soft_box.0.0 - 2.0, soft_box.0.1), (x.1.0 + 3.0, x.1.1 + 7.0)], BACKWARD);
            }
        }
        let note = [
            "the sample is relaxed; the gradient follows the path of the value",
            "the sample is one-hot; the gradient sees the same noise",
            "the sample is one-hot; the gradient sees no noise",
            "it is one-hot and not random; no noise at all",
        ][i];
        sheet.text(at(220.0, 184.0), Side::Middle, SMALL, INK, note);
    }
    sheet.arrow(&[(120.0, 458.0), (160.0, 458.0)], FORWARD);
    sheet.note((170.0, 458.0), INK, "forward: the value");
    sheet.arrow(&[(370.0, 458.0), (330.0, 458.0)], BACKWARD);
    sheet.note((380.0, 458.0), INK, "backward: the gradient of the loss");
    sheet.note((670.0, 458.0), INK, "g: Gumbel noise");
    sheet.finish()
}

/// The two halves of softmax's rule, and what passes from one to the other.
pub(super) fn rule() -> String {
    let mut sheet = Sheet::new(380.0);
    let (up, down) = (90.0, 290.0);
    sheet.title((480.0, 24.0), "softmax, one row of n classes");
    sheet.upwards((22.0, up), "forward");
    sheet.upwards((22.0, down), "backward");
    sheet.boxed([60.0, up - 30.0, 170.0, 60.0], LEAF, &["x", "on the tape"]);
    sheet.boxed([320.0, up - 30.0, 300.0, 60.0], OP, &["the kernel", "y = softmax(x)"]);
    sheet.boxed([730.0, up - 30.0, 170.0, 60.0], LEAF, &["y", "already on the tape"]);
    sheet.boxed([60.0, down - 30.0, 170.0, 60.0], LEAF, &["dx", "adds to x’s gradient"]);
    sheet.boxed([320.0, down - 30.0, 300.0, 60.0], OP, &["Rule::backward", "dx = y (dy − ⟨dy, y⟩)"]);
    sheet.boxed([730.0, down - 30.0, 170.0, 60.0], LEAF, &["dy", "from the readers of y"]);
    sheet.boxed(
        [350.0, 164.0, 240.0, 52.0],
        "#ffffff",
        &["the rule, kept by the node:", "Softmax { classes: n }"],
    );
    sheet.arrow(&[(232.0, up), (317.0, up)], FORWARD);
    sheet.arrow(&[(622.0, up), (727.0, up)], FORWARD);
    sheet.arrow(&[(728.0, down), (623.0, down)], BACKWARD);
    sheet.arrow(&[(318.0, down), (233.0, down)], BACKWARD);
    let thin = Pen::new(INK).width(1.5);
    sheet.arrow(&[(470.0, up + 31.0), (470.0, 161.0)], thin);
    sheet.arrow(&[(470.0, 217.0), (470.0, down - 33.0)], thin);
    sheet.arrow(&[(800.0, up + 31.0), (800.0, 190.0), (660.0, 190.0), (600.0, down - 33.0)], thin);
    sheet.note((812.0, 176.0), INK, "y is read again:");
    sheet.note((812.0, 196.0), INK, "nothing is copied");
    sheet.text((145.0, 180.0), Side::Middle, SMALL, INK, "x is not read again:");
    sheet.text((145.0, 200.0), Side::Middle, SMALL, INK, "the output is enough");
    sheet.text((470.0, 352.0), Side::Middle, SMALL, INK, "the Jacobian, n × n numbers, is never built");
    sheet.finish()
}

/// The numbers that a relaxed sample moves through memory, composed of elementary ops and fused.
pub(super) fn kernel_cost() -> String {
    const ROWS: usize = 200;
    const CLASSES: usize = 10;
    let shape = [ROWS, CLASSES];
    let numbers = vec![0.0; ROWS * CLASSES];
    let tape = Tape::inference();
    let logits = tape.input(&numbers, shape);
    let exponential = -tape.input(&vec![0.5; numbers.len()], shape).ln();
    let e = ((logits + -exponential.ln()) / 0.5).exp();
    let _ = e / e.sum_axis(1).reshape([ROWS, 1]);
    let composed = passes(&tape, (ROWS * CLASSES) as f64);
    let tape = Tape::inference();
    tape.input(&numbers, shape).gumbel_softmax(0.5, &mut Noise::seed(1));
    let fused = passes(&tape, (ROWS * CLASSES) as f64);

    let meanings = [
        "the noise u, made elsewhere",
        "ln u",
        "−ln u",
        "ln(−ln u)",
        "g = −ln(−ln u)",
        "x + g",
        "(x + g) / τ",
        "e to that",
        "the sum of each row",
        "the sum, once for each class",
        "y",
    ];
    let rows: Vec<(&str, &str, f64, f64)> = composed
        .iter()
        .filter(|(op, ..)| op != "reshape")
        .zip(meanings)
        .map(|((op, reads, writes), meaning)| (&op[..], meaning, *reads, *writes))
        .collect();
    assert_eq!(rows.len(), meanings.len(), "a pass of each meaning");
    let mut sheet = Sheet::new(520.0);
    let (left, unit, step) = (372.0, 18.0, 29.0);
    sheet
        .title((480.0, 22.0), "numbers moved for each element of a relaxed sample, forward pass, rows of 10");
    let bar = |sheet: &mut Sheet, y: f64, reads: f64, writes: f64| {
        sheet.block([left, y - 9.0, unit * reads, 18.0], SKY, 1.0);
        sheet.block([left + unit * reads, y - 9.0, unit * writes, 18.0], ORANGE, 1.0);
        let name = |x: f64| format!("{}", (x * 10.0).round().abs() / 10.0);
        let note = format!("{} read, {} written", name(reads), name(writes));
        sheet.note((left + unit * (reads + writes) + 10.0, y), INK, &note);
    };
    let mut total = (0.0, 0.0);
    for (i, &(op, meaning, reads, writes)) in rows.iter().enumerate() {
        let y = 62.0 + step * i as f64;
        sheet.text((120.0, y), Side::Left, SMALL, INK, op);
        sheet.note((140.0, y), INK, meaning);
        bar(&mut sheet, y, reads, writes);
        total = (total.0 + reads, total.1 + writes);
    }
    let y = 62.0 + step * rows.len() as f64 + 12.0;
    sheet.line(&[(40.0, y - 20.0), (920.0, y - 20.0)], Pen::new(INK).width(1.0));
    sheet.note((40.0, y), INK, "composed: 11 passes over memory");
    bar(&mut sheet, y, total.0, total.1);
    let y = y + 38.0;
    let (_, reads, writes) = fused[0];
    sheet.note((40.0, y), INK, "fused gumbel_softmax: 1 pass");
    bar(&mut sheet, y, reads, writes);
    sheet.block([40.0, y + 32.0, 22.0, 14.0], SKY, 1.0);
    sheet.note((70.0, y + 39.0), INK, "read");
    sheet.block([130.0, y + 32.0, 22.0, 14.0], ORANGE, 1.0);
    sheet.note((160.0, y + 39.0), INK, "written");
    sheet.note(
        (260.0, y + 39.0),
        INK,
        "counted from the two tapes; the fused kernel works on blocks that fit the cache",
    );
    sheet.finish()
}

/// For each node except the logits, its op and the numbers that it reads and writes, as shares of `elements`.
fn passes(tape: &Tape, elements: f64) -> Vec<(String, f64, f64)> {
    let print = tape.to_string();
    let count = |line: &str| {
        let dims = line.split_once('[')?.1.split_once(']')?.0;
        let dims = dims.split(", ").filter(|dim| !dim.is_empty()).map(|dim| dim.parse::<f64>().ok());
        dims.product::<Option<f64>>()
    };
    let sizes: Vec<f64> = print.lines().map(|line| count(line).expect("a shape")).collect();
    let node = |(line, size): (&str, &f64)| {
        let call = line.split_once(' ').expect("a place").1;
        let (op, rest) = call.split_once(['(', ' ']).expect("an op");
        let inputs = rest.split_once(')').map_or("", |(inputs, _)| inputs).split(", ");
        let inputs = inputs.filter_map(|input| input.strip_prefix('%')?.parse::<usize>().ok());
        let written = if line.contains(" 0 B") { 0.0 } else { *size };
        (op.to_owned(), inputs.map(|input| sizes[input]).sum::<f64>() / elements, written / elements)
    };
    print.lines().zip(&sizes).map(node).skip(1).collect()
}
