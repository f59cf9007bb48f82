//! Clones: complete, or nothing of them is left.

use nixos_nspawn_tests::host::{FLAKE, Host};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::json;

use super::rename::{fill, named, state};
use super::{assert_half, killed, settle, stoppable};

on_both_hosts!(clones, clones_on_btrfs);

/// Returns the machine ID of a container.
fn machine_id(host: &Host, name: &str) -> String {
    host.run(&["cat", &format!("/var/lib/machines/{name}/etc/machine-id")]).stdout
}

fn clones(host: &Host) {
    host.install(stoppable());
    host.own(&json!({"web": {"page": "first\n"}, "ports": {"container": {"forwardPorts": ["8080:80"]}}}));
    host.create("web");
    for name in ["stopped", "ports"] {
        host.ctl_ok(&["create", name, "--flake", FLAKE, "--no-start"]);
    }
    fill(host, "web");
    let (of, id) = (state(host, "web"), machine_id(host, "web"));
    assert_eq!(id.trim().len(), 32, "{id}");
    for (words, code, text) in [
        (
            &["clone", "web", "copy"][..],
            10,
            "container 'web' is running, and its state is not a btrfs subvolume",
        ),
        (&["clone", "web", "stopped"], 10, "already exists"),
        (&["clone", "nobody", "copy"], 2, "there is no container 'nobody'"),
        (&["clone", "web", "web"], 2, "needs another name"),
        (&["clone", "ports", "copy"], 10, "port 8080/tcp (forwardPorts), which a copy cannot share"),
        (&["clone", "web", "copy", "--profile", "/nix/store/none"], 10, ""),
    ] {
        let refused = host.ctl(words);
        assert!(refused.code() == code && refused.stderr.contains(text), "{refused}");
    }
    host.ctl_ok(&["stop", "web"]);
    let before = host.traces();
    let would = host.ctl_ok(&["clone", "web", "copy", "--dry-run"]);
    assert!(would.stdout.contains("with a copy of its state in /var/lib/machines/copy"), "{would}");
    host.assert_no_traces_since(&before);

    host.ctl_ok(&["clone", "web", "copy"]);
    assert_eq!((state(host, "copy"), state(host, "web")), (of.clone(), of.clone()));
    host.ctl_ok(&["start", "web", "copy"]);
    for name in ["web", "copy"] {
        host.assert_agreed(name);
        host.page_of(name);
    }
    host.wait_until("the copy has a machine ID", || machine_id(host, "copy").trim().len() == 32);
    assert_eq!(machine_id(host, "web"), id);
    assert_ne!(machine_id(host, "copy"), id);
    host.ctl_ok(&["stop", "web"]);
    host.ctl_ok(&["remove", "copy", "--delete-state"]);
    // The copy can have other ports, which updates keep, or another profile.
    host.ctl_ok(&["clone", "ports", "copy", "--port", "8081:80"]);
    let ports = &host.intent("copy")["container"]["forwardPorts"];
    assert!(ports.to_string().contains("8081") && !ports.to_string().contains("8080"), "{ports}");
    assert_ne!(host.intent("copy")["overrides"], serde_json::Value::Null);
    host.ctl_ok(&["remove", "copy", "--delete-state"]);
    host.ctl_ok(&["clone", "ports", "copy", "--profile", "/nix/var/nix/profiles/per-nspawn/stopped/system"]);
    host.ctl_ok(&["remove", "copy", "--delete-state"]);
    host.assert_no_traces_since(&before);

    for (at, place) in
        ["copy-begun", "clone-made", "clone-copied", "copy-filled", "copy-kept", "copy-complete"]
            .iter()
            .enumerate()
    {
        killed(host, place, &["clone", "web", "copy"]);
        if at == 2 {
            assert_eq!(host.power_cut(), "running");
        }
        assert_half(host, "copy", "half created");
        settle(host);
        assert_eq!(named(host, "copy"), "", "{place}");
        host.ctl_ok(&["stop", "web"]);
    }
    killed(host, "copy-recorded", &["clone", "web", "copy"]);
    settle(host);
    host.assert_agreed("copy");
    assert_eq!(state(host, "copy"), of);
    host.ctl_ok(&["start", "copy"]);
    host.ctl_ok(&["remove", "copy", "--delete-state"]);

    // A full disk.
    host.make_loop_devices();
    host.sh("mv /var/lib/machines /var/lib/real; mkdir /var/lib/machines; truncate -s 24M /var/small.img; mkfs.ext4 -q /var/small.img
        mount -o loop /var/small.img /var/lib/machines; cp -a /var/lib/real/web /var/lib/machines
        head -c 12M /dev/urandom > /var/lib/machines/web/srv/big");
    let full = host.ctl(&["clone", "web", "copy"]);
    assert!(full.code() == 11 && full.stderr.contains("No space left"), "{full}");
    assert!(!host.exists("/var/lib/machines/copy") && !host.exists("/etc/nixos-nspawn/copy.json"));
}

fn clones_on_btrfs(host: &Host) {
    host.mount_btrfs();
    host.install(stoppable());
    host.own(
        &json!({"web": {"page": "first\n", "container": {"activation": {"snapshot": true}}}, "stopped": {}}),
    );
    host.create("web");
    host.ctl_ok(&["create", "stopped", "--flake", FLAKE, "--no-start"]);
    fill(host, "web");
    let of = state(host, "web");
    // Also while it runs, and with subvolumes inside.
    host.sh(
        "btrfs -q subvolume create /var/lib/machines/web/inner; echo deep > /var/lib/machines/web/inner/file",
    );
    host.ctl_ok(&["clone", "web", "copy"]);
    assert_eq!((host.state("web").as_str(), state(host, "copy")), ("active", of.clone()));
    assert_eq!(host.file("/var/lib/machines/copy/inner/file"), "deep\n");
    host.ctl_ok(&["start", "copy"]);
    assert_ne!(machine_id(host, "copy"), machine_id(host, "web"));
    host.ctl_ok(&["remove", "copy", "--delete-state"]);
    for place in ["clone-made", "clone-copied", "copy-complete"] {
        killed(host, place, &["clone", "web", "copy"]);
        settle(host);
        assert!(
            !host.exists("/var/lib/machines/copy") && !host.exists("/etc/nixos-nspawn/copy.json"),
            "{place}"
        );
        assert_eq!(state(host, "web"), of);
    }
    // A root that is a directory, with a subvolume in it.
    host.sh("cd /var/lib/machines; mkdir -p stopped; btrfs -q subvolume create stopped/inner; echo deep > stopped/inner/file");
    host.ctl_ok(&["clone", "stopped", "copy"]);
    assert_eq!(host.file("/var/lib/machines/copy/inner/file"), "deep\n");
}
