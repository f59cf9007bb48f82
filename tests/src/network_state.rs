//! What a host's network consists of, for tests that compare it before and after the life of containers; a router behind
//! the host's uplink; and what other programs of the host configure.

use crate::host::Host;

/// Makes rules, routes and a nexthop as a VPN would, of both families.
pub fn foreign(host: &Host) {
    host.sh("ip rule add fwmark 1 lookup 100 pref 5000
        ip rule add from 10.77.0.0/16 lookup 101 pref 5001
        ip -6 rule add fwmark 1 lookup 100 pref 5000
        ip nexthop add id 7 blackhole
        ip route add 10.99.0.0/16 dev ext0 table 100
        ip route add blackhole 10.98.0.0/16
        ip -6 route add blackhole fd00:98::/64");
}

/// Sends router advertisements with a prefix on eth0, as a router does.
const ROUTER: &str = r#"use strict; use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6);
    open(my $file, '<', '/sys/class/net/eth0/ifindex') or die; chomp(my $index = <$file>);
    socket(my $socket, AF_INET6, SOCK_RAW, 58) or die $!;
    setsockopt($socket, 41, 18, pack('i', 255)) or die $!;
    my $message = pack('CCnCCnNN', 134, 0, 0, 64, 0, 1800, 0, 0)
        . pack('CCCCNNN', 3, 4, 64, 0xC0, 86400, 14400, 0) . inet_pton(AF_INET6, 'fd00:aa::');
    my $all = pack_sockaddr_in6(0, inet_pton(AF_INET6, 'ff02::1'), $index);
    while (1) { send($socket, $message, 0, $all); sleep 1 }"#;

/// Makes an interface ext0 with a router behind it, and leaves its configuration to others.
pub fn cable(host: &Host) {
    host.write("/run/router.pl", ROUTER, 0o644);
    host.sh("ip netns add ext
        ip link add ext0 type veth peer name eth0 netns ext
        ip -n ext addr add 10.250.0.2/24 dev eth0
        ip -n ext link set eth0 up
        systemd-run --quiet --unit=router --property=Restart=always --property=RestartSec=1 \
            ip netns exec ext perl /run/router.pl");
}

/// Makes an uplink ext0 with a router behind it.
pub fn uplink(host: &Host) {
    cable(host);
    // networkd may have been faster.
    host.sh("ip addr replace 10.250.0.1/24 dev ext0
        ip link set ext0 up
        ip route replace default via 10.250.0.2");
    host.wait_until("the default route of the router is there", || advertised(host));
}

/// Returns whether the host has the default route of the router.
pub fn advertised(host: &Host) -> bool {
    host.sh("ip -6 route show default dev ext0").contains("proto ra")
}

/// Returns rules, routes, nexthops and addresses as JSON without values that change by themselves, all sysctls of IPv4
/// and IPv6, and all packet filters except the table of systemd. Interfaces of containers are omitted.
pub fn network_state(host: &Host) -> String {
    let clean = r#"map(select((.dev // .ifname // "") | test("^(ve|vb|vz)-") | not))
        | map(del(.. | .expires?, .valid_life_time?, .preferred_life_time?, .age?))"#;
    host.sh(&format!(
        "for family in -4 -6; do
            for what in rule 'route show table all' address; do
                echo \"== $family $what\"; ip -j $family $what | jq -S '{clean} | sort_by(tostring) | .[]' -c
            done
        done
        echo == nexthop; ip -j nexthop | jq -Sc '.[]'
        echo == sysctl; sysctl -a 2> /dev/null | grep -E '^net[.]ipv[46][.]' | grep -vE '[.](ve|vb|vz)-' | sort
        echo == nft; nft list tables | grep -v 'io.systemd.nat' || true"
    ))
}

/// Returns the lines that are gone, and those that are new.
pub fn changes(before: &str, now: &str) -> Vec<String> {
    let (before, now): (Vec<&str>, Vec<&str>) = (before.lines().collect(), now.lines().collect());
    let gone = before.iter().filter(|line| !now.contains(line)).map(|line| format!("- {line}"));
    let new = now.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(new).collect()
}

/// Fails on every change that docs/networking.md does not name; it names forwarding of IPv4, and what the kernel
/// couples to it.
pub fn assert_untouched(host: &Host, before: &str, when: &str) {
    let named = |line: &String| {
        let name = line[2..].split(' ').next().unwrap_or_default();
        name == "net.ipv4.ip_forward"
            || name.starts_with("net.ipv4.conf.")
                && (name.ends_with(".forwarding") || name.ends_with("conf.all.accept_redirects"))
    };
    let mut changed = changes(before, &network_state(host));
    changed.retain(|line| !named(line));
    assert!(changed.is_empty(), "{when}: {changed:#?}");
}
