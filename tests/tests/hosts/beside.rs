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
    // UDP, IPv6 only, and a service in another network namespace, which has its own ports.
    let udp = "use IO::Socket::INET; my $socket = IO::Socket::INET->new(LocalPort => 8095, Proto => 'udp') or die; sleep 9999";
    host.ok(&["systemd-run", "--quiet", "perl", "-e", udp]);
    host.ok(&["systemd-run", "--quiet", "systemd-socket-activate", "-l", "[::]:8096", "/bin/cat"]);
    host.sh(
        "ip netns add other; systemd-run --quiet ip netns exec other busybox httpd -f -p 8097 -h /srv/host",
    );
    host.wait_until("they listen", || {
        host.sh("ss -lun").contains(":8095 ")
            && host.sh("ss -ltn").contains(":8096 ")
            && host.sh("ip netns exec other ss -ltn").contains(":8097 ")
    });
    let free = json!({"front": {"container": {"nspawnConfig": {"Network": {"Port": ["tcp:8090:80"]}}}}});
    host.own(&free);
    let refused = host.ctl(&["create", "front", "--flake", FLAKE]);
    assert_eq!(refused.status.code(), Some(10), "{refused}");
    assert!(refused.stderr.contains("tcp/8090 is in use by busybox"), "{refused}");
    let before = host.traces();
    for (ports, port, holder) in [
        (json!(["8090:80"]), "tcp/8090", "busybox"),
        (json!(["127.0.0.1:8090:80"]), "tcp/127.0.0.1:8090", "busybox"),
        (json!(["127.0.0.1:8091:80"]), "tcp/127.0.0.1:8091", "busybox"),
        (json!(["0.0.0.0:8091:80"]), "tcp/0.0.0.0:8091", "busybox"),
        (json!(["udp:8095:53"]), "udp/8095", "perl"),
        (json!(["8096:80"]), "tcp/8096", "systemd-socket-"),
        (json!(["127.0.0.1:8096:80"]), "tcp/127.0.0.1:8096", "systemd-socket-"),
        (json!(["[::1]:8096:80"]), "tcp/[::1]:8096", "systemd-socket-"),
    ] {
        own(host, "front", ports);
        let refused = host.ctl(&["create", "front", "--flake", FLAKE]);
        assert_eq!(refused.status.code(), Some(10), "{refused}");
        let reason = format!("{port} is in use by {holder} (process ");
        assert!(
            refused.stderr.contains(&reason) && refused.stderr.contains("--allow-taken-ports"),
            "{refused}"
        );
    }
    host.assert_no_traces_since(&before);

    // The host keeps its loopback address, the same number of another protocol is another port, and the container's own
    // sockets do not count.
    own(
        host,
        "front",
        json!(["8091:80", "udp:8090:53", "127.0.0.1:8092:80", "8093:80", "8097:80", "8095:80"]),
    );
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
    // Also without ports, and with a setting in nspawn's own format.
    host.own(&json!({
        "front": {"container": {"forwardPorts": ["8080:80", "udp:5353:53"]}},
        "free": {"container": {"nspawnConfig": {"Network": {"Port": ["tcp:8081:80"]}}}},
        "alone": {},
    }));
    for name in ["free", "alone", "front"] {
        host.create(name);
        host.address(name);
    }
    let reached = || host.sh("nft list map ip io.systemd.nat map_port_ipport").contains("8080");
    host.wait_until("the port is forwarded", reached);
    host.sh("sleep 21");
    let gone = "tcp/8080, udp/5353 are not forwarded";
    let listed = host.ctl_ok(&["list"]);
    assert!(!listed.text().contains("forwarded") && !listed.text().contains("masqueraded"), "{listed}");
    host.sh("nft flush ruleset");
    let listed = host.ctl_ok(&["list"]);
    assert!(listed.text().contains("port tcp/8081 is not forwarded"), "{listed}");
    let masquerading = "alone: is not masqueraded: the rules of systemd-networkd are not in nftables";
    assert!(listed.text().contains(masquerading), "{listed}");
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
    host.ok(&["systemctl", "restart", &unit("free")]);
    host.address("free");
    host.sh("sleep 21");
    let listed = host.ctl_ok(&["list"]);
    assert!(!listed.text().contains("forwarded"), "{listed}");
    // What is masqueraded for others does not help this one.
    assert!(
        listed.text().contains(masquerading) && listed.text().matches("is not masqueraded").count() == 1,
        "{listed}"
    );
    // The suggested command also restores containers that only masquerade.
    host.sh("nft flush ruleset; systemctl restart systemd-networkd");
    host.wait_until("masquerading is back", || !host.ctl_ok(&["list"]).text().contains("masqueraded"));
    assert!(host.ctl_ok(&["list"]).text().contains("tcp/8080, udp/5353 are not forwarded"));
    guide_for_nftables(host);
}

/// The rules of docs/networking.md let containers through a firewall that drops everything else.
fn guide_for_nftables(host: &Host) {
    let guide = include_str!("../../../docs/networking.md");
    let row = guide.lines().find(|line| line.starts_with("| nftables |")).expect("a row");
    let rules: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
    let [dhcp, forward, replies] = rules[..] else { panic!("{rules:?}") };
    host.sh("ip netns add outside
        ip link add out0 type veth peer name eth0 netns outside
        ip addr add 10.250.0.1/24 dev out0; ip link set out0 up
        ip -n outside addr add 10.250.0.2/24 dev eth0; ip -n outside link set eth0 up");
    let firewall = |input: &str, forward: &str| {
        let chain = |name: &str, rules: &str| {
            format!("chain {name} {{ type filter hook {name} priority 0; policy drop; {rules}; }}")
        };
        let text = format!(
            "table inet mine\ndelete table inet mine\ntable inet mine {{\n{}\n{}\n}}\n",
            chain("input", input),
            chain("forward", forward)
        );
        host.write("/root/firewall.nft", text, 0o644);
        host.ok(&["nft", "-f", "/root/firewall.nft"]);
    };
    let ping = || host.run_inside("alone", &["ping", "-c", "1", "-W", "3", "10.250.0.2"]).success();
    host.wait_until("the outside is reached", ping);
    firewall("ct state established accept", "ct state established accept");
    assert!(!ping(), "the firewall drops nothing");
    firewall(dhcp, &format!("{forward}; {replies}"));
    host.ok(&["systemctl", "restart", &unit("alone")]);
    host.address("alone");
    host.wait_until("the outside is reached through the firewall", ping);
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
