//! A container's whole life on a real systemd: create, start, stop, reboot, enable, disable, remove.

use nixos_nspawn_tests::host::{FLAKE, Host, NIXPKGS, bins, unit};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::{Value, json};

on_both_hosts!(
    create_and_remove,
    reboot_restores,
    enable_and_disable,
    failed_create_leaves_nothing,
    other_ways_to_create,
    setup_installs_and_removes,
    state_is_deleted_when_asked,
);

/// Returns the recorded path of a container's system.
fn intent(host: &Host, name: &str) -> Value {
    serde_json::from_str(&host.file(&format!("/etc/nixos-nspawn/{name}.json"))).expect("JSON")
}

fn create_and_remove(host: &Host) {
    host.install(bins());
    // Some of the directories that all containers share appear with the first one.
    host.create("off");
    let before = host.traces();

    let created = host.ctl_ok(&["create", "web", "--flake", FLAKE]);
    assert_eq!(host.state("web"), "active", "{created}");
    assert_eq!(host.page_of("web"), "Hello from web.\n");

    // The recorded system runs, and the profile leads to it.
    let intent = intent(host, "web");
    let toplevel = intent["toplevel"].as_str().expect("toplevel").to_owned();
    assert!(toplevel.starts_with("/nix/store/"), "{toplevel}");
    assert_eq!(host.inside("web", &["readlink", "/run/current-system"]).trim(), toplevel);
    let profile = "/nix/var/nix/profiles/per-nspawn/web/system";
    assert_eq!(host.ok(&["readlink", "-f", &format!("{profile}/init")]).trim(), format!("{toplevel}/init"));
    host.ok(&["test", "-e", "/run/systemd/nspawn/web.nspawn"]);

    let listed = host.listed("web").expect("web is listed");
    assert_eq!(listed["is_imperative"], true, "{listed}");
    assert!(listed["unit_file"].is_string(), "{listed}");
    assert!(host.ctl_ok(&["show", "web"]).stdout.contains(&toplevel));
    assert!(host.ok(&["machinectl", "list"]).contains("web"));
    // Root reads the addresses in the kernel's tables, others ask machined; both know the same.
    let (address, rows) = (host.address("web"), host.ctl_ok(&["list", "w*"]).stdout);
    let row: Vec<&str> = rows.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!((row[0], row[1], row[2]), ("web", "active", address.as_str()), "{rows}");
    assert!(row.iter().any(|word| word.ends_with('s') || word.ends_with("min")), "no uptime: {rows}");
    assert_eq!(
        listed_addresses(host, &[]),
        listed_addresses(host, &["setpriv", "--reuid=nobody", "--clear-groups"])
    );

    // Nobody else can hold its lock, or keep a command waiting.
    let hold = ["setpriv", "--reuid=nobody", "--clear-groups", "flock", "/run/nixos-nspawn/web.lock", "true"];
    let held = host.run(&hold);
    assert!(!held.success() && held.stderr.contains("Permission denied"), "{held}");

    // The name is taken, and a second `create` changes nothing.
    let again = host.ctl(&["create", "web", "--flake", FLAKE]);
    assert!(!again.success() && again.stderr.contains("web"), "{again}");
    assert_eq!(host.state("web"), "active");

    // systemd starts and stops it.
    let leader = host.property("web", "MainPID");
    host.ok(&["systemctl", "restart", &unit("web")]);
    assert_ne!(host.property("web", "MainPID"), leader);
    host.ok(&["systemctl", "stop", &unit("web")]);
    assert_eq!(
        (host.state("web").as_str(), host.property("web", "Result").as_str()),
        ("inactive", "success")
    );
    assert!(
        !host.exists("/run/systemd/nspawn/web.nspawn"),
        "the copy is taken away when the container stops"
    );
    host.ok(&["systemctl", "start", &unit("web")]);
    assert_eq!(host.page_of("web"), "Hello from web.\n");
    // It can reboot itself: nspawn's exit status 133 makes systemd start it again.
    host.ok(&["machinectl", "reboot", "web"]);
    host.wait_until("web is back after its own reboot", || host.property("web", "NRestarts") == "1");
    host.wait_state("web", "active");
    assert_eq!(host.page_of("web"), "Hello from web.\n");

    host.ctl_ok(&["remove", "web"]);
    assert!(host.exists("/var/lib/machines/web"), "the state stays unless asked");
    // nspawn's lock file beside it and the link to its journal stay as well.
    host.sh("id=$(cat /var/lib/machines/web/etc/machine-id) && rm -f /var/log/journal/$id /var/lib/machines/.#web.lck");
    host.ok(&["rm", "-rf", "/var/lib/machines/web"]);
    host.assert_no_traces_since(&before);
    assert_eq!(host.property("web", "LoadState"), "loaded", "the bare template of systemd is still there");
    assert!(host.listed("web").is_none());
    // Nothing holds the system in the store any more.
    host.ok(&["nix-store", "--gc"]);
    assert!(!host.exists(&toplevel), "{toplevel} is garbage now");

    // Scripts can repeat the command.
    let again = host.ctl_ok(&["remove", "web"]);
    assert!(again.text().contains("web"), "{again}");
}

