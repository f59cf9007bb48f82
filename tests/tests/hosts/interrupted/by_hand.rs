//! Killed updates of containers whose intent somebody changes before the next command, or that is offline.

use nixos_nspawn_tests::host::Host;
use nixos_nspawn_tests::on_both_hosts;
use serde_json::Value;

use super::{assert_half, flake, killed, settle, stoppable};

on_both_hosts!(changed_by_hand);

const INTENT: &str = "/etc/nixos-nspawn/web.json";
const RECORD: &str = "/etc/nixos-nspawn/.web.updating";

fn changed_by_hand(host: &Host) {
    host.install(stoppable());
    host.create("stopped");
    host.own(&flake(["web"], "old\n", "restart"));
    host.create("web");
    let update = |place: &str, page: &str| {
        host.own(&flake(["web"], page, "restart"));
        killed(host, place, &["update", "web"]);
        assert_half(host, "web", "half updated");
    };

    // Offline, nothing is settled: the record and the intent stay.
    update("activating", "offline\n");
    host.sh("mkdir -p /root/tree/etc && cp -a /etc/nixos-nspawn /root/tree/etc/");
    let offline = |verb: &str| host.run(&["nixos-nspawn", "--root", "/root/tree", verb, "web"]);
    let refused = offline("disable");
    assert_eq!(refused.code(), 10, "{refused}");
    assert!(refused.stderr.contains("container 'web' was left half updated"), "{refused}");
    assert!(refused.stderr.contains("is still incomplete after a killed command"), "{refused}");
    assert!(!refused.stderr.contains("try again"), "{refused}");
    for file in [INTENT, RECORD] {
        assert_eq!(host.file(&format!("/root/tree{file}")), host.file(file), "{file}: {refused}");
    }
    let removed = offline("remove");
    assert!(removed.success(), "{removed}");
    assert_eq!(host.ok(&["find", "/root/tree/etc", "-name", "*web*"]), "", "{removed}");
    settle(host);
    host.assert_agreed("web");

    // An edit is kept, and the container is left alone.
    for place in ["intent", "activating", "activated", "passed"] {
        update(place, &format!("edited at {place}\n"));
        let new = host.file(INTENT);
        host.ok(&["sed", "-i", r#"s/"restart"/"reload"/"#, INTENT]);
        let (edited, before, state) = (host.file(INTENT), host.nspawn("web"), host.state("web"));
        assert_ne!(edited, new);
        let settled = settle(host);
        let at = format!("killed at {place}: {settled}");
        assert_eq!(host.file(INTENT), edited, "{at}");
        assert_eq!((host.nspawn("web"), host.state("web")), (before, state), "{at}");
        assert!(settled.stderr.contains("container 'web': its intent was edited meanwhile"), "{at}");
        assert!(settled.stderr.contains("'nixos-nspawn activate web' applies it"), "{at}");
        assert!(!host.exists(RECORD), "{at}");
        host.ctl_ok(&["activate", "web"]);
        host.assert_agreed("web");
        assert_eq!((host.file(INTENT), host.system_page("web")), (edited, format!("edited at {place}\n")));
    }

    // An edit that names the profile of another container does not move that.
    host.own(&flake(["web", "stopped"], "two\n", "restart"));
    host.ctl_ok(&["update", "stopped", "--flake", "/root/flake"]);
    let other = "/nix/var/nix/profiles/per-nspawn/stopped";
    let generation = || host.ok(&["readlink", &format!("{other}/system")]).trim().to_owned();
    assert_eq!(generation(), "system-2-link");
    update("activating", "of another\n");
    let moved =
        r#"s|per-nspawn/web/system|per-nspawn/stopped/system|; s|"generation": *[0-9]*|"generation": 1|"#;
    let original = host.file(INTENT);
    host.ok(&["sed", "-i", moved, INTENT]);
    assert_ne!(host.file(INTENT), original);
    let settled = settle(host);
    assert_eq!(generation(), "system-2-link", "{settled}");
    assert!(!host.exists(RECORD), "{settled}");
    host.write(INTENT, original, 0o644);
    host.ctl_ok(&["activate", "web"]);
    host.assert_agreed("web");

    // A deleted intent comes back with its generation, and the container runs on.
    let before = host.recorded("web");
    update("intent", "deleted\n");
    let nspawn = host.nspawn("web");
    host.ok(&["rm", INTENT]);
    let settled = settle(host);
    host.assert_agreed("web");
    assert_eq!((host.recorded("web"), host.nspawn("web")), (before.clone(), nspawn), "{settled}");

    // The new intent is put back while the update is undone: it does not run, so the old one is restored and started.
    let fails = ["update", "web", "--check", "false", "--timeout", "6s"];
    host.own(&flake(["web"], "put back\n", "restart"));
    killed(host, "back-stopped", &fails);
    let record: Value = serde_json::from_str(&host.file(RECORD)).expect("a record");
    let new = record["newIntent"].as_str().expect("the new intent");
    assert_ne!(host.file(INTENT), new);
    host.write(INTENT, new, 0o644);
    let settled = settle(host);
    host.assert_agreed("web");
    assert_eq!(host.recorded("web"), before, "{settled}");
    assert_eq!(host.state("web"), "active", "{settled}");
}
