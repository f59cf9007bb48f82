//! The network a container is in and its interfaces: the types of those options, and what they add up to with the
//! free-form settings.

use serde::{Deserialize, Serialize};

use super::Container;
use crate::invalid::Invalid;
use crate::name::{InterfaceName, MachineName, ZoneName, shortened};
use crate::syntax::settings::parse_boolean;

/// Whose network the container is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Network {
    /// Its own, with a virtual cable to the host.
    #[default]
    Private,
    /// The host's.
    Host,
    /// Its own, with only the loopback and what other options add.
    None,
}

/// An interface of the host and, after a colon, its name inside: `eth1`, `eth1:lan`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "String", extend("pattern" = r#"^[^\s/:%\\"']{1,15}(:[^\s/:%\\"']{1,15})?$"#)))]
pub struct InterfacePair {
    /// The name on the host.
    pub outside: InterfaceName,
    /// The name inside, if given.
    pub inside: Option<InterfaceName>,
}

impl TryFrom<String> for InterfacePair {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let (outside, inside) = match text.split_once(':') {
            Some((outside, inside)) => (outside, Some(inside)),
            None => (text.as_str(), None),
        };
        Ok(Self { outside: outside.parse()?, inside: inside.map(str::parse).transpose()? })
    }
}

impl From<InterfacePair> for String {
    fn from(pair: InterfacePair) -> Self {
        pair.to_string()
    }
}

impl std::fmt::Display for InterfacePair {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.outside.as_str())?;
        self.inside.as_ref().map_or(Ok(()), |inside| write!(out, ":{inside}"))
    }
}

impl Container {
    /// Returns the last free-form value of a [Network] setting, which wins over the options.
    fn free_network(&self, key: &str) -> Option<&str> {
        self.nspawn_config.network.get(key)?.last().map(String::as_str)
    }

    /// Returns whether the virtual cable ends in a bridge of the host: an existing one, or that of a zone.
    fn is_bridged(&self) -> bool {
        let free = |key| self.free_network(key).is_some_and(|value| !value.is_empty());
        self.bridge.is_some() || self.zone.is_some() || free("Bridge") || free("Zone")
    }

    /// Returns the zone that the container is in.
    pub(crate) fn zone_name(&self) -> Option<String> {
        let zone = match self.free_network("Zone") {
            Some(free) => free.parse::<ZoneName>().ok()?,
            None => self.zone.clone()?,
        };
        Some(zone.to_string())
    }

    /// Returns whether there is a virtual cable between the host and `host0` inside.
    pub fn has_virtual_ethernet(&self) -> bool {
        self.is_bridged()
            || match self.free_network("VirtualEthernet") {
                Some(value) => parse_boolean(value) == Some(true),
                None => self.network == Network::Private && self.namespace_path.is_none(),
            }
    }

    /// Returns the name of the host's end of that cable, as nspawn makes it.
    pub fn host_interface(&self, name: &MachineName) -> Option<String> {
        let prefix = if self.is_bridged() { "vb-" } else { "ve-" };
        self.has_virtual_ethernet().then(|| shortened(prefix, name.as_str()))
    }

    /// Returns the names of interfaces inside, each with the option it comes from.
    pub(super) fn inside_interfaces(&self) -> Vec<(&'static str, String)> {
        let inside = |pair: &InterfacePair, prefix: &str| match &pair.inside {
            Some(inside) => inside.to_string(),
            None => shortened(prefix, pair.outside.as_str()),
        };
        let mut names = Vec::new();
        if self.has_virtual_ethernet() {
            names.push(("network", "host0".to_owned()));
        }
        for (option, pairs, prefix) in [
            ("interfaces", &self.interfaces, ""),
            ("macvlan", &self.macvlan, "mv-"),
            ("ipvlan", &self.ipvlan, "iv-"),
            ("extraVeths", &self.extra_veths, ""),
        ] {
            names.extend(pairs.iter().map(|pair| (option, inside(pair, prefix))));
        }
        names
    }
}
