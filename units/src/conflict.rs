//! What two containers cannot share: host ports and shortened interface names. All intents go in, a warning
//! for each claimant comes out, naming the others. Both are started all the same: a new hand-written intent must not
//! take down a container that works; `create` and `update` refuse the newcomer.

use std::collections::BTreeMap;

use crate::intent::Intent;
use crate::name::{MachineName, host_interface};

/// The host-side interface nspawn gives the container.
pub fn interface(name: &MachineName, intent: &Intent) -> String {
    let bridged = intent.container.bridge.is_some() || intent.container.zone.is_some();
    host_interface(if bridged { "vb-" } else { "ve-" }, name)
}

/// Each container's conflicts with others, as messages; none of a container that has none.
pub fn conflicts<'a>(
    intents: impl Iterator<Item = (&'a MachineName, &'a Intent)>,
) -> BTreeMap<&'a MachineName, Vec<String>> {
    let mut claims: BTreeMap<String, Vec<&MachineName>> = BTreeMap::new();
    for (name, intent) in intents {
        claims.entry(format!("interface '{}'", interface(name, intent))).or_default().push(name);
        for port in &intent.container.forward_ports {
            claims
                .entry(format!("host port {}/{}", port.protocol, port.host_port.get()))
                .or_default()
                .push(name);
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
