//! Reading commands, `enable` and `disable`, on trees below `--root`: their output for people and for scripts, and what
//! they change. The host tests cover running systems.

mod audit;
mod autostart;
mod list;
mod readers;
mod scale;
mod show;
mod terminal;
mod user;
mod verify;

use nixos_nspawn_tests::offline::{SYSTEM, Tree};
use serde_json::json;

/// Makes a tree with containers of every kind.
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
