//! Containers that never answer, and containers whose answers never end: commands keep their deadlines and memory
//! limits.

use std::time::{Duration, Instant};

use nixos_nspawn_tests::host::{Host, Output, bins, dynamic};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::{Value, json};

on_both_hosts!(silence, floods);

/// The tolerated delay of a call after its deadline.
const GRACE: Duration = Duration::from_secs(2);

/// The tolerated delay of a command, which also builds, writes and reloads, on a host that may be busy.
const HOST: Duration = Duration::from_secs(15);

fn own(host: &Host, settings: &Value) {
    host.own(&json!({ "web": settings }));
}

/// Runs a command that must end within the deadlines of its calls into the container.
fn in_time(host: &Host, arguments: &[&str], deadlines: Duration) -> Output {
    let begin = Instant::now();
    let output = host.ctl(arguments);
    let took = begin.elapsed();
    eprintln!("{arguments:?}: {took:?}");
    assert!(took < deadlines + HOST, "{arguments:?} took {took:?}: {output}");
    output
}

/// Stops processes inside, as a hostile root could.
fn freeze(host: &Host, pattern: &str) {
    let leader = host.ok(&["machinectl", "show", "web", "-P", "Leader"]);
    let leader = leader.trim();
    match pattern {
        "init" => host.ok(&["kill", "-STOP", leader]),
        _ => host.ok(&["pkill", "-STOP", "--ns", leader, "--nslist", "pid", pattern]),
    };
}

/// Nothing inside answers, because the bus or PID 1 is stopped.
fn silence(host: &Host) {
    host.install(bins());
    let limit = Duration::from_secs(3);
    for pattern in ["dbus-daemon", "init"] {
        let mut settings = dynamic("one\n");
        settings["container"]["serviceConfig"] = json!({"TimeoutStopSec": "3s"});
        settings["container"]["timeoutStartSec"] = json!("6s");
        own(host, &settings);
        host.create("web");
        host.ok(&["systemd-run", "--machine=web", "--wait", "--quiet", "/bin/true"]);
        let questions = [&["list"][..], &["show", "web"], &["status", "web"]];
        let usual = questions.map(|words| {
            let begin = Instant::now();
            host.ctl_ok(words);
            begin.elapsed()
        });
        freeze(host, pattern);
        let one = host.intent("web")["toplevel"].as_str().expect("a system").to_owned();
        for (words, usual) in questions.into_iter().zip(usual) {
            let begin = Instant::now();
            let output = host.ctl_ok(words);
            let took = begin.elapsed();
            assert!(took < 3 * usual + GRACE, "{pattern}: {words:?} took {took:?}, usually {usual:?}");
            assert!(output.stdout.contains("web"), "{pattern}: {output}");
        }
        // The state before is queried, then the reload is tried and stopped inside.
        settings["page"] = json!("two\n");
        own(host, &settings);
        let update = ["update", "web", "--timeout", "3s"];
        let failed = in_time(host, &[&update[..], &["--keep"]].concat(), 3 * (limit + GRACE));
        assert_eq!(failed.code(), 1, "{pattern}: {failed}");
        assert!(failed.stderr.contains("took longer than 3 s"), "{pattern}: {failed}");
        // The same with a way back: a reload that is given up, a stop with SIGKILL, and a start.
        settings["page"] = json!("three\n");
        own(host, &settings);
        let back = 5 * (limit + GRACE) + 2 * limit;
        let failed = in_time(host, &update, back);
        assert!(failed.stderr.contains("rolled back"), "{pattern}: {failed}");
        host.assert_agreed("web");
        freeze(host, pattern);
        // The recorded system is changed by hand.
        let two = host.intent("web")["toplevel"].as_str().expect("a system").to_owned();
        host.sh(&format!("sed -i 's|{two}|{one}|' /etc/nixos-nspawn/web.json"));
        let activated =
            in_time(host, &["activate", "web", "--strategy", "reload"], 2 * (Duration::from_secs(6) + GRACE));
        assert!(!activated.success(), "{pattern}: {activated}");
        let removed =
            in_time(host, &["remove", "web", "--delete-state"], limit + Duration::from_secs(5) + GRACE);
        assert!(removed.success(), "{pattern}: {removed}");
        assert_eq!(host.state("web"), "inactive", "{pattern}");
    }
}

/// The maximum memory of a command, in KiB.
const MEMORY: u64 = 64 << 10;

/// Runs a command that must keep the memory limit. Programs that it calls do not count.
fn frugal(host: &Host, arguments: &[&str]) -> Output {
    let script = r#"nixos-nspawn "$@" & pid=$!
        while [ -e /proc/$pid/exe ]; do
            new=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' /proc/$pid/status 2> /dev/null) || :
            [ -z "$new" ] || most=$new
            sleep 0.02
        done
        wait "$pid"; status=$?
        echo "$most" > /run/most; exit "$status""#;
    let words = [&["sh", "-c", script, "sh"], arguments].concat();
    let output = host.run_with(&words, None, Duration::from_secs(180));
    let most: u64 = host.file("/run/most").trim().parse().expect("a number");
    eprintln!("{arguments:?}: {most} KiB");
    assert!(most < MEMORY, "{arguments:?} took {most} KiB: {}", output.code());
    output
}

/// Processes inside produce endless output wherever a command looks.
fn floods(host: &Host) {
    host.install(bins());
    own(host, &dynamic("one\n"));
    host.create("web");
    // Failed units with long names, services that are restarted, and files that systemd and machined read.
    let script = r#"cd /run/systemd/system 2> /dev/null || { mkdir -p /run/systemd/system; cd /run/systemd/system; }
        long=$(head -c 180 /dev/zero | tr '\0' x)
        for number in $(seq 150); do
            printf '[Service]\nType=oneshot\nExecStart=/bin/false\n' > "fails-$long-$number.service"
        done
        printf '[Service]\nExecStart=/bin/sh -c "yes $(head -c 1500 /dev/zero | tr "\\0" y) | head -c 30000000"\n' > loud.service
        systemctl daemon-reload
        systemctl start --no-block 'loud.service' $(ls | grep ^fails-) 2> /dev/null || :
        rm -f /etc/os-release
        head -c 100000000 /dev/zero | tr '\0' z > /etc/os-release || :
        head -c 100000000 /dev/zero | tr '\0' z > /etc/machine-id || :"#;
    host.inside("web", &["sh", "-c", script]);
    host.wait_until("the units have failed", || {
        host.inside("web", &["sh", "-c", "systemctl list-units --failed --no-legend --plain | wc -l"]).trim()
            == "150"
    });
    for words in [&["list"][..], &["show", "web"], &["status", "web"], &["list", "--json"]] {
        let output = frugal(host, words);
        assert!(output.success(), "{output}");
    }
    for (page, switch) in [
        ("two\n", "yes; exit 0"),
        ("three\n", "yes >&2; exit 0"),
        ("four\n", "head -c 300000000 /dev/zero; exit 1"),
        ("five\n", "systemctl start --no-block loud.service; exit 4"),
    ] {
        let mut settings = dynamic(page);
        settings["switch"] = json!(switch);
        own(host, &settings);
        let output = frugal(host, &["update", "web", "--timeout", "5s"]);
        assert!(!output.success() || page.starts_with("five"), "{page}: {}", output.code());
        assert!(output.text().len() < 1 << 20, "{page}: {} bytes", output.text().len());
        host.assert_agreed("web");
    }
    frugal(host, &["activate", "web"]);
    let removed = frugal(host, &["remove", "web", "--delete-state"]);
    assert!(removed.success(), "{removed}");
}
