//! States in which a change cannot get on: a frozen container, a build that never ends, a full or read-only directory
//! of intents. Commands look first, keep their limits, and keep the containers as they are.

use std::time::{Duration, Instant};

use nixos_nspawn_tests::host::{Host, bins, dynamic, unit};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::json;

on_both_hosts!(stuck);

fn stuck(host: &Host) {
    host.install(bins());
    host.own(&json!({"web": dynamic("one\n"), "db": dynamic("one\n")}));
    host.create("web");
    host.create("db");
    frozen(host);
    endless_build(host);
    full_and_read_only(host);
}

/// Nothing inside a frozen container answers, not even a stop.
fn frozen(host: &Host) {
    host.own(&json!({"web": dynamic("two\n"), "db": dynamic("one\n")}));
    let before = (host.recorded("web"), host.nspawn("web"));
    host.ok(&["systemctl", "freeze", &unit("web")]);
    let begin = Instant::now();
    let refused = host.ctl(&["update", "web", "--timeout", "5s"]);
    assert_eq!(refused.code(), 10, "{refused}");
    let why = format!(
        "container 'web' is frozen, nothing inside answers, nothing was changed; 'systemctl thaw {}'",
        unit("web")
    );
    assert!(refused.stderr.contains(&why), "{refused}");
    assert!(host.ctl_ok(&["list"]).stdout.contains("web"));
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    host.ok(&["systemctl", "thaw", &unit("web")]);
    assert_eq!((host.recorded("web"), host.nspawn("web")), before);
    host.ctl_ok(&["update", "web"]);
    assert_eq!(host.system_page("web"), "two\n");
}

/// A build that never ends does not keep the others from being updated, and they do not wait for its end.
fn endless_build(host: &Host) {
    let mut endless = dynamic("three\n");
    endless["switch"] = json!("$(sleep 1000)");
    host.own(&json!({"web": endless, "db": dynamic("three\n")}));
    let before = host.recorded("web");
    host.sh("(nixos-nspawn update --all --jobs 2 > /run/all 2>&1 & echo $! > /run/pid
        wait $! && echo 0 > /run/status || echo $? > /run/status) > /dev/null 2>&1 &");
    let runs = || host.run(&["sh", "-c", "kill -0 $(cat /run/pid)"]).success();
    host.wait_until("the other is updated", || host.system_page("db") == "three\n");
    assert!(runs(), "{}", host.file("/run/all"));
    host.sh("kill -TERM $(cat /run/pid)");
    host.wait_until("it has ended", || host.exists("/run/status"));
    let said = host.file("/run/all");
    assert_ne!(host.file("/run/status"), "0\n", "{said}");
    assert_eq!(host.recorded("web"), before, "{said}");

    let begin = Instant::now();
    let updated = host.ctl(&["update", "--all", "--build-timeout", "5s"]);
    assert!(
        !updated.success() && begin.elapsed() < Duration::from_secs(90),
        "{:?}: {updated}",
        begin.elapsed()
    );
    assert_eq!(host.recorded("web"), before, "{updated}");
    let row = updated.stdout.lines().find(|line| line.starts_with("web ")).unwrap_or_default();
    assert!(
        row.contains("failed") && !row.contains("0.0 s") && row.contains("took longer than 5 s"),
        "{updated}"
    );
}

/// A removal needs no space. If nothing can be written, the container is not stopped.
fn full_and_read_only(host: &Host) {
    host.own(&json!({"web": dynamic("two\n"), "db": dynamic("three\n")}));
    host.sh("cp -a /etc/nixos-nspawn /root/intents
        mount -t tmpfs -o size=256k,mode=755 tmpfs /etc/nixos-nspawn && cp -a /root/intents/. /etc/nixos-nspawn
        systemctl daemon-reload; mount -o remount,ro /etc/nixos-nspawn");
    let failed = host.ctl(&["remove", "web"]);
    assert!(!failed.success() && failed.stderr.contains("/etc/nixos-nspawn"), "{failed}");
    assert_eq!(host.state("web"), "active", "{failed}");
    host.sh("mount -o remount,rw /etc/nixos-nspawn; dd if=/dev/zero of=/etc/nixos-nspawn/.full bs=4k 2> /dev/null || :");
    assert!(!host.run(&["sh", "-c", "echo x > /etc/nixos-nspawn/.more"]).success(), "the disk is not full");
    host.ctl_ok(&["remove", "web"]);
    assert_eq!(host.state("web"), "inactive");
    assert!(!host.exists("/etc/nixos-nspawn/web.json") && host.state("db") == "active");
}
