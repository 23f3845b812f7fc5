//! Do the tables run cell by cell, resume, and report what they found, and are the committed pictures and pages what the
//! commands write?

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use desk::{Desk, Running, all, is_picture, json_lines, text};
use insta::assert_snapshot;
use serde_json::Value;

#[allow(dead_code)]
#[path = "../../../tests/suite/common/desk.rs"]
mod desk;

fn desk() -> Desk {
    Desk::new(env!("CARGO_BIN_EXE_reparam-papers"))
}

/// The repository's folder of pages.
fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The pictures in docs/figures that do not go through matrix products and take no time, in the order in which they are drawn.
const PICTURES: [&str; 17] = [
    "coin-and-gaussian",
    "staircase",
    "race",
    "baseline",
    "bump",
    "gradient-paths",
    "gradcheck-step",
    "rule",
    "kernel-cost",
    "elbo-gap",
    "density",
    "gradient",
    "temperature",
    "simplex",
    "straight-through",
    "lab-training",
    "tape",
];

fn committed_pictures() -> PathBuf {
    docs().join("figures")
}

#[test]
fn figures_are_those_of_the_docs_at_any_number_of_threads() {
    let desk = desk();
    for threads in [1, 3] {
        let said =
            desk.run(&format!("figures --only {} --out pictures --threads {threads}", PICTURES.join(",")));
        assert_eq!(said.lines().collect::<Vec<_>>(), PICTURES);
        let mut files = PICTURES.map(|name| [format!("{name}.png"), format!("{name}.svg")]).concat();
        files.sort();
        assert_eq!(desk.names("pictures"), files);
        for file in &files {
            let (drawn, committed) =
                (desk.read(&format!("pictures/{file}")), fs::read(committed_pictures().join(file)).unwrap());
            // The last digits of a PNG file's colours may be others on another processor.
            let comparable = file.ends_with(".svg") || cfg!(target_arch = "x86_64");
            assert!(
                drawn == committed || !comparable,
                "docs/figures/{file} is not what `reparam-papers figures` draws"
            );
        }
    }
}

/// Markdown ends an inlined picture at an empty line; what has no viewBox does not shrink with the page.
#[test]
fn pictures_can_be_inlined() {
    let mut count = 0;
    for entry in fs::read_dir(committed_pictures()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "svg") {
            continue;
        }
        let svg = fs::read_to_string(&path).unwrap();
        // A tape is as wide as its nodes.
        let is_tape = path.ends_with("tape.svg");
        let head = svg.lines().next().unwrap();
        assert!(is_tape || head.starts_with("<svg width=\"960\""), "{}: not 960 wide", path.display());
        assert!(head.contains("viewBox"), "{}: no viewBox", path.display());
        assert!(svg.lines().all(|line| !line.trim().is_empty()), "{}: an empty line", path.display());
        assert!(svg.len() < 150_000, "{}: {} bytes", path.display(), svg.len());
        count += 1;
    }
    assert!(count >= 24, "{count} pictures");
}

#[test]
fn figures_refuses_what_it_cannot_do() {
    let desk = desk();
    assert_snapshot!(
        [
            desk.refused("figures --only foo,temperature"),
            desk.refused("figures --only temperature --out data/t10k-labels-idx1-ubyte/pictures"),
        ]
        .join("\n"),
        @"
    error: --only: expected names among coin-and-gaussian, staircase, race, baseline, bump, bias-arrow, gradient-paths, gradcheck-step, rule, kernel-cost, elbo-gap, density, gradient, temperature, simplex, tails, straight-through, gradients, bias-variance, lab-temperature, lab-samples, lab-training, tape, digits, code-usage, found `foo`
    error: data/t10k-labels-idx1-ubyte/pictures: cannot create the folder: Not a directory (os error 20)
    "
    );
}

/// The cells of a table that take no time.
const REPRODUCE: &str = "--data data --samples 2 --threads 1";
/// The same where the number of samples is fixed.
const ONE_SAMPLE: &str = "--data data --threads 1";

