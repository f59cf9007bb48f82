//! Killed updates, with and without a power cut afterwards.

use nixos_nspawn_tests::host::{Host, unit};
use nixos_nspawn_tests::on_both_hosts;

use super::{PLACES, assert_half, flake, hold, killed, settle, stoppable};

on_both_hosts!(killed_updates, killed_updates_and_a_power_cut);

fn killed_updates(host: &Host) {
    host.install(stoppable());
    host.create("stopped");
    for name in ["reload", "restart"] {
        host.own(&flake([name], "first\n", name));
        host.create(name);
        for place in ["built"].into_iter().chain(PLACES) {
            let (before, nspawn, old) = (host.recorded(name), host.nspawn(name), host.system_page(name));
            let new = format!("{place}\n");
            host.own(&flake([name], &new, name));
            killed(host, place, &["update", name]);
            assert_half(host, name, "half updated");

            let settled = settle(host);
            let at = format!("{name} killed at {place}: {settled}");
            host.assert_agreed(name);
            assert_eq!(host.state(name), "active", "{at}");
            // It is known with which generation a container was started, but not how far a reload went before the gate.
            if place == "passed" || name == "restart" && place == "activated" {
                assert_eq!(host.system_page(name), new, "{at}");
            } else {
                assert_eq!(host.system_page(name), old, "{at}");
                assert_eq!(host.recorded(name), before, "{at}");
                let touched = ["activating", "activated"].contains(&place);
                assert_eq!(host.nspawn(name) != nspawn, touched, "restarted, or not: {at}");
            }
        }
        // The same command can be run again.
        host.own(&flake([name], "last\n", name));
        killed(host, "profile", &["update", name]);
        host.ctl_ok(&["update", name]);
        host.assert_agreed(name);
        assert_eq!(host.system_page(name), "last\n", "{name}");

        // A stopped container is not started.
        host.ok(&["systemctl", "stop", &unit(name)]);
        let before = host.recorded(name);
        host.own(&flake([name], "stopped\n", name));
        killed(host, "intent", &["update", name]);
        settle(host);
        host.assert_agreed(name);
        assert_eq!((host.recorded(name), host.state(name)), (before, "inactive".to_owned()), "{name}");
    }
}

fn killed_updates_and_a_power_cut(host: &Host) {
    host.install(stoppable());
    host.create("stopped");
    let names: Vec<_> =
        ["built"].into_iter().chain(PLACES).map(|place| (place, format!("at-{place}"))).collect();
    let all = || names.iter().map(|(_, name)| name.as_str()).chain(["off-intent"]);
    host.own(&flake(all(), "old\n", "reload"));
    for name in all() {
        host.create(name);
    }
    host.ctl_ok(&["disable", "off-intent"]);
    host.ok(&["systemctl", "stop", &unit("off-intent")]);
    host.own(&flake(all(), "new\n", "reload"));
    for (place, name) in &names {
        killed(host, place, &["update", name]);
        hold(host, name);
    }
    killed(host, "intent", &["update", "off-intent"]);

    assert_eq!(host.power_cut(), "running");
    for (place, name) in &names {
        assert_eq!(host.state(name), "active", "{name}");
        assert_half(host, name, "half updated");
        // The boot started the recorded generation.
        let new = !["built", "recording", "profile"].contains(place);
        assert_eq!(host.system_page(name) == "new\n", new, "{name}");
    }
    let before: Vec<_> = names.iter().map(|(_, name)| host.nspawn(name)).collect();
    let settled = settle(host);
    for ((place, name), nspawn) in names.iter().zip(before) {
        host.assert_agreed(name);
        assert_eq!(host.nspawn(name), nspawn, "{name}: nothing is to be restarted: {settled}");
        let new = !["built", "recording", "profile"].contains(place);
        assert_eq!(host.system_page(name) == "new\n", new, "{name}: {settled}");
        assert_eq!(host.generation(name), if new { 2 } else { 1 }, "{name}: {settled}");
    }
    // A stopped container goes back and stays stopped.
    host.assert_agreed("off-intent");
    assert_eq!(host.generation("off-intent"), 1, "{settled}");
    assert_eq!(host.state("off-intent"), "inactive", "{settled}");

    // Killed once more, followed by a normal reboot.
    for (place, name) in &names {
        host.own(&flake(all(), &format!("newer at {place}\n"), "restart"));
        killed(host, place, &["update", name]);
        hold(host, name);
    }
    assert_eq!(host.reboot(), "running");
    settle(host);
    for (place, name) in &names {
        host.assert_agreed(name);
        assert_eq!(host.state(name), "active", "{name}");
        let new = !["built", "recording", "profile"].contains(place);
        assert_eq!(host.system_page(name) == format!("newer at {place}\n"), new, "{name}");
    }
}
