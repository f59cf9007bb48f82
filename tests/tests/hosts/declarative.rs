//! Containers in the host's configuration on a real systemd: the effect of switching a NixOS host, step by step (stop
//! removed units, change /etc, daemon-reload, reload, start targets). The units are short forms of those in
//! nix/module.nix; files are links into the store, as in NixOS's /etc.

use std::collections::BTreeMap;

use nixos_nspawn_tests::host::{FLAKE, Host, Output, bins, dynamic, unit};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

on_both_hosts!(switching_the_host);

const DECLARATIVE: &str = "/etc/nixos-nspawn/declarative.d";

/// A configuration of the host: the text of each container's intent.
type Configuration = BTreeMap<&'static str, String>;

/// Builds a container of the test flake as Nix builds an instance's system.
fn intent(host: &Host, name: &str, settings: &Value, container: Value) -> String {
    host.own(&json!({ name: settings }));
    let built = host.ok(&[
        "nix",
        "build",
        "--no-link",
        "--print-out-paths",
        &format!("{FLAKE}#nixosContainers.{name}"),
    ]);
    let init = host.ok(&["readlink", "-f", &format!("{}/init", built.trim())]);
    let toplevel = init.trim().strip_suffix("/init").expect("a system").to_owned();
    json!({ "version": 1, "name": name, "toplevel": toplevel, "container": container }).to_string()
}

/// Does what `switch-to-configuration` does with these containers. Returns the result of the reloads.
fn switch(host: &Host, from: &Configuration, to: &Configuration) -> Vec<(&'static str, Output)> {
    for name in from.keys().filter(|name| !to.contains_key(*name)) {
        host.ok(&["systemctl", "stop", &format!("nixos-nspawn-{name}.service")]);
        assert_eq!(host.state(name), "inactive", "{name} runs when its intent goes");
        host.sh(&format!("rm {DECLARATIVE}/{name}.json /etc/systemd/system/nixos-nspawn-{name}.service"));
        host.sh(&format!("rm /etc/systemd/system/multi-user.target.wants/nixos-nspawn-{name}.service"));
    }
    for (name, text) in to {
        host.write(&format!("/root/{name}.json"), text, 0o644);
        host.sh(&format!(
            "mkdir -p {DECLARATIVE}; ln -sfn $(nix-store --add /root/{name}.json) {DECLARATIVE}/{name}.json"
        ));
        let service = format!("nixos-nspawn-{name}.service");
        let text = format!(
            "[Unit]\nRefuseManualStart=true\n[Service]\nType=oneshot\nRemainAfterExit=true\n\
             ExecStart=-nixos-nspawn activate {name}\nExecReload=nixos-nspawn activate {name}\n\
             ExecStop=-systemctl stop nixos-nspawn-proxy@{name}-tcp-*.socket\nExecStop=systemctl stop {unit}\nTimeoutStopSec=infinity\n",
            unit = unit(name)
        );
        host.write(&format!("/etc/systemd/system/{service}"), text, 0o644);
        host.sh(&format!("mkdir -p /etc/systemd/system/multi-user.target.wants; cd /etc/systemd/system; ln -sf ../{service} multi-user.target.wants/"));
    }
    host.ok(&["systemctl", "daemon-reload"]);
    let changed = to.iter().filter(|(name, text)| from.get(*name).is_some_and(|old| old != *text));
    let results = changed
        .map(|(name, _)| (*name, host.run(&["systemctl", "reload", &format!("nixos-nspawn-{name}.service")])))
        .collect();
    host.ok(&["systemctl", "start", "multi-user.target"]);
    for name in to.keys() {
        host.wait_state(name, "active");
    }
    results
}

