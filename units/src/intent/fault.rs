//! A fault of an intent: the reason, with line, column and field.

use std::fmt;

use crate::invalid::shown;
use crate::json::{Error, Kind, find, line_and_column};
use crate::nearest::{nearest, with_meant};

/// What is wrong with an intent, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: Option<usize>,
    /// The character in the line, from 1.
    pub column: Option<usize>,
    /// The path of the field, such as `container.bindMounts[0]`; empty for the whole file.
    pub field: String,
    /// The reason, one line without a full stop.
    pub reason: String,
    /// The name that may be meant instead of an unknown one.
    pub meant: Option<String>,
}

impl Fault {
    /// Returns a fault of the file as a whole.
    pub fn whole(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::default() }
    }

    /// Returns a fault at an offset of a text.
    pub(super) fn at(text: &str, offset: usize, field: impl Into<String>, reason: impl Into<String>) -> Self {
        let (line, column) = line_and_column(text, offset);
        Self {
            line: Some(line),
            column: Some(column),
            field: field.into(),
            reason: reason.into(),
            meant: None,
        }
    }

    /// Returns a fault of a field, at its value, or at the nearest object around it.
    pub(super) fn of_field(text: &str, field: &str, reason: impl Into<String>) -> Self {
        let mut path: Vec<&str> = field.split('.').collect();
        while !path.is_empty() {
            if let Some(found) = find(text, &path) {
                return Self::at(text, found.at, field, reason);
            }
            path.pop();
        }
        Self { field: field.to_owned(), ..Self::whole(reason) }
    }

    /// Returns what the JSON reader found.
    pub(super) fn of(text: &str, error: &Error) -> Self {
        let (reason, meant) = match error.kind() {
            Kind::UnknownField { name, known } => {
                ("is not known".to_owned(), nearest(name, known.iter().copied()))
            }
            kind => (kind.to_string(), None),
        };
        Self { meant: meant.map(str::to_owned), ..Self::at(text, error.offset(), error.field(), reason) }
    }

    /// Returns the reason with the name that may be meant.
    pub fn explained(&self) -> String {
        with_meant(&self.reason, self.meant.as_deref())
    }
}

/// Shows `field 'x': reason`; the caller puts `path:line: ` before it.
impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(out, "field '{}': ", shown(&self.field))?;
        }
        out.write_str(&self.explained())
    }
}

impl std::error::Error for Fault {}
