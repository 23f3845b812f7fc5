//! `reparam-papers course`: the chapters as web pages, with the panels of docs/explore in their text.

use std::fs;
use std::path::{Path, PathBuf};

use math_core::{LatexToMathML, MathDisplay};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd, TextMergeStream, html};
use reparam::cli::files::writable_dir;
use reparam::cli::say;
use reparam::internal::write_atomically;
use reparam::{Error, Result};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of the chapters, with the panels' pages in its folder explore
    #[arg(long, value_name = "DIR", default_value = "docs")]
    docs: PathBuf,
    /// Folder for the pages, NAME.html, two levels below the chapters
    #[arg(long, value_name = "DIR", default_value = "docs/explore/course")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<i32> {
    writable_dir(&args.out)?;
    for (name, page) in pages(&args.docs)? {
        write_atomically(args.out.join(&name), page)?;
        say!("{name}");
    }
    Ok(0)
}

/// Returns the page of each chapter, with the name of its file, in the order of reading.
fn pages(docs: &Path) -> Result<Vec<(String, String)>> {
    let mut chapters: Vec<String> = list(docs)?.into_iter().filter(|name| is_chapter(name)).collect();
    chapters.sort();
    let page = |name: String| {
        let page = Page::new(docs, &name).text()?;
        Ok((name.replace(".md", ".html"), page))
    };
    chapters.into_iter().map(page).collect()
}

fn list(folder: &Path) -> Result<Vec<String>> {
    let names = |entries: fs::ReadDir| entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into()));
    fs::read_dir(folder).and_then(|entries| names(entries).collect()).map_err(|error| reading(folder, error))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| reading(path, error))
}

fn reading(path: &Path, error: std::io::Error) -> Error {
    Error::invalid(path.display(), "a chapter or its folder", error)
}

/// Returns true for the file of a chapter, such as 03-the-gumbel-race.md, or of an appendix, such as A-densities.md.
fn is_chapter(file: &str) -> bool {
    let numbered = file.split_once('-').is_some_and(|(head, _)| {
        head.len() == 2 && head.bytes().all(|b| b.is_ascii_digit()) || matches!(head, "A" | "B" | "C" | "D")
    });
    numbered && file.ends_with(".md")
}

/// An inline formula whose LaTeX is longer than this scrolls on its own, because browsers do not break formulas.
const WIDE: usize = 40;

type Events<'e> = Vec<Event<'e>>;

/// A chapter on its way from Markdown to HTML.
struct Page<'a> {
    docs: &'a Path,
    file: &'a str,
    math: LatexToMathML,
}

