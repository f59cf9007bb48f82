//! A macro for string types that hold only valid values: JSON, the command line and file
//! names all enter through one checking constructor, so nothing downstream checks again.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Visitor};

use crate::invalid::Invalid;

/// Reads a text into what it is checked for. The check is made while the text is the last thing read, so that a fault
/// has its line; serde's `try_from` makes it when the parser is one sign further, which may be on another line.
pub(crate) struct Text<T>(pub(crate) PhantomData<T>);

impl<T: TryFrom<String, Error = Invalid>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<T, E> {
        T::try_from(text).map_err(E::custom)
    }
}

/// Implements `Deserialize` by way of [`Text`].
macro_rules! read_as_text {
    ($name:ty) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                input.deserialize_str($crate::string_type::Text(std::marker::PhantomData))
            }
        }
    };
}
pub(crate) use read_as_text;

/// What every checked text has: `as_str`, one checking constructor, and how it is shown.
macro_rules! checked_text {
    ($name:ident, $check:path) => {
        impl $name {
            /// The text as it was given, and as systemd is given it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::invalid::Invalid;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                $check(&text)?;
                Ok(Self(text))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::invalid::Invalid;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::try_from(text.to_owned())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}
pub(crate) use checked_text;

/// Defines a string newtype whose constructor is `$check(&str) -> Result<(), Invalid>`.
macro_rules! string_type {
    ($(#[$meta:meta])* $name:ident, $check:path, $pattern:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(try_from = "String", into = "String")]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "schema", schemars(extend("pattern" = $pattern)))]
        pub struct $name(String);

        $crate::string_type::read_as_text!($name);
        $crate::string_type::checked_text!($name, $check);

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
    };
}
pub(crate) use string_type;
