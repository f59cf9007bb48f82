//! The source of the book: every document is a chapter, and links lead to chapters and headings. mdBook is not needed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use nixos_nspawn_tests::book::{documents, manual_pages, place, write};

/// Returns the targets of links outside code.
fn links(markdown: &str) -> Vec<String> {
    let prose: String = markdown.split("```").step_by(2).collect();
    let html = prose.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let links = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    links.chain(html).map(str::to_owned).collect()
}

/// Returns the anchors of headings as mdBook makes them.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let prose: String = markdown.split("```").step_by(2).collect();
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let titles = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let anchor = |title: String| {
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    let own = prose.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next().map(str::to_owned));
    titles.map(anchor).chain(own).collect()
}

#[test]
fn every_document_is_a_chapter() {
    let book = tempfile::tempdir().expect("a directory");
    write(book.path());
    let source = book.path().join("src");
    let summary = fs::read_to_string(source.join("SUMMARY.md")).expect("a summary");
    let chapters: BTreeSet<String> = links(&summary).into_iter().collect();
    let mut expected: BTreeSet<String> =
        documents().iter().map(|path| place(path).expect("a place")).collect();
    expected.remove("SUMMARY.md");
    expected.extend(manual_pages().iter().map(|page| format!("man/{page}.md")));
    expected.insert("json-answers.md".to_owned());
    assert_eq!(chapters, expected);
}

#[test]
fn links_lead_to_chapters_and_headings() {
    let book = tempfile::tempdir().expect("a directory");
    write(book.path());
    let source = book.path().join("src");
    let (mut followed, mut faults) = (0, Vec::new());
    for entry in walkdir::WalkDir::new(&source) {
        let entry = entry.expect("readable");
        if entry.path().extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let markdown = fs::read_to_string(entry.path()).expect("readable");
        for link in links(&markdown).iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            // In HTML, chapters are linked as pages.
            let file = file.strip_suffix(".html").map_or(file.to_owned(), |page| format!("{page}.md"));
            let folder = entry.path().parent().expect("a folder");
            let target = if file.is_empty() { entry.path().to_owned() } else { folder.join(&file) };
            if !found(&target, anchor) {
                faults.push(format!(
                    "{}: {link}",
                    entry.path().strip_prefix(&source).expect("below").display()
                ));
            }
            followed += 1;
        }
    }
    assert!(faults.is_empty(), "links that lead nowhere:\n{}", faults.join("\n"));
    assert!(followed > 200, "followed only {followed}");
}

fn found(target: &Path, anchor: &str) -> bool {
    let Ok(text) = fs::read_to_string(target) else { return false };
    anchor.is_empty() || anchors(&text).contains(anchor)
}
