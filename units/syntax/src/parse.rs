//! Parses a unit file, drop-in or `.nspawn` file as `config_parse()` in `src/shared/conf-parser.c` does. Lines that
//! systemd ignores are warnings; a line that makes it stop is an error. Sections and keys are not looked up: unknown
//! ones stay in, and so do those that systemd leaves to others (`X-…`).
//!
//! Where versions differ, the stricter one counts, so that what is accepted here is accepted by all: systemd 262
//! refuses empty section names and those with `*`, `?` or `[`.

use super::escape::joins_next_line;
use super::words::{BLANKS, is_noncharacter};
use super::{Item, Section, UnitFile};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A line must be shorter than this, and continued lines together not longer (`LONG_LINE_MAX`).
pub(super) const LONG_LINE_MAX: usize = 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

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

/// Why a line is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Ignored {
    /// No section header stands above it.
    #[error("stands before the first section, ignored")]
    OutsideSection,
    /// It is neither a comment nor a header nor an assignment.
    #[error("has no '=', ignored")]
    NoEquals,
    /// It begins with the `=`.
    #[error("has no key before the '=', ignored")]
    NoKey,
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

/// Why reading stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// One line, or several continued ones together, reach the limit.
    #[error("is longer than 1 MiB")]
    TooLong,
    /// Broken UTF-8, or a Unicode noncharacter, which systemd treats the same.
    #[error("is not UTF-8")]
    NotUtf8,
    /// A `[` without a `]` at the end of the line.
    #[error("section header does not end in ']'")]
    UnclosedHeader,
    /// A header without a name, or with quotes, backslashes, glob or control characters.
    #[error("section header has no name, or a character that is not allowed in one")]
    SectionName,
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
    let mut line = 0;
    match parsed.read(bytes, &mut line) {
        Ok(()) => Ok(parsed),
        Err(reason) => Err(SyntaxError { line, reason, before: parsed.file, warnings: parsed.warnings }),
    }
}

/// Returns whether systemd takes this for the name of a section (`string_is_safe()`).
pub fn is_section_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['*', '?', '[']) && was_section_name(name)
}

/// Returns whether versions up to 261 take this for the name of a section; they warn if they do not know it.
pub fn was_section_name(name: &str) -> bool {
    let bad = |c: char| c.is_ascii_control() || matches!(c, '"' | '\'' | '\\');
    !name.contains(|c| bad(c) || is_noncharacter(c))
}

/// A line as systemd reads it, with its continuations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// What follows the `#` or `;`, in any encoding.
    Comment(&'a [u8]),
    /// What stands between the brackets.
    Header(&'a str),
    /// Anything else but blanks, stripped.
    Other(&'a str),
}

impl<'a> Line<'a> {
    /// Returns key and value of an assignment.
    pub fn assignment(text: &'a str) -> Result<(&'a str, &'a str), Ignored> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((strip_text(key), strip_text(value))),
            Some(_) => Err(Ignored::NoKey),
            None => Err(Ignored::NoEquals),
        }
    }
}

impl Parsed {
    /// Reads all lines; `line` counts them, so that the caller knows where reading ended.
    fn read(&mut self, bytes: &[u8], line: &mut usize) -> Result<(), Fault> {
        read_lines(bytes, line, |line, number| self.line(line, number))
    }

    fn line(&mut self, line: Line<'_>, number: usize) -> Result<(), Fault> {
        let text = match line {
            Line::Comment(text) => {
                self.comment(text);
                return Ok(());
            }
            Line::Header(name) if is_section_name(name) => {
                self.file.section(name);
                return Ok(());
            }
            Line::Header(_) => return Err(Fault::SectionName),
            Line::Other(text) => text,
        };
        let ignored = match (self.file.sections.last_mut(), Line::assignment(text)) {
            (None, _) => Ignored::OutsideSection,
            (Some(section), Ok((key, value))) => {
                section.set(key.to_owned(), value);
                return Ok(());
            }
            // There systemd looks at headers only.
            (Some(section), _) if section.is_extension() => return Ok(()),
            (Some(_), Err(ignored)) => ignored,
        };
        self.warnings.push(Warning { line: number, reason: ignored });
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

/// Passes each line and its number to `on`, until that or a line fails; `line` is then the number of that line. Empty
/// lines are left out, continued ones are joined. The names in headers are not checked.
pub fn read_lines<E: From<Fault>>(
    mut bytes: &[u8],
    line: &mut usize,
    mut on: impl FnMut(Line<'_>, usize) -> Result<(), E>,
) -> Result<(), E> {
    let mut continued: Option<Vec<u8>> = None;
    let mut mark_seen = false;
    while !bytes.is_empty() {
        let mut text = split_line(&mut bytes);
        *line += 1;
        if text.len() >= LONG_LINE_MAX {
            return Err(Fault::TooLong.into());
        }
        // Before anything else: a comment may stand between continued lines, and in any encoding.
        if let [b'#' | b';', comment @ ..] = strip_start(text) {
            on(Line::Comment(comment), *line)?;
            continue;
        }
        if let Some(rest) = text.strip_prefix(BYTE_ORDER_MARK).filter(|_| !mark_seen) {
            mark_seen = true;
            text = rest;
        }
        let mut whole = match continued.take() {
            Some(before) if before.len() + text.len() > LONG_LINE_MAX => return Err(Fault::TooLong.into()),
            Some(mut before) => {
                before.extend_from_slice(text);
                Cow::Owned(before)
            }
            None => Cow::Borrowed(text),
        };
        if joins_next_line(&whole) {
            let whole = whole.to_mut();
            whole.pop();
            whole.push(b' ');
            continued = Some(std::mem::take(whole));
        } else if let Some(read) = logical_line(&whole)? {
            on(read, *line)?;
        }
    }
    match continued.as_deref().map(logical_line).transpose()?.flatten() {
        Some(read) => on(read, *line),
        None => Ok(()),
    }
}

/// Reads a line that is not a comment, with its continuations; returns `None` for an empty one.
fn logical_line(text: &[u8]) -> Result<Option<Line<'_>>, Fault> {
    let text = strip(text);
    if text.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(text).map_err(|_| Fault::NotUtf8)?;
    if text.contains(is_noncharacter) {
        return Err(Fault::NotUtf8);
    }
    match text.strip_prefix('[') {
        Some(header) => Ok(Some(Line::Header(header.strip_suffix(']').ok_or(Fault::UnclosedHeader)?))),
        None => Ok(Some(Line::Other(text))),
    }
}

/// Takes the next line off, without its end (`read_line()`): LF, CR or NUL, or several of them as long as none comes
/// twice and nothing follows a NUL.
fn split_line<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r' | b'\0');
    let end = bytes.iter().position(is_end).unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    let length = match rest {
        [b'\n', b'\r', b'\0', ..] | [b'\r', b'\n', b'\0', ..] => 3,
        [b'\n', b'\r' | b'\0', ..] | [b'\r', b'\n' | b'\0', ..] => 2,
        [] => 0,
        _ => 1,
    };
    *bytes = rest.get(length..).unwrap_or_default();
    line
}

fn strip_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !BLANKS.contains(byte)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

fn strip(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !BLANKS.contains(byte)).map_or(0, |last| last + 1);
    strip_start(text.get(..end).unwrap_or_default())
}

fn strip_text(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

#[cfg(test)]
mod tests;
