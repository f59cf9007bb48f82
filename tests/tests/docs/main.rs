//! Checks that the documents match the programs: compares manual pages with help texts and types, runs examples through
//! the real code, and follows links and names. Lists come from the programs where possible.

mod audit;
mod contributing;
mod fields;
mod interrupted;
mod mdoc;
mod options;
mod prose;
mod reach;
mod readme;
mod seen;
mod usage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mdoc::Page;
use nixos_nspawn_tests::host::bins;

/// Returns the path of a file in the repository.
fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(relative)
}

/// Reads a file in the repository.
fn text(relative: &str) -> String {
    let path = path(relative);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads a manual page.
fn page(name: &str) -> Page {
    Page::parse(&text(&format!("man/{name}")))
}

/// Returns the file names in man/.
fn pages() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path("man"))
        .expect("man/ can be listed")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    assert!(names.len() >= 5, "man/ holds only {names:?}");
    names
}

/// Runs a program to its end.
fn run(program: &Path, words: &[&str]) -> Output {
    let output = Command::new(program).args(words).env("NO_COLOR", "1").output();
    output.unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// Runs the built ctl.
fn ctl(words: &[&str]) -> Output {
    run(&bins().ctl, words)
}

/// Returns standard output and standard error of a program.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn pages_are_clean() {
    for name in pages() {
        if let Some(target) = text(&format!("man/{name}")).strip_prefix(".so ") {
            // An alias. mandoc only warns that links are better; man follows it below the man path.
            let target = target.strip_suffix('\n').expect("one line");
            let file = target.strip_prefix("man8/").unwrap_or_else(|| panic!("{name}: leads to {target}"));
            assert!(!text(&format!("man/{file}")).starts_with(".so"), "{name}: leads to another alias");
            continue;
        }
        let file = path(&format!("man/{name}"));
        let output = Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&file).output();
        let output = output.unwrap_or_else(|error| {
            panic!("manual pages cannot be checked: mandoc: {error} (Debian: package mandoc)")
        });
        assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));
    }
}

#[test]
fn pages_name_each_other() {
    let names = pages();
    for name in &names {
        for (title, section) in page(name).references() {
            let file = format!("{title}.{section}");
            if title.starts_with("nixos-nspawn") {
                assert!(names.contains(&file), "{name}: refers to {title}({section}), which is not in man/");
            }
        }
    }
}
