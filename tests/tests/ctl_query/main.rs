//! The commands that look and the two that set autostart, on trees below `--root`: what a person and a script see, what
//! is changed, and that nothing else is. Their live side is in the host tests.

mod autostart;
mod list;
mod readers;
mod show;

use std::fs;

use nixos_nspawn_tests::offline::Tree;
use serde_json::{Value, json};

const SYSTEM: &str = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system";

/// What only these tests ask of a tree.
trait Intents {
    /// An intent with further fields.
    fn intent(&self, name: &str, fields: Value);

    fn recorded(&self, name: &str) -> Value;
}

impl Intents for Tree {
    fn intent(&self, name: &str, fields: Value) {
        let mut intent = json!({ "version": 1, "toplevel": format!("{SYSTEM}-{name}") });
        intent.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.write(&format!("/etc/nixos-nspawn/{name}.json"), &intent.to_string());
    }

    fn recorded(&self, name: &str) -> Value {
        let text = fs::read_to_string(self.path(&format!("/etc/nixos-nspawn/{name}.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

/// Something of everything.
fn zoo() -> Tree {
    let tree = Tree::new();
    tree.intent(
        "web",
        json!({
            "source": { "flake": "github:me/infra#web", "system": "x86_64-linux" },
            "profile": "/nix/var/nix/profiles/per-nspawn/web/system",
            "generation": 3,
            "container": { "bindMounts": ["/srv/data:/data"], "forwardPorts": [{ "hostPort": 80 }],
                           "userNamespacing": true },
        }),
    );
    tree.intent("old", json!({ "autostart": false, "container": { "forwardPorts": [{ "hostPort": 80 }] } }));
    tree.write(
        "/etc/nixos-nspawn/db.json",
        &format!(
            "{{ \"version\": 1, \"toplevel\": \"{SYSTEM}-db\",\n  \"container\": {{ \"zoen\": \"x\" }} }}"
        ),
    );
    tree.intent("quiet", json!({}));
    tree.intent("dup", json!({}));
    tree.write(
        "/etc/nixos-nspawn/declarative.d/dup.json",
        &json!({ "version": 1, "toplevel": format!("{SYSTEM}-dup") }).to_string(),
    );
    tree.write("/etc/nixos-nspawn/bad_name.json", "{}");
    tree.write("/etc/nixos-nspawn/.half.creating", "{}");
    tree.write("/etc/nixos-nspawn/.gone.removing", "{}");
    tree.write("/etc/systemd/nspawn/foreign.nspawn", "[Exec]\nBoot=yes\n");
    tree.link(
        "/etc/systemd/system/machines.target.wants/systemd-nspawn@old.service",
        "/usr/lib/systemd/system/systemd-nspawn@.service",
    );
    tree.link("/etc/systemd/system/systemd-nspawn@dup.service", "/dev/null");
    tree
}
