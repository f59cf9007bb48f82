//! Rollbacks, pins, and garbage collections.

use nixos_nspawn_tests::host::{Host, bins, dynamic, unit};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{PROFILES, unchanged, web};

on_both_hosts!(rollbacks_pins_and_the_collector);

fn rollbacks_pins_and_the_collector(host: &Host) {
    host.install(bins());
    let generations = || -> Vec<Value> {
        let output = host.ctl_ok(&["list-generations", "web", "--json"]).stdout;
        serde_json::from_str(&output).unwrap_or_else(|e| panic!("{e}: {output}"))
    };
    let status = || -> Value {
        serde_json::from_str(&host.ctl_ok(&["status", "web", "--json"]).stdout).expect("JSON")
    };
    web(host, &dynamic("page 1\n"));
    host.create("web");
    unchanged(host, 3, &["rollback", "web"]);
    for number in 2..=4 {
        web(host, &dynamic(&format!("page {number}\n")));
        host.ctl_ok(&["update", "web"]);
    }
    let nspawn = host.nspawn("web");
    let plan = unchanged(host, 0, &["rollback", "web", "--dry-run"]);
    assert!(plan.stdout.contains("would go back to generation 3, would reload it"), "{plan}");
    for (arguments, number) in [(&["--to", "2"][..], 2), (&["--to", "4"], 4), (&[], 3)] {
        let output = host.ctl_ok(&[&["rollback", "web"], arguments].concat());
        host.assert_agreed("web");
        assert_eq!(host.generation("web"), number, "{output}");
        assert_eq!(host.system_page("web"), format!("page {number}\n"), "{output}");
    }
    assert_eq!(host.nspawn("web"), nspawn);
    unchanged(host, 3, &["rollback", "web", "--to", "9"]);
    unchanged(host, 0, &["rollback", "web", "--to", "3"]);
    let diff = unchanged(host, 0, &["diff", "web", "2", "4"]);
    assert!(
        diff.stdout.contains("generation 2 -> 4") && diff.stdout.contains("system: /nix/store/"),
        "{diff}"
    );

    // The recorded and the running generation differ, and neither can be deleted.
    host.ctl_ok(&["rollback", "web", "--to", "4", "--strategy", "none"]);
    let said = status();
    assert_eq!((&said["generation"], &said["running_generation"]), (&json!(4), &json!(3)), "{said}");
    assert_eq!(said["restart_needed"], true, "{said}");
    let flags: Vec<_> =
        generations().iter().map(|one| (one["current"] == true, one["running"] == true)).collect();
    assert_eq!(flags, [(false, false), (false, false), (false, true), (true, false)]);
    host.ctl_ok(&["pin", "web", "1"]);
    for number in ["1", "3", "4"] {
        unchanged(host, 10, &["delete-generations", "web", number]);
    }
    let [second, running] =
        [2, 3].map(|number| host.ok(&["readlink", &format!("{PROFILES}/web/system-{number}-link")]));
    let running = format!("{}/init", running.trim());

    // The host's garbage collector, while the container runs.
    host.ok(&["nix-collect-garbage", "-d"]);
    assert!(!host.exists(second.trim()), "generation 2 is garbage");
    assert!(
        host.run(&["test", "-e", &running]).success()
            || host.exists("/nix/var/nix/gcroots/nixos-nspawn/web-running")
    );
    assert_eq!(host.system_page("web"), "page 3\n");
    host.inside("web", &["systemctl", "restart", "web.service"]);
    assert_eq!(host.nspawn("web"), nspawn);
    let numbers: Vec<_> = generations().iter().filter_map(|one| one["generation"].as_u64()).collect();
    assert_eq!(numbers, [1, 4]);
    host.ok(&["systemctl", "restart", &unit("web")]);
    host.assert_agreed("web");
    assert_eq!(host.system_page("web"), "page 4\n");

    // A generation that is gone from the store is refused before anything changes.
    host.ok(&["ln", "-s", second.trim(), &format!("{PROFILES}/web/system-2-link")]);
    let output = unchanged(host, 10, &["rollback", "web", "--to", "2"]);
    assert!(output.stderr.contains("gone from the store"), "{output}");
    host.ok(&["rm", &format!("{PROFILES}/web/system-2-link")]);

    // A generation kept only by its pin becomes a new generation.
    host.ctl_ok(&["rollback", "web", "--to", "1"]);
    host.assert_agreed("web");
    assert_eq!(host.system_page("web"), "page 1\n");
    assert_eq!(host.generation("web"), 5);
    host.ctl_ok(&["unpin", "web", "1"]);
    host.ctl_ok(&["delete-generations", "web", "old"]);
    host.assert_agreed("web");
    unchanged(host, 3, &["rollback", "web"]);
    host.ctl_ok(&["pin", "web", "5"]);
    host.ctl_ok(&["remove", "web", "--delete-state"]);
    assert_eq!(host.sh("ls -A /nix/var/nix/gcroots/nixos-nspawn"), "", "a pin outlives its container");
}
