//! The interfaces that a container gets from the options and the free-form settings together.

use std::borrow::Cow;

use super::container::Container;
use super::network::{InterfacePair, Network};
use crate::name::{MachineName, ZoneName, shortened};
use systemd_unit_syntax::settings::parse_boolean;

impl Container {
    /// Returns the last free-form value of a [Network] setting, which wins over the options.
    fn free_network(&self, key: &str) -> Option<&str> {
        self.nspawn_config.network.get(key)?.last().map(String::as_str)
    }

    /// Returns whether the virtual Ethernet link ends in a bridge of the host: an existing one, or that of a zone.
    fn is_bridged(&self) -> bool {
        let free = |key| self.free_network(key).is_some_and(|value| !value.is_empty());
        self.bridge.is_some() || self.zone.is_some() || free("Bridge") || free("Zone")
    }

    /// Returns the zone that the container is in.
    pub fn zone_name(&self) -> Option<&str> {
        match self.free_network("Zone") {
            Some(free) => Some(free).filter(|free| free.parse::<ZoneName>().is_ok()),
            None => self.zone.as_ref().map(ZoneName::as_str),
        }
    }

    /// Returns whether there is a virtual Ethernet link between the host and `host0` inside.
    pub fn has_virtual_ethernet(&self) -> bool {
        self.is_bridged()
            || match self.free_network("VirtualEthernet") {
                Some(value) => parse_boolean(value) == Some(true),
                None => self.network == Network::Private && self.namespace_path.is_none(),
            }
    }

    /// Returns the name of the host's end of that link, as nspawn makes it.
    pub fn host_interface(&self, name: &MachineName) -> Option<String> {
        let prefix = if self.is_bridged() { "vb-" } else { "ve-" };
        self.has_virtual_ethernet().then(|| shortened(prefix, name.as_str()))
    }

    /// Returns the names of interfaces inside, each with the option it comes from.
    pub(super) fn inside_interfaces(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let mut names = Vec::new();
        if self.has_virtual_ethernet() {
            names.push(("network", Cow::Borrowed("host0")));
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

/// Returns the name of a pair's end inside; `prefix` is that of names which nspawn makes.
fn inside<'a>(pair: &'a InterfacePair, prefix: &str) -> Cow<'a, str> {
    match &pair.inside {
        Some(inside) => Cow::Borrowed(inside.as_str()),
        None => Cow::Owned(shortened(prefix, pair.outside.as_str())),
    }
}
