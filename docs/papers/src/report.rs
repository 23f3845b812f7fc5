//! The page of results: the tables compared with the papers', made from the files that the runs wrote, with
//! remarks on them. Two pages of its folder have the rest: the runs, and what the models draw.

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
    /// Folder with the files TABLE.jsonl that the tables' commands wrote, remarks on them in TABLE.md, the
    /// findings in findings.md, and a section on the main job in main-job.md. The pictures and the pages
    /// runs.md and images.md are written there too
    #[arg(long, value_name = "DIR", default_value = "docs/results")]
    from: PathBuf,
    /// Page to write
    #[arg(long, value_name = "FILE", default_value = "docs/results.md")]
    out: PathBuf,
}

/// A table: name, heading, and a note for the comparison.
const TABLES: [(&str, &str, &str); 4] = [
    (
        "jang-table1",
        "Jang, Gu, Poole 2017, table 1",
        "Upper bounds on the negative log-likelihood of test images, in nats: of the lower half given the upper half (SBN), or \
         of the whole image (VAE). Lower is better. The paper trains with SGD and momentum, for a number of steps that it does not give.",
    ),
    (
        "concrete",
        "Maddison, Mnih, Teh 2017, table 1 and figure 4 (binary)",
        "Upper bounds on the negative log-likelihood of test images, in nats. Lower is better. The paper trains for 10,000,000 steps. It \
         evaluates densities with 50,000 samples and predictions with 100.",
    ),
    (
        "semi-supervised",
        "Jang, Gu, Poole 2017, section 4.3: 100 labels",
        "-ELBO in nats and accuracy in per cent, both on test images. These runs differ from the paper's in more than the \
         engine. We shift the labelled images at random, and we train q(y | x) of the unlabelled images with virtual \
         adversarial training and a term for equal use of the classes. The paper does neither. Its nets are convolutional, and \
         it binarizes its unlabelled images anew in each batch. We chose settings by the accuracy on the 10,000 validation \
         images, which are many compared with 100 labels.",
    ),
    (
        "modern",
        "Later estimators",
        "Upper bounds on the negative log-likelihood of test images, in nats. Lower is better. All estimators train one VAE, 784-200-z-200-784 \
         with ReLU. A figure is the mean over the seeds in the list of runs (three where all have been run), with their standard \
         deviation.",
    ),
];

/// Rows that read one row of a paper in two ways. A total counts only one of them.
const READINGS: [(&str, &str); 2] =
    [("VAE categorical", "784-(20x10)-784"), ("VAE categorical, 200", "784-(20x10)-200-784")];

pub(crate) fn run(args: &Args) -> Result<i32> {
    let of_folder = |name: &str| read_text(&args.from.join(name));
    let mut page = format!("# Results\n\n{}", of_folder("findings.md")?);
    let inside = |name: &str| link(&args.from, &args.from.join(name));
    page += &HEAD.replace("RUNS", &inside("runs.md")).replace("IMAGES", &inside("images.md"));
    let (mut runs, mut images) = (String::from(RUNS_HEAD), String::from(IMAGES_HEAD));
    let mut found = 0;
    for (table, heading, note) in TABLES {
        let file = args.from.join(format!("{table}.jsonl"));
        let all: Vec<CellRecord> = read_lines(&file)?;
        let lines = of_each_cell(&all, u64::max);
        if lines.is_empty() {
            continue;
        }
        found += 1;
        let remarks = read_text(&file.with_extension("md"))?;
        let parts = [note.to_owned(), summary(&all), figures(&lines), remarks];
        let parts: Vec<&str> =
            parts.iter().map(|part| part.trim_end()).filter(|part| !part.is_empty()).collect();
        let _ = writeln!(page, "\n## {heading}\n\n{}", parts.join("\n\n"));
        let mut curves: Vec<Curve> = read_lines(&beside(&file, "curves.jsonl"))?;
        curves.retain(|curve| lines.iter().any(|line| curve.is_of(line)));
        for (alt, picture) in draw_curves(&args.from, table, &curves)? {
            let _ = write!(page, "\n![{}]({})\n", plain(&alt), link(&args.from, &picture));
        }
        page += &cost_section(&args.from, &file)?;
        let _ = write!(runs, "\n## {heading}\n\n{}", details(&lines));
        if let Some(drawn) = drawn(&args.from, &file, &lines) {
            let _ = write!(images, "\n## {heading}\n\n{drawn}");
        }
    }
    if found == 0 {
        let expected =
            format!("a folder with one of {}", TABLES.map(|(table, ..)| format!("{table}.jsonl")).join(", "));
        return Err(Error::format(&args.from, expected, "none"));
    }
    let main_job = of_folder("main-job.md")?;
    if !main_job.is_empty() {
        let _ = write!(page, "\n{main_job}");
    }
    write_atomically(&args.out, page)?;
    for (name, text) in [("runs.md", runs), ("images.md", images)] {
        write_atomically(args.from.join(name), text)?;
    }
    say!("wrote {}", args.out.display());
    Ok(0)
}

