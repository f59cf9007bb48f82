//! The host's network is left alone: rules, routes, nexthops, addresses, sysctls and packet filters of other programs
//! are the same before and after the whole life of containers, except for what docs/networking.md names.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, unit};
use nixos_nspawn_tests::network_state::{
    advertised, assert_untouched, changes, foreign, network_state, uplink,
};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::json;

on_both_hosts!(networkd_keeps_what_others_made, a_whole_life, an_uplink_of_networkd);

/// Makes an interface ext0 that leads nowhere.
fn interface(host: &Host) {
    host.sh("ip link add ext0 type veth peer name ext1
        ip addr add 10.250.0.1/24 dev ext0
        ip link set ext0 up; ip link set ext1 up");
}

/// Returns what exists of that which [`foreign`] made.
fn foreign_state(host: &Host) -> String {
    host.sh("ip rule; ip -6 rule; ip nexthop
        ip route show table 100; ip route show type blackhole; ip -6 route show type blackhole")
}

fn networkd_keeps_what_others_made(host: &Host) {
    const DROP_IN: &str = "/etc/systemd/networkd.conf.d/10-nixos-nspawn.conf";
    host.install(bins());

    // networkd was in use before: its configuration is the administrator's, and `create` warns about the effect.
    host.ctl_ok(&["setup", "--networkd"]);
    assert!(!host.exists(DROP_IN));
    interface(host);
    foreign(host);
    let created = host.ctl_ok(&["create", "web", "--flake", FLAKE]);
    assert!(created.text().contains("deletes the 3 routing policy rules of other programs"), "{created}");
    host.ctl_ok(&["remove", "web"]);

    // If it was off, nothing is lost: neither when it starts, nor when it configures an interface.
    host.ok(&["systemctl", "disable", "--now", "systemd-networkd.socket", "systemd-networkd.service"]);
    assert_eq!(host.reboot(), "running");
    interface(host);
    foreign(host);
    let before = foreign_state(host);
    assert!(before.contains("5001:") && before.contains("id 7"), "{before}");
    let told = host.ctl_ok(&["setup", "--networkd", "--dry-run"]);
    assert!(told.stdout.contains(DROP_IN) && !host.exists(DROP_IN), "{told}");
    host.ctl_ok(&["setup", "--networkd"]);
    assert_eq!(host.sh(&format!("stat -c %a {DROP_IN}")), "644\n");
    let created = host.ctl_ok(&["create", "web", "--flake", FLAKE]);
    assert!(!created.text().contains("routing policy rules"), "{created}");
    host.address("web");
    assert_eq!(foreign_state(host), before, "after create");
    host.ok(&["systemctl", "restart", &unit("web")]);
    host.address("web");
    assert_eq!(foreign_state(host), before, "after a restart");
    host.ok(&["systemctl", "restart", "systemd-networkd.service"]);
    host.ctl_ok(&["setup", "--networkd"]);
    assert_eq!(foreign_state(host), before, "after a restart of networkd");
    host.ctl_ok(&["remove", "web"]);
    assert_eq!(foreign_state(host), before, "after remove");

    // `setup --remove` removes the drop-in, even if a package has installed the programs.
    let removed = host.ctl_ok(&["setup", "--remove"]);
    assert!(removed.stdout.contains("systemctl disable --now systemd-networkd"), "{removed}");
    assert!(!host.exists(DROP_IN));

    // Settings of the administrator are not changed.
    host.ok(&["systemctl", "disable", "--now", "systemd-networkd.socket", "systemd-networkd.service"]);
    host.write("/etc/systemd/networkd.conf.d/own.conf", "[Network]\nManageForeignRoutes=yes\n", 0o644);
    host.ctl_ok(&["setup", "--networkd"]);
    let text = host.file(DROP_IN);
    assert!(text.contains("ManageForeignNextHops=no") && !text.contains("ManageForeignRoutes="), "{text}");
}

/// Makes an uplink nm0 as NetworkManager leaves one: it reads advertisements itself, turns the kernel's reading off, and
/// adds the route.
fn uplink_of_networkmanager(host: &Host) {
    host.sh("ip link add nm0 type veth peer name nm1
        sysctl -qw net.ipv6.conf.nm0.accept_ra=0
        ip link set nm0 up; ip link set nm1 up
        ip -6 addr add fd00:bb::1/64 dev nm0 proto kernel_ra nodad 2> /dev/null || ip -6 addr add fd00:bb::1/64 dev nm0 nodad
        ip -6 route add default via fe80::7 dev nm0 proto ra metric 100 pref medium");
}

fn a_whole_life(host: &Host) {
    host.install(bins());
    host.ok(&["systemctl", "disable", "--now", "systemd-networkd.socket", "systemd-networkd.service"]);
    assert_eq!(host.reboot(), "running");
    foreign_and_uplink(host);
    let before = network_state(host);
    assert!(
        before.contains("net.ipv6.conf.ext0.accept_ra = 1") && before.contains("\"protocol\":\"ra\""),
        "{before}"
    );

    host.ctl_ok(&["setup", "--networkd"]);
    assert_untouched(host, &before, "setup");
    let containers = |port: u16| {
        host.own(&json!({
            "web": {"container": {"forwardPorts": [format!("{port}:80")]}},
            "shop": {"container": {"zone": "lab"}},
            "till": {"container": {"zone": "lab"}},
        }));
    };
    containers(8080);
    for name in ["web", "shop", "till"] {
        host.create(name);
        host.address(name);
        assert_untouched(host, &before, &format!("create {name}"));
    }
    // Our file is in force, and its settings work.
    for (interface, file) in [("ve-web", "50-nixos-nspawn-web"), ("vz-lab", "51-nixos-nspawn-vz-lab")] {
        let status = host.sh(&format!("networkctl status --no-pager {interface}"));
        assert!(status.contains(file), "{status}");
    }
    assert!(host.sh("ip -o -6 addr show dev ve-web").contains("fe80:"), "{}", host.sh("ip addr"));
    pings(host, "web", "ve-web");
    pings(host, "shop", "vz-lab");

    containers(8081);
    host.ctl_ok(&["update", "web", "--allow-host-changes"]);
    host.ok(&["systemctl", "restart", &unit("web"), &unit("shop")]);
    host.address("web");
    assert_untouched(host, &before, "update and restart");

    // The bridge keeps its addresses when a member comes, restarts or goes.
    let bridge = || host.sh("ip -o -4 addr show dev vz-lab | awk '{print $4}'");
    let addresses = bridge();
    host.ok(&["systemctl", "stop", &unit("shop")]);
    host.ctl_ok(&["remove", "shop"]);
    assert_eq!(bridge(), addresses);
    host.address("till");

    // IPv6 forwarding would cost the uplink its route. So would an interface that sends advertisements: it forwards,
    // and the kernel drops the routes from those that it has received.
    host.own(&json!({"ra": {"container": {"hostNetworkConfig": {"networkConfig": {"IPv6SendRA": true}}}}}));
    let refused = host.ctl(&["create", "ra", "--flake", FLAKE]);
    assert_eq!(refused.status.code(), Some(10), "{refused}");
    assert!(refused.stderr.contains("networkConfig.IPv6SendRA = \"no\""), "{refused}");

    host.own(&json!({"six": {"container": {"hostNetworkConfig": {"ipv6Prefixes": [{"Prefix": "fd42:1::/64", "Assign": true}]}}}}));
    let refused = host.ctl(&["create", "six", "--flake", FLAKE]);
    assert_eq!(refused.status.code(), Some(10), "{refused}");
    assert!(refused.stderr.contains("net.ipv6.conf.ext0.accept_ra=2"), "{refused}");
    assert_untouched(host, &before, "refused");

    assert_eq!(host.reboot(), "running");
    foreign_and_uplink(host);
    for name in ["web", "till"] {
        assert_eq!(host.state(name), "active");
        host.address(name);
    }
    // Another boot gives the interfaces other indices and hardware addresses.
    host.ctl_ok(&["remove", "web"]);
    host.ctl_ok(&["remove", "till"]);
    assert!(advertised(host));
    let rules = |state: &str| {
        let part = |from: &str| state.split("== ").filter(|part| part.starts_with(from)).collect::<String>();
        ["-4 rule", "-6 rule", "nexthop", "sysctl", "nft"].map(part).concat()
    };
    let now = rules(&network_state(host));
    let mut changed = changes(&rules(&before), &now);
    changed.retain(|line| !line[2..].starts_with("net.ipv4."));
    assert!(changed.is_empty(), "{changed:#?}");
    assert!(!host.exists("/run/systemd/network/51-nixos-nspawn-vz-lab.network"));

    // With accept_ra=2 the host may forward.
    host.sh("sysctl -qw net.ipv6.conf.ext0.accept_ra=2");
    host.create("six");
    host.wait_until("IPv6 is forwarded", || host.file("/proc/sys/net/ipv6/conf/all/forwarding") == "1\n");
    assert!(advertised(host));
    let managed = host.sh("ip -6 route show default dev nm0");
    assert!(managed.contains("via fe80::7 proto ra metric 100"), "{managed}");
}

/// Sends a ping from a container to the router, masqueraded by the host.
fn pings(host: &Host, name: &str, interface: &str) {
    let output = host.run_inside(name, &["ping", "-c", "1", "-W", "5", "10.250.0.2"]);
    assert!(
        output.success(),
        "{name}: {output}\n{}\n{}",
        host.run_inside(name, &["sh", "-c", "ip addr; ip route"]),
        host.run(&[
            "sh",
            "-c",
            &format!(
                "ip addr show dev {interface}; nft list ruleset; sysctl net.ipv4.ip_forward
                journalctl -b -o short-precise --no-pager -u systemd-networkd -u 'systemd-nspawn@*' | tail -n 60"
            )
        ])
    );
}

fn foreign_and_uplink(host: &Host) {
    uplink(host);
    uplink_of_networkmanager(host);
    foreign(host);
    host.sh("nft add table inet mine");
    // Duplicate address detection is over.
    host.wait_until("no address is tentative", || !host.sh("ip -6 addr").contains("tentative"));
}

fn an_uplink_of_networkd(host: &Host) {
    host.install(bins());
    host.write(
        "/etc/systemd/network/10-ext.network",
        "[Match]\nName=ext0\n[Network]\nAddress=10.250.0.1/24\n",
        0o644,
    );
    host.ok(&["networkctl", "reload"]);
    uplink(host);
    host.create("web");
    host.address("web");
    assert!(advertised(host), "{}", host.sh("ip -6 route"));
    assert_eq!(host.file("/proc/sys/net/ipv6/conf/all/forwarding"), "0\n");
    host.own(
        &json!({"six": {"container": {"hostNetworkConfig": {"networkConfig": {"IPMasquerade": "both"}}}}}),
    );
    let refused = host.ctl(&["create", "six", "--flake", FLAKE]);
    assert_eq!(refused.status.code(), Some(10), "{refused}");
    assert!(
        refused.stderr.contains("'IPv6AcceptRA=yes' below [Network] of /etc/systemd/network/10-ext.network"),
        "{refused}"
    );
    host.sh("echo IPv6AcceptRA=yes >> /etc/systemd/network/10-ext.network; networkctl reload");
    host.wait_until("networkd heeds the router again", || advertised(host));
    host.create("six");
    host.wait_until("IPv6 is forwarded", || host.file("/proc/sys/net/ipv6/conf/all/forwarding") == "1\n");
    host.wait_until("the route is there", || advertised(host));
}