/// The documented fields, of the documented types; returns `row | column` of each line.
fn check_results(desk: &Desk, file: &str, table: &str) -> Vec<String> {
    let lines = json_lines(desk, file);
    for line in &lines {
        assert_eq!(line["table"], table);
        for field in ["ours", "standard_error", "validation", "seconds", "learning_rate"] {
            assert!(line[field].is_f64(), "{field} in {line}");
        }
        for field in ["steps", "best_step", "seed", "batch", "training_samples", "test_samples"] {
            assert!(line[field].is_u64(), "{field} in {line}");
        }
        assert!(line["paper"].is_f64() || line["paper"].is_null(), "{line}");
        assert!(line["optimizer"].as_str().unwrap().starts_with("adam "), "{line}");
    }
    let curves = json_lines(desk, &file.replace(".jsonl", ".curves.jsonl"));
    let name =
        |line: &Value| ["row", "column"].map(|field| line[field].as_str().unwrap().to_owned()).join(" | ");
    let names: Vec<String> = lines.iter().map(name).collect();
    assert_eq!(curves.iter().map(name).collect::<Vec<_>>(), names);
    assert!(curves.iter().all(|curve| !curve["curve"].as_array().unwrap().is_empty()));
    assert!(!desk.path(&file.replace(".jsonl", ".work")).exists());
    names
}

#[test]
fn reproduce_runs_every_cell_of_jangs_table_once() {
    let desk = desk();
    let line = format!("jang-table1 {REPRODUCE} --steps 3 --json jang.jsonl --label abc");
    let said = desk.run(&line);
    assert!(said.contains("VAE categorical, 200") && !said.contains('±'), "{said}");
    let names = check_results(&desk, "jang.jsonl", "jang-table1");
    assert_eq!((names.len(), names.iter().collect::<HashSet<_>>().len()), (35, 35));
    assert!(json_lines(&desk, "jang.jsonl").iter().all(|line| line["label"] == "abc"));
    let before = desk.read("jang.jsonl");
    desk.run(&line);
    assert!(desk.read("jang.jsonl") == before, "a cell was run again");
}

/// The settings of a line are those of the short runs that were better than all before them, the last one of each kind.
fn check_chosen(line: &Value) {
    let mut best = f64::INFINITY;
    let mut chosen: Vec<[&str; 2]> = Vec::new();
    for trial in line["search"].as_array().unwrap() {
        let (kind, value) = trial["choice"].as_str().unwrap().split_once(' ').unwrap();
        let validation = trial["validation"].as_f64().unwrap();
        if kind != "in" && validation < best {
            best = validation;
            chosen.retain(|[other, _]| *other != kind);
            chosen.push([kind, value]);
        }
    }
    for [kind, value] in chosen {
        let is_chosen = match kind {
            "betas" => line["optimizer"] == format!("adam {value}"),
            "tau" => {
                let (start, end) = value.split_once(" to ").unwrap();
                line["tau"] == serde_json::json!([start.parse::<f64>().unwrap(), end.parse::<f64>().unwrap()])
            }
            "estimator" => line["estimator"] == value,
            _ => true,
        };
        assert!(is_chosen, "{kind} {value} in {line}");
    }
}

#[test]
fn reproduce_chooses_settings_on_the_validation_split() {
    let desk = desk();
    desk.run(&format!(
        "jang-table1 {REPRODUCE} --steps 20 --budget full --only annealed,MuProp --json jang.jsonl"
    ));
    check_results(&desk, "jang.jsonl", "jang-table1");
    for line in json_lines(&desk, "jang.jsonl") {
        let search = line["search"].as_array().unwrap();
        let best_of = |start: &str| {
            let named = search.iter().filter(|trial| trial["choice"].as_str().unwrap().starts_with(start));
            let score = |trial: &&Value| trial["validation"].as_f64().unwrap();
            let best = named.min_by(|a, b| score(a).total_cmp(&score(b))).unwrap();
            let rate = best["choice"].as_str().unwrap().rsplit(' ').next().unwrap().parse::<f64>();
            (rate.unwrap(), score(&best))
        };
        // Rates, then other estimators or temperatures, then other decays; each choice that changes something is tried once.
        let is_sbn = line["row"].as_str().unwrap().starts_with("SBN");
        let short = match (line["column"].as_str(), is_sbn) {
            (Some("MuProp"), true) => 2 + 1 + 1,
            (Some("MuProp"), false) => 3 + 1 + 1,
            (_, true) => 2 + 3 + 1,
            (_, false) => 4 + 3 + 1,
        };
        assert_eq!(search.len(), short + 2, "{line}");
        // The first stage is the learning rate; the last two runs are in full, at that rate and at a third of it. The best run of
        // all counts, a short one too.
        let (short, _) = best_of("learning rate");
        let (full, validation) = best_of("in full");
        let best = search.iter().map(|trial| trial["validation"].as_f64().unwrap()).fold(f64::MAX, f64::min);
        let chosen = line["learning_rate"].as_f64().unwrap();
        assert!([short, short / 3.0].iter().any(|rate| (chosen / rate - 1.0).abs() < 1e-6), "{line}");
        let expected = if best < validation { short } else { full };
        assert!((expected / chosen - 1.0).abs() < 0.05, "{line}");
        assert_eq!(line["validation"], best, "{line}");
        check_chosen(&line);
    }
}

