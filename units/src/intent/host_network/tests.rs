//! Values of `hostNetworkConfig`, and the files that they become.

use pretty_assertions::assert_eq;

use crate::intent::parse;
use crate::intent::testing::with_options;
use crate::network::{Ipv6Forwarding, ipv6_forwarding, network_file};

fn written(options: &str) -> Result<String, String> {
    let name = "averylongcontainername".parse().unwrap();
    let intent = with_options(&name, &format!("{{{options}}}")).map_err(|fault| fault.to_string())?;
    // The intent file is read back as the same intent.
    let again = parse(intent.to_json().unwrap().as_bytes(), &name).map_err(|fault| fault.to_string())?;
    assert_eq!(again.container, intent.container);
    Ok(network_file(&name, &intent.container, 262).map(|file| file.text()).unwrap_or_default())
}

fn host(config: &str) -> Result<String, String> {
    written(&format!(r#""hostNetworkConfig":{config}"#))
}

const DEFAULTS: &str = "[Match]\nDriver=veth\nName=ve-averylonWI9H\n\n[Link]\nRequiredForOnline=no\n\n[Network]\n\
    DHCPServer=yes\nEmitLLDP=customer-bridge\nIPv6AcceptRA=no\nLLDP=yes\n\
    IPMasquerade=ipv4\nIPv6SendRA=no\nLinkLocalAddressing=ipv6\nAddress=0.0.0.0/28\n";

#[test]
fn defaults_and_additions() {
    let stock = DEFAULTS.replace("LinkLocalAddressing=ipv6", "LinkLocalAddressing=yes")
        + "\n[DHCPServer]\nPersistLeases=runtime\nLocalLeaseDomain=_dhcp\n";
    assert_eq!(written("").unwrap(), stock);
    assert_eq!(host("null").unwrap(), stock);
    assert_eq!(written(r#""bridge": "br0""#).unwrap(), "");
    assert_eq!(written(r#""network": "none""#).unwrap(), "");
    assert_eq!(host("{}").unwrap(), format!("{DEFAULTS}\n[DHCPServer]\nPersistLeases=runtime\n"));
    let all = host(
        r#"{"address": ["", "10.1.1.1/24"], "dns": "10.1.1.2", "ntp": null, "addresses": null,
            "matchConfig": {"Kind": "veth"}, "linkConfig": {"RequiredForOnline": true, "MTUBytes": 1400},
            "networkConfig": {"DHCPServer": false, "DNS": ["a", "b"], "NTP": null, "LLDP": []},
            "routes": [{"Gateway": "10.1.1.9", "Metric": 5}, {"routeConfig": {"Destination": "10.2.0.0/16"}}],
            "dhcpServerConfig": {"PoolSize": 5},
            "extraConfig": "[Neighbor]\nAddress=10.1.1.7 # no comment\n# a comment\n[DHCPServer]\nPersistLeases=no\n"}"#,
    );
    let expected = "[Match]\nDriver=veth\nName=ve-averylonWI9H\nKind=veth\n\n[Link]\nMTUBytes=1400\nRequiredForOnline=yes\n\n\
        [Network]\nEmitLLDP=customer-bridge\nIPv6AcceptRA=no\nLLDP=yes\n\
        IPMasquerade=ipv4\nIPv6SendRA=no\nLinkLocalAddressing=ipv6\nAddress=0.0.0.0/28\nDHCPServer=no\nDNS=a\nDNS=b\nAddress=\nAddress=10.1.1.1/24\n\
        DNS=10.1.1.2\n\n[Route]\nGateway=10.1.1.9\nMetric=5\n\n[Route]\nDestination=10.2.0.0/16\n\n\
        [DHCPServer]\nPoolSize=5\n\n[Neighbor]\nAddress=10.1.1.7 # no comment\n\n[DHCPServer]\nPersistLeases=no\n";
    assert_eq!(all.unwrap(), expected);
}

#[test]
fn ipv6_is_masqueraded_only_on_request() {
    let masquerade = |config: &str| {
        let text = host(config).unwrap();
        let lines: Vec<String> =
            text.lines().filter(|line| line.contains("Masq")).map(str::to_owned).collect();
        lines.join(" ")
    };
    for config in [
        r#"{"address": ["fd00::1/64"]}"#,
        r#"{"addresses": [{"Address": "fd00::1/64"}]}"#,
        r#"{"ipv6Prefixes": [{"Prefix": "fd42:1::/64", "Assign": true}]}"#,
        r#"{"networkConfig": {"DHCPPrefixDelegation": true}}"#,
        r#"{"networkConfig": {"IPv6Forwarding": "yes"}}"#,
        r#"{"networkConfig": {"IPMasquerade": "both"}}"#,
    ] {
        assert_eq!(masquerade(config), "IPMasquerade=both", "{config}");
    }
    for config in [
        "{}",
        r#"{"address": ["10.0.0.1/24", "fe80::1/64"]}"#,
        r#"{"networkConfig": {"DHCPPrefixDelegation": false}}"#,
        r#"{"networkConfig": {"IPMasquerade": "ipv4"}, "address": ["fd00::1/64"]}"#,
    ] {
        assert_eq!(masquerade(config), "IPMasquerade=ipv4", "{config}");
    }
}

#[test]
fn advertisements_are_sent_only_with_ipv6() {
    let forwarding = |config: &str| {
        let text = host(config).unwrap();
        let sent = text.lines().rfind(|line| line.starts_with("IPv6SendRA=")).unwrap().to_owned();
        let container = format!(r#"{{"hostNetworkConfig":{config}}}"#);
        (sent, ipv6_forwarding(&"web".parse().unwrap(), &serde_json::from_str(&container).unwrap()))
    };
    for (config, sent, expected) in [
        ("{}", "no", None),
        (r#"{"address": ["fd00::1/64"]}"#, "yes", Some(Ipv6Forwarding::Everywhere)),
        (r#"{"networkConfig": {"IPv6SendRA": true}}"#, "yes", Some(Ipv6Forwarding::Interface)),
        (
            r#"{"networkConfig": {"IPMasquerade": "ipv4"}, "address": ["fd00::1/64"]}"#,
            "yes",
            Some(Ipv6Forwarding::Interface),
        ),
        (
            r#"{"networkConfig": {"IPMasquerade": "ipv4", "IPv6SendRA": "no"}, "address": ["fd00::1/64"]}"#,
            "no",
            None,
        ),
    ] {
        assert_eq!(forwarding(config), (format!("IPv6SendRA={sent}"), expected), "{config}");
    }
}

#[test]
fn an_interface_in_a_bridge_stays_there() {
    let text = written(r#""bridge": "br0", "hostNetworkConfig": {"bridgeVLANs": [{"VLAN": 5}]}"#).unwrap();
    assert_eq!(
        text,
        "[Match]\nDriver=veth\nName=vb-averylonOVQG\n\n[Link]\nRequiredForOnline=no\n\n[Network]\n\
         EmitLLDP=nearest-bridge\nKeepMaster=yes\nLLDP=yes\nLinkLocalAddressing=no\n\n[BridgeVLAN]\nVLAN=5\n"
    );
}

#[test]
fn faults_name_field_and_reason() {
    for (config, reason) in [
        ("[]", "field 'container.hostNetworkConfig': invalid type: list, expected an object"),
        (
            r#"{"adress": []}"#,
            "field 'container.hostNetworkConfig.adress': is not known (did you mean 'address'?)",
        ),
        (
            r#"{"routes": {}}"#,
            "field 'container.hostNetworkConfig.routes': invalid type: object, expected a list of objects",
        ),
        (
            r#"{"routes": [{"Gateway": {}}]}"#,
            "field 'container.hostNetworkConfig.routes[0].Gateway': invalid type: object, expected a string, a whole number, \
             a boolean, or a list of these",
        ),
        (
            r#"{"address": ["a\nb"]}"#,
            r"field 'container.hostNetworkConfig.address[0]': 'a\nb' contains a control character (\n)",
        ),
        (
            r#"{"networkConfig": {"DNS ": "x"}}"#,
            "field 'container.hostNetworkConfig.networkConfig.DNS ': 'DNS ' is not the name of a setting",
        ),
        (
            r#"{"extraConfig": "[Neighbour]\nA=b"}"#,
            r"field 'container.hostNetworkConfig.extraConfig': '[Neighbour]\nA=b' contains [Neighbour], which is not a section of a .network file (did you mean [Neighbor]?)",
        ),
        (
            r#"{"extraConfig": "A=b"}"#,
            "field 'container.hostNetworkConfig.extraConfig': 'A=b' cannot be read: line 1: stands before the first section, ignored",
        ),
        (
            r#"{"extraConfig": "[Match]\nName=*"}"#,
            r"field 'container.hostNetworkConfig.extraConfig': '[Match]\nName=*' contains a [Match] section; use matchConfig instead",
        ),
        (
            r#"{"matchConfig": {"Name": "eth*"}}"#,
            "field 'container.hostNetworkConfig.matchConfig': Name= cannot be set: the file is for the container's own interface, whose name is known",
        ),
    ] {
        assert_eq!(host(config).unwrap_err(), reason, "{config}");
    }
    let lines = |count: usize| format!(r#"{{"extraConfig": "{}"}}"#, "[Link]\\n".repeat(count));
    assert!(host(&lines(8192)).is_ok());
    assert!(host(&lines(8193)).unwrap_err().ends_with("holds more than 8192 lines"));
    let zone = written(r#""zone": "a", "hostNetworkConfig": {}"#).unwrap_err();
    assert!(
        zone.starts_with("field 'container.hostNetworkConfig': the interface of a zone's container"),
        "{zone}"
    );
}
