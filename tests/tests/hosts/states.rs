//! What `list` says of many containers, some of which run and others of which start with the host and are stopped: PID 1 has
//! loaded their units, but is not asked about each of them.

use nixos_nspawn_tests::host::{Host, bins, dynamic, unit};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::{Value, json};

on_both_hosts!(stopped_and_loaded);

/// Containers that run.
const RUNNING: [&str; 3] = ["c10", "c11", "c12"];

/// More than those of which PID 1 is asked about each.
const NAMES: [&str; 12] = ["a-b-c", "c10", "c11", "c12", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "own"];

/// Returns the names with a note that a daemon-reload is needed.
fn outdated(host: &Host) -> Vec<String> {
    let answer = host.ctl_ok(&["list"]).stdout;
    let rows = answer.lines().filter(|row| row.contains("not loaded"));
    rows.filter_map(|row| row.split_whitespace().next()).map(str::to_owned).collect()
}

/// Returns what `list` says, which is asked about all.
fn reload_needed(host: &Host, name: &str) -> bool {
    let all: Value = serde_json::from_str(&host.ctl_ok(&["list", "--json"]).stdout).expect("JSON");
    let one = all.as_array().and_then(|all| all.iter().find(|one| one["name"] == name)).expect("listed");
    one["reload_needed"].as_bool().expect("known")
}

/// Returns what `show` says, which is asked about this one only.
fn reload_needed_alone(host: &Host, name: &str) -> bool {
    let one: Value = serde_json::from_str(&host.ctl_ok(&["show", name, "--json"]).stdout).expect("JSON");
    one["reload_needed"].as_bool().expect("known")
}

fn stopped_and_loaded(host: &Host) {
    host.install(bins());
    host.own(&json!({"own": dynamic("one\n")}));
    host.ctl_ok(&["create", "own", "--flake", "/root/flake", "--no-start"]);
    let own: Value = serde_json::from_str(&host.file("/etc/nixos-nspawn/own.json")).expect("JSON");
    let intent = json!({"version": 1, "toplevel": own["toplevel"], "autostart": true}).to_string();
    for name in &NAMES[..NAMES.len() - 1] {
        host.write(&format!("/etc/nixos-nspawn/{name}.json"), &intent, 0o644);
    }
    // The links that start them are loaded with the targets that want them.
    host.sh("systemctl daemon-reload; systemctl show machines.target multi-user.target >/dev/null");
    let loaded =
        host.ok(&["systemctl", "list-units", "--all", "--full", "--plain", "systemd-nspawn@*.service"]);
    assert!(NAMES.iter().all(|name| loaded.contains(&unit(name))), "{loaded}");
    assert_eq!(outdated(host), [""; 0]);
    running(host);

    // A newer intent concerns its own container, also if PID 1 is asked about it for the others: of those that run it is
    // the one that was started first, of the others the first by name.
    for name in [RUNNING[0], RUNNING[1], NAMES[0], NAMES[4]] {
        host.sh(&format!("touch /etc/nixos-nspawn/{name}.json"));
        assert_eq!(outdated(host), [name]);
        assert_eq!(reload_needed(host, name), reload_needed_alone(host, name), "{name}");
        host.ok(&["systemctl", "daemon-reload"]);
    }

    // A file for one container, by either name, and for all of them.
    let write = |path: &str, text: &str| {
        host.sh(&format!("mkdir -p {}", path.rsplit_once('/').expect("a path").0));
        host.write(path, text, 0o644);
    };
    write("/etc/systemd/system/systemd-nspawn@c4.service.d/mine.conf", "[Service]\nNice=1\n");
    assert_eq!(outdated(host), ["c4"]);
    write("/run/systemd/system/systemd-@a-b-c.service.d/mine.conf", "[Service]\nNice=1\n");
    write("/run/systemd/system/systemd-nspawn@c11.service.d/mine.conf", "[Service]\nNice=1\n");
    assert_eq!(outdated(host), ["a-b-c", "c11", "c4"]);
    host.ok(&["systemctl", "daemon-reload"]);
    assert_eq!(outdated(host), [""; 0]);
    write("/etc/systemd/system/systemd-nspawn@.service.d/all.conf", "[Service]\nNice=2\n");
    assert_eq!(outdated(host), NAMES);
    host.ok(&["systemctl", "daemon-reload"]);
    assert_eq!(outdated(host), [""; 0]);
    host.sh("rm -r /etc/systemd/system/systemd-nspawn@.service.d");
    assert_eq!(outdated(host), NAMES);
    host.ok(&["systemctl", "daemon-reload"]);
    assert_eq!(outdated(host), [""; 0]);

    // What another intent would change is known without PID 1.
    host.write(
        "/etc/nixos-nspawn/c5.json",
        intent.replace("true", "true, \"container\": {\"memoryMax\": \"2G\"}"),
        0o644,
    );
    assert_eq!(outdated(host), ["c5"]);
    // Nothing is loaded of a masked unit, which is no reason to load it again.
    host.sh("systemctl mask systemd-nspawn@c3.service; systemctl daemon-reload");
    let rows = host.ctl_ok(&["list"]).stdout;
    let row = rows.lines().find(|row| row.starts_with("c3 ")).expect("a row");
    assert!(row.contains("inactive") && row.ends_with("masked"), "{rows}");
    assert_eq!(outdated(host), [""; 0]);
    loaded_before_and_after(host, &intent);
}

