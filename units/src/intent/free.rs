//! Free-form settings, for what has no option of its own. Each is guaranteed to stay one line in its section, and
//! settings that would break what the generator promises are refused by name. Values are written unchanged, in
//! systemd's syntax.

mod rules;

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::invalid::{Invalid, shown};
use crate::number_type::whole;
use crate::syntax::Section;
use crate::value::no_control_characters;

pub(super) use rules::fault;
#[cfg(feature = "schema")]
pub(super) use rules::{NOT_EMPTY, REFUSED_SERVICE};

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
    #[serde(skip_serializing_if = "super::is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<FreeSettings>"))]
    pub exec: FreeSettings,
    /// The [Files] section.
    #[serde(skip_serializing_if = "super::is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<FreeSettings>"))]
    pub files: FreeSettings,
    /// The [Network] section.
    #[serde(skip_serializing_if = "super::is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<FreeSettings>"))]
    pub network: FreeSettings,
}

impl FreeSettings {
    /// Iterates over names and values, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(key, values)| (key.0.as_str(), values.0.as_slice()))
    }

    /// Returns the values of one setting.
    pub fn get(&self, key: &str) -> Option<&[String]> {
        let at = self.0.binary_search_by(|(name, _)| name.as_str().cmp(key)).ok()?;
        Some(self.0[at].1.list())
    }

    /// Returns whether a setting has a value, if only an empty one.
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
                section.set(key, value);
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
            self.0.push((Key::try_from(key.to_owned()).map_err(told)?, Values(vec![value])));
        }
        // Inserting each in its place would take time in proportion to the square of their number.
        self.0.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.0.dedup_by(|(key, values), (before, all)| {
            let same = key == before;
            if same {
                all.0.append(&mut values.0);
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

/// By hand, since a derived map would take the last of two equal names in silence.
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

/// The name of a setting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("pattern" = "^[a-zA-Z0-9-]+$")))]
pub(super) struct Key(String);

impl Key {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Key {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(Invalid::new(&text, "is not the name of a setting"));
        }
        Ok(Self(text))
    }
}

impl From<Key> for String {
    fn from(key: Key) -> String {
        key.0
    }
}

/// A string, number or boolean, or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(into = "Vec<String>")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "Written"))]
pub(super) struct Values(Vec<String>);

impl Values {
    pub(super) fn list(&self) -> &[String] {
        &self.0
    }
}

/// The forms of values in JSON, which Nix writes for a `systemd.nspawn` option. For the schema only.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "the schema is made from it, no value ever is")]
enum Written {
    None(()),
    One(Scalar),
    Many(Vec<Scalar>),
}

// See Written.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "the schema is made from it, no value ever is")]
enum Scalar {
    Boolean(bool),
    Number(i64),
    Text(String),
}

/// By hand: serde's trying of one form after the other takes a fifth of the generator's time.
impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values = Vec::new();
        deserializer.deserialize_any(Value { values: &mut values, within: false })?;
        Ok(Self(values))
    }
}

/// Reads a value, or one `within` a list, and appends it to `values`.
struct Value<'a> {
    values: &'a mut Vec<String>,
    within: bool,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string, a whole number, a boolean")?;
        if self.within { Ok(()) } else { out.write_str(", or a list of these") }
    }

    fn visit_bool<E: de::Error>(self, yes: bool) -> Result<(), E> {
        self.values.push(if yes { "yes" } else { "no" }.to_owned());
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.values.push(number.to_string());
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Err(E::invalid_value(de::Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        match whole(number) {
            Some(number) => self.visit_i64(number),
            None => Err(E::invalid_type(de::Unexpected::Float(number), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<(), E> {
        self.values.push(one_line(text).map_err(E::custom)?);
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        if self.within { Err(E::invalid_type(de::Unexpected::Unit, &self)) } else { Ok(()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.within {
            return Err(de::Error::invalid_type(de::Unexpected::Seq, &self));
        }
        while list.next_element_seed(Value { values: self.values, within: true })?.is_some() {}
        Ok(())
    }
}

impl From<Values> for Vec<String> {
    fn from(values: Values) -> Self {
        values.0
    }
}

/// Returns text that stays in its line and section, and is read back unchanged (`systemd.syntax(7)`).
pub(super) fn one_line(text: String) -> Result<String, Invalid> {
    no_control_characters(&text)?;
    if text.trim_matches([' ', '\t']) != text {
        return Err(Invalid::new(&text, "begins or ends with a blank, which systemd strips"));
    }
    if text.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1 {
        return Err(Invalid::new(&text, "ends in a backslash, which would join the next line"));
    }
    Ok(text)
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
