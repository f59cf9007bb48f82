//! Several updates at once, and updates beside a foreign generator that fails.

use nixos_nspawn_tests::host::{Host, bins, dynamic};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::json;

use super::{PROFILES, web, with};

on_both_hosts!(several_at_once, activated_side_by_side, failing_generators_of_others);

fn several_at_once(host: &Host) {
    host.install(bins());
    let names = ["other", "slow", "third", "fourth", "fifth"];
    host.own(&names.iter().map(|name| ((*name).to_owned(), dynamic("old\n"))).collect());
    for name in names {
        host.create(name);
    }

    // One builder waits until /run/go exists, for two minutes at most.
    let waits = "$(touch /run/building; for i in $(seq 1200); do [ ! -e /run/go ] || break; sleep 0.1; done)";
    host.own(&json!({"slow": with("new\n", "switch", json!(waits)), "other": dynamic("new\n")}));
    let script = r#"
        soon() { for _ in $(seq 300); do if "$@"; then return; fi; sleep 0.1; done; echo "not so: $*"; exit 1; }
        nixos-nspawn update slow > /run/first 2>&1 & first=$!
        soon test -e /run/building
        nixos-nspawn update slow > /run/second 2>&1 & second=$!
        soon grep -q "'slow' is being changed by process $first, waiting" /run/second
        nixos-nspawn update other
        kill -0 $first; kill -0 $second
        touch /run/go
        wait $first; wait $second
        cat /run/first /run/second"#;
    let output = host.run_with(&["sh", "-euc", script], None, std::time::Duration::from_secs(150));
    assert!(output.success(), "{output}");
    assert!(output.stdout.contains("container 'slow': generation 1 -> 2"), "{output}");
    assert!(output.stdout.contains("container 'slow': is up to date"), "{output}");
    for name in ["slow", "other"] {
        host.assert_agreed(name);
        assert_eq!(host.system_page(name), "new\n");
    }

    // One failure does not prevent the other updates.
    let own = |name: &&str| {
        let settings = dynamic("newest\n");
        let bad = with("newest\n", "switch", json!("exit 1"));
        ((*name).to_owned(), if *name == "third" { bad } else { settings })
    };
    host.own(&names.iter().map(own).collect());
    let before = host.recorded("third");
    let output = host.ctl(&["update", "--all"]);
    assert_eq!(output.code(), 1, "{output}");
    for name in names {
        host.assert_agreed(name);
        let line = output.stdout.lines().find(|line| line.split_whitespace().next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no line for {name}: {output}"));
        assert_eq!(line.contains("failed"), name == "third", "{output}");
        assert_eq!(host.system_page(name), if name == "third" { "old\n" } else { "newest\n" });
    }
    assert_eq!(host.recorded("third"), before, "{output}");
    // What failed is left out of the next run, until it is named.
    let again = host.ctl_ok(&["plan", "--all", "--exit-code"]);
    assert!(again.stdout.contains("container 'third': would be skipped: failed at "), "{again}");
    let again = host.ctl(&["plan", "third", "--exit-code"]);
    assert_eq!(again.code(), 4, "{again}");
}

/// With --parallel-activation, containers are switched at the same time, but not before those that they wait for.
fn activated_side_by_side(host: &Host) {
    host.install(bins());
    let names = ["app", "db", "other", "zz"];
    // Each takes a while to switch, and says when it begins and ends.
    let own = |page: &str, bad: &str| {
        let settings = |name: &&str| {
            let times =
                "cat /proc/uptime >> /var/log/switched; sleep 4; cat /proc/uptime >> /var/log/switched";
            let mut settings = with(page, "switch", json!(if *name == bad { "exit 1" } else { times }));
            settings["container"]["requires"] = if *name == "app" { json!(["db"]) } else { json!([]) };
            ((*name).to_owned(), settings)
        };
        host.own(&names.iter().map(settings).collect());
    };
    own("one\n", "");
    for name in ["db", "app", "other", "zz"] {
        host.create(name);
    }
    own("two\n", "zz");
    let output = host.ctl(&["update", "--all", "--jobs", "4", "--parallel-activation"]);
    assert_eq!(output.code(), 1, "{output}");
    for name in names {
        host.assert_agreed(name);
        assert_eq!(host.system_page(name), if name == "zz" { "one\n" } else { "two\n" }, "{output}");
        let line = output.stdout.lines().find(|line| line.split_whitespace().next() == Some(name));
        assert_eq!(line.map(|line| line.contains("failed")), Some(name == "zz"), "{output}");
    }
    let times = |name: &str| {
        let text = host.inside(name, &["tail", "-n", "2", "/var/log/switched"]);
        let time = |line: &str| line.split(' ').next().and_then(|word| word.parse::<f64>().ok());
        let times: Vec<f64> = text.lines().filter_map(time).collect();
        assert_eq!(times.len(), 2, "{name}: {text}");
        (times[0], times[1])
    };
    let (app, db, other) = (times("app"), times("db"), times("other"));
    assert!(app.0 >= db.1, "app waits for db: {app:?} {db:?}");
    assert!(other.0 < db.1 && db.0 < other.1, "at the same time: {other:?} {db:?}");

    // A signal ends all of them, and each goes back.
    own("three\n", "");
    host.sh("nixos-nspawn update --all --jobs 4 --parallel-activation > /run/all 2>&1 & echo $! > /run/pid");
    for name in ["db", "other"] {
        let switching = format!("systemctl --machine={name} is-active nixos-nspawn-switch.service");
        host.wait_until("it is being switched", || host.run(&["sh", "-c", &switching]).success());
    }
    host.sh("kill -TERM $(cat /run/pid)");
    host.wait_until("it has ended", || !host.run(&["sh", "-c", "kill -0 $(cat /run/pid)"]).success());
    for name in ["app", "db", "other"] {
        host.assert_agreed(name);
        assert_eq!(host.system_page(name), "two\n", "{name}: {}", host.file("/run/all"));
    }
}

/// If a generator dies from a signal, the output of all others is lost, and systemctl reports nothing.
fn failing_generators_of_others(host: &Host) {
    host.install(bins());
    host.create("stopped");
    web(host, &dynamic("old\n"));
    host.create("web");
    let nspawn = host.nspawn("web");
    let culprit = "/etc/systemd/system-generators/00-dies";
    host.write(culprit, "#!/bin/sh\nsleep 0.2\nkill -KILL $$\n", 0o755);
    // Our generator would finish before it, so slow it down.
    let ours = "/usr/local/lib/systemd/system-generators/nixos-nspawn-generator";
    host.sh(&format!("mv {ours} /usr/local/libexec/generator"));
    let slow =
        "#!/bin/sh\ncase $1 in --version) ;; *) sleep 1;; esac\nexec /usr/local/libexec/generator \"$@\"\n";
    host.write(ours, slow, 0o755);

    // PID 1 waits for generators in no particular order: if it waits for ours first, nothing is lost.
    web(host, &dynamic("new\n"));
    let mut failures = 0;
    for round in 0..30 {
        let (intent, before) = (host.intent("web"), host.system_page("web"));
        let arguments = if intent["generation"] == 1 { ["update", "web"] } else { ["rollback", "web"] };
        let output = host.ctl(&arguments);
        assert_eq!(
            (host.state("web"), host.nspawn("web")),
            ("active".to_owned(), nspawn.clone()),
            "{output}"
        );
        if output.success() {
            continue;
        }
        failures += 1;
        assert_eq!(output.code(), 11, "round {round}: {output}");
        assert!(output.stderr.contains("00-dies"), "the generator that failed is not named: {output}");
        assert_eq!(host.intent("web"), intent, "{output}");
        assert_eq!(host.system_page("web"), before, "{output}");
        let link = host.ok(&["readlink", &format!("{PROFILES}/web/system")]);
        assert_eq!(link.trim(), format!("system-{}-link", intent["generation"]), "{output}");
        if failures == 2 {
            break;
        }
    }
    assert_eq!(failures, 2, "the other generator never got in the way");
    host.ok(&["rm", culprit]);
    host.sh(&format!("mv /usr/local/libexec/generator {ours}"));
    host.ctl_ok(&["enable", "stopped"]);
    host.assert_agreed("web");
    assert_eq!(host.nspawn("web"), nspawn);
    host.ctl_ok(&["update", "web"]);
    host.assert_agreed("web");
    assert_eq!(host.system_page("web"), "new\n");
}
