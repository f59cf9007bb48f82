//! Checks the Markdown files: links have targets, JSON is a valid intent, and the manual pages and decisions that they name
//! exist. Only code blocks, code spans and links are parsed.

use std::collections::BTreeSet;
use std::fs;

use nixos_nspawn_units::intent::parse;

use crate::{page, pages, path, text};

/// A code block.
pub struct Example {
    /// The word after the fence; empty for an indented block.
    pub language: String,
    /// Its lines.
    pub text: String,
}

/// Returns the project's Markdown files, relative to its top.
pub fn markdown_files() -> Vec<String> {
    files(&["", "docs", "examples"], "md")
}

/// Returns files with an extension below directories; for the top directory, only its own files.
fn files(folders: &[&str], ending: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    for folder in folders {
        let top = path(folder);
        let depth = if folder.is_empty() { 1 } else { usize::MAX };
        for entry in walkdir::WalkDir::new(&top).max_depth(depth) {
            let entry = entry.expect("readable");
            if entry.file_type().is_file() && entry.path().extension().is_some_and(|e| e == ending) {
                let below =
                    entry.path().strip_prefix(&top).expect("below").to_str().expect("UTF-8").to_owned();
                found.insert(if folder.is_empty() { below } else { format!("{folder}/{below}") });
            }
        }
    }
    assert!(!found.is_empty(), "no {ending} files in {folders:?}");
    found.into_iter().collect()
}

/// Returns fenced and indented code blocks.
pub fn examples(markdown: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut fenced = false;
    let mut indented = false;
    for line in markdown.lines() {
        if let Some(language) = line.strip_prefix("```") {
            fenced = !fenced;
            if fenced {
                examples.push(Example { language: language.to_owned(), text: String::new() });
            }
            continue;
        }
        let inside = fenced || line.starts_with("    ");
        if inside && !fenced && !indented {
            examples.push(Example { language: String::new(), text: String::new() });
        }
        indented = inside && !fenced;
        if inside {
            let example = examples.last_mut().expect("it has begun");
            example.text.push_str(line);
            example.text.push('\n');
        }
    }
    assert!(!fenced, "a fence is left open");
    examples
}

/// Returns the lines of an example, each with those that continue it.
pub fn commands(text: &str) -> Vec<String> {
    text.replace("\\\n", " ").lines().map(str::to_owned).collect()
}

/// Returns the text outside fenced code blocks.
fn running_text(markdown: &str) -> String {
    markdown.split("```").step_by(2).collect()
}

/// Returns the code spans in running text, with line breaks as blanks.
pub fn code_spans(markdown: &str) -> Vec<String> {
    let prose = running_text(markdown);
    prose
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// Returns the targets of `[text](target)`.
fn links(markdown: &str) -> Vec<String> {
    let prose = running_text(markdown);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}

/// Returns the anchors of headings as GitHub makes them: lower case, dashes for blanks, other characters dropped.
fn anchors(markdown: &str) -> Vec<String> {
    let headings = markdown.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                .collect::<String>()
                .replace(' ', "-")
        })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut followed = 0;
    for file in markdown_files() {
        let markdown = text(&file);
        for link in links(&markdown).iter().filter(|link| !link.starts_with("https://")) {
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            let folder = path(&file).parent().expect("a folder").to_owned();
            let there = if target.is_empty() { path(&file) } else { folder.join(target) };
            assert!(there.exists(), "{file}: link to {link}, which is not there");
            if !anchor.is_empty() {
                let target = fs::read_to_string(&there).expect("readable");
                assert!(anchors(&target).iter().any(|a| a == anchor), "{file}: no heading for {link}");
            }
            followed += 1;
        }
    }
    assert!(followed > 10, "found only {followed} links");
}

#[test]
fn json_in_prose_is_intent() {
    let mut read = 0;
    for file in markdown_files() {
        for example in examples(&text(&file)).iter().filter(|example| example.language == "json") {
            let name = "web".parse().expect("a name");
            parse(example.text.as_bytes(), &name)
                .unwrap_or_else(|fault| panic!("{file}: {fault}\n{}", example.text));
            read += 1;
        }
    }
    assert!(read > 0, "no JSON in the documents");
}

#[test]
fn named_manual_pages_exist() {
    let names = pages();
    for file in markdown_files() {
        for span in code_spans(&text(&file)) {
            let Some((title, section)) = span.strip_suffix(')').and_then(|span| span.rsplit_once('(')) else {
                continue;
            };
            if title.starts_with("nixos-nspawn") {
                assert!(names.contains(&format!("{title}.{section}")), "{file}: `{span}` is not in man/");
            }
        }
    }
}

#[test]
fn decisions_are_listed_and_found() {
    let list = links(&text("docs/decisions/README.md"));
    for file in files(&["docs/decisions"], "md").iter().filter(|file| !file.ends_with("/README.md")) {
        let name = file.rsplit('/').next().expect("a name");
        assert!(list.iter().any(|link| link == name), "docs/decisions/README.md does not list {name}");
    }
    // Decisions that comments in the source name.
    let mut sources = files(&["units", "generator", "ctl", "tests/src"], "rs");
    sources.extend(["Makefile", "Cargo.toml"].map(str::to_owned));
    for source in sources {
        let text = text(&source);
        for rest in text.split("docs/decisions/").skip(1) {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || "-_.".contains(c))).unwrap_or(rest.len());
            let name = rest[..end].trim_end_matches('.');
            assert!(
                path(&format!("docs/decisions/{name}")).exists(),
                "{source}: docs/decisions/{name} is not there"
            );
        }
    }
}

/// Lines of examples fit a terminal of 80 columns, in manual pages with their indentation.
#[test]
fn examples_fit_a_terminal() {
    let in_prose = markdown_files().into_iter().filter(|file| file != "CHANGELOG.md").flat_map(|file| {
        let examples = examples(&text(&file));
        // What a program prints is as long as it is, and an indented block may be an item of a list.
        let ours = move |example: &Example, line: &str| match &*example.language {
            "" => false,
            "console" => line.starts_with("$ "),
            _ => true,
        };
        examples.into_iter().flat_map(move |example| {
            let file = file.clone();
            let lines: Vec<String> =
                example.text.lines().filter(|line| ours(&example, line)).map(str::to_owned).collect();
            lines.into_iter().map(move |line| (file.clone(), line))
        })
    });
    let in_pages = pages().into_iter().flat_map(|name| {
        // Examples of options are in the items of lists.
        let indentation = if name == "nixos-nspawn-options.5" { 19 } else { 11 };
        let displays = page(&name).displays();
        let lines = displays.into_iter().flat_map(|display| {
            let lines =
                display.text.lines().map(|line| " ".repeat(indentation) + &line.replace("\\(dq", "\""));
            lines.collect::<Vec<_>>()
        });
        lines.map(move |line| (name.clone(), line)).collect::<Vec<_>>()
    });
    let long: Vec<String> = in_prose
        .chain(in_pages)
        .filter(|(_, line)| line.chars().count() > 80 && !line.contains("/nix/store/"))
        .map(|(file, line)| format!("{file}: {line}"))
        .collect();
    assert!(long.is_empty(), "longer than 80 columns:\n{}", long.join("\n"));
}
