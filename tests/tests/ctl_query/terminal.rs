//! Output to terminals, which `script` makes.

use std::process::Command;

use nixos_nspawn_tests::host::bins;
use nixos_nspawn_tests::offline::Tree;

use crate::zoo;

/// Returns what a command prints on a terminal of this many columns, with these settings of the environment.
fn shown(tree: &Tree, columns: usize, environment: &[(&str, &str)], words: &str) -> String {
    let program = bins().ctl.display();
    let set: String = environment.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    // A shell may set COLUMNS itself, after stty.
    let clean = format!("env -u COLUMNS -u NO_COLOR TERM=xterm{set}");
    let line =
        format!("stty cols {columns} rows 24; {clean} {program} --root {} {words}", tree.root().display());
    let output = Command::new("script").args(["-qec", &line, "/dev/null"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().replace('\r', "")
}

#[test]
fn only_terminals_that_show_colours_get_them() {
    let tree = zoo();
    for (environment, coloured) in [
        (&[][..], true),
        (&[("NO_COLOR", "")], true),
        (&[("NO_COLOR", "1")], false),
        (&[("TERM", "dumb")], false),
    ] {
        let text = shown(&tree, 80, environment, "list");
        assert_eq!(text.contains('\u{1b}'), coloured, "{environment:?}: {text:?}");
    }
    // Messages about wrong arguments as well.
    for (words, coloured) in [("list --foo", true), ("--color never list --foo", false)] {
        let text = shown(&tree, 80, &[], words);
        assert!(text.contains("--foo"), "{text:?}");
        assert_eq!(text.contains('\u{1b}'), coloured, "{words}: {text:?}");
    }
}

#[test]
fn widths() {
    let tree = zoo();
    for (columns, environment, width) in [
        (40, &[("NO_COLOR", "1")][..], 40),
        (120, &[("NO_COLOR", "1"), ("COLUMNS", "40")], 40),
        (0, &[("NO_COLOR", "1")], 80),
        (0, &[("NO_COLOR", "1"), ("COLUMNS", "60")], 60),
    ] {
        for words in ["list", "status", "audit"] {
            let text = shown(&tree, columns, environment, words);
            let longest = |line: &&str| line.chars().count() > width && line.trim().contains(' ');
            let long: Vec<&str> =
                text.lines().filter(longest).filter(|line| !line.contains("/etc/")).collect();
            assert!(long.is_empty(), "{words} at {width} columns: {long:#?}\n{text}");
            assert!(text.lines().any(|line| line.chars().count() + 20 > width), "{text}");
        }
    }
}
