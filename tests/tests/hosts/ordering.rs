//! Requirements of a container: other containers, a turn at boot, credentials of the host, and a systemd that knows its
//! settings.

use std::collections::BTreeMap;

use nixos_nspawn_tests::host::{FLAKE, Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::{Value, json};

on_both_hosts!(order_limit_credentials_and_versions);

/// A first process that is ready after a second and exits on request: lighter than a systemd.
const SLOW: &str =
    "trap 'exit 0' 37; sleep 1; systemd-notify --ready --no-block --pid=1; sleep 2147483647 & wait";

/// The number of containers that start at boot, and how many of them may start at the same time.
const COUNT: usize = 30;
const LIMIT: usize = 4;

fn order_limit_credentials_and_versions(host: &Host) {
    host.install(bins());
    let credential = |id: &str, path: Option<&str>, encrypted: bool| json!({"id": id, "path": path, "encrypted": encrypted});
    let credentials = [
        credential("file", Some("/etc/secrets/file"), false),
        credential("stored", None, false),
        credential("renamed", Some("stored"), false),
        credential("sealed-file", Some("/etc/secrets/sealed"), true),
        credential("sealed", None, true),
    ];
    host.own(&json!({
        "box": {"boot": SLOW},
        // By name, the order would be reversed; the last of them starts only because it is required.
        "a-web": {"boot": SLOW, "container": {"requires": ["m-app"]}},
        "m-app": {"boot": SLOW, "container": {"after": ["systemd-nspawn@z-db.service"], "wants": ["z-db"]}},
        "z-db": {"boot": SLOW, "container": {"activation": {"autoStart": false}}},
        "vault": {"container": {"userNamespacing": true, "credentials": credentials}},
    }));
    ordering(host);
    credentials_of_the_host(host);
    versions(host);

    // Hand-written containers for the rest.
    host.ctl_ok(&["create", "box", "--flake", FLAKE, "--no-start"]);
    let boxes = COUNT - 5;
    host.sh(&format!(
        r#"cd /etc/nixos-nspawn; for i in $(seq {boxes}); do sed 's/"name": "box"/"name": "box-'$i'"/' box.json > box-$i.json; done"#
    ));
    host.write("/etc/nixos-nspawn.conf", format!("[Host]\nBootLimit={LIMIT}\n"), 0o644);
    let told = host.ctl_ok(&["setup"]);
    assert!(told.stdout.contains(&format!("at most {LIMIT} containers start at the same time")), "{told}");
    let recorded: Value = serde_json::from_str(&host.file("/etc/nixos-nspawn/host.json")).expect("JSON");
    assert_eq!(recorded, json!({"version": 1, "systemd": host.systemd(), "bootLimit": LIMIT}));

    assert_eq!(host.reboot(), "running", "{}", host.ok(&["systemctl", "--failed"]));
    let names: Vec<String> = ["a-web", "m-app", "z-db", "vault", "box"]
        .map(str::to_owned)
        .into_iter()
        .chain((1..=boxes).map(|i| format!("box-{i}")))
        .collect();
    assert_eq!(names.len(), COUNT);
    let starts = starts(host, &names);
    assert!(starts["m-app"].begin >= starts["z-db"].end, "m-app starts before z-db is up: {starts:?}");
    assert!(starts["a-web"].begin >= starts["m-app"].end, "a-web starts before m-app is up: {starts:?}");
    let most = starts
        .values()
        .map(|one| starts.values().filter(|other| other.begin <= one.begin && one.begin < other.end).count())
        .max();
    assert_eq!(most, Some(LIMIT), "so many were starting at the same time: {starts:?}");
    assert_eq!(secrets(host), SECRETS);

    // They do not wait for each other to stop.
    host.ok(&["systemctl", "stop", "systemd-nspawn@box-*.service"]);
    let stops = stops(host, &names[5..]);
    let most = stops
        .iter()
        .map(|(begin, _)| stops.iter().filter(|other| other.0 <= *begin && *begin < other.1).count())
        .max();
    assert!(most > Some(LIMIT), "so many were stopping at the same time: {stops:?}");
    // One that is started by hand does not wait for others either.
    host.ok(&["systemctl", "start", &unit(&format!("box-{boxes}"))]);

    // The limit can be removed again.
    host.write("/etc/nixos-nspawn.conf", "", 0o644);
    host.ctl_ok(&["setup"]);
    assert!(!host.file("/etc/nixos-nspawn/host.json").contains("bootLimit"));
    assert!(
        !host.sh("ls /run/systemd/generator").contains("slice")
            && !host.sh("ls /run/systemd/generator").contains("turn")
    );
}

fn ordering(host: &Host) {
    // A required container that does not exist is reported, and the container that requires it does not start.
    let early = host.ctl(&["create", "a-web", "--flake", FLAKE, "--no-start"]);
    assert!(early.success() && early.stderr.contains("names 'm-app', which is not a container"), "{early}");
    host.ctl_ok(&["create", "m-app", "--flake", FLAKE, "--no-start"]);
    host.ctl_ok(&["create", "z-db", "--flake", FLAKE, "--no-start"]);
    host.ok(&["systemctl", "start", &unit("a-web")]);
    for name in ["a-web", "m-app", "z-db"] {
        assert_eq!(host.state(name), "active", "{name}");
    }

    // If a required container is restarted, the one that requires it is stopped and started again.
    let file = format!("{FLAKE}/own.json");
    let old = host.file(&file);
    let mut containers: Value = serde_json::from_str(&old).expect("JSON");
    containers["m-app"]["container"]["serviceConfig"] = json!({"MemoryHigh": "1G"});
    host.own(&containers);
    let before = host.property("a-web", "ActiveEnterTimestampMonotonic");
    let updated = host.ctl_ok(&["update", "m-app", "--allow-host-changes", "--expect=none"]);
    assert!(updated.stdout.contains("restarted"), "{updated}");
    assert_eq!(host.state("a-web"), "active");
    assert_ne!(host.property("a-web", "ActiveEnterTimestampMonotonic"), before, "it stopped with m-app");
    // The same if the update fails and is undone.
    containers["m-app"]["boot"] = json!("exit 1");
    host.own(&containers);
    let failed = host.ctl(&["update", "m-app", "--expect=none"]);
    assert_eq!(failed.code(), 1, "{failed}");
    assert_eq!((host.state("m-app"), host.state("a-web")), ("active".to_owned(), "active".to_owned()));

    // A changed order needs no restart; a cycle is refused, with the names in it.
    containers["m-app"]["boot"] = json!(SLOW);
    containers["m-app"]["container"]["after"] = json!(["z-db", "network-online.target"]);
    host.own(&containers);
    let updated = host.ctl_ok(&["update", "m-app"]);
    assert!(updated.stdout.contains("not touched: only After= differs"), "{updated}");
    containers["z-db"]["container"]["after"] = json!(["a-web"]);
    host.own(&containers);
    let refused = host.ctl(&["update", "z-db"]);
    assert_eq!(refused.code(), 10, "{refused}");
    assert!(refused.stderr.contains("waits for itself through 'a-web', 'm-app'"), "{refused}");
    // If it is written by hand, the order among the members is omitted, and they all start.
    let intent = host.file("/etc/nixos-nspawn/z-db.json");
    let circle = intent.replacen("\"container\": {", "\"container\": {\n    \"after\": [\"a-web\"],", 1);
    assert_ne!(circle, intent);
    host.write("/etc/nixos-nspawn/z-db.json", &circle, 0o644);
    host.ok(&["systemctl", "daemon-reload"]);
    assert!(host.ctl_ok(&["show", "z-db"]).stdout.contains("waits for itself"));
    host.sh("systemctl stop 'systemd-nspawn@*'; systemctl start systemd-nspawn@a-web systemd-nspawn@m-app systemd-nspawn@z-db");
    host.write("/etc/nixos-nspawn/z-db.json", &intent, 0o644);
    host.ok(&["systemctl", "daemon-reload"]);
}

const SECRETS: &str = "file=of a file stored=of the store renamed=of the store sealed-file=sealed in a file sealed=sealed in the store ";

/// Returns the container's credentials as a service inside gets them.
fn secrets(host: &Host) -> String {
    let ids = ["file", "stored", "renamed", "sealed-file", "sealed"];
    let load: Vec<String> = ids.iter().map(|id| format!("--property=LoadCredential={id}")).collect();
    let script =
        format!("cd $CREDENTIALS_DIRECTORY; for i in {}; do echo -n \"$i=$(cat $i) \"; done", ids.join(" "));
    let mut command = vec!["systemd-run", "--machine=vault", "--wait", "--pipe", "--quiet"];
    command.extend(load.iter().map(String::as_str));
    // The service has its own user, who is another user on the host.
    command.extend(["--property=User=nobody", "/bin/sh", "-euc", &script]);
    host.ok(&command)
}

fn credentials_of_the_host(host: &Host) {
    host.write("/etc/secrets/file", "of a file", 0o600);
    let before = host.traces();
    let failed = host.ctl(&["create", "vault", "--flake", FLAKE]);
    assert!(!failed.success() && failed.stderr.contains("credential stores have no 'stored'"), "{failed}");
    host.assert_no_traces_since(&before);
    host.write("/etc/credstore/stored", "of the store", 0o600);
    host.sh("mkdir -p /etc/credstore.encrypted
        echo -n 'sealed in a file' | systemd-creds encrypt --with-key=host --name=sealed-file - /etc/secrets/sealed
        echo -n 'sealed in the store' | systemd-creds encrypt --with-key=host --name=sealed - /etc/credstore.encrypted/sealed");
    host.create("vault");
    assert_eq!(secrets(host), SECRETS);

    // A credential that is missing at a later start is named.
    for (path, words) in [
        ("/etc/secrets/file", ["/etc/secrets/file", "credential 'file'"]),
        ("/etc/secrets/sealed", ["/etc/secrets/sealed", "credential 'sealed-file'"]),
        ("/etc/credstore/stored", ["credential store has no 'stored'", "credential 'stored'"]),
        ("/etc/credstore.encrypted/sealed", ["credential store has no 'sealed'", "credential 'sealed'"]),
    ] {
        host.sh(&format!("systemctl stop systemd-nspawn@vault; mv {path} {path}.away"));
        assert!(!host.run(&["systemctl", "start", &unit("vault")]).success(), "{path}");
        let journal = host.unit_journal("vault");
        assert!(words.iter().all(|word| journal.contains(word)), "{path}: {journal}");
        host.sh(&format!("mv {path}.away {path}; systemctl reset-failed systemd-nspawn@vault"));
    }
    host.ok(&["systemctl", "start", &unit("vault")]);
}

fn versions(host: &Host) {
    let families = json!({"Exec": {"RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK"}});
    let mut containers: Value = serde_json::from_str(&host.file(&format!("{FLAKE}/own.json"))).expect("JSON");
    containers["new"] = json!({"boot": SLOW, "container": {"nspawnConfig": families}});
    host.own(&containers);
    let before = host.traces();
    let needs =
        format!("[Exec] RestrictAddressFamilies= needs systemd 261, this host has {}", host.systemd());
    let created = host.ctl(&["create", "new", "--flake", FLAKE]);
    if host.systemd() >= 261 {
        assert!(created.success(), "{created}");
        assert_eq!(host.state("new"), "active");
    } else {
        assert_eq!(created.code(), 10, "{created}");
        assert!(created.stderr.contains(&needs), "{created}");
        host.assert_no_traces_since(&before);
        // Written by hand, it is refused visibly, even if host.json is wrong.
        let by_hand = |name: &str| {
            let intent: Value =
                serde_json::from_str(&host.file("/etc/nixos-nspawn/z-db.json")).expect("JSON");
            json!({"version": 1, "name": name, "toplevel": intent["toplevel"], "container": {"nspawnConfig": families}})
        };
        let recorded = host.file("/etc/nixos-nspawn/host.json");
        for (name, host_json) in [("old", recorded.clone()), ("wrong", recorded.replace("257", "262"))] {
            host.write(&format!("/etc/nixos-nspawn/{name}.json"), by_hand(name).to_string(), 0o644);
            host.write("/etc/nixos-nspawn/host.json", &host_json, 0o644);
            host.ok(&["systemctl", "daemon-reload"]);
            assert!(!host.run(&["systemctl", "start", &unit(name)]).success(), "{name}");
            let journal = host.unit_journal(name);
            assert!(journal.contains(&needs) && journal.contains("78/CONFIG"), "{name}: {journal}");
            host.ok(&["rm", &format!("/etc/nixos-nspawn/{name}.json")]);
        }
        host.write("/etc/nixos-nspawn/host.json", &recorded, 0o644);
    }
    host.ctl(&["remove", "new"]);
    host.ok(&["systemctl", "daemon-reload"]);
}

/// Returns when a container was starting, in microseconds since the boot.
#[derive(Debug)]
struct Start {
    begin: u64,
    end: u64,
}

fn starts(host: &Host, names: &[String]) -> BTreeMap<String, Start> {
    let start = |(name, (begin, end)): (String, (u64, u64))| {
        assert!(0 < begin && begin < end, "{name} did not start: {begin} {end}");
        (name, Start { begin, end })
    };
    times(host, names, "InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
        .into_iter()
        .map(start)
        .collect()
}

/// Returns when containers were asked to stop, and when they had stopped.
fn stops(host: &Host, names: &[String]) -> Vec<(u64, u64)> {
    times(host, names, "ActiveExitTimestampMonotonic", "InactiveEnterTimestampMonotonic")
        .into_values()
        .collect()
}

fn times(host: &Host, names: &[String], begin: &str, end: &str) -> BTreeMap<String, (u64, u64)> {
    let units: Vec<String> = names.iter().map(|name| unit(name)).collect();
    let mut command = vec!["systemctl", "show", "-p", "Id", "-p", begin, "-p", end, "--"];
    command.extend(units.iter().map(String::as_str));
    let answer = host.ok(&command);
    let blocks = answer.split("\n\n").map(|block| {
        let value = |key: &str| {
            block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default()
        };
        let name = value("Id").trim_start_matches("systemd-nspawn@").trim_end_matches(".service");
        (name.to_owned(), (value(begin).parse().expect("a time"), value(end).parse().expect("a time")))
    });
    blocks.collect()
}