impl<'a> Page<'a> {
    fn new(docs: &'a Path, file: &'a str) -> Page<'a> {
        let math = LatexToMathML::new(Default::default()).expect("no macros, so none that is wrong");
        Page { docs, file, math }
    }

    fn text(&self) -> Result<String> {
        let markdown = read(&self.docs.join(self.file))?;
        let events = TextMergeStream::new(Parser::new_ext(&markdown, Options::ENABLE_TABLES)).collect();
        let events = self.draw_formulas(name_headings(hide_lines(events)))?;
        let (events, panels) = place_panels(events);
        let title = heading(&events);
        let mut article = String::new();
        html::push_html(&mut article, self.lead_links(events).into_iter());
        let scripts = self.scripts(&panels)?;
        Ok(format!(
            r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · reparam</title>
<link rel="stylesheet" href="../style.css">
</head>
<body>
<nav class="site"><a href="00-start-here.html">The course</a> <a href="../index.html">All pages to touch</a></nav>
<article>
{article}</article>
{scripts}</body>
</html>
"#
        ))
    }

    /// Turns the formulas into MathML: ```math is one on a line of its own, and $`...`$ one within a line.
    fn draw_formulas<'e>(&self, events: Events<'e>) -> Result<Events<'e>> {
        let mut out = Vec::with_capacity(events.len());
        let mut events = events.into_iter().peekable();
        while let Some(event) = events.next() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language)))
                    if language.as_ref() == "math" =>
                {
                    let inside: Events<'_> =
                        events.by_ref().take_while(|event| !matches!(event, Event::End(_))).collect();
                    let formula = self.formula(&text_of(&inside), MathDisplay::Block)?;
                    out.push(Event::Html(format!("<div class=\"formula\">{formula}</div>\n").into()));
                }
                Event::Code(code) if ends_formula(out.last(), events.peek()) => {
                    let before = without(out.pop(), |text| text.strip_suffix('$'));
                    let after = without(events.next(), |text| text.strip_prefix('$'));
                    let formula = self.formula(&code, MathDisplay::Inline)?;
                    let wide = code.len() > WIDE;
                    let formula =
                        if wide { format!("<span class=\"wide\">{formula}</span>") } else { formula };
                    out.extend([before, Event::InlineHtml(formula.into()), after]);
                }
                event => out.push(event),
            }
        }
        Ok(out)
    }

    /// Adjusts links and pictures to the folder of the page. A link to anything but a page becomes its text.
    fn lead_links<'e>(&self, events: Events<'e>) -> Events<'e> {
        let mut stays = Vec::new();
        let mut lead = |event| match event {
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let target = self.target(&dest_url);
                stays.push(target.is_some());
                target.map(|to| Event::Start(Tag::Link { link_type, dest_url: to.into(), title, id }))
            }
            Event::End(TagEnd::Link) => stays.pop().expect("a link is open").then_some(event),
            Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                let to = self.target(&dest_url).expect("the tests follow every picture");
                Some(Event::Start(Tag::Image { link_type, dest_url: to.into(), title, id }))
            }
            event => Some(event),
        };
        events.into_iter().filter_map(&mut lead).collect()
    }

    fn formula(&self, latex: &str, display: MathDisplay) -> Result<String> {
        let wrong = |error| Error::invalid(self.file, "a formula", format!("{latex}: {error}"));
        self.math.convert_with_local_counter(latex, display).map_err(|error| wrong(error.to_string()))
    }

    /// Returns a link's address as seen from the page, or nothing if it leads to neither a page nor a picture.
    fn target(&self, link: &str) -> Option<String> {
        let (path, heading) = link.split_at(link.find('#').unwrap_or(link.len()));
        match path.split_once('/') {
            None if path.is_empty() => Some(heading.to_owned()),
            None if is_chapter(path) => Some(format!("{}{heading}", path.replace(".md", ".html"))),
            None => None,
            Some(("explore", page)) => Some(format!("../{page}{heading}")),
            Some(("figures", _)) => Some(format!("../../{path}")),
            Some(_) => link.starts_with("https://").then(|| link.to_owned()),
        }
    }

    /// The scripts of the panels' own pages.
    fn scripts(&self, panels: &[String]) -> Result<String> {
        let mut scripts: Vec<String> = Vec::new();
        for panel in panels {
            let page = read(&self.docs.join(format!("explore/{panel}.html")))?;
            let of_page = page.lines().filter(|line| line.starts_with("<script src="));
            for script in of_page.map(|line| line.replace("src=\"", "src=\"../")) {
                if !scripts.contains(&script) {
                    scripts.push(script);
                }
            }
        }
        Ok(scripts.into_iter().map(|script| script + "\n").collect())
    }
}

/// Puts a panel after each callout that invites to it. Returns the names of the panels too.
fn place_panels(events: Events<'_>) -> (Events<'_>, Vec<String>) {
    let (mut out, mut panels) = (Vec::with_capacity(events.len()), Vec::new());
    let mut invited = None;
    for event in events {
        match &event {
            Event::Start(Tag::BlockQuote(_)) => invited = None,
            Event::Start(Tag::Link { dest_url, .. }) => invited = invited.or_else(|| panel_of(dest_url)),
            _ => {}
        }
        let ends = matches!(event, Event::End(TagEnd::BlockQuote(_)));
        out.push(event);
        if let Some(name) = invited.take_if(|_| ends) {
            out.push(Event::Html(format!("<div data-panel=\"{name}\"></div>\n").into()));
            panels.push(name);
        }
    }
    (out, panels)
}

