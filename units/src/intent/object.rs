//! Functions for `deserialize_with` and `skip_serializing_if`; null stands for the default, as Nix writes an unset
//! option.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::invalid::Invalid;
use crate::json::{TEXT_OR_OBJECT, field_names};

/// Reads a value or null.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads a boolean whose default is true, or null.
pub(super) fn null_as_true<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::deserialize(deserializer).map(|value| value.unwrap_or(true))
}

/// Reads what may be written as text or as an object, and checks either.
pub(super) fn text_or_object<'de, D, T, O>(
    deserializer: D,
    from_text: fn(String) -> Result<T, Invalid>,
    from_object: fn(O) -> Result<T, Invalid>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    O: Deserialize<'de>,
{
    struct Either<T, O> {
        from_text: fn(String) -> Result<T, Invalid>,
        from_object: fn(O) -> Result<T, Invalid>,
    }
    impl<'de, T, O: Deserialize<'de>> Visitor<'de> for Either<T, O> {
        type Value = T;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a string or an object")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.from_text)(text.to_owned()).map_err(E::custom)
        }

        fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<T, M::Error> {
            let object = O::deserialize(MapAccessDeserializer::new(map))?;
            (self.from_object)(object).map_err(M::Error::custom)
        }
    }
    let either = Either { from_text, from_object };
    deserializer.deserialize_struct(TEXT_OR_OBJECT, field_names::<O>(), either)
}

/// Returns whether a value is its type's default.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Returns whether a boolean is true, the default of some options.
pub(super) fn is_true(value: &bool) -> bool {
    *value
}
