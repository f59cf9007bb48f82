//! The administrator's own layer over the options of a build, on a real systemd.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, dynamic};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::json;

on_both_hosts!(one_attribute_serves_two_containers, mistakes_change_nothing);

/// Sets the flake's container, which forwards a port and has a limit.
fn build(host: &Host, page: &str) {
    let mut settings = dynamic(page);
    settings["container"]["forwardPorts"] = json!(["8080:80"]);
    settings["container"]["memoryMax"] = json!("64M");
    settings["container"]["environment"] = json!({"A": "build", "B": "build"});
    host.own(&json!({ "web": settings }));
}

/// Returns a file that the generator wrote.
fn generated(host: &Host, file: &str) -> String {
    host.file(&format!("/run/systemd/{file}"))
}

fn install(host: &Host) {
    host.install(bins());
    build(host, "one\n");
    host.ctl_ok(&["create", "web", "--flake", FLAKE]);
    host.sh("mkdir /srv/pages; echo pages > /srv/pages/index");
}

fn one_attribute_serves_two_containers(host: &Host) {
    install(host);
    let second = format!("{FLAKE}#web");
    // The port that it forwards belongs to the first.
    let refused = host.ctl(&["create", "web2", "--flake", &second, "--no-start"]);
    assert_ne!(refused.code(), 0, "{refused}");
    let options = "--port 8082:80 --memory-max 128M --env A=host --env C=host --bind-ro pages:/pages --set tasksMax=100";
    host.sh(&format!("cd /srv && nixos-nspawn create web2 --flake {second} {options}"));
    let check = |system: &str| {
        assert_eq!(host.system_page("web2"), system);
        let nspawn = generated(host, "nspawn/web2.nspawn");
        for line in ["Environment=A=host", "Environment=B=build", "Environment=C=host"] {
            assert!(nspawn.lines().any(|one| one == line), "{line}: {nspawn}");
        }
        assert!(!nspawn.contains("8080"), "{nspawn}");
        assert!(host.intent("web2")["container"]["forwardPorts"][0].to_string().contains("8082"));
        assert_eq!(host.property("web2", "MemoryMax"), (128 << 20).to_string());
        assert_eq!(host.property("web2", "TasksMax"), "100");
        assert_eq!(host.inside("web2", &["cat", "/pages/index"]), "pages\n");
        assert!(!host.run_inside("web2", &["touch", "/pages/index"]).success());
    };
    check("one\n");
    assert_eq!(host.intent("web").get("overrides"), None);
    let overrides = json!({
        "set": {
            "environment.A": "host",
            "environment.C": "host",
            "forwardPorts": ["8082:80"],
            "memoryMax": "128M",
            "tasksMax": 100,
        },
        "add": {"bindMounts": [{"source": "/srv/pages", "destination": "/pages", "readOnly": true}]},
    });
    assert_eq!(host.intent("web2")["overrides"], overrides);

    // Updates and rollbacks keep it.
    build(host, "two\n");
    host.ctl_ok(&["update", "--all"]);
    check("two\n");
    host.ctl_ok(&["rollback", "web2"]);
    check("one\n");
    assert_eq!(host.intent("web2")["overrides"], overrides);
    host.ctl_ok(&["update", "web2"]);

    // It is shown apart.
    let shown = host.ctl_ok(&["show", "web2"]).stdout;
    assert!(shown.contains("  Overrides: environment.A = host\n"), "{shown}");
    assert!(shown.contains("             memoryMax = 128M\n"), "{shown}");
    let difference = host.ctl_ok(&["diff", "web2"]).stdout;
    assert!(difference.contains("set on this host, over both:\nenvironment.A = host\n"), "{difference}");
    assert!(!difference.contains("+memoryMax"), "{difference}");
    let plan = host.ctl_ok(&["plan", "web2", "--unset", "memoryMax", "--unset", "environment"]).stdout;
    assert!(plan.contains("-memoryMax = 128M\n+memoryMax = 64M\n"), "{plan}");
    assert!(plan.contains("set on this host: tasksMax = 100\n"), "{plan}");
    assert!(!plan.contains("set on this host: memoryMax"), "{plan}");

    // And given back to the build.
    let leader = host.nspawn("web2");
    host.ctl_ok(&["update", "web2", "--unset", "memoryMax", "--unset", "environment"]);
    assert_ne!(host.nspawn("web2"), leader, "a limit takes effect by a restart");
    assert_eq!(host.property("web2", "MemoryMax"), (64 << 20).to_string());
    assert!(generated(host, "nspawn/web2.nspawn").contains("Environment=A=build"));
    // What the build says already changes nothing but the record.
    let leader = host.nspawn("web2");
    let output = host.ctl_ok(&["update", "web2", "--memory-max", "64M"]);
    assert!(output.stdout.contains("up to date"), "{output}");
    assert_eq!(host.nspawn("web2"), leader);
    assert_eq!(host.intent("web2")["overrides"]["set"]["memoryMax"], "64M");
    host.assert_agreed("web2");
    // The next build may say something else.
    build(host, "three\n");
    host.ctl_ok(&["update", "web2"]);
    assert_eq!(host.intent("web2")["overrides"]["set"]["memoryMax"], "64M");
    host.reboot();
    host.wait_state("web2", "active");
    assert_eq!(host.property("web2", "TasksMax"), "100");
}

fn mistakes_change_nothing(host: &Host) {
    install(host);
    let before = (host.recorded("web"), host.nspawn("web"));
    for (options, code, why) in [
        (&["--set", "network=host"][..], 2, "'network' also changes the system inside"),
        (&["--set", "memoryMaxx=1G"], 2, "did you mean 'memoryMax'?"),
        (&["--set", "memoryMax"], 2, "expected NAME=VALUE"),
        (&["--memory-max", "much"], 2, "memoryMax"),
        (&["--port", "99999:80"], 2, "forwardPorts"),
        (&["--bind", "/srv/pages:/pages:ro"], 2, "'ro' is not an option"),
        (&["--set", "tasksMax+=1"], 2, "is not a list"),
        (&["--unset", "zone"], 2, "'zone' is not overridden, and nothing else is"),
        (&["--bind", "/etc"], 10, "--allow-host-changes"),
        (&["--set", "bindMounts=/srv/none/../x"], 2, "bindMounts"),
    ] {
        for command in ["update", "plan"] {
            if command == "plan" && code != 2 {
                continue;
            }
            let output = host.ctl(&[&[command, "web"], options].concat());
            assert_eq!(output.code(), code, "{output}");
            assert!(output.stderr.contains(why), "{output}");
            assert!(code == 10 || output.stderr.lines().count() < 12, "{output}");
            assert_eq!((host.recorded("web"), host.nspawn("web")), before, "{output}");
        }
    }
    let all = host.ctl(&["update", "--all", "--memory-max", "1G"]);
    assert_eq!(all.code(), 2, "{all}");
    let created =
        host.ctl(&["create", "new", "--flake", &format!("{FLAKE}#web"), "--set", "userNamespacing=no"]);
    assert_eq!(created.code(), 2, "{created}");
    assert!(!host.exists("/etc/nixos-nspawn/new.json"));
    assert!(!host.exists("/nix/var/nix/profiles/per-nspawn/new"));
}
