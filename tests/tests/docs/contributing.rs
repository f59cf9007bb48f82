//! CONTRIBUTING.md: make targets, packages, test programs, tests, golden cases and paths that it names exist.

use std::fs;

use nixos_nspawn_tests::golden::cases;
use nixos_nspawn_tests::torture::verbs::Verb;

use crate::prose::{code_spans, commands, examples};
use crate::{path, text};

const FILE: &str = "CONTRIBUTING.md";

/// Returns the command lines of all examples, without comments.
fn command_lines() -> Vec<String> {
    let examples = examples(&text(FILE));
    let lines = examples.iter().flat_map(|example| commands(&example.text));
    let lines = lines.map(|line| line.split('#').next().unwrap_or_default().trim().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// Returns the source of a test program, from one file or from a directory.
fn test_source(name: &str) -> Option<String> {
    let file = path(&format!("tests/tests/{name}.rs"));
    if file.exists() {
        return fs::read_to_string(file).ok();
    }
    let entries = walkdir::WalkDir::new(path(&format!("tests/tests/{name}"))).into_iter();
    let files = entries.map(|entry| entry.ok()).collect::<Option<Vec<_>>>()?;
    let files = files.iter().filter(|entry| entry.file_type().is_file());
    files.map(|entry| fs::read_to_string(entry.path()).ok()).collect()
}

/// Checks that everything in a `cargo test` command exists.
fn check_cargo_test(words: &[&str]) -> Result<(), String> {
    let (mut source, mut program) = (None, "");
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "-p" => {
                let package = words.next().ok_or("no package")?;
                let crates = ["units", "units/syntax", "generator", "ctl", "tests"];
                let name = format!("name = \"{package}\"");
                if !crates.iter().any(|one| text(&format!("{one}/Cargo.toml")).contains(&name)) {
                    return Err(format!("no package {package}"));
                }
            }
            "--test" => {
                let name = words.next().ok_or("no test program")?;
                program = *name;
                source = Some(test_source(name).ok_or(format!("no test program {name}"))?);
            }
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            // All tests of one file.
            module if module.ends_with("::") => {
                let file = path(&format!("tests/tests/{program}/{}", module.trim_end_matches("::")));
                if !file.with_extension("rs").exists() && !file.join("mod.rs").exists() {
                    return Err(format!("no tests {module}"));
                }
            }
            filter => {
                let source = source.as_ref().ok_or("a test without a program")?;
                let (function, suite) = filter.split_once("::").unwrap_or((filter, ""));
                if !source.contains(&format!("fn {function}(")) || !["", "trixie", "forky"].contains(&suite) {
                    return Err(format!("no test {filter}"));
                }
            }
        }
    }
    Ok(())
}

fn is_verb(word: &str) -> bool {
    Verb::ALL.iter().any(|verb| format!("{verb:?}") == word)
}

fn check(line: &str) -> Result<(), String> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    while let Some((variable, value)) = words[0].split_once('=') {
        match variable {
            "NIXOS_NSPAWN_CASE" if cases().iter().any(|case| case.name.starts_with(value)) => {}
            "NIXOS_NSPAWN_INTENTS" | "NIXOS_NSPAWN_STARTED" | "NIXOS_NSPAWN_STARTED_SEED"
                if value.parse::<usize>().is_ok() => {}
            "NIXOS_NSPAWN_TORTURE_EVERY" | "NIXOS_NSPAWN_TORTURE_FROM" if value.parse::<usize>().is_ok() => {}
            "NIXOS_NSPAWN_TORTURE_SUITES" if ["trixie", "forky"].contains(&value) => {}
            "NIXOS_NSPAWN_TORTURE_VERBS" if value.split(',').all(is_verb) => {}
            "NIXOS_NSPAWN_TORTURE_FAULTS" if ["SIGKILL", "SIGTERM", "SIGINT", "EAGAIN"].contains(&value) => {}
            "NIXOS_NSPAWN_TORTURE_LIGHT" if value == "1" => {}
            "NIXOS_NSPAWN_VM_PARTS" if ["cuts", "kernel"].contains(&value) => {}
            "NIXOS_NSPAWN_VM_SUITES" if ["trixie", "forky"].contains(&value) => {}
            "NIXOS_NSPAWN_VM_FILE_SYSTEMS" if ["ext4", "btrfs"].contains(&value) => {}
            "NIXOS_NSPAWN_VM_CUTS" | "NIXOS_NSPAWN_VM_SEED" if value.parse::<u64>().is_ok() => {}
            "NIXOS_NSPAWN_BLESS" if value == "1" => {}
            _ => return Err(format!("{variable}={value} has no effect")),
        }
        words.remove(0);
    }
    match words[..] {
        ["make", target, ref variables @ ..]
            if text("Makefile").lines().any(|line| line.starts_with(&format!("{target}:")))
                && variables.iter().all(|word| {
                    word.split_once('=')
                        .is_some_and(|(name, _)| text("Makefile").contains(&format!("\n{name} ?=")))
                }) =>
        {
            Ok(())
        }
        ["cargo", "test", ref rest @ ..] => check_cargo_test(rest),
        ["git", "diff", path] => crate::path(path).exists().then_some(()).ok_or(format!("no {path}")),
        _ => Err("an unknown command".to_owned()),
    }
}

#[test]
fn commands_exist() {
    let lines = command_lines();
    assert!(lines.len() > 10, "found only {lines:?}");
    for line in lines {
        check(&line).unwrap_or_else(|why| panic!("{FILE}: {line}: {why}"));
    }
}

#[test]
fn check_can_fail() {
    for bad in [
        "make nonsense",
        "make test NONSENSE=1",
        "cargo test -p nixos-nspawn-nonsense",
        "cargo test -p nixos-nspawn-tests --test nonsense",
        "cargo test -p nixos-nspawn-tests --test golden nonsense",
        "NIXOS_NSPAWN_CASE=nonsense make test",
    ] {
        assert!(check(bad).is_err(), "{bad} is taken");
    }
}

#[test]
fn paths_exist() {
    let spans = code_spans(&text(FILE));
    let top = ["units", "generator", "ctl", "nix", "tests", "man", "docs", "examples", "packaging"];
    let paths = spans.iter().filter(|span| top.contains(&span.split('/').next().unwrap_or_default()));
    let mut seen = 0;
    for span in paths {
        assert!(path(span).exists(), "{FILE}: no {span}");
        seen += 1;
    }
    assert!(seen > 8, "found only {seen} paths");
}
