//! The timer that updates all containers elapses, its results are in the journal and in the metrics, and failures
//! trigger OnFailure=.

use std::path::Path;

use nixos_nspawn_tests::host::{Host, bins, dynamic};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::with;

on_both_hosts!(a_timer_updates);

fn a_timer_updates(host: &Host) {
    // The directory where setup finds the generator.
    host.install(bins());
    host.sh("cp /usr/local/lib/systemd/system-generators/nixos-nspawn-generator /usr/local/bin/");
    host.own(&json!({"web": dynamic("one\n"), "db": dynamic("one\n")}));
    for name in ["web", "db"] {
        host.create(name);
    }
    host.write("/etc/nixos-nspawn.conf", "[Host]\nMetricsFile=/run/metrics/nixos-nspawn.prom\n", 0o644);
    host.sh("mkdir /run/metrics");

    let refused = host.ctl(&["setup", "--auto-update=whenever"]);
    assert!(refused.code() == 2 && refused.stderr.contains("is not a calendar event"), "{refused}");
    let dry = host.ctl_ok(&["setup", "--auto-update", "--dry-run"]);
    assert!(dry.stdout.contains("would install, enable and start nixos-nspawn-update.timer"), "{dry}");
    assert!(!host.exists("/etc/systemd/system/nixos-nspawn-update.timer"));
    host.ctl_ok(&["setup", "--auto-update"]);
    host.ok(&["systemd-analyze", "verify", "--man=no", "nixos-nspawn-update.timer"]);
    assert!(host.ok(&["systemctl", "list-timers"]).contains("nixos-nspawn-update.timer"));

    // Failures are posted and mailed by the examples of docs/unattended-updates.md, and the timer elapses now.
    let [drop_in, webhook, mail] = examples();
    let place = "/etc/systemd/system/nixos-nspawn-update.service.d/notify.conf";
    let both = format!("{drop_in}OnFailure=notify-mail@%n.service\n");
    host.write(place, both, 0o644);
    let posted =
        webhook.replace("https://hooks.example.org/containers", "http://127.0.0.1:8098/cgi-bin/hook");
    assert_ne!(posted, webhook);
    host.write("/etc/systemd/system/notify-webhook@.service", posted, 0o644);
    // The example for mail replaces the command.
    let (above, _) = webhook.split_once("ExecStart=").expect("a command");
    let (_, command) = mail.split_once("ExecStart=").expect("a command");
    host.write("/etc/systemd/system/notify-mail@.service", format!("{above}ExecStart={command}"), 0o644);
    host.write(
        "/usr/local/bin/mail",
        "#!/bin/sh\n{ echo \"$*\"; cat; } > /run/.mail && mv /run/.mail /run/mail\n",
        0o755,
    );
    host.write(
        "/srv/hook/cgi-bin/hook",
        "#!/bin/sh\ncat > /run/hook\nprintf 'Content-Type: text/plain\\n\\n'\n",
        0o755,
    );
    host.sh("busybox httpd -p 127.0.0.1:8098 -h /srv/hook");
    host.write(
        "/etc/systemd/system/nixos-nspawn-update.timer.d/soon.conf",
        "[Timer]\nOnActiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=100ms\n",
        0o644,
    );
    host.ctl_ok(&["hold", "db", "not now"]);
    host.own(&json!({"web": with("two\n", "switch", json!("exit 1")), "db": dynamic("two\n")}));
    host.sh("systemctl daemon-reload && systemctl restart nixos-nspawn-update.timer");
    host.wait_until("the failure is posted", || host.exists("/run/hook"));
    assert_eq!(
        host.file("/run/hook"),
        "nixos-nspawn-update.service failed on ".to_owned() + host.sh("cat /proc/sys/kernel/hostname").trim()
    );
    host.wait_until("the failure is mailed", || host.exists("/run/mail"));
    let mailed = host.file("/run/mail");
    assert!(mailed.starts_with("-s nixos-nspawn-update.service failed on host root\n"), "{mailed}");
    assert!(
        mailed.contains("rolled back") && mailed.contains("NAME"),
        "it has the journal of the run: {mailed}"
    );
    assert_eq!((host.system_page("web"), host.system_page("db")), ("one\n".to_owned(), "one\n".to_owned()));

    let entry = |matched: &str| -> Value {
        host.ok(&["journalctl", "--sync"]);
        let text = host.ok(&["journalctl", "--boot", "--output=json", "--lines=1", matched]);
        serde_json::from_str(text.lines().last().unwrap_or_default())
            .unwrap_or_else(|e| panic!("{e}: {text}"))
    };
    let web = entry("NIXOS_NSPAWN_CONTAINER=web");
    assert_eq!((&web["NIXOS_NSPAWN_RESULT"], &web["PRIORITY"]), (&json!("failed"), &json!("3")), "{web}");
    assert_eq!(
        entry("NIXOS_NSPAWN_CONTAINER=db")["NIXOS_NSPAWN_REASON"]
            .as_str()
            .map(|reason| reason.ends_with("not now")),
        Some(true)
    );
    let all = entry("NIXOS_NSPAWN_FAILED=1");
    assert_eq!(
        (&all["NIXOS_NSPAWN_SKIPPED"], &all["NIXOS_NSPAWN_UPDATED"]),
        (&json!("1"), &json!("0")),
        "{all}"
    );
    let metrics = host.file("/run/metrics/nixos-nspawn.prom");
    for line in [
        "nixos_nspawn_containers{state=\"active\"} 2",
        "nixos_nspawn_failed_updates 1",
        "nixos_nspawn_held 1",
        "nixos_nspawn_last_update_timestamp_seconds ",
    ] {
        assert!(metrics.lines().any(|one| one.starts_with(line)), "{line} is not in {metrics}");
    }

    // The next run skips the container, and succeeds.
    host.ok(&["systemctl", "start", "nixos-nspawn-update.service"]);
    assert_eq!(entry("NIXOS_NSPAWN_SKIPPED=2")["NIXOS_NSPAWN_FAILED"], "0");

    let removed = host.ctl_ok(&["setup", "--remove"]);
    assert!(removed.stdout.contains("nixos-nspawn-update.timer is removed"), "{removed}");
    assert!(!host.exists("/etc/systemd/system/nixos-nspawn-update.timer"));
    assert!(!host.exists("/etc/systemd/system/timers.target.wants/nixos-nspawn-update.timer"));
    units_of_a_package(host);
}

