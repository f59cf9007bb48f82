//! Networks and interfaces of the host.

use std::collections::BTreeMap;

use super::free::unknown;
use super::item::{Address, Items, Kind, Subject, value};
use crate::intent::{Container, ForwardPort, HostNetworkConfig, InterfacePair, Network};
use systemd_unit_syntax::{Item, Section};

/// Adds what the container can use of the host's networks. Names of interfaces inside are its own matter.
pub(super) fn networks(items: &mut Items, container: &Container) {
    match container.network {
        Network::Host => items
            .can(Subject::HostNetwork, "use the host's network, with all its ports and interfaces (network)"),
        Network::Private | Network::None => {}
    }
    if let Some(zone) = &container.zone {
        items
            .can(network("zone", zone.as_str()), format!("reach the other containers of zone {zone} (zone)"));
    }
    if let Some(bridge) = &container.bridge {
        items.can(
            network("bridge", bridge.as_str()),
            format!("reach what is behind the host's bridge {bridge} (bridge)"),
        );
    }
    if let Some(path) = &container.namespace_path {
        items.can(
            value("namespacePath", path.as_str()),
            format!("use the network namespace {path} (namespacePath)"),
        );
    }
    let bridged = container.zone.is_some() || container.bridge.is_some();
    if container.has_virtual_ethernet() && !bridged {
        items.can(
            network("network", "link"),
            "reach the host, and what the host forwards, over a virtual Ethernet link (network)",
        );
    }
    let config = container.host_network_config.as_ref();
    if container.has_virtual_ethernet()
        && !bridged
        && config.is_none_or(|config| config.settings().is_empty())
    {
        items.can(
            network("hostNetworkConfig", "default"),
            "use the address, DHCP server and masquerading that systemd gives such a link by default \
             (hostNetworkConfig)",
        );
    }
    if let Some(config) = config {
        host_end(items, config);
    }
}

/// Adds the interfaces of the host that become the container's.
pub(super) fn interfaces(items: &mut Items, [macvlan, ipvlan, moved, extra]: [&[InterfacePair]; 4]) {
    let outside = |InterfacePair { outside, inside: _ }: &InterfacePair| outside.to_string();
    for (option, pairs) in [("macvlan", macvlan), ("ipvlan", ipvlan)] {
        for name in pairs.iter().map(outside) {
            let text = format!("reach the network behind the host's interface {name} ({option})");
            items.can(network(option, &name), text);
        }
    }
    for name in moved.iter().map(outside) {
        items.can(
            value("interfaces", name.clone()),
            format!("have the host's interface {name} for itself (interfaces)"),
        );
    }
    for name in extra.iter().map(outside) {
        items.can(
            value("extraVeths", name.clone()),
            format!("have the interface {name} added to the host (extraVeths)"),
        );
    }
}

/// Adds the ports of the host that lead into the container. What answers inside is its own matter.
pub(super) fn ports(items: &mut Items, ports: &[ForwardPort]) {
    for forward in ports {
        let ForwardPort { host_port, container_port: _, protocol, host_address, start_on_connect } = forward;
        let subject = Subject::Port {
            protocol: protocol.to_string(),
            port: host_port.get(),
            address: match host_address.map(|address| address.get()) {
                None => Address::Any,
                Some(address) if address.is_unspecified() => Address::Family { v4: address.is_ipv4() },
                Some(address) => Address::One(address),
            },
            start: *start_on_connect,
        };
        let starts = if *start_on_connect { ", and be started by a connection to it" } else { "" };
        items.can(subject, format!("take host port {}{starts} (forwardPorts)", forward.host_side()));
    }
}

fn network(option: &'static str, name: &str) -> Subject {
    Subject::Network(option, name.to_owned())
}

/// Settings of [Network] that only give: without one of them, the host has an address or a server less.
const GIVING: [&str; 5] = ["Address", "DNS", "Domains", "Gateway", "NTP"];

/// Adds the configuration of the host's end: one item for each setting of [Match], [Link] and [Network], and one for each
/// other section, since a route is one rule however many lines it has.
fn host_end(items: &mut Items, config: &HostNetworkConfig) {
    let mut settings: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for name in ["Match", "Link", "Network"] {
        for (key, values) in config.section(name).into_iter().flat_map(|settings| settings.iter()) {
            settings.entry((name, key)).or_default().extend_from_slice(values);
        }
    }
    for (key, value) in config.values() {
        settings.entry(("Network", key)).or_default().push(value.to_owned());
    }
    for ((section, key), values) in &settings {
        host_setting(items, section, key, values);
    }
    for section in config.further_sections() {
        rule(items, &section);
    }
}

fn host_setting(items: &mut Items, section: &str, key: &str, values: &[String]) {
    if section == "Network" && GIVING.contains(&key) {
        for one in values {
            let assignment = format!("{key}={one}");
            items.can(
                value("hostNetworkConfig", format!("[Network] {assignment}")),
                format!("have {assignment} on the host's end of its link (hostNetworkConfig)"),
            );
        }
        return;
    }
    unknown(items, "hostNetworkConfig", &format!("[{section}] {key}"), values);
}

/// A whole section counts: each of its lines changes what the others mean.
fn rule(items: &mut Items, section: &Section) {
    let lines: Vec<String> = section
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Setting { key, value } => Some(format!("{key}={value}")),
            Item::Comment(_) => None,
        })
        .collect();
    if lines.is_empty() {
        return;
    }
    let gives = ["Address", "Route"].contains(&section.name.as_ref())
        && !lines.iter().any(|line| line.starts_with("Type="));
    if gives {
        let mut values = vec![section.name.to_string()];
        values.extend(lines.iter().cloned());
        items.can(
            Subject::Value("hostNetworkConfig", values),
            format!("have [{}] {} on the host (hostNetworkConfig)", section.name, lines.join(" ")),
        );
    } else {
        let text = format!("[{}] {}", section.name, lines.join(" "));
        let subject = Subject::Setting { option: "hostNetworkConfig", key: text.clone(), values: Vec::new() };
        items.push(Kind::Setting, subject, format!("{text} (hostNetworkConfig)"));
    }
}
