//! The rules of systemd-nspawn and networkd in nftables, which other programs can flush unnoticed.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::conflict::claimed_ports;
use nixos_nspawn_units::copies::copy_path;
use nixos_nspawn_units::intent::{Intent, Protocol};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::network::host_end;
use nixos_nspawn_units::service::unit_name;
use serde_json::Value;
use systemd_unit_syntax::UnitFile;
use systemd_unit_syntax::settings::parse_boolean;

use crate::base::call::{Ended, Messages};
use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::base::program::ended;
use crate::host::files::{SYSTEM_FOLDERS, which};
use crate::host::networkd;

/// How long nft may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How long a container may take to get the address that nspawn forwards to.
const UNTIL_ADDRESS: Duration = Duration::from_secs(20);

/// The rules of systemd in nftables for containers.
pub(crate) struct Forwards {
    /// The forwarded ports, as protocol and port.
    ports: BTreeSet<(u64, u64)>,
    /// What networkd masquerades over IPv4.
    masqueraded: Vec<Sources>,
}

impl Forwards {
    /// Reads the forwards; returns `None` if the caller may not, or without nft. Fails if nft does.
    pub(crate) fn read(host: &Host) -> Result<Option<Self>> {
        if !host.live() || !host.is_owner() {
            return Ok(None);
        }
        match which("nft", &SYSTEM_FOLDERS) {
            Some(nft) => Self::read_with(host, &nft).map(Some),
            None => Ok(None),
        }
    }

    fn read_with(host: &Host, nft: &Path) -> Result<Self> {
        let list = |words: [&str; 4]| {
            let call = host.program(nft).args(["-j", "list"]).args(words).limit(LIMIT);
            table(&call.ended_with(Messages::Kept)?)
        };
        let of = |family| Ok(ports(&list(["map", family, "io.systemd.nat", "map_port_ipport"])?));
        let both: Result<[Vec<_>; 2]> = of("ip").and_then(|ports| Ok([ports, of("ip6")?]));
        Ok(Self {
            ports: both?.into_iter().flatten().collect(),
            masqueraded: sources(&list(["set", "ip", "io.systemd.nat", "masq_saddr"])?),
        })
    }

    /// Returns whether networkd masquerades anything over IPv4.
    pub(crate) fn masquerades(&self) -> bool {
        !self.masqueraded.is_empty()
    }

    /// Returns whether it masquerades a container with these addresses. Without any over IPv4, that cannot be told.
    fn masquerades_any(&self, addresses: &[String]) -> bool {
        let mut usable = addresses
            .iter()
            .filter_map(|address| address.parse::<Ipv4Addr>().ok())
            .filter(|address| !address.is_link_local())
            .peekable();
        match usable.peek() {
            None => self.masquerades(),
            Some(_) => usable.any(|address| self.masqueraded.iter().any(|sources| sources.contain(address))),
        }
    }

    /// Returns warnings about a running container whose rules are gone.
    pub(crate) fn missing(
        &self,
        host: &Host,
        name: &MachineName,
        intent: &Intent,
        addresses: &[String],
    ) -> Vec<String> {
        let gone = self.gone(host, name, intent, addresses);
        let ports = gone
            .ports_text()
            .map(|text| format!("{text}; 'systemctl restart {}' restores them", unit_name(name)));
        let masquerade = gone.masquerade.then(|| {
            format!("is not masqueraded: {NO_MASQUERADE}; 'nixos-nspawn doctor' says how to restore them")
        });
        ports.into_iter().chain(masquerade).collect()
    }

    /// Returns which rules of a running container with these addresses are gone.
    pub(crate) fn gone(
        &self,
        host: &Host,
        name: &MachineName,
        intent: &Intent,
        addresses: &[String],
    ) -> Gone {
        if !has_had_time(host, name) {
            return Gone::default();
        }
        let ports = claimed_ports(&intent.container).filter(|port| port.by_nspawn());
        let gone =
            ports.filter(|port| !self.ports.contains(&(number(port.protocol), port.host_port.get().into())));
        Gone {
            ports: gone.map(|port| port.host_side()).collect(),
            masquerade: !self.masquerades_any(addresses) && masqueraded(name, intent) && networkd::runs(host),
        }
    }
}

/// Returns whether a container has been running for long enough to have an address.
pub(crate) fn has_had_time(host: &Host, name: &MachineName) -> bool {
    let started = copy_path(&host.root, name).metadata().and_then(|copy| copy.modified());
    started.is_ok_and(|time| time.elapsed().is_ok_and(|time| time >= UNTIL_ADDRESS))
}

