//! A macro for string types that hold only valid values: JSON, the command line and file
//! names all enter through one checking constructor, so nothing downstream checks again.

/// Implements what every checked text has: `as_str`, one checking constructor, `Display`.
macro_rules! checked_text {
    ($name:ident, $check:path) => {
        impl $name {
            /// Returns the text as given, which is also what systemd gets.
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
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, serde::Serialize)]
        #[serde(try_from = "String", into = "String")]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "schema", schemars(extend("pattern" = $pattern)))]
        pub struct $name(String);

        $crate::string_type::checked_text!($name, $check);

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
    };
}
pub(crate) use string_type;
