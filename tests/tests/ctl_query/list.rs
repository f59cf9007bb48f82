//! `list`: the table with its remarks, and the JSON.

use nixos_nspawn_tests::offline::{SYSTEM, Tree};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use std::fs;

use crate::zoo;

#[test]
fn list_is_a_table_with_remarks_below() {
    let expected = "\
NAME   STATE  NOTE
db     -      refused
dup    -      warning, …
gone   -      half removed
half   -      half created
old    -      warning, …
quiet  -
web    -      warning

db: the start is refused: /etc/nixos-nspawn/db.json:2: field 'container.zoen': is not known (did you mean 'zone'?); \
after a correction, 'systemctl daemon-reload' reads it again
dup: /etc/nixos-nspawn/dup.json: 'dup' is also a declarative container, which takes precedence
dup: masked by 'systemctl mask'; 'systemctl unmask systemd-nspawn@dup.service' lets it start again
gone: half removed: 'nixos-nspawn remove gone' finishes it
half: half created: 'nixos-nspawn remove half' cleans up
old: host port tcp/80 is also claimed by 'web'
old: starts with the host anyway, enabled by /etc/systemd/system/machines.target.wants/systemd-nspawn@old.service; \
'nixos-nspawn disable old' disables it
web: host port tcp/80 is also claimed by 'old'
/etc/nixos-nspawn/bad_name.json: 'bad_name' is not a machine name: it may contain only letters, digits, '-' and '.', not '_'
";
    assert_eq!(zoo().ok(&["list"]), expected);
    let declarative = zoo().ok(&["list", "--type", "declarative"]);
    assert!(declarative.starts_with("NAME  STATE  NOTE\ndup   -      warning, …\n\n"), "{declarative}");
    assert!(!declarative.contains("web") && !declarative.contains("bad_name"), "{declarative}");
}

#[test]
fn list_selects_by_name_and_state() {
    let tree = zoo();
    assert_eq!(tree.ok(&["list", "--quiet"]), "db\ndup\ngone\nhalf\nold\nquiet\nweb\n");
    assert_eq!(tree.ok(&["list", "d*", "web", "-q"]), "db\ndup\nweb\n");
    assert_eq!(tree.ok(&["list", "--no-legend", "?e?", "quiet"]), "quiet  -\nweb    -  warning\n");
    assert_eq!(tree.ok(&["list", "--state", "failed,unknown", "--sort", "state", "-q", "o*"]), "old\n");
    let said = tree.run(&["list", "nobody"]);
    let message = "nixos-nspawn: no such containers; 'nixos-nspawn list' lists all\n";
    assert_eq!((said.status, said.err.contains(message)), (0, true), "{}", said.err);
    assert_eq!(tree.run(&["list", "-q", "--json"]).status, 2);
    assert_eq!(tree.ok(&["list", "-q", "--state", "active"]), "");
    let said = tree.run(&["list", "--state", "runing"]);
    assert!(said.status == 2 && said.err.contains("possible values: active, "), "{}", said.err);
}

/// What a system says of itself is read only if it is a regular file of the tree, and shown without control characters.
#[test]
fn list_reads_releases_with_care() {
    let tree = zoo();
    let file = tree.path(&format!("{SYSTEM}-web/nixos-version"));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    assert!(!tree.ok(&["list"]).contains("VERSION"));
    fs::remove_file(&file).unwrap();
    tree.link(&format!("{SYSTEM}-web/nixos-version"), "/etc/hostname");
    assert!(!tree.ok(&["list"]).contains("VERSION"));
    fs::remove_file(&file).unwrap();
    tree.write(&format!("{SYSTEM}-web/nixos-version"), "26.05\u{1b}[31m.1\n");
    let text = tree.ok(&["list", "web"]);
    assert!(text.contains("26.05") && !text.contains('\u{1b}'), "{text}");
    assert_eq!(tree.json(&["list", "web", "--json"])[0]["version"], "26.05");
}

