//! The record of a container: returns everything that an update may change as text, for later comparison, and checks
//! that intent, profile, roots, units and the running container agree. Writes only to the test flake.

use super::{FLAKE, Host};
use serde_json::{Value, json};

/// The directory of the profiles of all containers.
const PROFILES: &str = "/nix/var/nix/profiles/per-nspawn";
/// The directory of our roots for Nix's garbage collector.
const ROOTS: &str = "/nix/var/nix/gcroots/nixos-nspawn";

/// Returns settings for [`Host::own`]: a container that serves `page` and has the strategy `dynamic`.
pub fn dynamic(page: &str) -> Value {
    let activation = json!({"strategy": "dynamic", "autoStart": true, "reloadScript": null});
    json!({"page": page, "container": {"activation": activation}})
}

/// A first process that is ready at once and ends on request.
pub const BOOT: &str = "trap 'exit 0' 37; systemd-notify --ready --no-block --pid=1; sleep 2147483647 & wait";

/// Returns settings of a container that is not a system, and so starts at once. It can only be restarted.
pub fn light(page: &str) -> Value {
    let activation =
        json!({"strategy": "restart", "autoStart": true, "expect": "active", "reloadScript": null});
    json!({"boot": BOOT, "page": page, "container": {"activation": activation, "network": "none"}})
}

impl Host {
    /// Adds containers to the test flake: names with settings as in container.nix.
    pub fn own(&self, containers: &Value) {
        self.own_text(&containers.to_string());
    }

    /// Does the same with JSON as text.
    pub fn own_text(&self, containers: &str) {
        self.write(&format!("{FLAKE}/own.json"), containers, 0o644);
    }

    /// Creates and starts a container of the test flake with these options, the members of a JSON object.
    pub fn create_with(&self, name: &str, options: &str) {
        self.own_text(&format!(r#"{{"{name}": {{"container": {{{options}}}}}}}"#));
        self.create(name);
    }

    /// Returns the page of the running system inside, which shows its generation.
    pub fn system_page(&self, name: &str) -> String {
        self.inside(name, &["cat", "/run/current-system/etc/page"])
    }

    /// Returns the recorded intent of a container.
    pub fn intent(&self, name: &str) -> Value {
        let text = self.file(&format!("/etc/nixos-nspawn/{name}.json"));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}: {text}"))
    }

    /// Returns the recorded generation of a container.
    pub fn generation(&self, name: &str) -> u64 {
        self.intent(name)["generation"].as_u64().expect("a generation")
    }

    /// Returns the process id of a container's nspawn, which changes with a restart but not with a reload.
    pub fn nspawn(&self, name: &str) -> String {
        self.property(name, "MainPID")
    }

    /// Returns everything that an update may change except the process: intent, records, profile, roots, generated files
    /// and the system inside. Omits the notes beside the profile, which a failed update changes as well.
    pub fn recorded(&self, name: &str) -> String {
        let script = format!(
            r#"
            find /etc/nixos-nspawn {PROFILES}/$0 {ROOTS} \
                \( -path "*/$0/*" -o -name "$0.json" -o -name ".$0.*" -o -name "$0" -o -name "$0-*" \) \
                ! -name last-activation.json ! -name updates.json -printf '%p -> %l\n' | sort
            find /nix/var/nix/gcroots/auto -lname "{PROFILES}/$0/pending" -printf '%l\n'
            cat /etc/nixos-nspawn/$0.json
            cd /run/systemd/generator
            cat systemd-nspawn@$0.service.d/50-nixos-nspawn.conf nixos-nspawn/$0.nspawn
            find . -name "systemd-nspawn@$0.service" | sort
            leader=$(machinectl show "$0" -P Leader 2>/dev/null) || exit 0
            nsenter -t "$leader" -a -- readlink /run/current-system"#
        );
        self.ok(&["sh", "-euc", &script, name])
    }

    /// Panics unless intent, profile, roots, units and, if it runs, the container itself agree on one generation, and no
    /// command has left anything unfinished.
    pub fn assert_agreed(&self, name: &str) {
        let link = |path: &str| self.run(&["readlink", path]).stdout.trim().to_owned();
        let intent = self.intent(name);
        let toplevel = intent["toplevel"].as_str().expect("a system").to_owned();
        let all = format!("container {name}, {}:\n{}", self.state(name), self.recorded(name));

        let generation = format!("system-{}-link", intent["generation"]);
        assert_eq!(link(&format!("{PROFILES}/{name}/system")), generation, "the profile of {all}");
        let init = self.ok(&["readlink", "-f", &format!("{PROFILES}/{name}/system/init")]);
        assert_eq!(init.trim(), format!("{toplevel}/init"), "the system in the profile of {all}");
        assert_eq!(link(&format!("{ROOTS}/{name}")), toplevel, "the root of {all}");
        let half = format!(
            r#"find /etc/nixos-nspawn {PROFILES}/{name} -name '.{name}.*' ! -name '.{name}.imported' -o -name pending; find /nix/var/nix/gcroots/auto -lname '*/{name}/pending'"#
        );
        assert_eq!(self.sh(&half), "", "half done: {all}");
        assert_eq!(self.property(name, "NeedDaemonReload"), "no", "{all}");
        let settings = self.file(&format!("/run/systemd/generator/nixos-nspawn/{name}.nspawn"));
        assert!(settings.contains(&format!("{toplevel}/init")), "the generated settings of {all}");
        if self.state(name) == "active" {
            assert_eq!(link(&format!("{ROOTS}/{name}-running")), toplevel, "the running root of {all}");
            let inside = self.run_inside(name, &["readlink", "/run/current-system"]);
            // A container that is not a full system has no such link.
            if inside.success() {
                assert_eq!(inside.stdout.trim(), toplevel, "the system inside of {all}");
            }
        }
    }
}
