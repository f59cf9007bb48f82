//! What a container claims for itself, so that a copy of it cannot have the same: forwarded ports, interfaces, and static
//! addresses. Pure.

use std::collections::BTreeSet;

use nixos_nspawn_units::conflict::claimed_ports;
use nixos_nspawn_units::intent::Container;
use serde_json::Value;

/// A claim, and the option that makes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    /// The option, as in the container's configuration.
    pub(crate) option: &'static str,
    /// What is claimed.
    pub(crate) what: String,
}

/// Returns the claims of a container that another one has as well.
pub(crate) fn shared(one: &Container, other: &Container) -> Vec<Claim> {
    claims(one).intersection(&claims(other)).cloned().collect()
}

fn claims(container: &Container) -> BTreeSet<Claim> {
    let mut claims = BTreeSet::new();
    let mut add = |option: &'static str, what: String| {
        claims.insert(Claim { option, what });
    };
    for port in claimed_ports(container) {
        let address = port.host_address.map(|address| String::from(address) + ":").unwrap_or_default();
        add("forwardPorts", format!("port {address}{}/{}", port.host_port.get(), port.protocol));
    }
    for pair in &container.extra_veths {
        add("extraVeths", format!("interface {}", pair.outside));
    }
    for pair in &container.interfaces {
        add("interfaces", format!("interface {}", pair.outside));
    }
    for (section, key, value) in container.host_network_config.iter().flat_map(|config| config.settings()) {
        if matches!(section.as_str(), "Network" | "Address") && key == "Address" && is_static(&value) {
            add("hostNetworkConfig", format!("address {value}"));
        }
    }
    if let Some(config) = &container.container_network_config {
        let value = Value::Object(config.object());
        addresses(&value, &mut |address| add("containerNetworkConfig", format!("address {address}")));
    }
    claims
}

/// Reports the static addresses in a value of `systemd.network.networks`.
fn addresses(value: &Value, found: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match (key.as_str(), value) {
                    ("address" | "Address", Value::String(text)) if is_static(text) => found(text),
                    ("address" | "Address", Value::Array(all)) => {
                        all.iter()
                            .filter_map(Value::as_str)
                            .filter(|text| is_static(text))
                            .for_each(&mut *found);
                    }
                    _ => {}
                }
                if !value.is_string() {
                    addresses(value, found);
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|value| addresses(value, found)),
        _ => {}
    }
}

/// Returns whether a value of `Address=` is one that networkd does not choose (`systemd.network(5)`).
fn is_static(value: &str) -> bool {
    !value.is_empty() && !value.starts_with("0.0.0.0") && value != "::" && !value.starts_with("::/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(text: &str) -> Container {
        nixos_nspawn_units::intent::parse_data(text.as_bytes()).unwrap().container
    }

    #[test]
    fn what_two_containers_cannot_share() {
        let web = container(
            r#"{"version": 1, "forwardPorts": ["8080:80"], "extraVeths": ["vx:eth1"],
                "containerNetworkConfig": {"address": ["10.0.0.2/24", "::/64"], "addresses": [{"Address": "10.1.0.2/24"}]},
                "hostNetworkConfig": {"address": ["10.0.0.1/24", "0.0.0.0/28"]}}"#,
        );
        let shown: Vec<String> =
            shared(&web, &web).iter().map(|claim| format!("{}: {}", claim.option, claim.what)).collect();
        assert_eq!(
            shown,
            [
                "containerNetworkConfig: address 10.0.0.2/24",
                "containerNetworkConfig: address 10.1.0.2/24",
                "extraVeths: interface vx",
                "forwardPorts: port 8080/tcp",
                "hostNetworkConfig: address 10.0.0.1/24",
            ]
        );
        assert_eq!(shared(&web, &container(r#"{"version": 1}"#)), []);
        let plain = container(r#"{"version": 1, "ephemeral": true}"#);
        assert_eq!(shared(&plain, &plain), []);
    }
}
