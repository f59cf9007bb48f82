//! Checks commands in the documents: the program accepts every example line that calls nixos-nspawn, and every command
//! named in running text exists.

use std::collections::BTreeSet;

use crate::prose::{code_spans, commands, examples, markdown_files};
use crate::{ctl, page, pages, said, text};

/// Returns the arguments of a `nixos-nspawn` line, without prompt, sudo, comment and redirection.
fn call(line: &str) -> Option<Vec<&str>> {
    let line = line.trim_start();
    let line = line.strip_prefix("$ ").or_else(|| line.strip_prefix("# ")).unwrap_or(line);
    let mut words = line.split_whitespace().skip_while(|word| *word == "sudo");
    if !matches!(words.next()?, "nixos-nspawn" | "nixos-nspawn-ctl") {
        return None;
    }
    Some(words.take_while(|word| !matches!(*word, "#" | ">" | ">>" | "|" | "&&")).collect())
}

/// Makes the program parse a command line and do nothing: it first looks for its root, which does not exist.
fn dry_parse(words: &[&str]) -> Result<(), String> {
    const NOWHERE: &str = "/nonexistent/root";
    let mut words = words.to_vec();
    if let Some(at) = words.iter().position(|word| *word == "--root") {
        words.drain(at..=at + 1);
    }
    let output = ctl(&[&["--root", NOWHERE], &words[..]].concat());
    let said = said(&output);
    let parsed = match words.first() {
        Some(&"completions") => output.status.success(),
        _ => output.status.code() == Some(2) && said.contains(NOWHERE) && !said.contains("Usage:"),
    };
    if parsed { Ok(()) } else { Err(format!("{words:?}: {said}")) }
}

#[test]
fn dry_parse_can_fail() {
    for bad in [
        &["create", "web"][..],
        &["create", "web", "--flake", "x", "--profile", "y"],
        &["update"],
        &["rollback", "web", "db"],
        &["list", "--jsn"],
        &["setup", "--remove", "--networkd"],
        &["completions", "dos"],
        &[],
    ] {
        assert!(dry_parse(bad).is_err(), "{bad:?} is taken");
    }
}

/// Returns the lines of all examples, with their files.
fn example_lines() -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for name in pages() {
        for display in page(&name).displays() {
            lines.extend(commands(&display.text).into_iter().map(|line| (format!("man/{name}"), line)));
        }
    }
    for file in markdown_files() {
        for example in examples(&text(&file)) {
            lines.extend(commands(&example.text).into_iter().map(|line| (file.clone(), line)));
        }
    }
    lines
}

#[test]
fn example_commands_are_accepted() {
    let mut found = BTreeSet::new();
    let mut failed = Vec::new();
    for (file, line) in example_lines() {
        let Some(words) = call(&line) else { continue };
        if let Err(why) = dry_parse(&words) {
            failed.push(format!("{file}: {line}\n  {why}"));
        }
        found.insert(file);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    for file in ["README.md", "man/nixos-nspawn-ctl.8"] {
        assert!(found.contains(file), "no example of a command in {file}");
    }
}

#[test]
fn named_commands_exist() {
    let commands: BTreeSet<String> =
        page("nixos-nspawn-ctl.8").subsections("COMMANDS").into_iter().map(str::to_owned).collect();
    let in_pages =
        pages().into_iter().flat_map(|name| page(&name).quoted().into_iter().map(move |t| (name.clone(), t)));
    let in_prose = markdown_files().into_iter().flat_map(|file| {
        let spans = code_spans(&text(&file));
        spans.into_iter().map(move |span| (file.clone(), span))
    });
    let mut named = 0;
    for (file, span) in in_pages.chain(in_prose) {
        let Some(rest) = span.strip_prefix("nixos-nspawn ") else { continue };
        let command = rest.split([' ', '\'']).next().unwrap_or_default();
        assert!(commands.contains(command), "{file}: `{span}` names no command");
        named += 1;
    }
    assert!(named > 5, "found only {named} commands in running text");
}
