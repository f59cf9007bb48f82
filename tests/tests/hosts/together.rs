//! Commands that change several containers at once: systemd reloads once, and the failure of one, or a command that works on
//! it, is no other's.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;

on_both_hosts!(several_are_enabled_and_removed_together);

/// Returns how often PID 1 has reloaded in this boot.
fn reloads(host: &Host) -> usize {
    host.ok(&["journalctl", "--sync"]);
    let said = host.ok(&["journalctl", "--boot", "--output=cat", "_PID=1"]);
    said.lines().filter(|line| line.starts_with("Reloading finished")).count()
}

/// Returns the intents that there are.
fn intents(host: &Host) -> Vec<String> {
    host.ctl_ok(&["list", "-q"]).stdout.lines().map(str::to_owned).collect()
}

/// Holds the lock of a container for some seconds.
fn hold(host: &Host, name: &str, seconds: u32) {
    let lock = format!("/run/nixos-nspawn/{name}.lock");
    host.ok(&["sh", "-c", &format!("flock {lock} sleep {seconds} >/dev/null 2>&1 &")]);
    host.wait_until("the lock is held", || !host.run(&["flock", "--nonblock", &lock, "true"]).success());
}

fn several_are_enabled_and_removed_together(host: &Host) {
    host.install(bins());
    let built =
        host.ok(&["nix", "build", "--no-link", "--print-out-paths", &format!("{FLAKE}#nixosContainers.web")]);
    for name in ["one", "two", "stubborn"] {
        host.ctl_ok(&["create", name, "--profile", built.trim()]);
    }
    for name in ["held", "masked"] {
        host.ctl_ok(&["create", name, "--profile", built.trim(), "--no-start"]);
    }
    host.ok(&["systemctl", "mask", &unit("masked")]);

    // A setting for several, of which one is unknown and one is masked.
    let before = reloads(host);
    let disabled = host.ctl(&["disable", "one", "masked", "nobody", "two"]);
    assert!(!disabled.success(), "{disabled}");
    assert!(disabled.stderr.contains("'nobody'"), "{disabled}");
    for name in ["one", "two", "masked"] {
        assert!(disabled.stdout.contains(&format!("container '{name}' no longer starts")), "{disabled}");
        assert!(
            !host.exists(&format!("/run/systemd/generator/machines.target.wants/{}", unit(name))),
            "{name}"
        );
    }
    assert_eq!(reloads(host), before + 1, "one reload for all of them");

    // A command that works on one of them is killed meanwhile: what it left is settled before the other attempt.
    host.write("/etc/nixos-nspawn/.one.creating", "{}", 0o600);
    hold(host, "one", 3);
    let enabled = host.ctl_ok(&["enable", "one", "two"]);
    assert!(enabled.stderr.contains("container 'one'"), "{enabled}");
    for name in ["one", "two"] {
        assert!(
            enabled.stdout.contains(&format!("container '{name}' now starts with the host")),
            "{enabled}"
        );
    }
    host.ctl_ok(&["disable", "one", "two"]);

    // A reload that loads nothing takes back each setting, and the intents are as they were.
    let intent = |name: &str| host.file(&format!("/etc/nixos-nspawn/{name}.json"));
    let old = [intent("one"), intent("two")];
    host.ok(&["mkdir", "-p", "/etc/systemd/system-generators"]);
    host.ok(&["ln", "-s", "/dev/null", "/etc/systemd/system-generators/nixos-nspawn-generator"]);
    let failed = host.ctl(&["enable", "one", "two"]);
    assert!(!failed.success(), "{failed}");
    assert!(failed.stderr.contains("setting of container 'one' was restored"), "{failed}");
    assert!(failed.stderr.contains("setting of container 'two' was restored"), "{failed}");
    assert_eq!([intent("one"), intent("two")], old);
    host.ok(&["rm", "/etc/systemd/system-generators/nixos-nspawn-generator"]);
    host.ok(&["systemctl", "daemon-reload"]);

    // One cannot be stopped, and another command works on another one: the rest is removed meanwhile.
    let refuses = "[Unit]\nRefuseManualStop=yes\n";
    let drop_in = format!("/etc/systemd/system/{}.d/refuse.conf", unit("stubborn"));
    host.write(&drop_in, refuses, 0o644);
    host.ok(&["systemctl", "daemon-reload"]);
    let before = reloads(host);
    hold(host, "held", 8);
    let removed = host.ctl(&["remove", "held", "one", "stubborn", "two", "masked"]);
    assert!(!removed.success(), "{removed}");
    for name in ["held", "one", "two", "masked"] {
        assert!(removed.stdout.contains(&format!("container '{name}' is removed")), "{removed}");
        assert_eq!(host.state(name), "inactive", "{name}");
        assert!(!host.exists(&format!("/nix/var/nix/profiles/per-nspawn/{name}")), "{name}");
    }
    assert!(
        removed.stderr.contains("container 'stubborn' cannot be stopped, nothing was removed"),
        "{removed}"
    );
    assert_eq!(host.state("stubborn"), "active");
    assert_eq!(intents(host), ["stubborn"]);
    assert_eq!(reloads(host), before + 2, "one reload for those that were free, and one for the held one");
    assert!(host.run(&["sh", "-c", "ls -A /etc/nixos-nspawn | grep '^[.]'"]).stdout.is_empty(), "no records");

    host.ok(&["rm", &drop_in]);
    host.ok(&["systemctl", "daemon-reload"]);
    host.ctl_ok(&["remove", "--all"]);
    assert_eq!(intents(host), Vec::<String>::new());
}
