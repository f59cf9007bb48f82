//! What was found: usable intents, and files that cannot be used.

use std::fmt;

use serde::Serialize;

use super::host::Host;
use super::{DECLARATIVE_DIRECTORY, DIRECTORY};
use crate::intent::{Fault, Intent};
use crate::invalid::shown;
use crate::name::MachineName;

/// Everything that was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// The usable intents, ordered by name, each name once.
    pub intents: Vec<Stored>,
    /// The files and directories that cannot be used.
    pub errors: Vec<LoadError>,
    /// The host.
    pub host: Host,
}

/// An intent and the file it is from.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The name of the container.
    pub name: MachineName,
    /// Who manages it.
    pub kind: Kind,
    /// The file, as a path of the system (without the `--root` it was read below).
    pub path: String,
    /// What it says. It is large, and lists of intents are sorted and put together.
    pub intent: Box<Intent>,
}

/// Who manages a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `nixos-nspawn-ctl`, or an administrator by hand.
    Imperative,
    /// The host's NixOS configuration.
    Declarative,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Imperative => "imperative",
            Self::Declarative => "declarative",
        })
    }
}

/// A file or directory that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// Its path on the system.
    pub path: String,
    /// The container it would be, if its file name is a machine name.
    pub name: Option<MachineName>,
    /// Who would manage it.
    pub kind: Kind,
    /// What is wrong.
    pub fault: Fault,
    /// Whether it asks for the start with the host, or cannot be read at all.
    pub autostart: bool,
    /// Whether another file of the same name is used instead.
    pub shadowed: bool,
    /// Whether its contents were not read, so that another attempt may find a usable intent.
    pub unread: bool,
}

impl LoadError {
    /// Returns an error of a file or directory of which nothing else is known.
    pub(super) fn new(path: impl Into<String>, kind: Kind, fault: Fault) -> Self {
        Self { path: path.into(), name: None, kind, fault, autostart: false, shadowed: false, unread: false }
    }

    /// Returns whether the error concerns a whole directory, so that the containers in it are unknown.
    pub fn hides_containers(&self) -> bool {
        [DIRECTORY, DECLARATIVE_DIRECTORY].contains(&self.path.as_str())
    }

    /// Returns whether containers may be missing from the list of usable intents that another run would find. A file that
    /// was read and refused is no such error.
    pub fn may_hide_containers(&self) -> bool {
        self.hides_containers() || self.unread && !self.shadowed && self.name.is_some()
    }

    /// Returns the same error for the file of a container.
    pub(super) fn of(self, name: Option<MachineName>, autostart: bool) -> Self {
        Self { name, autostart, ..self }
    }
}

/// Shows `path:line: field 'x': reason`.
impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&shown(&self.path))?;
        if let Some(line) = self.fault.line {
            write!(out, ":{line}")?;
        }
        write!(out, ": {}", self.fault)
    }
}