fn reboot_restores(host: &Host) {
    host.install(bins());
    host.create("web");
    host.create("off");
    host.inside("web", &["sh", "-c", "echo kept > /var/kept"]);
    host.ok(&["systemctl", "stop", &unit("off")]);
    let toplevel = intent(host, "web")["toplevel"].clone();

    assert_eq!(host.reboot(), "running");
    assert_eq!(host.state("web"), "active");
    assert_eq!(host.state("off"), "inactive");
    assert_eq!(host.inside("web", &["cat", "/var/kept"]), "kept\n");
    assert_eq!(host.page_of("web"), "Hello from web.\n");
    assert_eq!(host.inside("web", &["readlink", "/run/current-system"]).trim(), toplevel);

    // The same after a power cut: nothing that the start needs is lost, and nothing blocks it.
    assert_eq!(host.power_cut(), "running");
    assert_eq!(host.state("web"), "active");
    assert_eq!(host.inside("web", &["cat", "/var/kept"]), "kept\n");
}

fn enable_and_disable(host: &Host) {
    host.install(bins());
    host.create("web");
    host.create("off");
    host.ctl_ok(&["disable", "web"]);
    host.ctl_ok(&["enable", "off"]);
    // Neither command starts or stops anything now.
    assert_eq!(host.state("web"), "active");
    // `systemctl disable` cannot undo a generated link.
    host.run(&["systemctl", "disable", &unit("off")]);

    assert_eq!(host.reboot(), "running");
    assert_eq!(host.state("web"), "inactive");
    assert_eq!(host.state("off"), "active");

    host.ctl_ok(&["enable", "web"]);
    host.ctl_ok(&["disable", "off"]);
    host.ok(&["systemctl", "stop", &unit("off")]);
    let planned = host.ctl_ok(&["autostart", "--dry-run", "--json"]).stdout;
    assert!(planned.contains("web") && !planned.contains("off"), "{planned}");
    assert_eq!(host.state("web"), "inactive", "a dry run starts nothing");
    host.ctl_ok(&["autostart"]);
    assert_eq!(host.state("web"), "active");
    assert_eq!(host.state("off"), "inactive");

    // With --now, they start and stop at once.
    let planned = host.ctl_ok(&["enable", "--now", "--dry-run", "off"]).stdout;
    assert_eq!(planned, "container 'off' would start with the host, and would be started\n");
    assert_eq!(host.state("off"), "inactive");
    let on = host.ctl_ok(&["enable", "--now", "off", "web", "--json"]).stdout;
    let on: Value = serde_json::from_str(&on).expect("JSON");
    assert_eq!((&on[0]["started"], &on[1]["started"]), (&json!(true), &json!(false)), "{on}");
    assert_eq!(host.state("off"), "active");
    let off = host.ctl_ok(&["disable", "--now", "off"]).stdout;
    assert_eq!(off, "container 'off' no longer starts with the host, and was stopped\n");
    assert_eq!(host.state("off"), "inactive");

    // All are removed, the running ones as well.
    let planned = host.ctl_ok(&["remove", "--all", "--dry-run"]).stdout;
    assert!(planned.contains("would stop container 'web'") && planned.contains("off.json"), "{planned}");
    assert_eq!(host.state("web"), "active");
    host.ctl_ok(&["remove", "--all"]);
    assert_eq!((host.state("web").as_str(), host.ctl_ok(&["list", "-q"]).stdout.as_str()), ("inactive", ""));
    assert!(host.exists("/var/lib/machines/web"), "the state stays");
}

