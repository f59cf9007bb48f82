//! Commands under resource limits may fail with a message, but never panic, and the next command succeeds.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use nixos_nspawn_tests::offline::{SYSTEM, Tree};
use serde_json::json;

const PROFILE: &str = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-new";

fn tree() -> Tree {
    let tree = Tree::new();
    tree.write(&format!("{PROFILE}/init"), "#!/bin/sh\n");
    tree.write(&format!("{SYSTEM}-web/init"), "#!/bin/sh\n");
    tree.intent("web", json!({ "container": { "forwardPorts": ["80"] } }));
    tree
}

/// Runs a command with a limit of prlimit(1).
fn limited(tree: &Tree, limit: &str, words: &[&str]) -> Output {
    let command = tree.command(words);
    let mut prlimit = Command::new("prlimit");
    prlimit.arg(limit).arg(command.get_program()).args(command.get_args());
    prlimit.output().expect("prlimit of util-linux")
}

const COMMANDS: [&[&str]; 9] = [
    &["list"],
    &["list", "--json"],
    &["show", "web"],
    &["status", "web"],
    &["list-generations", "web"],
    &["disable", "web"],
    &["enable", "web"],
    &["create", "new", "--profile", PROFILE],
    &["remove", "new", "--delete-state"],
];

/// Runs all commands under a limit. Returns the number that failed.
fn failures(limit: &str, may_abort: bool) -> usize {
    let tree = tree();
    let mut failed = 0;
    for words in COMMANDS {
        let output = limited(&tree, limit, words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !said.contains("panicked") && output.status.code() != Some(101),
            "{limit}, {words:?}: {said}"
        );
        if !may_abort {
            assert_eq!(output.status.signal(), None, "{limit}, {words:?}: {said}");
        }
        if !output.status.success() {
            failed += 1;
            let mute = said.is_empty() && output.status.signal().is_none();
            assert!(!mute, "{limit}, {words:?}: fails without a word");
        }
        // A failed command is settled without limits.
        let next = tree.run(&["enable", "web"]);
        assert_eq!(next.status, 0, "{limit}, behind {words:?}: {}", next.err);
        let records = tree.snapshot().into_iter().filter(|line| line.contains("/etc/nixos-nspawn/."));
        assert_eq!(records.collect::<Vec<_>>(), Vec::<String>::new(), "{limit}, behind {words:?}");
    }
    // Without limits, all commands succeed. Under one, a create may have succeeded and its remove failed.
    if tree.path("/etc/nixos-nspawn/new.json").exists() {
        assert_eq!(tree.run(&["remove", "new", "--delete-state"]).status, 0, "{limit}");
    }
    for words in COMMANDS {
        let said = tree.run(words);
        assert_eq!(said.status, 0, "{limit}: {words:?}: {}", said.err);
    }
    failed
}

#[test]
fn few_descriptors_cause_no_panic() {
    let failed: Vec<usize> = (3..=16).map(|count| failures(&format!("--nofile={count}"), false)).collect();
    assert!(failed[0] == COMMANDS.len() && failed[13] < failed[0], "{failed:?}");
}

/// Without memory, the allocator aborts the program, or the kernel refuses to start it; neither is a panic.
#[test]
fn little_memory_causes_no_panic() {
    let sizes = [4, 8, 9, 10, 12, 16, 32, 64, 128, 256];
    let failed: Vec<usize> = sizes.iter().map(|mib| failures(&format!("--as={}", mib << 20), true)).collect();
    assert!(failed[0] > 0 && failed[9] == 0, "{failed:?}");
}
