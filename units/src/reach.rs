//! What of the host a container can touch, as a list for people. Building a profile means trusting its author; this
//! says how far.

use crate::intent::{BindSource, Container, Network};

/// Returns one line for each way the options reach into the host, in a stable order.
pub fn host_reach(container: &Container) -> Vec<String> {
    let mut reach = Vec::new();
    for mount in &container.bind_mounts {
        if let BindSource::Host(path) = &mount.source {
            let does = if mount.read_only { "reads" } else { "writes" };
            reach.push(format!("{does} {path} (bind mount)"));
        }
    }
    for device in &container.devices {
        reach.push(format!("uses the device {} ({})", device.path, device.permissions));
    }
    for (_, device) in
        [(container.tun, "/dev/net/tun"), (container.fuse, "/dev/fuse")].iter().filter(|(is, _)| *is)
    {
        reach.push(format!("uses the device {device}"));
    }
    if container.kernel_log {
        reach.push("reads the host's kernel log".to_owned());
    }
    for capability in &container.capabilities.add {
        reach.push(format!("has a capability that nspawn denies by default: {capability}"));
    }
    for credential in &container.credentials {
        let (id, source) = (&credential.id, credential.source());
        let how = if credential.encrypted { " (encrypted)" } else { "" };
        reach.push(match credential.file() {
            Some(path) => format!("reads credential {id} from {path}{how}"),
            None => format!("reads credential {id} from {source} of the host's credential store{how}"),
        });
    }
    for port in &container.forward_ports {
        let starts = if port.start_on_connect { ", and is started by a connection to it" } else { "" };
        reach.push(format!("takes host port {}{starts}", port.host_side()));
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
    for (option, others) in [("requires", &container.requires), ("wants", &container.wants)] {
        for other in others {
            reach.push(format!("starts {} ({option})", other.unit()));
        }
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

/// Returns the networks and interfaces of the host that the container can use.
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
            reach.push(format!("joins the network behind the host's interface {} ({kind})", pair.outside));
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
