//! Ports of the host that lead into a container, as an object or as text such as `tcp:127.0.0.1:8080:80`. Decides who
//! forwards, nspawn or a socket unit, and which two forwards exclude each other.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Deserializer, Serialize};

use super::object::{is_default, null_as_default, text_or_object};
use crate::invalid::{Invalid, shown};
use crate::value::Port;

/// A port of the host that leads to a port of the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ForwardPort {
    /// The port on the host.
    pub host_port: Port,
    /// The port inside; by default the same as on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_port: Option<Port>,
    /// The transport protocol.
    #[serde(skip_serializing_if = "is_default")]
    pub protocol: Protocol,
    /// The address of the host to listen on, by a socket unit. Without one, nspawn forwards connections from outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_address: Option<HostAddress>,
    /// Whether the first connection starts the container.
    #[serde(skip_serializing_if = "is_default")]
    pub start_on_connect: bool,
}

/// The protocols that nspawn can forward.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Protocol {
    /// TCP, the default.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Returns its name as nspawn writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// An address that a socket of the host can be bound to; `0.0.0.0` and `::` stand for all addresses of their family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "String", extend("pattern" = "^[0-9a-fA-F:.]+$")))]
pub struct HostAddress(IpAddr);

impl HostAddress {
    /// Returns the address.
    pub fn get(self) -> IpAddr {
        self.0
    }

    /// Returns the address that stands for all of IPv4, or of IPv6.
    pub(crate) fn unspecified(ipv4: bool) -> Self {
        Self(if ipv4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() })
    }
}

impl TryFrom<String> for HostAddress {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let refuse = |reason: &str| Err(Invalid::new(&text, reason));
        let Ok(address) = text.parse::<IpAddr>() else {
            return refuse("is not an IP address");
        };
        match address {
            IpAddr::V4(v4) if v4.is_multicast() || v4.is_broadcast() => {
                refuse("is a multicast or broadcast address, so nothing can listen on it")
            }
            IpAddr::V6(v6) if v6.is_multicast() => {
                refuse("is a multicast or broadcast address, so nothing can listen on it")
            }
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
                refuse("is an IPv4 address written as IPv6; write the IPv4 address")
            }
            IpAddr::V6(v6) if v6.is_unicast_link_local() => {
                refuse("is a link-local address, which means nothing without an interface")
            }
            _ => Ok(Self(address)),
        }
    }
}

impl From<HostAddress> for String {
    fn from(address: HostAddress) -> String {
        address.0.to_string()
    }
}

impl ForwardPort {
    /// Returns the port inside.
    pub fn inside(&self) -> Port {
        self.container_port.unwrap_or(self.host_port)
    }

    /// Returns whether nspawn forwards it (`Port=` of `systemd.nspawn(5)`), rather than a socket unit.
    pub fn by_nspawn(&self) -> bool {
        self.host_address.is_none() && !self.start_on_connect
    }

    /// Returns what it occupies on the host: `tcp/8080`, `tcp/127.0.0.1:8080`, `tcp/[::1]:8080`.
    pub fn host_side(&self) -> String {
        self.host_side_at(&self.listen_address())
    }

    /// Does the same with what [`Self::listen_address`] has returned.
    pub(crate) fn host_side_at(&self, listen_address: &str) -> String {
        [self.protocol.as_str(), "/", listen_address].concat()
    }

    /// Returns address and port as `ListenStream=` of `systemd.socket(5)` takes them: `8080`, `127.0.0.1:8080`,
    /// `[::1]:8080`.
    pub fn listen_address(&self) -> String {
        let port = self.host_port.get();
        match self.host_address.map(HostAddress::get) {
            Some(IpAddr::V6(address)) => format!("[{address}]:{port}"),
            Some(IpAddr::V4(address)) => format!("{address}:{port}"),
            None => port.to_string(),
        }
    }

    /// Returns whether the two exclude each other on the host.
    pub fn overlaps(&self, other: &Self) -> bool {
        let same_port = self.protocol == other.protocol && self.host_port == other.host_port;
        let addresses = (self.host_address.map(HostAddress::get), other.host_address.map(HostAddress::get));
        same_port
            && match addresses {
                (Some(one), Some(other)) => {
                    one == other
                        || one.is_ipv4() == other.is_ipv4()
                            && (one.is_unspecified() || other.is_unspecified())
                }
                (None, _) | (_, None) => true,
            }
    }

    /// Returns whether the two make one forward together: nspawn leaves out the host's loopback (systemd#6106), and a
    /// socket unit adds it.
    pub fn completes(&self, other: &Self) -> bool {
        let on_loopback = |port: &Self| port.host_address.is_some_and(|address| address.get().is_loopback());
        let pair = |one: &Self, other: &Self| one.by_nspawn() && on_loopback(other);
        self.inside() == other.inside() && (pair(self, other) || pair(other, self))
    }

