//! The host's network is left alone: rules, routes, nexthops, addresses, sysctls and packet filters of other programs are
//! the same before and after the whole life of containers, but for what docs/networking.md names.

use nixos_nspawn_tests::host::{FLAKE, Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;

on_both_hosts!(networkd_keeps_what_others_made);

/// Makes rules, routes and a nexthop as a VPN would, of both families.
fn foreign(host: &Host) {
    host.sh("ip link add ext0 type veth peer name ext1
        ip addr add 10.250.0.1/24 dev ext0
        ip link set ext0 up; ip link set ext1 up
        ip rule add fwmark 1 lookup 100 pref 5000
        ip rule add from 10.77.0.0/16 lookup 101 pref 5001
        ip -6 rule add fwmark 1 lookup 100 pref 5000
        ip nexthop add id 7 blackhole
        ip route add 10.99.0.0/16 dev ext0 table 100
        ip route add blackhole 10.98.0.0/16
        ip -6 route add blackhole fd00:98::/64");
}

/// Returns what [`foreign`] made, as far as it is there.
fn foreign_state(host: &Host) -> String {
    host.sh("ip rule; ip -6 rule; ip nexthop
        ip route show table 100; ip route show type blackhole; ip -6 route show type blackhole")
}

fn networkd_keeps_what_others_made(host: &Host) {
    const DROP_IN: &str = "/etc/systemd/networkd.conf.d/10-nixos-nspawn.conf";
    host.install(bins());

    // networkd was in use before: its configuration is the administrator's, and `create` says what it costs.
    host.ctl_ok(&["setup", "--networkd"]);
    assert!(!host.exists(DROP_IN));
    foreign(host);
    let created = host.ctl_ok(&["create", "web", "--flake", FLAKE]);
    assert!(created.text().contains("deletes the 3 routing policy rules of other programs"), "{created}");
    host.ctl_ok(&["remove", "web"]);

    // Where it was off, nothing is lost: not when it starts, nor when it configures an interface.
    host.ok(&["systemctl", "disable", "--now", "systemd-networkd.socket", "systemd-networkd.service"]);
    assert_eq!(host.reboot(), "running");
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

    // The drop-in goes with `setup`, also where a package has the programs.
    let removed = host.ctl_ok(&["setup", "--remove"]);
    assert!(removed.stdout.contains("systemctl disable --now systemd-networkd"), "{removed}");
    assert!(!host.exists(DROP_IN));

    // What the administrator has set stays as it is.
    host.ok(&["systemctl", "disable", "--now", "systemd-networkd.socket", "systemd-networkd.service"]);
    host.write("/etc/systemd/networkd.conf.d/own.conf", "[Network]\nManageForeignRoutes=yes\n", 0o644);
    host.ctl_ok(&["setup", "--networkd"]);
    let text = host.file(DROP_IN);
    assert!(text.contains("ManageForeignNextHops=no") && !text.contains("ManageForeignRoutes="), "{text}");
}
