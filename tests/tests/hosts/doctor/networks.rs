//! The network of the host and of containers.

use nixos_nspawn_tests::host::{Host, bins, unit};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::json;

use super::{Case, assert_found, case, doctor, healthy, of, together};

on_both_hosts!(networks);

fn networks(host: &Host) {
    host.install(bins());
    host.own(&json!({
        "web": {"container": {"forwardPorts": ["8080:80", "127.0.0.1:8081:80"]}},
    }));
    host.create("web");
    host.address("web");
    // It has had the time to get an address.
    let settle = || host.sh("touch -d '-1 min' /run/systemd/nspawn/web.nspawn");
    settle();
    host.wait_until("the forwards are there", || {
        host.sh("nft list map ip io.systemd.nat map_port_ipport").contains("8080")
    });
    healthy(host);

    together(host, &network_cases());
    healthy(host);
    host.sh("systemctl disable systemd-networkd 2> /dev/null");
    assert_found(
        &doctor(host, &[]),
        ["networkd", "warning", "does not start with the host", "systemctl enable"],
    );
    host.sh("systemctl enable systemd-networkd 2> /dev/null; systemctl stop systemd-networkd.socket systemd-networkd");
    let off = doctor(host, &[]);
    assert_found(
        &off,
        ["networkd", "warning", "is off, so nothing configures the network", "setup --networkd"],
    );
    host.sh("systemctl start systemd-networkd.socket systemd-networkd");
    host.wait_until("networkd has configured the link", || {
        host.sh("networkctl status ve-web --no-pager").contains("configured")
    });
    healthy(host);

    // No address, as behind a firewall.
    host.inside("web", &["ip", "addr", "flush", "dev", "host0"]);
    assert_found(
        &doctor(host, &[]),
        ["addresses", "warning", "container 'web' has got no IPv4 address", "networkctl status ve-web"],
    );
    host.ok(&["systemctl", "restart", &unit("web")]);
    host.address("web");
    host.wait_until("the forwards are there", || {
        host.sh("nft list map ip io.systemd.nat map_port_ipport").contains("8080")
    });
    settle();
    healthy(host);

    firewalls(host);
    flushed(host);
    host.ok(&["systemctl", "restart", &unit("web")]);
    host.address("web");
    settle();
    closed(host);
    zone(host);
}

/// The next steps for firewalls that drop packets are commands that mend that.
fn firewalls(host: &Host) {
    for Case { broken, found, .. } in network_cases() {
        if found[0] == "firewall" {
            host.sh(broken);
        }
    }
    for one in of(&doctor(host, &[]), "firewall") {
        let (command, _) = one.next.split_once(", and the same").unwrap_or_else(|| panic!("{one:?}"));
        host.sh(command);
    }
    let all = healthy(host);
    assert!(of(&all, "firewall").iter().all(|one| one.level == "ok"), "{all:#?}");
    host.sh("nft delete table inet f; nft delete table ip g");
}

/// A firewall that flushes the rules of others, on a host with rules and routes of other programs.
fn flushed(host: &Host) {
    const RULE: &str = "from 10.9.0.0/16 lookup 100";
    const ROUTE: &str = "unreachable 10.8.0.0/16";
    host.sh(&format!("ip rule add {RULE} priority 5000; ip route add {ROUTE}; nft flush ruleset"));
    let others = || {
        let (rules, routes) = (host.sh("ip rule show"), host.sh("ip route show"));
        assert!(rules.contains(RULE) && routes.contains(ROUTE), "{rules}{routes}");
    };
    let gone = doctor(host, &[]);
    assert_found(
        &gone,
        ["ports", "warning", "port tcp/8080 is not forwarded", &format!("systemctl restart {}", unit("web"))],
    );
    assert_found(
        &gone,
        [
            "ports",
            "warning",
            "container 'web' is not masqueraded",
            "put 'ManageForeignRoutingPolicyRules=no', 'ManageForeignRoutes=no', 'ManageForeignNextHops=no'",
        ],
    );
    let left = host.ctl_ok(&["doctor", "--fix"]);
    assert!(left.stdout.contains("is not masqueraded") && !left.stdout.contains("restarted"), "{left}");
    others();
    host.sh(
        "mkdir -p /etc/systemd/networkd.conf.d
         printf '[Network]\nManageForeignRoutingPolicyRules=no\nManageForeignRoutes=no\nManageForeignNextHops=no\n' \
         > /etc/systemd/networkd.conf.d/keep.conf",
    );
    let fixed = host.ctl_ok(&["doctor", "--fix"]);
    assert!(fixed.stdout.contains("fixed: restarted systemd-networkd, which masquerades again"), "{fixed}");
    assert!(
        fixed.stdout.contains("port tcp/8080 is not forwarded") && !fixed.stdout.contains("not masqueraded"),
        "{fixed}"
    );
    others();
    host.sh(&format!("ip rule del {RULE}; ip route del {ROUTE}"));
}

