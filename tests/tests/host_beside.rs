//! Containers beside other software of a host: services on ports that are to be forwarded, a firewall that removes the
//! rules of others, a journal that is not persistent.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::{Value, json};

on_both_hosts!(ports_in_use, flushed_firewall, volatile_journal);

/// Serves a page of the host on a port.
fn serve(host: &Host, address: &str) {
    host.sh(&format!(
        "mkdir -p /srv/host; echo host > /srv/host/index.html
        systemd-run --quiet busybox httpd -f -p {address} -h /srv/host"
    ));
    let port = address.rsplit(':').next().unwrap_or_default().to_owned();
    host.wait_until("the service listens", || host.sh("ss -ltn").contains(&format!(":{port} ")));
}

fn own(host: &Host, name: &str, ports: Value) {
    host.own(&json!({name: {"container": {"forwardPorts": ports}}}));
}

fn ports_in_use(host: &Host) {
    host.install(bins());
    serve(host, "8090");
    serve(host, "127.0.0.1:8091");
    let before = host.traces();
    for (ports, port) in [
        (json!(["8090:80"]), "tcp/8090"),
        (json!(["127.0.0.1:8090:80"]), "tcp/127.0.0.1:8090"),
        (json!(["127.0.0.1:8091:80"]), "tcp/127.0.0.1:8091"),
    ] {
        own(host, "front", ports);
        let refused = host.ctl(&["create", "front", "--flake", FLAKE]);
        assert_eq!(refused.status.code(), Some(10), "{refused}");
        let reason = format!("{port} is in use by busybox (process ");
        assert!(
            refused.stderr.contains(&reason) && refused.stderr.contains("--allow-taken-ports"),
            "{refused}"
        );
    }
    host.assert_no_traces_since(&before);

    // The host keeps its loopback address, the same number of another protocol is another port, and the container's own
    // sockets do not count.
    own(host, "front", json!(["8091:80", "udp:8090:53", "127.0.0.1:8092:80", "8093:80"]));
    host.create("front");
    host.address("front");
    own(host, "front", json!(["8091:80", "udp:8090:53", "127.0.0.1:8092:80", "8094:80"]));
    host.ctl_ok(&["update", "front", "--allow-host-changes"]);
    let listed = host.ctl_ok(&["list"]);
    assert!(!listed.text().contains("in use by"), "{listed}");

    // An update is refused like a create, and a service that came later is reported.
    own(host, "front", json!(["8091:80", "8090:80"]));
    let refused = host.ctl(&["update", "front", "--allow-host-changes"]);
    assert_eq!(refused.status.code(), Some(10), "{refused}");
    assert!(refused.stderr.contains("tcp/8090 is in use by busybox"), "{refused}");
    serve(host, "8094");
    let listed = host.ctl_ok(&["list"]);
    assert!(listed.text().contains("port tcp/8094 is also in use by busybox"), "{listed}");
    host.ctl_ok(&["update", "front", "--allow-host-changes", "--allow-taken-ports"]);
}

fn flushed_firewall(host: &Host) {
    host.install(bins());
    own(host, "front", json!(["8080:80", "udp:5353:53"]));
    host.create("front");
    host.address("front");
    let reached = || host.sh("nft list map ip io.systemd.nat map_port_ipport").contains("8080");
    host.wait_until("the port is forwarded", reached);
    host.sh("sleep 21");
    let gone = "tcp/8080, udp/5353 are not forwarded";
    assert!(!host.ctl_ok(&["list"]).text().contains("forwarded"));
    host.sh("nft flush ruleset");
    for command in ["list", "status front"] {
        let told = host.ctl_ok(&command.split(' ').collect::<Vec<_>>());
        assert!(told.text().contains(gone), "{told}");
        assert!(
            told.text().contains(&format!("'systemctl restart {}' restores them", unit("front"))),
            "{told}"
        );
    }
    host.ok(&["systemctl", "restart", &unit("front")]);
    host.address("front");
    host.wait_until("the port is forwarded again", reached);
    assert!(
        host.sh("nft list set ip io.systemd.nat masq_saddr").contains("elements"),
        "masquerading is back"
    );
    host.sh("sleep 21");
    assert!(!host.ctl_ok(&["list"]).text().contains("forwarded"));
}

/// The template's --link-journal=try-guest does not fail without a persistent journal, and neither do we.
fn volatile_journal(host: &Host) {
    host.install(bins());
    host.write("/etc/systemd/journald.conf.d/volatile.conf", "[Journal]\nStorage=volatile\n", 0o644);
    host.sh("systemctl restart systemd-journald; rm -rf /var/log/journal");
    host.create("web");
    assert!(!host.exists("/var/log/journal"));
    assert_eq!(host.reboot(), "running");
    assert_eq!(host.state("web"), "active");
}
