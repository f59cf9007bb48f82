//! networkd, and what it and the kernel do with packets of containers.

use std::fs;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::network::{ipv6_forwarding, network_file};
use systemd_unit_syntax::settings::parse_boolean;

use crate::base::exit::refusal;
use crate::base::host::Host;
use crate::fact::doctor::seen::{Seen, Unseen};
use crate::fact::host_network::{check_uplinks, deaf_uplinks, rules};
use crate::fact::overview::{Container, Overview};
use crate::host::forwards::{has_had_time, masqueraded};
use crate::host::networkd;
use crate::host::networkd::NETWORKD;
use crate::host::networkd_conf::at_risk;
use crate::host::systemd::unit_is;

/// The state of networkd and of forwarding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkSeen {
    /// Containers whose interface networkd configures.
    pub(crate) linked: Vec<MachineName>,
    /// Those of them with settings of their own for the host's end.
    pub(crate) configured: Vec<MachineName>,
    /// Whether networkd runs.
    pub(crate) runs: bool,
    /// Whether it starts with the host.
    pub(crate) enabled: bool,
    /// The settings without which it deletes what other programs made.
    pub(crate) at_risk: Vec<&'static str>,
    /// How many of these there are.
    pub(crate) foreign_rules: Seen<usize>,
    /// Running containers whose packets the host must forward.
    pub(crate) forwarded: Vec<MachineName>,
    /// Whether the kernel forwards IPv4.
    pub(crate) forwards: Seen<bool>,
    /// What IPv6 forwarding would cost the host: the text, and the next step.
    pub(crate) costs: Vec<(String, String)>,
    /// Interfaces that ignore router advertisements since the host forwards IPv6, and a container that asks for that.
    pub(crate) deaf: Vec<(String, MachineName)>,
}

impl NetworkSeen {
    /// Looks at the network of a booted system.
    pub(crate) fn look(host: &Host, overview: &Overview) -> Seen<Self> {
        let linked = containers(overview).filter(|(one, _)| linked(one));
        let masked = |(one, _): &(&Container, _)| {
            one.intent.as_ref().is_some_and(|intent| masqueraded(&one.name, intent))
        };
        let forwarded = containers(overview).filter(masked).filter(|(one, _)| settled(host, one));
        let path = host.path("/proc/sys/net/ipv4/ip_forward");
        let forwards = fs::read_to_string(&path).map_err(|error| Unseen::path(&path, &error));
        Ok(Self {
            configured: linked.clone().filter(|(_, own)| *own).map(|(one, _)| one.name.clone()).collect(),
            linked: linked.map(|(one, _)| one.name.clone()).collect(),
            runs: unit_is(host, "is-active", NETWORKD)?,
            enabled: unit_is(host, "is-enabled", NETWORKD)?,
            at_risk: at_risk(host),
            foreign_rules: rules(host).map_err(Unseen::from),
            forwarded: forwarded.map(|(one, _)| one.name.clone()).collect(),
            forwards: forwards.map(|value| value.trim() == "1"),
            costs: costs(host, overview),
            deaf: deaf(host, overview)?,
        })
    }
}

/// Returns the containers, and whether they have settings of their own for the host's end.
fn containers(overview: &Overview) -> impl Iterator<Item = (&Container, bool)> + Clone {
    let own = |one: &Container| {
        one.intent.as_ref().is_some_and(|intent| intent.container.host_network_config.is_some())
    };
    overview.containers.values().map(move |one| (one, own(one)))
}

fn linked(container: &Container) -> bool {
    container.intent.as_ref().is_some_and(|intent| intent.container.has_virtual_ethernet())
}

/// Returns whether a container has been running for long enough to have its network.
fn settled(host: &Host, container: &Container) -> bool {
    container.state.as_ref().is_some_and(|state| state.active == "active")
        && has_had_time(host, &container.name)
}

/// Returns the containers that make the host forward IPv6.
fn forwarding_ipv6(overview: &Overview) -> Vec<&Container> {
    let asks = |one: &&Container| {
        one.intent.as_ref().is_some_and(|intent| ipv6_forwarding(&one.name, &intent.container).is_some())
    };
    overview.containers.values().filter(asks).collect()
}

fn costs(host: &Host, overview: &Overview) -> Vec<(String, String)> {
    let cost = |one: &Container| {
        let error = check_uplinks(host, &one.name, &one.intent.as_ref()?.container).err()?;
        Some(match refusal(&error) {
            Some(refusal) => (refusal.why.clone(), refusal.remedy.clone().unwrap_or_default()),
            None => (format!("{error:#}"), String::new()),
        })
    };
    forwarding_ipv6(overview).into_iter().filter_map(cost).collect()
}

fn deaf(host: &Host, overview: &Overview) -> Seen<Vec<(String, MachineName)>> {
    match forwarding_ipv6(overview).first() {
        Some(first) => {
            Ok(deaf_uplinks(host)?.into_iter().map(|uplink| (uplink, first.name.clone())).collect())
        }
        None => Ok(Vec::new()),
    }
}

/// A running container that should have got an address by DHCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addressed {
    /// Its name.
    pub(crate) name: MachineName,
    /// The host's end of its link.
    pub(crate) interface: String,
    /// Its addresses.
    pub(crate) addresses: Vec<String>,
    /// The state of the host's end, as networkd records it.
    pub(crate) state: Option<String>,
}

/// Returns the running containers to which networkd serves DHCP, except those that have just started.
pub(crate) fn addressed(overview: &Overview, host: &Host) -> Seen<Vec<Addressed>> {
    let one = |container: &Container| {
        let intent = container.intent.as_ref()?;
        let file = network_file(&container.name, &intent.container, u32::MAX)?;
        let serves = file.values("Network", "DHCPServer").last().and_then(parse_boolean);
        let interface = intent.container.host_interface(&container.name)?;
        let record = networkd::link(host, &interface);
        let state = record.as_deref().and_then(|record| networkd::link_value(record, "ADMIN_STATE"));
        (serves == Some(true) && settled(host, container)).then(|| Addressed {
            name: container.name.clone(),
            addresses: container.addresses.clone(),
            state: state.map(str::to_owned),
            interface,
        })
    };
    let all: Vec<Addressed> = overview.containers.values().filter_map(one).collect();
    match &overview.unknown_addresses {
        Some(why) if all.iter().any(|one| one.addresses.is_empty()) => {
            Err(Unseen { why: why.clone(), needs_root: !host.is_owner() })
        }
        _ => Ok(all),
    }
}
