//! An op is one word. This test walks the catalogue in `ops/src/lib.rs` and names what is missing in any
//! layer.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::common::repository::{read, root};

/// A line of the catalogue.
struct Line {
    op: String,
    module: String,
    backward: String,
}

impl Line {
    fn is_update(&self) -> bool {
        self.backward == "none" && self.op != "gumbel_max" && self.op != "bernoulli"
    }

    fn has_gradient(&self) -> bool {
        !self.backward.starts_with("none")
    }
}

fn catalogue() -> Vec<Line> {
    let text = read("ops/src/lib.rs");
    let lines: Vec<Line> = text.lines().filter(|line| line.starts_with("//! | `")).map(parse).collect();
    assert!(lines.len() > 40, "only {} lines were read from the catalogue", lines.len());
    lines
}

fn parse(line: &str) -> Line {
    let cells: Vec<&str> = line.trim_start_matches("//! |").split(" | ").map(str::trim).collect();
    let word = |cell: &str| cell.split('`').nth(1).unwrap_or_default().to_owned();
    assert_eq!(cells.len(), 6, "six columns: {line}");
    Line { op: word(cells[0]), module: word(cells[1]), backward: cells[3].to_owned() }
}

/// Every Rust file below a folder, joined.
fn sources(folder: &str) -> String {
    fn collect(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    collect(&root().join(folder), &mut text);
    text
}

/// The names of the rules of all ops on the tape: literals in `fn name`, and the rows of the elementwise
/// macros.
fn rule_names() -> BTreeSet<String> {
    let text = sources("src/var");
    let mut names = BTreeSet::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("fn name(&self)") {
            let literal = lines.peek().and_then(|next| next.split('"').nth(1));
            names.extend(literal.map(str::to_owned));
        }
    }
    let elementwise = read("src/var/elementwise.rs");
    let unary = elementwise.split("unary! {").nth(1).unwrap().split("\n}").next().unwrap();
    let rows = unary.lines().filter(|line| line.ends_with(';'));
    names.extend(
        rows.filter_map(|row| row.trim_end_matches(';').split_whitespace().nth(1)).map(str::to_owned),
    );
    names.extend(["add", "sub", "mul", "div"].map(str::to_owned));
    names
}

#[test]
fn every_op_of_the_catalogue_is_there_in_every_layer() {
    let rules = rule_names();
    // Without the formatter's line breaks.
    let gradchecks = read("tests/suite/gradcheck.rs").split_whitespace().collect::<String>();
    let mut missing = Vec::new();
    for line in catalogue() {
        let Line { op, module, .. } = &line;
        if !root().join(format!("ops/src/{module}.rs")).exists() {
            missing.push(format!("{op}: kernel file ops/src/{module}.rs"));
        }
        if line.is_update() {
            let optimizers = sources("src/optim");
            if !optimizers.contains(&format!("reparam_ops::{module}")) {
                missing.push(format!("{op}: an optimizer on ops/src/{module}.rs"));
            }
            continue;
        }
        if !root().join(format!("src/var/{module}.rs")).exists() {
            missing.push(format!("{op}: rule file src/var/{module}.rs"));
        }
        let check = match &op[..] {
            // Checked against its surrogate.
            _ if op.starts_with("st_") => format!("straight_through(\"{op}\""),
            // Checked against its own reference.
            "gumbel_rao" => "x.gumbel_rao(".to_owned(),
            _ => format!("row(\"{op}\""),
        };
        if op != "gumbel_max" && !rules.contains(op) {
            missing.push(format!("{op}: a rule of that name in src/var"));
        }
        if line.has_gradient() && !gradchecks.contains(&check) {
            missing.push(format!("{op}: a row in tests/suite/gradcheck.rs"));
        }
    }
    assert!(missing.is_empty(), "missing:\n  {}", missing.join("\n  "));
}

#[test]
fn every_rule_and_every_kernel_is_in_the_catalogue() {
    let ops: BTreeSet<String> = catalogue().into_iter().map(|line| line.op).collect();
    // Views copy nothing and have no kernel.
    let views = ["reshape", "with_gradient_of"];
    let known = |name: &String| views.contains(&name.as_str()) || ops.contains(name);
    let extra: Vec<String> = rule_names().into_iter().filter(|name| !known(name)).collect();
    assert!(extra.is_empty(), "rules that the catalogue in ops/src/lib.rs lacks: {extra:?}");

    let modules: BTreeSet<String> = catalogue().into_iter().map(|line| line.module).collect();
    let helpers = [
        "buffer",
        "draw",
        "fma",
        "lanes",
        "lib",
        "lists",
        "log_rows",
        "math",
        "matrix",
        "noise",
        "one_hot",
        "parallel",
        "perturbed",
        "recomputed",
        "rows",
        "scratch",
        "simd",
        "soft_rows",
        "soft_vectors",
        "sparse",
        "sums",
        "team",
        "tile",
        "tile_in_f64",
        "vectors",
    ];
    for entry in fs::read_dir(root().join("ops/src")).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
        let known = modules.contains(&name) || helpers.contains(&&*name);
        assert!(known, "ops/src/{name}.rs holds no op of the catalogue");
    }
}

#[test]
fn every_golden_op_is_in_the_catalogue() {
    let ops: BTreeSet<String> = catalogue().into_iter().map(|line| line.op).collect();
    let mut golden = BTreeSet::new();
    for file in ["ops", "exact"] {
        let text = read(&format!("tests/golden/{file}.json"));
        let file: serde_json::Value = serde_json::from_str(&text).unwrap();
        let cases = file["cases"].as_array().unwrap();
        golden.extend(cases.iter().map(|case| case["op"].as_str().unwrap().to_owned()));
    }
    for op in &golden {
        assert!(ops.contains(op), "golden op {op} is not in the catalogue");
    }
    assert_eq!(golden.len(), 21, "an op came or went: {golden:?}");
}

#[test]
fn the_page_on_adding_an_op_quotes_the_files_as_they_are() {
    let page = read("docs/adding-an-op.md");
    let mut quotes = 0;
    for block in page.split("```rust,ignore\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let (file, quote) = block.split_once('\n').unwrap();
        let file = file.trim_start_matches("// ");
        assert!(read(file).contains(quote), "{file} no longer holds:\n{quote}");
        quotes += 1;
    }
    assert!(quotes >= 4);
}

#[test]
fn every_example_is_declared_and_stands_in_the_table() {
    let (manifest, table) = (read("Cargo.toml"), read("docs/examples/README.md"));
    for entry in fs::read_dir(root().join("docs/examples")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".rs") else { continue };
        let declared = format!("path = \"docs/examples/{file}\"\ntest = true\n");
        assert!(manifest.contains(&declared), "{name}: not declared in Cargo.toml with test = true");
        assert!(
            table.contains(&format!("| [`{name}`]({file}) |")),
            "{name}: no row in docs/examples/README.md"
        );
        assert!(
            table.contains(&format!("--example {name}\n")),
            "{name}: no output in docs/examples/README.md"
        );
    }
}
