//! The commands about generations on trees below `--root`: what those that look print, and that those that change
//! something refuse such a tree. Their live side is in the host tests.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use nixos_nspawn_tests::offline::{Said, Tree};
use pretty_assertions::assert_eq;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROFILES: &str = "/nix/var/nix/profiles/per-nspawn/web";
const ROOTS: &str = "/nix/var/nix/gcroots/nixos-nspawn";
/// 2026-11-23T10:00:00Z
const MONDAY: i64 = 1_795_428_000;

/// A path in the store.
fn store(name: &str) -> String {
    format!("/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-{name}")
}

/// What only these tests put into a tree.
trait Generations {
    /// An intent with further fields.
    fn intent(&self, name: &str, toplevel: &str, fields: Value);

    /// A built profile in the store, with options, and the system that it leads to.
    fn built(&self, number: u64, options: Value);

    /// A link of the profile, made a day after the one before it.
    fn generation(&self, number: u64);
}

impl Generations for Tree {
    fn intent(&self, name: &str, toplevel: &str, fields: Value) {
        let mut intent = json!({ "version": 1, "toplevel": toplevel });
        intent.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.write(&format!("/etc/nixos-nspawn/{name}.json"), &intent.to_string());
    }

    fn built(&self, number: u64, options: Value) {
        let (profile, system) = (store(&format!("profile-{number}")), store(&format!("system-{number}")));
        self.write(&format!("{system}/init"), "#!/bin/sh\n");
        self.link(&format!("{profile}/init"), &format!("{system}/init"));
        let data = json!({ "version": 1 });
        let mut data = data.as_object().unwrap().clone();
        data.extend(options.as_object().unwrap().clone());
        self.write(&format!("{profile}/nixos-nspawn/data.json"), &Value::Object(data).to_string());
    }

