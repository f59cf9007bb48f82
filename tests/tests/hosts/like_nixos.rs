//! Containers that boot and switch like NixOS (tests/nix/stand-in/nixos/lib/like-nixos.nix), with defaults of
//! NixOS that have broken containers. `make nixos-check` runs real NixOS containers.

use std::time::Duration;

use nixos_nspawn_tests::host::{Host, NIXPKGS, Output, bins, unit};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;

on_both_hosts!(defaults_of_nixos);

/// Options of two neighbours without user namespaces.
const NEIGHBOURS: &str =
    "nixosContainer = { zone = \"lab\"; userNamespacing = false; }; time.timeZone = \"Asia/Tokyo\";";

/// Writes the configuration of a container.
fn configure(host: &Host, name: &str, page: &str, more: &str) -> String {
    let path = format!("/root/{name}.nix");
    let text = format!(
        "{{ likeNixOS.enable = true; system.stateVersion = \"26.05\"; networking.firewall.allowedTCPPorts = [ 80 ]; \
         standIn.page = \"{page}\\n\"; {more} }}\n"
    );
    host.write(&path, text, 0o644);
    path
}

fn create(host: &Host, name: &str, more: &str) {
    let path = configure(host, name, "one", more);
    host.ctl_ok(&["create", name, "--config", &path, "--nixpkgs", NIXPKGS]);
    assert_eq!(
        host.run(&["systemctl", "--machine", name, "is-system-running"]).stdout,
        "running\n",
        "{name}"
    );
}

fn defaults_of_nixos(host: &Host) {
    host.install(bins());
    host.install_nix();
    host.install_nixpkgs();
    names_behind_a_firewall(host);
    failed_switches(host);
    user_namespace(host);
    immutable_directory(host);
}

/// Neighbours in a zone reach each other although the firewall drops other packets, no unit waits for the network,
/// and the system has its own time zone.
fn names_behind_a_firewall(host: &Host) {
    for name in ["one", "two"] {
        create(host, name, NEIGHBOURS);
        assert_eq!(host.inside(name, &["readlink", "/etc/localtime"]), "/etc/zoneinfo/Asia/Tokyo\n");
        assert_eq!(host.page_of(name), "one\n");
    }
    host.wait_until("one finds two by its name", || {
        host.run_inside("one", &["resolvectl", "--legend=no", "query", "two"]).success()
    });
    host.inside("two", &["httpd", "-p", "81", "-h", "/run/www"]);
    assert_eq!(host.inside("two", &["wget", "-q", "-O", "-", "http://127.0.0.1:81/"]), "one\n");
    let closed = format!("http://{}:81/", host.address("two"));
    let asked = host.run(&["curl", "--silent", "--max-time", "2", &closed]);
    assert_eq!(asked.code(), 28, "dropped, which is a timeout: {asked}");

    // No DHCP server answers.
    create(host, "alone", "nixosContainer.hostNetworkConfig.networkConfig.DHCPServer = \"no\";");
    host.ctl_ok(&["remove", "alone", "--delete-state"]);
}

fn update(host: &Host, name: &str, page: &str, more: &str) -> Output {
    configure(host, name, page, more);
    host.run_with(&["nixos-nspawn", "update", name], None, Duration::from_secs(180))
}

/// A switch of NixOS does as much as it can, reports what failed, and exits with status 2 or 4.
fn failed_switches(host: &Host) {
    let nspawn = host.nspawn("one");
    for (more, expected) in [
        ("likeNixOS.snippets.bad = \"false\";", "Activation script snippet 'bad' failed (1)"),
        ("likeNixOS.services.bad = \"exit 3\";", "warning: the following units failed: bad.service"),
    ] {
        let output = update(host, "one", "two", &format!("{NEIGHBOURS} {more}"));
        assert!(!output.success() && output.stderr.contains(expected), "{output}");
        assert!(output.stderr.contains("rolled back"), "{output}");
        assert_eq!(
            (host.nspawn("one"), host.system_page("one")),
            (nspawn.clone(), "one\n".into()),
            "{output}"
        );
        let state = host.run(&["systemctl", "--machine=one", "is-system-running"]);
        assert_eq!(state.stdout, "running\n", "{output}");
    }
    let output = update(host, "one", "two", &format!("{NEIGHBOURS} likeNixOS.services.good = \"true\";"));
    assert!(output.success() && output.stderr.contains("new units were started: good.service"), "{output}");
    assert_eq!((host.nspawn("one"), host.system_page("one")), (nspawn, "two\n".into()), "{output}");
}

/// In a user namespace, the kernel does not let the activation remount the mounts of nspawn.
fn user_namespace(host: &Host) {
    let options = "nixosContainer.userNamespacing = true;";
    create(host, "mapped", options);
    let refused = host.run_inside(
        "mapped",
        &["mount", "-t", "tmpfs", "-o", "remount,nosuid,nodev,mode=755", "tmpfs", "/run"],
    );
    assert!(!refused.success(), "{refused}");
    let nspawn = host.nspawn("mapped");
    let output = update(host, "mapped", "two", options);
    assert!(output.success() && !output.stderr.contains("failed"), "{output}");
    assert_eq!((host.nspawn("mapped"), host.system_page("mapped")), (nspawn, "two\n".into()), "{output}");
}

/// The immutable /var/empty prevents neither the end of an ephemeral container nor the removal of a state
/// directory.
fn immutable_directory(host: &Host) {
    create(host, "short", "nixosContainer = { ephemeral = true; userNamespacing = false; };");
    let removed = host.run_inside("short", &["rmdir", "/var/empty"]);
    assert!(!removed.success(), "{removed}");
    let copies = "find / /var/lib/machines -maxdepth 1 -name '.#*.short*'";
    assert_ne!(host.sh(copies), "");
    host.ok(&["systemctl", "stop", &unit("short")]);
    assert_eq!(host.sh(copies), "", "{}", host.unit_journal("short"));
    for name in ["one", "two", "mapped", "short"] {
        host.ctl_ok(&["remove", name, "--delete-state"]);
        assert!(!host.exists(&format!("/var/lib/machines/{name}")), "{name}");
    }
}
