//! Profiles of python-nixos-nspawn on a real systemd: the files of its mkContainer (tests/golden/reference) are built into
//! real Nix profiles, created under various names, checked from inside and outside, updated and rolled back.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;
use nixos_nspawn_tests::reference::{Case, cases, in_force, unit_file};
use pretty_assertions::assert_eq;
use systemd_unit_syntax::parse;

on_both_hosts!(profiles_of_python_nixos_nspawn);

/// The directory of the profiles' files on the host.
const FILES: &str = "/root/reference";

/// Builds the stand-in system that serves `page`. Returns its path in the store.
fn system(host: &Host, page: &str) -> String {
    host.own(&serde_json::json!({"peer": {"page": page}}));
    let built = host.ok(&[
        "nix",
        "build",
        "--no-link",
        "--print-out-paths",
        &format!("{FLAKE}#nixosContainers.peer"),
    ]);
    let init = host.ok(&["readlink", "-f", &format!("{}/init", built.trim())]);
    init.trim().trim_end_matches("/init").to_owned()
}

/// Builds the profile of a case around a system. Returns its path in the store.
fn profile(host: &Host, case: &str, toplevel: &str) -> String {
    let files = format!("{FILES}/{case}");
    let built = host.ok(&[
        "nix",
        "build",
        "--no-link",
        "--print-out-paths",
        "--file",
        "/root/peer.nix",
        "--argstr",
        "name",
        "nixos-nspawn-profile",
        "--argstr",
        "files",
        &files,
        "--argstr",
        "toplevel",
        toplevel,
    ]);
    built.trim().to_owned()
}

/// Returns the name under which a case's container is created: its own in one case, another in all others.
fn name(case: &Case) -> &str {
    if case.name == "empty" { &case.container } else { &case.name }
}

fn profiles_of_python_nixos_nspawn(host: &Host) {
    host.install(bins());
    surroundings(host);
    let one = system(host, "one\n");
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.dir.join("data.json").exists()).collect();
    let mut names = Vec::new();
    for case in &cases {
        for entry in std::fs::read_dir(&case.dir).expect("readable").flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_file() && !["input.json", "host-checks.json"].contains(&file.as_str()) {
                host.copy_in(&entry.path(), &format!("{FILES}/{}/{file}", case.name), 0o644);
            }
        }
        let built = profile(host, &case.name, &one);
        let arguments = ["create", name(case), "--profile", &built, "--no-start"];
        let created = host.ctl_ok(&arguments);
        // The name in its files makes no difference, and nothing is created under that name.
        assert!(!created.stderr.contains("warning"), "{created}");
        assert!(!host.exists("/var/lib/machines/demo"), "{created}");
        names.push(name(case));
    }
    assert!(names.len() >= 10, "{names:?}");
    let units: Vec<String> = names.iter().map(|name| unit(name)).collect();
    let start = ["systemctl", "start"].into_iter().chain(units.iter().map(String::as_str));
    host.ok(&start.collect::<Vec<_>>());

    for case in cases.iter().filter(|case| names.contains(&name(case))) {
        let name = name(case);
        assert_eq!(host.state(name), "active", "{name}");
        host.assert_agreed(name);
        let listed = host.listed(name).unwrap_or_else(|| panic!("{name} is not listed"));
        let expected =
            serde_json::json!({"is_imperative": true, "error": null, "warnings": [], "state": "active"});
        for (key, value) in expected.as_object().expect("an object") {
            assert_eq!(&listed[key], value, "{listed}");
        }
        // The generator's file is compared, since the copy that nspawn reads names the places at which --prepare has
        // mounted the bind sources.
        let text = host.file(&format!("/run/systemd/generator/nixos-nspawn/{name}.nspawn"));
        let ours = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}")).file;
        let theirs = unit_file(&case.dir.join(format!("{}.nspawn", case.container)));
        let [mut ours, mut theirs] = [in_force(&ours), in_force(&theirs)];
        // The system is the stand-in, not the one of the case.
        theirs.remove("[Exec] Parameters").expect("an init");
        let init = ours.remove("[Exec] Parameters").expect("an init");
        assert_eq!(init, [format!("{one}/init")], "{name}");
        // The container also starts on a host without a persistent journal
        // (docs/decisions/reference-differences.md).
        if theirs.get("[Exec] LinkJournal").is_some_and(|value| value == &["guest"]) {
            theirs.insert("[Exec] LinkJournal".to_owned(), vec!["try-guest".to_owned()]);
        }
        assert_eq!(ours, theirs, "{name}");
    }
    seen_from_outside(host);
    seen_from_inside(host);
    update_and_rollback(host, &one);
}

