//! Parses a unit file, drop-in or `.nspawn` file as `config_parse()` in `src/shared/conf-parser.c` does. Lines that
//! systemd ignores are warnings; a line that makes it stop is an error. Sections and keys are not looked up: unknown
//! ones stay in, and so do those that systemd leaves to others (`X-…`).
//!
//! Where versions differ, the stricter one counts, so that what is accepted here is accepted by all: systemd 262
//! refuses empty section names and those with `*`, `?` or `[`.

use super::lines::{Fault, Ignored, Line, is_section_name, lines};
use super::{Item, Section, UnitFile};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The content of a file, as far as systemd reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// All sections, settings and comments.
    pub file: UnitFile,
    /// The lines systemd ignores.
    pub warnings: Vec<Warning>,
}

/// A line that systemd ignores with a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("line {line}: {reason}")]
pub struct Warning {
    /// The line's number, from 1; of continued lines the last one's, as in systemd's messages.
    pub line: usize,
    /// What is wrong with it.
    pub reason: Ignored,
}

/// A line at which systemd stops reading the file.
///
/// What follows depends on the file: a unit is not loaded, and `systemd-nspawn` does not start; but of a drop-in
/// everything before the line stays in force and the unit is loaded as if nothing were wrong (`unit_load_dropin()`).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {reason}")]
pub struct SyntaxError {
    /// The line's number, from 1; of continued lines the last one's.
    pub line: usize,
    /// What is wrong with it.
    pub reason: Fault,
    /// What comes before it, which is in force if the file is a drop-in.
    pub before: UnitFile,
    /// The lines before it that systemd ignores.
    pub warnings: Vec<Warning>,
}

/// A warning or an error with its file: `path:line: reason`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}:{line}: {reason}", path = path.display())]
pub struct Located {
    path: PathBuf,
    line: usize,
    reason: String,
}

impl Warning {
    /// Returns the warning with the path of its file.
    pub fn at(&self, path: impl AsRef<Path>) -> Located {
        Located { path: path.as_ref().to_owned(), line: self.line, reason: self.reason.to_string() }
    }
}

impl SyntaxError {
    /// Returns the error with the path of its file.
    pub fn at(&self, path: impl AsRef<Path>) -> Located {
        Located { path: path.as_ref().to_owned(), line: self.line, reason: self.reason.to_string() }
    }
}

/// Parses a file (`systemd.syntax(7)`). An error contains what came before it.
///
/// ```
/// use systemd_unit_syntax::parse;
///
/// let parsed = parse(b"[Service]\nExecStart=/bin/server \\\n  --port=80\nMemoryMax\n")?;
/// assert_eq!(parsed.file.values("Service", "ExecStart").collect::<Vec<_>>(), ["/bin/server    --port=80"]);
/// assert_eq!(parsed.warnings.len(), 1);
/// # Ok::<(), systemd_unit_syntax::SyntaxError>(())
/// ```
pub fn parse(bytes: &[u8]) -> Result<Parsed, SyntaxError> {
    let mut parsed = Parsed::default();
    for (line, read) in lines(bytes) {
        if let Err(reason) = read.and_then(|read| parsed.line(read, line)) {
            return Err(SyntaxError { line, reason, before: parsed.file, warnings: parsed.warnings });
        }
    }
    Ok(parsed)
}

impl Parsed {
    fn line(&mut self, line: Line<'_>, number: usize) -> Result<(), Fault> {
        let text = match line {
            Line::Comment(text) => {
                self.comment(text);
                return Ok(());
            }
            Line::Header(name) if is_section_name(&name) => {
                self.file.section(name.into_owned());
                return Ok(());
            }
            Line::Header(_) => return Err(Fault::SectionName),
            Line::Other(text) => text,
        };
        let section = self.file.sections.last_mut();
        match Line::setting(section.as_ref().map(|section| section.name.as_ref()), &text) {
            Ok((key, value)) => {
                if let Some(section) = section {
                    section.set(key.to_owned(), value);
                }
            }
            Err(None) => {}
            Err(Some(reason)) => self.warnings.push(Warning { line: number, reason }),
        }
        Ok(())
    }

    /// Keeps a comment where it stands. One blank after the `#` is not part of it.
    fn comment(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text.strip_prefix(b" ").unwrap_or(text)).into_owned();
        match self.file.sections.last_mut() {
            Some(Section { items, .. }) => items.push(Item::Comment(text)),
            None => self.file.header.push(text),
        }
    }
}

#[cfg(test)]
mod tests;
