//! Finds ports that a container forwards although a service of the host listens on them. The socket units of containers
//! do not count.

use std::net::{IpAddr, Ipv6Addr};

use nixos_nspawn_units::conflict::claimed_ports;
use nixos_nspawn_units::intent::{Container, ForwardPort};
use nixos_nspawn_units::store::Loaded;

use crate::base::host::Host;
use crate::host::listeners;
use crate::host::listeners::{Holder, Listener};

/// A forward of a port that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The port, as `tcp/8080`.
    pub(crate) port: String,
    /// The process that listens on it, if it is visible.
    by: Option<Holder>,
}

impl Taken {
    /// Returns the holder in words.
    pub(crate) fn holder(&self) -> String {
        match &self.by {
            Some(Holder { pid, name }) => format!("{name} (process {pid})"),
            None => "a process of the host".to_owned(),
        }
    }
}

/// The listening sockets of the host, except those of containers.
pub(crate) struct Listening(Vec<Listener>);

impl Listening {
    /// Reads the sockets.
    pub(crate) fn read(host: &Host, loaded: &Loaded) -> Self {
        let mut found = listeners::listeners(host);
        let own = loaded.intents.iter().flat_map(|stored| &stored.intent.container.forward_ports);
        let own: Vec<&ForwardPort> = own.filter(|port| !port.by_nspawn()).collect();
        found.retain(|listener| !own.iter().any(|port| is_own(listener, port)));
        Self(found)
    }

    /// Returns the container's forwards whose ports are in use, except those that it `had` before.
    pub(crate) fn taken(&self, host: &Host, container: &Container, had: Option<&Container>) -> Vec<Taken> {
        let had: Vec<_> = had.into_iter().flat_map(claimed_ports).collect();
        let mut ports: Vec<(String, &Listener)> = Vec::new();
        for port in claimed_ports(container).filter(|port| !had.contains(port)) {
            let by = self.0.iter().find(|listener| collides(listener, &port));
            ports.extend(by.map(|listener| (port.host_side(), listener)));
        }
        if ports.is_empty() {
            return Vec::new();
        }
        let sockets: Vec<&Listener> = ports.iter().map(|(_, listener)| *listener).collect();
        let mut holders = listeners::holders(host, &sockets);
        let taken = ports.into_iter().enumerate();
        taken.map(|(at, (port, _))| Taken { port, by: holders.remove(&at) }).collect()
    }
}

/// The address on which a socket unit listens for a forward without an address.
const ALL: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Returns whether the socket is that of the forward's socket unit.
fn is_own(listener: &Listener, port: &ForwardPort) -> bool {
    let address = port.host_address.map_or(ALL, |address| address.get());
    same_port(listener, port) && listener.address == address
}

fn same_port(listener: &Listener, port: &ForwardPort) -> bool {
    listener.protocol == port.protocol && listener.port == port.host_port.get()
}

/// Returns whether the forward would take the port from the socket, or could not be opened because of it.
fn collides(listener: &Listener, port: &ForwardPort) -> bool {
    same_port(listener, port)
        && match port.host_address.map(|address| address.get()) {
            // nspawn redirects connections to all addresses of the host except loopback ones.
            None if port.by_nspawn() => !listener.address.is_loopback(),
            None => true,
            Some(address) => {
                listener.address == address
                    || listener.address == ALL
                    || listener.address.is_ipv4() == address.is_ipv4()
                        && (listener.address.is_unspecified() || address.is_unspecified())
            }
        }
}
