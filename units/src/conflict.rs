//! What two containers cannot share: host ports and shortened interface names. All intents go in, a warning
//! for each claimant comes out, naming the others. Both are started all the same: a new hand-written intent must not
//! take down a container that works; `create` and `update` refuse the newcomer.

use std::collections::BTreeMap;
use std::fmt;

use crate::intent::{Intent, Protocol};
use crate::name::{MachineName, host_interface};
use crate::value::Port;

/// The host-side interface nspawn gives the container.
pub fn interface(name: &MachineName, intent: &Intent) -> String {
    let bridged = intent.container.bridge.is_some() || intent.container.zone.is_some();
    host_interface(if bridged { "vb-" } else { "ve-" }, name)
}

/// What only one container at a time can have.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Interface(String),
    Port(Protocol, Port),
}

impl fmt::Display for Claim {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(name) => write!(out, "interface '{name}'"),
            Self::Port(protocol, port) => write!(out, "host port {protocol}/{}", port.get()),
        }
    }
}

/// Each container's conflicts with others, as messages; none of a container that has none.
pub fn conflicts<'a>(
    intents: impl Iterator<Item = (&'a MachineName, &'a Intent)>,
) -> BTreeMap<&'a MachineName, Vec<String>> {
    let mut claims: BTreeMap<Claim, Vec<&MachineName>> = BTreeMap::new();
    for (name, intent) in intents {
        claims.entry(Claim::Interface(interface(name, intent))).or_default().push(name);
        for port in &intent.container.forward_ports {
            claims.entry(Claim::Port(port.protocol, port.host_port)).or_default().push(name);
        }
    }
    let mut found: BTreeMap<&MachineName, Vec<String>> = BTreeMap::new();
    for (what, claimants) in claims.iter().filter(|(_, claimants)| claimants.len() > 1) {
        for one in claimants {
            let others: Vec<String> =
                claimants.iter().filter(|other| other != &one).map(|other| format!("'{other}'")).collect();
            found.entry(one).or_default().push(format!("{what} is also claimed by {}", others.join(", ")));
        }
    }
    found
}
