//! Helpers of the host tests: install programs and flakes on a host, create containers, and ask about them.

use super::{Bins, Host, Output, PATIENCE};
use crate::answers;
use std::path::Path;
use std::time::Duration;

/// The path of the test flake on a host.
pub const FLAKE: &str = "/root/flake";

/// The path of the stand-in for nixpkgs on a host.
pub const NIXPKGS: &str = "/root/nixpkgs";

/// The time limit of commands that build and start a container.
const LONG: Duration = Duration::from_secs(180);

impl Host {
    /// Installs the programs below /usr/local and the flakes of examples/ and tests/host/ below /root.
    pub fn install(&self, bins: &Bins) {
        self.install_programs(bins);
        self.install_flakes();
    }

    /// Installs the programs alone.
    pub fn install_programs(&self, bins: &Bins) {
        self.copy_in(&bins.ctl, "/usr/local/bin/nixos-nspawn-ctl", 0o755);
        self.ok(&["ln", "-sf", "nixos-nspawn-ctl", "/usr/local/bin/nixos-nspawn"]);
        self.copy_in(
            &bins.generator,
            "/usr/local/lib/systemd/system-generators/nixos-nspawn-generator",
            0o755,
        );
        self.copy_in(&bins.generator, "/usr/local/libexec/nixos-nspawn/unit-helper", 0o755);
    }

    /// Copies only the flakes: `/root/example` and [`FLAKE`], which share the file that makes containers.
    pub fn install_flakes(&self) {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let example = workspace.join("examples/debian");
        self.copy_in(&example.join("flake.nix"), "/root/example/flake.nix", 0o644);
        self.copy_in(&example.join("container.nix"), "/root/example/container.nix", 0o644);
        self.copy_in(&example.join("container.nix"), &format!("{FLAKE}/container.nix"), 0o644);
        self.copy_in(&workspace.join("tests/host/flake/flake.nix"), &format!("{FLAKE}/flake.nix"), 0o644);
    }

    /// Installs the Nix files for configuration files, as `make install` does.
    pub fn install_nix(&self) {
        let nix = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nix");
        for entry in std::fs::read_dir(nix).expect("readable").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_file() {
                self.copy_in(&entry.path(), &format!("/usr/local/share/nixos-nspawn/nix/{name}"), 0o644);
            }
        }
    }

    /// Copies the stand-in for nixpkgs to [`NIXPKGS`]; it makes the systems of container.nix.
    pub fn install_nixpkgs(&self) {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let from = workspace.join("tests/nix/stand-in");
        for file in walkdir::WalkDir::new(&from).into_iter().map(|entry| entry.expect("readable")) {
            if file.file_type().is_file() {
                let path = file.path().strip_prefix(&from).expect("below");
                self.copy_in(file.path(), &format!("{NIXPKGS}/{}", path.display()), 0o644);
            }
        }
        let container = workspace.join("examples/debian/container.nix");
        self.copy_in(&container, &format!("{NIXPKGS}/nixos/container.nix"), 0o644);
    }

    /// Runs `nixos-nspawn` with these arguments.
    pub fn ctl(&self, arguments: &[&str]) -> Output {
        let output = self.run_with(&[&["nixos-nspawn"], arguments].concat(), None, LONG);
        answers::check(arguments, output.success(), &output.stdout);
        output
    }

    /// Runs `nixos-nspawn` with these arguments; it must succeed.
    pub fn ctl_ok(&self, arguments: &[&str]) -> Output {
        let output = self.ctl(arguments);
        assert!(output.success(), "{output}{}", self.journal(40));
        output
    }

    /// Creates and starts a container of the test flake, named like its attribute.
    pub fn create(&self, name: &str) {
        self.ctl_ok(&["create", name, "--flake", FLAKE]);
    }

    /// Runs a command inside a container, in all its namespaces. Returns its standard output.
    pub fn inside(&self, name: &str, command: &[&str]) -> String {
        let output = self.run_inside(name, command);
        assert!(output.success(), "in container {name}: {output}{}", self.journal(40));
        output.stdout
    }

    /// Does the same for a command that may fail.
    pub fn run_inside(&self, name: &str, command: &[&str]) -> Output {
        let script = r#"leader=$(machinectl show "$0" -P Leader) && exec nsenter -t "$leader" -a -- "$@""#;
        self.run_with(&[&["sh", "-euc", script, name], command].concat(), None, PATIENCE)
    }

    /// Returns a property of a container's unit.
    pub fn property(&self, name: &str, property: &str) -> String {
        self.ok(&["systemctl", "show", "--value", "-p", property, &unit(name)]).trim().to_owned()
    }

    /// Returns the `ActiveState=` of a container's unit.
    pub fn state(&self, name: &str) -> String {
        self.property(name, "ActiveState")
    }

    /// Waits until the unit of a container is in `state`.
    pub fn wait_state(&self, name: &str, state: &str) {
        self.wait_until(&format!("{} is {state}", unit(name)), || self.state(name) == state);
    }

    /// Returns `systemctl status` of a container's unit, after syncing the journal.
    pub fn status(&self, name: &str) -> String {
        self.run(&["journalctl", "--sync"]);
        self.run(&["systemctl", "status", "--full", "--no-pager", "--lines=50", &unit(name)]).stdout
    }

    /// Returns the journal of a container's unit in this boot. Unlike `systemctl status`, it contains messages from the
    /// moment between the start of a process and the time that systemd records for leaving `inactive`.
    pub fn unit_journal(&self, name: &str) -> String {
        self.run(&["journalctl", "--sync"]);
        self.run(&["journalctl", "--boot", "--no-pager", "--lines=100", "--unit", &unit(name)]).stdout
    }

    /// Returns the entry of one container in `nixos-nspawn list --json`.
    pub fn listed(&self, name: &str) -> Option<serde_json::Value> {
        let output = self.ctl_ok(&["list", "--json"]);
        let list: serde_json::Value =
            serde_json::from_str(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output}"));
        list.as_array()?.iter().find(|entry| entry["name"] == name).cloned()
    }

    /// Returns the page at a URL, as seen from the host; retries until there is one.
    pub fn page(&self, url: &str) -> String {
        let mut page = String::new();
        self.wait_until(&format!("{url} answers"), || {
            let output = self.run(&["curl", "--silent", "--fail", "--max-time", "5", url]);
            page = output.stdout;
            output.status.success()
        });
        page
    }

    /// Returns the page of a container at its address, which is asked for before each attempt: networkd may give it
    /// another one while the host boots.
    pub fn page_of(&self, name: &str) -> String {
        let mut page = String::new();
        self.wait_until(&format!("{name} answers"), || {
            let url = format!("http://{}/", self.address(name));
            let output = self.run(&["curl", "--silent", "--fail", "--max-time", "5", &url]);
            page = output.stdout;
            output.status.success()
        });
        page
    }

    /// Returns the address that DHCP gave to a container; waits for it.
    pub fn address(&self, name: &str) -> String {
        let mut address = String::new();
        self.wait_until(&format!("{name} has an IPv4 address"), || {
            let addresses =
                self.run_inside(name, &["ip", "-4", "-o", "addr", "show", "dev", "host0", "scope", "global"]);
            let word = addresses.stdout.split_whitespace().skip_while(|word| *word != "inet").nth(1);
            address = word.and_then(|word| word.split('/').next()).unwrap_or_default().to_owned();
            !address.is_empty()
        });
        address
    }
}

/// Returns the unit of a container.
pub fn unit(name: &str) -> String {
    format!("systemd-nspawn@{name}.service")
}
