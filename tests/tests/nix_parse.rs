//! Every Nix file of the project parses with the Nix of Debian 13, and has no formatting errors that are visible
//! without a formatter: blanks at line ends, tabs, a missing newline at the end.

use std::fs;

use nixos_nspawn_tests::nix::{faults, files, project};

#[test]
fn nix_files_parse() {
    let files = files();
    for expected in ["nix/lib.nix", "nix/options.nix", "examples/debian/flake.nix"] {
        assert!(files.iter().any(|file| file == expected), "{expected} is not among {files:?}");
    }
    let faults = faults(&files);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_fault_is_seen() {
    let faults = faults(&["README.md".to_owned()]);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].contains("syntax error"), "{faults:?}");
}

#[test]
fn nix_files_are_tidy() {
    let mut untidy = Vec::new();
    for file in files() {
        let text = fs::read_to_string(project().join(&file)).expect("UTF-8");
        if !text.ends_with('\n') || text.ends_with("\n\n") {
            untidy.push(format!("{file}: must end in one newline"));
        }
        for (line, number) in text.lines().zip(1..) {
            if line.ends_with([' ', '\t']) || line.contains('\t') {
                untidy.push(format!("{file}:{number}: a tab, or a blank at the end"));
            }
        }
    }
    assert!(untidy.is_empty(), "{}", untidy.join("\n"));
}