/// On images so few, black and white without a grey to draw from, more steps learn them by heart.
#[test]
fn a_short_run_counts_where_it_is_the_best_one() {
    let desk = desk();
    desk.write_data("few", 120, 3);
    for name in ["few/train-images-idx3-ubyte", "few/t10k-images-idx3-ubyte"] {
        let mut bytes = desk.read(name);
        bytes[16..].iter_mut().for_each(|pixel| *pixel = if *pixel < 30 { 0 } else { 255 });
        fs::write(desk.path(name), bytes).unwrap();
    }
    let line = "jang-table1 --data few --samples 2 --threads 1 --steps 500 --budget full";
    let name = ["--json", "jang-table1.jsonl", "--only", "SBN bernoulli / ST"];
    let output = desk.command(line).args(name).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let [line, curve] =
        ["jang-table1.jsonl", "jang-table1.curves.jsonl"].map(|file| json_lines(&desk, file).remove(0));
    let search = line["search"].as_array().unwrap();
    let scores = search.iter().map(|trial| trial["validation"].as_f64().unwrap());
    assert_eq!(line["validation"].as_f64(), scores.min_by(f64::total_cmp), "{line}");
    assert_eq!([&line["steps"], &line["short_steps"]], [500, 100], "{line}");
    assert_eq!(curve["curve"].as_array().unwrap().last().unwrap()[0], 100);

    desk.run("report --from . --out page.md");
    let [page, runs] = ["page.md", "runs.md"].map(|name| text(&desk.read(name)));
    assert!(runs.contains(" | 100 | ") && page.contains("(jang-table1.0.svg)"), "{page}{runs}");
}

#[test]
fn reproduce_runs_the_concrete_and_the_modern_table() {
    let desk = desk();
    let quick = format!("{REPRODUCE} --steps 2");
    desk.run(&format!("concrete {quick} --json concrete.jsonl"));
    let names = check_results(&desk, "concrete.jsonl", "concrete");
    assert_eq!(names.len(), 16);
    assert!(names.contains(&"(200H~200H~784V) | VIMCO, m = 5".to_owned()), "{names:?}");
    let said = desk.run(&format!("modern {quick} --json modern.jsonl"));
    assert!(said.contains('±'), "{said}");
    let names = check_results(&desk, "modern.jsonl", "modern");
    assert_eq!(names.len(), 3 * (10 + 8), "{names:?}");
    assert!(json_lines(&desk, "modern.jsonl").iter().all(|line| line["paper"].is_null()));
}