    fn generation(&self, number: u64) {
        let link = format!("{PROFILES}/system-{number}-link");
        self.link(&link, &store(&format!("profile-{number}")));
        let time = Timespec { tv_sec: MONDAY + 86_400 * (number as i64 - 1), tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, self.path(&link), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

/// Container `web` with one generation of each kind: the first pinned, the second running, the third current, the fourth
/// gone from the store, the fifth kept by its pin alone.
fn zoo() -> Tree {
    let tree = Tree::new();
    tree.built(1, json!({ "forwardPorts": [{ "hostPort": 80 }] }));
    tree.built(2, json!({ "forwardPorts": [{ "hostPort": 80 }], "timeoutStartSec": "5min" }));
    tree.built(3, json!({ "forwardPorts": [{ "hostPort": 8080 }], "timeoutStartSec": "5min" }));
    tree.built(5, json!({}));
    for number in 1..=4 {
        tree.generation(number);
    }
    tree.link(&format!("{PROFILES}/system"), "system-3-link");
    tree.link(&format!("{ROOTS}/web"), &store("system-3"));
    tree.link(&format!("{ROOTS}/web-running"), &store("system-2"));
    // The link alone says nothing: after a power failure it is older than the boot.
    tree.write("/run/systemd/machines/web", "");
    tree.link(&format!("{ROOTS}/web-pin-1"), &store("profile-1"));
    tree.link(&format!("{ROOTS}/web-pin-5"), &store("profile-5"));
    // As NixOS has them: a label beside init, and a link through the store to the version.
    tree.write(&format!("{}/nixos-version", store("system-2")), "26.05.20261118.1a2b3c4");
    tree.write(&format!("{}/nixos-version", store("system-3")), "before-big-move");
    tree.write(
        &format!("{}/etc/os-release", store("etc")),
        "NAME=NixOS\nVERSION_ID=\"26.05\"\nBUILD_ID=\"26.05.20261120.5d6e7f8\"\n",
    );
    tree.link(&format!("{}/etc", store("system-3")), &format!("{}/etc", store("etc")));
    tree.intent(
        "web",
        &store("system-3"),
        json!({
            "source": { "flake": "github:me/infra#web" },
            "profile": format!("{PROFILES}/system"),
            "generation": 3,
            "container": { "forwardPorts": [{ "hostPort": 8080 }], "timeoutStartSec": "5min" },
        }),
    );
    tree
}

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
    {} (kept by its pin alone)
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
    // Local time is the caller's.
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
fn without_generations_there_is_nothing_to_list() {
    let tree = Tree::new();
    tree.intent("quiet", &store("system"), json!({}));
    let said = tree.run(&["list-generations", "quiet"]);
    let expected =
        "nixos-nspawn: container 'quiet' has no generations; 'nixos-nspawn update quiet' makes one\n";
    assert_eq!((said.out.as_str(), said.err.as_str(), said.status), ("", expected, 0));
    assert_eq!(tree.ok(&["list-generations", "quiet", "--json"]), "[]\n");
    assert_eq!(tree.run(&["diff", "quiet"]).status, 2);
    assert_eq!(tree.run(&["diff", "quiet", "1", "2"]).status, 2);
}

#[test]
fn a_tree_without_a_store_does_not_tell_what_is_gone() {
    let tree = Tree::new();
    tree.generation(1);
    tree.intent("web", &store("system-1"), json!({ "generation": 1 }));
    let said = tree.ok(&["list-generations", "web"]);
    assert!(said.contains("1  2026-11-23 10:00:00  current\n") && !said.contains("gone"), "{said}");
    assert_eq!(tree.json(&["list-generations", "web", "--json"])[0]["present"], Value::Null);
}

#[test]
fn files_of_a_system_lead_nowhere_outside_the_tree() {
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
                        so it has no generations of its own; those of the host have it\n";
        assert_eq!((said.out.as_str(), said.err.as_str(), said.status), ("", expected, 10));
        let said = tree.run(&[command, "broken"]);
        assert!(said.err.starts_with("nixos-nspawn: /etc/nixos-nspawn/broken.json"), "{}", said.err);
        assert!(said.err.contains("so its generations cannot be told; correct the file first"));
        assert_eq!(said.status, 10);
    }
}

/// The lines of a diff that differ, with the names of the files.
fn differing(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with([' ', '@'])).collect()
}

#[test]
fn diff_is_unified_over_options_and_files() {
    let tree = zoo();
    let said = tree.run(&["diff", "web"]);
    assert_eq!(said.status, 0);
    assert_eq!(said.err, "nixos-nspawn: the closures were not compared, which needs Nix and not --root\n");
    let (two, three) = (store("system-2"), store("system-3"));
    let reload =
        "ExecReload=systemd-run --quiet --machine=%i --collect --no-ask-password --pipe --service-type=exec";
    let expected = format!(
        "\
generation 2 -> 3
--- a/options
+++ b/options
-toplevel = {two}
+toplevel = {three}
-forwardPorts = {{\"hostPort\":80}}
+forwardPorts = {{\"hostPort\":8080}}
--- a/nixos-nspawn/web.nspawn
+++ b/nixos-nspawn/web.nspawn
-Parameters={two}/init
+Parameters={three}/init
-Port=tcp:80:80
+Port=tcp:8080:8080
--- a/systemd-nspawn@web.service.d/50-nixos-nspawn.conf
+++ b/systemd-nspawn@web.service.d/50-nixos-nspawn.conf
-{reload} {two}/bin/switch-to-configuration test
+{reload} {three}/bin/switch-to-configuration test"
    );
    assert_eq!(differing(&said.out).join("\n"), expected);
    // Nothing in it differs merely because something else does.
    assert!(!said.out.contains("PLAN") && !said.out.contains("nixos-nspawn plan"), "{}", said.out);
    // Every tool for diffs takes it.
    assert_eq!(said.out.lines().filter(|line| line.starts_with("@@ -")).count(), 4, "{}", said.out);
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
    // One that only its pin keeps is as good as any.
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
    // The very text that people see.
    let text = tree.run(&["diff", "web"]).out;
    let files = said["files"].as_array().unwrap();
    assert_eq!(files.len(), 2, "{said}");
    for file in files {
        let path = file["path"].as_str().unwrap().strip_prefix("/run/systemd/generator/").unwrap();
        let diff = file["diff"].as_str().unwrap();
        assert!(diff.starts_with(&format!("--- a/{path}\n+++ b/{path}\n")) && text.contains(diff), "{diff}");
    }
    let default = tree.json(&["diff", "web", "1", "3", "--json"]);
    let timeout =
        default["options"].as_array().unwrap().iter().find(|one| one["option"] == "timeoutStartSec");
    assert_eq!(timeout, Some(&json!({ "option": "timeoutStartSec", "old": null, "new": "5min" })));
    // What is said to people does not get in between.
    let same = tree.run(&["--json", "diff", "web", "3", "3"]);
    assert!(same.err.contains("have the same options and files"), "{}", same.err);
    let same: Value = serde_json::from_str(&same.out).unwrap();
    assert_eq!((&same["changes"], &same["options"], &same["files"]), (&json!(false), &json!([]), &json!([])));
}

#[test]
fn the_administrators_word_is_no_difference_between_generations() {
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

const ACTIVATION: &str = r#"{"time":"2026-11-26T10:00:00Z","generation":4,"action":"restart","result":"failed","detail":"container 'web' did not start: it failed (timeout)"}"#;

#[test]
fn status_for_people() {
    let tree = zoo();
    let expected = "\
web
          State: - (not known: systemd was not asked)
     Generation: 3 is recorded, 5 is the newest
";
    assert_eq!(tree.ok(&["status", "web"]), expected);
    tree.write(&format!("{PROFILES}/last-activation.json"), ACTIVATION);
    let activation = "Last activation: 2026-11-26 10:00:00 failed, generation 4, by restart
                 container 'web' did not start: it failed (timeout)
";
    assert_eq!(tree.ok(&["status", "web"]), format!("{expected}{activation}"));
    // What a power failure left of it is no reason to show nothing.
    tree.write(&format!("{PROFILES}/last-activation.json"), &ACTIVATION[..20]);
    assert_eq!(tree.ok(&["status", "web"]), expected);
}

#[test]
fn status_for_scripts() {
    let tree = zoo();
    tree.write(&format!("{PROFILES}/last-activation.json"), ACTIVATION);
    let mut said = tree.json(&["status", "web", "--json"]);
    let plan = said["plan"].take();
    assert_eq!(plan.as_str().map(str::len), Some(32));
    assert_eq!(
        said,
        json!({
            "name": "web",
            "type": "imperative",
            "unit": "systemd-nspawn@web.service",
            "state": null,
            "sub_state": null,
            "result": null,
            "since": null,
            "generation": 3,
            "running_generation": null,
            "newest_generation": 5,
            "toplevel": store("system-3"),
            "running_toplevel": null,
            "plan": null,
            "running_plan": null,
            "restart_due": null,
            "reload_needed": false,
            "last_activation": {
                "time": "2026-11-26T10:00:00Z",
                "generation": 4,
                "action": "restart",
                "result": "failed",
                "detail": "container 'web' did not start: it failed (timeout)",
            },
            "error": null,
            "warnings": [],
        })
    );
}

#[test]
fn status_of_any_container() {
    let tree = zoo();
    tree.write("/etc/nixos-nspawn/broken.json", "{ \"version\": 1 }");
    tree.write(
        "/etc/nixos-nspawn/declarative.d/declared.json",
        &json!({ "version": 1, "toplevel": store("system-1") }).to_string(),
    );
    let said = tree.ok(&["status", "broken"]);
    assert!(said.contains("Notes: the start is refused: /etc/nixos-nspawn/broken.json"), "{said}");
    assert!(tree.json(&["status", "broken", "--json"])["error"].is_string());
    assert!(tree.ok(&["status", "declared"]).starts_with("declared\n"));
    let said = tree.json(&["status", "declared", "--json"]);
    assert_eq!((&said["type"], &said["generation"]), (&json!("declarative"), &Value::Null));
    assert_eq!(tree.run(&["status", "nobody"]).status, 2);
}

#[test]
fn what_changes_generations_refuses_a_tree() {
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
fn generations_are_named_as_nix_env_takes_them() {
    let tree = zoo();
    for words in [&["+0"][..], &["0d"], &["yesterday"], &["1", "old"], &["-1"], &["3x"], &[]] {
        let said = tree.run(&[&["delete-generations", "web"], words].concat());
        assert_eq!((said.out.as_str(), said.status), ("", 2), "{words:?}: {}", said.err);
    }
    let said = tree.run(&["delete-generations", "web", "3x"]);
    let expected = "nixos-nspawn: '3x': is no generation; give numbers, or one of +K (all but the newest K), 30d \
                    (older than 30 days) or old\n";
    assert_eq!(said.err, expected);
    for words in [&["pin", "web"][..], &["pin", "web", "x"], &["pin", "bad_name", "1"]] {
        assert_eq!(tree.run(words).status, 2, "{words:?}");
    }
}

#[test]
fn remove_takes_pins_and_records_along() {
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
fn a_reader_that_goes_away_is_no_failure() {
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
