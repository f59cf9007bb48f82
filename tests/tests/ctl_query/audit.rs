//! `audit`: how exposed the host is to containers, for people and for scripts.

use nixos_nspawn_tests::offline::Tree;
use serde_json::json;

use crate::zoo;

#[test]
fn overview() {
    let tree = zoo();
    let said = tree.run(&["audit"]);
    let expected = "\
NAME   EXPOSURE  LEVEL    WORST
dup    7.5       EXPOSED  userNamespacing: its root is the host's root
old    7.5       EXPOSED  userNamespacing: its root is the host's root
quiet  7.5       EXPOSED  userNamespacing: its root is the host's root
web    2.0       OK       memoryMax: uses up the host's memory
";
    assert_eq!(said.out, expected, "{}", said.err);
    // What cannot be read is named, and so is not taken for safe.
    assert!(said.err.contains("db.json:2:") && said.err.contains(", so it is not audited\n"), "{}", said.err);
    assert_eq!(said.status, 0);
    let json = tree.json(&["audit", "--json"]);
    let names: Vec<_> = json.as_array().expect("a list").iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["dup", "old", "quiet", "web"]);
    let first = json!({"name": "dup", "type": "declarative", "score": 7.5, "predicate": "EXPOSED", "worst": "userNamespacing"});
    assert_eq!(json[0], first);
    assert_eq!(tree.run(&["audit", "db"]).status, 1);
    assert_eq!(tree.run(&["audit", "nobody"]).status, 2);
    let empty = Tree::new().run(&["audit"]);
    assert_eq!((empty.out.as_str(), empty.status), ("", 0));
}

#[test]
fn one_container() {
    let tree = Tree::new();
    tree.intent("web", json!({"container": {"userNamespacing": true, "bindMounts": ["/etc:/host:idmap"]}}));
    let text = tree.run(&["audit", "web"]).out;
    assert!(text.starts_with("SETTING"), "{text}");
    assert!(text.contains("\nbindMounts               9.50      sees files of the host\n"), "{text}");
    assert!(text.contains("\nweb: 9.5 UNSAFE\nWhat lessens it:\n  bindMounts: make bind"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    let json = tree.json(&["audit", "web", "--json"]);
    let rows = json["rows"].as_array().expect("rows");
    assert_eq!(rows[0]["id"], "bindMounts");
    assert_eq!(rows[0]["details"], json!(["can write /etc, each owner keeping its number (bindMounts)"]));
    // The score can be computed again from the rows.
    let number = |row: &serde_json::Value, key: &str| row[key].as_f64().expect("a number");
    let sum: f64 = rows.iter().map(|row| number(row, "weight") * number(row, "exposure")).sum();
    let weights: f64 = rows.iter().map(|row| number(row, "weight")).sum();
    let least = rows.iter().map(|row| number(row, "at_least")).fold(0.0, f64::max);
    let score = (100.0 * sum / weights).round() / 10.0;
    assert!((json["score"].as_f64().expect("a number") - score.max(least)).abs() < 1e-9, "{score} {least}");
    assert!((0.5..9.5).contains(&score), "{score}");
}
