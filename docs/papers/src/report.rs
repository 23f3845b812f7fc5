//! The page of results: the tables beside the papers', made from the files that the runs wrote, with remarks on them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use reparam::cli::plot::{self, Axes};
use reparam::cli::say;
use reparam::internal::write_atomically;
use reparam::{Error, Result};

use crate::Budget;
use crate::cell::ACCURACY;
use crate::cost;
use crate::print::{distinct, mean_and_spread};
use crate::records::{CellRecord, Curve, IN_FULL, beside, picture, rate, read_lines, read_text};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of the files TABLE.jsonl that the tables' commands wrote, and of remarks on them, TABLE.md, if there are any;
    /// the pictures go there too
    #[arg(long, value_name = "DIR", default_value = "docs/results")]
    from: PathBuf,
    /// Page to write
    #[arg(long, value_name = "FILE", default_value = "docs/results.md")]
    out: PathBuf,
}

/// A table: name, heading, what a reader must know to compare.
const TABLES: [(&str, &str, &str); 4] = [
    (
        "jang-table1",
        "Jang, Gu, Poole 2017, table 1",
        "Upper bounds on negative log-likelihoods of test images in nats: of the lower half given the upper (SBN), of the \
         whole image (VAE). The paper trains with SGD and momentum for a number of steps that it does not give.",
    ),
    (
        "concrete",
        "Maddison, Mnih, Teh 2017, table 1 and figure 4 (binary)",
        "Upper bounds on negative log-likelihoods of test images in nats. The paper trains for 10,000,000 steps and evaluates \
         densities with 50,000 samples, predictions with 100.",
    ),
    (
        "semi-supervised",
        "Jang, Gu, Poole 2017, section 4.3: 100 labels",
        "-ELBO on test images in nats, and accuracy on them. The paper's nets are convolutional, and its unlabelled images \
         are binarized anew in each batch; it has neither random shifts of the labelled images nor virtual adversarial \
         training and equal use of the classes for the others, which lead q(y | x) here. Settings were chosen by the accuracy \
         on the 10,000 validation images, many beside 100 labels.",
    ),
    (
        "modern",
        "Later estimators",
        "Upper bounds on negative log-likelihoods of test images in nats under one VAE, 784-200-z-200-784 with ReLU; the mean \
         over the seeds in the list of runs, three where all have been run, with the standard deviation.",
    ),
];

pub(crate) fn run(args: &Args) -> Result<i32> {
    let mut page = String::from(HEAD);
    let mut found = 0;
    for (table, heading, note) in TABLES {
        let file = args.from.join(format!("{table}.jsonl"));
        let lines = longest(read_lines(&file)?);
        if lines.is_empty() {
            continue;
        }
        found += 1;
        let remarks = read_text(&file.with_extension("md"))?;
        let parts = [note.to_owned(), summary(&lines), grid(&lines), remarks];
        let parts: Vec<&str> =
            parts.iter().map(|part| part.trim_end()).filter(|part| !part.is_empty()).collect();
        let _ = writeln!(page, "\n## {heading}\n\n{}", parts.join("\n\n"));
        let mut curves: Vec<Curve> = read_lines(&beside(&file, "curves.jsonl"))?;
        curves.retain(|curve| lines.iter().any(|line| curve.is_of(line)));
        for (alt, picture) in draw_curves(&args.from, table, &curves)? {
            let _ = write!(page, "\n![{}]({})\n", plain(&alt), link(&args.from, &picture));
        }
        let _ = write!(page, "\n{}", details(&lines));
        page += &drawn(&args.from, &file, &lines);
        page += &cost_section(&args.from, &file)?;
    }
    if found == 0 {
        let expected =
            format!("a folder with one of {}", TABLES.map(|(table, ..)| format!("{table}.jsonl")).join(", "));
        return Err(Error::format(&args.from, expected, "none"));
    }
    write_atomically(&args.out, page)?;
    say!("wrote {}", args.out.display());
    Ok(0)
}

const HEAD: &str = "\
# Results

Made by `reparam-papers report` from the files in this folder's `results`, which `reparam-papers TABLE` wrote; their
fields are in [json.md](json.md). Every cell: settings chosen and training stopped on the validation images, the figure from
hard samples on the test images. Ours first, then the paper's, then the difference.

Unless said otherwise, the budget is the full one and the images are the embedded MNIST. It was binarized once by sampling, as
the literature's fixed one was, but it is not the same file: figures can differ by some tenths of a nat for that alone. Seconds
are by the clock, whatever else the machine did meanwhile.
";