/// A file for all containers is new to what was loaded before it. Of those that run, PID 1 is asked about one that it has
/// loaded later.
fn loaded_before_and_after(host: &Host, intent: &str) {
    let late = intent.replace("true", "false");
    host.write("/etc/nixos-nspawn/late.json", &late, 0o644);
    host.ok(&["systemctl", "daemon-reload"]);
    for name in RUNNING {
        host.ok(&["systemctl", "stop", &unit(name)]);
    }
    // Loaded again by the target that wants it.
    host.ok(&["systemctl", "show", "machines.target", &unit("c10")]);
    host.sh("mkdir /run/systemd/system/systemd-nspawn@.service.d");
    host.write("/run/systemd/system/systemd-nspawn@.service.d/all.conf", "[Service]\nNice=3\n", 0o644);
    for name in ["late", "c10"] {
        host.ok(&["systemctl", "start", &unit(name)]);
    }
    let of_systemd = |name| host.ok(&["systemctl", "show", "-P", "NeedDaemonReload", &unit(name)]);
    assert_eq!([of_systemd("late").trim(), of_systemd("c10").trim()], ["no", "yes"]);
    assert!(outdated(host).contains(&"c10".to_owned()));
    host.ok(&["systemctl", "daemon-reload"]);
    assert_eq!(outdated(host), [""; 0]);
}

/// Starts some, and compares what is known of them with what PID 1 and machined say.
fn running(host: &Host) {
    for name in RUNNING {
        host.ok(&["systemctl", "start", &unit(name)]);
    }
    let answer = host.ctl_ok(&["--verbose", "list", "--json"]);
    let shown = answer.stderr.lines().find(|line| line.contains("systemctl show")).expect("a call");
    let asked: Vec<&str> = shown.split_whitespace().filter(|word| word.contains("systemd-nspawn@")).collect();
    // One that runs and one that does not tell for all.
    assert_eq!(asked.len(), 2, "{shown}");
    assert_eq!(asked[0], unit(RUNNING[0]), "{shown}");
    let all: Value = serde_json::from_str(&answer.stdout).expect("JSON");
    for one in all.as_array().expect("a list") {
        let name = one["name"].as_str().expect("a name");
        let state = if RUNNING.contains(&name) { "running" } else { "dead" };
        assert_eq!(one["sub_state"], state, "{one}");
        assert_eq!(one["result"], "success", "{one}");
    }
    for name in RUNNING {
        let many = all.as_array().and_then(|all| all.iter().find(|one| one["name"] == name)).expect("listed");
        let alone: Value =
            serde_json::from_str(&host.ctl_ok(&["show", name, "--json"]).stdout).expect("JSON");
        assert_eq!(many["since"], alone["since"], "{name}");
        let machined = host.sh(&format!(
            "date -u +%Y-%m-%dT%H:%M:%SZ -d \"$(machinectl show -p Timestamp --value {name})\""
        ));
        assert_eq!(many["since"], machined.trim(), "{name}");
    }
}
