//! Rules that concern several fields of one intent: what nspawn would refuse at the start is refused here, with the
//! field's name. Rules between containers are in [`crate::conflict`].

use super::limit::rlimit_fault;
use super::mount::place_fault;
use super::{Dependency, ForwardPort, Intent, free, network_rules};
use crate::syntax::escape::executable;
use crate::syntax::settings::parse_boolean;

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
    let capabilities = &container.capabilities;
    if let Some(both) = capabilities.add.iter().find(|added| capabilities.drop.contains(added)) {
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
    free::fault(container)
}

/// Returns why two forwards of one host port exclude each other.
fn forwarded_twice(ports: &[ForwardPort]) -> Option<String> {
    ports.iter().enumerate().find_map(|(number, port)| {
        let clashes = |other: &&ForwardPort| port.overlaps(other) && !port.completes(other);
        let first = ports[..number].iter().find(clashes)?;
        let (here, there) = (port.host_side(), first.host_side());
        Some(if here == there {
            format!("host port {here} is forwarded twice")
        } else {
            format!("host port {here} is part of {there}, which is already forwarded")
        })
    })
}

fn duplicate<T: Ord>(items: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = std::collections::BTreeSet::new();
    items.into_iter().find_map(|item| {
        if seen.contains(&item) {
            Some(item)
        } else {
            seen.insert(item);
            None
        }
    })
}
