//! Killed `create` and `remove` commands.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;

use super::{assert_half, killed, settle, stoppable};

on_both_hosts!(killed_creates_and_removes, killed_removes_of_several, a_start_that_waits);

fn killed_creates_and_removes(host: &Host) {
    host.install(stoppable());
    host.create("stopped");
    let before = host.traces();
    for place in ["create-begun", "create-built", "create-intent", "create-started"] {
        let create = ["create", "web", "--flake", FLAKE];
        killed(host, place, &create);
        assert_half(host, "web", "half created");
        settle(host);
        assert_eq!(host.state("web"), "inactive", "{place}");
        // A started container may have written data, which is not deleted silently.
        assert_eq!(host.exists("/var/lib/machines/web"), place == "create-started", "{place}");
        host.sh("cd /var/lib/machines; for id in web/var/log/journal/*; do rm -f \"/var/log/journal/${id##*/}\"; done; rm -rf web .#web.lck");
        host.assert_no_traces_since(&before);

        killed(host, place, &create);
        assert_eq!(host.power_cut(), "running", "{place}");
        // The next command is the same one.
        host.ctl_ok(&create);
        host.assert_agreed("web");
        assert_eq!(host.state("web"), "active", "{place}");
        host.ctl_ok(&["remove", "web", "--delete-state"]);
        host.assert_no_traces_since(&before);
    }
    // Killed when only the record was left to delete: the container stays.
    killed(host, "create-done", &["create", "web", "--flake", FLAKE]);
    let nspawn = host.nspawn("web");
    settle(host);
    host.assert_agreed("web");
    assert_eq!((host.state("web"), host.nspawn("web")), ("active".to_owned(), nspawn));
    host.ctl_ok(&["remove", "web", "--delete-state"]);

    for place in ["remove-stopped", "remove-forgotten"] {
        for cut in [false, true] {
            host.create("web");
            killed(host, place, &["remove", "web", "--delete-state"]);
            if cut {
                host.power_cut();
            }
            assert_half(host, "web", "half removed");
            settle(host);
            host.assert_no_traces_since(&before);
            assert_eq!(host.state("web"), "inactive", "{place}");
        }
    }
}

/// All of them are recorded before the first is stopped, so all of them are removed by the next command. When the first is
/// forgotten, or deleted, the others are at different steps.
fn killed_removes_of_several(host: &Host) {
    host.install(stoppable());
    host.create("stopped");
    let before = host.traces();
    let names = ["one", "three", "two"];
    for place in ["remove-stopped", "remove-forgotten", "given-back"] {
        for name in names {
            host.ctl_ok(&["create", name, "--flake", &format!("{FLAKE}#web"), "--no-start"]);
        }
        host.ok(&["systemctl", "start", &unit("two")]);
        killed(host, place, &["remove", "one", "two", "three", "--delete-state"]);
        names.iter().for_each(|name| assert_half(host, name, "half removed"));
        settle(host);
        host.assert_no_traces_since(&before);
        names.iter().for_each(|name| assert_eq!(host.state(name), "inactive", "{place}: {name}"));
    }
}

/// The start of a killed `create` that waits for another unit is cancelled with it, or the unit would fail later.
fn a_start_that_waits(host: &Host) {
    host.install(bins());
    host.create("stopped");
    let before = host.traces();
    let drop_in = "/run/systemd/system/systemd-nspawn@web.service.d/slow.conf";
    host.write(drop_in, "[Unit]\nWants=slow.service\nAfter=slow.service\n", 0o644);
    host.write(
        "/run/systemd/system/slow.service",
        "[Service]\nType=oneshot\nExecStart=sleep infinity\n",
        0o644,
    );
    let waits = "[ -n \"$(systemctl list-jobs --no-legend 'systemd-nspawn@web.service')\" ]";
    host.sh(&format!(
        "nixos-nspawn create web --flake {FLAKE} & command=$!
        for _ in $(seq 300); do if {waits}; then break; fi; sleep 0.1; done; {waits}
        kill -KILL $command; wait $command || true"
    ));
    assert_eq!(host.state("web"), "inactive");
    settle(host);
    host.sh("systemctl stop slow.service; rm -rf /run/systemd/system/slow.service \
        /run/systemd/system/systemd-nspawn@web.service.d; systemctl daemon-reload");
    host.sh("sleep 1; systemctl is-failed systemd-nspawn@web.service && exit 1; true");
    assert_eq!(host.state("web"), "inactive");
    host.sh("rm -rf /var/lib/machines/web");
    host.assert_no_traces_since(&before);
}
