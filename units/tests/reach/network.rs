//! Networks, the host's end of the virtual Ethernet link, and ports.

use serde_json::{Value, json};

use super::{same, widens, widens_only};

#[test]
fn networks() {
    widens_only(json!({"network": "none"}), json!({}), "can now: reach the host, and what the host forwards");
    widens_only(json!({"network": "none"}), json!({"network": "host"}), "can now: use the host's network");
    widens(json!({}), json!({"network": "host"}), "can now: use the host's network");
    widens(json!({}), json!({"bridge": "br0"}), "the host's bridge br0");
    widens(json!({"bridge": "br0"}), json!({}), "masquerading");
    widens(json!({"zone": "a"}), json!({"zone": "b"}), "zone b");
    widens_only(json!({}), json!({"macvlan": ["eth0"]}), "eth0 (macvlan)");
    widens_only(json!({}), json!({"ipvlan": ["eth0"]}), "eth0 (ipvlan)");
    widens_only(json!({}), json!({"interfaces": ["eth1"]}), "interface eth1 for itself");
    widens_only(json!({}), json!({"extraVeths": ["v1:inside"]}), "v1 added to the host");
    widens(json!({}), json!({"namespacePath": "/run/netns/a"}), "/run/netns/a");
    widens(
        json!({"nspawnConfig": {"Network": {"VirtualEthernet": false}}}),
        json!({}),
        "can now: reach the host",
    );
    same(json!({"macvlan": ["eth0:a"]}), json!({"macvlan": ["eth0:b"]}));
}

#[test]
fn the_hosts_end_of_the_link() {
    let host = |config: Value| json!({"hostNetworkConfig": config});
    widens(
        host(json!({"routes": [{"Destination": "10.9.0.0/16", "Gateway": "10.66.0.2"}]})),
        host(json!({"routes": [{"Gateway": "10.66.0.2"}]})),
        "can now: have [Route] Gateway=10.66.0.2 on the host",
    );
    // The same lines in other sections are other routes.
    widens(
        host(
            json!({"routes": [{"Destination": "10.1.0.0/16", "Metric": 1}, {"Gateway": "10.66.0.2", "Metric": 2}]}),
        ),
        host(
            json!({"routes": [{"Destination": "10.1.0.0/16", "Metric": 2}, {"Gateway": "10.66.0.2", "Metric": 1}]}),
        ),
        "can now: have [Route] ",
    );
    widens_only(
        host(json!({"address": ["10.0.0.1/24"]})),
        host(json!({"address": ["10.0.0.1/24", "10.0.1.1/24"]})),
        "Address=10.0.1.1/24",
    );
    widens(
        host(json!({"networkConfig": {"IPMasquerade": "no"}})),
        host(json!({"networkConfig": {"LLDP": "no"}})),
        "IPMasquerade=no (hostNetworkConfig) is not set any more",
    );
    widens(
        host(json!({"networkConfig": {"DHCP": "no"}, "DHCP": "ipv4"})),
        host(json!({"networkConfig": {"DHCP": "no"}, "DHCP": "ipv6"})),
        "ipv6",
    );
    widens(
        host(json!({"networkConfig": {"DHCP": "no"}, "DHCP": "ipv4"})),
        host(json!({"networkConfig": {"DHCP": "no"}})),
        "DHCP",
    );
    widens(
        host(json!({"routingPolicyRules": [{"From": "10.0.0.0/8", "Table": 7}]})),
        host(json!({"address": "10.0.0.1/24"})),
        "[RoutingPolicyRule] From=10.0.0.0/8 Table=7 (hostNetworkConfig) is not set any more",
    );
    widens(
        host(
            json!({"routes": [{"Destination": "10.0.0.0/8", "Type": "blackhole"}], "address": "10.0.0.1/24"}),
        ),
        host(json!({"address": "10.0.0.1/24"})),
        "Type=blackhole (hostNetworkConfig) is not set any more",
    );
    widens(
        host(json!({"matchConfig": {"Host": "a"}})),
        host(json!({"linkConfig": {"Unmanaged": "no"}})),
        "[Match] Host=a",
    );
    widens(host(json!({"address": "10.0.0.1/24"})), json!({}), "masquerading");
    widens(json!({}), host(json!({"extraConfig": "[NextHop]\nId=1\n"})), "[NextHop] Id=1");
    same(json!({}), host(json!({})));
}

#[test]
fn ports() {
    let port = |port: Value| json!({"forwardPorts": [port]});
    widens_only(json!({}), port(json!("80")), "take host port tcp/80 (forwardPorts)");
    widens_only(port(json!("127.0.0.1:80:80")), port(json!("80")), "tcp/80");
    widens_only(port(json!("127.0.0.1:80:80")), port(json!("0.0.0.0:80:80")), "tcp/0.0.0.0:80");
    widens(port(json!("127.0.0.1:80:80")), port(json!("[::1]:80:80")), "tcp/[::1]:80");
    widens(port(json!("80")), port(json!("udp:80")), "udp/80");
    widens_only(
        port(json!({"hostPort": 80, "hostAddress": "127.0.0.1"})),
        port(json!({"hostPort": 80, "hostAddress": "127.0.0.1", "startOnConnect": true})),
        "started by a connection",
    );
    same(port(json!("80:81")), port(json!("80:82")));
}
