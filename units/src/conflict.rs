//! Finds what two containers cannot share: host ports and shortened interface names. Each claimant gets a warning that
//! names the others. Both still start: a new hand-written intent must not take down a container that works. `create`
//! and `update` refuse the newcomer.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::intent::{Container, ForwardPort, HostAddress, Intent};
use crate::name::MachineName;

/// Returns the names that nspawn gives to the host's ends of virtual Ethernet links, and the interfaces of the host
/// that it uses.
fn claimed_interfaces(name: &MachineName, container: &Container) -> impl Iterator<Item = String> {
    let pairs = container.extra_veths.iter().chain(&container.interfaces);
    container.host_interface(name).into_iter().chain(pairs.map(|pair| pair.outside.to_string()))
}

/// Returns each container's conflicts with others, as messages; containers without conflicts are left out.
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
    interfaces.sort_unstable();
    interfaces.dedup();
    let taken = |parent: &String, by: &MachineName| {
        let from = interfaces.partition_point(|(interface, _)| interface < parent);
        let same = interfaces[from..].iter().take_while(|(interface, _)| interface == parent);
        // One container may claim it more than once, but rarely does.
        same.map(|(_, name)| *name).any(|name| name != by)
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
    claims.dedup();
    for claimants in claims.chunk_by(|(one, _), (other, _)| one == other) {
        // Nearly every claim is the only one, and takes no text.
        if let [_] = claimants {
            continue;
        }
        for (what, one) in claimants {
            let others = claimants.iter().map(|(_, other)| *other);
            add(found, &format!("interface '{what}'"), one, others);
        }
    }
}

/// Returns the ports of the options and those of free-form settings, both as nspawn writes them.
pub fn claimed_ports(container: &Container) -> impl Iterator<Item = Cow<'_, ForwardPort>> {
    let free = container.nspawn_config.network.get("Port").unwrap_or_default();
    let free = free.iter().filter_map(|text| text.parse().ok()).map(Cow::Owned);
    container.forward_ports.iter().map(Cow::Borrowed).chain(free)
}

fn shared_ports<'a>(mut claims: Vec<(Cow<'a, ForwardPort>, &'a MachineName)>, found: &mut Found<'a>) {
    // Only forwards of the same port are compared, or a thousand containers would take a million comparisons.
    let order = |(port, name): &(Cow<'a, ForwardPort>, &'a MachineName)| {
        (port.protocol, port.host_port, port.host_address, *name)
    };
    claims.sort_unstable_by_key(order);
    claims.dedup_by(|one, other| order(one) == order(other));
    let same_port = |one: &ForwardPort, other: &ForwardPort| {
        (one.protocol, one.host_port) == (other.protocol, other.host_port)
    };
    for claimants in claims.chunk_by(|(one, _), (other, _)| same_port(one, other)) {
        // Nor do the claims of one container conflict, such as those of a port and of its loopback.
        if claimants.windows(2).all(|pair| pair[0].1 == pair[1].1) {
            continue;
        }
        // The addresses of a port are not compared pair by pair either.
        let mut by_address = ByAddress::default();
        for (port, name) in claimants {
            by_address.note(port.host_address, name);
        }
        for (what, one) in claimants {
            let others = by_address.overlapping(what.host_address);
            add(found, &format!("host port {}", what.host_side()), one, others);
        }
    }
}

/// The first claimants of one port on each address, on all addresses of each family, and on any.
#[derive(Default)]
struct ByAddress<'a> {
    single: BTreeMap<Option<HostAddress>, Vec<&'a MachineName>>,
    families: BTreeMap<bool, Vec<&'a MachineName>>,
    all: Vec<&'a MachineName>,
}

impl<'a> ByAddress<'a> {
    fn note(&mut self, address: Option<HostAddress>, name: &'a MachineName) {
        let note = |names: &mut Vec<&'a MachineName>| {
            // One more than a message needs to tell that there are others.
            if names.len() < SHOWN + 2 && !names.contains(&name) {
                names.push(name);
            }
        };
        note(self.single.entry(address).or_default());
        note(&mut self.all);
        if let Some(address) = address {
            note(self.families.entry(address.get().is_ipv4()).or_default());
        }
    }

    /// Returns those whose claim overlaps one on this address, as [`ForwardPort::overlaps`] decides.
    fn overlapping(&self, address: Option<HostAddress>) -> impl Iterator<Item = &'a MachineName> {
        let single = |address| self.single.get(&address).map_or(&[][..], Vec::as_slice);
        let lists = match address {
            None => [self.all.as_slice(), &[], &[]],
            Some(address) => {
                let is_ipv4 = address.get().is_ipv4();
                let family = self.families.get(&is_ipv4).map_or(&[][..], Vec::as_slice);
                let unspecified = HostAddress::unspecified(is_ipv4);
                if address == unspecified {
                    [single(None), family, &[]]
                } else {
                    [single(None), single(Some(unspecified)), single(Some(address))]
                }
            }
        };
        lists.into_iter().flatten().copied()
    }
}

