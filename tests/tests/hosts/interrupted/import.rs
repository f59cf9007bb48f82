//! Killed `import` commands.

use nixos_nspawn_tests::host::{Host, unit};
use nixos_nspawn_tests::on_both_hosts;

use super::{killed, settle, stoppable};

on_both_hosts!(killed_imports);

const CONF: &str = "PRIVATE_NETWORK=1\nAUTO_START=0\n";
const IMPORT: [&str; 4] = ["import", "nixos-container", "web", "--start"];
const STATE: &str = "/var/lib/nixos-containers/web";

fn killed_imports(host: &Host) {
    host.install(stoppable());
    let system = host.built_system("one\n");
    host.create("stopped");
    host.nixos_container("web", &system, CONF);
    let state = host.imported_state(STATE);
    let before = host.traces();
    let given_back = |place: &str| {
        assert_eq!(host.state("web"), "inactive", "{place}");
        assert_eq!(host.file("/etc/nixos-containers/web.conf"), CONF, "{place}");
        assert_eq!(host.imported_state(STATE), state, "{place}");
        host.sh("rm -f /var/lib/machines/.#web.lck; for id in /var/lib/nixos-containers/web/var/log/journal/*; do rm -f \"/var/log/journal/${id##*/}\"; done");
        host.assert_no_traces_since(&before);
    };
    for place in
        ["create-recorded", "import-moved", "import-state", "create-begun", "create-intent", "create-started"]
    {
        killed(host, place, &IMPORT);
        settle(host);
        given_back(place);
    }
    // A power cut in between, and the same command again.
    killed(host, "import-state", &IMPORT);
    assert_eq!(host.power_cut(), "running");
    host.ctl_ok(&IMPORT);
    host.assert_agreed("web");
    assert_eq!(host.imported_state("/var/lib/machines/web"), state);
    for place in ["remove-stopped", "remove-forgotten"] {
        killed(host, place, &["import", "--undo", "web"]);
        settle(host);
        given_back(place);
        host.ctl_ok(&IMPORT);
    }
    for place in ["give-back-moved", "given-back"] {
        killed(host, place, &["import", "--undo", "web"]);
        settle(host);
        given_back(place);
        host.ctl_ok(&IMPORT);
    }
    host.ctl_ok(&["import", "--undo", "web"]);
    // The state is the other program's until the import ends.
    killed(host, "import-state", &IMPORT);
    let refused = host.ctl(&["remove", "web", "--delete-state"]);
    assert_eq!(refused.code(), 10, "{refused}");
    assert!(refused.stderr.contains("belongs to nixos-container again"), "{refused}");
    given_back("remove --delete-state");
    // Killed when only the record was left to delete: it stays, and can be undone.
    killed(host, "create-done", &IMPORT);
    settle(host);
    host.assert_agreed("web");
    assert_eq!(host.state("web"), "active");
    host.ctl_ok(&["import", "--undo", "web"]);
    given_back("create-done");
    running_and_copied(host, &system);
}

/// The other program's container runs again if its import is killed, and a half copy of a state goes.
fn running_and_copied(host: &Host, system: &str) {
    host.python_container("py", system);
    host.ok(&["systemctl", "start", &unit("py")]);
    for place in ["import-moved", "create-intent"] {
        killed(host, place, &["import", "python-nixos-nspawn", "py"]);
        settle(host);
        assert_eq!(host.state("py"), "active", "{place}");
        assert!(host.exists("/etc/systemd/nspawn/py.nspawn"), "{place}");
        assert!(!host.exists("/etc/nixos-nspawn/py.json"), "{place}");
    }
    profile_given_back(host);
    nspawn_given_back(host, system);
    host.sh("mkdir -p /srv/tmpfs && mount -t tmpfs tmpfs /srv/tmpfs && mv /var/lib/nixos-containers /srv/tmpfs/all");
    host.sh("ln -s /srv/tmpfs/all /var/lib/nixos-containers");
    for place in ["import-copied", "import-state"] {
        killed(host, place, &IMPORT);
        settle(host);
        assert!(host.exists("/etc/nixos-containers/web.conf"), "{place}");
        assert_eq!(host.sh("ls -A /var/lib/machines | grep web || true"), "", "{place}");
    }
}

/// A foreign .nspawn file rules again, and its container runs if it did.
fn nspawn_given_back(host: &Host, system: &str) {
    let file = "/etc/systemd/nspawn/own.nspawn";
    let text = format!(
        "[Exec]\nBoot=no\nParameters={system}/init\nKillSignal=SIGRTMIN+3\nNotifyReady=yes\nPrivateUsers=no\n\
         [Files]\nBindReadOnly=/nix/store\n"
    );
    host.write(file, &text, 0o644);
    host.sh("mkdir -p /var/lib/machines/own/etc /var/lib/machines/own/usr; touch /var/lib/machines/own/etc/os-release");
    host.ok(&["systemctl", "start", &unit("own")]);
    for place in ["import-moved", "create-intent", "create-started"] {
        killed(host, place, &["import", "nspawn", file]);
        settle(host);
        assert_eq!(host.file(file), text, "{place}");
        assert_eq!(host.state("own"), "active", "{place}");
        assert!(!host.exists("/etc/nixos-nspawn/own.json"), "{place}");
    }
    host.ctl_ok(&["import", "nspawn", file]);
    for place in ["remove-forgotten", "give-back-moved"] {
        killed(host, place, &["import", "--undo", "own"]);
        settle(host);
        assert_eq!(host.file(file), text, "{place}");
        assert!(!host.exists("/etc/nixos-nspawn/own.json"), "{place}");
        host.ctl_ok(&["import", "nspawn", file, "--start"]);
    }
    host.ctl_ok(&["import", "--undo", "own"]);
}

/// The profile that was given back is the other program's, however often the undo is killed.
fn profile_given_back(host: &Host) {
    let profile = "/nix/var/nix/profiles/per-nspawn/py";
    host.ok(&["systemctl", "stop", &unit("py")]);
    host.sh(&format!("ln -s $(readlink {profile}/system-1-link) {profile}/system-2-link"));
    let links = || host.sh(&format!("cd {profile} && readlink system system-1-link system-2-link"));
    let before = links();
    for place in ["remove-forgotten", "give-back-moved", "given-back"] {
        host.ctl_ok(&["import", "python-nixos-nspawn", "py"]);
        killed(host, place, &["import", "--undo", "py"]);
        if place == "give-back-moved" {
            // Again, by the command that settles it.
            let variable = format!("NIXOS_NSPAWN_FAIL_AT={place}");
            host.run(&["env", &variable, "nixos-nspawn", "enable", "stopped"]);
        }
        if place == "given-back" {
            host.ok(&["systemctl", "start", &unit("py")]);
        }
        settle(host);
        assert_eq!(links(), before, "{place}");
        assert!(host.exists("/etc/systemd/nspawn/py.nspawn") && !host.exists("/etc/nixos-nspawn/py.json"));
        let state = if place == "given-back" { "active" } else { "inactive" };
        assert_eq!(host.state("py"), state, "{place}");
        host.sh(&format!("systemctl stop {}", unit("py")));
    }
}
