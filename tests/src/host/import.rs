//! Containers of other programs, with the files that these write.

use std::path::Path;

use super::{FLAKE, Host};
use serde_json::{Value, json};

/// Sets an extended attribute, and prints one.
const SETXATTR: &str =
    r#"my ($p, $n, $v) = ($ARGV[0], "user.mark", "kept"); syscall(188, $p, $n, $v, 4, 0) == 0 or die $!"#;
const GETXATTR: &str = r#"my ($p, $n, $v) = ($ARGV[0], "user.mark", "0000"); syscall(191, $p, $n, $v, 4) == 4 or die $!; print $v"#;

impl Host {
    /// Builds a system of the test flake that serves `page`. Returns its path in the store.
    pub fn built_system(&self, page: &str) -> String {
        self.own(&json!({"peer": {"page": page}}));
        let attribute = format!("{FLAKE}#nixosContainers.peer");
        let built = self.ok(&["nix", "build", "--no-link", "--print-out-paths", &attribute]);
        let init = self.ok(&["readlink", "-f", &format!("{}/init", built.trim())]);
        init.trim().trim_end_matches("/init").to_owned()
    }

    /// Writes what `nixos-container create` writes, with these lines in the configuration, and a state.
    pub fn nixos_container(&self, name: &str, system: &str, lines: &str) {
        let profile = format!("/nix/var/nix/profiles/per-container/{name}");
        let state = format!("/var/lib/nixos-containers/{name}");
        self.sh(&format!("mkdir -p {profile} /etc/nixos-containers; chmod 700 {profile}/.."));
        self.ok(&["nix-env", "-p", &format!("{profile}/system"), "--set", system]);
        self.write(&format!("/etc/nixos-containers/{name}.conf"), lines, 0o644);
        self.sh(&format!(
            "mkdir -p -m 700 /var/lib/nixos-containers; mkdir -p {state}/etc {state}/var/empty"
        ));
        self.fill_state(&state);
    }

    /// Writes files with an owner, a mode, a hard link and an extended attribute, for [`Self::imported_state`].
    pub fn fill_state(&self, state: &str) {
        self.sh(&format!(
            "mkdir -p {state}/srv; echo data > {state}/srv/file; ln {state}/srv/file {state}/srv/link
            chown 1234:4321 {state}/srv/file; chmod 640 {state}/srv/file"
        ));
        self.ok(&["perl", "-e", SETXATTR, &format!("{state}/srv/file")]);
    }

    /// Returns what of a container's state must stay: owners, mode, links, content and extended attribute.
    pub fn imported_state(&self, state: &str) -> Value {
        let file = format!("{state}/srv/file");
        json!([
            self.ok(&["stat", "--format=%u:%g %a %h", &file]),
            self.file(&file),
            self.ok(&["perl", "-e", GETXATTR, &file]),
        ])
    }

    /// Writes what `nixos-nspawn create` of python-nixos-nspawn writes, for the reference case `timeout`.
    pub fn python_container(&self, name: &str, system: &str) {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        self.copy_in(&tests.join("host/peer.nix"), "/root/peer.nix", 0o644);
        for (file, to) in [
            ("data.json", "data.json".to_owned()),
            ("demo.nspawn", format!("{name}.nspawn")),
            ("service-overrides.conf", "service-overrides.conf".to_owned()),
        ] {
            self.copy_in(
                &tests.join("golden/reference/timeout").join(file),
                &format!("/root/peer/{to}"),
                0o644,
            );
        }
        // Its system starts as the stand-in does.
        self.sh(&format!("sed -i 's,^Parameters=.*,Parameters={system}/init,' /root/peer/{name}.nspawn"));
        self.write(&format!("/root/peer/{name}.network"), "[Match]\nName=ve-demo\n", 0o644);
        let profile = format!("/nix/var/nix/profiles/per-nspawn/{name}");
        let own = format!("{profile}/system/nixos-nspawn");
        self.sh(&format!(
            "mkdir -p {profile} /etc/systemd/nspawn /etc/systemd/network /var/lib/machines/{name}/etc
            mkdir -p /var/lib/machines/{name}/usr /var/log/journal
            built=$(nix build --no-link --print-out-paths --file /root/peer.nix --argstr name nixos-nspawn-profile \
                --argstr files /root/peer --argstr toplevel {system})
            nix-env -p {profile}/system --set $built
            touch /var/lib/machines/{name}/etc/os-release
            ln -s {own}/{name}.nspawn /etc/systemd/nspawn/{name}.nspawn
            ln -s {own}/{name}.network /etc/systemd/network/{name}.network
            mkdir -p /run/systemd/system/systemd-nspawn@{name}.service.d
            grep -v ^Exec {own}/service-overrides.conf \
                > /run/systemd/system/systemd-nspawn@{name}.service.d/override.conf
            systemctl daemon-reload"
        ));
    }
}
