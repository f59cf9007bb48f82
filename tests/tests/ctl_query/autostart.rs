//! `enable`, `disable` and `autostart`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nixos_nspawn_tests::offline::Tree;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::zoo;

#[test]
fn enable_and_disable_set_the_override() {
    let tree = Tree::new();
    tree.intent("web", json!({ "container": { "zone": "lan" } }));
    tree.intent("off", json!({ "container": { "activation": { "autoStart": false } } }));
    let before = tree.recorded("web");

    assert_eq!(tree.ok(&["disable", "web"]), "container 'web' no longer starts with the host\n");
    assert_eq!(tree.recorded("web")["autostart"], false);
    let nothing = "container 'web' does not start with the host, nothing changed\n";
    assert_eq!(tree.ok(&["disable", "web"]), nothing);
    assert_eq!(tree.json(&["show", "web", "--json"])["files"].as_array().unwrap().len(), 2);

    assert_eq!(tree.ok(&["enable", "web"]), "container 'web' now starts with the host\n");
    assert_eq!(
        tree.ok(&["enable", "web"]),
        "container 'web' already starts with the host, nothing changed\n"
    );
    let mut after = tree.recorded("web");
    assert_eq!(after.as_object_mut().unwrap().remove("autostart"), Some(json!(true)));
    after.as_object_mut().unwrap().remove("name");
    assert_eq!(after, before);
    let text = tree.ok(&["show", "web"]);
    assert!(text.contains("Autostart: yes (set by the administrator)"), "{text}");

    // The container's own setting may change with the next update.
    let pinned =
        "container 'off' still does not start with the host, now regardless of its own configuration\n";
    assert_eq!(tree.ok(&["disable", "off"]), pinned);
    assert_eq!(tree.recorded("off")["autostart"], false);
    assert_eq!(
        fs::metadata(tree.path("/etc/nixos-nspawn/off.json")).unwrap().permissions().mode() & 0o7777,
        0o644
    );
    let left: Vec<_> = fs::read_dir(tree.path("/run/nixos-nspawn")).unwrap().collect();
    assert!(left.is_empty(), "locks are left: {left:?}");

    for changed in [true, false] {
        let expected = |dry_run: bool| json!({ "name": "off", "dry_run": dry_run, "autostart": true, "changed": changed, "masked": false, "started": false, "stopped": false });
        let before = tree.snapshot();
        assert_eq!(tree.json(&["enable", "off", "--dry-run", "--json"]), expected(true));
        assert_eq!(tree.snapshot(), before);
        assert_eq!(tree.json(&["enable", "off", "--json"]), expected(false));
    }
    assert_eq!(tree.ok(&["disable", "off", "--dry-run"]), "container 'off' would not start with the host\n");

    // Several: a failure does not affect the others, and each is told.
    let said = tree.run(&["disable", "nobody", "off", "nowhere", "off"]);
    assert_eq!((said.status, said.out.as_str()), (2, "container 'off' no longer starts with the host\n"));
    let lines: Vec<&str> = said.err.lines().map(|line| line.split(" in ").next().unwrap()).collect();
    assert_eq!(
        lines,
        ["nobody", "nowhere"].map(|name| format!("nixos-nspawn: there is no container '{name}'"))
    );
    let said = tree.run(&["enable", "nobody", "off", "--json"]);
    let answers: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (said.status, answers[0]["name"].as_str(), answers[0]["error"].is_string()),
        (2, Some("nobody"), true)
    );
    assert_eq!((answers[1]["name"].as_str(), answers[1]["autostart"].as_bool()), (Some("off"), Some(true)));

    let said = tree.run(&["enable", "nobody", "--json"]);
    assert_eq!((said.status, said.out.as_str()), (2, ""), "an error is for people");
    assert!(said.err.starts_with("nixos-nspawn: there is no container 'nobody'"), "{}", said.err);
}

#[test]
fn disable_deletes_the_links_of_systemctl_enable() {
    let tree = Tree::new();
    tree.intent("old", json!({ "autostart": false }));
    let link = "/etc/systemd/system/machines.target.wants/systemd-nspawn@old.service";
    tree.link(link, "/usr/lib/systemd/system/systemd-nspawn@.service");
    let other = "/etc/systemd/system/machines.target.wants/systemd-nspawn@older.service";
    tree.link(other, "/usr/lib/systemd/system/systemd-nspawn@.service");
    let said = tree.run(&["disable", "old"]);
    assert_eq!((said.status, said.out.as_str()), (0, "container 'old' no longer starts with the host\n"));
    assert_eq!(said.err, format!("nixos-nspawn: removed {link}, which 'systemctl enable' made\n"));
    assert!(tree.path(link).symlink_metadata().is_err());
    assert!(tree.path(other).symlink_metadata().is_ok());
}

#[test]
fn enable_and_disable_refuse_other_containers() {
    let tree = zoo();
    let snapshot = |name: &str| fs::read(tree.path(&format!("/etc/nixos-nspawn/{name}.json"))).unwrap();
    for (name, status, message) in [
        ("dup", 10, "container 'dup' is declarative, nothing was changed"),
        ("db", 10, "db.json:2: field 'container.zoen'"),
        ("nope", 2, "there is no container 'nope'"),
        ("bad_name", 2, "'bad_name' is not a machine name"),
    ] {
        for command in ["enable", "disable"] {
            let (dup, db) = (snapshot("dup"), snapshot("db"));
            let said = tree.run(&[command, name]);
            assert_eq!((said.status, said.out.as_str()), (status, ""), "{command} {name}: {}", said.err);
            assert!(said.err.contains(message), "{}", said.err);
            assert_eq!((snapshot("dup"), snapshot("db")), (dup, db));
        }
    }
    let said = tree.run(&["autostart"]);
    assert_eq!(said.status, 10);
    assert_eq!(
        said.err,
        "nixos-nspawn: this command works on the running system only, nothing was changed; leave out --root\n"
    );
}