/// Rules of a container that are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Gone {
    /// The ports that are no longer forwarded, as `tcp/8080`.
    pub(crate) ports: Vec<String>,
    /// Whether it is no longer masqueraded.
    pub(crate) masquerade: bool,
}

/// Why a container is not masqueraded.
pub(crate) const NO_MASQUERADE: &str =
    "the rules of systemd-networkd are not in nftables, as after a reload of the firewall";

impl Gone {
    /// Says which ports are not forwarded, and why; `None` if all are.
    pub(crate) fn ports_text(&self) -> Option<String> {
        let (noun, verb) = if self.ports.len() == 1 { ("port", "is") } else { ("ports", "are") };
        (!self.ports.is_empty()).then(|| {
            format!(
                "{noun} {} {verb} not forwarded: the rules of systemd-nspawn are not in nftables, as after a reload of \
                 the firewall, or the container has no address",
                self.ports.join(", ")
            )
        })
    }
}

/// Returns whether networkd's file for the container, or for the bridge of its zone, masquerades IPv4.
pub(crate) fn masqueraded(name: &MachineName, intent: &Intent) -> bool {
    host_end(name, &intent.container, u32::MAX).is_some_and(|end| masquerades(&end.file))
}

/// Returns whether a .network file masquerades IPv4.
pub(crate) fn masquerades(file: &UnitFile) -> bool {
    let value = file.values("Network", "IPMasquerade").last();
    value.is_some_and(|value| ["ipv4", "both"].contains(&value) || parse_boolean(value) == Some(true))
}

/// Returns the number of a protocol (RFC 5237).
fn number(protocol: Protocol) -> u64 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

/// Returns what nft lists. What is missing is empty; any other failure is an error.
fn table(answer: &Ended) -> Result<Value> {
    if answer.status.success() {
        return serde_json::from_str(&answer.stdout).context("nft list: unexpected answer");
    }
    let message = answer.stderr.lines().next().unwrap_or_default();
    if message.starts_with("Error: No such file or directory") {
        return Ok(Value::Null);
    }
    Err(Failed::Program(format!("nft list: {}: {message}", ended(answer.status))).into())
}

/// A range of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sources {
    first: Ipv4Addr,
    last: Ipv4Addr,
}

impl Sources {
    fn contain(&self, address: Ipv4Addr) -> bool {
        self.first <= address && address <= self.last
    }

    /// Parses an element: an address, a prefix, or a range. What is none of these may be anything.
    fn of(element: &Value) -> Self {
        let address = |value: &Value| value.as_str()?.parse::<Ipv4Addr>().ok();
        let prefix = || {
            let first = address(&element["prefix"]["addr"])?;
            let length = u32::try_from(element["prefix"]["len"].as_u64()?).ok()?;
            let rest = u32::MAX.checked_shr(length).unwrap_or(0);
            Some(Self { first, last: Ipv4Addr::from(u32::from(first) | rest) })
        };
        let range = || {
            let range = &element["range"];
            Some(Self { first: address(&range[0])?, last: address(&range[1])? })
        };
        let single = address(element).map(|first| Self { first, last: first });
        single
            .or_else(prefix)
            .or_else(range)
            .unwrap_or(Self { first: Ipv4Addr::UNSPECIFIED, last: Ipv4Addr::BROADCAST })
    }
}

/// Returns the elements of a set of nft.
fn sources(answer: &Value) -> Vec<Sources> {
    let sets = answer["nftables"].as_array().into_iter().flatten();
    sets.filter_map(|entry| entry["set"]["elem"].as_array()).flatten().map(Sources::of).collect()
}

/// Returns the keys of a map of nft, as protocol and port. Some versions print the protocol's name.
fn ports(answer: &Value) -> Vec<(u64, u64)> {
    let maps = answer["nftables"].as_array().into_iter().flatten();
    let elements = maps.filter_map(|entry| entry["map"]["elem"].as_array()).flatten();
    let key = |element: &Value| {
        let key = &element[0]["concat"];
        let protocol = match key[0].as_str() {
            Some("tcp") => 6,
            Some("udp") => 17,
            Some(_) => return None,
            None => key[0].as_u64()?,
        };
        Some((protocol, key[1].as_u64()?))
    };
    elements.filter_map(key).collect()
}

#[cfg(test)]
mod tests;
