//! `diff`: options and generated files of two generations.

use std::fs;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::{PROFILES, ROOTS, store, zoo};

/// Returns the changed lines of a diff, and the names of the files.
fn differing(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with([' ', '@'])).collect()
}

#[test]
fn diff_is_unified_over_options_and_files() {
    let tree = zoo();
    let said = tree.run(&["diff", "web"]);
    assert_eq!(said.status, 0);
    assert_eq!(
        said.err,
        "nixos-nspawn: the closures were not compared, which needs Nix and does not work with --root\n"
    );
    let (two, three) = (store("system-2"), store("system-3"));
    let expected = format!(
        "\
generation 2 -> 3
--- a/options
+++ b/options
-forwardPorts = {{\"hostPort\":80}}
+forwardPorts = {{\"hostPort\":8080}}
--- a/nixos-nspawn/web.nspawn
+++ b/nixos-nspawn/web.nspawn
-Port=tcp:80:80
+Port=tcp:8080:8080
system: {two} → {three}
host reach:
can now: take host port tcp/8080 (forwardPorts)
can no longer: take host port tcp/80 (forwardPorts)"
    );
    assert_eq!(differing(&said.out).join("\n"), expected);
    // The plan hash does not appear, although it differs as well.
    assert!(!said.out.contains("PLAN") && !said.out.contains("nixos-nspawn plan"), "{}", said.out);
    // It is valid input for diff tools.
    assert_eq!(said.out.lines().filter(|line| line.starts_with("@@ -")).count(), 2, "{}", said.out);
    let coloured = tree.run(&["--color=always", "diff", "web"]).out;
    assert!(coloured.contains("\u{1b}[31m-Port=tcp:80:80\u{1b}[0m\n"), "{coloured:?}");
}

#[test]
fn diff_of_chosen_generations() {
    let tree = zoo();
    let between = |words: &[&str]| tree.run(&[&["diff", "web"], words].concat());
    let said = between(&["1"]);
    assert!(said.out.starts_with("generation 1 -> 3\n"), "{}", said.out);
    assert!(said.out.contains("\n+timeoutStartSec = 5min\n"), "{}", said.out);
    let said = between(&["3", "1"]);
    assert!(said.out.starts_with("generation 3 -> 1\n"), "{}", said.out);
    assert!(said.out.contains("\n-timeoutStartSec = 5min\n"), "{}", said.out);
    let said = between(&["1", "2"]);
    assert!(said.out.contains("\n-TimeoutStartSec=90s\n+TimeoutStartSec=5min\n"), "{}", said.out);
    // A generation kept only by its pin can be compared as well.
    assert!(between(&["3", "5"]).out.contains("\n-Port=tcp:8080:8080\n"));
    let said = between(&["2", "2"]);
    assert_eq!((said.out.as_str(), said.status), ("", 0));
    assert!(said.err.contains("generations 2 and 2 of container 'web' have the same options and files\n"));
    let said = between(&["2", "9"]);
    let expected =
        "nixos-nspawn: container 'web' has no generation 9; 'nixos-nspawn list-generations web' shows all\n";
    assert_eq!((said.out.as_str(), said.err.as_str(), said.status), ("", expected, 2));
    let said = between(&["4"]);
    let expected = format!(
        "nixos-nspawn: generation 4 of container 'web': {} is gone from the store, so it cannot be compared\n",
        store("profile-4")
    );
    assert_eq!((said.out.as_str(), said.err, said.status), ("", expected, 1));
}

#[test]
fn diff_for_scripts() {
    let tree = zoo();
    let said = tree.json(&["diff", "web", "--json"]);
    assert_eq!(
        (&said["name"], &said["old_generation"], &said["generation"], &said["changes"], &said["closure"]),
        (&json!("web"), &json!(2), &json!(3), &json!(true), &Value::Null)
    );
    assert_eq!(
        said["options"],
        json!([
            { "option": "toplevel", "old": store("system-2"), "new": store("system-3") },
            { "option": "forwardPorts", "old": [{ "hostPort": 80 }], "new": [{ "hostPort": 8080 }] },
        ])
    );
    // The same text as without --json.
    let text = tree.run(&["diff", "web"]).out;
    let files = said["files"].as_array().unwrap();
    assert_eq!(files.len(), 1, "{said}");
    for file in files {
        let path = file["path"].as_str().unwrap().strip_prefix("/run/systemd/generator/").unwrap();
        let diff = file["diff"].as_str().unwrap();
        assert!(diff.starts_with(&format!("--- a/{path}\n+++ b/{path}\n")) && text.contains(diff), "{diff}");
    }
    let default = tree.json(&["diff", "web", "1", "3", "--json"]);
    let timeout =
        default["options"].as_array().unwrap().iter().find(|one| one["option"] == "timeoutStartSec");
    assert_eq!(timeout, Some(&json!({ "option": "timeoutStartSec", "old": null, "new": "5min" })));
    // Messages are not mixed into the JSON.
    let same = tree.run(&["--json", "diff", "web", "3", "3"]);
    assert!(same.err.contains("have the same options and files"), "{}", same.err);
    let same: Value = serde_json::from_str(&same.out).unwrap();
    assert_eq!((&same["changes"], &same["options"], &same["files"]), (&json!(false), &json!([]), &json!([])));
}

#[test]
fn the_administrators_override_is_no_difference() {
    let tree = zoo();
    tree.write("/etc/nixos-nspawn.conf", "[Container]\nTimeoutStartSec=3min\n");
    let command = |words: &[&str]| tree.run(words).out;
    let said = command(&["diff", "web", "1", "3"]);
    assert!(
        said.contains("\n-timeoutStartSec = 3min\n") && said.contains("\n-TimeoutStartSec=3min\n"),
        "{said}"
    );
    assert!(!said.contains("autostart = false"), "{said}");
    let enabled = tree.run(&["disable", "web"]);
    assert_eq!(enabled.status, 0, "{}", enabled.err);
    assert!(!command(&["diff", "web", "1", "3"]).contains("\n+autostart"), "the override holds for both");
}

#[test]
fn diff_needs_a_generation_before() {
    let tree = zoo();
    let said = tree.run(&["diff", "web", "1", "1"]);
    assert_eq!(said.status, 0);
    for number in [1, 2] {
        fs::remove_file(tree.path(&format!("{PROFILES}/system-{number}-link"))).unwrap();
    }
    fs::remove_file(tree.path(&format!("{ROOTS}/web-pin-1"))).unwrap();
    let said = tree.run(&["diff", "web"]);
    let expected = "nixos-nspawn: container 'web' has no generation before 3, nothing to compare\n";
    assert_eq!((said.out.as_str(), said.err.as_str(), said.status), ("", expected, 2));
}
