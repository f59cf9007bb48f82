//! Behaviour of real NixOS systems at a switch, reproduced by the stand-in: services that crash in a loop, failed units
//! and activations, switches by hand, and boots that wait for a unit.

use nixos_nspawn_tests::host::{Host, bins, dynamic};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{rolled_back, unchanged, web, with};

on_both_hosts!(failed_reloads_are_reloaded_back, switches_by_hand, slow_starts);

/// Shell commands that start a service which runs for `runs` and is restarted after `pause`.
fn crashing(runs: &str, pause: &str) -> Value {
    json!(format!(
        "printf '%s\\n' '[Service]' 'Restart=always' 'RestartSec={pause}' 'ExecStart=/bin/sh -c \"echo this one crashes; \
         sleep {runs}; exit 1\"' > /run/systemd/system/crashing.service\n\
         mkdir -p /run/systemd/system; systemctl daemon-reload; systemctl start crashing; exit 0"
    ))
}

/// Shell commands that end such a service, as NixOS does with units that the new system lacks.
fn calm(page: &str) -> Value {
    let calm = "systemctl stop crashing 2> /dev/null; rm -f /run/systemd/system/crashing.service\nsystemctl daemon-reload";
    with(page, "switch", json!(format!("{calm}; exit 0")))
}

fn failed_reloads_are_reloaded_back(host: &Host) {
    host.install(bins());
    web(host, &calm("good\n"));
    host.create("web");
    let nspawn = host.nspawn("web");
    let fails = "systemd-run --quiet --service-type=oneshot --unit=fails /bin/false || :; exit 4";
    for (what, switch, expected) in [
        (
            "a service crashes, and is at no moment a failed unit",
            crashing("1", "10s"),
            "crashing.service ends",
        ),
        ("a service crashes at once, and is restarted at once", crashing("0.1", "100ms"), "crashing.service"),
        ("a unit fails", json!(fails), "fails.service failed in container 'web' and had not failed before"),
        ("the activation fails", json!("echo this one cannot; exit 2"), "this one cannot"),
    ] {
        web(host, &with("bad\n", "switch", switch));
        let output = rolled_back(host, &[]);
        assert!(output.stderr.contains(expected), "{what}: {output}");
        // The journal of a failed unit is shown once.
        let told = output.stderr.matches(" fails.service: Failed with result").count();
        assert!(told == 1 || what != "a unit fails", "{output}");
        assert!(output.stderr.contains("is reloaded, without a restart"), "{what}: {output}");
        assert_eq!(
            (host.nspawn("web"), host.system_page("web")),
            (nspawn.clone(), "good\n".into()),
            "{what}"
        );
        let state = host.run(&["systemctl", "--machine=web", "is-system-running"]);
        assert_eq!(state.stdout, "running\n", "{what}");
    }

    // If the old system cannot be switched to, a restart brings it back.
    web(host, &with("good\n", "switch", json!("[ -e /run/was-updated ] || exit 0; exit 1")));
    host.ctl_ok(&["update", "web"]);
    web(host, &with("bad\n", "switch", json!("touch /run/was-updated; exit 1")));
    let output = rolled_back(host, &[]);
    assert!(output.stderr.contains("is restarted with the old generation"), "{output}");
    assert_ne!(host.nspawn("web"), nspawn, "{output}");

    // A service that needs a second start stays up then.
    let second = "printf '%s\\n' '[Service]' 'Restart=always' 'RestartSec=1' \
         'ExecStart=/bin/sh -c \"[ -e /run/second ] && exec sleep 1000; touch /run/second; exit 1\"' \
         > /run/systemd/system/second.service\nsystemctl daemon-reload; systemctl start second; exit 0";
    web(host, &with("patient\n", "switch", json!(second)));
    host.ctl_ok(&["update", "web"]);
    assert_eq!(host.system_page("web"), "patient\n");
}

/// Commands detect which system runs inside, even if somebody has switched there by hand.
fn switches_by_hand(host: &Host) {
    host.install(bins());
    web(host, &dynamic("one\n"));
    host.create("web");
    web(host, &dynamic("two\n"));
    host.ctl_ok(&["update", "web"]);
    let first = host.ok(&["readlink", "-f", "/nix/var/nix/profiles/per-nspawn/web/system-1-link/init"]);
    let first = first.trim().strip_suffix("/init").expect("a system").to_owned();
    host.inside("web", &[&format!("{first}/bin/switch-to-configuration"), "switch"]);

    let status: Value =
        serde_json::from_str(&host.ctl_ok(&["status", "web", "--json"]).stdout).expect("JSON");
    assert_eq!((&status["generation"], &status["running_generation"]), (&json!(2), &json!(1)), "{status}");
    assert_eq!(status["running_toplevel"], json!(first), "{status}");
    assert_eq!(status["restart_needed"], true, "{status}");
    let shown = host.ctl_ok(&["show", "web"]);
    assert!(shown.stdout.contains(&format!("{first} (running)")), "{shown}");
    let listed = host.ctl_ok(&["list-generations", "web", "--json"]);
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let running: Vec<&Value> = listed.as_array().expect("a list").iter().map(|one| &one["running"]).collect();
    assert_eq!(running, [&json!(true), &json!(false)], "{listed}");
}

/// A start that runs into its timeout says what it waits for, before systemd stops it.
fn slow_starts(host: &Host) {
    host.install(bins());
    let boot = r#"mkdir -p /run/systemd/system/multi-user.target.wants; cd /run/systemd/system
        printf '%s\n' '[Service]' 'Type=oneshot' 'ExecStart=/bin/sleep 600' > dawdling.service
        printf '%s\n' '[Service]' 'Type=oneshot' 'ExecStart=/bin/false' > failing.service
        ln -s ../dawdling.service ../failing.service multi-user.target.wants/
        exec /usr/lib/systemd/systemd"#;
    let mut slow = with("slow\n", "boot", json!(boot));
    slow["container"]["timeoutStartSec"] = json!("8s");
    web(host, &slow);
    let created = host.ctl(&["create", "web", "--flake", nixos_nspawn_tests::host::FLAKE]);
    assert_eq!(created.code(), 11, "{created}");
    let expected = "container 'web' is still starting after 6 s; jobs that run inside: dawdling.service; units that failed \
                    inside: failing.service";
    assert!(created.stderr.contains(expected), "{created}");

    // A reload is refused if there is no program to run.
    web(host, &dynamic("good\n"));
    host.create("web");
    web(host, &with("fixed\n", "switchable", json!(false)));
    let output = unchanged(host, 10, &["update", "web", "--strategy", "reload"]);
    let why = "container 'web' cannot be reloaded: the new system has no bin/switch-to-configuration";
    assert!(output.stderr.contains(why), "{output}");
    let planned = host.ctl_ok(&["plan", "web"]);
    assert!(planned.stdout.contains("would restart it: the new system has no"), "{planned}");
}
