//! Reads `hostNetworkConfig` from JSON attribute by attribute. Written by hand, since the form of each attribute
//! follows from the table.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::known::{Form, KNOWN, NAMES};
use super::{Entry, HostNetworkConfig, Lines};
use crate::intent::free::{FreeSettings, Key, Values};

impl<'de> Deserialize<'de> for HostNetworkConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Attributes;
        impl<'de> Visitor<'de> for Attributes {
            type Value = HostNetworkConfig;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<HostNetworkConfig, M::Error> {
                let mut found: Vec<(usize, Entry)> = Vec::new();
                while let Some(Attribute(at)) = map.next_key()? {
                    // Nix writes null for an attribute that is not set.
                    let entry = match KNOWN[at].form {
                        Form::Section(_) => {
                            map.next_value().map(|settings| Some(Entry::Section(settings)))?
                        }
                        Form::Sections(_, older) => {
                            Some(Entry::Sections(map.next_value_seed(List { older })?))
                        }
                        Form::Values(_) => map.next_value().map(|values| Some(Entry::Values(values)))?,
                        Form::Lines => map.next_value::<Option<Lines>>()?.map(Entry::Lines),
                    };
                    found.extend(entry.map(|entry| (at, entry)));
                }
                found.sort_unstable_by_key(|(at, _)| *at);
                Ok(HostNetworkConfig(found.into_iter().map(|(at, entry)| (&KNOWN[at], entry)).collect()))
            }
        }
        deserializer.deserialize_struct("HostNetworkConfig", NAMES, Attributes)
    }
}

/// The index of an attribute in [`KNOWN`].
struct Attribute(usize);

impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let at = NAMES.iter().position(|known| *known == name);
        at.map(Self).ok_or_else(|| de::Error::unknown_field(&name, NAMES))
    }
}

/// A list of sections.
struct List {
    older: &'static str,
}

impl<'de> DeserializeSeed<'de> for List {
    type Value = Vec<FreeSettings>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List {
    type Value = Vec<FreeSettings>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of objects")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut sections = Vec::new();
        while let Some(section) = list.next_element_seed(Element { older: self.older })? {
            sections.push(section);
        }
        Ok(sections)
    }
}

/// One section of a list: its settings, or an object that holds them under the name that older NixOS uses.
struct Element {
    older: &'static str,
}

impl<'de> DeserializeSeed<'de> for Element {
    type Value = FreeSettings;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<FreeSettings, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Element {
    type Value = FreeSettings;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object of settings")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<FreeSettings, M::Error> {
        let mut settings = Vec::new();
        while let Some(key) = map.next_key::<Key>()? {
            if key.as_str() == self.older {
                settings.extend(map.next_value::<FreeSettings>()?.into_entries());
            } else {
                settings.push((key, map.next_value::<Values>()?));
            }
        }
        FreeSettings::from_entries(settings).map_err(de::Error::custom)
    }
}