fn failed_create_leaves_nothing(host: &Host) {
    host.install(bins());
    host.create("web");
    let before = host.traces();

    // If the container does not start, the reason from its own journal is shown.
    for (name, word) in [("broken", "gives up"), ("never-ready", "dawdles")] {
        let failed = host.ctl(&["create", name, "--flake", FLAKE]);
        assert!(!failed.success(), "{failed}");
        assert!(failed.stderr.contains(word), "the journal of {name} is not shown: {failed}");
        host.assert_no_traces_since(&before);
        assert_ne!(host.state(name), "active");
        assert!(host.listed(name).is_none());
    }
    assert!(!host.ok(&["systemctl", "list-units", "--failed", "--no-legend"]).contains("broken"));

    // If there is no such container, the existing ones are named.
    let failed = host.ctl(&["create", "nothing", "--flake", FLAKE]);
    assert!(!failed.success() && failed.stderr.contains("never-ready"), "{failed}");
    host.assert_no_traces_since(&before);

    // If the build fails, Nix says why.
    host.own(&json!({"unbuildable": {"page": 1}}));
    let failed = host.ctl(&["create", "unbuildable", "--flake", FLAKE]);
    assert!(!failed.success() && failed.stderr.contains("error:"), "{failed}");
    host.assert_no_traces_since(&before);

    // With invalid options, nothing is started.
    let own = r#"{"refused": {"container": {"bindMounts": ["relative"]}}}"#;
    host.own_text(own);
    let failed = host.ctl(&["create", "refused", "--flake", FLAKE]);
    assert!(!failed.success() && failed.stderr.contains("relative"), "{failed}");
    host.assert_no_traces_since(&before);

    // Invalid names, and names taken by somebody else.
    host.write("/etc/systemd/nspawn/foreign.nspawn", "[Exec]\nBoot=yes\n", 0o644);
    host.ok(&["mkdir", "-p", "/var/lib/machines/foreign/usr"]);
    let before = host.traces();
    let long = "a".repeat(65);
    for name in ["with_underscore", "a/b", "..", ".host", "x.raw", &long, "foreign"] {
        let failed = host.ctl(&["create", name, "--flake", &format!("{FLAKE}#web")]);
        assert!(!failed.success(), "{failed}");
        assert!(failed.stderr.contains(name), "{failed}");
        host.assert_no_traces_since(&before);
    }
}

fn other_ways_to_create(host: &Host) {
    host.install(bins());
    // The layout with a system in between, by another name, and by the whole attribute.
    let documented = ["--", "--option", "sandbox", "false"];
    host.ctl_ok(&[&["create", "web", "--flake", "/root/example", "--no-start"], &documented[..]].concat());
    assert_eq!(host.state("web"), "inactive");
    host.ctl_ok(&["create", "other", "--flake", &format!("{FLAKE}#web")]);
    assert_eq!(host.page_of("other"), "Hello from web.\n");
    host.ctl_ok(&["create", "third", "--flake", &format!("{FLAKE}#nixosContainers.web")]);
    assert_eq!(host.state("third"), "active");

    // An existing build, by its path in the store.
    let built =
        host.ok(&["nix", "build", "--no-link", "--print-out-paths", &format!("{FLAKE}#nixosContainers.web")]);
    host.ctl_ok(&["create", "built", "--profile", built.trim()]);
    assert_eq!(host.state("built"), "active");
    // Any system made for containers works, with or without options: here it is the toplevel alone.
    let init = host.ok(&["readlink", "-f", &format!("{}/init", built.trim())]);
    host.ctl_ok(&["create", "bare", "--profile", init.trim().trim_end_matches("/init")]);
    assert_eq!(host.state("bare"), "active");
    let failed = host.ctl(&["create", "nowhere", "--profile", "/nix/store/nothing-here"]);
    assert!(!failed.success() && failed.stderr.contains("/nix/store/nothing-here"), "{failed}");

    // A dry run changes nothing.
    let before = host.traces();
    host.ctl_ok(&["create", "dry", "--flake", &format!("{FLAKE}#web"), "--dry-run"]);
    host.assert_no_traces_since(&before);

    // Nix gets its arguments.
    let failed = host.ctl(&["create", "args", "--flake", &format!("{FLAKE}#web"), "--", "--no-such-option"]);
    assert!(!failed.success() && failed.stderr.contains("no-such-option"), "{failed}");
}

