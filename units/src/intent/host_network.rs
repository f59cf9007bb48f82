//! `hostNetworkConfig`: the host's end of a container's network, as a value of NixOS's `systemd.network.networks`
//! (`systemd.network(5)`). Names of attributes are checked here; names of settings are left to networkd.

mod known;
mod read;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::free::{FreeSettings, Key, Values, one_line};
use crate::invalid::{Invalid, shown};
use crate::nearest::nearest;
use systemd_unit_syntax::settings::parse_boolean;
use systemd_unit_syntax::{Item, Section, UnitFile, parse};

use known::{FURTHER_SECTIONS, Form, KNOWN, Known};

/// The attributes that are set, in the order of [`KNOWN`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostNetworkConfig(Vec<(&'static Known, Entry)>);

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Section(FreeSettings),
    Sections(Vec<FreeSettings>),
    Values(Values),
    Lines(Lines),
}

impl HostNetworkConfig {
    /// Returns the settings of a section that NixOS writes once, such as `Match`.
    pub(crate) fn section(&self, name: &str) -> Option<&FreeSettings> {
        self.0.iter().find_map(|(known, entry)| match (known.form, entry) {
            (Form::Section(own), Entry::Section(settings)) if own == name => Some(settings),
            _ => None,
        })
    }

    /// Returns further settings of [Network], in order.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().flat_map(|(known, entry)| {
            let (key, values) = match (known.form, entry) {
                (Form::Values(key), Entry::Values(values)) => (key, values.list()),
                _ => ("", &[][..]),
            };
            values.iter().map(move |value| (key, value.as_str()))
        })
    }

    /// Returns all sections but [Match], [Link] and [Network] in order; those of `extraConfig` come last.
    pub(crate) fn further_sections(&self) -> Vec<Section> {
        let section = |name: &'static str, settings: &FreeSettings| {
            let mut section = Section { name: name.into(), items: Vec::new() };
            settings.write_to(&mut section);
            section
        };
        let mut sections = Vec::new();
        for (known, entry) in &self.0 {
            match (known.form, entry) {
                (Form::Section("Match" | "Link" | "Network"), _) => {}
                (Form::Section(name), Entry::Section(settings)) => sections.push(section(name, settings)),
                (Form::Sections(name, _), Entry::Sections(list)) => {
                    sections.extend(list.iter().map(|settings| section(name, settings)));
                }
                (Form::Lines, Entry::Lines(lines)) => sections.extend(lines.sections.iter().cloned()),
                _ => {}
            }
        }
        sections
    }

    /// Returns everything that is set, as section, name and value.
    pub fn settings(&self) -> Vec<(String, String, String)> {
        let mut sections = Vec::new();
        for name in ["Match", "Link", "Network"] {
            let mut section = Section { name: name.into(), items: Vec::new() };
            if let Some(settings) = self.section(name) {
                settings.write_to(&mut section);
            }
            sections.push(section);
        }
        for (key, value) in self.values() {
            sections[2].set(key, value);
        }
        sections.extend(self.further_sections());
        let file = UnitFile { header: Vec::new(), sections };
        let owned = |(section, key, value): (&str, &str, &str)| {
            (section.to_owned(), key.to_owned(), value.to_owned())
        };
        file.settings().map(owned).collect()
    }

    /// Returns whether it gives the container IPv6 beyond the link: a prefix, an address, or forwarding itself.
    pub(crate) fn asks_for_ipv6(&self) -> bool {
        self.settings().iter().any(|(section, key, value)| match (section.as_str(), key.as_str()) {
            ("IPv6Prefix" | "IPv6RoutePrefix" | "DHCPPrefixDelegation", _) => true,
            ("Network" | "Address", "Address") => value.contains(':') && !value.starts_with("fe80:"),
            ("Network", "IPv6Forwarding" | "DHCPPrefixDelegation") => parse_boolean(value) == Some(true),
            _ => false,
        })
    }

    /// Sets a setting of [Network] in `networkConfig`; fails if it is not allowed there.
    pub fn set_network(&mut self, key: &str, value: &str) -> Result<(), Invalid> {
        let Some(known) = KNOWN.iter().find(|known| known.form == Form::Section("Network")) else {
            return Ok(());
        };
        let at = self.0.iter().position(|(own, _)| own.form == known.form).unwrap_or_else(|| {
            let order = |known: &Known| KNOWN.iter().position(|own| own.name == known.name);
            let at = self.0.iter().position(|(own, _)| order(own) > order(known)).unwrap_or(self.0.len());
            self.0.insert(at, (known, Entry::Section(FreeSettings::default())));
            at
        });
        match &mut self.0[at].1 {
            Entry::Section(settings) => settings.add(key, value),
            _ => Ok(()),
        }
    }

    /// Adds lines to `extraConfig`; fails if they are not allowed there.
    pub fn add_lines(&mut self, text: &str) -> Result<(), Invalid> {
        let last = KNOWN.iter().find(|known| known.form == Form::Lines);
        let before = self.0.iter().find_map(|(_, entry)| match entry {
            Entry::Lines(lines) => Some(lines.text.clone() + "\n"),
            _ => None,
        });
        let lines = Lines::try_from(before.unwrap_or_default() + text)?;
        self.0.retain(|(known, _)| known.form != Form::Lines);
        self.0.extend(last.map(|known| (known, Entry::Lines(lines))));
        Ok(())
    }
}