#[test]
fn reproduce_runs_the_semi_supervised_table_and_its_cost() {
    let desk = desk();
    let said = desk.run(&format!("semi-supervised {ONE_SAMPLE} --steps 3 --json semi.jsonl"));
    assert!(said.contains("images are binarized anew in every batch"), "{said}");
    assert!(said.contains("virtual adversarial training"), "{said}");
    let lines = json_lines(&desk, "semi.jsonl");
    let names: Vec<String> = lines.iter().map(|line| format!("{} {}", line["row"], line["column"])).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    for pair in lines.chunks(2) {
        assert_eq!(
            (pair[0]["column"].as_str(), pair[1]["column"].as_str()),
            (Some("-ELBO"), Some("accuracy (%)"))
        );
        assert!((0.0..=100.0).contains(&pair[1]["ours"].as_f64().unwrap()));
        // The share of wrong answers on the validation images.
        assert!((0.0..=1.0).contains(&pair[0]["validation"].as_f64().unwrap()));
    }
    let cost = json_lines(&desk, "semi.cost.jsonl");
    assert_eq!(cost.len(), 10);
    for line in &cost {
        for field in ["ours", "us_per_step", "us_per_step_marginalization", "seconds"] {
            assert!(line[field].as_f64().unwrap() > 0.0, "{field} in {line}");
        }
    }
    let before = desk.read("semi.cost.jsonl");
    let said = desk.run(&format!("semi-supervised {ONE_SAMPLE} --only cost --json semi.jsonl"));
    assert!(said.contains("as measured before") && said.contains("(paper 9.9)"), "{said}");
    assert!(desk.read("semi.cost.jsonl") == before, "it was measured again");
    let steps = format!("semi-supervised {ONE_SAMPLE} --only cost --steps 7 --json semi.jsonl");
    assert_snapshot!(desk.refused(&steps), @"error: --steps: expected no such flag with `--only cost`: the budget says how many steps are timed, found 7");
    let full = format!("semi-supervised {ONE_SAMPLE} --only cost --budget full --json semi.jsonl");
    assert_snapshot!(desk.refused(&full), @"error: semi.cost.jsonl: expected nothing or medians of 20 steps; another --json keeps both, found medians of 3");
    let svg = fs::read_to_string(desk.path("semi.cost.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("ST Gumbel-Softmax"));

    assert_snapshot!(desk.refused(&format!("semi-supervised {REPRODUCE}")), @"error: --samples: expected no such flag here: the test figure is -ELBO, the bound of one sample, found 2");

    // As many images as a step takes are not there.
    desk.write_data("few", 40, 3);
    let few = desk.output("semi-supervised --data few --steps 1 --json few.jsonl");
    assert_snapshot!(desk.error("few", &few), @"error: the data: expected 10 training images of each class from 0 to 9, found 4 of class 0");
}

/// The page in the repository is what its files make, pictures included.
#[test]
fn the_page_of_results_is_made_from_its_files() {
    let desk = desk();
    let docs = docs();
    fs::create_dir(desk.path("results")).unwrap();
    for entry in fs::read_dir(docs.join("results")).unwrap() {
        let path = entry.unwrap().path();
        let copy = desk.path("results").join(path.file_name().unwrap());
        if path.extension().is_some_and(|ending| ending == "jsonl" || ending == "md") {
            fs::copy(&path, copy).unwrap();
        } else if path.is_dir() {
            // What models drew: only that it is there counts.
            fs::create_dir(&copy).unwrap();
            fs::read_dir(path).unwrap().for_each(|picture| {
                fs::write(copy.join(picture.unwrap().file_name()), b"").unwrap();
            });
        }
    }
    desk.run("report --from results --out results.md");
    for page in ["results.md", "results/runs.md", "results/images.md"] {
        let said = fs::read_to_string(docs.join(page)).unwrap();
        assert!(
            text(&desk.read(page)) == said,
            "{page}: run `reparam-papers report` and look at the changes"
        );
    }
    check_findings(&desk, &text(&desk.read("results.md")));
    for name in desk.names("results").iter().filter(|name| name.ends_with(".svg")) {
        let picture = fs::read(docs.join("results").join(name)).unwrap_or_default();
        assert!(picture == desk.read(&format!("results/{name}")), "{name}");
    }
}

/// The totals in the findings, which are prose, are the ones that the report counts.
fn check_findings(desk: &Desk, page: &str) {
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for totals in [
        "22 of 28 figures if the paper's categorical VAE is 784-(20x10)-784, 24 of 28 if it is 784-(20x10)-200-784",
        "4 of these figures come from second runs. Without them: 19 of 28",
        "22 of our 28 figures",
        "24 of 28 if we read it as 784-(20x10)-200-784. Only cells above the paper's figure were run again",
        "the totals are 19 and 22",
        "As good as the paper's figure or better: 0 of 18.",
        "None of our 18 figures",
        "As good as the paper's figure or better: 6 of 6.",
        "all 6 figures",
    ] {
        assert!(page.contains(totals), "{totals}");
    }
    // A second run of a cell that had reached the paper's figure would make the totals look better than they are.
    let mut first: HashMap<[String; 2], f64> = HashMap::new();
    for line in json_lines(desk, "results/jang-table1.jsonl") {
        let [row, column] = ["row", "column"].map(|field| line[field].as_str().unwrap().to_owned());
        let (ours, paper) = (line["ours"].as_f64().unwrap(), line["paper"].as_f64().unwrap());
        if let Some(earlier) = first.insert([row, column], ours) {
            assert!(earlier > paper, "this cell had reached the paper's figure before: {line}");
        }
    }
}

#[test]
fn a_report_holds_every_table_and_its_pictures() {
    let desk = desk();
    fs::create_dir(desk.path("results")).unwrap();
    let steps = "--steps 401 --json results";
    desk.run(&format!("modern {REPRODUCE} --only disarm {steps}/modern.jsonl"));
    let semi = format!("semi-supervised {ONE_SAMPLE}");
    desk.run(&format!("{semi} --only ST {steps}/semi-supervised.jsonl"));
    desk.run(&format!("{semi} --only cost --json results/semi-supervised.jsonl"));
    desk.run("report --from results --out page.md");
    let [page, runs, images] =
        ["page.md", "results/runs.md", "results/images.md"].map(|name| text(&desk.read(name)));
    for part in [
        "| disarm | ",
        " ± ",
        "| ST Gumbel-Softmax | ",
        " | 93.6 | ",
        "![time of a step against the number of classes](results/semi-supervised.cost.svg)",
        "(results/modern.0.svg)",
        "(results/runs.md)",
        "(results/images.md)",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert_eq!(runs.lines().filter(|line| line.starts_with("| disarm | VAE bernoulli | ")).count(), 3);
    for part in [
        "![images of disarm, VAE bernoulli, seed 2](modern.drawn/disarm-VAE-bernoulli-2.png)",
        "(semi-supervised.drawn/ST-Gumbel-Softmax--ELBO-1.png)",
    ] {
        assert!(images.contains(part), "{part} in {images}");
    }
    assert!(text(&desk.read("results/modern.0.svg")).starts_with("<svg"));
    assert!(is_picture(&desk.read("results/modern.drawn/disarm-VAE-bernoulli-2.png")));

    fs::create_dir(desk.path("empty")).unwrap();
    let lines = [
        desk.refused("report --from empty --out page.md"),
        desk.refused("report --from results --out missing/page.md"),
    ];
    assert_snapshot!(all(lines), @"
    error: empty: expected a folder with one of jang-table1.jsonl, concrete.jsonl, semi-supervised.jsonl, modern.jsonl, found none
    error: missing/page.md: cannot write: No such file or directory (os error 2)
    ");
}

/// Text of others is no Markdown.
#[test]
fn a_report_shows_labels_as_they_are() {
    let desk = desk();
    fs::create_dir(desk.path("results")).unwrap();
    let line = format!("modern {REPRODUCE} --only disarm --steps 2 --json results/modern.jsonl --label");
    let label = "a|b <b>*c*</b> [d](e) `f` g_h\n\n# i";
    let output = desk.command(&line).arg(label).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    desk.run("report --from results --out page.md");
    let runs = text(&desk.read("results/runs.md"));
    let row = runs.lines().find(|line| line.contains("disarm") && line.contains("a\\|b")).unwrap();
    assert!(row.ends_with(r"| a\|b &lt;b>\*c\*&lt;/b> \[d\](e) \`f\` g\_h  # i |"), "{row}");
}

/// Standard output takes the lines, and the table's own name the files beside them.
#[test]
fn results_go_to_a_pipe() {
    let desk = desk();
    let line = format!("modern {REPRODUCE} --only disarm --steps 2 --seed 3 --json /dev/stdout");
    let begin = Instant::now();
    let mut run = Running::start(&desk, &line);
    while run.0.try_wait().unwrap().is_none() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it waits for something");
        sleep(Duration::from_millis(5));
    }
    let (code, said) = run.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("{\"table\":\"modern\"")).count(), 3, "{said}");
    assert_eq!(
        desk.names("."),
        ["data", "modern-quick.curves.jsonl", "modern-quick.drawn", "modern-quick.models"]
    );
}

/// What a file of results says, without the time it took.
fn figures(desk: &Desk, file: &str) -> Vec<Value> {
    let mut lines = json_lines(desk, file);
    lines.iter_mut().for_each(|line| drop(line.as_object_mut().unwrap().remove("seconds")));
    lines
}

#[test]
fn an_interrupted_cell_goes_on_as_if_nothing_had_happened() {
    let desk = desk();
    let flags = "--data data --samples 2 --steps 400 --budget full --only DARN";
    let line = |file: &str| format!("jang-table1 {flags} --json {file}");
    // Left of another run, whose file with its settings has been removed.
    fs::create_dir(desk.path("whole.work")).unwrap();
    fs::write(desk.path("whole.work/SBN-bernoulli-DARN-1.0.safetensors"), "of other settings").unwrap();
    desk.run(&line("whole.jsonl"));
    assert!(!desk.path("whole.work").exists());
    let mut interruptions = 0;
    loop {
        let mut run = Running::start(&desk, &line("cut.jsonl"));
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(400) && run.0.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(5));
        }
        if run.0.try_wait().unwrap().is_none() {
            run.signal("INT");
        }
        let (code, said) = run.end();
        if code == Some(0) {
            break;
        }
        assert_eq!(code, Some(130), "{said}");
        assert!(
            said.ends_with("stopped; the same command resumes, with the results in cut.jsonl\n"),
            "{said}"
        );
        if interruptions == 0 {
            let other = line("cut.jsonl").replace("400", "401");
            let error = desk.error(&other, &desk.output(&other));
            assert_snapshot!(error, @"error: cut.work/SBN-bernoulli-DARN-1.json: expected a cell of this command's settings and data (remove it to begin again), found a cell of other settings or data");
        }
        interruptions += 1;
        assert!(interruptions < 100);
    }
    assert!(interruptions > 0);
    assert_eq!(figures(&desk, "cut.jsonl"), figures(&desk, "whole.jsonl"));
    assert!(desk.read("cut.curves.jsonl") == desk.read("whole.curves.jsonl"));
    assert_eq!(desk.names("cut.drawn"), desk.names("whole.drawn"));
    for name in desk.names("whole.drawn") {
        assert!(
            desk.read(&format!("cut.drawn/{name}")) == desk.read(&format!("whole.drawn/{name}")),
            "{name}"
        );
    }
}