fn setup_installs_and_removes(host: &Host) {
    // As with `nix run`: the programs are in one directory, nothing is installed.
    host.install_flakes();
    host.copy_in(&bins().ctl, "/opt/bin/nixos-nspawn", 0o755);
    host.copy_in(&bins().generator, "/opt/bin/nixos-nspawn-generator", 0o755);
    let ctl = |arguments: &[&str]| host.run(&[&["/opt/bin/nixos-nspawn"], arguments].concat());

    let before = host.traces();
    let refused = ctl(&["create", "web", "--flake", FLAKE]);
    assert!(!refused.success() && refused.stderr.contains("setup"), "{refused}");
    host.assert_no_traces_since(&before);

    let setup = ctl(&["setup"]);
    assert!(setup.success(), "{setup}");
    let generator = "/etc/systemd/system-generators/nixos-nspawn-generator";
    assert!(host.ok(&["stat", "-c", "%F %a", generator]).starts_with("regular file 755"));
    let created = ctl(&["create", "web", "--flake", FLAKE]);
    assert!(created.success(), "{created}{}", host.journal(40));
    // Configuration files are built with the Nix files from the program.
    host.install_nixpkgs();
    host.write("/root/plain.nix", "{ system.stateVersion = \"26.05\"; }\n", 0o644);
    let files = "/usr/local/share/nixos-nspawn";
    assert!(host.exists(&format!("{files}/nix/eval-config.nix")));
    let plain = ctl(&["create", "plain", "--config", "/root/plain.nix", "--nixpkgs", NIXPKGS, "--no-start"]);
    assert!(plain.success(), "{plain}");
    // The copies work without the originals.
    host.ok(&["mv", "/opt/bin", "/opt/elsewhere"]);
    assert_eq!(host.reboot(), "running");
    assert_eq!(host.state("web"), "active");

    host.ok(&["mv", "/opt/elsewhere", "/opt/bin"]);
    // A running container with a broken intent, and one that a connection would start, must stop as well.
    let port = json!({"forwardPorts": [{"hostPort": 9090, "containerPort": 80, "startOnConnect": true}]});
    host.own(&json!({"lazy": {"container": port}, "torn": {}}));
    for name in ["lazy", "torn"] {
        let created = ctl(&["create", name, "--flake", FLAKE]);
        assert!(created.success(), "{created}");
    }
    host.ok(&["systemctl", "stop", &unit("lazy")]);
    host.write("/etc/nixos-nspawn/torn.json", "{", 0o644);
    assert!(host.sh("ss -ltn").contains(":9090 "));
    let removed = ctl(&["setup", "--remove"]);
    assert!(removed.success(), "{removed}");
    assert!(!host.exists(generator));
    assert!(!host.exists(files) && !host.exists("/usr/local/libexec/nixos-nspawn"), "{removed}");
    assert!(host.exists("/etc/nixos-nspawn/web.json"), "records stay");
    for name in ["web", "torn"] {
        assert_eq!(host.state(name), "inactive", "{name}: {removed}");
        assert!(!host.exists(&format!("/run/systemd/nspawn/{name}.nspawn")), "{name}: {removed}");
    }
    assert!(!host.sh("ss -ltn").contains(":9090 "), "{removed}");
    assert!(!host.exists("/run/systemd/generator/machines.target.wants"));
}

fn state_is_deleted_when_asked(host: &Host) {
    host.install(bins());
    host.create("web");
    let before = host.traces();
    host.create("off");
    // Files as in NixOS, and those left by nspawn, journald and an administrator.
    host.sh("mkdir -p /var/lib/machines/off/var/empty && chattr +i /var/lib/machines/off/var/empty");
    host.sh("mkdir -p /srv/precious /var/lib/machines/off/mounted && touch /srv/precious/file");
    host.sh("mount --bind /srv/precious /var/lib/machines/off/mounted");
    host.run(&["systemctl", "enable", &unit("off")]);
    host.sh("ln -s /srv/precious /var/lib/machines/off/link");

    let refused = host.ctl(&["remove", "off", "--delete-state"]);
    assert!(!refused.success() && refused.stderr.contains("mount"), "a mount is never crossed: {refused}");
    assert!(host.exists("/srv/precious/file"));
    host.ok(&["umount", "/var/lib/machines/off/mounted"]);

    host.ctl_ok(&["remove", "off", "--delete-state"]);
    host.assert_no_traces_since(&before);
    assert!(host.exists("/srv/precious/file"), "a link in the container's root is not followed");
}

/// Returns the addresses of `web` in `list`, which a user runs.
fn listed_addresses(host: &Host, user: &[&str]) -> Vec<String> {
    let output = host.ok(&[user, &["nixos-nspawn", "list", "web", "--json"]].concat());
    let answer: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    let mut all: Vec<String> = serde_json::from_value(answer[0]["addresses"].clone()).expect("addresses");
    // machined leaves out those of the link while they are tentative.
    all.retain(|address| !address.starts_with("fe80:"));
    all.sort();
    all
}