/// Returns the name of the panel whose page a link leads to.
fn panel_of(link: &str) -> Option<String> {
    let name = link.strip_prefix("explore/")?.strip_suffix(".html")?;
    (name != "index").then(|| name.to_owned())
}

/// Returns true between "...$" and "$...", which make a formula of the code between them.
fn ends_formula(before: Option<&Event<'_>>, after: Option<&Event<'_>>) -> bool {
    matches!((before, after), (Some(Event::Text(a)), Some(Event::Text(b))) if a.ends_with('$') && b.starts_with('$'))
}

/// Returns a text without a part.
fn without<'e>(event: Option<Event<'e>>, part: impl Fn(&str) -> Option<&str>) -> Event<'e> {
    let Some(Event::Text(text)) = event else { unreachable!("`ends_formula` found a text") };
    Event::Text(part(&text).expect("`ends_formula` found the part").to_owned().into())
}

/// Takes away the lines of Rust that only the tests need.
fn hide_lines(events: Events<'_>) -> Events<'_> {
    let mut in_rust = false;
    let hide = |event| match event {
        Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(ref language))) => {
            in_rust = language.starts_with("rust");
            event
        }
        Event::Text(code) if in_rust => {
            let hidden = |line: &&str| *line == "#" || line.starts_with("# ");
            let shown = code.lines().filter(|line| !hidden(line)).map(|line| format!("{line}\n"));
            Event::Text(shown.collect::<String>().into())
        }
        Event::End(TagEnd::CodeBlock) => {
            in_rust = false;
            event
        }
        event => event,
    };
    events.into_iter().map(hide).collect()
}

/// Names the headings as code hosts do, so that links to them lead there.
fn name_headings(mut events: Events<'_>) -> Events<'_> {
    for at in 0..events.len() {
        let (before, after) = events.split_at_mut(at + 1);
        if let Event::Start(Tag::Heading { id, .. }) = &mut before[at] {
            *id = Some(anchor(&heading(after)).into());
        }
    }
    events
}

/// The words up to the end of the heading that is open.
fn heading(events: &[Event<'_>]) -> String {
    let inside = events.iter().position(|event| matches!(event, Event::End(TagEnd::Heading(_))));
    text_of(&events[..inside.unwrap_or(0)])
}

fn text_of(events: &[Event<'_>]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(&text[..]),
        _ => None,
    });
    texts.collect()
}

/// Small letters, without punctuation, with hyphens for spaces.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|&c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_in_docs_are_those_of_the_chapters() {
        let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let pages = pages(docs).unwrap();
        assert_eq!(pages.len(), 18);
        for (name, page) in &pages {
            let there = fs::read_to_string(docs.join("explore/course").join(name)).unwrap_or_default();
            assert!(
                there == *page,
                "docs/explore/course/{name}: run `cargo run -p reparam-papers -- course`"
            );
        }
        assert_eq!(
            list(&docs.join("explore/course")).unwrap().len(),
            pages.len(),
            "a page without a chapter"
        );
    }

    #[test]
    fn links_lead_to_pages_and_other_files_are_named_without_one() {
        let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let page = Page::new(docs, "00-start-here.md");
        let targets = [
            ("01-a-coin.md#a-heading", Some("01-a-coin.html#a-heading")),
            ("#here", Some("#here")),
            ("explore/bump.html", Some("../bump.html")),
            ("figures/race.svg", Some("../../figures/race.svg")),
            ("https://semver.org", Some("https://semver.org")),
            ("estimators.md", None),
            ("../src/tape.rs", None),
        ];
        for (link, target) in targets {
            assert_eq!(page.target(link).as_deref(), target, "{link}");
        }
    }
}
