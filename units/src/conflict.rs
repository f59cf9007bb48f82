//! What two containers cannot share: host ports and shortened interface names. All intents go in, a warning
//! for each claimant comes out, naming the others. Both are started all the same: a new hand-written intent must not
//! take down a container that works; `create` and `update` refuse the newcomer.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::intent::{Container, ForwardPort, Intent};
use crate::name::MachineName;

/// The names that nspawn gives to interfaces of the host, or takes interfaces away by.
fn claimed_interfaces(name: &MachineName, container: &Container) -> impl Iterator<Item = String> {
    let pairs = container.extra_veths.iter().chain(&container.interfaces);
    container.host_interface(name).into_iter().chain(pairs.map(|pair| pair.outside.to_string()))
}

/// Each container's conflicts with others, as messages; none of a container that has none.
pub fn conflicts<'a>(
    intents: impl Iterator<Item = (&'a MachineName, &'a Intent)>,
) -> BTreeMap<&'a MachineName, Vec<String>> {
    let mut interfaces: Vec<(String, &MachineName)> = Vec::new();
    let mut parents: Vec<(String, &MachineName)> = Vec::new();
    let mut ports: Vec<(Cow<'a, ForwardPort>, &MachineName)> = Vec::new();
    for (name, intent) in intents {
        interfaces.extend(claimed_interfaces(name, &intent.container).map(|interface| (interface, name)));
        let shared = intent.container.macvlan.iter().chain(&intent.container.ipvlan);
        parents.extend(shared.map(|pair| (pair.outside.to_string(), name)));
        ports.extend(claimed_ports(&intent.container).map(|port| (port, name)));
    }
    // A parent serves any number of containers, unless one takes it away.
    let taken = |parent: &String, by: &MachineName| {
        interfaces.iter().any(|(interface, name)| interface == parent && *name != by)
    };
    parents.retain(|(parent, name)| taken(parent, name));
    interfaces.append(&mut parents);
    let mut found = BTreeMap::new();
    shared_interfaces(interfaces, &mut found);
    shared_ports(ports, &mut found);
    found
}

type Found<'a> = BTreeMap<&'a MachineName, Vec<String>>;

fn shared_interfaces<'a>(mut claims: Vec<(String, &'a MachineName)>, found: &mut Found<'a>) {
    claims.sort_unstable();
    for claimants in claims.chunk_by(|(one, _), (other, _)| one == other) {
        for (what, one) in claimants {
            let others = claimants.iter().map(|(_, other)| *other);
            add(found, &format!("interface '{what}'"), one, others);
        }
    }
}

/// The ports of the options, and those of free-form settings, which nspawn writes in the same way.
fn claimed_ports(container: &Container) -> impl Iterator<Item = Cow<'_, ForwardPort>> {
    let free = container.nspawn_config.network.get("Port").unwrap_or_default();
    let free = free.iter().filter_map(|text| text.parse().ok()).map(Cow::Owned);
    container.forward_ports.iter().map(Cow::Borrowed).chain(free)
}

fn shared_ports<'a>(mut claims: Vec<(Cow<'a, ForwardPort>, &'a MachineName)>, found: &mut Found<'a>) {
    // Overlaps are looked for within the same port only, or a thousand containers would take a million looks.
    let order = |(port, name): &(Cow<'a, ForwardPort>, &'a MachineName)| {
        (port.protocol, port.host_port, port.host_address, *name)
    };
    claims.sort_unstable_by_key(order);
    let same_port = |one: &ForwardPort, other: &ForwardPort| {
        (one.protocol, one.host_port) == (other.protocol, other.host_port)
    };
    for claimants in claims.chunk_by(|(one, _), (other, _)| same_port(one, other)) {
        for (what, one) in claimants {
            let others = claimants.iter().filter(|(port, _)| what.overlaps(port)).map(|(_, other)| *other);
            add(found, &format!("host port {}", what.host_side()), one, others);
        }
    }
}

/// A message for `one`, if there are others.
fn add<'a>(
    found: &mut Found<'a>,
    what: &str,
    one: &'a MachineName,
    others: impl Iterator<Item = &'a MachineName>,
) {
    let mut others: Vec<&MachineName> = others.filter(|other| *other != one).collect();
    if others.is_empty() {
        return;
    }
    // Another container may have several addresses of the port.
    others.sort_unstable();
    others.dedup();
    let others: Vec<String> = others.iter().map(|other| format!("'{other}'")).collect();
    found.entry(one).or_default().push(format!("{what} is also claimed by {}", others.join(", ")));
}
