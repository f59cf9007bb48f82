//! Translates a configuration of nixos-container, as its start script reads it.

use nixos_nspawn_units::value::StorePath;
use serde_json::json;

use super::Translation;
use super::conf::Conf;
use super::flags::{flags, users};
use super::network::{NetworkSaid, settle_network};

/// Variables that are read elsewhere, or have no meaning for a start.
const ELSEWHERE: [&str; 2] = ["AUTO_START", "SYSTEM_PATH"];

/// Translates the variables of a configuration.
pub(crate) fn translate(conf: &Conf) -> Translation {
    let mut to = Translation::default();
    let given = |key: &str| conf.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let is_set = |key: &str| given(key) == Some("1");
    let mut network = NetworkSaid { own: is_set("PRIVATE_NETWORK"), ..NetworkSaid::default() };
    to.set("userNamespacing", false);
    if let Some(value) = given("PRIVATE_USERS") {
        users(value, &mut to);
    }
    if let Some(text) = given("EXTRA_NSPAWN_FLAGS") {
        let said = flags(text, &mut to);
        network.own |= said.own;
        network.pair |= said.pair;
        network.namespace |= said.namespace;
    }
    for (key, option) in [("INTERFACES", "interfaces"), ("MACVLANS", "macvlan")] {
        for interface in given(key).into_iter().flat_map(str::split_whitespace) {
            network.own = true;
            to.push(option, interface);
        }
    }
    if let Some(path) = given("NETWORK_NAMESPACE_PATH") {
        network.namespace = true;
        to.set("namespacePath", path);
    }
    for port in given("HOST_PORT").into_iter().flat_map(|ports| ports.split(',')) {
        to.push("forwardPorts", port.trim());
    }
    if let Some(bridge) = given("HOST_BRIDGE") {
        (network.own, network.pair) = (true, true);
        to.set("bridge", bridge);
    }
    addresses(conf, &mut network, &mut to);
    settle_network(network, "HOST_PORT", &mut to);
    if is_set("COPY_RESOLV_CONF") {
        to.set("resolvConf", "copy-host");
    }
    to.autostart = Some(is_set("AUTO_START"));
    if let Some(flake) = given("FLAKE") {
        to.miss(format!(
            "FLAKE={flake}: updates build an attribute of nixosContainers; 'update NAME --flake REF' takes one"
        ));
    }
    if let Some(path) = given("SYSTEM_PATH").filter(|path| path.parse::<StorePath>().is_err()) {
        to.miss(format!("SYSTEM_PATH={path} is not a path in the store, so the profile counts"));
    }
    let known = [
        "COPY_RESOLV_CONF",
        "EXTRA_NSPAWN_FLAGS",
        "FLAKE",
        "HOST_ADDRESS",
        "HOST_ADDRESS6",
        "HOST_BRIDGE",
        "HOST_PORT",
        "INTERFACES",
        "LOCAL_ADDRESS",
        "LOCAL_ADDRESS6",
        "LOCAL_MAC_ADDRESS",
        "MACVLANS",
        "NETWORK_NAMESPACE_PATH",
        "PRIVATE_NETWORK",
        "PRIVATE_USERS",
    ];
    for (key, value) in conf {
        if !known.contains(&key.as_str()) && !ELSEWHERE.contains(&key.as_str()) {
            to.miss(format!("{key}={value}"));
        }
    }
    to
}

/// Translates the addresses: the host's end is a file for networkd; the container's is part of the system inside.
fn addresses(conf: &Conf, network: &mut NetworkSaid, to: &mut Translation) {
    let given = |key: &str| conf.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let bridged = to.has("bridge");
    // An empty address removes the default.
    let mut host = vec![String::new()];
    let mut routes = Vec::new();
    let mut any = false;
    for (suffix, length) in [("", 32), ("6", 128)] {
        let near = given(&format!("HOST_ADDRESS{suffix}"));
        let far = given(&format!("LOCAL_ADDRESS{suffix}"));
        any |= near.is_some() || far.is_some();
        host.extend(
            near.map(|near| if near.contains('/') { near.to_owned() } else { format!("{near}/{length}") }),
        );
        let bare = |address: &str| address.split('/').next().unwrap_or_default().to_owned();
        routes.extend(far.map(|far| json!({ "Destination": format!("{}/{length}", bare(far)) })));
        if let Some(far) = far {
            let gateway = near.filter(|_| !bridged).map(|near| format!(", with the gateway {}", bare(near)));
            to.miss(format!(
                "LOCAL_ADDRESS{suffix}={far}: the address of host0 is part of the system inside{}; set \
                 containerNetworkConfig there",
                gateway.unwrap_or_default()
            ));
        }
    }
    if let Some(address) = given("LOCAL_MAC_ADDRESS") {
        any = true;
        to.miss(format!(
            "LOCAL_MAC_ADDRESS={address}: the address of host0 is part of the system inside; set it by a .link file there"
        ));
    }
    if !any {
        return;
    }
    (network.own, network.pair) = (true, true);
    if bridged || to.has("zone") {
        return;
    }
    to.set(
        "hostNetworkConfig",
        json!({ "address": host, "routes": routes, "networkConfig": { "DHCPServer": "no" } }),
    );
}
