//! `pin`, `unpin`, `delete-generations` and `remove`: what they refuse on a tree, and what `remove` deletes.

use std::fs;

use nixos_nspawn_tests::offline::Tree;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::{ACTIVATION, PROFILES, ROOTS, store, zoo};

#[test]
fn commands_that_change_generations_refuse_a_tree() {
    let tree = zoo();
    let before = tree.snapshot();
    let commands: [&[&str]; 4] = [
        &["pin", "web", "2"],
        &["unpin", "web", "1"],
        &["delete-generations", "web", "1"],
        &["delete-generations", "web", "old", "--dry-run"],
    ];
    for words in commands {
        let said = tree.run(words);
        let expected = format!(
            "nixos-nspawn: {} works on the running system only, nothing was changed; leave out --root\n",
            words[0]
        );
        assert_eq!((said.out.as_str(), said.err, said.status), ("", expected, 10));
    }
    assert_eq!(tree.snapshot(), before);
}

#[test]
fn generations_are_selected_as_in_nix_env() {
    let tree = zoo();
    for words in [&["+0"][..], &["0d"], &["yesterday"], &["1", "old"], &["-1"], &["3x"], &[]] {
        let said = tree.run(&[&["delete-generations", "web"], words].concat());
        assert_eq!((said.out.as_str(), said.status), ("", 2), "{words:?}: {}", said.err);
    }
    let said = tree.run(&["delete-generations", "web", "3x"]);
    let expected = "nixos-nspawn: '3x': is not a generation; use numbers, or one of +K (all but the newest K), 30d \
                    (older than 30 days) or old\n";
    assert_eq!(said.err, expected);
    for words in [&["pin"][..], &["pin", "web", "-1"], &["pin", "bad_name", "1"]] {
        assert_eq!(tree.run(words).status, 2, "{words:?}");
    }
}

#[test]
fn remove_deletes_pins_and_records() {
    let tree = zoo();
    tree.write(&format!("{PROFILES}/last-activation.json"), ACTIVATION);
    tree.link(&format!("{ROOTS}/webmail-pin-7"), &store("system-1"));
    let intent = tree.path("/etc/nixos-nspawn/web.json");
    let mut expected = json!([{
        "name": "web",
        "result": "would_remove",
        "stopped": false,
        "deleted": [intent, PROFILES],
        "kept": null,
        "snapshots": null,
        "dependents": [],
        "error": null,
    }]);
    assert_eq!(tree.json(&["remove", "web", "--dry-run", "--json"]), expected);
    assert!(tree.path(PROFILES).exists());
    let said = tree.run(&["remove", "web", "--json"]);
    assert_eq!(said.status, 0, "{}", said.err);
    expected[0]["result"] = json!("removed");
    assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap(), expected);
    assert!(!tree.path(PROFILES).exists());
    let absent = tree.json(&["remove", "web", "--json"]);
    assert_eq!((&absent[0]["result"], &absent[0]["deleted"]), (&json!("absent"), &json!([])));
    let left: Vec<String> = fs::read_dir(tree.path(ROOTS))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left, ["webmail-pin-7"]);
}

#[test]
fn state_is_not_taken_for_the_profile() {
    let tree = Tree::new();
    // An intent that somebody has written by hand has no profile.
    tree.intent("db", json!({}));
    let words = ["remove", "db", "--delete-state", "--dry-run"];
    let intent = format!("would delete {}\n", tree.path("/etc/nixos-nspawn/db.json").display());
    assert_eq!(tree.ok(&words), intent);
    let state = tree.path("/var/lib/machines/db");
    fs::create_dir_all(&state).unwrap();
    assert_eq!(tree.ok(&words), format!("{intent}would delete {}\n", state.display()));
    let tree = zoo();
    let text = tree.ok(&["remove", "web", "--dry-run"]);
    assert!(text.contains(&format!("would delete {PROFILES} with all generations\n")), "{text}");
}

#[test]
fn all_imperative_containers_are_removed() {
    let tree = Tree::new();
    for name in ["a-db", "web"] {
        tree.intent(name, json!({}));
    }
    tree.intent("app", json!({"container": {"requires": ["a-db"]}}));
    tree.write("/etc/nixos-nspawn/torn.json", "{");
    tree.write(
        "/etc/nixos-nspawn/declarative.d/shop.json",
        &json!({"version": 1, "toplevel": store("system-1")}).to_string(),
    );
    let before = tree.snapshot();
    let names = |answer: &Value, result: &str| {
        let all = answer.as_array().unwrap();
        assert!(all.iter().all(|one| one["result"] == json!(result)), "{answer}");
        all.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    // Each is before those that it requires; of a broken intent nothing is known.
    let order = "web app a-db torn";
    assert_eq!(names(&tree.json(&["remove", "--all", "--dry-run", "--json"]), "would_remove"), order);
    assert_eq!(tree.snapshot(), before);
    let said = tree.run(&["remove", "--all", "--json"]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    assert_eq!(names(&serde_json::from_str(&said.out).unwrap(), "removed"), order);
    assert_eq!(tree.ok(&["list", "-q"]), "shop\n");
    let again = tree.run(&["remove", "--all"]);
    let nothing = "nixos-nspawn: there are no imperative containers, nothing to remove\n";
    assert_eq!((again.status, again.out.as_str(), again.err.as_str()), (0, "", nothing));
    assert_eq!(tree.json(&["remove", "--all", "--json"]), json!([]));
    // Offline, nothing can be started.
    let now = tree.run(&["enable", "--now", "shop"]);
    let refused = "nixos-nspawn: enable --now works on the running system only, nothing was changed; leave out --root\n";
    assert_eq!((now.status, now.err.as_str()), (10, refused));
}
