//! Whether an update reloads, restarts, or does not touch the container.

use nixos_nspawn_tests::host::{Host, bins, dynamic, unit};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{PROFILES, unchanged, web, with, with_option};

on_both_hosts!(reload_restart_or_neither);

fn reload_restart_or_neither(host: &Host) {
    host.install(bins());
    web(host, &dynamic("one\n"));
    host.create("web");
    let served = |expected: &str| {
        host.assert_agreed("web");
        assert_eq!(host.page_of("web"), expected);
    };
    let updated = |settings: Value, options: &[&str]| {
        web(host, &settings);
        host.ctl_ok(&[&["update", "web"], options].concat())
    };
    let nspawn = host.nspawn("web");
    served("one\n");

    let output = updated(dynamic("two\n"), &[]);
    served("two\n");
    assert_eq!(host.nspawn("web"), nspawn, "a reload keeps the uptime: {output}");
    assert_eq!(host.generation("web"), 2);
    assert!(output.stdout.contains("1 -> 2, reloaded: only the system differs"), "{output}");

    let same = unchanged(host, 0, &["update", "web"]);
    assert!(same.stdout.contains("up to date"), "{same}");

    // More access to the host must be allowed.
    web(host, &with_option("three\n", "bindMounts", json!(["/srv/more:/srv/seen"])));
    let output = unchanged(host, 10, &["update", "web"]);
    assert!(
        output.stderr.contains("/srv/more") && output.stderr.contains("--allow-host-changes"),
        "{output}"
    );
    let output = host.ctl_ok(&["update", "web", "--allow-host-changes"]);
    served("three\n");
    host.inside("web", &["touch", "/srv/seen/mine"]);
    assert!(host.exists("/srv/more/mine"));
    assert!(output.stdout.contains("restarted: [Files] Bind= is added"), "{output}");
    assert_ne!(host.nspawn("web"), nspawn);

    let nspawn = host.nspawn("web");
    let port = json!([{"protocol": "tcp", "hostPort": 8080, "containerPort": 80}]);
    let output = updated(with_option("three\n", "forwardPorts", port), &["--allow-host-changes"]);
    served("three\n");
    assert!(output.stdout.contains("restarted: [") && output.stdout.contains("Port="), "{output}");
    assert_ne!(host.nspawn("web"), nspawn);

    // Autostart does not concern the running container.
    updated(dynamic("four\n"), &[]);
    let nspawn = host.nspawn("web");
    let off = json!({"strategy": "dynamic", "autoStart": false, "reloadScript": null});
    let output = updated(with_option("four\n", "activation", off), &[]);
    served("four\n");
    assert!(output.stdout.contains("not touched: only autostart differs"), "{output}");
    assert_eq!(host.nspawn("web"), nspawn);
    let link = format!("/run/systemd/generator/machines.target.wants/{}", unit("web"));
    assert!(!host.exists(&link));
    let output = updated(dynamic("four\n"), &[]);
    assert!(output.stdout.contains("not touched") && host.exists(&link), "{output}");
    assert_eq!(host.nspawn("web"), nspawn);

    // A reload may come with changes that the running container does not see. Nothing is left to apply.
    let off = json!({"strategy": "dynamic", "autoStart": false, "reloadScript": null});
    for (page, settings) in [("off\n", with_option("off\n", "activation", off)), ("on\n", dynamic("on\n"))] {
        let output = updated(settings, &[]);
        served(page);
        assert!(output.stdout.contains("reloaded"), "{output}");
        let status = host.ctl_ok(&["status", "web"]);
        assert!(status.stdout.contains("Restart: not due"), "{status}");
        let listed = host.ctl_ok(&["list", "web"]);
        assert!(!listed.stdout.contains("outdated"), "{listed}");
        let as_user = ["setpriv", "--reuid=65534", "--clear-groups", "nixos-nspawn", "list", "web"];
        let listed = host.ok(&as_user);
        assert!(listed.contains("active") && !listed.contains("outdated"), "{listed}");
        let activated = host.ctl_ok(&["activate", "web"]);
        assert!(activated.stdout.contains("is left as it is"), "{activated}");
        assert_eq!(host.nspawn("web"), nspawn);
    }
    // What only a restart applies is still seen.
    let mut settings = with_option("later\n", "bindMounts", json!(["/srv/more:/srv/seen"]));
    settings["container"]["activation"]["strategy"] = json!("reload");
    let output = updated(settings, &["--allow-host-changes"]);
    assert!(output.stdout.contains("reloaded"), "{output}");
    let status = host.ctl_ok(&["status", "web"]);
    assert!(status.stdout.contains("Restart: due"), "{status}");
    updated(dynamic("on\n"), &["--allow-host-changes"]);

    // Systems that cannot be switched to in place.
    for (page, key, value, why) in [
        ("five\n", "switch", json!("exit 100"), "the new system requests a restart"),
        ("six\n", "switchable", json!(false), "no bin/switch-to-configuration"),
    ] {
        let nspawn = host.nspawn("web");
        let output = updated(with(page, key, value), &[]);
        served(page);
        assert_ne!(host.nspawn("web"), nspawn, "{output}");
        assert!(output.stdout.contains("restarted: ") && output.stdout.contains(why), "{output}");
    }

    // As requested on the command line.
    let nspawn = host.nspawn("web");
    let output = updated(dynamic("seven\n"), &["--strategy", "none"]);
    assert!(output.stdout.contains("not touched: strategy 'none'"), "{output}");
    assert_eq!((host.nspawn("web"), host.system_page("web").as_str()), (nspawn, "six\n"));
    host.ok(&["systemctl", "restart", &unit("web")]);
    served("seven\n");
    let nspawn = host.nspawn("web");
    updated(dynamic("eight\n"), &["--strategy", "restart"]);
    served("eight\n");
    assert_ne!(host.nspawn("web"), nspawn);

    // A stopped container runs it after its next start.
    host.ok(&["systemctl", "stop", &unit("web")]);
    let output = updated(dynamic("nine\n"), &[]);
    assert!(output.stdout.contains("not touched: the container does not run"), "{output}");
    host.assert_agreed("web");
    assert_eq!(host.state("web"), "inactive");
    host.ok(&["systemctl", "start", &unit("web")]);
    served("nine\n");

    host.ctl_ok(&["remove", "web", "--delete-state"]);
    assert!(!host.exists(&format!("{PROFILES}/web")));
}