#[test]
fn reproduce_refuses_what_it_cannot_do() {
    let desk = desk();
    fs::write(desk.path("bad.jsonl"), "{\"table\":\"jang-table1\"}\n").unwrap();
    let of = |flags: &str| desk.refused(&format!("jang-table1 {REPRODUCE} --steps 2 {flags}"));
    desk.run(&format!("jang-table1 {REPRODUCE} --steps 2 --only DARN --json one.jsonl"));
    let error = of("--only DARN --json one.jsonl --samples 3");
    assert!(error.contains("expected no results or ones of 3 test samples"), "{error}");
    assert!(error.contains("found 2 test samples"), "{error}");
    // One table shows all of a file: nothing of another budget gets into it, whatever the cell and its steps.
    let error = of("--only MuProp --json one.jsonl --budget full");
    assert!(error.contains("expected no results or ones of budget full"), "{error}");
    assert!(
        error.contains("found budget quick") && error.contains(" of SBN bernoulli, DARN, seed 1"),
        "{error}"
    );
    let mut lines = vec![
        of("--only nothing-like-it"),
        of("--only DARN,ARN"),
        of("--only cost"),
        of("--json bad.jsonl"),
        of("--json data"),
        desk.refused("concrete --data nowhere"),
    ];
    lines.extend(
        [
            "table9",
            "modern --budget huge",
            "modern --steps 0",
            "modern --samples 1000000000000",
            "concrete --seed x",
        ]
        .map(|line| desk.misused(line)),
    );
    assert_snapshot!(all(lines), @"
    error: --only: expected words of a cell's name, like `SBN bernoulli / score function`, found nothing-like-it
    error: --only: expected words of a cell's name, like `SBN bernoulli / score function`, found ARN
    error: --only: expected words of a cell's name, like `SBN bernoulli / score function`, found cost
    error: bad.jsonl: expected lines written by reparam-papers, found line 1: missing field `row` at line 1 column 23
    error: data: cannot read: Is a directory (os error 21)
    error: nowhere: expected a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or the same with .gz), found nothing
    error: unrecognized subcommand 'table9'
    error: invalid value 'huge' for '--budget <BUDGET>'
    error: invalid value '0' for '--steps <N>': expected a whole number from 1 to 1000000000000, found `0`
    error: invalid value '1000000000000' for '--samples <N>': expected a whole number from 1 to 100000, found `1000000000000`
    error: invalid value 'x' for '--seed <N>': expected a whole number, found `x`
    ");
}

