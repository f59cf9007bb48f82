//! Faults that happened on a real systemd, one per test.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;

on_both_hosts!(
    killed_nspawn,
    starts_during_reloads,
    units_that_a_killed_generator_left_empty,
    garbage_collection_under_a_running_container,
    vanished_system,
    links_in_the_container_root,
    bind_source_on_a_missing_mount,
    links_of_systemctl_enable,
    power_cut_during_create,
);

/// A SIGKILLed nspawn leaves a mount behind, and on systemd 256 to 261 the next start fails on it (systemd#34776).
fn killed_nspawn(host: &Host) {
    host.install(bins());
    host.create("web");
    host.ok(&["systemctl", "kill", "--signal=KILL", "--kill-whom=main", &unit("web")]);
    host.wait_until("web is down", || ["failed", "inactive"].contains(&host.state("web").as_str()));
    host.run(&["systemctl", "reset-failed", &unit("web")]);
    host.ok(&["systemctl", "start", &unit("web")]);
    assert_eq!(host.page_of("web"), "Hello from web.\n");

    // The same for a container that must be killed because it ignores signals.
    host.create("deaf");
    host.run(&["systemctl", "stop", &unit("deaf")]);
    assert_eq!(host.property("deaf", "Result"), "timeout");
    host.run(&["systemctl", "reset-failed", &unit("deaf")]);
    host.ok(&["systemctl", "start", &unit("deaf")]);
    assert_eq!(host.state("deaf"), "active");
    host.ctl_ok(&["remove", "deaf"]);
    assert!(host.listed("deaf").is_none());
    assert_eq!(host.state("deaf"), "inactive");
}

/// A generator that is killed between making a unit and writing it leaves it empty (docs/decisions/scale.md): systemd takes an
/// empty drop-in for none, and an empty unit for masked, so whatever wants it starts without it and nothing fails.
fn units_that_a_killed_generator_left_empty(host: &Host) {
    let script = r#"
        mkdir -p /run/systemd/system/left.service.d; cd /run/systemd/system
        printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n' > left.service
        printf '[Unit]\nWants=empty.socket missing.socket\n' > left.service.d/40-wants.conf
        : > left.service.d/50-nixos-nspawn.conf
        : > empty.socket
        systemctl daemon-reload
        systemctl start left.service
        systemctl show --property=ActiveState left.service
        systemctl show --property=LoadState,ActiveState empty.socket"#;
    let said = host.ok(&["sh", "-euc", script]);
    assert_eq!(said, "ActiveState=active\nLoadState=masked\nActiveState=inactive\n");
    assert_eq!(host.ok(&["systemctl", "is-system-running"]).trim(), "running");
}

/// A container starts while a reload refills the generator's directory, in which it looks for its file.
fn starts_during_reloads(host: &Host) {
    host.install(bins());
    let built =
        host.ok(&["nix", "build", "--no-link", "--print-out-paths", &format!("{FLAKE}#nixosContainers.web")]);
    let names: Vec<_> = (1..=6).map(|number| format!("box-{number}")).collect();
    for name in &names {
        host.ctl_ok(&["create", name, "--profile", built.trim(), "--no-start"]);
    }
    let script = r#"
        (while [ ! -e /run/enough ]; do systemctl daemon-reload; done) &
        for round in 1 2 3 4 5 6; do
            systemctl restart "$@" || { echo "round $round"; touch /run/enough; wait; exit 1; }
            systemctl reset-failed "$@" || :
        done
        touch /run/enough; wait"#;
    let units: Vec<_> = names.iter().map(|name| unit(name)).collect();
    let mut command = vec!["sh", "-euc", script, "sh"];
    command.extend(units.iter().map(String::as_str));
    let output = host.run_with(&command, None, std::time::Duration::from_secs(240));
    assert!(output.success(), "{output}{}", host.journal(60));
    for name in &names {
        assert_eq!(host.state(name), "active", "{name}");
    }
}

/// A running system is protected from the garbage collector, whether it is recorded or not.
fn garbage_collection_under_a_running_container(host: &Host) {
    host.install(bins());
    host.create("web");
    let toplevel = host.inside("web", &["readlink", "/run/current-system"]).trim().to_owned();
    host.ok(&["nix-collect-garbage", "-d"]);
    host.ok(&["systemctl", "restart", &unit("web")]);
    assert_eq!(host.page_of("web"), "Hello from web.\n");

    // The record and the profile vanish under the running container.
    let roots = "rm -rf /nix/var/nix/profiles/per-nspawn/web /nix/var/nix/gcroots/nixos-nspawn/web";
    host.sh(&format!("rm /etc/nixos-nspawn/web.json; {roots}"));
    host.ok(&["nix-collect-garbage", "-d"]);
    assert!(host.exists(&toplevel), "the running system was deleted");
    assert_eq!(host.system_page("web"), "Hello from web.\n");
    host.ok(&["systemctl", "stop", &unit("web")]);
    host.ok(&["nix-collect-garbage", "-d"]);
    assert!(!host.exists(&toplevel), "it stays although nothing runs it");
}

