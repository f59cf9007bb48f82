//! Decides whose network a container is in.

use super::Translation;

/// What arguments and settings say of the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct NetworkSaid {
    /// A network of its own.
    pub(super) own: bool,
    /// A pair of interfaces to the host.
    pub(super) pair: bool,
    /// An existing namespace.
    pub(super) namespace: bool,
}

/// Sets whose network the container is in. Forwarded ports that have no effect there are listed as `ports_said`.
pub(super) fn settle_network(network: NetworkSaid, ports_said: &str, to: &mut Translation) {
    let ports = to.has("forwardPorts");
    if !network.own && !network.namespace {
        if ports {
            to.options.remove("forwardPorts");
            to.miss(format!("{ports_said} has no effect without a private network, so it is left out"));
        }
        return to.set("network", "host");
    }
    // To nspawn, a port alone makes no pair of interfaces.
    let pair = network.pair || network.namespace;
    if ports && !pair {
        to.options.remove("forwardPorts");
        to.miss(format!("{ports_said} has no effect without interfaces to the host, so it is left out"));
    }
    to.set("network", if pair { "private" } else { "none" });
}
