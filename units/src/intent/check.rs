//! Rules that concern several fields of one intent: what nspawn would refuse at the start is refused here, with the
//! field's name. Rules between containers are in [`crate::conflict`].

use std::collections::{BTreeMap, BTreeSet};

use super::limit::rlimit_fault;
use super::mount::place_fault;
use super::{
    Capability, Dependency, EnvironmentName, EnvironmentValue, ForwardPort, HostAddress, Intent, Protocol,
    free, network_rules,
};
use crate::invalid::shown;
use crate::value::Port;
use systemd_unit_syntax::escape::executable;
use systemd_unit_syntax::settings::parse_boolean;

/// Returns the field of the first broken rule and the reason.
pub(super) fn broken_rule(intent: &Intent) -> Option<(String, String)> {
    let container = &intent.container;
    let rule = |field: &str, reason: &str| Some((format!("container.{field}"), reason.to_owned()));
    if !container.shared_nix {
        return rule("sharedNix", "only true is supported: the closure of a container is not known at boot");
    }
    if let Some(script) = &container.activation.reload_script {
        if script.as_str().ends_with('/') {
            return rule("activation.reloadScript", "names a directory, must be a program");
        }
        if let Err(error) = executable(script.as_str()) {
            return rule("activation.reloadScript", &error.to_string());
        }
    }
    if container.bridge.is_some() && container.zone.is_some() {
        return rule("zone", "nspawn takes either a zone or a bridge, not both");
    }
    if let Some((option, reason)) = network_rules::broken_rule(container) {
        return rule(option, &reason);
    }
    if let Some(credential) = duplicate(container.credentials.iter().map(|credential| &credential.id)) {
        return rule("credentials", &format!("credential '{credential}' is given twice"));
    }
    let own = |other: &Dependency| {
        intent.name.as_ref().is_some_and(|name| other.container() == Some(name.as_str()))
    };
    for (field, others) in
        [("after", &container.after), ("requires", &container.requires), ("wants", &container.wants)]
    {
        if others.iter().any(own) {
            return rule(field, "names the container itself");
        }
    }
    if container.forward_ports.iter().filter(|port| !port.by_nspawn()).count() > MAX_SOCKETS {
        let reason = format!(
            "more than {MAX_SOCKETS} have a host address or startOnConnect, which takes a socket each"
        );
        return rule("forwardPorts", &reason);
    }
    if let Some(reason) = forwarded_twice(&container.forward_ports) {
        return rule("forwardPorts", &reason);
    }
    let private = container.nspawn_config.network.get("Private").and_then(|values| values.last());
    if private.and_then(|value| parse_boolean(value)) == Some(false) && !container.forward_ports.is_empty() {
        return rule(
            "forwardPorts",
            "ports can be forwarded only with private networking, which Private=no turns off",
        );
    }
    if let Some((field, reason)) = place_fault(container) {
        return rule(field, &reason);
    }
    if let Some((name, fault)) =
        container.rlimits.iter().find_map(|(name, limit)| Some((name, rlimit_fault(name, limit)?)))
    {
        return rule(&format!("rlimits.{name}"), &fault);
    }
    // The kernel takes strings of at most 32 pages with their NUL (MAX_ARG_STRLEN of linux/binfmts.h).
    let too_long = |(name, value): &(&EnvironmentName, &EnvironmentValue)| {
        name.as_str().len() + value.as_str().len() + 2 > 128 * 1024
    };
    if let Some((name, _)) = container.environment.iter().find(too_long) {
        let reason = "name and value together are longer than the 128 KiB that Linux accepts";
        return rule(&format!("environment.{}", shown(name.as_str())), reason);
    }
    let capabilities = &container.capabilities;
    let dropped: BTreeSet<&Capability> = capabilities.drop.iter().collect();
    if let Some(both) = capabilities.add.iter().find(|added| dropped.contains(added)) {
        return rule("capabilities", &format!("{both} is both added and dropped"));
    }
    if let Some(source) = &intent.source {
        let given = [source.flake.is_some(), source.config.is_some(), source.profile.is_some()];
        if given.iter().filter(|is| **is).count() != 1 {
            return Some((
                "source".to_owned(),
                "needs exactly one of 'flake', 'config' and 'profile'".to_owned(),
            ));
        }
    }
    free::rules::fault(container)
}

/// The maximum number of forwards with units of their own: each needs three files, at every boot and reload.
const MAX_SOCKETS: usize = 256;

/// Returns why two forwards of one host port exclude each other.
fn forwarded_twice(ports: &[ForwardPort]) -> Option<String> {
    let mut earlier = Earlier::default();
    ports.iter().enumerate().find_map(|(number, port)| {
        let Some(first) = earlier.first_clash(ports, port) else {
            earlier.note(number, port);
            return None;
        };
        let (here, there) = (port.host_side(), ports[first].host_side());
        Some(if here == there {
            format!("host port {here} is forwarded twice")
        } else {
            format!("host port {here} is part of {there}, which is already forwarded")
        })
    })
}

