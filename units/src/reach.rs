//! What of the host a container can touch. Its options go in, a list for people comes out; building a profile is
//! trusting its author, and this says with what.

use crate::intent::{BindSource, Container, Network};

/// One line for each way the options reach into the host, in a stable order.
pub fn host_reach(container: &Container) -> Vec<String> {
    let mut reach = Vec::new();
    for mount in &container.bind_mounts {
        if let BindSource::Host(path) = &mount.source {
            reach.push(format!("writes {path} (bind mount)"));
        }
    }
    for credential in &container.credentials {
        reach.push(format!("reads credential {} from {}", credential.id, credential.path));
    }
    for port in &container.forward_ports {
        reach.push(format!("takes host port {}/{}", port.protocol, port.host_port.get()));
    }
    if !container.in_user_namespace() {
        reach.push("its root is the host's root (userNamespacing is off)".to_owned());
    }
    if container.mount_daemon_socket {
        reach.push("talks to the host's Nix daemon".to_owned());
    }
    if let Some(filter) =
        container.system_call_filter.as_ref().filter(|filter| !filter.as_str().starts_with('~'))
    {
        reach.push(format!("makes system calls that nspawn denies by default: {filter}"));
    }
    if let Some(zone) = &container.zone {
        reach.push(format!("joins the zone {zone} with its other containers"));
    }
    if let Some(bridge) = &container.bridge {
        reach.push(format!("joins the host's bridge {bridge}"));
    }
    reach.extend(network(container));
    if let Some(script) = &container.activation.reload_script {
        reach.push(format!("runs {script} on the host at a reload"));
    }
    let sections = [
        ("nspawnConfig.Exec", &container.nspawn_config.exec),
        ("nspawnConfig.Files", &container.nspawn_config.files),
        ("nspawnConfig.Network", &container.nspawn_config.network),
        ("serviceConfig", &container.service_config),
        ("unitConfig", &container.unit_config),
    ];
    for (option, settings) in sections {
        for (key, values) in settings.iter() {
            reach.push(format!("sets {key}={} ({option})", values.join(" ")));
        }
    }
    reach
}

/// The networks and interfaces of the host that it gets at.
fn network(container: &Container) -> Vec<String> {
    let mut reach = Vec::new();
    if container.network == Network::Host {
        reach.push("is in the host's network, with all its ports and interfaces".to_owned());
    }
    for pair in &container.interfaces {
        reach.push(format!("takes the host's interface {} for itself", pair.outside));
    }
    for (kind, pairs) in [("macvlan", &container.macvlan), ("ipvlan", &container.ipvlan)] {
        for pair in pairs {
            reach.push(format!(
                "joins the network that the host's interface {} leads to ({kind})",
                pair.outside
            ));
        }
    }
    for pair in &container.extra_veths {
        reach.push(format!("adds the interface {} to the host", pair.outside));
    }
    if let Some(path) = &container.namespace_path {
        reach.push(format!("is in the network namespace {path}"));
    }
    if let Some(config) = &container.host_network_config {
        for (section, key, value) in config.settings() {
            reach.push(format!("sets [{section}] {key}={value} for its end on the host (hostNetworkConfig)"));
        }
    }
    reach
}