const HEAD: &str = "
## How to read the tables

`reparam-papers report` makes this page from files that `reparam-papers TABLE` wrote. [json.md](json.md) describes their fields.
[The list of runs](RUNS) has the settings, steps and seconds of each figure, and [a page of images](IMAGES) shows samples
from the models.

For every cell we choose settings and stop training on the validation images. The figure comes from hard samples on the test
images, and the standard error is over these images. The difference is ours less the paper's. It is bold where ours is as good or
better.

Unless a table says otherwise, the budget is `full` and the images are the embedded MNIST. They were binarized once by sampling, like
the literature's, but they are not the same file. This alone can change a figure by some tenths of a nat.
";

const RUNS_HEAD: &str = "\
# The runs

Made by `reparam-papers report`. There is one line per figure of the results, and two for a cell with an accuracy. Steps belong to
the run that counts, and \"best at\" is the step whose parameters were kept. Seconds include the search for settings. They are by the
clock of machines that did other work at the same time, so do not compare them. The label is the commit.
";

const IMAGES_HEAD: &str = "\
# Images from the models

Made by `reparam-papers report`. Each strip shows the probabilities of pixels, given hard samples of the latent variables from the
prior. A model that predicts a lower half draws it below the upper half of a test image.

*Look for digits that you can read, and for digits that come up more than once.*
";

/// The results of each cell at one number of steps. `prefer` chooses it if there are several.
fn of_each_cell(lines: &[CellRecord], prefer: fn(u64, u64) -> u64) -> Vec<&CellRecord> {
    let cell = |line: &CellRecord| [line.row.clone(), line.column.clone()];
    let mut chosen: BTreeMap<[String; 2], u64> = BTreeMap::new();
    for line in lines {
        let steps = chosen.entry(cell(line)).or_insert(line.steps);
        *steps = prefer(*steps, line.steps);
    }
    lines.iter().filter(|line| line.steps == chosen[&cell(line)]).collect()
}

/// The number of figures that are as good as the paper's, and of figures that were chosen differently from
/// the others.
fn summary(all: &[CellRecord]) -> String {
    let lines = of_each_cell(all, u64::max);
    let mut sentences = Vec::new();
    if let Some(totals) = totals(&lines) {
        sentences.push(format!("As good as the paper's figure or better: {totals}."));
        let again = all.len() - lines.len();
        if let (true, Some(first)) = (again > 0, totals_of_first_runs(all)) {
            sentences.push(format!("{again} of these figures come from second runs. Without them: {first}."));
        }
    }
    let earlier = lines.iter().filter(|line| !has_finals(line)).count();
    if earlier > 0 {
        sentences.push(format!(
            "{earlier} figures are of an earlier search, which did not end with runs in full."
        ));
    }
    sentences.extend(distinct(lines.iter().filter_map(|line| how_made(line))));
    sentences.join("\n")
}

fn totals_of_first_runs(all: &[CellRecord]) -> Option<String> {
    totals(&of_each_cell(all, u64::min))
}

