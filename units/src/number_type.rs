//! A macro for values that JSON may give as a number or as text: limits such as `1073741824`, `"1G"` and `"50%"`. Both
//! enter through one checking constructor; a number is written back as a number.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Visitor};

use crate::invalid::Invalid;

/// Returns the whole number that `1.0` or `1e3` is, as JSON Schema has it, if it is exact.
pub(crate) fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

/// Reads a whole number or a text into the type that checks it.
pub(crate) struct NumberOrText<T>(pub(crate) PhantomData<T>);

impl<T: TryFrom<String, Error = Invalid>> Visitor<'_> for NumberOrText<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string or a whole number")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_string(number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_string(number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        match whole(number) {
            Some(number) => self.visit_i64(number),
            None => Err(E::invalid_type(de::Unexpected::Float(number), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<T, E> {
        T::try_from(text).map_err(E::custom)
    }
}

/// Defines a newtype whose constructor is `$check(&str) -> Result<(), Invalid>`. `$numbers` are the bounds of valid
/// JSON numbers for the schema, `$pattern` is for text.
macro_rules! number_type {
    ($(#[doc = $doc:literal])+ $name:ident, $check:path, $numbers:expr, $pattern:literal) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(String);

        $crate::string_type::checked_text!($name, $check);

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($crate::number_type::NumberOrText(std::marker::PhantomData))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.0.parse::<u64>() {
                    Ok(number) if number.to_string() == self.0 => serializer.serialize_u64(number),
                    _ => serializer.serialize_str(&self.0),
                }
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let (minimum, maximum): (i64, Option<i64>) = $numbers;
                let mut number = serde_json::json!({"type": "integer", "minimum": minimum});
                if let (Some(maximum), Some(object)) = (maximum, number.as_object_mut()) {
                    object.insert("maximum".to_owned(), maximum.into());
                }
                schemars::json_schema!({
                    "description": concat!($($doc, "\n"),+).trim().replace("\n ", "\n"),
                    "anyOf": [number, {"type": "string", "pattern": $pattern}],
                })
            }
        }
    };
}
pub(crate) use number_type;