/// On a terminal nothing wraps: columns give way, and sentences are broken at blanks.
#[test]
fn list_fits_the_terminal() {
    let tree = zoo();
    tree.intent(&"long-name".repeat(7), json!({}));
    tree.write(&format!("{SYSTEM}-web/nixos-version"), "26.05.20260501.abcdefg (Yarara)\n");
    for columns in [40, 80, 120] {
        // `script` gives it a terminal.
        let program = nixos_nspawn_tests::host::bins().ctl.display();
        let line = format!("stty cols {columns} rows 24; {program} --root {} list", tree.root().display());
        let output =
            std::process::Command::new("script").args(["-qec", &line, "/dev/null"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap().replace('\r', "");
        let mut parts = text.split('\u{1b}');
        let first = parts.next().unwrap().to_owned();
        // Without colours.
        let rest = parts.map(|part| part.split_once('m').map_or(part, |(_, rest)| rest));
        let shown: String = std::iter::once(first.as_str()).chain(rest).collect();
        let table = shown.split("\n\n").next().unwrap();
        assert!(table.lines().all(|line| line.chars().count() <= columns), "{columns}:\n{table}");
        assert_eq!(table.lines().count(), 9, "{table}");
        assert_eq!(table.contains("26.05.20260501"), columns > 40, "{table}");
        assert_eq!(table.contains(&"long-name".repeat(7)), columns == 120, "{table}");
        let broken = shown.lines().filter(|line| line.chars().count() > columns);
        // Only what has no blank.
        assert!(broken.clone().all(|line| !line.trim().contains(' ') || line.contains("/etc/")), "{shown}");
    }
}

#[test]
fn colour_is_for_terminals_or_on_request() {
    let tree = zoo();
    assert!(!tree.ok(&["list"]).contains('\u{1b}'));
    let coloured = tree.ok(&["--color", "always", "list"]);
    assert!(coloured.contains("\u{1b}[31mrefused\u{1b}[0m"), "{coloured:?}");
    let mut plain = String::new();
    let mut inside = false;
    for c in coloured.chars() {
        inside |= c == '\u{1b}';
        if !inside {
            plain.push(c);
        }
        inside &= c != 'm';
    }
    assert_eq!(plain, tree.ok(&["list"]));
}

#[test]
fn nothing_to_list() {
    let tree = Tree::new();
    for (words, message) in [
        (&["list"][..], "no containers in /etc/nixos-nspawn; 'nixos-nspawn create' creates one"),
        (&["list", "--type", "declarative"], "no declarative containers"),
    ] {
        let said = tree.run(words);
        assert_eq!((said.status, said.out.as_str()), (0, ""));
        assert_eq!(said.err, format!("nixos-nspawn: {message}\n"));
    }
    assert_eq!(tree.ok(&["list", "--json"]), "[]\n");
}

#[test]
fn list_as_json_keeps_the_keys_of_python_nixos_nspawn() {
    let tree = zoo();
    let said = tree.run(&["--color", "always", "list", "--json"]);
    assert_eq!(said.status, 0);
    assert!(said.err.contains("bad_name.json: 'bad_name' is not a machine name"), "{}", said.err);
    assert!(!said.out.contains('\u{1b}'));
    let list: Value = serde_json::from_str(&said.out).unwrap();
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["db", "dup", "gone", "half", "old", "quiet", "web"]);
    let of = |name: &str| list.as_array().unwrap().iter().find(|c| c["name"] == name).unwrap().clone();
    assert_eq!(
        of("web"),
        json!({
            "name": "web",
            "unit_file": "/run/systemd/generator/nixos-nspawn/web.nspawn",
            "is_imperative": true,
            "type": "imperative",
            "unit": "systemd-nspawn@web.service",
            "state": null,
            "sub_state": null,
            "result": null,
            "autostart": true,
            "masked": false,
            "enabled_links": [],
            "since": null,
            "addresses": [],
            "ports": [{ "hostPort": 80 }],
            "toplevel": format!("{SYSTEM}-web"),
            "version": null,
            "generation": 3,
            "intent_file": "/etc/nixos-nspawn/web.json",
            "unfinished": null,
            "error": null,
            "held": null,
            "last_failure": null,
            "warnings": ["host port tcp/80 is also claimed by 'old'"],
            "reload_needed": false,
            "restart_needed": false,
            "note": "warning",
            "notes": ["host port tcp/80 is also claimed by 'old'"],
        })
    );
    let db = of("db");
    let error = "/etc/nixos-nspawn/db.json:2: field 'container.zoen': is not known (did you mean 'zone'?)";
    assert_eq!(
        (&db["error"], &db["unit_file"], &db["toplevel"]),
        (&json!(error), &Value::Null, &Value::Null)
    );
    // Every sentence below the table is in the JSON as well.
    let text = tree.ok(&["list"]);
    let (_, below) = text.split_once("\n\n").unwrap();
    let told: Vec<&str> = below.lines().filter(|line| !line.contains("bad_name")).collect();
    let of_all: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|one| one["notes"].as_array().unwrap().iter().map(move |note| (one, note)))
        .map(|(one, note)| format!("{}: {}", one["name"].as_str().unwrap(), note.as_str().unwrap()))
        .collect();
    assert_eq!(of_all, told);
    assert!(of_all.len() > 5, "{of_all:?}");
    assert_eq!((&of("dup")["is_imperative"], &of("dup")["masked"]), (&json!(false), &json!(true)));
    assert_eq!(
        (&of("half")["unfinished"], &of("gone")["unfinished"]),
        (&json!("creating"), &json!("removing"))
    );
    assert_eq!(
        of("old")["enabled_links"],
        json!(["/etc/systemd/system/machines.target.wants/systemd-nspawn@old.service"])
    );
}

/// systemd would start the bare template instead, and report a failed dependency without its name.
#[test]
fn a_required_container_that_is_missing() {
    let tree = Tree::new();
    fs::create_dir_all(tree.path("/var/lib/machines/foreign")).unwrap();
    tree.intent("db", json!({}));
    tree.intent("web", json!({ "container": { "requires": ["db", "dd", "foreign", "sshd.service"] } }));
    let said = tree.run(&["list"]);
    let warnings: Vec<&str> = said.out.lines().filter(|line| line.starts_with("web: requires")).collect();
    let warning = "web: requires 'dd', which is not a container here, so it cannot start; create it or remove the dependency";
    assert_eq!(warnings, [warning]);
}