/// The maximum number of others that a message names: a thousand containers with one port must not produce a million
/// names.
const SHOWN: usize = 5;

/// The maximum number of conflicts that are reported for one container.
const TOLD: usize = 20;

/// Returns a message for `one` if there are others.
fn add<'a>(
    found: &mut Found<'a>,
    what: &str,
    one: &'a MachineName,
    others: impl Iterator<Item = &'a MachineName>,
) {
    // Another container may use several addresses of the port.
    let mut named: BTreeSet<&MachineName> = BTreeSet::new();
    let mut more = false;
    for other in others.filter(|other| *other != one) {
        if named.len() == SHOWN && !named.contains(other) {
            more = true;
            break;
        }
        named.insert(other);
    }
    if named.is_empty() {
        return;
    }
    let told = found.entry(one).or_default();
    if told.len() >= TOLD {
        told.truncate(TOLD);
        told.push("there are more conflicts than these".to_owned());
        return;
    }
    let named: Vec<String> = named.iter().map(|other| format!("'{other}'")).collect();
    let more = if more { " and others" } else { "" };
    told.push(format!("{what} is also claimed by {}{more}", named.join(", ")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::testing::with_options;

    fn intents(count: usize, container: impl Fn(usize) -> String) -> Vec<(MachineName, Intent)> {
        let one = |number: usize| {
            let name: MachineName = format!("c{number:04}").parse().unwrap();
            let intent = with_options(&name, &container(number)).unwrap();
            (name, intent)
        };
        (0..count).map(one).collect()
    }

    fn found(intents: &[(MachineName, Intent)]) -> Found<'_> {
        conflicts(intents.iter().map(|(name, intent)| (name, intent)))
    }

    #[test]
    fn only_a_few_claimants_are_named() {
        let port = |_| r#"{"forwardPorts":["8080:80","127.0.0.1:8080:80"]}"#.to_owned();
        let one = |name: &str, count| {
            let intents = intents(count, port);
            found(&intents)[&name.parse::<MachineName>().unwrap()].join("; ")
        };
        assert!(one("c0000", 2).ends_with("host port tcp/127.0.0.1:8080 is also claimed by 'c0001'"));
        let six = "is also claimed by 'c0000', 'c0001', 'c0002', 'c0003', 'c0004'";
        assert!(one("c0005", 6).ends_with(six), "{}", one("c0005", 6));
        let text = one("c0999", 1000);
        assert!(text.ends_with(&format!("{six} and others")), "{text}");
    }

    /// Comparing claims by address gives the same result as comparing all pairs.
    #[test]
    fn overlapping_claims() {
        let addresses = ["", "0.0.0.0:", "[::]:", "127.0.0.1:", "127.0.0.2:", "[::1]:"];
        let intents =
            intents(addresses.len(), |at| format!(r#"{{"forwardPorts":["{}80:80"]}}"#, addresses[at]));
        let found = found(&intents);
        for (one, intent) in &intents {
            let port = &intent.container.forward_ports[0];
            let others = intents
                .iter()
                .filter(|(other, intent)| other != one && port.overlaps(&intent.container.forward_ports[0]));
            let named: Vec<String> = others.map(|(other, _)| format!("'{other}'")).collect();
            let text = found[one].join("; ");
            assert!(text.ends_with(&format!("is also claimed by {}", named.join(", "))), "{one}: {text}");
        }
    }

    #[test]
    fn only_a_few_conflicts_are_reported() {
        let ports: Vec<String> = (1..=30).map(|port| format!("\"{port}\"")).collect();
        let intents = intents(2, |_| format!(r#"{{"forwardPorts":[{}]}}"#, ports.join(",")));
        let found = found(&intents);
        assert_eq!(found[&intents[0].0].len(), TOLD + 1);
        assert_eq!(found[&intents[0].0][TOLD], "there are more conflicts than these");
    }

    #[test]
    fn a_parent_interface_that_one_container_takes() {
        let intents = intents(1000, |number| match number {
            7 => r#"{"interfaces":["eth0"]}"#.to_owned(),
            _ => r#"{"macvlan":["eth0","eth1"]}"#.to_owned(),
        });
        let found = found(&intents);
        assert_eq!(found.len(), 1000);
        assert_eq!(found[&intents[0].0].len(), 1, "eth1 serves any number");
        assert!(found[&intents[0].0][0].starts_with("interface 'eth0' is also claimed by"));
    }
}