/// Returns the drop-in, the unit for a webhook and that for mail of the guide.
fn examples() -> [String; 3] {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/unattended-updates.md");
    let guide = std::fs::read_to_string(guide).expect("the guide");
    let (_, notifications) = guide.split_once("## Notifications").expect("the section");
    let blocks = notifications.split("```ini\n").skip(1).filter_map(|rest| rest.split("```").next());
    let blocks: Vec<String> = blocks.take(3).map(str::to_owned).collect();
    blocks.try_into().expect("three examples")
}

/// Units of a package are enabled, not copied; a drop-in has the time.
fn units_of_a_package(host: &Host) {
    const TIMER: &str = "nixos-nspawn-update.timer";
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd");
    for unit in ["nixos-nspawn-update.service", TIMER] {
        host.copy_in(&source.join(unit), &format!("/usr/local/lib/systemd/system/{unit}"), 0o644);
    }
    host.ctl_ok(&["setup", "--auto-update=Mon 05:00"]);
    assert!(!host.exists(&format!("/etc/systemd/system/{TIMER}")));
    let times = || host.ok(&["systemctl", "show", "-P", "TimersCalendar", TIMER]);
    assert!(times().contains("Mon *-*-* 05:00:00") && !times().contains("04:00"), "{}", times());
    let drop_in = format!("/etc/systemd/system/{TIMER}.d/10-nixos-nspawn.conf");

    // What the administrator has changed is kept, and told.
    let written = host.file(&drop_in);
    host.write(&drop_in, format!("{written}Unit=other.service\n"), 0o644);
    let refused = host.ctl(&["setup", "--auto-update=daily"]);
    assert_eq!(refused.code(), 10, "{refused}");
    assert!(refused.stderr.contains(&format!("{drop_in}: was not written by")), "{refused}");
    host.write(&drop_in, &written, 0o644);
    host.ctl_ok(&["setup", "--remove"]);
    assert!(!host.exists(&drop_in) && times().contains("04:00"));
    assert_eq!(host.run(&["systemctl", "is-enabled", TIMER]).stdout, "disabled\n");
}
