//! One free-form setting: its name, its values, and the forms in which JSON may hold them.

use std::fmt;

use serde::de::{self, DeserializeSeed, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::invalid::Invalid;
use crate::number_type::whole;
use crate::value::no_control_characters;
use systemd_unit_syntax::settings::yes_no;

/// The name of a setting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("pattern" = "^[a-zA-Z0-9-]+$")))]
pub(in crate::intent) struct Key(String);

impl Key {
    pub(in crate::intent) fn as_str(&self) -> &str {
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "Vec<String>")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "Written"))]
pub(in crate::intent) enum Values {
    /// One value, as most settings have.
    One(String),
    /// None, or several.
    List(Vec<String>),
}

impl Values {
    pub(in crate::intent) fn list(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::List(values) => values,
        }
    }

    /// Adds a value at the end.
    pub(super) fn push(&mut self, value: String) {
        match self {
            Self::One(first) => *self = Self::List(vec![std::mem::take(first), value]),
            Self::List(values) if values.is_empty() => *self = Self::One(value),
            Self::List(values) => values.push(value),
        }
    }
}

impl Default for Values {
    fn default() -> Self {
        Self::List(Vec::new())
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

/// Written by hand, since serde tries one form after the other, which takes a fifth of the generator's time.
impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values = Self::default();
        deserializer.deserialize_any(Value { values: &mut values, within: false })?;
        Ok(values)
    }
}

/// Reads a value, or one `within` a list, and appends it to `values`.
struct Value<'a> {
    values: &'a mut Values,
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
        self.values.push(yes_no(yes).to_owned());
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
        match values {
            Values::One(value) => vec![value],
            Values::List(values) => values,
        }
    }
}

/// Returns text that stays in its line and section, and is read back unchanged (`systemd.syntax(7)`).
pub(in crate::intent) fn one_line(text: String) -> Result<String, Invalid> {
    no_control_characters(&text)?;
    if text.trim_matches([' ', '\t']) != text {
        return Err(Invalid::new(&text, "begins or ends with a blank, which systemd strips"));
    }
    if text.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1 {
        return Err(Invalid::new(&text, "ends in a backslash, which would join the next line"));
    }
    Ok(text)
}