/// The number of figures that are as good as the paper's, for each reading of its rows; `None` if there is
/// nothing to compare.
fn totals(lines: &[&CellRecord]) -> Option<String> {
    let has = |row: &str| lines.iter().any(|line| line.row == row);
    let total = |without: Option<&str>| {
        let compared = lines.iter().filter(|line| line.paper.is_some() && Some(&line.row[..]) != without);
        let (count, reached) = compared
            .fold((0, 0), |(count, reached), line| (count + 1, reached + usize::from(is_reached(line))));
        (count > 0).then(|| format!("{reached} of {count}"))
    };
    if !READINGS.iter().all(|(row, _)| has(row)) {
        return total(None);
    }
    let [(first, first_net), (second, second_net)] = READINGS;
    let (with_first, with_second) = (total(Some(second))?, total(Some(first))?);
    Some(format!(
        "{with_first} figures if the paper's categorical VAE is {first_net}, {with_second} if it is {second_net}"
    ))
}

/// The budget and the images of a line, unless they are the full budget and the embedded images.
fn how_made(line: &CellRecord) -> Option<String> {
    let budget = &line.budget;
    match &line.data {
        None if *budget == Budget::Full.name() => None,
        None => Some(format!("Budget: {}.", plain(budget))),
        Some(data) => Some(format!("Budget: {}. Images: {}.", plain(budget), plain(data))),
    }
}

/// Returns true if the last runs of the search were full runs.
fn has_finals(line: &CellRecord) -> bool {
    line.search.iter().any(|trial| trial.choice.starts_with(IN_FULL))
}

/// Returns true if a figure is as good as the paper's.
fn is_reached(line: &CellRecord) -> bool {
    line.paper.is_some_and(|paper| is_as_good(line.ours, paper, &line.column))
}

/// Returns true if `ours` is as good as the paper's: lower is better for nats, higher for accuracies.
fn is_as_good(ours: f64, paper: f64, column: &str) -> bool {
    if column == ACCURACY { ours >= paper } else { ours <= paper }
}

/// The figures of a table, compared with the paper's if it has some, otherwise in rows and columns.
fn figures(lines: &[&CellRecord]) -> String {
    match lines.iter().any(|line| line.paper.is_some()) {
        true => compared(lines),
        false => grid(lines),
    }
}

/// One table for each row of the paper's, or for each column if there are fewer columns.
fn compared(lines: &[&CellRecord]) -> String {
    let (row, column): (NameOf<CellRecord>, NameOf<CellRecord>) = (|line| &line.row, |line| &line.column);
    let count = |name: NameOf<CellRecord>| distinct(lines.iter().map(|line| name(line))).len();
    let (table_of, line_of) = if count(row) <= count(column) { (row, column) } else { (column, row) };
    let tables = distinct(lines.iter().map(|line| table_of(line))).into_iter().map(|table| {
        let mut text = format!(
            "**{}**\n\n| | ours | standard error | paper | difference |\n|---|---:|---:|---:|---:|\n",
            plain(table)
        );
        let inside: Vec<&CellRecord> = lines.iter().copied().filter(|line| table_of(line) == table).collect();
        for name in distinct(inside.iter().map(|line| line_of(line))) {
            let of_cell: Vec<&CellRecord> =
                inside.iter().copied().filter(|line| line_of(line) == name).collect();
            let _ = writeln!(text, "| {} | {} |", plain(name), comparison(&of_cell));
        }
        text
    });
    tables.collect::<Vec<_>>().join("\n")
}

/// Ours, its standard error if there is one run, the paper's and the difference.
fn comparison(of_cell: &[&CellRecord]) -> String {
    let error = match of_cell {
        [line] => format!("{:.2}", line.standard_error),
        _ => String::new(),
    };
    let ours: Vec<f64> = of_cell.iter().map(|line| line.ours).collect();
    let (Some(paper), Some((mean, _))) = (of_cell[0].paper, mean_and_spread(&ours)) else {
        return format!("{} | {error} | | ", entry(of_cell));
    };
    let difference = format!("{:+.2}", mean - paper);
    let difference = match is_as_good(mean, paper, &of_cell[0].column) {
        true => format!("**{difference}**"),
        false => difference,
    };
    format!("{} | {error} | {paper:.1} | {difference}", entry(of_cell))
}

