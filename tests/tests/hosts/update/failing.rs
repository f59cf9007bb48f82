//! New generations that do not start, reload or stop: the previous one comes back.

use nixos_nspawn_tests::host::{Host, bins, dynamic, unit};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{rolled_back, web, with};

on_both_hosts!(bad_systems, bad_reloads, containers_that_ignore_signals);

/// New generations that do not reach the requested state.
fn bad_systems(host: &Host) {
    host.install(bins());
    web(host, &dynamic("good\n"));
    host.create("web");
    let restart = ["--strategy", "restart", "--timeout", "4s"];

    web(host, &with("bad\n", "boot", json!("echo this one gives up; exit 1")));
    let output = rolled_back(host, &restart);
    assert!(output.stderr.contains("this one gives up"), "{output}");
    let status: Value =
        serde_json::from_str(&host.ctl_ok(&["status", "web", "--json"]).stdout).expect("JSON");
    assert_eq!(status["last_activation"]["result"], "failed", "{status}");

    let dawdles = "echo this one dawdles; trap 'exit 0' 37; while :; do sleep 1; done";
    web(host, &with("bad\n", "boot", json!(dawdles)));
    let output = rolled_back(host, &restart);
    assert!(output.stderr.contains("this one dawdles"), "{output}");

    // It boots, but a unit inside fails.
    let fails = r#"cd /run; mkdir -p systemd/system/multi-user.target.wants
        printf '%s\n' '[Service]' 'Type=oneshot' 'ExecStart=/bin/sh -c "echo this one fails; exit 1"' > systemd/system/fails.service
        ln -s ../fails.service systemd/system/multi-user.target.wants/
        exec /usr/lib/systemd/systemd"#;
    web(host, &with("degraded\n", "boot", json!(fails)));
    let output = rolled_back(host, &restart[..2]);
    assert!(output.stderr.contains("fails.service"), "{output}");
    // A failed generation can be kept for study, and a lesser state can be requested.
    let kept = host.ctl(&[&["update", "web", "--keep"], &restart[..2]].concat());
    assert_eq!(kept.code(), 1, "{kept}");
    host.assert_agreed("web");
    assert_eq!(host.system_page("web"), "degraded\n", "{kept}");
    host.ctl_ok(&["rollback", "web", "--strategy", "restart"]);
    assert_eq!(host.system_page("web"), "good\n");
    for expect in ["active", "none"] {
        host.ctl_ok(&[&["update", "web", "--expect", expect], &restart[..2]].concat());
        host.assert_agreed("web");
        assert_eq!(host.system_page("web"), "degraded\n");
        host.ctl_ok(&["rollback", "web", "--strategy", "restart"]);
    }
    host.ctl_ok(&[&["update", "web", "--expect", "active"], &restart[..2]].concat());
    // A unit that had failed before, and fails again, does not count against a new generation, unless --expect=running.
    web(host, &with("better\n", "switch", json!("systemctl start fails 2> /dev/null || exit 4")));
    host.ctl_ok(&["update", "web"]);
    assert_eq!(host.system_page("web"), "better\n");
    web(host, &with("stricter\n", "switch", json!("systemctl start fails 2> /dev/null || exit 4")));
    let output = rolled_back(host, &["--expect", "running"]);
    assert!(output.stderr.contains("fails.service"), "{output}");
    assert_eq!(host.system_page("web"), "better\n");
    host.ok(&["systemctl", "restart", &unit("web")]);
    web(host, &dynamic("best\n"));
    host.ctl_ok(&["update", "web", "--expect", "running"]);
    assert_eq!(host.system_page("web"), "best\n");

    // A check of the administrator's.
    web(host, &dynamic("checked\n"));
    let check = |word: &str| format!("grep -q {word} /run/current-system/etc/page");
    let output = rolled_back(host, &["--check", &check("else"), "--timeout", "3s"]);
    assert!(output.stderr.contains("grep -q else"), "{output}");
    assert_eq!(host.system_page("web"), "best\n");
    host.ctl_ok(&["update", "web", "--check", &check("checked")]);
    host.assert_agreed("web");
    assert_eq!(host.system_page("web"), "checked\n");
}

/// The exit statuses of switch-to-configuration.
fn bad_reloads(host: &Host) {
    host.install(bins());
    web(host, &dynamic("good\n"));
    host.create("web");

    web(host, &with("bad\n", "switch", json!("echo this one cannot; exit 1")));
    let output = rolled_back(host, &[]);
    assert!(output.stderr.contains("this one cannot"), "{output}");
    assert_eq!(host.system_page("web"), "good\n");

    // Exit status 4: some units failed. The check afterwards decides whether that matters.
    let fails = "systemd-run --quiet --service-type=oneshot --unit=fails /bin/false || :; exit 4";
    web(host, &with("degraded\n", "switch", json!(fails)));
    let output = rolled_back(host, &[]);
    assert!(output.stderr.contains("fails.service"), "{output}");
    let nspawn = host.nspawn("web");
    web(host, &with("four\n", "switch", json!("exit 4")));
    host.ctl_ok(&["update", "web"]);
    host.assert_agreed("web");
    assert_eq!((host.nspawn("web"), host.system_page("web").as_str()), (nspawn, "four\n"));

    // A reload that takes too long is also stopped inside.
    web(host, &with("slow\n", "switch", json!("touch /run/slow; sleep 6543")));
    let output = rolled_back(host, &["--timeout", "3s"]);
    assert!(output.stderr.contains("3 s"), "{output}");
    let nspawn = host.nspawn("web");
    let kept = host.ctl(&["update", "web", "--timeout", "3s", "--keep"]);
    assert_eq!((kept.code(), host.nspawn("web")), (1, nspawn), "{kept}");
    host.inside("web", &["test", "-e", "/run/slow"]);
    let left = host.run_inside("web", &["pgrep", "-f", "sleep 6543"]);
    assert!(!left.success(), "it goes on inside: {left}");
    host.ctl_ok(&["rollback", "web"]);
    host.assert_agreed("web");
    assert_eq!(host.system_page("web"), "four\n");
}

/// nspawn must be killed, and leaves a mount behind that the next start would fail on (systemd#34776).
fn containers_that_ignore_signals(host: &Host) {
    host.install(bins());
    let deaf = |page: &str| {
        let boot = "exec /usr/bin/systemd-notify --ready --no-block --exec \\; /bin/sleep 2147483647";
        let mut settings = with(page, "boot", json!(boot));
        settings["container"]["serviceConfig"] = json!({"TimeoutStopSec": "3s"});
        host.own(&json!({ "deaf": settings }));
    };
    deaf("one\n");
    host.create("deaf");
    deaf("two\n");
    let restart = ["--strategy", "restart", "--expect", "active"];
    host.ctl_ok(&[&["update", "deaf"], &restart[..]].concat());
    host.assert_agreed("deaf");
    assert_eq!((host.state("deaf").as_str(), host.generation("deaf")), ("active", 2));
    host.ctl_ok(&[&["rollback", "deaf"], &restart[..]].concat());
    host.assert_agreed("deaf");
    assert_eq!((host.state("deaf").as_str(), host.generation("deaf")), ("active", 1));

    // The same if the failed new generation ignores signals.
    web(host, &dynamic("good\n"));
    host.create("web");
    let mut bad = with("bad\n", "boot", json!("exec sleep 2147483647"));
    bad["container"]["serviceConfig"] = json!({"TimeoutStopSec": "3s"});
    web(host, &bad);
    rolled_back(host, &["--allow-host-changes", "--strategy", "restart", "--timeout", "3s"]);
}
