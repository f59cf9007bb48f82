//! An error in a JSON text, with its kind, its offset and the path of the field; and fields that were skipped.

use std::fmt::{self, Display, Write};

use serde::de::{self, Expected, Unexpected};

use crate::invalid::shown;

/// A text that is not JSON, or not of the wanted type.
#[derive(Debug)]
pub(crate) struct Error(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: Kind,
    place: Option<Place>,
}

/// Where an error is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    offset: usize,
    field: String,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is not JSON.
    Syntax(&'static str),
    /// A value is of another type.
    Type { found: String, expected: String },
    /// A value is of the wanted type, but out of range.
    Value { found: String, expected: String },
    /// A string is not one of the allowed words.
    Variant { found: String, known: &'static [&'static str] },
    /// A field is unknown.
    UnknownField { name: String, known: &'static [&'static str] },
    /// A required field is missing.
    MissingField(&'static str),
    /// A field occurs twice.
    DuplicateField(String),
    /// A type refuses the value for a reason of its own.
    Refused(String),
}

impl Error {
    pub(super) fn new(kind: Kind) -> Self {
        Self(Box::new(Details { kind, place: None }))
    }

    /// Places an error that has no place yet.
    pub(super) fn or_at(mut self, offset: usize, path: &[Step<'_>]) -> Self {
        if self.0.place.is_none() {
            self.0.place = Some(Place { offset, field: field(path) });
        }
        self
    }

    /// Returns what is wrong.
    pub(crate) fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// Returns the path of the field, `container.bindMounts[0]`; empty for the whole text.
    pub(crate) fn field(&self) -> &str {
        self.0.place.as_ref().map_or("", |place| &place.field)
    }

    /// Returns the offset in the text.
    pub(crate) fn offset(&self) -> usize {
        self.0.place.as_ref().map_or(0, |place| place.offset)
    }
}

impl Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.kind.fmt(out)
    }
}

impl std::error::Error for Error {}

impl Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(what) => write!(out, "is not JSON: {what}"),
            Self::Type { found, expected } => write!(out, "invalid type: {found}, expected {expected}"),
            Self::Value { found, expected } => write!(out, "invalid value: {found}, expected {expected}"),
            Self::Variant { found, known } => {
                write!(out, "'{}' is not {}", shown(found), alternatives(known))
            }
            Self::UnknownField { .. } => out.write_str("is not known"),
            Self::MissingField(name) => write!(out, "missing field '{name}'"),
            Self::DuplicateField(name) => write!(out, "duplicate field '{}'", shown(name)),
            Self::Refused(reason) => out.write_str(reason),
        }
    }
}

/// `'a'`, `'a' or 'b'`, `one of 'a', 'b', 'c'`.
fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [one, other] => format!("{one} or {other}"),
        several => format!("one of {}", several.join(", ")),
    }
}

/// Describes a value in JSON's terms.
pub(super) fn described(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("boolean '{value}'"),
        Unexpected::Unsigned(number) => format!("integer '{number}'"),
        Unexpected::Signed(number) => format!("integer '{number}'"),
        Unexpected::Float(number) => format!("number '{number:?}'"),
        Unexpected::Str(text) => format!("string \"{}\"", shown(text)),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "list".to_owned(),
        Unexpected::Map => "object".to_owned(),
        other => other.to_string(),
    }
}

impl de::Error for Error {
    fn custom<T: Display>(reason: T) -> Self {
        Self::new(Kind::Refused(reason.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Kind::Type { found: described(&found), expected: expected.to_string() })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Kind::Value { found: described(&found), expected: expected.to_string() })
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownField { name: name.to_owned(), known })
    }

    fn missing_field(name: &'static str) -> Self {
        Self::new(Kind::MissingField(name))
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::new(Kind::DuplicateField(name.to_owned()))
    }
}

/// A field that was skipped, and the names that are known in its place.
#[derive(Debug)]
pub(crate) struct PassedOver {
    /// The path of the field.
    pub(crate) field: String,
    /// Its name.
    pub(crate) name: String,
    /// The known names.
    pub(crate) known: &'static [&'static str],
}

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// The field of an object.
    Field(std::borrow::Cow<'a, str>),
    /// The element of a list.
    Element(usize),
}

/// Formats a path for messages.
pub(super) fn field(path: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Field(name) if text.is_empty() => text.push_str(name),
            Step::Field(name) => {
                text.push('.');
                text.push_str(name);
            }
            // Writing to a String cannot fail.
            Step::Element(index) => drop(write!(text, "[{index}]")),
        }
    }
    text
}
