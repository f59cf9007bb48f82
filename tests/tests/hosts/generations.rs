//! Generations with a real systemd and real Nix profiles: listing, deletion, pins, and the `status` of a container that runs
//! another generation than the recorded one.

use nixos_nspawn_tests::host::{Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::{Value, json};

on_both_hosts!(generations_live);

/// Sets the page that the flake's container `site` serves from its next build on.
fn page(host: &Host, text: &str) {
    host.own(&json!({ "site": { "page": format!("{text}\n") } }));
}

fn answer(host: &Host, words: &[&str]) -> Value {
    serde_json::from_str(&host.ctl_ok(words).stdout).expect("JSON")
}

fn status(host: &Host) -> Value {
    answer(host, &["status", "site", "--json"])
}

/// Returns the numbers of the generations whose `field` is true.
fn those(host: &Host, field: &str) -> Vec<u64> {
    let all = answer(host, &["list-generations", "site", "--json"]);
    let all = all.as_array().expect("a list").iter().filter(|one| one[field] == true);
    all.map(|one| one["generation"].as_u64().expect("a number")).collect()
}

fn generations_live(host: &Host) {
    host.install(bins());
    page(host, "one");
    host.create("site");
    let started = host.property("site", "MainPID");
    page(host, "two");
    host.ctl_ok(&["update", "site", "--strategy", "reload"]);
    page(host, "three");
    host.ctl_ok(&["update", "site", "--strategy", "none"]);

    // The first was started, the second switched to, the third is only recorded.
    assert_eq!(host.property("site", "MainPID"), started);
    assert_eq!((those(host, "current"), those(host, "running")), (vec![3], vec![2]));
    let said = status(host);
    assert_eq!(
        (
            &said["generation"],
            &said["running_generation"],
            &said["newest_generation"],
            &said["restart_needed"]
        ),
        (&json!(3), &json!(2), &json!(3), &json!(true)),
        "{said}"
    );
    assert_eq!((&said["state"], &said["last_activation"]["action"]), (&json!("active"), &json!("none")));
    assert!(said["since"].as_str().is_some_and(|since| since.starts_with("20") && since.ends_with('Z')));
    let text = host.ctl_ok(&["status", "site"]).stdout;
    assert!(text.contains("Generation: 3 is recorded, 2 runs\n") && text.contains("Restart: due"), "{text}");

    let diff = host.ctl_ok(&["diff", "site"]);
    assert!(diff.stdout.starts_with("generation 2 -> 3\n") && diff.stderr.is_empty(), "{diff}");

    // Protected generations stay, and if one of them is given, nothing is deleted.
    host.ctl_ok(&["pin", "site", "1"]);
    assert!(host.ctl_ok(&["pin", "site", "1"]).stdout.contains("is already pinned"));
    for (number, word) in [("1", "pinned"), ("2", "running"), ("3", "current")] {
        let refused = host.ctl(&["delete-generations", "site", number]);
        assert!(refused.code() == 10 && refused.stderr.contains(word), "{refused}");
    }
    assert_eq!(host.ctl(&["delete-generations", "site", "9", "1"]).code(), 2);
    assert_eq!(host.ctl(&["pin", "site", "9"]).code(), 2);
    let kept = host.ctl_ok(&["delete-generations", "site", "old"]).stdout;
    assert_eq!(
        kept,
        "generation 1 is pinned, so it is kept\ngeneration 2 is running, so it is kept\n\
         container 'site' has no generation to delete\n"
    );

    // The host's garbage collector removes all but the current one from the profile, but nothing pinned or running.
    host.ok(&["nix-collect-garbage", "-d"]);
    assert_eq!((those(host, "in_profile"), those(host, "pinned")), (vec![3], vec![1]));
    assert_eq!(those(host, "present"), [1, 3]);
    assert_eq!(host.page_of("site"), "two\n");
    assert_eq!(status(host)["running_generation"], Value::Null);
    assert!(host.ctl_ok(&["status", "site"]).stdout.contains("which is no longer a generation"));

    host.ok(&["systemctl", "restart", &unit("site")]);
    let said = status(host);
    assert_eq!((&said["restart_needed"], &said["running_generation"]), (&json!(false), &json!(3)), "{said}");

    // A rollback to a pinned generation still works and gives it a new number in the profile.
    host.ctl_ok(&["rollback", "site", "--to", "1"]);
    assert_eq!(host.page_of("site"), "one\n");
    let said = status(host);
    assert_eq!(
        (&said["restart_needed"], &said["last_activation"]["result"]),
        (&json!(false), &json!("done"))
    );
    assert_eq!((those(host, "current"), those(host, "running")), (vec![4], vec![1, 4]));
    let unpinned = host.ctl_ok(&["unpin", "site", "1"]).stdout;
    assert!(unpinned.ends_with("is no longer pinned, and nothing else keeps it\n"), "{unpinned}");
    assert!(host.ctl_ok(&["unpin", "site", "1"]).stdout.contains("is not pinned\n"), "twice is no failure");
    let deleted = host.ctl_ok(&["delete-generations", "site", "3"]).stdout;
    assert_eq!(deleted, "deleted generation 3 of container 'site'\n");
    assert_eq!(those(host, "in_profile"), [4]);

    host.ctl_ok(&["pin", "site", "4"]);
    host.ctl_ok(&["remove", "site"]);
    assert_eq!(host.ok(&["find", "/nix/var/nix/gcroots/nixos-nspawn", "-name", "site*"]), "");
    assert!(!host.exists("/nix/var/nix/profiles/per-nspawn/site"));
}
