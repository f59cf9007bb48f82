//! Forwarded ports of running containers: whether they are in nftables, open, and theirs alone.

use std::collections::BTreeMap;

use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;

use crate::base::host::Host;
use crate::fact::doctor::seen::{Seen, Unseen};
use crate::fact::overview::{Container, Overview};
use crate::fact::taken_ports::Listening;
use crate::host::forwards::{Forwards, Gone, has_had_time};
use crate::host::sockets;

/// The ports of a container, as far as something is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PortsSeen {
    /// The container.
    pub(crate) name: MachineName,
    /// Rules that are gone from nftables.
    pub(crate) gone: Gone,
    /// Sockets that should be open and are not: the port, and the unit.
    pub(crate) closed: Vec<(String, String)>,
    /// Ports on which something else listens, and what.
    pub(crate) taken: Vec<(String, String)>,
}

/// The ports of all containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AllPorts {
    /// Those with something wrong.
    pub(crate) faults: Vec<PortsSeen>,
    /// The number of forwards of running containers, and of those that a connection starts.
    pub(crate) count: usize,
    /// Containers that may not have an address yet, so that nspawn cannot forward to them.
    pub(crate) young: Vec<MachineName>,
    /// Why nftables were not looked at.
    pub(crate) rules_unseen: Option<Unseen>,
    /// Whether they were not looked at because nft is missing.
    pub(crate) nft_missing: bool,
}

impl AllPorts {
    /// Looks at the ports on a booted system.
    pub(crate) fn look(host: &Host, overview: &Overview) -> Seen<Self> {
        let loaded = host.load();
        let runs = |one: &Container| one.state.as_ref().is_some_and(|state| state.active == "active");
        let containers = || overview.containers.values().filter_map(|one| Some((one, one.intent.as_ref()?)));
        let used = |(one, intent): (&Container, &Intent)| {
            let ports = intent.container.forward_ports.iter();
            ports.filter(|port| port.start_on_connect || runs(one)).count()
        };
        let any = containers().any(|(_, intent)| !intent.container.forward_ports.is_empty());
        let count = containers().map(used).sum();
        let linked = containers().any(|(one, intent)| runs(one) && intent.container.has_virtual_ethernet());
        let forwards = if linked { Forwards::read(host) } else { Ok(None) };
        let (forwards, rules_unseen) = match forwards {
            Ok(None) if linked && !host.is_owner() => (None, Some(Unseen::for_root("the rules of nftables"))),
            Ok(forwards) => (forwards, None),
            Err(error) => (None, Some(error.into())),
        };
        let listening = if any { Some(Listening::read(host, &loaded)) } else { None };
        let known = if any { sockets::known(host)? } else { BTreeMap::new() };
        let (mut faults, mut young) = (Vec::new(), Vec::new());
        for (one, intent) in containers() {
            let closed = sockets::closed(&one.name, intent, &known, runs(one))?;
            let gone = forwards.as_ref().filter(|_| runs(one));
            let gone = gone.map(|all| all.gone(host, &one.name, intent, &one.addresses));
            let by_nspawn = intent.container.forward_ports.iter().any(|port| port.by_nspawn());
            if by_nspawn && runs(one) && !has_had_time(host, &one.name) {
                young.push(one.name.clone());
            }
            let taken = listening.as_ref().filter(|_| runs(one));
            let taken = taken.map(|all| all.taken(host, &intent.container, None)).unwrap_or_default();
            let seen = PortsSeen {
                name: one.name.clone(),
                gone: gone.unwrap_or_default(),
                closed: closed.into_iter().map(|socket| (socket.host_side, socket.unit)).collect(),
                taken: taken.iter().map(|taken| (taken.port.clone(), taken.holder())).collect(),
            };
            if seen.gone != Gone::default() || !seen.closed.is_empty() || !seen.taken.is_empty() {
                faults.push(seen);
            }
        }
        let nft_missing = linked && forwards.is_none() && rules_unseen.is_none();
        Ok(Self { faults, count, young, rules_unseen, nft_missing })
    }
}