/// The most lines of `extraConfig`. It bounds the memory that they take.
const MAX_LINES: usize = 8192;

/// The text of `extraConfig`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Lines {
    text: String,
    sections: Vec<Section>,
}

impl TryFrom<String> for Lines {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let refuse = |reason: String| Err(Invalid::new(&text, reason));
        if text.lines().nth(MAX_LINES).is_some() {
            return refuse(format!("holds more than {MAX_LINES} lines"));
        }
        let parsed = match parse(text.as_bytes()) {
            Ok(parsed) => parsed,
            Err(error) => return refuse(format!("cannot be read: {error}")),
        };
        if let Some(warning) = parsed.warnings.first() {
            return refuse(format!("cannot be read: {warning}"));
        }
        let mut sections = parsed.file.sections;
        for section in &mut sections {
            section.items.retain(|item| matches!(item, Item::Setting { .. }));
            let by_attribute = |known: &&Known| match known.form {
                Form::Section(name) | Form::Sections(name, _) => name == section.name,
                _ => false,
            };
            if section.name == "Match" {
                return refuse("contains a [Match] section; use matchConfig instead".to_owned());
            }
            let known = KNOWN.iter().any(|known| by_attribute(&known));
            if !known && !section.is_extension() && !FURTHER_SECTIONS.contains(&section.name.as_ref()) {
                let names = KNOWN.iter().filter_map(|known| match known.form {
                    Form::Section(name) | Form::Sections(name, _) => Some(name),
                    _ => None,
                });
                let meant = nearest(&section.name, names.chain(FURTHER_SECTIONS))
                    .map(|name| format!(" (did you mean [{name}]?)"))
                    .unwrap_or_default();
                let name = shown(&section.name);
                return refuse(format!(
                    "contains [{name}], which is not a section of a .network file{meant}"
                ));
            }
            for item in &section.items {
                if let Item::Setting { key, value } = item {
                    Key::try_from(key.to_string())?;
                    one_line(value.to_string())?;
                }
            }
        }
        Ok(Self { text, sections })
    }
}

impl Serialize for HostNetworkConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (known, entry) in &self.0 {
            match entry {
                Entry::Section(settings) => map.serialize_entry(known.name, settings)?,
                Entry::Sections(list) => map.serialize_entry(known.name, list)?,
                Entry::Values(values) => map.serialize_entry(known.name, values)?,
                Entry::Lines(lines) => map.serialize_entry(known.name, &lines.text)?,
            }
        }
        map.end()
    }
}

/// Lists the attributes by pattern: a schema has no other way to give many names the same form.
#[cfg(feature = "schema")]
impl schemars::JsonSchema for HostNetworkConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HostNetworkConfig".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names = |wanted: fn(Form) -> bool| {
            let names = KNOWN.iter().filter(|known| wanted(known.form)).map(|known| known.name);
            format!("^({})$", names.collect::<Vec<_>>().join("|"))
        };
        let section = generator.subschema_for::<FreeSettings>();
        let values = generator.subschema_for::<Values>();
        let scalar = serde_json::json!({"anyOf": [values, section]});
        schemars::json_schema!({
            "type": "object",
            "patternProperties": {
                names(|form| matches!(form, Form::Section(_))): {"anyOf": [section, {"type": "null"}]},
                names(|form| matches!(form, Form::Sections(..))): {
                    "type": ["array", "null"],
                    "items": {
                        "type": "object",
                        "additionalProperties": scalar,
                        "propertyNames": {"pattern": "^[a-zA-Z0-9-]+$"},
                    },
                },
                names(|form| matches!(form, Form::Values(_))): values,
                names(|form| matches!(form, Form::Lines)): {"type": ["string", "null"]},
            },
            "additionalProperties": false,
        })
    }
}

#[cfg(test)]
mod tests;
