//! Killed rollbacks, by a user and by a failed update.

use nixos_nspawn_tests::host::{Host, dynamic};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::json;

use super::{PLACES, assert_half, flake, killed, settle, stoppable};

on_both_hosts!(killed_rollbacks, killed_on_the_way_back, killed_while_reloaded_back);

fn killed_rollbacks(host: &Host) {
    host.install(stoppable());
    host.create("stopped");
    host.own(&flake(["web"], "one\n", "restart"));
    host.create("web");
    host.own(&flake(["web"], "two\n", "restart"));
    host.ctl_ok(&["update", "web"]);
    let before = host.recorded("web");
    for place in PLACES {
        killed(host, place, &["rollback", "web"]);
        assert_half(host, "web", "half updated");
        let settled = settle(host);
        host.assert_agreed("web");
        assert_eq!(host.state("web"), "active", "{place}: {settled}");
        if ["activated", "passed"].contains(&place) {
            assert_eq!(
                (host.system_page("web").as_str(), host.generation("web")),
                ("one\n", 1),
                "{place}: {settled}"
            );
            host.ctl_ok(&["rollback", "web", "--to", "2"]);
        }
        assert_eq!(host.recorded("web"), before, "{place}: {settled}");
    }

    // The same command again succeeds.
    killed(host, "intent", &["rollback", "web"]);
    host.ctl_ok(&["rollback", "web"]);
    host.assert_agreed("web");
    assert_eq!((host.system_page("web").as_str(), host.generation("web")), ("one\n", 1));

    // Killed while systemd stops the container for a restart, which is not one of our steps but takes longest.
    host.sh("mkdir -p /run/systemd/system/systemd-nspawn@web.service.d && printf '[Service]\\nExecStop=/bin/sleep 3\\n' > /run/systemd/system/systemd-nspawn@web.service.d/slow.conf");
    host.ok(&["systemctl", "daemon-reload"]);
    let before = host.recorded("web");
    host.ok(&["sh", "-euc", "nixos-nspawn update web > /dev/null 2>&1 & echo $! > /run/pid"]);
    host.wait_state("web", "deactivating");
    host.sh("kill -KILL $(cat /run/pid)");
    host.wait_until("web is down", || host.state("web") != "deactivating");
    let settled = settle(host);
    host.assert_agreed("web");
    assert_eq!(host.recorded("web"), before, "{settled}");
    assert_eq!(host.state("web"), "active", "the old one is started: {settled}");
}

/// An update that fails and is killed while it is undone: ports, the host's network and the units that require the
/// container are restored as well.
fn killed_on_the_way_back(host: &Host) {
    const NETWORK: &str = "/run/systemd/network/50-nixos-nspawn-web.network";
    host.install(stoppable());
    host.create("stopped");
    let web = |page: &str, ports: &[&str], mtu: u16| {
        let mut settings = dynamic(page);
        settings["container"]["activation"]["strategy"] = json!("restart");
        settings["container"]["forwardPorts"] = json!(ports);
        settings["container"]["hostNetworkConfig"] = json!({"linkConfig": {"MTUBytes": mtu}});
        host.own(&json!({ "web": settings }));
    };
    web("old\n", &["127.0.0.1:8080:80"], 1400);
    host.create("web");
    host.write(
        "/run/systemd/system/needs-web.service",
        "[Unit]\nRequires=systemd-nspawn@web.service\nAfter=systemd-nspawn@web.service\n\
         [Service]\nExecStart=/bin/sleep infinity\n",
        0o644,
    );
    host.sh("systemctl daemon-reload; systemctl start needs-web");
    let (recorded, network) = (host.recorded("web"), host.file(NETWORK));
    let fails = ["update", "web", "--allow-host-changes", "--check", "false", "--timeout", "6s"];
    for place in ["back-intent", "back-reload", "back-stopped"] {
        web("new\n", &["127.0.0.1:8080:81", "127.0.0.1:8081:80"], 1300);
        killed(host, place, &fails);
        assert_half(host, "web", "half updated");
        let settled = settle(host);
        let at = format!("killed at {place}: {settled}");
        host.assert_agreed("web");
        assert_eq!(
            (host.state("web").as_str(), host.system_page("web").as_str()),
            ("active", "old\n"),
            "{at}"
        );
        assert_eq!((host.recorded("web"), host.file(NETWORK)), (recorded.clone(), network.clone()), "{at}");
        assert_eq!(host.ok(&["systemctl", "is-active", "needs-web"]), "active\n", "{at}");
        assert!(!host.sh("ss -ltn").contains(":8081 "), "{at}");
        assert!(!settled.stderr.contains("could not restart"), "{at}");
        // The port leads to port 80 of the container again, not to 81.
        let asked = host.run(&["curl", "--silent", "--max-time", "40", "http://127.0.0.1:8080/"]);
        assert_eq!(asked.stdout, "old\n", "{at}");
        assert!(!host.ctl_ok(&["list"]).stdout.contains("half updated"), "{at}");
    }

    // If the old generation cannot be started either, this is reported once and does not block a repair.
    killed(host, "back-stopped", &fails);
    host.write("/etc/systemd/nspawn/web.nspawn", "[Exec]\nBoot=yes\n", 0o644);
    let settled = settle(host);
    assert!(settled.stderr.contains("container 'web' did not start: it failed"), "{settled}");
    assert!(!settled.stderr.contains("needs-web"), "{settled}");
    assert_eq!((host.state("web").as_str(), host.generation("web")), ("failed", 1), "{settled}");
    host.ok(&["rm", "/etc/systemd/nspawn/web.nspawn"]);
    web("mended\n", &["127.0.0.1:8080:80"], 1400);
    let mended = host.ctl_ok(&["update", "web"]);
    let own = |line: &&str| line.starts_with("nixos-nspawn:") && !line.ends_with("'web': building");
    assert_eq!(mended.stderr.lines().find(own), None, "{mended}");
    host.assert_agreed("web");
    host.ok(&["systemctl", "start", "needs-web"]);
    assert_eq!(host.system_page("web"), "mended\n", "{mended}");
}

/// A failed reload that is killed while it is taken back by a reload: the container is restarted.
fn killed_while_reloaded_back(host: &Host) {
    host.install(stoppable());
    host.create("stopped");
    host.own(&flake(["web"], "old\n", "dynamic"));
    host.create("web");
    let (before, nspawn) = (host.recorded("web"), host.nspawn("web"));
    let mut bad = dynamic("new\n");
    bad["switch"] = json!("exit 1");
    host.own(&json!({ "web": bad }));
    killed(host, "back-reloaded", &["update", "web"]);
    assert_half(host, "web", "half updated");
    let settled = settle(host);
    host.assert_agreed("web");
    assert_eq!((host.system_page("web"), host.recorded("web")), ("old\n".to_owned(), before), "{settled}");
    assert_ne!(host.nspawn("web"), nspawn, "{settled}");
}