/// A socket that was closed, and one whose port another program has taken meanwhile.
fn closed(host: &Host) {
    let socket = "nixos-nspawn-proxy@web-tcp-127.0.0.1-8081.socket";
    host.ok(&["systemctl", "stop", socket]);
    assert_found(&doctor(host, &[]), ["ports", "warning", "port tcp/127.0.0.1:8081 is not open", socket]);
    host.sh("systemd-run --quiet --unit=squatter busybox httpd -f -p 127.0.0.1:8081 -h /root");
    host.wait_until("the port is taken", || host.sh("ss -Hltn").contains("127.0.0.1:8081"));
    let failed = host.ctl(&["doctor", "--fix"]);
    assert_eq!(failed.code(), 1, "{failed}");
    assert!(
        failed.stderr.contains("not fixed: ports of container 'web' cannot be opened: tcp/127.0.0.1:8081"),
        "{failed}"
    );
    assert!(!failed.stdout.contains("fixed: started"), "{failed}");
    host.sh("systemctl stop squatter");
    let fixed = host.ctl_ok(&["doctor", "--fix"]);
    assert!(fixed.stdout.contains("fixed: started the sockets of container 'web'"), "{fixed}");
    assert_eq!(host.page("http://127.0.0.1:8081/"), "Hello from web.\n");
}

/// The bridge of a zone, which networkd configures by a file of its own.
fn zone(host: &Host) {
    host.own(&json!({ "far": {"container": {"zone": "lab"}} }));
    host.create("far");
    host.address("far");
    host.sh("touch -d '-1 min' /run/systemd/nspawn/far.nspawn");
    healthy(host);
    host.sh("nft delete table ip io.systemd.nat");
    assert_found(
        &doctor(host, &[]),
        ["ports", "warning", "containers 'far' and 'web' are not masqueraded", ""],
    );
    let fixed = host.ctl_ok(&["doctor", "--fix"]);
    assert!(!fixed.stdout.contains("not masqueraded"), "{fixed}");
}

/// What concerns the network, and leaves the container's link alone.
fn network_cases() -> Vec<Case> {
    vec![
        case(
            "ip rule add from 10.9.0.0/16 table 100 priority 5000",
            "ip rule del from 10.9.0.0/16 table 100 priority 5000 || true",
            [
                "foreign-rules",
                "warning",
                "deletes the 1 routing policy rule",
                "ManageForeignRoutingPolicyRules=no",
            ],
        ),
        case(
            "sed 's/\"name\": *\"web\"/\"name\":\"db\"/; s/808[01]/8099/g' /etc/nixos-nspawn/web.json > /etc/nixos-nspawn/db.json; \
             printf '[Match]\\nType=ether\\n[Network]\\nDHCP=yes\\n' > /etc/systemd/network/10-all.network",
            "rm /etc/systemd/network/10-all.network /etc/nixos-nspawn/db.json",
            [
                "network-files",
                "warning",
                "/etc/systemd/network/10-all.network: is used for the interface of container 'db'",
                "limit [Match]",
            ],
        ),
        case(
            "sysctl -qw net.ipv4.ip_forward=0",
            "sysctl -qw net.ipv4.ip_forward=1",
            [
                "forwarding",
                "failure",
                "container 'web' cannot reach anything beyond the host",
                "sysctl -w net.ipv4.ip_forward=1",
            ],
        ),
        case(
            "nft 'table inet f { chain in { type filter hook input priority 0; policy drop; ct state established,related accept; iifname lo accept; }; }'",
            "nft delete table inet f",
            [
                "firewall",
                "warning",
                "chain in of table inet f drops requests for addresses (DHCP) from",
                "udp dport 67 accept",
            ],
        ),
        case(
            "nft 'table ip g { chain passed { type filter hook forward priority 0; policy accept; ct state established,related accept; reject; }; }'",
            "nft delete table ip g",
            [
                "firewall",
                "warning",
                "chain passed of table ip g drops what goes to the outside from",
                "iifname",
            ],
        ),
        case(
            "systemd-run --quiet --unit=squatter busybox httpd -f -p 0.0.0.0:8080 -h /root",
            "systemctl stop squatter",
            ["ports", "warning", "port tcp/8080 is also in use by", "stop that service"],
        ),
    ]
}
