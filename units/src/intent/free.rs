//! Free-form settings, for what has no option of its own. Each is guaranteed to stay one line in its section, and
//! settings that would break what the generator promises are refused by name. Values are written unchanged, in
//! systemd's syntax.

mod entry;
pub(super) mod rules;

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::object::is_default;
use crate::invalid::{Invalid, shown};
use systemd_unit_syntax::Section;

pub(super) use entry::{Key, Values, one_line};

/// Settings of one section by name, each with its values in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FreeSettings(
    /// Ordered by name. Most hold a few settings; a map would take ten times the memory.
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<Key, Values>"))]
    Vec<(Key, Values)>,
);

/// Free-form settings of the .nspawn file (`systemd.nspawn(5)`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NspawnConfig {
    /// The [Exec] section.
    #[serde(skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<FreeSettings>"))]
    pub exec: FreeSettings,
    /// The [Files] section.
    #[serde(skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<FreeSettings>"))]
    pub files: FreeSettings,
    /// The [Network] section.
    #[serde(skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<FreeSettings>"))]
    pub network: FreeSettings,
}

impl FreeSettings {
    /// Iterates over names and values, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(key, values)| (key.as_str(), values.list()))
    }

    /// Returns the values of one setting.
    pub fn get(&self, key: &str) -> Option<&[String]> {
        let at = self.0.binary_search_by(|(name, _)| name.as_str().cmp(key)).ok()?;
        Some(self.0[at].1.list())
    }

    /// Returns whether a setting has a value, which may be empty.
    pub(crate) fn sets(&self, key: &str) -> bool {
        self.get(key).is_some_and(|values| !values.is_empty())
    }

    /// Returns whether there are no settings.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes settings in any order; fails on duplicates.
    pub(super) fn from_entries(mut entries: Vec<(Key, Values)>) -> Result<Self, String> {
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        match entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(format!("duplicate field '{}'", shown(pair[0].0.as_str()))),
            None => {
                entries.shrink_to_fit();
                Ok(Self(entries))
            }
        }
    }

    /// Iterates over the settings.
    pub(super) fn into_entries(self) -> impl Iterator<Item = (Key, Values)> {
        self.0.into_iter()
    }

    /// Adds all settings to a section.
    pub(crate) fn write_to(&self, section: &mut Section) {
        for (key, values) in self.iter() {
            for value in values {
                section.set(key.to_owned(), value);
            }
        }
    }

    /// Adds values to settings, in order; fails if a unit file cannot hold one of them, with its key.
    pub fn extend<'a>(
        &mut self,
        added: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), (String, Invalid)> {
        for (key, value) in added {
            let told = |error| (key.to_owned(), error);
            let value = one_line(value.to_owned()).map_err(told)?;
            self.0.push((Key::try_from(key.to_owned()).map_err(told)?, Values::One(value)));
        }
        // Inserting each in its place would take time in proportion to the square of their number.
        self.0.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.0.dedup_by(|(key, values), (before, all)| {
            let same = key == before;
            if same {
                Vec::from(std::mem::take(values)).into_iter().for_each(|value| all.push(value));
            }
            same
        });
        Ok(())
    }

    /// Adds one value to a setting, like [`FreeSettings::extend`].
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), Invalid> {
        self.extend([(key, value)]).map_err(|(_, error)| error)
    }
}

impl Serialize for FreeSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, values)| (key, values)))
    }
}

/// Written by hand, since a derived map would silently use the last of two equal names.
impl<'de> Deserialize<'de> for FreeSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Settings;
        impl<'de> Visitor<'de> for Settings {
            type Value = FreeSettings;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of settings")
            }

            fn visit_unit<E: de::Error>(self) -> Result<FreeSettings, E> {
                Ok(FreeSettings::default())
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<FreeSettings, M::Error> {
                let mut settings = Vec::new();
                while let Some(key) = map.next_key::<Key>()? {
                    settings.push((key, map.next_value::<Values>()?));
                }
                FreeSettings::from_entries(settings).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_added_in_order() {
        let mut settings = FreeSettings::default();
        settings.add("B", "1").expect("good");
        settings.extend([("C", "2"), ("A", "3"), ("B", "4"), ("A", "5")]).expect("good");
        let all: Vec<(&str, String)> = settings.iter().map(|(key, values)| (key, values.join(","))).collect();
        assert_eq!(all, [("A", "3,5".to_owned()), ("B", "1,4".to_owned()), ("C", "2".to_owned())]);
        assert_eq!((settings.get("B").map(<[_]>::len), settings.get("D")), (Some(2), None));
        assert_eq!(settings.extend([("B", "a\nb")]).expect_err("bad").0, "B");
    }
}
