//! Do the documentation's links lead anywhere, does all its Rust run, and does CI run the commands that
//! contributors are told to use?

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::common::repository::{read, root};

/// The checkable contents of a page.
#[derive(Default)]
struct Page {
    /// Targets of links.
    links: Vec<String>,
    /// Targets of pictures, with the texts that stand for them.
    pictures: Vec<(String, String)>,
    /// Places within the page that a link can lead to.
    anchors: Vec<String>,
    /// Code blocks: language and text.
    blocks: Vec<(String, String)>,
}

impl Page {
    fn of(markdown: &str) -> Page {
        let mut page = Page::default();
        let (mut heading, mut picture, mut block) = (None::<String>, None::<(String, String)>, None);
        for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    page.anchors.extend(heading.take().map(|text| anchor(&text)))
                }
                Event::Start(Tag::Link { dest_url, .. }) => page.links.push(dest_url.into_string()),
                Event::Start(Tag::Image { dest_url, .. }) => {
                    picture = Some((dest_url.into_string(), String::new()))
                }
                Event::End(TagEnd::Image) => page.pictures.extend(picture.take()),
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    block = Some((language.into_string(), String::new()))
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
                Event::Text(text) | Event::Code(text) => {
                    let open = [
                        heading.as_mut(),
                        picture.as_mut().map(|p| &mut p.1),
                        block.as_mut().map(|b| &mut b.1),
                    ];
                    open.into_iter().flatten().for_each(|open| open.push_str(&text));
                }
                _ => {}
            }
        }
        page
    }

    /// Its Rust that is shown with the output it prints on every machine (a training's figures are in blocks
    /// of `text,varies`).
    fn shown_runs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.blocks.windows(2).filter_map(|pair| match pair {
            [(rust, code), (text, output)]
                if rust == "rust" && text == "text" && !output.starts_with('$') =>
            {
                Some((&code[..], &output[..]))
            }
            _ => None,
        })
    }

    /// Returns true if rustdoc would run a block of the page as a test.
    fn has_rust(&self) -> bool {
        self.blocks.iter().any(|(language, _)| language.split(',').next() == Some("rust"))
    }
}