/// If the system of an intent is not in the store, the start fails and names it.
fn vanished_system(host: &Host) {
    host.install(bins());
    let missing = "/nix/store/00000000000000000000000000000000-nixos-system-gone";
    host.write("/etc/nixos-nspawn/gone.json", format!(r#"{{"version": 1, "toplevel": "{missing}"}}"#), 0o644);
    host.ok(&["systemctl", "daemon-reload"]);
    assert!(!host.run(&["systemctl", "start", &unit("gone")]).success());
    let journal = host.unit_journal("gone");
    assert!(journal.contains(missing), "{journal}");
    // The template of newer versions cleans up after nspawn, and fails if there is no root.
    assert!(!journal.contains("No image for machine"), "{journal}");
}

/// Everything below a container's root may have been written by the container.
fn links_in_the_container_root(host: &Host) {
    host.install(bins());
    host.create("web");
    host.ok(&["systemctl", "stop", &unit("web")]);
    host.sh("mkdir /srv/victim && cd /var/lib/machines/web && rm -rf etc usr && ln -s /srv/victim etc && ln -s /srv/victim usr");
    assert!(
        !host.run(&["systemctl", "start", &unit("web")]).success(),
        "a link where a folder must be is an error"
    );
    assert_eq!(host.sh("ls -A /srv/victim"), "", "files were made on the host");
    let journal = host.unit_journal("web");
    assert!(journal.contains("link") && journal.contains("/var/lib/machines/web"), "{journal}");

    // Deleting the state does not leave the root either.
    host.write("/srv/victim/precious", "", 0o644);
    host.ctl_ok(&["remove", "web", "--delete-state"]);
    assert!(!host.exists("/var/lib/machines/web"));
    assert!(host.exists("/srv/victim/precious"));
}

/// If the parent of a bind source is missing, a mount may be missing: a start would fill the wrong disk.
fn bind_source_on_a_missing_mount(host: &Host) {
    host.install(bins());
    let own = r#"{"data": {"container": {"bindMounts": ["/srv/disk/database/files:/data"]}}}"#;
    host.own_text(own);
    let before = host.traces();
    let failed = host.ctl(&["create", "data", "--flake", FLAKE]);
    assert!(!failed.success() && failed.stderr.contains("/srv/disk/database"), "{failed}");
    host.assert_no_traces_since(&before);
    assert!(!host.exists("/srv/disk"));

    host.ok(&["mkdir", "-p", "/srv/disk/database"]);
    host.create("data");
    host.inside("data", &["touch", "/data/file"]);
    assert!(host.exists("/srv/disk/database/files/file"));

    // The container waits for the mounts of its source and of the store.
    let requires = host.property("data", "RequiresMountsFor");
    for path in ["/nix/store", "/srv/disk/database/files", "/var/lib/machines/data"] {
        assert!(requires.contains(path), "{path} is not in {requires}");
    }
}

/// `systemctl enable` makes links that outlive everything, `systemctl disable` removes only those.
fn links_of_systemctl_enable(host: &Host) {
    host.install(bins());
    host.create("web");
    host.ok(&["systemctl", "enable", &unit("web")]);
    let link = "/etc/systemd/system/machines.target.wants/systemd-nspawn@web.service";
    assert!(host.exists(link));
    // After `disable` it would still start by that link, so the link is deleted with a message.
    let disabled = host.ctl_ok(&["disable", "web"]);
    assert!(disabled.text().contains(link), "{disabled}");
    assert!(!host.exists(link));

    host.ok(&["systemctl", "enable", &unit("web")]);
    let listed = host.listed("web").expect("web is listed");
    assert!(listed["enabled_links"].to_string().contains(link), "nothing says why web will start: {listed}");
    host.ctl_ok(&["remove", "web"]);
    assert!(!host.exists(link), "the bare template would start at the next boot");
    assert_eq!(host.reboot(), "running");
    assert_eq!(host.state("web"), "inactive");
}

/// After a kill at any point, the next command finds the old or the new state, or repairs an unfinished one.
fn power_cut_during_create(host: &Host) {
    host.install(bins());
    host.create("off");
    for delay in ["0.02", "0.1", "0.3", "0.6", "1"] {
        let script = format!("nixos-nspawn create web --flake {FLAKE} > /dev/null 2>&1 & sleep {delay}");
        host.run(&["sh", "-c", &script]);
        host.power_cut();
        let listed = host.listed("web");
        if listed.as_ref().is_some_and(|entry| entry["unfinished"].is_null()) {
            host.wait_state("web", "active");
            host.ctl_ok(&["remove", "web"]);
        }
        // An unfinished container does not block another try.
        host.create("web");
        assert_eq!(host.state("web"), "active", "after a power cut {delay} s into create: {listed:?}");
        host.ctl_ok(&["remove", "web"]);
    }
}
