//! A JSON object whose contents nobody here needs, kept as text: values would take many times the memory of their text, and
//! the generator reads intents that somebody may have made large.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// A JSON object, kept unchanged.
#[derive(Clone, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "Map<String, Value>"))]
pub struct Json(
    /// Its text; none if it has no fields, as most do, so that these take no memory.
    Box<str>,
);

impl Json {
    /// Returns the object.
    pub fn object(&self) -> Map<String, Value> {
        // The text of none is no JSON.
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// Returns whether the object has no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

const EMPTY: &str = "{}";

impl From<String> for Json {
    fn from(text: String) -> Self {
        if text == EMPTY { Self::default() } else { Self(text.into()) }
    }
}

impl From<Map<String, Value>> for Json {
    fn from(object: Map<String, Value>) -> Self {
        Value::Object(object).to_string().into()
    }
}

/// The order of fields makes no difference.
impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.object() == other.object()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.is_empty() { EMPTY } else { &self.0 })
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut text = Vec::new();
        deserializer.deserialize_map(Object(&mut text))?;
        String::from_utf8(text).map(Self::from).map_err(D::Error::custom)
    }
}

/// Writes a value as JSON while it is read.
struct Any<'a>(&'a mut Vec<u8>);

/// Writes an object, and nothing else.
struct Object<'a>(&'a mut Vec<u8>);

/// Writes a string, a number or a boolean.
fn scalar<E: serde::de::Error>(out: &mut Vec<u8>, value: impl Serialize) -> Result<(), E> {
    serde_json::to_writer(out, &value).map_err(E::custom)
}

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        scalar(self.0, ())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        scalar(self.0, value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        scalar(self.0, value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        scalar(self.0, value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        scalar(self.0, value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        scalar(self.0, value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.push(b'[');
        let first = self.0.len();
        loop {
            let before = self.0.len();
            if before > first {
                self.0.push(b',');
            }
            if items.next_element_seed(Any(&mut *self.0))?.is_none() {
                self.0.truncate(before);
                break;
            }
        }
        self.0.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<(), A::Error> {
        Object(self.0).visit_map(fields)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        self.0.push(b'{');
        let first = self.0.len();
        loop {
            let before = self.0.len();
            if before > first {
                self.0.push(b',');
            }
            if fields.next_key_seed(Any(&mut *self.0))?.is_none() {
                self.0.truncate(before);
                break;
            }
            self.0.push(b':');
            fields.next_value_seed(Any(&mut *self.0))?;
        }
        self.0.push(b'}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(|number: f64| Value::from(number.round() / 4.0)),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// What is read is what was written, and it is written as it was read.
        #[test]
        fn any_object(fields in prop::collection::btree_map(any::<String>(), value(), 0..6)) {
            let object: Map<String, Value> = fields.into_iter().collect();
            let read: Json = json::read(&Value::Object(object.clone()).to_string()).unwrap();
            prop_assert_eq!(&read.object(), &object);
            prop_assert_eq!(read.is_empty(), object.is_empty());
            prop_assert_eq!(serde_json::to_value(&read).unwrap(), Value::Object(object.clone()));
            prop_assert_eq!(read, Json::from(object));
        }
    }

    #[test]
    fn only_objects() {
        for text in ["[]", "1", "\"{}\"", "null"] {
            assert!(json::read::<Json>(text).is_err(), "{text}");
        }
        let one: Json = json::read(r#"{"a": 1, "b": [2, {}]}"#).unwrap();
        let other: Json = json::read(r#"{"b": [2, {}], "a": 1}"#).unwrap();
        assert_eq!(one, other);
        assert_ne!(one, Json::default());
    }
}