/// Makes what the containers' options need on the host.
fn surroundings(host: &Host) {
    host.copy_in(
        &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("host/peer.nix"),
        "/root/peer.nix",
        0o644,
    );
    for (path, text) in [
        ("/var/lib/host/path/file", "from the host"),
        ("/srv/data/file", "data"),
        ("/run/keys/token", "t0ken"),
        ("/etc/tls/key.pem", "k3y"),
    ] {
        host.write(path, text, 0o600);
    }
    // A reload script runs on the host.
    let script = "#!/bin/sh\necho reloaded >> /run/reloaded\n";
    host.write("/run/current-system/sw/bin/true", script, 0o755);
    host.sh("ip link add eth0 type veth peer name eth0-peer && ip link set eth0 up
        ip link add br0 type bridge && ip link set br0 up");
}

fn seen_from_outside(host: &Host) {
    assert_eq!(host.property("timeout", "TimeoutStartUSec"), "5min");
    assert_eq!(host.property("foo", "TimeoutStartUSec"), "1min 30s");
    assert!(host.ok(&["ip", "link", "show", "master", "vz-web"]).contains("vb-zone"));
    // A port of the host, used from outside.
    host.address("forward-ports");
    host.sh("ip netns add outside
        ip link add out0 type veth peer name eth1 netns outside
        ip addr add 10.250.0.1/24 dev out0
        ip link set out0 up
        ip -n outside addr add 10.250.0.2/24 dev eth1
        ip -n outside link set eth1 up");
    host.wait_until("the forwarded port answers", || {
        let ask = "exec ip netns exec outside curl --silent --max-time 3 http://10.250.0.1:8080/";
        host.run(&["sh", "-c", ask]).stdout == "one\n"
    });
    // The host's ends of links, as configured by *.network files of the profile or by options.
    for (interface, address) in [("ve-host-network", "10.42.42.1/24"), ("ve-docs-example", "fd12::")] {
        host.wait_until(&format!("{interface} has {address}"), || {
            let output = host.run(&["ip", "-o", "addr", "show", "dev", interface]);
            output.stdout.contains(address)
        });
    }
    let rules = host.ok(&["nft", "list", "ruleset"]);
    for port in ["6 . 2222", "17 . 53"] {
        assert!(rules.contains(port), "{port} is not in {rules}");
    }
    host.ok(&["systemctl", "reload", &unit("activation-reload")]);
    assert_eq!(host.file("/run/reloaded"), "reloaded\n");
}

fn seen_from_inside(host: &Host) {
    let file = |name: &str, path: &str| host.inside(name, &["cat", path]);
    assert_eq!(file("bind-mounts", "/var/lib/container/path/file"), "from the host");
    assert_eq!(file("bind-mounts", "/data/file"), "data");
    host.inside("bind-mounts", &["touch", "/srv/only-host/mine"]);
    assert!(host.exists("/srv/only-host/mine"));
    assert_eq!(file("credentials", "/run/host/credentials/token"), "t0ken");
    assert_eq!(file("credentials", "/run/host/credentials/tls"), "k3y");
    let shifted = |name: &str| {
        let map = file(name, "/proc/self/uid_map");
        map.split_whitespace().nth(1).map(str::to_owned).unwrap_or_default() != "0"
    };
    let namespaces = ["foo", "zone", "user-namespacing", "direct-nspawn"].map(shifted);
    assert_eq!(namespaces, [false, false, true, true]);
    // Set in systemd.nspawn directly: only its own interface.
    let links = host.inside("direct-nspawn", &["ip", "-o", "link"]);
    assert!(links.contains("mv-eth0") && !links.contains("host0"), "{links}");
    host.inside("ephemeral", &["touch", "/var/mark"]);
    host.ok(&["systemctl", "restart", &unit("ephemeral")]);
    assert!(!host.run_inside("ephemeral", &["test", "-e", "/var/mark"]).success());
    host.address("foo");
    assert_eq!(host.page_of("foo"), "one\n");
}

fn update_and_rollback(host: &Host, one: &str) {
    let two = system(host, "two\n");
    let page = |name: &str| host.system_page(name);
    // Its default strategy is to restart, although a reload would be enough here.
    let nspawn = host.nspawn("foo");
    let built = profile(host, "empty", &two);
    let updated = host.ctl_ok(&["update", "foo", "--profile", &built]);
    assert!(updated.stdout.contains("container 'foo': generation 1 -> 2, restarted"), "{updated}");
    assert_eq!(page("foo"), "two\n");
    assert_ne!(host.nspawn("foo"), nspawn);
    let again = host.ctl_ok(&["update", "foo"]);
    assert!(again.stdout.contains("up to date"), "{again}");
    let back = host.ctl_ok(&["rollback", "foo"]);
    assert!(back.stdout.contains("container 'foo': generation 2 -> 1, restarted"), "{back}");
    assert_eq!(page("foo"), "one\n");

    // Settings belong to a generation: here, the new one is the profile of another case.
    let built = profile(host, "user-namespacing", &two);
    host.ctl_ok(&["update", "timeout", "--profile", &built]);
    host.assert_agreed("timeout");
    assert_eq!(host.property("timeout", "TimeoutStartUSec"), "1min 30s");
    assert!(host.inside("timeout", &["cat", "/proc/self/uid_map"]).contains("65536"));
    host.ctl_ok(&["rollback", "timeout", "--allow-host-changes"]);
    host.assert_agreed("timeout");
    assert_eq!(host.property("timeout", "TimeoutStartUSec"), "5min");
    assert_eq!(host.intent("timeout")["toplevel"], one);

    // The reload script of the profile, on the host.
    let built = profile(host, "activation-reload", &two);
    let updated = host.ctl_ok(&["update", "activation-reload", "--profile", &built]);
    assert!(updated.stdout.contains("generation 1 -> 2, reloaded"), "{updated}");
    assert_eq!(host.file("/run/reloaded"), "reloaded\nreloaded\n");
    for name in ["foo", "timeout", "activation-reload"] {
        host.ctl_ok(&["remove", name, "--delete-state"]);
    }
}
