//! A file that is edited without losing a byte of what an edit does not touch: comments, blank lines, continuations,
//! order, ends of lines. [`UnitFile`] is for files that a program writes as a whole.

mod edit;
mod error;
mod place;
mod read;
mod row;

use super::parse::{SyntaxError, Warning, parse};
use super::{Item, UnitFile};

pub use error::EditError;
use read::{Read, Stop, read};
use row::{Role, Row};

/// A unit file, drop-in or `.nspawn` file with every byte of it.
///
/// ```
/// use systemd_unit_syntax::Document;
///
/// let mut unit = Document::parse(b"\
/// [Service]
/// # Not as root.
/// User = www
/// ExecStart=/bin/server \\
///     --port=80
/// ");
/// unit.set("Service", "User", "http")?;
/// unit.append("Service", "Environment", "LANG=C")?;
/// unit.set("Install", "WantedBy", "multi-user.target")?;
/// assert_eq!(unit.to_bytes(), b"\
/// [Service]
/// # Not as root.
/// User = http
/// ExecStart=/bin/server \\
///     --port=80
/// Environment=LANG=C
///
/// [Install]
/// WantedBy=multi-user.target
/// ");
/// # Ok::<(), systemd_unit_syntax::EditError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// The bytes that were parsed.
    source: Vec<u8>,
    /// The lines that systemd reads.
    rows: Vec<Row>,
    /// Whether the file, comments aside, ends in a backslash, so that its last line is cut off.
    open: bool,
    stop: Option<Stop>,
}

impl Document {
    /// Reads a file. Any bytes are a document; see [`Document::error`] and [`Document::warnings`] for what systemd
    /// makes of them.
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Self {
        let source = bytes.into();
        let Read { rows, open, stop } = read(&source);
        Self { source, rows, open, stop }
    }

    /// Returns the content of the file. It is what was parsed, unless the document was changed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.source.len() + 64);
        for row in &self.rows {
            bytes.extend_from_slice(row.bytes(&self.source));
        }
        let start = self.stop.map_or(self.source.len(), |stop| stop.start);
        bytes.extend_from_slice(self.source.get(start..).unwrap_or_default());
        bytes
    }

    /// Iterates over the names of the sections in file order; a name may come more than once.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().filter_map(|row| match &row.role {
            Role::Header(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Iterates over all assignments as (section, key, value), in file order.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let mut section = "";
        self.rows.iter().filter_map(move |row| match &row.role {
            Role::Header(name) => {
                section = name;
                None
            }
            Role::Setting { key, value } => Some((section, key.as_str(), value.as_str())),
            _ => None,
        })
    }

    /// Iterates over the values assigned to `key` in sections called `section`, in file order, with those that a later
    /// empty one resets. [`Merged`](super::Merged) tells which are in force.
    pub fn values<'a>(&'a self, section: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.settings().filter(move |(s, k, _)| *s == section && *k == key).map(|(_, _, value)| value)
    }

    /// Returns sections, settings and comments as [`parse()`](super::parse()) does, for instance for
    /// [`effective()`](super::effective()).
    pub fn to_unit_file(&self) -> UnitFile {
        let mut file = UnitFile::default();
        let mut after = 0;
        for (at, row) in self.rows.iter().enumerate() {
            if at >= after && row.role == Role::Comment {
                add_comment(&mut file, row.comment(&self.source));
            } else if row.role.begins() {
                after = self.after(at);
                // systemd reads comments between continued lines first.
                let inside = self.rows.get(at..after).unwrap_or_default();
                for comment in inside.iter().filter(|row| row.role == Role::Comment) {
                    add_comment(&mut file, comment.comment(&self.source));
                }
            }
            match (&row.role, file.sections.last_mut()) {
                (Role::Header(name), _) => {
                    file.section(name.clone());
                }
                (Role::Setting { key, value }, Some(section)) => {
                    section.set(key.clone(), value.clone());
                }
                _ => {}
            }
        }
        file
    }

    /// Returns the lines that systemd ignores.
    pub fn warnings(&self) -> Vec<Warning> {
        let ignored = self.rows.iter().enumerate().filter_map(|(at, row)| match row.role {
            Role::Ignored(Some(reason)) => Some((at, reason)),
            _ => None,
        });
        ignored.map(|(at, reason)| Warning { line: self.after(at), reason }).collect()
    }

    /// Returns the line at which systemd stops reading the file, if there is one. Such a document cannot be edited.
    pub fn error(&self) -> Option<SyntaxError> {
        self.stop.and_then(|_| parse(&self.source).err())
    }
}

/// Adds a comment where it stands.
fn add_comment(file: &mut UnitFile, text: String) {
    match file.sections.last_mut() {
        Some(section) => section.items.push(Item::Comment(text)),
        None => file.header.push(text),
    }
}

#[cfg(test)]
mod tests;
