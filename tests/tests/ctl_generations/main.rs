//! Commands about generations on trees below `--root`: what reading commands print, and that changing commands refuse such
//! a tree. The host tests cover running systems.

mod change;
mod damaged;
mod diff;
mod ignored;
mod list;
mod status;

use nixos_nspawn_tests::offline::Tree;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use serde_json::{Value, json};

const PROFILES: &str = "/nix/var/nix/profiles/per-nspawn/web";
const ROOTS: &str = "/nix/var/nix/gcroots/nixos-nspawn";
/// 2026-11-23T10:00:00Z
const MONDAY: i64 = 1_795_428_000;
const ACTIVATION: &str = r#"{"time":"2026-11-26T10:00:00Z","generation":4,"action":"restart","result":"failed","detail":"container 'web' did not start: it failed (timeout)"}"#;

/// Returns a path in the store.
fn store(name: &str) -> String {
    format!("/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-{name}")
}

/// Content of a tree that only these tests need.
trait Generations {
    /// Makes a built profile in the store, with options, and the system that it leads to.
    fn built(&self, number: u64, options: Value);

    /// Makes a link of the profile, a day younger than the one before it.
    fn generation(&self, number: u64);
}

impl Generations for Tree {
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

/// Makes a container `web` with a generation of each kind: 1 is pinned, 2 running, 3 current, 4 gone from the store, and 5
/// kept by its pin alone.
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
    // The link alone does not count: after a power failure it may be older than the boot.
    tree.write("/run/systemd/machines/web", "");
    tree.link(&format!("{ROOTS}/web-pin-1"), &store("profile-1"));
    tree.link(&format!("{ROOTS}/web-pin-5"), &store("profile-5"));
    // As in NixOS: a label beside init, and a link through the store to the version.
    tree.write(&format!("{}/nixos-version", store("system-2")), "26.05.20261118.1a2b3c4");
    tree.write(&format!("{}/nixos-version", store("system-3")), "before-big-move");
    tree.write(
        &format!("{}/etc/os-release", store("etc")),
        "NAME=NixOS\nVERSION_ID=\"26.05\"\nBUILD_ID=\"26.05.20261120.5d6e7f8\"\n",
    );
    tree.link(&format!("{}/etc", store("system-3")), &format!("{}/etc", store("etc")));
    tree.intent(
        "web",
        json!({
            "toplevel": store("system-3"),
            "source": { "flake": "github:me/infra#web" },
            "profile": format!("{PROFILES}/system"),
            "generation": 3,
            "container": { "forwardPorts": [{ "hostPort": 8080 }], "timeoutStartSec": "5min" },
        }),
    );
    tree
}