/// Switches; all reloads must succeed.
fn well(host: &Host, results: Vec<(&'static str, Output)>) {
    for (name, output) in results {
        assert!(output.success(), "{name}: {output}{}", host.journal(60));
    }
}

fn switching_the_host(host: &Host) {
    host.install(bins());
    host.own(&json!({ "web": dynamic("imperative\n") }));
    host.create("web");
    let imperative = host.nspawn("web");
    // The container runs the system in the store, and the host's record is beside it.
    host.write(
        "/etc/nixos-nspawn/host.json",
        format!("{{\"systemd\":{},\"version\":1}}\n", host.systemd()),
        0o644,
    );

    let none = json!({ "activation": { "strategy": "none" } });
    let first = Configuration::from([
        ("dyn", intent(host, "dyn", &dynamic("one\n"), json!({}))),
        ("gone", intent(host, "gone", &dynamic("one\n"), json!({}))),
        ("left", intent(host, "left", &dynamic("one\n"), none.clone())),
    ]);
    well(host, switch(host, &Configuration::new(), &first));
    assert_eq!(host.listed("dyn").expect("listed")["type"], "declarative");
    let (dynamic_process, left) = (host.nspawn("dyn"), host.nspawn("left"));

    // A reload applies a new system; a removed container is stopped and keeps its state; 'none' waits.
    let mut second = first.clone();
    second.insert("dyn", intent(host, "dyn", &dynamic("two\n"), json!({})));
    second.insert("left", intent(host, "left", &dynamic("two\n"), none));
    second.remove("gone");
    well(host, switch(host, &first, &second));
    assert_eq!((host.nspawn("dyn"), host.system_page("dyn")), (dynamic_process.clone(), "two\n".to_owned()));
    assert_eq!((host.nspawn("left"), host.system_page("left")), (left.clone(), "one\n".to_owned()));
    assert_eq!(host.state("gone"), "inactive");
    assert!(host.exists("/var/lib/machines/gone") && !host.exists("/run/systemd/nspawn/gone.nspawn"));
    assert!(host.ctl_ok(&["activate", "dyn"]).stdout.contains("is left as it is"), "twice");

    // A setting that only concerns systemd does not touch the container, even together with a new system.
    let mut third = second.clone();
    third.insert("dyn", intent(host, "dyn", &dynamic("two\n"), json!({ "timeoutStartSec": "2min" })));
    well(host, switch(host, &second, &third));
    assert_eq!(host.nspawn("dyn"), dynamic_process);
    let mut fourth = third.clone();
    fourth.insert("dyn", intent(host, "dyn", &dynamic("four\n"), json!({ "timeoutStartSec": "3min" })));
    well(host, switch(host, &third, &fourth));
    assert_eq!((host.nspawn("dyn"), host.system_page("dyn")), (dynamic_process.clone(), "four\n".to_owned()));

    // Only a restart applies a mount.
    let mut fifth = fourth.clone();
    fifth.insert("dyn", intent(host, "dyn", &dynamic("four\n"), json!({ "bindMounts": ["/srv/new"] })));
    let planned = host.ctl_ok(&["activate", "dyn", "--strategy", "reload", "--dry-run"]);
    assert!(planned.stdout.contains("would do nothing"), "{planned}");
    well(host, switch(host, &fourth, &fifth));
    let restarted = host.nspawn("dyn");
    assert_ne!(restarted, dynamic_process);
    host.inside("dyn", &["test", "-d", "/srv/new"]);

    // If a system cannot be switched to, the switch fails and stops nothing; the next one is applied.
    let mut bad = fifth.clone();
    let mut broken = dynamic("bad\n");
    broken["switch"] = json!("exit 1");
    bad.insert("dyn", intent(host, "dyn", &broken, json!({ "bindMounts": ["/srv/new"] })));
    let results = switch(host, &fifth, &bad);
    assert!(results.iter().all(|(name, output)| *name == "dyn" && !output.success()), "{}", host.journal(60));
    assert_eq!((host.nspawn("dyn"), host.state("dyn")), (restarted.clone(), "active".to_owned()));
    assert_eq!(host.ok(&["systemctl", "is-active", "nixos-nspawn-dyn.service"]).trim(), "active");
    let last = || {
        let status = host.ctl_ok(&["status", "dyn", "--json"]).stdout;
        serde_json::from_str::<Value>(&status).expect("JSON")["last_activation"].clone()
    };
    assert_eq!((&last()["action"], &last()["result"]), (&json!("reload"), &json!("failed")));
    assert!(
        last()["detail"].as_str().is_some_and(|why| why.contains("switch-to-configuration")),
        "{}",
        last()
    );
    let mut sixth = bad.clone();
    sixth.insert("dyn", intent(host, "dyn", &dynamic("six\n"), json!({ "bindMounts": ["/srv/new"] })));
    well(host, switch(host, &bad, &sixth));
    assert_eq!((host.nspawn("dyn"), host.system_page("dyn")), (restarted.clone(), "six\n".to_owned()));
    assert_eq!((&last()["action"], &last()["result"]), (&json!("reload"), &json!("done")));

    // Commands refuse declarative containers, and the service cannot be restarted by hand, which would stop the container.
    assert_eq!(host.ctl(&["remove", "dyn"]).code(), 10);
    assert!(!host.run(&["systemctl", "restart", "nixos-nspawn-dyn.service"]).success());
    assert_eq!((host.nspawn("dyn"), host.nspawn("left")), (restarted, left));
    assert_eq!(host.nspawn("web"), imperative, "a switch has touched the imperative container");

    assert_eq!(host.reboot(), "running", "{}", host.journal(60));
    // systemd has started it. What it runs is recorded; otherwise a new version with other plans would restart it.
    host.wait_until("the service of dyn has run", || {
        host.sh("systemctl show --property=ActiveState nixos-nspawn-dyn.service").contains("=active")
    });
    let known: Value = serde_json::from_str(&host.file("/run/nixos-nspawn/dyn.known")).expect("JSON");
    let settings = host.file("/run/systemd/nspawn/dyn.nspawn");
    assert_eq!(
        settings.lines().next(),
        Some(format!("# nixos-nspawn plan {}", known["plan"].as_str().expect("a mark")).as_str())
    );
    assert_eq!((host.system_page("dyn"), host.system_page("left")), ("six\n".to_owned(), "two\n".to_owned()));
    assert_eq!(host.state("web"), "active");
}