    /// Refuses what neither nspawn nor systemd-socket-proxyd can do.
    fn checked(self) -> Result<Self, Invalid> {
        if self.protocol == Protocol::Udp && !self.by_nspawn() {
            let option = if self.start_on_connect { "startOnConnect" } else { "a host address" };
            return Err(Invalid::new(
                &self.host_side(),
                format!(
                    "cannot have {option}: it needs a socket unit, and systemd-socket-proxyd forwards TCP only"
                ),
            ));
        }
        Ok(self)
    }
}

const SYNTAX: &str = "write [PROTOCOL:][ADDRESS:]HOST[:CONTAINER], such as '127.0.0.1:8080:80'";

impl std::str::FromStr for ForwardPort {
    type Err = Invalid;

    /// Parses the short form: `8080:80`, `8080`, `udp:53`, `127.0.0.1:8080:80`, `tcp:[::1]:8080:80`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refuse = |reason: String| Invalid::new(text, format!("is not a port forward: {reason}"));
        let mut rest = text;
        let mut protocol = Protocol::Tcp;
        if let Some((word, behind)) = text.split_once(':') {
            // The first part of an IPv6 address without brackets is reported below.
            let hexadecimal = word.bytes().all(|b| b.is_ascii_hexdigit());
            if word.starts_with(|c: char| c.is_ascii_alphabetic()) && !hexadecimal {
                protocol = match word {
                    "tcp" => Protocol::Tcp,
                    "udp" => Protocol::Udp,
                    _ => return Err(refuse(format!("protocol '{}' is neither tcp nor udp", shown(word)))),
                };
                rest = behind;
            }
        }
        let address = |text: &str| {
            HostAddress::try_from(text.to_owned()).map_err(|error| refuse(format!("address {error}")))
        };
        let mut host_address = None;
        if let Some(behind) = rest.strip_prefix('[') {
            let (inner, ports) = behind.split_once("]:").ok_or_else(|| {
                refuse(format!("an address in brackets must be followed by ':' and a port; {SYNTAX}"))
            })?;
            if !inner.contains(':') {
                return Err(refuse(format!("'{}' in brackets is not an IPv6 address", shown(inner))));
            }
            host_address = Some(address(inner)?);
            rest = ports;
        } else if let Some((first, ports)) = rest.split_once(':').filter(|(first, _)| first.contains('.')) {
            host_address = Some(address(first)?);
            rest = ports;
        }
        let port = |text: &str| {
            // No sign, no blanks, and no more digits than a 64-bit number can have.
            let digits = !text.is_empty() && text.len() < 19 && text.bytes().all(|b| b.is_ascii_digit());
            if !digits {
                return Err(refuse(format!("'{}' is not a port (1 to 65535)", shown(text))));
            }
            let number = text.parse::<i64>().map_err(|error| refuse(error.to_string()))?;
            Port::try_from(number).map_err(|error| refuse(error.to_string()))
        };
        let parts: Vec<&str> = rest.split(':').collect();
        let (host_port, container_port) = match parts.as_slice() {
            [host] => (port(host)?, None),
            [host, inside] => (port(host)?, Some(port(inside)?)),
            _ if parts.contains(&"") || rest.parse::<Ipv6Addr>().is_ok() => {
                return Err(refuse(format!("an IPv6 address needs brackets; {SYNTAX}")));
            }
            _ => return Err(refuse(format!("it has more than two ports; {SYNTAX}"))),
        };
        Self { host_port, container_port, protocol, host_address, start_on_connect: false }.checked()
    }
}

/// A port forward as an object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Fields {
    /// The port on the host.
    host_port: Port,
    /// The port inside; by default the same as on the host.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(skip_serializing_if = "Option::is_none"))]
    container_port: Option<Port>,
    /// The transport protocol.
    #[serde(default, deserialize_with = "null_as_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Protocol>", skip_serializing_if = "is_default"))]
    protocol: Protocol,
    /// The address of the host to listen on, by a socket unit.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(skip_serializing_if = "Option::is_none"))]
    host_address: Option<HostAddress>,
    /// Whether the first connection starts the container.
    #[serde(default, deserialize_with = "null_as_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>", skip_serializing_if = "is_default"))]
    start_on_connect: bool,
}

/// A port forward, as text or as an object.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code)] // Its shape is all that is wanted.
pub(super) enum Form {
    /// `[PROTOCOL:][ADDRESS:]HOST[:CONTAINER]`.
    Short(
        #[schemars(extend(
            "pattern" = r"^((tcp|udp):)?(([0-9.]+|\[[0-9a-fA-F:.]+\]):)?[0-9]{1,5}(:[0-9]{1,5})?$"
        ))]
        String,
    ),
    /// The same as an object.
    Long(Fields),
}

impl<'de> Deserialize<'de> for ForwardPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_object(deserializer, |text| text.parse(), ForwardPort::from_fields)
    }
}

impl ForwardPort {
    fn from_fields(fields: Fields) -> Result<Self, Invalid> {
        let Fields { host_port, container_port, protocol, host_address, start_on_connect } = fields;
        Self { host_port, container_port, protocol, host_address, start_on_connect }.checked()
    }
}

#[cfg(test)]
mod tests;
