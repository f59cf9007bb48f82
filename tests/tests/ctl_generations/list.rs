//! `list-generations`: the table, the JSON, and containers without generations.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use nixos_nspawn_tests::offline::{Said, Tree};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Generations, store, zoo};

#[test]
fn list_generations_is_a_table_for_people() {
    let tree = zoo();
    let expected = format!(
        "\
N  DATE                 STATE    NIXOS
1  2026-11-23 10:00:00  pinned
    {}
2  2026-11-24 10:00:00  running  26.05.20261118.1a2b3c4
    {}
3  2026-11-25 10:00:00  current  before-big-move (26.05.20261120.5d6e7f8)
    {}
4  2026-11-26 10:00:00  gone
    {} (gone from the store)
5  -                    pinned
    {} (kept only by its pin)
",
        store("profile-1"),
        store("profile-2"),
        store("profile-3"),
        store("profile-4"),
        store("profile-5")
    );
    let said = tree.ok(&["list-generations", "web"]);
    assert_eq!(said, expected);
    assert!(said.lines().filter(|line| !line.starts_with("    ")).all(|line| line.len() <= 80), "{said}");
    let coloured = tree.ok(&["--color=always", "list-generations", "web"]);
    assert!(coloured.contains("\u{1b}[32mrunning\u{1b}[0m"), "{coloured:?}");
    // Times are in the caller's time zone.
    let output = tree.command(&["list-generations", "web"]).env("TZ", "XYZ-2").output().unwrap();
    assert!(Said::from(output).out.contains("\n1  2026-11-23 12:00:00  pinned\n"));
}

#[test]
fn list_generations_is_plain_data_for_scripts() {
    let tree = zoo();
    let said = tree.json(&["list-generations", "web", "--json"]);
    assert_eq!(said.as_array().unwrap().len(), 5);
    assert_eq!(
        said[2],
        json!({
            "generation": 3,
            "date": "2026-11-25T10:00:00Z",
            "current": true,
            "running": false,
            "pinned": false,
            "in_profile": true,
            "present": true,
            "nixos_label": "before-big-move",
            "nixos_version": "26.05.20261120.5d6e7f8",
            "path": store("profile-3"),
            "toplevel": store("system-3"),
            "snapshots": [],
        })
    );
    let field = |name: &str| -> Vec<&Value> { said.as_array().unwrap().iter().map(|g| &g[name]).collect() };
    assert_eq!(field("running"), [false, true, false, false, false]);
    assert_eq!(field("pinned"), [true, false, false, false, true]);
    assert_eq!(field("present"), [true, true, true, false, true]);
    assert_eq!(field("in_profile"), [true, true, true, true, false]);
    assert_eq!((&said[4]["date"], &said[3]["toplevel"]), (&Value::Null, &Value::Null));
}

#[test]
fn containers_without_generations() {
    let tree = Tree::new();
    tree.intent("quiet", json!({}));
    let said = tree.run(&["list-generations", "quiet"]);
    let expected =
        "nixos-nspawn: container 'quiet' has no generations; 'nixos-nspawn update quiet' creates one\n";
    assert_eq!((said.out.as_str(), said.err.as_str(), said.status), ("", expected, 0));
    assert_eq!(tree.ok(&["list-generations", "quiet", "--json"]), "[]\n");
    assert_eq!(tree.run(&["diff", "quiet"]).status, 2);
    assert_eq!(tree.run(&["diff", "quiet", "1", "2"]).status, 2);
}

#[test]
fn without_a_store_nothing_counts_as_gone() {
    let tree = Tree::new();
    tree.generation(1);
    tree.intent("web", json!({ "toplevel": store("system-1"), "generation": 1 }));
    let said = tree.ok(&["list-generations", "web"]);
    assert!(said.contains("1  2026-11-23 10:00:00  current\n") && !said.contains("gone"), "{said}");
    assert_eq!(tree.json(&["list-generations", "web", "--json"])[0]["present"], Value::Null);
}

#[test]
fn links_of_a_system_stay_in_the_tree() {
    let tree = zoo();
    let outside = TempDir::new().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let version = format!("{}/nixos-version", store("system-1"));
    tree.link(&version, secret.to_str().unwrap());
    assert_eq!(tree.json(&["list-generations", "web", "--json"])[0]["nixos_label"], Value::Null);
    fs::remove_file(tree.path(&version)).unwrap();
    tree.write(&version, "a\u{1b}[31mb\u{7}\nsecond line");
    assert_eq!(tree.json(&["list-generations", "web", "--json"])[0]["nixos_label"], "a[31mb");
}

#[test]
fn containers_that_have_no_generations_here() {
    let tree = zoo();
    tree.write("/etc/nixos-nspawn/broken.json", "{ \"version\": 1 }");
    tree.write(
        "/etc/nixos-nspawn/declarative.d/declared.json",
        &json!({ "version": 1, "toplevel": store("system") }).to_string(),
    );
    for command in ["list-generations", "diff"] {
        let said = tree.run(&[command, "nobody"]);
        let expected = "nixos-nspawn: there is no container 'nobody' in /etc/nixos-nspawn; 'nixos-nspawn list' \
                        shows all\n";
        assert_eq!((said.out.as_str(), said.err.as_str(), said.status), ("", expected, 2));
        let said = tree.run(&[command, "declared"]);
        let expected = "nixos-nspawn: /etc/nixos-nspawn/declarative.d/declared.json: container 'declared' is declarative, \
                        so it has no generations of its own; it is part of the host's generations\n";
        assert_eq!((said.out.as_str(), said.err.as_str(), said.status), ("", expected, 10));
        let said = tree.run(&[command, "broken"]);
        assert!(said.err.starts_with("nixos-nspawn: /etc/nixos-nspawn/broken.json"), "{}", said.err);
        assert!(said.err.contains("so its generations are unknown; correct the file first"));
        assert_eq!(said.status, 10);
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let tree = zoo();
    for words in
        [&["list-generations", "web"][..], &["list-generations", "web", "--json"], &["status", "web"]]
    {
        let (writer, reader) = UnixStream::pair().unwrap();
        drop(reader);
        let mut command = tree.command(words);
        let output = command.stdout(OwnedFd::from(writer)).stderr(Stdio::piped()).output().unwrap();
        let said = Said::from(output);
        assert_eq!((said.err.as_str(), said.status), ("", 0), "{words:?}");
    }
}
