//! Networks of the host.

use super::facts::Facts;
use super::matter::{Finding, Matter};
use crate::reach::Subject;

pub(super) const MATTERS: &[Matter] = &[
    Matter {
        id: "network",
        settings: &["network", "bridge", "zone", "namespacePath", "nspawnConfig.Network"],
        weight: 1000,
        open: "reaches a network of the host",
        closed: "reaches no network",
        remedy: Some("set network to private rather than host, or to none"),
        find: network,
    },
    Matter {
        id: "interfaces",
        settings: &["interfaces", "macvlan", "ipvlan", "extraVeths", "nspawnConfig.Network"],
        weight: 300,
        open: "has interfaces in networks of the host",
        closed: "has no interface of the host",
        remedy: Some("remove interfaces, macvlan, ipvlan and extraVeths"),
        find: interfaces,
    },
    Matter {
        id: "forwardPorts",
        settings: &["forwardPorts", "nspawnConfig.Network"],
        weight: 200,
        open: "is reached by ports of the host",
        closed: "is reached by no port of the host",
        remedy: Some("give forwardPorts an address of the host, such as 127.0.0.1"),
        find: ports,
    },
    Matter {
        id: "hostNetworkConfig",
        settings: &["hostNetworkConfig"],
        weight: 100,
        open: "has the host's end of its link configured",
        closed: "leaves the host's end of its link as it is",
        remedy: Some("set network to none"),
        find: host_end,
    },
];

fn network(facts: &Facts) -> Finding {
    let of_network = |subject: &Subject| match subject {
        Subject::HostNetwork => true,
        Subject::Network(option, _) => ["zone", "bridge", "network"].contains(option),
        Subject::Value(option, _) => *option == "namespacePath",
        _ => false,
    };
    let details: Vec<String> = facts.lines(|item| of_network(&item.subject)).collect();
    let options = facts.options;
    let (exposure, at_least) = if facts.shares_network() {
        // Abstract sockets of the host, too.
        (100, if facts.in_user_namespace { 50 } else { 85 })
    } else if options.namespace_path.is_some() {
        (60, 0)
    } else if options.bridge.is_some() || options.zone.is_some() {
        (50, 0)
    } else if options.has_virtual_ethernet() {
        (40, 0)
    } else {
        (0, 0)
    };
    Finding { exposure, at_least, details }
}

fn interfaces(facts: &Facts) -> Finding {
    let options = ["macvlan", "ipvlan", "interfaces", "extraVeths"];
    let free = ["MACVLAN", "IPVLAN", "Interface", "VirtualEthernetExtra"];
    let is = |subject: &Subject| match subject {
        Subject::Network(option, _) => options.contains(option),
        Subject::Value("nspawnConfig.Network", words) => {
            words.first().is_some_and(|key| free.contains(&key.as_str()))
        }
        Subject::Value(option, _) => options.contains(option),
        _ => false,
    };
    let details: Vec<String> = facts.lines(|item| item.gives() && is(&item.subject)).collect();
    Finding { exposure: if details.is_empty() { 0 } else { 60 }, at_least: 0, details }
}

fn ports(facts: &Facts) -> Finding {
    let is = |subject: &Subject| match subject {
        Subject::Port { .. } => true,
        Subject::Value("nspawnConfig.Network", words) => words.first().is_some_and(|key| key == "Port"),
        _ => false,
    };
    let details: Vec<String> = facts.lines(|item| item.gives() && is(&item.subject)).collect();
    let local = facts
        .options
        .forward_ports
        .iter()
        .all(|port| port.host_address.is_some_and(|address| address.get().is_loopback()));
    let free = facts.options.nspawn_config.network.get("Port").is_some();
    let exposure = match () {
        () if details.is_empty() => 0,
        () if local && !free => 20,
        () => 50,
    };
    Finding { exposure, at_least: 0, details }
}

fn host_end(facts: &Facts) -> Finding {
    let is = |subject: &Subject| match subject {
        // The defaults come with the link, which `network` accounts for.
        Subject::Value(option, _) | Subject::Setting { option, .. } => *option == "hostNetworkConfig",
        _ => false,
    };
    let details: Vec<String> = facts.lines(|item| is(&item.subject)).collect();
    Finding { exposure: if details.is_empty() { 0 } else { 40 }, at_least: 0, details }
}
