//! Findings: what is wrong with a file, where, and what follows.

use std::fmt;

use crate::invalid::shown;
use crate::nearest::nearest;

/// Something that is wrong with a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// The line, from 1; of continued lines the last one's, as in systemd's messages.
    pub line: Option<usize>,
    /// The character in the line, from 1; only for JSON.
    pub column: Option<usize>,
    /// The place: `[Section] Key=`, `[Section]`, or the path of a JSON field.
    pub place: Option<Place>,
    /// What is wrong, one line without a full stop.
    pub reason: String,
    /// What may be meant instead.
    pub meant: Option<String>,
    /// The first systemd without this finding, if it is only too new.
    pub since: Option<u32>,
    /// What follows.
    pub effect: Effect,
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A section of a unit file.
    Section(String),
    /// A setting: section and key.
    Setting(String, String),
    /// A field of a JSON file, such as `container.bindMounts[0]`.
    Field(String),
}

/// What follows from a finding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Effect {
    /// The line or the value is ignored, and the rest is in force.
    Ignored,
    /// The file is refused: no container is started with it.
    #[default]
    Refused,
}

impl Effect {
    /// Returns its name in answers for scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignored => "ignored",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Section(section) => write!(out, "[{section}]"),
            Self::Setting(section, key) => write!(out, "[{section}] {key}="),
            Self::Field(field) => write!(out, "field '{field}'"),
        }
    }
}

/// Shows `[Section] Key=: reason; did you mean '…'?`, on one line; the caller puts `path:line: ` before it.
impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(out, "{}: ", shown(&place.to_string()))?;
        }
        out.write_str(&self.reason)?;
        if let Some(meant) = &self.meant {
            write!(out, "; did you mean '{meant}'?")?;
        }
        Ok(())
    }
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) reason: String,
    pub(super) meant: Option<String>,
    pub(super) since: Option<u32>,
    pub(super) effect: Effect,
}

impl Problem {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), meant: None, since: None, effect: Effect::Ignored }
    }

    /// Returns a problem of a quoted text.
    pub(super) fn of(text: &str, reason: &str) -> Self {
        Self::new(format!("'{}' {reason}", shown(text)))
    }

    /// Suggests the nearest of these names.
    pub(super) fn among<'a>(self, text: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { meant: nearest(text, names.into_iter()).map(str::to_owned), ..self }
    }

    /// Makes systemd refuse the whole file.
    pub(super) fn refused(self) -> Self {
        Self { effect: Effect::Refused, ..self }
    }
}