/// Rows and columns as in the table's command, with the temperatures if the table sets them.
fn grid(lines: &[&CellRecord]) -> String {
    let rows = distinct(lines.iter().map(|line| &line.row[..]));
    let columns = distinct(lines.iter().map(|line| &line.column[..]));
    let mut text = format!(
        "| | temperature | {} |\n|---|---|{}\n",
        columns.iter().map(|column| plain(column)).collect::<Vec<_>>().join(" | "),
        "---:|".repeat(columns.len())
    );
    for row in rows {
        let of_row: Vec<&CellRecord> = lines.iter().copied().filter(|line| line.row == row).collect();
        let taus = distinct(of_row.iter().map(|line| temperatures(line))).join("; ");
        let _ = write!(text, "| {} | {taus} |", plain(row));
        for &column in &columns {
            let of_cell: Vec<&CellRecord> =
                of_row.iter().copied().filter(|line| line.column == column).collect();
            let _ = write!(text, " {} |", entry(&of_cell));
        }
        text += "\n";
    }
    text
}

/// The temperature at the first and the last step; empty if the estimator keeps its own or has none.
fn temperatures(line: &CellRecord) -> String {
    line.tau.map_or(String::new(), |(start, end)| format!("{start} to {end}"))
}

/// Text escaped for Markdown, tables included.
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

/// The mean of a cell's figures, with the standard deviation if there are several.
fn entry(of_cell: &[&CellRecord]) -> String {
    let ours: Vec<f64> = of_cell.iter().map(|line| line.ours).collect();
    let Some((mean, spread)) = mean_and_spread(&ours) else { return String::new() };
    let spread = spread.map_or(String::new(), |spread| format!(" ± {spread:.2}"));
    format!("{mean:.2}{spread}")
}

/// One line per result, with the settings that made it.
fn details(lines: &[&CellRecord]) -> String {
    let mut text = String::from(
        "| row | column | seed | ours | standard error | steps | best at | estimator | optimizer | rate | tau | samples | \
         seconds | label |\n|---|---|---:|---:|---:|---:|---:|---|---|---:|---|---:|---:|---|\n",
    );
    for line in lines {
        let tau = temperatures(line);
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

/// The strips that the models of a table draw, if there are pictures.
fn drawn(from: &Path, file: &Path, lines: &[&CellRecord]) -> Option<String> {
    let of_line = |line: &&CellRecord| {
        let picture = picture(file, &line.row, &line.column, line.seed);
        let inside = picture.strip_prefix(from).unwrap_or(&picture).to_string_lossy().into_owned();
        let cell = plain(&line.label());
        (line.column != ACCURACY && picture.is_file())
            .then(|| format!("{cell}\n\n![images of {cell}]({inside})\n"))
    };
    let pictures: Vec<String> = lines.iter().filter_map(of_line).collect();
    (!pictures.is_empty()).then(|| pictures.join("\n"))
}

/// The costs of semi-supervised steps, if they were measured.
fn cost_section(from: &Path, file: &Path) -> Result<String> {
    let lines: Vec<cost::CostRecord> = read_lines(&beside(file, "cost.jsonl"))?;
    let Some(first) = lines.first() else { return Ok(String::new()) };
    let mut text = format!(
        "\n### The cost of a step\n\nThe ratio is the time of a step with marginalization over the time of a step with the method; threads: {}.\n\n\
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

/// Pictures of the scores on the validation images against the step, for the first seed: one for each row of
/// a table, or for each column if there are fewer columns.
fn draw_curves(from: &Path, table: &str, curves: &[Curve]) -> Result<Vec<(String, PathBuf)>> {
    let (row, column): (NameOf<Curve>, NameOf<Curve>) = (|curve| &curve.row, |curve| &curve.column);
    let count = |name| distinct(curves.iter().map(name)).len();
    match count(row) <= count(column) {
        true => draw_each(from, table, curves, row, column),
        false => draw_each(from, table, curves, column, row),
    }
}

/// The row or the column of a result or a curve.
type NameOf<T> = fn(&T) -> &str;

fn draw_each(
    from: &Path,
    table: &str,
    curves: &[Curve],
    picture_of: NameOf<Curve>,
    line_of: NameOf<Curve>,
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

/// The path of a picture as the page next to the folder writes it.
fn link(from: &Path, picture: &Path) -> String {
    let inside = picture.strip_prefix(from).unwrap_or(picture);
    let names = from.file_name().into_iter().chain(inside.iter());
    names.map(|name| name.to_string_lossy()).collect::<Vec<_>>().join("/")
}
