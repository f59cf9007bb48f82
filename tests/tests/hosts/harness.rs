//! The throwaway hosts themselves, with hand-made units and .nspawn files: the basis of the other host tests.

use nixos_nspawn_tests::host::{FLAKE, Host, unit};
use nixos_nspawn_tests::on_both_hosts;

on_both_hosts!(containers_survive_a_reboot, bad_first_processes, switches_to_another_system);

/// Builds a container of the test flake and writes its .nspawn file, without any of our programs.
fn by_hand(host: &Host, name: &str, attribute: &str, settings: &str) {
    let attribute = format!("{FLAKE}#nixosContainers.{attribute}");
    let profile = host.ok(&["nix", "build", "--no-link", "--print-out-paths", &attribute]);
    let init = host.ok(&["readlink", "-f", &format!("{}/init", profile.trim())]);
    let exec =
        format!("[Exec]\nBoot=no\nParameters={}\nKillSignal=SIGRTMIN+3\nNotifyReady=yes\n", init.trim());
    host.write(&format!("/etc/systemd/nspawn/{name}.nspawn"), exec + settings, 0o644);
    host.ok(&["mkdir", "-p", &format!("/var/lib/machines/{name}/usr")]);
}

fn containers_survive_a_reboot(host: &Host) {
    host.install_flakes();
    by_hand(host, "plain", "web", "PrivateUsers=no\n[Files]\nBindReadOnly=/nix/store\n");
    let shifted = "PrivateUsers=pick\n[Files]\nPrivateUsersOwnership=auto\nBindReadOnly=/nix/store:/nix/store:rootidmap\n";
    by_hand(host, "shifted", "web", shifted);
    let check = || {
        for name in ["plain", "shifted"] {
            assert_eq!(host.state(name), "active");
            assert_eq!(host.page_of(name), "Hello from web.\n");
            assert_eq!(host.inside(name, &["systemctl", "--failed", "--no-legend"]), "");
            host.ok(&["systemd-run", "--machine", name, "--wait", "--pipe", "--quiet", "/bin/true"]);
        }
        assert!(host.inside("plain", &["cat", "/proc/self/uid_map"]).contains("4294967295"));
        assert!(host.inside("shifted", &["cat", "/proc/self/uid_map"]).contains("65536"));
    };
    host.ok(&["systemctl", "enable", "--now", &unit("plain"), &unit("shifted")]);
    check();
    host.inside("plain", &["touch", "/var/mark"]);
    assert_eq!(host.reboot(), "running");
    check();
    host.inside("plain", &["test", "-e", "/var/mark"]);
    assert_eq!(host.power_cut(), "running");
    check();

    for name in ["plain", "shifted"] {
        host.ok(&["systemctl", "stop", &unit(name)]);
        assert_eq!(host.property(name, "Result"), "success");
        assert_eq!(host.state(name), "inactive");
    }
}

fn bad_first_processes(host: &Host) {
    host.install_flakes();
    host.write(
        "/etc/systemd/system/systemd-nspawn@.service.d/fast.conf",
        "[Service]\nTimeoutSec=3s\n",
        0o644,
    );
    host.ok(&["systemctl", "daemon-reload"]);
    for name in ["deaf", "broken", "never-ready"] {
        by_hand(host, name, name, "PrivateUsers=no\n[Files]\nBindReadOnly=/nix/store\n");
    }
    host.ok(&["systemctl", "start", &unit("deaf")]);
    host.run(&["systemctl", "stop", &unit("deaf")]);
    assert_eq!(host.property("deaf", "Result"), "timeout");

    for (name, result) in [("broken", "exit-code"), ("never-ready", "timeout")] {
        assert!(!host.run(&["systemctl", "start", &unit(name)]).success(), "{name}");
        assert_eq!(host.property(name, "Result"), result, "{name}");
    }
    assert!(host.unit_journal("broken").contains("the first process of this container gives up"));
}

/// The stand-in's switch-to-configuration behaves like NixOS's: it changes the running system and reports by exit status.
fn switches_to_another_system(host: &Host) {
    host.install_flakes();
    by_hand(host, "plain", "web", "PrivateUsers=no\n[Files]\nBindReadOnly=/nix/store\n");
    host.ok(&["systemctl", "start", &unit("plain")]);
    for code in ["0", "1", "2", "4", "100"] {
        let own =
            format!(r#"{{"next": {{"page": "Number {code}.\n", "switch": "sleep 0.1; exit {code}"}}}}"#);
        host.own_text(&own);
        let attribute = format!("{FLAKE}#nixosContainers.next");
        let profile = host.ok(&["nix", "build", "--no-link", "--print-out-paths", &attribute]);
        let init = host.ok(&["readlink", "-f", &format!("{}/init", profile.trim())]);
        let toplevel = init.trim().trim_end_matches("/init");
        let switched =
            host.run_inside("plain", &[&format!("{toplevel}/bin/switch-to-configuration"), "test"]);
        assert_eq!(switched.code().to_string(), code, "{switched}");
        assert_eq!(host.inside("plain", &["readlink", "/run/current-system"]).trim(), toplevel);
        assert_eq!(host.page_of("plain"), format!("Number {code}.\n"));
    }
}