/// Of cells that were run with several numbers of steps, the results of the most.
fn longest(lines: Vec<CellRecord>) -> Vec<CellRecord> {
    let mut most: BTreeMap<[String; 2], u64> = BTreeMap::new();
    let cell = |line: &CellRecord| [line.row.clone(), line.column.clone()];
    for line in &lines {
        let most = most.entry(cell(line)).or_default();
        *most = line.steps.max(*most);
    }
    lines.into_iter().filter(|line| line.steps == most[&cell(line)]).collect()
}

/// How many cells are as good as the paper's, and how many were chosen otherwise than they would be now.
fn summary(lines: &[CellRecord]) -> String {
    let compared: Vec<&CellRecord> = lines.iter().filter(|line| line.paper.is_some()).collect();
    let reached = compared.iter().filter(|line| is_reached(line)).count();
    let mut sentences = Vec::new();
    if !compared.is_empty() {
        let count = compared.len();
        sentences.push(format!("{reached} of {count} figures are as good as the paper's or better."));
    }
    let earlier = lines.iter().filter(|line| !has_finals(line)).count();
    if earlier > 0 {
        sentences.push(format!("{earlier} are of an earlier search, without the runs in full at its end."));
    }
    sentences.extend(distinct(lines.iter().filter_map(how_made)));
    sentences.join("\n")
}

/// What a line was made with, if not the full budget and the embedded images.
fn how_made(line: &CellRecord) -> Option<String> {
    let budget = &line.budget;
    match &line.data {
        None if *budget == Budget::Full.name() => None,
        None => Some(format!("Budget: {}.", plain(budget))),
        Some(data) => Some(format!("Budget: {}. Images: {}.", plain(budget), plain(data))),
    }
}

/// Whether the last runs of the search were in full.
fn has_finals(line: &CellRecord) -> bool {
    line.search.iter().any(|trial| trial.choice.starts_with(IN_FULL))
}

/// Nats are the better the lower, accuracies the higher.
fn is_reached(line: &CellRecord) -> bool {
    let better = if line.column == ACCURACY { -1.0 } else { 1.0 };
    line.paper.is_some_and(|paper| better * (line.ours - paper) <= 0.0)
}

/// Rows and columns as in the paper.
fn grid(lines: &[CellRecord]) -> String {
    let rows = distinct(lines.iter().map(|line| &line.row[..]));
    let columns = distinct(lines.iter().map(|line| &line.column[..]));
    let mut text = format!(
        "| | {} |\n|---|{}\n",
        columns.iter().map(|column| plain(column)).collect::<Vec<_>>().join(" | "),
        "---:|".repeat(columns.len())
    );
    for row in rows {
        let _ = write!(text, "| {} |", plain(row));
        for &column in &columns {
            let of_cell: Vec<&CellRecord> =
                lines.iter().filter(|line| line.row == row && line.column == column).collect();
            let _ = write!(text, " {} |", entry(&of_cell));
        }
        text += "\n";
    }
    text
}

/// Text as Markdown shows it, in a table too.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        match c {
            '<' => plain += "&lt;",
            '&' => plain += "&amp;",
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '!' => plain.extend(['\\', c]),
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}

fn entry(of_cell: &[&CellRecord]) -> String {
    let ours: Vec<f64> = of_cell.iter().map(|line| line.ours).collect();
    let Some((mean, spread)) = mean_and_spread(&ours) else { return String::new() };
    let spread = spread.map_or(String::new(), |spread| format!(" ± {spread:.2}"));
    let paper =
        of_cell[0].paper.map_or(String::new(), |paper| format!(" / {paper:.1} / {:+.1}", mean - paper));
    format!("{mean:.2}{spread}{paper}")
}

/// One line per result, with what it was made by.
fn details(lines: &[CellRecord]) -> String {
    let mut text = String::from(
        "| row | column | seed | ours | standard error | steps | best at | estimator | optimizer | rate | tau | samples | \
         seconds | label |\n|---|---|---:|---:|---:|---:|---:|---|---|---:|---|---:|---:|---|\n",
    );
    for line in lines {
        let tau = line.tau.map_or(String::new(), |(start, end)| format!("{start} to {end}"));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2} | {:.2} | {} | {} | {} | {} | {} | {tau} | {} | {:.0} | {} |",
            plain(&line.row),
            plain(&line.column),
            line.seed,
            line.ours,
            line.standard_error,
            line.steps_of_run(),
            line.best_step,
            plain(&line.estimator),
            plain(&line.optimizer),
            rate(line.learning_rate),
            line.test_samples,
            line.seconds,
            plain(line.label.as_deref().unwrap_or("")),
        );
    }
    text
}

