//! What two containers cannot share: host ports and shortened interface names. All intents go in, a warning
//! for each claimant comes out, naming the others. Both are started all the same: a new hand-written intent must not
//! take down a container that works; `create` and `update` refuse the newcomer.

use std::collections::BTreeMap;
use std::fmt;

use crate::intent::{Container, Intent, Protocol};
use crate::name::MachineName;
use crate::value::Port;

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

/// The names that nspawn gives to interfaces of the host, or takes interfaces away by.
fn interfaces(name: &MachineName, container: &Container) -> impl Iterator<Item = String> {
    let pairs = container.extra_veths.iter().chain(&container.interfaces);
    container.host_interface(name).into_iter().chain(pairs.map(|pair| pair.outside.to_string()))
}

/// Each container's conflicts with others, as messages; none of a container that has none.
pub fn conflicts<'a>(
    intents: impl Iterator<Item = (&'a MachineName, &'a Intent)>,
) -> BTreeMap<&'a MachineName, Vec<String>> {
    let mut claims: Vec<(Claim, &MachineName)> = Vec::new();
    let mut parents: Vec<(Claim, &MachineName)> = Vec::new();
    for (name, intent) in intents {
        claims
            .extend(interfaces(name, &intent.container).map(|interface| (Claim::Interface(interface), name)));
        let shared = intent.container.macvlan.iter().chain(&intent.container.ipvlan);
        parents.extend(shared.map(|pair| (Claim::Interface(pair.outside.to_string()), name)));
        for port in &intent.container.forward_ports {
            claims.push((Claim::Port(port.protocol, port.host_port), name));
        }
    }
    // A parent serves any number of containers, unless one takes it away.
    let taken =
        |parent: &Claim, by: &MachineName| claims.iter().any(|(claim, name)| claim == parent && *name != by);
    parents.retain(|(parent, name)| taken(parent, name));
    claims.append(&mut parents);
    claims.sort_unstable();
    let mut found: BTreeMap<&MachineName, Vec<String>> = BTreeMap::new();
    for claimants in claims.chunk_by(|(one, _), (other, _)| one == other).filter(|same| same.len() > 1) {
        for (what, one) in claimants {
            let others = claimants.iter().map(|(_, other)| other).filter(|other| *other != one);
            let others: Vec<String> = others.map(|other| format!("'{other}'")).collect();
            found.entry(one).or_default().push(format!("{what} is also claimed by {}", others.join(", ")));
        }
    }
    found
}
