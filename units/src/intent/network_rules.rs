//! Rules about the options of a container's network: refuses what nspawn would refuse, or would understand in another
//! way. Rules between containers are in [`crate::conflict`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Container, Network};

/// Returns the option of the first broken rule and the reason.
pub(super) fn broken_rule(container: &Container) -> Option<(&'static str, String)> {
    network_of_others(container).or_else(|| ends(container)).or_else(|| host_network(container))
}

/// Returns the options that add interfaces, and whether they are set.
fn interfaces(container: &Container) -> [(&'static str, bool); 6] {
    [
        ("bridge", container.bridge.is_some()),
        ("zone", container.zone.is_some()),
        ("macvlan", !container.macvlan.is_empty()),
        ("ipvlan", !container.ipvlan.is_empty()),
        ("interfaces", !container.interfaces.is_empty()),
        ("extraVeths", !container.extra_veths.is_empty()),
    ]
}

/// Refuses interfaces for a container that shares somebody else's network.
fn network_of_others(container: &Container) -> Option<(&'static str, String)> {
    let set = |options: &[(&'static str, bool)]| options.iter().find(|(_, set)| *set).map(|(name, _)| *name);
    let own = interfaces(container);
    if container.namespace_path.is_some() {
        if container.network != Network::Private {
            return Some(("namespacePath", "works only with the default 'network'".to_owned()));
        }
        let further = [("hostNetworkConfig", container.host_network_config.is_some())].into_iter().chain(own);
        if let Some(option) = set(&further.collect::<Vec<_>>()) {
            let reason = "nothing can be added to the existing network namespace of namespacePath";
            return Some((option, reason.to_owned()));
        }
        if !container.forward_ports.is_empty() {
            let reason = "ports can be forwarded only to a network of the container's own, which namespacePath replaces";
            return Some(("forwardPorts", reason.to_owned()));
        }
    }
    match container.network {
        Network::Private => None,
        Network::Host => {
            if let Some(option) = set(&own) {
                let reason = "network 'host' is the host's own network; nothing can be added to it";
                return Some((option, reason.to_owned()));
            }
            (!container.forward_ports.is_empty()).then(|| {
                let reason = "network 'host' needs no forwarding: the container's ports are the host's";
                ("forwardPorts", reason.to_owned())
            })
        }
        Network::None => {
            // These two imply a virtual Ethernet link.
            if let Some(option) = set(&own[..2]) {
                let reason = "needs the virtual Ethernet link that network 'none' omits";
                return Some((option, reason.to_owned()));
            }
            (!container.forward_ports.is_empty()).then(|| {
                let reason = "ports are forwarded over the virtual Ethernet link that network 'none' omits";
                ("forwardPorts", reason.to_owned())
            })
        }
    }
}

/// Refuses names that occur twice on one side, and an interface with two purposes that exclude each other.
fn ends(container: &Container) -> Option<(&'static str, String)> {
    let mut inside: BTreeMap<Cow<'_, str>, &str> = BTreeMap::new();
    for (option, name) in container.inside_interfaces() {
        if let Some(other) = inside.insert(name.clone(), option) {
            let of = if other == option { String::new() } else { format!(" (also by '{other}')") };
            return Some((option, format!("two interfaces would be called '{name}' inside{of}")));
        }
    }
    // A parent serves any number of interfaces of one kind.
    let mut purposes: BTreeMap<&str, &str> = BTreeMap::new();
    for (option, list, shared) in [
        ("interfaces", &container.interfaces, false),
        ("macvlan", &container.macvlan, true),
        ("ipvlan", &container.ipvlan, true),
        ("extraVeths", &container.extra_veths, false),
    ] {
        for pair in list {
            let name = pair.outside.as_str();
            match purposes.insert(name, option) {
                Some(other) if other != option || !shared => {
                    let reason = if other == option {
                        format!("names the host's interface '{name}' twice")
                    } else {
                        format!("the host's interface '{name}' is already used by '{other}'")
                    };
                    return Some((option, reason));
                }
                _ => {}
            }
        }
    }
    None
}

/// Refuses a configuration of the host's end of the link if there is none, or if it is not the container's.
fn host_network(container: &Container) -> Option<(&'static str, String)> {
    let config = container.host_network_config.as_ref()?;
    if container.zone.is_some() {
        let reason = "the interface of a zone's container has no address of its own, the zone's bridge has; \
                      goes without 'zone'";
        return Some(("hostNetworkConfig", reason.to_owned()));
    }
    if !container.has_virtual_ethernet() {
        let reason = "there is no virtual Ethernet link whose end on the host could be configured";
        return Some(("hostNetworkConfig", reason.to_owned()));
    }
    let matched = config.section("Match");
    if matched.is_some_and(|matched| matched.get("Name").is_some_and(|names| !names.is_empty())) {
        let reason =
            "Name= cannot be set: the file is for the container's own interface, whose name is known";
        return Some(("hostNetworkConfig.matchConfig", reason.to_owned()));
    }
    None
}