/// What the models of a table draw, where there are pictures of it.
fn drawn(from: &Path, file: &Path, lines: &[CellRecord]) -> String {
    let of_line = |line: &CellRecord| {
        let picture = picture(file, &line.row, &line.column, line.seed);
        let cell = plain(&line.label());
        (line.column != ACCURACY && picture.is_file())
            .then(|| format!("{cell}\n\n![images of {cell}]({})\n", link(from, &picture)))
    };
    let pictures: Vec<String> = lines.iter().filter_map(of_line).collect();
    if pictures.is_empty() {
        return String::new();
    }
    format!(
        "\n### What the models draw\n\nProbabilities of pixels, given hard samples of the latent variables from the prior; where a \
         lower half is predicted, it is drawn below the upper half of a test image.\n\n{}",
        pictures.join("\n")
    )
}

/// The costs of semi-supervised steps, where they were measured.
fn cost_section(from: &Path, file: &Path) -> Result<String> {
    let lines: Vec<cost::CostRecord> = read_lines(&beside(file, "cost.jsonl"))?;
    let Some(first) = lines.first() else { return Ok(String::new()) };
    let mut text = format!(
        "\n### The cost of a step\n\nTime of a step of marginalization over that of the method; threads: {}.\n\n\
         | method | classes | ms | marginalization, ms | ratio | paper |\n|---|---:|---:|---:|---:|---:|\n",
        first.threads
    );
    for line in &lines {
        let (own, all) = (line.us_per_step / 1e3, line.us_per_step_marginalization / 1e3);
        let paper = line.paper.map_or(String::new(), |paper| paper.to_string());
        let _ = writeln!(
            text,
            "| {} | {} | {own:.2} | {all:.2} | {:.1} | {paper} |",
            plain(&line.row),
            line.classes,
            line.ours
        );
    }
    let picture = beside(file, "cost.svg");
    cost::draw(&picture, &lines)?;
    let _ = write!(text, "\n![time of a step against the number of classes]({})\n", link(from, &picture));
    Ok(text)
}

/// Pictures of the scores on the validation images against the step, the first seed's: one for each row of a table, or for
/// each column where those are fewer.
fn draw_curves(from: &Path, table: &str, curves: &[Curve]) -> Result<Vec<(String, PathBuf)>> {
    let (row, column): (NameOf, NameOf) = (|curve| &curve.row, |curve| &curve.column);
    let count = |name| distinct(curves.iter().map(name)).len();
    match count(row) <= count(column) {
        true => draw_each(from, table, curves, row, column),
        false => draw_each(from, table, curves, column, row),
    }
}

/// Which of a curve's names.
type NameOf = fn(&Curve) -> &str;

fn draw_each(
    from: &Path,
    table: &str,
    curves: &[Curve],
    picture_of: NameOf,
    line_of: NameOf,
) -> Result<Vec<(String, PathBuf)>> {
    let mut pictures = Vec::new();
    for (i, name) in distinct(curves.iter().map(picture_of)).into_iter().enumerate() {
        let inside: Vec<&Curve> = curves.iter().filter(|curve| picture_of(curve) == name).collect();
        let firsts = distinct(inside.iter().map(|curve| line_of(curve)));
        let first = |line: &str| {
            inside.iter().find(|curve| line_of(curve) == line).map(|curve| (line.to_owned(), *curve))
        };
        let lines: Vec<plot::Curve> = firsts
            .into_iter()
            .filter_map(first)
            .enumerate()
            .map(|(i, (line, curve))| {
                let point = |&(step, score): &(u64, Option<f64>)| Some((step as f64, score?));
                let points = curve.curve.iter().filter_map(point).collect();
                plot::Curve::nth(i, line, points)
            })
            .collect();
        if lines.iter().all(|line| line.points.len() < 2) {
            continue;
        }
        let path = from.join(format!("{table}.{i}.svg"));
        let title = format!("{name}: score on the validation images");
        write_atomically(&path, plot::linear(&Axes { x: "step", y: &title }, &lines)?)?;
        pictures.push((format!("{title} by step"), path));
    }
    Ok(pictures)
}

/// A picture as the page beside the folder names it.
fn link(from: &Path, picture: &Path) -> String {
    let inside = picture.strip_prefix(from).unwrap_or(picture);
    let names = from.file_name().into_iter().chain(inside.iter());
    names.map(|name| name.to_string_lossy()).collect::<Vec<_>>().join("/")
}