/// Runs four commands at once, which must all succeed, and returns their output.
fn at_once(desk: &Desk, lines: [String; 4]) -> [String; 4] {
    let runs = lines.map(|line| Running::start(desk, &line));
    runs.map(|run| {
        let (code, said) = run.end();
        assert_eq!(code, Some(0), "{said}");
        said
    })
}

/// Checks that commands that add forty cells to one file at the same time lose none, with different cells and
/// with the same ones.
fn cells_of_four_commands(rounds: usize) {
    for _ in 0..rounds {
        let desk = desk();
        let line = |seed: usize, file: &str| {
            format!(
                "jang-table1 --data data --threads 1 --samples 1 --steps 1 --only DARN,MuProp --seed {seed} --json {file}"
            )
        };
        at_once(&desk, [1, 2, 3, 4].map(|seed| line(seed, "seeds.jsonl")));
        let cell = |line: &Value| format!("{} {} {}", line["row"], line["column"], line["seed"]);
        let cells = |file: &str| json_lines(&desk, file).iter().map(cell).collect::<Vec<_>>();
        for file in ["seeds.jsonl", "seeds.curves.jsonl"] {
            let cells = cells(file);
            assert_eq!((cells.len(), cells.iter().collect::<HashSet<_>>().len()), (40, 40), "{file}");
        }

        let said = at_once(&desk, [1; 4].map(|seed| line(seed, "shared.txt")));
        assert!(said.iter().any(|said| said.contains("MuProp, seed 1: ")), "{said:?}");
        assert_eq!(cells("shared.txt").iter().collect::<HashSet<_>>().len(), 10);
        assert_eq!((cells("shared.txt").len(), cells("shared.txt.curves.jsonl").len()), (10, 10));
        let left = ["seeds", "shared.txt"].map(|name| {
            ["", ".curves.jsonl", ".drawn", ".jsonl", ".models"].map(|ending| format!("{name}{ending}"))
        });
        let mut expected: Vec<String> = left.concat();
        expected.retain(|name| name != "seeds" && name != "shared.txt.jsonl");
        expected.insert(0, "data".to_owned());
        assert_eq!(desk.names("."), expected);
    }
}

#[test]
fn commands_that_share_a_file_lose_nothing() {
    cells_of_four_commands(1);
}

#[test]
#[ignore = "many processes: a minute"]
fn commands_that_share_a_file_lose_nothing_in_ten_rounds() {
    cells_of_four_commands(10);
}

/// The names of two files of results may differ only in their endings.
#[test]
fn files_of_results_share_nothing_else() {
    let desk = desk();
    let line = |file: &str| format!("modern {REPRODUCE} --steps 2 --only disarm --json {file}");
    desk.run(&line("y.jsonl"));
    desk.run(&line("y.txt"));
    let names: Vec<String> = desk.names(".").into_iter().filter(|name| name.starts_with('y')).collect();
    let of = |name: &str| ["curves.jsonl", "drawn", "models"].map(|ending| format!("{name}.{ending}"));
    let mut expected = [of("y"), of("y.txt")].concat();
    expected.extend(["y.jsonl".to_owned(), "y.txt".to_owned()]);
    expected.sort();
    assert_eq!(names, expected);
}