/// The forwards seen so far. None excludes another, so each address of a port occurs once.
#[derive(Default)]
struct Earlier {
    /// The index of the forward with each protocol, port and address.
    places: BTreeMap<(Protocol, Port, Option<HostAddress>), usize>,
    /// The index of the first forward with an IPv4 or an IPv6 address of a protocol and port.
    families: BTreeMap<(Protocol, Port, bool), usize>,
}

impl Earlier {
    fn note(&mut self, number: usize, port: &ForwardPort) {
        self.places.insert((port.protocol, port.host_port, port.host_address), number);
        if let Some(address) = port.host_address {
            let family = (port.protocol, port.host_port, address.get().is_ipv4());
            self.families.entry(family).or_insert(number);
        }
    }

    /// Returns the first of the earlier forwards that excludes this one.
    fn first_clash(&self, ports: &[ForwardPort], port: &ForwardPort) -> Option<usize> {
        let place = |address| self.places.get(&(port.protocol, port.host_port, address)).copied();
        let clashes = |other: &usize| port.overlaps(&ports[*other]) && !port.completes(&ports[*other]);
        let Some(address) = port.host_address else {
            // Walks all addresses of the port, at most twice: the second forward without an address clashes.
            let from = (port.protocol, port.host_port, None);
            let same = self.places.range(from..).take_while(|((protocol, number, _), _)| {
                (*protocol, *number) == (port.protocol, port.host_port)
            });
            return same.map(|(_, other)| *other).filter(clashes).min();
        };
        let is_ipv4 = address.get().is_ipv4();
        let family = self.families.get(&(port.protocol, port.host_port, is_ipv4)).copied();
        let family = family.filter(|_| address.get().is_unspecified());
        let candidates =
            [place(None), place(Some(HostAddress::unspecified(is_ipv4))), place(Some(address)), family];
        candidates.into_iter().flatten().filter(clashes).min()
    }
}

fn duplicate<T: Ord + Clone>(items: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = BTreeSet::new();
    items.into_iter().find(|item| !seen.insert(item.clone()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "clippy takes helpers of tests for ordinary code")]

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::intent::testing::with_options;

    /// Compares all pairs of forwards: returns the same as [`forwarded_twice`], in quadratic time.
    fn compared(ports: &[ForwardPort]) -> Option<(usize, usize)> {
        ports.iter().enumerate().find_map(|(number, port)| {
            let clashes = |other: &usize| port.overlaps(&ports[*other]) && !port.completes(&ports[*other]);
            Some((number, (0..number).find(clashes)?))
        })
    }

    proptest! {
        #[test]
        fn forwards_that_exclude_each_other(
            texts in vec(
                (select(vec!["", "udp:", "127.0.0.1:", "127.0.0.2:", "0.0.0.0:", "192.0.2.1:", "[::1]:", "[::]:"]),
                 select(vec!["80", "81", "80:81", "81:81"])),
                0..8,
            ),
        ) {
            let ports = texts.iter().filter_map(|(address, rest)| format!("{address}{rest}").parse().ok());
            let ports: Vec<ForwardPort> = ports.collect();
            let mut earlier = Earlier::default();
            let found = ports.iter().enumerate().find_map(|(number, port)| {
                let first = earlier.first_clash(&ports, port);
                earlier.note(number, port);
                Some((number, first?))
            });
            prop_assert_eq!(found, compared(&ports));
        }
    }

    /// Returns the field and the reason of a refused container.
    fn fault(container: &str) -> Option<(String, String)> {
        let fault = with_options(&"web".parse().unwrap(), container).err()?;
        Some((fault.field, fault.reason))
    }

    #[test]
    fn environment_variables_fit_into_32_pages() {
        let value = |length: usize| format!(r#"{{"environment":{{"A":"{}"}}}}"#, "a".repeat(length));
        assert_eq!(fault(&value(131_069)), None);
        let (field, reason) = fault(&value(131_070)).unwrap();
        assert!(field == "container.environment.A" && reason.contains("128 KiB"), "{field}: {reason}");
    }

    #[test]
    fn sockets_are_bounded() {
        let reason = |count: usize| {
            let ports: Vec<String> = (1..=count).map(|port| format!("\"127.0.0.1:{port}:80\"")).collect();
            fault(&format!(r#"{{"forwardPorts":[{}]}}"#, ports.join(","))).map(|(_, reason)| reason)
        };
        assert_eq!(reason(MAX_SOCKETS), None);
        assert!(reason(MAX_SOCKETS + 1).unwrap().starts_with("more than 256 have a host address"));
    }
}
