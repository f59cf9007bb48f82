//! Containers of other programs move in, with their state, and back, on a real systemd.

mod nspawn;

use nixos_nspawn_tests::host::{Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::json;

on_both_hosts!(of_nixos_container, of_python_nixos_nspawn);

/// As nixos-container writes it, and what an administrator adds.
const CONF: &str = "PRIVATE_NETWORK=1\nHOST_ADDRESS=10.233.1.1\nLOCAL_ADDRESS=10.233.1.2\nHOST_BRIDGE=\nHOST_PORT=\nAUTO_START=0\n";
const FLAGS: &str = "EXTRA_NSPAWN_FLAGS=\" --bind-ro=/srv/pages:/pages --bind=/srv/data:/data --frob\"\n";

fn of_nixos_container(host: &Host) {
    host.install(bins());
    let system = host.built_system("one\n");
    host.create("stopped");
    host.sh("mkdir -p /srv/pages /srv/data; echo pages > /srv/pages/index");
    host.nixos_container("web", &system, &format!("{CONF}{FLAGS}"));
    let drop_in = "/etc/systemd/system.control/container@web.service.d/50-MemoryMax.conf";
    host.write(drop_in, "[Service]\nMemoryMax=134217728\n", 0o644);
    let before = host.traces();
    let state = host.imported_state("/var/lib/nixos-containers/web");

    let dry = host.ctl_ok(&["import", "nixos-container", "web", "--dry-run"]).stdout;
    for line in [
        "would move /var/lib/nixos-containers/web to /var/lib/machines/web\n",
        "would move /etc/nixos-containers/web.conf to /etc/nixos-containers/web.conf.imported\n",
        "option: memoryMax = 134217728\n",
        "no counterpart: --frob\n",
        "no counterpart: LOCAL_ADDRESS=10.233.1.2: ",
        "container 'web' would be imported, and not be started; it does not start with the host\n",
    ] {
        assert!(dry.contains(line), "{line}: {dry}");
    }
    host.assert_no_traces_since(&before);

    let imported = host.ctl_ok(&["import", "nixos-container", "--all"]);
    assert!(imported.stdout.contains("'nixos-nspawn import --undo web' gives it back"), "{imported}");
    assert_eq!(host.state("web"), "inactive");
    assert!(!host.exists("/etc/nixos-containers/web.conf") && !host.exists("/var/lib/nixos-containers/web"));
    assert_eq!(host.imported_state("/var/lib/machines/web"), state);
    let intent = host.intent("web");
    assert_eq!((&intent["autostart"], &intent["toplevel"]), (&json!(false), &json!(system)));
    assert_eq!(
        intent["container"]["bindMounts"],
        json!([
            {"source": "/srv/pages", "destination": "/pages", "readOnly": true},
            {"source": "/srv/data", "destination": "/data"},
        ])
    );
    host.reboot();
    assert_eq!(host.state("web"), "inactive", "off stays off");
    host.ok(&["systemctl", "start", &unit("web")]);
    host.assert_agreed("web");
    assert_eq!(host.property("web", "MemoryMax"), "134217728");
    assert_eq!(host.inside("web", &["cat", "/srv/file", "/pages/index"]), "data\npages\n");
    assert!(!host.run_inside("web", &["touch", "/pages/index"]).success());
    host.inside("web", &["touch", "/data/written"]);
    host.wait_until("the host's end has its address", || {
        host.run(&["ip", "-o", "addr", "show", "dev", "ve-web"]).stdout.contains("10.233.1.1/32")
    });
    // What the host sets survives an update from the other program's profile.
    let again = host.ctl_ok(&["update", "web"]);
    assert!(again.stdout.contains("up to date"), "{again}");

    let undone = host.ctl_ok(&["import", "--undo", "web"]);
    assert!(undone.stdout.contains("'systemctl start container@web.service' starts it"), "{undone}");
    assert_eq!(host.state("web"), "inactive");
    assert_eq!(host.imported_state("/var/lib/nixos-containers/web"), state);
    assert_eq!(host.file("/etc/nixos-containers/web.conf"), format!("{CONF}{FLAGS}"));
    host.sh("rm -f /var/lib/machines/.#web.lck; for id in /var/lib/nixos-containers/web/var/log/journal/*; do rm -f \"/var/log/journal/${id##*/}\"; done");
    host.assert_no_traces_since(&before);
    let twice = host.ctl(&["import", "--undo", "web"]);
    assert_eq!(twice.code(), 2, "{twice}");
    older_and_bridged(host, &system);
    refusals(host, &system);
    another_file_system(host, &system);
    another_subvolume(host, &system);
}

/// The directories before NixOS 22.05, and a bridge of the host.
fn older_and_bridged(host: &Host, system: &str) {
    host.sh("ip link add br0 type bridge; ip link set br0 up");
    let lines = "PRIVATE_NETWORK=1\nHOST_BRIDGE=br0\nLOCAL_ADDRESS=10.9.0.2/24\nAUTO_START=1\n";
    host.nixos_container("old", system, lines);
    host.sh(
        "mkdir -p /etc/containers /var/lib/containers; echo x > /etc/containers/podman.conf
        mv /etc/nixos-containers/old.conf /etc/containers; mv /var/lib/nixos-containers/old /var/lib/containers",
    );
    let state = host.imported_state("/var/lib/containers/old");
    let imported = host.ctl_ok(&["import", "nixos-container", "--all", "--start"]);
    assert!(
        imported.stdout.contains("moved /etc/containers/old.conf to /etc/containers/old.conf.imported\n"),
        "{imported}"
    );
    assert!(!imported.stdout.contains("podman"), "{imported}");
    host.assert_agreed("old");
    assert_eq!(host.imported_state("/var/lib/machines/old"), state);
    assert!(host.sh("ip -o link show master br0").contains(" vb-old@"));
    for name in ["old", "web"] {
        host.ctl_ok(&["import", "--undo", name]);
    }
    assert_eq!(host.imported_state("/var/lib/containers/old"), state);
    assert_eq!(host.file("/etc/containers/old.conf"), lines);
    host.sh("rm -r /etc/containers /var/lib/containers; ip link delete br0");
}

/// Whatever cannot be imported is left as it is.
fn refusals(host: &Host, system: &str) {
    let import = |name: &str, code: i32, why: &str| {
        let before = host.traces();
        let output = host.ctl(&["import", "nixos-container", name]);
        assert_eq!(output.code(), code, "{output}");
        assert!(output.stderr.contains(why), "{why}: {output}");
        host.assert_no_traces_since(&before);
    };
    import("none", 2, "/etc/nixos-containers/none.conf does not exist");
    host.nixos_container("evil", system, "AUTO_START=1\nHOST_PORT=$(touch /srv/evil)\n");
    import("evil", 10, "/etc/nixos-containers/evil.conf:2: '$' is code for a shell, which is not run");
    assert!(!host.exists("/srv/evil"));
    host.sh("ln -s /nix/store/x.conf /etc/nixos-containers/linked.conf");
    import("linked", 1, "linked.conf: cannot be read");
    host.sh("cp /etc/nixos-containers/web.conf /srv/declared.conf; ln -sf /srv/declared.conf /etc/nixos-containers/linked.conf");
    host.sh("cp -a /nix/var/nix/profiles/per-container/web /nix/var/nix/profiles/per-container/linked");
    import(
        "linked",
        10,
        "so the container belongs to the configuration of the host, nothing was changed; remove it there",
    );
    host.nixos_container("stopped", system, CONF);
    import("stopped", 10, "/var/lib/machines/stopped: exists already");
    host.sh("mv /var/lib/machines/stopped /srv/stopped");
    import("stopped", 10, "'stopped' (imperative) already exists");
    host.sh("mv /srv/stopped /var/lib/machines/stopped");
    let template = "[Service]\nExecStart=sleep infinity\n";
    host.write("/etc/systemd/system/container@.service", template, 0o644);
    host.ok(&["systemctl", "daemon-reload"]);
    host.ok(&["systemctl", "start", "container@web"]);
    import("web", 10, "'systemctl stop container@web' stops it");
    host.ok(&["systemctl", "stop", "container@web"]);
    // It says that it is ready, and never is.
    let starting = "[Service]\nType=notify\nTimeoutStartSec=infinity\nExecStart=sleep infinity\n";
    host.write("/etc/systemd/system/container@.service", starting, 0o644);
    host.ok(&["systemctl", "daemon-reload"]);
    host.ok(&["systemctl", "start", "--no-block", "container@web"]);
    host.wait_until("container@web starts", || {
        host.run(&["systemctl", "is-active", "container@web"]).stdout.trim() == "activating"
    });
    import("web", 10, "container@web.service is activating");
    host.ok(&["systemctl", "stop", "container@web"]);
    held_root(host);
}

/// A container that no unit runs holds the lock beside its root.
fn held_root(host: &Host) {
    let lock = "/var/lib/nixos-containers/.#web.lck";
    // F_SETLK of the whole file; systemd-run would expand the `$`.
    let hold = "my $lock = pack('s s x4 q q i x4', 1, 0, 0, 0, 0);
        open(F, '+>', $ARGV[0]) or die $!; fcntl(F, 6, $lock) or die $!;
        open(H, '>', '/run/held'); sleep 1000;\n";
    host.write("/root/hold.pl", hold, 0o644);
    host.ok(&["systemd-run", "--quiet", "--collect", "--unit=holder", "perl", "/root/hold.pl", lock]);
    host.wait_until("the lock is held", || host.exists("/run/held"));
    let state = host.imported_state("/var/lib/nixos-containers/web");
    let output = host.ctl(&["import", "nixos-container", "web"]);
    assert_eq!(output.code(), 10, "{output}");
    assert!(output.stderr.contains("/var/lib/nixos-containers/web: is in use"), "{output}");
    assert_eq!(host.imported_state("/var/lib/nixos-containers/web"), state);
    assert!(host.exists("/etc/nixos-containers/web.conf") && !host.exists("/var/lib/machines/web"));
    host.ok(&["systemctl", "stop", "holder"]);
    host.sh("rm -f '/var/lib/nixos-containers/.#web.lck'");
}

/// The state is copied if it cannot be renamed, and the original stays.
fn another_file_system(host: &Host, system: &str) {
    host.sh("mkdir -p /srv/tmpfs && mount -t tmpfs tmpfs /srv/tmpfs && mv /var/lib/nixos-containers /srv/tmpfs/all");
    host.sh("ln -s /srv/tmpfs/all /var/lib/nixos-containers");
    host.nixos_container("far", system, "AUTO_START=1\n");
    let state = host.imported_state("/var/lib/nixos-containers/far");
    let imported = host.ctl_ok(&["import", "nixos-container", "far", "--start"]);
    assert!(imported.stderr.contains("is on another file system, so the state is copied"), "{imported}");
    assert!(imported.stdout.contains("is imported, and runs; it starts with the host"), "{imported}");
    assert_eq!(host.imported_state("/var/lib/machines/far"), state);
    assert_eq!(host.imported_state("/var/lib/nixos-containers/far"), state);
    let undone = host.ctl_ok(&["import", "--undo", "far"]);
    assert!(undone.stdout.contains("what changed since stays in /var/lib/machines/far"), "{undone}");
    assert!(host.exists("/etc/nixos-containers/far.conf") && host.exists("/var/lib/machines/far"));
}

/// A directory cannot be renamed into another mount of a btrfs, but shares its data there. The subvolumes in it are part of it.
fn another_subvolume(host: &Host, system: &str) {
    host.sh("umount /srv/tmpfs; rm -f /var/lib/nixos-containers");
    host.mount_btrfs();
    host.sh("btrfs -q subvolume create /var/lib/machines/all; mkdir /var/lib/nixos-containers; mount --bind /var/lib/machines/all /var/lib/nixos-containers");
    host.nixos_container("near", system, "AUTO_START=1\n");
    host.sh("cd /var/lib/nixos-containers/near; btrfs -q subvolume create inner; echo inner > inner/file; dd if=/dev/urandom of=large bs=1M count=8 status=none; sync");
    let state = host.imported_state("/var/lib/nixos-containers/near");
    let imported = host.ctl_ok(&["import", "nixos-container", "near", "--start"]);
    assert!(imported.stderr.contains("is on another file system, so the state is copied"), "{imported}");
    assert_eq!(host.imported_state("/var/lib/machines/near"), state);
    assert_eq!(host.inside("near", &["cat", "/inner/file"]), "inner\n");
    let shared = host.sh("btrfs filesystem du -s --raw /var/lib/machines/near/large | tail -1");
    assert_eq!(shared.split_whitespace().nth(1), Some("0"), "nothing of it is a copy: {shared}");
    host.ctl_ok(&["import", "--undo", "near"]);
    assert_eq!(host.file("/var/lib/nixos-containers/near/inner/file"), "inner\n");
}

fn of_python_nixos_nspawn(host: &Host) {
    host.install(bins());
    let system = host.built_system("one\n");
    host.python_container("web", &system);
    host.ok(&["systemctl", "start", &unit("web")]);
    host.sh("mkdir -p /var/lib/machines/web/srv; echo data > /var/lib/machines/web/srv/file");
    let before = host.traces();
    let nspawn = host.nspawn("web");
    let dry = host.ctl_ok(&["import", "python-nixos-nspawn", "web", "--dry-run"]).stdout;
    assert!(dry.contains("container 'web' would be imported, and run"), "{dry}");
    host.assert_no_traces_since(&before);
    assert_eq!(host.nspawn("web"), nspawn);

    let imported = host.ctl_ok(&["import", "python-nixos-nspawn", "--all"]);
    assert!(imported.stdout.contains("container 'web' is imported, and runs"), "{imported}");
    host.assert_agreed("web");
    assert_eq!(host.state("web"), "active");
    assert_ne!(host.nspawn("web"), nspawn, "one restart");
    assert_eq!(host.property("web", "TimeoutStartUSec"), "5min");
    assert_eq!(host.inside("web", &["cat", "/srv/file"]), "data\n");
    for path in ["/etc/systemd/nspawn/web.nspawn", "/etc/systemd/network/web.network"] {
        assert!(!host.exists(path), "{path}");
    }
    host.reboot();
    host.wait_state("web", "active");
    let undone = host.ctl_ok(&["import", "--undo", "web"]);
    assert!(undone.stdout.contains("is given back"), "{undone}");
    assert!(host.file("/nix/var/nix/profiles/per-nspawn/web/system/nixos-nspawn/data.json").contains('{'));
    assert!(!host.exists("/etc/nixos-nspawn/web.json"));
    host.ok(&["systemctl", "start", &unit("web")]);
    assert_eq!(host.inside("web", &["cat", "/srv/file"]), "data\n");
    nspawn::with_the_hosts_store(host, &system);
    nspawn::with_a_store_of_its_own(host);
}
