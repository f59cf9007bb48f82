//! Users who may not read `/etc/nixos-nspawn`, or not all of it.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use nixos_nspawn_tests::host::bins;
use nixos_nspawn_tests::offline::{Said, Tree};
use serde_json::Value;

use crate::zoo;

/// Runs the program as somebody who may not read the directory.
fn as_user(tree: &Tree, words: &[&str]) -> Said {
    as_user_with(tree, 0o000, words)
}

/// Runs the program as a user, while the directory has a mode.
fn as_user_with(tree: &Tree, mode: u32, words: &[&str]) -> Said {
    // The user may not reach the directory of the build.
    let program = tree.path("/ctl");
    fs::copy(&bins().ctl, &program).unwrap();
    let directory = tree.path("/etc/nixos-nspawn");
    fs::set_permissions(&directory, Permissions::from_mode(mode)).unwrap();
    let mut command = match fs::metadata("/proc/self").unwrap().uid() {
        0 => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
            command
        }
        _ => Command::new(program),
    };
    let output = command.arg("--root").arg(tree.root()).args(words).output();
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    Said::from(output.unwrap())
}

#[test]
fn status_does_not_say_that_there_are_no_containers() {
    let tree = zoo();
    let fault = "/etc/nixos-nspawn: cannot be read";
    for words in [&["list"][..], &["status"]] {
        let said = as_user(&tree, words);
        assert_eq!(said.status, 1, "{words:?}: {}", said.out);
        assert!(said.out.starts_with(fault) && !said.out.contains("no containers"), "{}", said.out);
    }
    let said = as_user(&tree, &["status", "--json"]);
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(said.status, 1);
    assert!(answer["faults"][0].as_str().unwrap().starts_with(fault), "{answer}");
}

#[test]
fn doctor_checks_nothing_of_what_it_does_not_see() {
    let tree = zoo();
    let said = as_user(&tree, &["doctor", "--json"]);
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    let all = answer.as_array().unwrap();
    for check in ["intents", "names", "network-files", "sources", "roots", "litter"] {
        let of: Vec<&Value> = all.iter().filter(|one| one["check"] == check).collect();
        assert_eq!(of.len(), 1, "{of:#?}");
        let one = of[0];
        assert_eq!((&one["level"], &one["next"]), (&"note".into(), &"sudo nixos-nspawn doctor".into()));
        assert!(one["text"].as_str().unwrap().starts_with("not checked: "), "{one}");
    }
}

/// The names of records tell which commands were killed, even to those who may not read the records.
#[test]
fn list_shows_killed_commands_whose_records_are_secret() {
    let tree = zoo();
    let record = tree.path("/etc/nixos-nspawn/.half.creating");
    fs::set_permissions(record, Permissions::from_mode(0o600)).unwrap();
    let said = as_user_with(&tree, 0o755, &["list"]);
    for line in ["gone: half removed", "half: half created"] {
        assert!(said.out.contains(line), "{}", said.out);
    }
}