/// The anchor that code hosts give a heading: lower case, without punctuation, with hyphens for spaces.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|&c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Every page, by its path from the root.
fn pages() -> HashMap<PathBuf, Page> {
    let mut folders = vec![PathBuf::from("docs"), PathBuf::from("benches")];
    let mut paths = vec![PathBuf::from("README.md")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    assert!(paths.len() > 15, "only {} pages were found", paths.len());
    paths.into_iter().map(|path| (path.clone(), Page::of(&read(path.to_str().unwrap())))).collect()
}

/// A path from the root without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leaves the repository", path.display()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// The problem with a link on a page, if there is one.
fn problem(page: &Path, link: &str, pages: &HashMap<PathBuf, Page>) -> Option<String> {
    if link.contains("://") {
        return (!link.starts_with("https://")).then(|| "not https".to_owned());
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { page.to_owned() } else { plain(&page.parent().unwrap().join(path)) };
    if !root().join(&target).exists() {
        return Some(format!("there is no {}", target.display()));
    }
    let leads_astray = |page: &Page| !anchor.is_empty() && !page.anchors.iter().any(|a| a == anchor);
    pages.get(&target).filter(|page| leads_astray(page)).map(|page| {
        format!("{} has no heading #{anchor}, only {}", target.display(), page.anchors.join(", "))
    })
}

#[test]
fn every_link_and_picture_leads_somewhere() {
    let pages = pages();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (path, page) in &pages {
        let pictures = page.pictures.iter().map(|(target, _)| target);
        for link in page.links.iter().chain(pictures) {
            checked += 1;
            if let Some(problem) = problem(path, link, &pages) {
                wrong.push(format!("{}: {link}: {problem}", path.display()));
            }
        }
        for (target, text) in &page.pictures {
            if text.len() < 10 {
                wrong.push(format!("{}: {target}: no text for those who cannot see it", path.display()));
            }
        }
    }
    assert!(checked > 50, "only {checked} links were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_with_rust_runs_as_a_test() {
    let course = read("src/course.rs");
    let included = read("src/lib.rs") + &course;
    for (path, page) in pages() {
        let name = path.to_str().unwrap();
        let chapter = path.file_stem().unwrap().to_str().unwrap();
        let runs = included.contains(&format!("../{name}\"")) || course.contains(&format!("\"{chapter}\""));
        assert!(!page.has_rust() || runs, "{name} has Rust that no test runs");
    }
}

#[test]
fn every_picture_of_a_chapter_is_in_the_documentation_too() {
    let course = read("src/course.rs");
    let chapters: Vec<&str> = course.split("chapter!(").skip(1).collect();
    assert_eq!(chapters.len(), 21);
    for chapter in chapters {
        let chapter = chapter.split(')').next().unwrap();
        let mut names = chapter.split('"').skip(1).step_by(2);
        let file = format!("docs/{}.md", names.next().unwrap());
        let mut listed: Vec<String> = names.map(|name| format!("figures/{name}.svg")).collect();
        let pictures = Page::of(&read(&file)).pictures.into_iter().map(|p| p.0);
        // The pages to touch are not among the API documentation, so neither are their stills.
        let mut shown: Vec<String> = pictures.filter(|name| !name.starts_with("explore/")).collect();
        listed.sort();
        shown.sort();
        assert_eq!(listed, shown, "src/course.rs lists other pictures than {file} shows");
    }
}

#[test]
fn contributors_run_what_ci_runs() {
    let ci = read(".ci/run");
    let page = Page::of(&read("docs/CONTRIBUTING.md"));
    let commands: Vec<&str> = page
        .blocks
        .iter()
        .filter(|(language, _)| language == "sh")
        .flat_map(|(_, text)| text.lines())
        .collect();
    assert!(commands.len() >= 5, "{commands:?}");
    for command in commands {
        let command = command.split('#').next().unwrap().trim();
        assert!(command == ".ci/run" || ci.contains(command), ".ci/run does not run `{command}`");
    }
}

/// A program that runs snippet i when its argument is i.
fn program(snippets: &[&str]) -> String {
    let visible = |line: &str| line.strip_prefix("# ").unwrap_or(line).to_owned() + "\n";
    let functions = snippets.iter().enumerate().map(|(i, code)| {
        let body: String = code.lines().map(visible).collect();
        let call = if body.contains("fn main()") { "main();" } else { "" };
        format!("fn snippet_{i}() {{\n{body}{call}}}\n")
    });
    let arms = (0..snippets.len()).map(|i| format!("\"{i}\" => snippet_{i}(),\n"));
    let functions: String = functions.collect();
    let arms: String = arms.collect();
    format!(
        "#![allow(warnings)]\n{functions}fn main() {{ match &std::env::args().nth(1).unwrap()[..] {{ {arms} _ => panic!() }} }}"
    )
}

#[test]
#[ignore = "builds a program of all snippets: a minute"]
fn pages_show_what_their_snippets_print() {
    let mut pages: Vec<(PathBuf, Page)> = pages().into_iter().collect();
    pages.sort_by(|a, b| a.0.cmp(&b.0));
    let shown: Vec<(&Path, (&str, &str))> =
        pages.iter().flat_map(|(path, page)| page.shown_runs().map(|run| (path.as_path(), run))).collect();
    assert!(shown.len() > 30, "only {} snippets with output were found", shown.len());
    let snippets: Vec<&str> = shown.iter().map(|(_, (code, _))| *code).collect();

    let crate_folder = tempfile::tempdir().unwrap();
    let manifest = format!(
        "[package]\nname = \"snippets\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nreparam = {{ path = {root:?}, default-features = false, features = [\"embedded\"] }}\n\
         reparam-ops = {{ path = {ops:?} }}\nrand = {{ version = \"0.10\", default-features = false }}\nrand_pcg = \"0.10\"\nrayon = \"1\"\n[profile.dev]\nopt-level = 1\n",
        root = root(),
        ops = root().join("ops"),
    );
    fs::create_dir(crate_folder.path().join("src")).unwrap();
    fs::write(crate_folder.path().join("Cargo.toml"), manifest).unwrap();
    fs::copy(root().join("Cargo.lock"), crate_folder.path().join("Cargo.lock")).unwrap();
    fs::write(crate_folder.path().join("src/main.rs"), program(&snippets)).unwrap();
    let target = root().join("target/snippets");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--target-dir"])
        .arg(&target)
        .current_dir(crate_folder.path())
        .status();
    assert!(built.unwrap().success());

    let mut wrong = Vec::new();
    for (i, (path, (code, expected))) in shown.iter().enumerate() {
        let run = Command::new(target.join("debug/snippets")).arg(i.to_string()).output().unwrap();
        let printed = String::from_utf8(run.stdout).unwrap();
        if printed.trim_end() != expected.trim_end() {
            let first = code.lines().next().unwrap_or_default();
            wrong.push(format!("{}, `{first}`:\n{printed}\nbut the page shows\n{expected}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
